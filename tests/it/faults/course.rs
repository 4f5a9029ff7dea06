//! What workers did to one meter, second by second, and what the frames of a store say of it. Between two flushes workers
//! only open or only close: so the level moves one way from one known level to the next, and the highest of each second
//! is known to within what was on its way at the second's edges.

use std::collections::BTreeMap;

use highwater::model::{Coverage, Frame, Time};

/// A time in which nothing was on its way, and the level then.
#[derive(Clone, Copy, Debug)]
struct Quiet {
    from: Time,
    to: Time,
    level: u32,
}

/// What workers held on one meter, as they know it.
#[derive(Debug, Default)]
pub struct Course(Vec<Quiet>);

impl Course {
    /// All that was said so far is applied.
    pub fn is_at(&mut self, level: u32, now: Time) {
        self.0.push(Quiet { from: now, to: now, level });
    }

    /// The next is about to be said.
    pub fn moves(&mut self, now: Time) {
        if let Some(last) = self.0.last_mut() {
            last.to = now;
        }
    }

    /// The whole seconds of which it knows all.
    pub fn seconds(&self) -> std::ops::Range<u64> {
        let (first, last) = (self.0.first().map_or(Time(0), |q| q.from), self.0.last().map_or(Time(0), |q| q.to));
        first.tick().0 + 1..last.tick().0
    }

    /// The lowest and the highest that the peak of a second can truly be.
    fn bounds(&self, second: u64) -> (u32, u32) {
        let (start, end) = (Time::from_secs(second), Time::from_secs(second + 1));
        let (mut lowest, mut highest) = (0, 0);
        for (nth, quiet) in self.0.iter().enumerate() {
            if quiet.from < end && quiet.to >= start {
                lowest = lowest.max(quiet.level);
            }
            // On the way to it, and on the way from it, it may have been there.
            let since = nth.checked_sub(1).map_or(quiet.from, |before| self.0[before].to);
            let until = self.0.get(nth + 1).map_or(quiet.to, |after| after.from);
            if since < end && until >= start {
                highest = highest.max(quiet.level);
            }
        }
        (lowest, highest)
    }

    /// Compares the peaks of a meter with its course.
    pub fn compare(&self, frames: &BTreeMap<u64, Frame>, meter: u32) -> Compared {
        let (peaks, mut compared) = (peaks(frames, meter), Compared::default());
        for second in self.seconds() {
            compared.all += 1;
            let (lowest, highest) = self.bounds(second);
            match peaks.get(&second) {
                None => println!("second {second}: there is no frame"),
                Some(None) => compared.flagged += 1,
                Some(Some(peak)) if (lowest..=highest).contains(peak) => {
                    compared.right += 1;
                    compared.exact += usize::from(lowest == highest);
                }
                Some(Some(peak)) => println!("second {second}: {peak}, and truly {lowest} to {highest}"),
            }
        }
        compared
    }
}

/// Seconds of a meter that were compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    pub all: usize,
    /// The peak is within what it can truly be.
    pub right: usize,
    /// Of them, those where that is one number.
    pub exact: usize,
    /// The service said that the level is not known in full.
    pub flagged: usize,
}

/// The peak of each second; `None` where the level was not known in full.
fn peaks(frames: &BTreeMap<u64, Frame>, meter: u32) -> BTreeMap<u64, Option<u32>> {
    let (mut peaks, mut level, mut coverage) = (BTreeMap::new(), 0, Coverage::None);
    for (tick, frame) in frames {
        let entry = frame.entries.iter().find(|entry| entry.key == meter);
        let peak = entry.map_or(level, |entry| entry.peak);
        if let Some(entry) = entry {
            (level, coverage) = (entry.level, entry.coverage());
        }
        let is_known = coverage == Coverage::Full && !frame.settling && !frame.jumped;
        peaks.insert(*tick, is_known.then_some(peak));
        peaks.extend((1..=frame.repeat).map(|after| (tick + after, is_known.then_some(level))));
    }
    peaks
}

#[cfg(test)]
mod tests {
    use highwater::model::Entry;

    use super::*;

    /// Three held until 11.5 s, then one more, then two.
    fn course() -> Course {
        let mut course = Course::default();
        for (from, to, level) in [(9_500, 11_500, 3), (11_600, 12_900, 4), (13_100, 15_000, 2)] {
            course.is_at(level, Time(from * 1_000));
            course.moves(Time(to * 1_000));
        }
        course
    }

    fn check(peaks: [u32; 5], expect: Compared) {
        let entry = |peak| Entry { key: 7, peak, level: peak, ..Entry::default() };
        let frame = |(tick, peak)| (tick, Frame { tick, entries: vec![entry(peak)], ..Frame::default() });
        let frames: BTreeMap<u64, Frame> = (10..).zip(peaks).map(frame).collect();
        assert_eq!(course().compare(&frames, 7), expect);
    }

    #[test]
    fn a_peak_that_is_wrong_by_one_is_found() {
        let right = Compared { all: 5, right: 5, exact: 5, flagged: 0 };
        check([3, 4, 4, 4, 2], Compared { exact: 4, ..right });
        // What was on its way as second 13 began may have ended before.
        check([3, 4, 4, 3, 2], Compared { exact: 4, ..right });
        check([3, 4, 4, 1, 2], Compared { right: 4, exact: 4, ..right });
        check([3, 3, 4, 4, 2], Compared { right: 4, exact: 3, ..right });
        check([3, 4, 5, 4, 2], Compared { right: 4, exact: 3, ..right });
    }
}
