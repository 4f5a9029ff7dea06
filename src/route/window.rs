//! The outcomes of the last 30 s of one model, by second and worker, in bounded space. It counts; `health` judges. Workers
//! are told apart by their place of [`PLACES`]: two that share one count as one, so that it takes a little more to call a
//! provider down, never less.

use std::collections::VecDeque;

use crate::{live::ends::PLACES, model::Tick};

/// Seconds that are looked at.
pub const WINDOW_SECONDS: u64 = 30;
/// No worker's outcomes weigh more than one part of so many of all: a broken network is not a broken provider.
const LEAST_PARTS: u32 = 4;

/// Outcomes of one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    well: u32,
    failed: u32,
}

/// Outcomes of the last seconds.
#[derive(Clone, Debug, Default)]
pub struct Window {
    seconds: VecDeque<(Tick, [Counts; PLACES])>,
    sums: [Counts; PLACES],
}

/// What the window says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub outcomes: u32,
    /// Failed ones, in percent; each worker's weighed at a quarter at the most.
    pub failed_percent: u32,
    /// Whether more than one worker failed.
    pub many_workers: bool,
}

/// The place of a worker, by a hash of its name.
pub const fn place(worker: u64) -> usize {
    (worker % PLACES as u64) as usize
}

impl Window {
    /// Adds what ended, well or not, of a worker's place.
    pub fn add(&mut self, now: Tick, place: usize, (well, failed): (u32, u32)) {
        self.forget(now);
        if self.seconds.back().is_none_or(|(second, _)| *second < now) {
            self.seconds.push_back((now, [Counts::default(); PLACES]));
        }
        let newest = self.seconds.back_mut().map(|(_, counts)| &mut counts[place]);
        for counts in newest.into_iter().chain([&mut self.sums[place]]) {
            counts.well = counts.well.saturating_add(well);
            counts.failed = counts.failed.saturating_add(failed);
        }
    }

    /// Whether nothing is in it.
    pub fn is_empty(&mut self, now: Tick) -> bool {
        self.forget(now);
        self.seconds.is_empty()
    }

    /// Drops what is older than the window.
    fn forget(&mut self, now: Tick) {
        while let Some((second, counts)) = self.seconds.front() {
            if second.0 + WINDOW_SECONDS > now.0 {
                break;
            }
            for (sum, old) in self.sums.iter_mut().zip(counts) {
                sum.well = sum.well.saturating_sub(old.well);
                sum.failed = sum.failed.saturating_sub(old.failed);
            }
            self.seconds.pop_front();
        }
    }

    pub fn seen(&mut self, now: Tick) -> Seen {
        self.forget(now);
        let of = |counts: &Counts| counts.well.saturating_add(counts.failed);
        let outcomes = self.sums.iter().map(of).fold(0, u32::saturating_add);
        let most = f64::from(outcomes.div_ceil(LEAST_PARTS));
        let weight = |counts: &Counts| (most / f64::from(of(counts)).max(1.0)).min(1.0);
        let weighed = |part: fn(&Counts) -> u32| -> f64 {
            self.sums.iter().map(|counts| f64::from(part(counts)) * weight(counts)).sum()
        };
        let (failed, well) = (weighed(|counts| counts.failed), weighed(|counts| counts.well));
        let failed_percent = if outcomes == 0 { 0.0 } else { 100.0 * failed / (failed + well) };
        let many_workers = self.sums.iter().filter(|counts| counts.failed > 0).count() > 1;
        Seen { outcomes, failed_percent: failed_percent.round() as u32, many_workers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(window: &mut Window, now: Tick, worker: u64, failed: bool) {
        window.add(now, place(worker), if failed { (0, 1) } else { (1, 0) });
    }

    #[test]
    fn the_last_seconds_count_and_no_worker_more_than_a_quarter() {
        let mut window = Window::default();
        for worker in 0..5 {
            (0..4).for_each(|_| add(&mut window, Tick(100), worker, worker == 0));
        }
        assert_eq!(window.seen(Tick(100)), Seen { outcomes: 20, failed_percent: 20, many_workers: false });
        // Sixty more failures of one worker: a quarter of 80 at the most, beside 16 that went well.
        (0..60).for_each(|_| add(&mut window, Tick(101), 0, true));
        assert_eq!(window.seen(Tick(101)), Seen { outcomes: 80, failed_percent: 56, many_workers: false });
        assert_eq!(window.seen(Tick(130)).outcomes, 60);
        assert_eq!(window.seen(Tick(131)), Seen { outcomes: 0, failed_percent: 0, many_workers: false });
    }

    /// The sums that are kept up are those of the outcomes within the window, whatever came when.
    #[test]
    fn kept_sums_are_those_of_the_window() {
        let mut window = Window::default();
        let mut all = Vec::new();
        for n in 0_u64..2_000 {
            let (now, worker, failed) = (Tick(n * n % 7 + n / 5), n * 31 % 23, n * 17 % 3 == 0);
            let now = Tick(now.0.max(all.last().map_or(0, |(at, ..): &(Tick, u64, bool)| at.0)));
            add(&mut window, now, worker, failed);
            all.push((now, worker, failed));
            let inside = all.iter().filter(|(at, ..)| at.0 + WINDOW_SECONDS > now.0).count();
            assert_eq!(window.seen(now).outcomes as usize, inside);
        }
    }
}
