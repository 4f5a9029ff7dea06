//! The points of one meter or pool, put together for what has less room than there are points: a chart's columns, a
//! day's row. What is not covered stays so; it never becomes zero.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::{model::Flags, proto::History};

/// The points of one meter or pool, the first at `start`.
#[derive(Clone, Debug)]
pub struct Series {
    pub start: Timestamp,
    pub step_seconds: i64,
    pub history: History,
}

/// Points put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bin {
    /// The highest point, when any is covered.
    pub peak: Option<Peak>,
    /// The limit in force at the end of the last point, if there was one.
    pub limit: Option<u32>,
    pub points: u32,
    /// Points of which nothing is covered.
    pub gaps: u32,
    pub opened: u64,
    pub errors: u64,
    pub lost: u64,
    pub unmet: u64,
    pub covered_seconds: u64,
}

/// The highest point of several, the first of equal ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peak {
    pub level: u32,
    /// The limit in force then.
    pub limit: Option<u32>,
    /// Start of the second in which it was reached, or of the point when that is not known.
    pub at: Timestamp,
    /// What is known of it beside its figures.
    flags: Flags,
}

impl Peak {
    /// The level with how it is to be read: a lower bound where some of the point is not covered, an upper bound where
    /// late events raised it, neither exact nor a bound where both is so.
    pub fn level_text(&self) -> String {
        format!("{}{}", self.flags.bound().sign(), self.level)
    }
}

impl Series {
    pub fn len(&self) -> usize {
        self.history.peak.len()
    }

    pub fn end(&self) -> Timestamp {
        self.at(self.len())
    }

    /// Start of a point.
    pub fn at(&self, point: usize) -> Timestamp {
        let seconds = i64::try_from(point).unwrap_or(i64::MAX).saturating_mul(self.step_seconds);
        let second = self.start.as_second().saturating_add(seconds);
        Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
    }

    fn flags(&self, point: usize) -> Flags {
        Flags(self.history.flags.get(point).copied().unwrap_or(0))
    }

    fn limit(&self, point: usize) -> Option<u32> {
        self.history.limit_plus_one.get(point).and_then(|limit| limit.checked_sub(1))
    }

    /// Points put together, from one up to another.
    pub fn bin(&self, from: usize, to: usize) -> Bin {
        let mut bin = Bin::default();
        let column = |column: &[u32], point: usize| u64::from(column.get(point).copied().unwrap_or(0));
        for point in from..to.min(self.len()) {
            let flags = self.flags(point);
            bin.points += 1;
            bin.limit = self.limit(point);
            bin.opened += column(&self.history.opened, point);
            bin.errors += column(&self.history.closed_error, point);
            bin.lost += column(&self.history.lost, point);
            bin.unmet += column(&self.history.refused, point) + column(&self.history.diverted, point);
            bin.covered_seconds += column(&self.history.covered_seconds, point);
            if flags.has(Flags::GAP) {
                bin.gaps += 1;
                continue;
            }
            let level = self.history.peak[point];
            if bin.peak.is_none_or(|peak| level > peak.level) {
                bin.peak = Some(self.peak(point, level, flags));
            }
        }
        bin
    }

    fn peak(&self, point: usize, level: u32, flags: Flags) -> Peak {
        let second = self.history.peak_second.get(point).copied().unwrap_or(0);
        let at = Timestamp::from_second(self.at(point).as_second().saturating_add(i64::from(second)));
        let at = at.unwrap_or(Timestamp::MAX);
        Peak { level, limit: self.limit(point), at, flags }
    }

    /// Everything in so many columns of as near the same number of points as can be, with the start of each. When
    /// there are fewer points than columns, a point takes several.
    pub fn columns(&self, count: usize) -> Vec<(Timestamp, Bin)> {
        let first = |column: usize| column * self.len() / count.max(1);
        let bin = |column: usize| {
            let from = first(column);
            (self.at(from), self.bin(from, first(column + 1).max(from + 1)))
        };
        if self.len() == 0 { Vec::new() } else { (0..count).map(bin).collect() }
    }

    /// Everything by days of a time zone.
    pub fn days(&self, zone: &TimeZone) -> Vec<(Date, Bin)> {
        let mut days = Vec::new();
        let day_of = |point: usize| self.at(point).to_zoned(zone.clone()).date();
        let mut from = 0;
        while from < self.len() {
            let day = day_of(from);
            // Days have at most 25 hours of points; within them the day of a point only grows.
            let to = from + partition(self.len() - from, |ahead| day_of(from + ahead) == day);
            days.push((day, self.bin(from, to)));
            from = to;
        }
        days
    }

    /// The highest of all points.
    pub fn highest(&self) -> Option<Peak> {
        self.bin(0, self.len()).peak
    }
}

/// The first of `0..count` for which `holds` does not; it must hold up to there and not after.
fn partition(count: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A series from the epoch on by hours; `None` is a gap.
    pub fn hourly(levels: &[Option<u32>], limit: u32) -> Series {
        let flags: Vec<u8> = levels.iter().map(|level| if level.is_none() { Flags::GAP.0 } else { 0 }).collect();
        let history = History {
            peak: levels.iter().map(|level| level.unwrap_or(0)).collect(),
            flags,
            limit_plus_one: vec![limit + 1; levels.len()],
            ..Default::default()
        };
        Series { start: Timestamp::UNIX_EPOCH, step_seconds: 3_600, history }
    }

    #[test]
    fn a_column_is_a_gap_only_when_nothing_of_it_is_covered() {
        let series = hourly(&[None, None, Some(0), None, Some(7), Some(9)], 20);
        let columns = series.columns(3);
        let peaks: Vec<_> = columns.iter().map(|(_, bin)| bin.peak.map(|peak| peak.level)).collect();
        assert_eq!(peaks, [None, Some(0), Some(9)]);
        assert_eq!((columns[1].1.gaps, columns[1].1.points, columns[1].1.limit), (1, 2, Some(20)));
    }

    #[test]
    fn a_peak_says_how_it_is_to_be_read() {
        let mut series = hourly(&[Some(7)], 20);
        let mut read = |flags: Flags| {
            series.history.flags = vec![flags.0];
            series.highest().map(|peak| peak.level_text())
        };
        let texts = [Flags(0), Flags::PARTIAL, Flags::LATE, Flags::LATE.with(Flags::PARTIAL)].map(&mut read);
        assert_eq!(texts.map(Option::unwrap_or_default), ["7", "≥7", "≤7", "≈7"]);
    }

    #[test]
    fn days_are_those_of_the_time_zone() {
        let series = hourly(&[Some(1); 30], 20);
        let zone = TimeZone::fixed(jiff::tz::offset(-2));
        let days = series.days(&zone);
        assert_eq!(days.iter().map(|(_, bin)| bin.points).collect::<Vec<_>>(), [2, 24, 4]);
        assert_eq!(days[0].0.to_string(), "1969-12-31");
    }
}
