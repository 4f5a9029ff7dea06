//! One minute of one key while it is open: the peak of each second, and what is known of it.

use crate::model::{Flags, Outcome, Point, SparseCounts, time::SECONDS_PER_MINUTE};

/// Seconds in a minute, as the length of an array.
const SECONDS: usize = SECONDS_PER_MINUTE as usize;

/// What was opened, closed and turned away in a minute.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sums {
    pub opened: u32,
    pub closed: [u32; Outcome::COUNT],
    pub refused: u32,
    pub diverted: u32,
    pub late_dropped: u32,
    pub durations: SparseCounts,
}

/// The peaks of the seconds: mostly all the same.
#[derive(Clone, Debug, PartialEq)]
enum Seconds {
    Flat(u32),
    Each(Box<[u32; SECONDS]>),
}

/// One open minute of one key. Bit `n` of a mask is second `n`.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyMinute {
    /// Seconds in which the level was known, in full or in part.
    known: u64,
    /// Of these, those in which it was known in part.
    partial: u64,
    /// Seconds in which only late events tell of a level.
    rebuilt: u64,
    /// Late events changed it.
    late: bool,
    /// The clock jumped in it.
    jumped: bool,
    seconds: Seconds,
    /// By how much late events may have raised the peak of each second above what was surely held; `None` where they did
    /// not.
    raised: Option<Box<[u32; SECONDS]>>,
    /// Level at the end of the last known second.
    last: u32,
    sums: Option<Box<Sums>>,
}

/// The mask of the seconds `from..to` of a minute.
fn mask(from: u32, to: u32) -> u64 {
    let below = |n: u32| if n >= 64 { u64::MAX } else { (1 << n) - 1 };
    below(to) & !below(from)
}

/// How a range of seconds is known.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    pub partial: bool,
    pub jumped: bool,
}

impl Default for KeyMinute {
    fn default() -> Self {
        Self {
            known: 0,
            partial: 0,
            rebuilt: 0,
            late: false,
            jumped: false,
            seconds: Seconds::Flat(0),
            raised: None,
            last: 0,
            sums: None,
        }
    }
}

impl KeyMinute {
    fn value(&self, second: usize) -> u32 {
        match &self.seconds {
            Seconds::Each(each) => each[second],
            Seconds::Flat(level) if self.told() >> second & 1 == 1 => *level,
            Seconds::Flat(_) => 0,
        }
    }

    /// Seconds of which anything is known.
    const fn told(&self) -> u64 {
        self.known | self.rebuilt
    }

    fn each(&mut self) -> &mut [u32; SECONDS] {
        if let Seconds::Flat(_) = self.seconds {
            self.seconds = Seconds::Each(Box::new(std::array::from_fn(|second| self.value(second))));
        }
        match &mut self.seconds {
            Seconds::Each(each) => each,
            Seconds::Flat(_) => unreachable!("it was made one value a second just above"),
        }
    }

    /// The seconds `from..to` had this peak, and ended at level `last`. Seconds that late events told of already keep
    /// the higher value.
    pub fn set(&mut self, from: u32, to: u32, peak: u32, last: u32, known: Known) {
        let mask = mask(from, to);
        if self.told() == 0 {
            self.seconds = Seconds::Flat(peak);
        } else if !matches!(self.seconds, Seconds::Flat(level) if level == peak) {
            let each = self.each();
            each[from as usize..to as usize].iter_mut().for_each(|second| *second = peak);
        }
        self.known |= mask;
        if known.partial {
            self.partial |= mask;
        }
        self.jumped |= known.jumped;
        self.last = last;
    }

    /// Late events: `by` sessions more (or fewer) were live in the seconds `from..to` than was thought.
    pub fn shift(&mut self, from: u32, to: u32, by: i64) {
        let told = self.told();
        let each = self.each();
        let mut changed = 0_u64;
        for second in from..to {
            let is_told = told >> second & 1 == 1;
            if is_told || by > 0 {
                let value = &mut each[second as usize];
                *value = u32::try_from((i64::from(*value) + by).max(0)).unwrap_or(u32::MAX);
                changed |= 1 << second;
            }
        }
        self.rebuilt |= changed & !self.known;
        self.late |= changed != 0;
    }

    /// Of what [`shift`](Self::shift) added to the seconds `from..to`, so many sessions may not have been live when the
    /// others were.
    pub fn doubt(&mut self, from: u32, to: u32, by: u32) {
        let raised = self.raised.get_or_insert_with(|| Box::new([0; SECONDS]));
        raised[from as usize..to as usize].iter_mut().for_each(|second| *second = second.saturating_add(by));
    }

    /// The level that was surely reached in a second.
    fn sure(&self, second: usize) -> u32 {
        let raised = self.raised.as_ref().map_or(0, |raised| raised[second]);
        self.value(second).saturating_sub(raised)
    }

    pub fn sums(&mut self) -> &mut Sums {
        self.sums.get_or_insert_default()
    }

    /// The point, of which `elapsed` seconds have passed (60 when the minute is over).
    pub fn point(&self, elapsed: u32) -> Point {
        let mut point = Point { last: self.last, ..Point::default() };
        let told = self.told();
        let mut sure = 0;
        for second in (0..SECONDS).filter(|second| told >> second & 1 == 1) {
            let value = self.value(second);
            sure = sure.max(self.sure(second));
            if value > point.peak {
                point.peak = value;
                point.peak_second = second as u8;
            }
        }
        if point.peak == 0 {
            point.peak_second = told.trailing_zeros().min(SECONDS as u32 - 1) as u8;
        }
        if told == 0 {
            point = Point::GAP;
        } else {
            point.covered = told.count_ones() as u8;
            point.raised = point.peak.saturating_sub(sure);
        }
        point.flags = self.flags(elapsed);
        if let Some(sums) = &self.sums {
            point.opened = sums.opened;
            point.closed = sums.closed;
            point.refused = sums.refused;
            point.diverted = sums.diverted;
        }
        point
    }

    /// The flags of the point, of which `elapsed` seconds have passed.
    pub fn flags(&self, elapsed: u32) -> Flags {
        let mut flags = Flags::default();
        let told = self.told();
        if told == 0 {
            flags = flags.with(Flags::GAP);
        } else if told.count_ones() < elapsed.min(SECONDS as u32) || self.partial | (self.rebuilt & !self.known) != 0 {
            flags = flags.with(Flags::PARTIAL);
        }
        if self.late {
            flags = flags.with(Flags::LATE);
        }
        if self.jumped {
            flags = flags.with(Flags::JUMPED);
        }
        if self.sums.as_ref().is_some_and(|sums| sums.late_dropped > 0) {
            flags = flags.with(Flags::LATE_DROPPED);
        }
        flags
    }

    /// Tells of the seconds `from..to` which are known, each with its peak and what was surely reached, in order.
    pub fn each_peak(&self, from: u32, to: u32, mut tell: impl FnMut(u32, u32, u32)) {
        let told = self.told() & mask(from, to);
        (from..to)
            .filter(|second| told >> second & 1 == 1)
            .for_each(|second| tell(second, self.value(second as usize), self.sure(second as usize)));
    }

    /// Adds the peak of each known second, and the durations, to the histograms of its hour.
    pub fn count_into(&self, levels: &mut SparseCounts, durations: &mut SparseCounts) {
        let told = self.told();
        match &self.seconds {
            Seconds::Flat(level) if told != 0 => levels.add(u64::from(*level), u64::from(told.count_ones())),
            Seconds::Flat(_) => {}
            Seconds::Each(each) => {
                for (_, value) in each.iter().enumerate().filter(|(second, _)| told >> second & 1 == 1) {
                    levels.add(u64::from(*value), 1);
                }
            }
        }
        if let Some(sums) = &self.sums {
            durations.merge(&sums.durations);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Known = Known { partial: false, jumped: false };

    #[test]
    fn a_minute_that_is_told_whole_is_covered() {
        let mut minute = KeyMinute::default();
        minute.set(0, 20, 3, 3, FULL);
        minute.set(20, 21, 5, 2, FULL);
        minute.set(21, 60, 2, 2, FULL);
        let point = minute.point(60);
        assert_eq!((point.peak, point.peak_second, point.last, point.covered), (5, 20, 2, 60));
        assert_eq!(point.flags, Flags::default());
        let (mut levels, mut durations) = (SparseCounts::default(), SparseCounts::default());
        minute.count_into(&mut levels, &mut durations);
        assert_eq!(levels.iter().collect::<Vec<_>>(), [(2, 39), (3, 20), (5, 1)]);
    }

    #[test]
    fn late_events_tell_of_seconds_that_nobody_saw() {
        let mut minute = KeyMinute::default();
        minute.set(0, 10, 4, 4, FULL);
        minute.shift(5, 20, 1);
        minute.shift(30, 40, -1);
        let point = minute.point(60);
        assert_eq!((point.peak, point.peak_second, point.covered), (5, 5, 20));
        assert!(point.flags.has(Flags::LATE) && point.flags.has(Flags::PARTIAL));
    }

    #[test]
    fn what_may_not_have_been_live_together_is_not_sure() {
        let mut minute = KeyMinute::default();
        minute.set(0, 60, 4, 4, FULL);
        minute.shift(5, 6, 9);
        minute.doubt(5, 6, 9);
        minute.shift(20, 30, 2);
        minute.doubt(20, 21, 2);
        let point = minute.point(60);
        assert_eq!((point.peak, point.peak_second, point.sure_peak()), (13, 5, 6));
        let mut told = Vec::new();
        minute.each_peak(4, 6, |second, peak, sure| told.push((second, peak, sure)));
        assert_eq!(told, [(4, 4, 4), (5, 13, 4)]);
    }

    #[test]
    fn a_minute_that_nobody_saw_is_a_gap_and_not_zero() {
        assert!(KeyMinute::default().point(60).is_gap());
    }

    #[test]
    fn the_minute_in_progress_is_whole_so_far() {
        let mut minute = KeyMinute::default();
        minute.set(0, 30, 1, 1, FULL);
        assert_eq!(minute.point(30).flags, Flags::default());
        assert!(minute.point(60).flags.has(Flags::PARTIAL));
    }
}
