//! How a key stands to its limit: the risk now, and the word for its last seven days. Decided here once, for all
//! who show it. By levels that were surely reached: an upper bound alone (see [`Point::sure_peak`]) is never near a limit.
//!
//! [`Point::sure_peak`]: crate::model::Point::sure_peak

use std::collections::BTreeSet;

use jiff::{Timestamp, tz::TimeZone};

use crate::model::{LimitHistory, Minute, Time, time::SECONDS_PER_HOUR};

/// A minute is near its limit from 90 % of it on.
const NEAR_PERCENT: u64 = 90;
/// A level approaches its limit from 80 % of it on.
const APPROACHING_PERCENT: u64 = 80;
/// What is near within so many minutes, the first and the last included, is one event.
const ONE_OFF_MINUTES: u32 = 60;
/// From this share of the covered minutes on, being near is constant.
const CONSTANT_PERCENT: u64 = 10;
/// Being near repeats when it does so on this many days.
const REPEATING_DAYS: usize = 3;
/// The same hour, give or take one: three hours in a row.
const SAME_HOUR_HOURS: i64 = 3;
const HOURS_PER_DAY: i64 = 24;

/// How the last seven days came near the limit then in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Week {
    /// Never.
    Calm,
    /// Within 60 minutes, once.
    OneOff,
    /// In the same hour of the day, give or take one, on three days or more.
    Repeating,
    /// In a tenth of the covered minutes or more.
    Constant,
    /// Otherwise.
    Scattered,
}

/// How a level stands to its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Risk {
    /// Below 80 % of its limit, or without one.
    Ok,
    /// From 80 % on.
    Approaching,
    AtLimit,
    Over,
    /// The level is not known.
    Unknown,
}

/// One minute as the week is decided from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeekMinute {
    pub minute: Minute,
    /// Highest level that was surely reached.
    pub peak: u32,
    /// False in a gap, which says nothing.
    pub covered: bool,
}

impl Risk {
    /// The risk of the highest level that was surely reached in the last five minutes, under a limit. Where not all is `known`,
    /// what was surely reached is still a fact: only that nothing is near the limit can't be said.
    pub fn of(level: u32, limit: Option<u32>, known: bool) -> Self {
        match limit {
            Some(limit) if level > limit => Self::Over,
            // Holding none of none is no risk.
            Some(limit) if !reaches(level, limit, APPROACHING_PERCENT) && known => Self::Ok,
            None if known => Self::Ok,
            None => Self::Unknown,
            Some(limit) if !reaches(level, limit, APPROACHING_PERCENT) => Self::Unknown,
            Some(limit) if level == limit => Self::AtLimit,
            Some(_) => Self::Approaching,
        }
    }
}

/// The minutes that came near their limit, gathered in order of time: what the word of a week is decided from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NearMinutes {
    covered: u64,
    near: u64,
    span: Option<(Minute, Minute)>,
    /// Hours of the clock in the zone, counted through the days.
    hours: BTreeSet<i64>,
}

impl NearMinutes {
    /// So many minutes more were covered, near or not.
    pub fn cover(&mut self, minutes: u64) {
        self.covered += minutes;
    }

    /// A covered minute came near. `zone` says what the same hour of the day is.
    pub fn add(&mut self, minute: Minute, zone: &TimeZone) {
        self.near += 1;
        self.hours.insert(clock_hour(minute, zone));
        self.span = Some((self.span.map_or(minute, |(first, _)| first), minute));
    }

    /// How many minutes came near.
    pub const fn near(&self) -> u64 {
        self.near
    }

    /// Calm and one-off come first, then constant before repeating: what is near all day long is so in the same hour of
    /// three days, too, and calling that a rhythm would mislead.
    pub fn word(&self) -> Week {
        let Some((first, last)) = self.span else { return Week::Calm };
        if last.0.saturating_sub(first.0) < ONE_OFF_MINUTES {
            Week::OneOff
        } else if self.near * 100 >= self.covered * CONSTANT_PERCENT {
            Week::Constant
        } else if repeats(&self.hours) {
            Week::Repeating
        } else {
            Week::Scattered
        }
    }
}

impl Week {
    /// Decides the word from minutes in order of time. `zone` says what the same hour of the day is. Minutes without a
    /// limit count as covered, and are not near.
    pub fn of(minutes: impl IntoIterator<Item = WeekMinute>, limits: &LimitHistory, zone: &TimeZone) -> Self {
        let mut limit = LimitInForce::new(limits);
        let mut gathered = NearMinutes::default();
        for WeekMinute { minute, peak, .. } in minutes.into_iter().filter(|minute| minute.covered) {
            gathered.cover(1);
            if is_near(peak, limit.at(minute.first_tick().start())) {
                gathered.add(minute, zone);
            }
        }
        gathered.word()
    }

    pub const ALL: [Self; 5] = [Self::Calm, Self::OneOff, Self::Repeating, Self::Constant, Self::Scattered];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::OneOff => "one-off",
            Self::Repeating => "repeating",
            Self::Constant => "constant",
            Self::Scattered => "scattered",
        }
    }
}

impl Risk {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Approaching => "approaching",
            Self::AtLimit => "at limit",
            Self::Over => "over",
            Self::Unknown => "unknown",
        }
    }
}

/// Whether a level is at 90 % of the limit then in force or above; without a limit, it is not.
pub fn is_near(level: u32, limit: Option<u32>) -> bool {
    limit.is_some_and(|limit| reaches(level, limit, NEAR_PERCENT))
}

/// Whether a level reaches the limit then in force; without a limit, it does not.
pub fn reaches_limit(level: u32, limit: Option<u32>) -> bool {
    limit.is_some_and(|limit| reaches(level, limit, 100))
}

/// Whether a level is at so many percent of a limit or more; of a limit of 0, whether there is any.
fn reaches(level: u32, limit: u32, percent: u64) -> bool {
    level > 0 && u64::from(level) * 100 >= u64::from(limit) * percent
}

/// Whether there are three hours in a row, the same each day, that are near on three days. A day begins with those
/// hours, so that what lasts over midnight is of one day.
fn repeats(near_hours: &BTreeSet<i64>) -> bool {
    (0..HOURS_PER_DAY).any(|first| {
        let since = near_hours.iter().map(|hour| hour - first);
        let mut days: Vec<_> = since
            .filter(|hours| hours.rem_euclid(HOURS_PER_DAY) < SAME_HOUR_HOURS)
            .map(|hours| hours.div_euclid(HOURS_PER_DAY))
            .collect();
        days.dedup();
        days.len() >= REPEATING_DAYS
    })
}

/// The hour that the clock in a zone shows, counted from the epoch.
fn clock_hour(minute: Minute, zone: &TimeZone) -> i64 {
    let seconds = i64::try_from(minute.first_tick().0).unwrap_or(i64::MAX);
    let timestamp = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
    let offset = zone.to_offset(timestamp).seconds();
    (seconds + i64::from(offset)).div_euclid(SECONDS_PER_HOUR as i64)
}

/// The limit in force at instants that only grow: looked up once between two changes.
#[derive(Debug)]
pub struct LimitInForce<'a> {
    limits: &'a LimitHistory,
    changes: Vec<Time>,
    /// How many changes lie at or before the last instant.
    passed: usize,
    slots: Option<u32>,
}

impl<'a> LimitInForce<'a> {
    pub fn new(limits: &'a LimitHistory) -> Self {
        Self { limits, changes: limits.changes(), passed: 0, slots: None }
    }

    /// The slots allowed at an instant, not before the one asked last.
    pub fn at(&mut self, at: Time) -> Option<u32> {
        let more = self.changes[self.passed..].iter().take_while(|change| **change <= at).count();
        if more > 0 {
            self.passed += more;
            self.slots = self.limits.slots_at(at);
        }
        self.slots
    }
}

#[cfg(test)]
mod tests;
