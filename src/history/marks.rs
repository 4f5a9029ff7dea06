//! The minutes of a week that came near the limit then in force, and those that reached it, as bits of hours: small enough
//! to keep for each key, and enough to tell the days and hours of any time zone.

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};

use crate::model::{
    Hour, Minute,
    time::{MINUTES_PER_HOUR, SECONDS_PER_HOUR, SECONDS_PER_MINUTE},
};

const HOURS_PER_DAY: i64 = 24;
/// Peaks of about the same time lie within three hours in a row: the same hour, give or take one.
const SAME_HOUR_HOURS: i64 = 3;

/// What of an hour came near its limit. Bit `n` is minute `n`; what reached the limit came near it, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct MarkedHour {
    hour: Hour,
    near: u64,
    reached: u64,
}

/// The marked minutes of a window, in order of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks(Vec<MarkedHour>);

/// Minutes as the clock of a time zone tells them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clocked {
    /// How many there are.
    pub minutes: u32,
    /// The first and the last of them.
    pub span: Option<(Minute, Minute)>,
    /// Minutes by the hour that the clock shows, counted from the epoch.
    hours: BTreeMap<i64, u32>,
}

/// The hour that the clock of a zone shows, for instants that only grow: the zone is asked again at its transitions only.
#[derive(Debug)]
pub struct ClockHours<'a> {
    zone: &'a TimeZone,
    offset: i64,
    /// The second at which the offset may change.
    until: i64,
}

impl Marks {
    /// Marks minutes of an hour, which is not before the last one that was marked.
    pub fn add(&mut self, hour: Hour, near: u64, reached: u64) {
        match self.0.last_mut().filter(|last| last.hour == hour) {
            Some(last) => (last.near, last.reached) = (last.near | near, last.reached | reached),
            None if near == 0 => {}
            None => self.0.push(MarkedHour { hour, near, reached }),
        }
    }

    /// The minutes that came near their limit.
    pub fn near(&self, zone: &TimeZone) -> Clocked {
        clocked(self.0.iter().map(|marked| (marked.hour, marked.near)), zone)
    }

    /// The minutes that reached it.
    pub fn reached(&self, zone: &TimeZone) -> Clocked {
        clocked(self.0.iter().map(|marked| (marked.hour, marked.reached)), zone)
    }
}

fn clocked(hours: impl Iterator<Item = (Hour, u64)>, zone: &TimeZone) -> Clocked {
    let (mut all, mut clock) = (Clocked::default(), ClockHours::new(zone));
    for (hour, mut bits) in hours.filter(|(_, bits)| *bits != 0) {
        let first_minute = hour.first_minute().0;
        let of_bit = |bit: u32| Minute(first_minute + bit);
        let last = of_bit(u64::BITS - 1 - bits.leading_zeros());
        let first = all.span.map_or(of_bit(bits.trailing_zeros()), |(first, _)| first);
        all.span = Some((first, last));
        all.minutes += bits.count_ones();
        let of_first = clock.of(hour.first_minute());
        if clock.known(of_bit(MINUTES_PER_HOUR - 1)).is_some() {
            // The offset is the same all along: the clock's hour changes once at most.
            let of_first_hour = bits & ((1 << clock.minutes_left(hour.first_minute())) - 1);
            for (of_clock, bits) in [(of_first, of_first_hour), (of_first + 1, bits & !of_first_hour)] {
                if bits != 0 {
                    *all.hours.entry(of_clock).or_default() += bits.count_ones();
                }
            }
            continue;
        }
        while bits != 0 {
            *all.hours.entry(clock.of(of_bit(bits.trailing_zeros()))).or_default() += 1;
            bits &= bits - 1;
        }
    }
    all
}

impl Clocked {
    /// On how many days of the calendar they are.
    pub fn days(&self) -> u32 {
        let mut days: Vec<_> = self.hours.keys().map(|hour| hour.div_euclid(HOURS_PER_DAY)).collect();
        days.dedup();
        u32::try_from(days.len()).unwrap_or(u32::MAX)
    }

    /// The hour of the day with them on most days; of several the one with most minutes, then the earliest.
    pub fn usual_hour(&self) -> Option<u32> {
        let mut by_hour = [(0_u32, 0_u32); HOURS_PER_DAY as usize];
        for (hour, minutes) in &self.hours {
            let (days, sum) = &mut by_hour[hour.rem_euclid(HOURS_PER_DAY) as usize];
            *days += 1;
            *sum += minutes;
        }
        let best = by_hour.iter().copied().max().filter(|(days, _)| *days > 0)?;
        by_hour.iter().position(|of_hour| *of_hour == best).and_then(|hour| u32::try_from(hour).ok())
    }

    /// The three hours in a row that have them on most days, narrowed to those of them that have any: from an hour of the
    /// day, until another, exclusive; and on how many days.
    pub fn usual_hours(&self) -> Option<(u32, u32, u32)> {
        let within = |from: i64| {
            let since = self.hours.iter().map(move |(hour, minutes)| (hour - from, *minutes));
            since.filter(|(hours, _)| hours.rem_euclid(HOURS_PER_DAY) < SAME_HOUR_HOURS)
        };
        let mut best: Option<(usize, u32, i64)> = None;
        for from in 0..HOURS_PER_DAY {
            let mut days: Vec<_> = within(from).map(|(hours, _)| hours.div_euclid(HOURS_PER_DAY)).collect();
            days.dedup();
            let minutes = within(from).map(|(_, minutes)| minutes).sum();
            if !days.is_empty() && best.is_none_or(|(most, sum, _)| (days.len(), minutes) > (most, sum)) {
                best = Some((days.len(), minutes, from));
            }
        }
        let (days, _, from) = best?;
        let used = || within(from).map(|(hours, _)| hours.rem_euclid(HOURS_PER_DAY));
        let (first, last) = (used().min()?, used().max()?);
        let of_day = |hour: i64| u32::try_from(hour.rem_euclid(HOURS_PER_DAY)).unwrap_or(0);
        Some((of_day(from + first), of_day(from + last + 1), u32::try_from(days).unwrap_or(u32::MAX)))
    }
}

impl<'a> ClockHours<'a> {
    pub fn new(zone: &'a TimeZone) -> Self {
        Self { zone, offset: 0, until: i64::MIN }
    }

    /// The hour at the start of a minute, not before the one asked last; counted from the epoch.
    pub fn of(&mut self, minute: Minute) -> i64 {
        let second = second(minute);
        if second >= self.until {
            let at = Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
            self.offset = self.zone.to_offset(at).seconds().into();
            let next = self.zone.following(at).next();
            self.until = next.map_or(i64::MAX, |next| next.timestamp().as_second());
        }
        (second + self.offset).div_euclid(SECONDS_PER_HOUR as i64)
    }

    /// The same for a later minute, if the zone need not be asked for it.
    fn known(&self, minute: Minute) -> Option<i64> {
        let second = second(minute);
        (second < self.until).then(|| (second + self.offset).div_euclid(SECONDS_PER_HOUR as i64))
    }

    /// Minutes that begin in the same hour of the clock as the one asked last, itself included: 1 to 60.
    fn minutes_left(&self, minute: Minute) -> u32 {
        let passed = (second(minute) + self.offset).rem_euclid(SECONDS_PER_HOUR as i64) as u64;
        (SECONDS_PER_HOUR - passed).div_ceil(SECONDS_PER_MINUTE) as u32
    }

    /// The day at the start of a minute, as [`Self::of`].
    pub fn day(&mut self, minute: Minute) -> i64 {
        self.of(minute).div_euclid(HOURS_PER_DAY)
    }
}

fn second(minute: Minute) -> i64 {
    i64::try_from(minute.first_tick().0).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::model::Time;

    const ZONES: [&str; 5] = ["UTC", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns"];

    /// What jiff itself says of a minute: date, and hour of the day.
    fn civil(minute: Minute, zone: &TimeZone) -> (jiff::civil::Date, i8) {
        let at = Timestamp::from_second(i64::try_from(minute.first_tick().0).unwrap()).unwrap().to_zoned(zone.clone());
        (at.date(), at.hour())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// A week around the end of summer time in Europe and the beginning in Australia.
        #[test]
        fn days_and_hours_are_those_of_the_calendar(
            minutes in prop::collection::btree_set(0_u32..10_080, 0..200), zone in 0_usize..5, start in 0_u32..30_000,
        ) {
            let zone = TimeZone::get(ZONES[zone]).unwrap();
            let first = Time::from_secs(1_759_000_000).tick().minute().0 + start;
            let minutes: Vec<_> = minutes.into_iter().map(|minute| Minute(first + minute)).collect();
            let mut marks = Marks::default();
            minutes.iter().for_each(|minute| marks.add(minute.hour(), 1 << minute.of_hour(), 0));
            let near = marks.near(&zone);
            let days: BTreeSet<_> = minutes.iter().map(|minute| civil(*minute, &zone).0).collect();
            prop_assert_eq!(near.days() as usize, days.len());
            prop_assert_eq!(near.minutes as usize, minutes.len());
            prop_assert_eq!(near.span, minutes.first().copied().zip(minutes.last().copied()));
            let on_days = |hour: u32| {
                let at = minutes.iter().map(|minute| civil(*minute, &zone)).filter(|(_, of)| i64::from(*of) == i64::from(hour));
                at.map(|(day, _)| day).collect::<BTreeSet<_>>().len()
            };
            let most = (0..24).map(on_days).max().unwrap();
            prop_assert_eq!(near.usual_hour().map(on_days), (!minutes.is_empty()).then_some(most));
            prop_assert_eq!(marks.reached(&zone), Clocked::default());
        }
    }

    #[track_caller]
    fn check(hours: &[u32], expected: Option<(u32, u32, u32)>) {
        let mut marks = Marks::default();
        hours.iter().for_each(|hour| marks.add(Hour(24 * 20_000 + hour), 1, 1));
        assert_eq!(marks.near(&TimeZone::UTC).usual_hours(), expected);
    }

    #[test]
    fn the_usual_hours_are_three_in_a_row_at_most() {
        check(&[], None);
        check(&[14], Some((14, 15, 1)));
        check(&[13, 24 + 15, 48 + 14, 72 + 13, 96 + 3], Some((13, 16, 4)));
        check(&[23, 24, 24 + 23, 72 + 23], Some((23, 1, 3)));
    }
}
