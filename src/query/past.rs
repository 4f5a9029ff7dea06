//! What the minutes of a key come to: its peak, sums, and how near its limit it came. By hours, since those that are
//! folded never change.

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::{
    history::{LimitInForce, Marks, NearMinutes, is_near, reaches_limit},
    model::{Flags, Hour, Minute, Outcome, Point, Tick, time::SECONDS_PER_HOUR},
};

const _: () = assert!(SECONDS_PER_HOUR <= u16::MAX as u64, "a second of an hour fits");

/// What the minutes of one hour come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HourFacts {
    pub hour: Hour,
    /// Highest level; 0 when nothing is covered.
    peak: u32,
    /// Those of its minute.
    peak_flags: Flags,
    /// Highest level that was surely reached.
    sure: u32,
    /// Second of the hour in which it was first reached.
    peak_second: u16,
    /// Minutes that are covered, in full or in part.
    covered: u8,
    first_covered: u8,
    /// Bit `n`: minute `n` surely came near the limit then in force.
    near: u64,
    /// Bit `n`: minute `n` reached it.
    reached: u64,
    opened: u32,
    /// By [`Outcome::index`].
    closed: [u32; Outcome::COUNT],
    /// Refused and diverted.
    turned: [u32; 2],
}

/// What the minutes of a window come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Highest level and the second in which it was first reached; `None` when nothing is covered.
    pub peak: Option<(u32, Tick)>,
    /// Those of the minute that the peak is of.
    pub peak_flags: Flags,
    /// Highest level that was surely reached.
    pub sure: u32,
    pub covered: u32,
    pub first_covered: Option<Minute>,
    /// Since when anything is known.
    pub since: Since,
    pub near: NearMinutes,
    /// Which minutes came near the limit then in force, and which reached it.
    pub marks: Arc<Marks>,
    pub opened: u64,
    /// By [`Outcome::index`].
    pub closed: [u64; Outcome::COUNT],
    /// Who asked for a slot and was refused, or diverted to another model.
    pub turned: [u64; 2],
}

/// Since when anything is known of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Since {
    /// It was not looked for, or the store did not answer.
    #[default]
    Unsaid,
    /// From before the window.
    Before,
    /// From this minute of the window.
    Minute(Minute),
    /// Nothing was ever known.
    Never,
}

impl Since {
    /// The same of a window that begins at a minute.
    pub fn of_window(self, start: Minute) -> Self {
        match self {
            Self::Minute(first) if first < start => Self::Before,
            since => since,
        }
    }
}

impl HourFacts {
    /// Of an hour's minutes, in order.
    pub fn of<'a>(
        hour: Hour,
        minutes: impl IntoIterator<Item = (Minute, &'a Point)>,
        limit: &mut LimitInForce<'_>,
    ) -> Self {
        let (peak, closed) = (0, [0; Outcome::COUNT]);
        let (near, reached, sure, peak_flags) = (0, 0, 0, Flags::default());
        let (covered, first_covered, peak_second, opened) = (0, 0, 0, 0);
        let turned = [0; 2];
        let mut facts = Self {
            hour,
            peak,
            peak_flags,
            sure,
            peak_second,
            covered,
            first_covered,
            near,
            reached,
            opened,
            closed,
            turned,
        };
        for (minute, point) in minutes {
            facts.opened = facts.opened.saturating_add(point.opened);
            facts.closed.iter_mut().zip(point.closed).for_each(|(sum, n)| *sum = sum.saturating_add(n));
            let turned = [point.refused, point.diverted];
            facts.turned.iter_mut().zip(turned).for_each(|(sum, n)| *sum = sum.saturating_add(n));
            if point.is_gap() {
                continue;
            }
            let of_hour = minute.of_hour();
            if facts.covered == 0 {
                facts.first_covered = of_hour as u8;
            }
            if facts.covered == 0 || point.peak > facts.peak {
                facts.peak = point.peak;
                facts.peak_flags = point.flags;
                facts.peak_second = of_hour as u16 * 60 + u16::from(point.peak_second);
            }
            facts.covered += 1;
            let slots = limit.at(minute.first_tick().start());
            let sure = point.sure_peak();
            facts.sure = facts.sure.max(sure);
            facts.near |= u64::from(is_near(sure, slots)) << of_hour;
            facts.reached |= u64::from(reaches_limit(sure, slots)) << of_hour;
        }
        facts
    }

    /// Whether there is anything in it.
    pub fn is_empty(&self) -> bool {
        self.covered == 0 && self.opened == 0 && self.closed == [0; Outcome::COUNT] && self.turned == [0; 2]
    }
}

impl Past {
    /// Adds an hour; hours come in order.
    pub fn add(&mut self, facts: &HourFacts, zone: &TimeZone) {
        self.opened += u64::from(facts.opened);
        self.closed.iter_mut().zip(facts.closed).for_each(|(sum, n)| *sum += u64::from(n));
        self.turned.iter_mut().zip(facts.turned).for_each(|(sum, n)| *sum += u64::from(n));
        if facts.covered == 0 {
            return;
        }
        if self.peak.is_none_or(|(peak, _)| facts.peak > peak) {
            self.peak = Some((facts.peak, Tick(facts.hour.first_tick().0 + u64::from(facts.peak_second))));
            self.peak_flags = facts.peak_flags;
        }
        self.sure = self.sure.max(facts.sure);
        let first = facts.hour.first_minute().0;
        self.first_covered.get_or_insert(Minute(first + u32::from(facts.first_covered)));
        self.covered += u32::from(facts.covered);
        self.near.cover(facts.covered.into());
        if facts.near != 0 {
            Arc::make_mut(&mut self.marks).add(facts.hour, facts.near, facts.reached);
        }
        let mut near = facts.near;
        while near != 0 {
            self.near.add(Minute(first + near.trailing_zeros()), zone);
            near &= near - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        history::{Week, WeekMinute},
        model::{Bound, LimitEntry, LimitHistory, Time},
    };

    const LEVELS: [u32; 5] = [3, 7, 10, 9, 2];

    fn point(minute: u32) -> Point {
        if minute.is_multiple_of(11) {
            return Point { opened: 1, ..Point::GAP };
        }
        let peak = LEVELS[(minute / 7 % 5) as usize];
        Point { peak, peak_second: 4, covered: 60, opened: 2, flags: Flags::default(), ..Point::GAP }
    }

    #[test]
    fn an_upper_bound_alone_is_not_near_the_limit() {
        let entry =
            LimitEntry { slots: Some(10), start: Time(0), end: None, set_by: "ops".to_owned(), reason: String::new() };
        let limits = LimitHistory::new(vec![entry]);
        let covered = Point { covered: 60, flags: Flags::default(), ..Point::GAP };
        let raised = Point { peak: 72, raised: 67, flags: Flags::LATE.with(Flags::PARTIAL), ..covered };
        let (surely_over, calm) = (Point { peak: 12, raised: 1, flags: Flags::LATE, ..covered }, covered);
        let points = [(Minute(60), &raised), (Minute(61), &surely_over), (Minute(62), &calm)];
        let mut past = Past::default();
        past.add(&HourFacts::of(Hour(1), points, &mut LimitInForce::new(&limits)), &TimeZone::UTC);
        assert_eq!((past.peak.map(|(peak, _)| peak), past.sure), (Some(72), 11));
        assert_eq!(past.peak_flags.bound(), Bound::About);
        assert_eq!((past.near.near(), past.marks.reached(&TimeZone::UTC).minutes), (1, 1));
    }

    #[test]
    fn hours_come_to_what_their_minutes_come_to() {
        let points: Vec<_> = (30..400).map(|minute| (Minute(minute), point(minute))).collect();
        let entry = |slots, start: u32| LimitEntry {
            slots,
            start: Minute(start).first_tick().start(),
            end: None,
            set_by: "ops".to_owned(),
            reason: String::new(),
        };
        let limits = LimitHistory::new(vec![entry(Some(10), 50), entry(None, 200), entry(Some(8), 300)]);
        let mut limit = LimitInForce::new(&limits);
        let mut past = Past::default();
        for hour in (0..7).map(Hour) {
            let minutes = points.iter().filter(|(minute, _)| minute.hour() == hour);
            let facts = HourFacts::of(hour, minutes.map(|(minute, point)| (*minute, point)), &mut limit);
            past.add(&facts, &TimeZone::UTC);
        }
        let covered: Vec<_> = points.iter().filter(|(_, point)| !point.is_gap()).collect();
        assert_eq!(past.covered as usize, covered.len());
        assert_eq!(past.first_covered, Some(Minute(30)));
        let at_ten = covered.iter().find(|(_, point)| point.peak == 10).map(|(minute, _)| minute.first_tick().0 + 4);
        assert_eq!(past.peak, at_ten.map(|tick| (10, Tick(tick))));
        let opened: u32 = points.iter().map(|(_, point)| point.opened).sum();
        assert_eq!(past.opened, u64::from(opened));
        let slots = |minute: Minute| limits.slots_at(Time(minute.first_tick().start().0));
        let near = covered.iter().filter(|(minute, point)| is_near(point.peak, slots(*minute))).count();
        assert_eq!(past.near.near(), near as u64);
        let reached = covered.iter().filter(|(minute, point)| reaches_limit(point.peak, slots(*minute))).count();
        let marked = (past.marks.near(&TimeZone::UTC).minutes, past.marks.reached(&TimeZone::UTC).minutes);
        assert_eq!(marked, (near as u32, reached as u32));
        assert!(reached > 0 && reached < near);
        let minutes =
            points.iter().map(|(minute, p)| WeekMinute { minute: *minute, peak: p.peak, covered: !p.is_gap() });
        assert_eq!(past.near.word(), Week::of(minutes, &limits, &TimeZone::UTC));
    }
}
