//! Minutes folded into the hours of the week, and the week in a sentence. Plain functions of minutes, limits and zone.

use jiff::tz::TimeZone;

use crate::{
    history::{
        marks::{ClockHours, Marks},
        verdict::weekday,
        week::{LimitInForce, Week, is_near},
    },
    model::{Flags, LimitHistory, Minute, Tick, text::number},
};

/// Hours of a week.
pub const CELLS: usize = 7 * 24;
/// The first hour of 1970 was that of a Thursday: so many hours after Monday's first.
const EPOCH_HOURS: i64 = 3 * 24;

/// An hour of the week.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Highest level.
    pub peak: u32,
    /// Covered minutes; nothing is known of the hour when 0.
    pub covered: u32,
    /// Minutes that surely came near the limit then in force.
    pub near: u32,
    /// Highest share of the limit then in force that a minute surely reached, in permille; of a limit of 0, as of one of 1.
    pub permille: u32,
}

/// Minutes in columns.
#[derive(Clone, Copy, Debug)]
pub struct HeatMinutes<'a> {
    pub peaks: &'a [u32],
    /// What was surely reached: less than the peak where late events raised that.
    pub sure: &'a [u32],
    /// Bits of [`Flags`].
    pub flags: &'a [u8],
}

/// Folds minutes from a first one on into the hours of the week: Monday 0:00 first, as the
/// clock of the zone shows them.
pub fn heat_map(first: Minute, of: &HeatMinutes<'_>, limits: &LimitHistory, zone: &TimeZone) -> [Cell; CELLS] {
    let mut cells = [Cell::default(); CELLS];
    let (mut clock, mut limit) = (ClockHours::new(zone), LimitInForce::new(limits));
    let columns = of.peaks.iter().zip(of.sure).zip(of.flags);
    for (minute, ((peak, sure), flags)) in (first.0..).map(Minute).zip(columns) {
        if Flags(*flags).has(Flags::GAP) {
            continue;
        }
        let cell = &mut cells[(clock.of(minute) + EPOCH_HOURS).rem_euclid(CELLS as i64) as usize];
        let slots = limit.at(minute.first_tick().start());
        let permille = slots.map_or(0, |slots| u64::from(*sure) * 1_000 / u64::from(slots.max(1)));
        cell.peak = cell.peak.max(*peak);
        cell.covered += 1;
        cell.near += u32::from(is_near(*sure, slots));
        cell.permille = cell.permille.max(u32::try_from(permille).unwrap_or(u32::MAX));
    }
    cells
}

/// Which kind of peaks the week before a second had, in a sentence. `week` is `None` without a limit.
pub fn sentence(week: Option<Week>, marks: &Marks, covered: u32, as_of: Tick, zone: &TimeZone) -> String {
    const NEAR: &str = "At or above 90 % of its limit";
    if covered == 0 {
        return "Nothing is known of the last seven days.".to_owned();
    }
    let Some(week) = week else { return "No limit was in force in the last seven days.".to_owned() };
    let near = marks.near(zone);
    let on_days = |days: u32| if days == 1 { "on 1 day".to_owned() } else { format!("on {days} days") };
    match (week, near.span, near.usual_hours()) {
        (Week::OneOff, Some((first, last)), _) if first == last => {
            format!("{NEAR} in one minute: {}.", weekday(first.first_tick(), as_of, zone))
        }
        (Week::OneOff, Some((first, last)), _) => {
            let [first, last] = [first, last].map(|minute| weekday(minute.first_tick(), as_of, zone));
            format!("{NEAR} once, from {first} to {last}.")
        }
        (Week::Repeating, _, Some((from, until, days))) => {
            format!("{NEAR} {} between {from:02}:00 and {until:02}:00.", on_days(days))
        }
        (Week::Constant, ..) => {
            let percent = u64::from(near.minutes) * 100 / u64::from(covered);
            format!("{NEAR} in {percent} % of the covered minutes, {}.", on_days(near.days()))
        }
        (Week::Scattered, ..) => format!("{NEAR} {}, at different times.", on_days(near.days())),
        _ => format!("Below 90 % of its limit in every covered minute, {} in all.", number(covered)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Hour, LimitEntry, Time};

    const ZONES: [&str; 4] = ["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"];
    /// Thursday, 2 April 2026: days before Australia's summer time ends, after Europe's began.
    const START: u32 = 29_585_520;

    fn limits(entries: &[(Option<u32>, u32)]) -> LimitHistory {
        let entry = |(slots, start): &(Option<u32>, u32)| LimitEntry {
            slots: *slots,
            start: Minute(START + start).first_tick().start(),
            end: None,
            set_by: String::new(),
            reason: String::new(),
        };
        LimitHistory::new(entries.iter().map(entry).collect())
    }

    /// The same, minute by minute, with the calendar of jiff.
    fn naive(start: u32, minutes: &[Option<u32>], limits: &LimitHistory, zone: &TimeZone) -> Vec<Cell> {
        let mut cells = vec![Cell::default(); CELLS];
        for (nth, peak) in minutes.iter().enumerate() {
            let Some(peak) = peak else { continue };
            let second = u64::from(start + nth as u32) * 60;
            let at = Timestamp::from_second(second as i64).unwrap().to_zoned(zone.clone());
            let day = at.weekday().to_monday_zero_offset() as usize;
            let cell = &mut cells[day * 24 + at.hour() as usize];
            cell.covered += 1;
            cell.peak = cell.peak.max(*peak);
            if let Some(limit) = limits.slots_at(Time::from_secs(second)) {
                cell.near += u32::from(*peak > 0 && f64::from(*peak) >= f64::from(limit) * 0.9);
                cell.permille = cell.permille.max(*peak * 1_000 / limit.max(1));
            }
        }
        cells
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn random_histories_agree_with_the_naive_fold(
            stretches in prop::collection::vec((1_usize..600, prop::option::of(0_u32..50)), 1..80),
            changes in prop::collection::vec((prop::option::of(0_u32..40), 0_u32..20_000), 0..6),
            zone in 0_usize..4, start in 0_u32..500_000,
        ) {
            let zone = TimeZone::get(ZONES[zone]).unwrap();
            let minutes: Vec<_> = stretches.into_iter().flat_map(|(len, peak)| vec![peak; len]).take(40_320).collect();
            let mut changes = changes;
            changes.sort_by_key(|(_, at)| *at);
            let limits = limits(&changes);
            let peaks: Vec<_> = minutes.iter().map(|peak| peak.unwrap_or(0)).collect();
            let flags: Vec<_> = minutes.iter().map(|peak| if peak.is_some() { 0 } else { Flags::GAP.0 }).collect();
            let start = START + start;
            let columns = HeatMinutes { peaks: &peaks, sure: &peaks, flags: &flags };
            let found = heat_map(Minute(start), &columns, &limits, &zone);
            prop_assert_eq!(found.to_vec(), naive(start, &minutes, &limits, &zone));
        }
    }

    /// On the night that summer time ends, the hour from 2:00 is there twice; when it begins, not at all.
    #[test]
    fn an_hour_that_is_there_twice_has_twice_the_minutes() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let sunday = |hour: usize| 6 * 24 + hour;
        let covered = |first: &str| {
            let first: Timestamp = first.parse().unwrap();
            let first = Minute(u32::try_from(first.as_second() / 60).unwrap());
            let ones = &[1; 24 * 60];
            let day = HeatMinutes { peaks: ones, sure: ones, flags: &[0; 24 * 60] };
            let cells = heat_map(first, &day, &LimitHistory::default(), &berlin);
            [1, 2, 3].map(|hour| cells[sunday(hour)].covered)
        };
        assert_eq!(covered("2025-10-25T22:00:00Z"), [60, 120, 60]);
        assert_eq!(covered("2026-03-28T23:00:00Z"), [60, 0, 60]);
    }

    #[test]
    fn an_upper_bound_alone_is_not_near() {
        let limits = limits(&[(Some(10), 0)]);
        let two = HeatMinutes { peaks: &[30, 9], sure: &[5, 9], flags: &[Flags::LATE.0, 0] };
        let cells = heat_map(Minute(START), &two, &limits, &TimeZone::UTC);
        let cell = cells.iter().find(|cell| cell.covered > 0).unwrap();
        assert_eq!((cell.peak, cell.near, cell.permille), (30, 1, 900));
    }

    #[track_caller]
    fn check(week: impl Into<Option<Week>>, hours: &[u32], zone: &TimeZone, expected: &str) {
        let mut marks = Marks::default();
        // Hours from Tuesday, 10 March 2026 on.
        hours.iter().for_each(|hour| marks.add(Hour(492_528 + hour), 0b111 << 3, 0));
        // Saturday, 14 March.
        let as_of = Hour(492_528 + 4 * 24 + 12).first_tick();
        assert_eq!(sentence(week.into(), &marks, 600, as_of, zone), expected);
    }

    #[test]
    fn each_kind_of_week_has_its_sentence() {
        let utc = &TimeZone::UTC;
        let four = [13, 24 + 14, 48 + 15, 72 + 14];
        let words = "At or above 90 % of its limit on 4 days between 13:00 and 16:00.";
        check(Week::Repeating, &four, utc, words);
        let tokyo = TimeZone::get("Asia/Tokyo").unwrap();
        let words = "At or above 90 % of its limit on 4 days between 22:00 and 01:00.";
        check(Week::Repeating, &four, &tokyo, words);
        let words = "At or above 90 % of its limit once, from Tue 14:03 to Tue 14:05.";
        check(Week::OneOff, &[14], utc, words);
        check(Week::Scattered, &four, utc, "At or above 90 % of its limit on 4 days, at different times.");
        check(Week::Constant, &four, utc, "At or above 90 % of its limit in 2 % of the covered minutes, on 4 days.");
        check(Week::Calm, &[], utc, "Below 90 % of its limit in every covered minute, 600 in all.");
        let calm = sentence(Some(Week::Calm), &Marks::default(), 10_080, Tick(0), utc);
        assert_eq!(calm, "Below 90 % of its limit in every covered minute, 10,080 in all.");
        check(None, &[], utc, "No limit was in force in the last seven days.");
        assert_eq!(sentence(None, &Marks::default(), 0, Tick(0), utc), "Nothing is known of the last seven days.");
    }
}
