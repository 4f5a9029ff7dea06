//! Packed hours come back, are as small as is promised, and hostile bytes are errors.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::model::counts::bucket;

/// Hours in a week.
const WEEK: usize = 168;
/// What a meter-week may take on the mix, in bytes: all columns, and its peaks and flags alone.
const MOST: (usize, usize) = (16_000, 3_200);

fn count() -> impl Strategy<Value = u32> {
    prop_oneof![6 => Just(0_u32), 6 => 0..8_u32, 2 => 0..3_000_u32, 1 => any::<u32>()]
}

fn point() -> impl Strategy<Value = Point> {
    let busy =
        (count(), 0..60_u8, count(), count(), prop::array::uniform10(count()), count(), count(), 0..=60_u8, 0..32_u8)
            .prop_map(|(peak, peak_second, last, opened, closed, refused, diverted, covered, flags)| {
                let (flags, raised) = (Flags(flags), if flags & 4 == 0 { 0 } else { peak / 3 });
                Point { peak, peak_second, last, opened, closed, refused, diverted, covered, raised, flags }
            });
    prop_oneof![3 => Just(Point::GAP), 6 => Just(Point { covered: 60, ..Point::default() }), 2 => busy]
}

fn counts() -> impl Strategy<Value = SparseCounts> {
    prop::collection::vec((prop_oneof![0..9_u64, any::<u64>()], 1..4_000_u64, any::<bool>()), 0..40).prop_map(|pairs| {
        let mut counts = SparseCounts::default();
        pairs.into_iter().for_each(|(value, n, bucketed)| counts.add(if bucketed { bucket(value) } else { value }, n));
        counts
    })
}

fn hour() -> impl Strategy<Value = KeyHour> {
    let points = prop::collection::vec(point(), MINUTES).prop_map(|points| points.try_into().unwrap());
    (points, counts(), counts()).prop_map(|(points, levels, durations)| KeyHour { points, levels, durations })
}

proptest! {
    #[test]
    fn an_hour_comes_back(hour in hour()) {
        let bytes = pack(&hour);
        let back = unpack(&bytes).unwrap();
        prop_assert_eq!(&back, &hour);
        let Peaks { peaks, flags, raised } = unpack_peaks(&bytes).unwrap();
        prop_assert_eq!(raised, hour.points.map(|point| point.raised));
        prop_assert_eq!(peaks, hour.points.map(|point| point.peak));
        prop_assert_eq!(flags, hour.points.map(|point| point.flags));
    }

    #[test]
    fn any_bytes_are_an_hour_or_an_error(mut bytes in prop::collection::vec(any::<u8>(), 0..400), version in 0_u8..3) {
        if let Some(first) = bytes.first_mut().filter(|_| version > 0) {
            *first = version;
        }
        let _ = unpack_peaks(&bytes);
        let _ = unpack(&bytes);
    }

    #[test]
    fn a_damaged_hour_is_an_hour_or_an_error(hour in hour(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = pack(&hour);
        let at = at.index(bytes.len());
        prop_assert!(unpack(&bytes[..at]).is_err());
        bytes[at] = byte;
        let _ = unpack(&bytes);
    }
}

#[test]
fn an_hour_without_raised_peaks_is_packed_as_ever() {
    let mut hour = KeyHour::gap();
    hour.points[3] = Point { peak: 9, last: 9, covered: 60, flags: Flags::LATE, ..Point::default() };
    assert_eq!(pack(&hour)[0], VERSION);
    hour.points[3].raised = 4;
    let mut bytes = pack(&hour);
    assert_eq!((bytes[0], unpack(&bytes)), (RAISED_VERSION, Ok(hour.clone())));
    hour.points[3].raised = 10;
    bytes = pack(&hour);
    assert_eq!(unpack(&bytes), Err(PackError::Invalid("a raise")), "more than the peak");
}

#[test]
fn hours_without_news_take_a_few_bytes() {
    let mut idle = KeyHour::gap();
    assert_eq!(pack(&idle).len(), 4);
    idle.points = [Point { covered: 60, ..Point::default() }; MINUTES];
    idle.levels.add(0, 3_600);
    assert_eq!(pack(&idle).len(), 4);
    let mut held = idle;
    held.points.iter_mut().for_each(|point| (point.peak, point.last) = (7, 7));
    held.levels = SparseCounts { values: vec![7], counts: vec![3_600] };
    assert_eq!(pack(&held).len(), 4);
}

#[test]
fn what_is_not_an_hour_is_said() {
    let good = pack(&KeyHour::gap());
    assert_eq!(unpack(&[]), Err(PackError::Truncated));
    assert_eq!(unpack(&[9]), Err(PackError::Version(9)));
    assert_eq!(unpack(&[&good[..], &[0]].concat()), Err(PackError::TooLong));
    let many_counts = [&good[..3], &[part::LEVELS as u8, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0]].concat();
    assert_eq!(unpack(&many_counts), Err(PackError::Truncated));
}

/// A xorshift generator: the same mix at each run.
struct Noise(u64);

impl Noise {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }

    /// True once in `n` times.
    fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// A week of sessions on one meter, second by second: open at a rate of the hour of the day and last around `mean_secs`,
/// so that the level stays within `most`.
fn week(noise: &mut Noise, most: u32, mean_secs: u64) -> Vec<KeyHour> {
    let mut ends = std::collections::BTreeMap::<u64, Vec<u64>>::new();
    let mut level = 0_u32;
    let mut hours = Vec::new();
    for hour in 0..WEEK as u64 {
        // Nights have a tenth of the afternoons' load.
        let load = [1, 1, 1, 1, 1, 1, 2, 4, 6, 8, 9, 9, 8, 9, 10, 10, 9, 8, 6, 5, 4, 3, 2, 1][hour as usize % 24];
        let mut key_hour = KeyHour::gap();
        for (minute, point) in key_hour.points.iter_mut().enumerate() {
            *point = Point { peak: level, covered: 60, ..Point::default() };
            for second in 0..60 {
                let now = hour * 3_600 + minute as u64 * 60 + second;
                let mut peak = level;
                for duration in ends.remove(&now).unwrap_or_default() {
                    let outcome = if noise.once_in(50) { Outcome::Cancelled } else { Outcome::Ok };
                    point.closed[outcome.index()] += 1;
                    level -= 1;
                    key_hour.durations.add(bucket(duration), 1);
                }
                // In the mean, half of the most is held in the busiest hours.
                let mean_opens = u64::from(most) * load * 500 / (10 * mean_secs);
                for _ in 0..(noise.below(2 * mean_opens + 1) + noise.below(1_000)) / 1_000 {
                    if level < most {
                        let factors = [1, 2, 3, 4, 6, 8, 10, 12, 16, 24];
                        let millis = mean_secs * 100 * factors[noise.below(10) as usize] + noise.below(mean_secs * 300);
                        ends.entry(now + 1 + millis / 1_000).or_default().push(millis);
                        (level, point.opened) = (level + 1, point.opened + 1);
                    }
                }
                peak = peak.max(level);
                if peak > point.peak {
                    (point.peak, point.peak_second) = (peak, second as u8);
                }
                key_hour.levels.add(peak.into(), 1);
            }
            point.last = level;
        }
        hours.push(key_hour);
    }
    hours
}

/// Packs hours that must come back; their bytes, of all columns and of the peaks and flags alone.
fn sizes(hours: &[KeyHour]) -> (usize, usize) {
    hours.iter().fold((0, 0), |(all, peaks), hour| {
        let bytes = pack(hour);
        assert_eq!(unpack(&bytes).as_ref(), Ok(hour));
        (all + bytes.len(), peaks + pack_peaks(&hour.points).len())
    })
}

/// The mean over the mix: 60 % idle, 30 % small, 9 % busy, 1 % very busy.
fn mean(small: (usize, usize), busy: (usize, usize), very_busy: (usize, usize)) -> (usize, usize) {
    let idle = Point { covered: 60, ..Point::default() };
    let mut hour = KeyHour { points: [idle; MINUTES], ..KeyHour::gap() };
    hour.levels.add(0, 3_600);
    let idle = sizes(&vec![hour; WEEK]);
    let of = |size: fn((usize, usize)) -> usize| {
        (60 * size(idle) + 30 * size(small) + 9 * size(busy) + size(very_busy)).div_ceil(100)
    };
    (of(|size| size.0), of(|size| size.1))
}

#[test]
fn a_week_of_sessions_is_as_small_as_promised() {
    // Half of the meters hold a session for the call, as agents and speech to text do; the others for some turns or for
    // one generation.
    let mean_secs = [300, 300, 40, 3];
    let noise = &mut Noise(0x9e37_79b9_7f4a_7c15);
    let [small, busy] = [5, 60].map(|most| {
        let hours: Vec<_> = mean_secs.iter().flat_map(|secs| week(noise, most, *secs)).collect();
        let (all, peaks) = sizes(&hours);
        (all / mean_secs.len(), peaks / mean_secs.len())
    });
    let very_busy = sizes(&week(noise, 2_000, 300));
    let mean = mean(small, busy, very_busy);
    println!("small {small:?}, busy {busy:?}, very busy {very_busy:?}, mean {mean:?}");
    assert!(mean.0 <= MOST.0 && mean.1 <= MOST.1, "{mean:?}");
}

/// Columns of plain noise, each number as likely as any other: worse than sessions can be.
#[test]
fn a_week_of_noise_is_as_small_as_promised() {
    let mut noise = Noise(0x2545_f491_4f6c_dd1d);
    let mut week = |most: u64| -> Vec<KeyHour> {
        let mut hours = vec![KeyHour::gap(); WEEK];
        for hour in &mut hours {
            for point in &mut hour.points {
                let peak = noise.below(most + 1) as u32;
                let last = noise.below(u64::from(peak) + 1) as u32;
                let opened = noise.below(most + 1) as u32;
                *point =
                    Point { peak, last, opened, peak_second: noise.below(60) as u8, covered: 60, ..Point::default() };
                point.closed[0] = noise.below(most + 1) as u32;
                hour.levels.add(peak.into(), 60);
            }
        }
        hours
    };
    let [small, busy, very_busy] = [5, 60, 2_000].map(|most| sizes(&week(most)));
    let mean = mean(small, busy, very_busy);
    println!("small {small:?}, busy {busy:?}, very busy {very_busy:?}, mean {mean:?}");
    assert!(mean.0 <= MOST.0 && mean.1 <= MOST.1, "{mean:?}");
}
