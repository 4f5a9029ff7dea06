//! The words of the week and the risk, a line each.
#![allow(clippy::unwrap_used)]

use jiff::tz::Offset;

use super::*;
use crate::model::LimitEntry;

const DAY: u32 = 24 * 60;
const WEEK: u32 = 7 * DAY;
/// A Monday, midnight UTC, as a minute.
const MONDAY: u32 = 20_000 * DAY - 2 * DAY;

fn limit(slots: Option<u32>, from_minute: u32) -> LimitEntry {
    let (set_by, reason) = ("ops".to_owned(), String::new());
    LimitEntry { slots, start: Minute(MONDAY + from_minute).first_tick().start(), end: None, set_by, reason }
}

fn week(covered: u32, near: &[u32], limits: Vec<LimitEntry>, zone: &TimeZone) -> Week {
    let minutes = (0..covered).map(|offset| WeekMinute {
        minute: Minute(MONDAY + offset),
        peak: if near.contains(&offset) { 9 } else { 8 },
        covered: true,
    });
    Week::of(minutes, &LimitHistory::new(limits), zone)
}

/// A week under a limit of 10, near it in these minutes of the week.
#[track_caller]
fn check(near: impl IntoIterator<Item = u32>, word: Week) {
    let near: Vec<_> = near.into_iter().collect();
    assert_eq!(week(WEEK, &near, vec![limit(Some(10), 0)], &TimeZone::UTC), word);
}

fn at(day: u32, hour: u32, minute: u32) -> u32 {
    day * DAY + hour * 60 + minute
}

#[test]
fn the_word_of_a_week() {
    check([], Week::Calm);
    check([5], Week::OneOff);
    check([5, 64], Week::OneOff);
    check([5, 65], Week::Scattered);
    check(at(2, 23, 30)..at(3, 0, 30), Week::OneOff);
    check([at(0, 14, 0), at(1, 14, 59)], Week::Scattered);
    check([at(0, 14, 0), at(1, 14, 59), at(4, 14, 30)], Week::Repeating);
    check([at(0, 13, 0), at(1, 14, 0), at(2, 15, 59)], Week::Repeating);
    check([at(0, 13, 0), at(1, 14, 0), at(2, 16, 0)], Week::Scattered);
    check([at(0, 14, 0), at(0, 15, 0), at(0, 16, 0)], Week::Scattered);
    check([at(0, 23, 0), at(2, 0, 0), at(3, 22, 0)], Week::Repeating);
    check(0..WEEK / 10, Week::Constant);
    check(0..WEEK / 10 - 1, Week::Scattered);
    check((0..7).flat_map(|day| at(day, 14, 0)..at(day, 16, 0)), Week::Repeating);
    check((0..7).flat_map(|day| at(day, 14, 0)..at(day, 17, 0)), Week::Constant);
}

/// Two evenings that last over midnight are on two days, not four.
#[test]
fn midnight_does_not_make_two_days_of_one() {
    let evenings = [at(0, 23, 50), at(1, 0, 10), at(3, 23, 50), at(4, 0, 10)];
    check(evenings, Week::Scattered);
    check(evenings.into_iter().chain([at(6, 23, 50)]), Week::Repeating);
}

#[test]
fn the_same_hour_is_that_of_the_zone() {
    // On the clock of New York, which changes on 8 March 2026 (day 20,520), both are 14:00; in UTC they are 19:00 and 18:00.
    let zone = TimeZone::get("America/New_York").unwrap();
    let day = |n: u32| (20_520 + n) * DAY;
    let minutes = [day(0) - DAY + 19 * 60, day(0) + 18 * 60, day(1) + 16 * 60].map(Minute);
    assert_eq!(minutes.map(|minute| clock_hour(minute, &zone).rem_euclid(24)), [14, 14, 12]);
    let half = TimeZone::fixed(Offset::from_seconds(5 * 3_600 + 1_800).unwrap());
    assert_eq!(clock_hour(Minute(day(0) + 30), &half).rem_euclid(24), 6);
    let kolkata = [at(0, 8, 45), at(1, 9, 15), at(2, 11, 15)];
    let limits = || vec![limit(Some(10), 0)];
    assert_eq!(week(WEEK, &kolkata, limits(), &TimeZone::UTC), Week::Scattered);
    assert_eq!(week(WEEK, &kolkata, limits(), &half), Week::Repeating);
}

#[test]
fn the_limit_then_in_force_counts() {
    let utc = &TimeZone::UTC;
    assert_eq!(week(WEEK, &[5], vec![], utc), Week::Calm);
    assert_eq!(week(WEEK, &[5], vec![limit(Some(10), 6)], utc), Week::Calm);
    assert_eq!(week(WEEK, &[5], vec![limit(Some(10), 0), limit(Some(20), 6)], utc), Week::OneOff);
    assert_eq!(week(WEEK, &[5], vec![limit(Some(10), 0), limit(None, 5)], utc), Week::Calm);
    assert_eq!(week(WEEK, &[], vec![limit(Some(0), 0)], utc), Week::Constant);
}

#[test]
fn gaps_are_no_minutes() {
    let minutes =
        (0..WEEK).map(|offset| WeekMinute { minute: Minute(MONDAY + offset), peak: 9, covered: offset % 700 == 0 });
    assert_eq!(Week::of(minutes, &LimitHistory::new(vec![limit(Some(10), 0)]), &TimeZone::UTC), Week::Constant);
    assert_eq!(Week::of([], &LimitHistory::default(), &TimeZone::UTC), Week::Calm);
}

#[track_caller]
fn check_risk(level: u32, limit: impl Into<Option<u32>>, risk: Risk) {
    assert_eq!(Risk::of(level, limit.into(), true), risk);
}

#[test]
fn the_risk_of_a_level() {
    check_risk(0, 10, Risk::Ok);
    check_risk(7, 10, Risk::Ok);
    check_risk(8, 10, Risk::Approaching);
    check_risk(9, 10, Risk::Approaching);
    check_risk(10, 10, Risk::AtLimit);
    check_risk(11, 10, Risk::Over);
    check_risk(1, 1, Risk::AtLimit);
    check_risk(0, 0, Risk::Ok);
    check_risk(1, 0, Risk::Over);
    check_risk(1_000_000, None, Risk::Ok);
    check_risk(u32::MAX, u32::MAX, Risk::AtLimit);
    // A lower bound is a fact where it is near the limit.
    let unsure = |level| Risk::of(level, Some(10), false);
    assert_eq!(
        [11, 10, 9, 5, 0].map(unsure),
        [Risk::Over, Risk::AtLimit, Risk::Approaching, Risk::Unknown, Risk::Unknown]
    );
    assert_eq!(Risk::of(11, None, false), Risk::Unknown);
}
