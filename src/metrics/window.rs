//! The seconds that a peak is of. Windows are fixed: each begins at a multiple of 15 s. A peak is of the window of the
//! last full second, of the one before it, and of the second in progress: 16 to 31 seconds. So two scrapes that are 15 s
//! apart, or up to a second more, leave out no instant between them, whether or not they share the page of one second.

use crate::model::Tick;

/// Length of a window: the longest interval between scrapes that misses nothing.
pub const WINDOW_SECONDS: u64 = 15;

// The words must still know the first of those seconds, also when the next one begins during a scrape.
#[cfg(not(feature = "loom"))]
const _: () = {
    let ring = crate::live::word::RING_TICKS as u64;
    assert!(2 * WINDOW_SECONDS + 1 < ring, "the ring of a meter's word holds both windows");
};

/// The first second that a peak is of when it is asked for in second `now`.
pub const fn first(now: Tick) -> Tick {
    let window = now.0.saturating_sub(1) / WINDOW_SECONDS;
    Tick(window.saturating_sub(1) * WINDOW_SECONDS)
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        live::word::MeterWord,
        model::{Time, time::MICROS_PER_SECOND},
    };

    #[test]
    fn windows_are_fixed_and_the_second_in_progress_is_beside_them() {
        for (now, expect) in [(0, 0), (1, 0), (15, 0), (29, 0), (30, 0), (31, 15), (45, 15), (46, 30), (60, 30)] {
            assert_eq!(first(Tick(now)), Tick(expect), "{now}");
        }
    }

    #[test]
    fn scrapes_of_every_15_s_leave_nothing_out_however_they_lie_to_the_windows() {
        for scrape in 0..1_000 {
            // 15 s later, and up to a second more: at most 16 seconds of the clock. The first one's page may have been made
            // at the beginning of its second.
            for next in scrape + 1..=scrape + WINDOW_SECONDS + 1 {
                assert!(first(Tick(next)) <= Tick(scrape), "{scrape}, then {next}");
            }
        }
    }

    /// The highest level in the instants from `from` to `until`, both included, by going through all that happened.
    fn naive(steps: &[(u64, bool)], from: u64, until: u64) -> u32 {
        let (mut level, mut peak) = (0_u32, 0);
        for (at, opens) in steps.iter().filter(|(at, _)| *at <= until) {
            if *at >= from {
                peak = peak.max(level);
            }
            level = if *opens { level + 1 } else { level.saturating_sub(1) };
            if *at >= from {
                peak = peak.max(level);
            }
        }
        peak.max(level)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// The word knows the peak of the windows at any instant, whether the roller was there in time or not.
        #[test]
        fn the_peak_is_that_of_the_sweep(
            gaps in prop::collection::vec((1_u64..4_000_000, any::<bool>(), any::<bool>()), 1..80),
            lags in prop::collection::vec(0_u64..1_500_000, 200),
        ) {
            let start = 1_000 * MICROS_PER_SECOND;
            let word = MeterWord::new(Time(start).tick());
            let (mut at, mut rolled, mut lags) = (start, Time(start).tick(), lags.into_iter().cycle());
            let mut lag = lags.next().unwrap_or(0);
            let mut steps = Vec::new();
            for (gap, opens, scrapes) in gaps {
                let until = at + gap;
                // The roller comes by once a second, late by up to a second and a half.
                while rolled.next().start().0 + lag <= until {
                    let _ = word.roll(rolled, rolled.next());
                    rolled = rolled.next();
                    lag = lags.next().unwrap_or(0);
                }
                at = until;
                let tick = Time(at).tick();
                if opens { word.open(tick) } else { word.close(tick) };
                steps.push((at, opens));
                if scrapes {
                    let from = first(tick);
                    let seen = word.since(from);
                    prop_assert_eq!(seen.peak, naive(&steps, from.start().0, at));
                    prop_assert!(seen.level <= seen.peak);
                }
            }
        }
    }
}
