//! The sentences, a case each.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::model::{Hour, Kind, Meter};

const HOUR_SECONDS: u64 = 3_600;
/// A Tuesday, 15:00 UTC.
const AS_OF: Tick = Tick(1_773_154_800);

/// A meter or pool, and what of a standing is borrowed.
#[derive(Clone)]
struct One {
    target: Target,
    name: &'static str,
    marks: Marks,
    standing: fn(Standing<'_>) -> Standing<'_>,
}

fn one(kind: Kind, model: &'static str, standing: fn(Standing<'_>) -> Standing<'_>) -> One {
    let meter = Meter::new(kind, model, "", None).unwrap();
    One { target: Target::Meter(meter), name: model, marks: Marks::default(), standing }
}

fn turbo(standing: fn(Standing<'_>) -> Standing<'_>) -> One {
    One { name: "ElevenLabs Turbo v2.5", ..one(Kind::Tts, "elevenlabs/eleven_turbo_v2_5", standing) }
}

fn nova(standing: fn(Standing<'_>) -> Standing<'_>) -> One {
    One { name: "Deepgram Nova-3", ..one(Kind::Stt, "deepgram/nova-3", standing) }
}

fn pool(standing: fn(Standing<'_>) -> Standing<'_>) -> One {
    let target = Target::KindPool { kind: Kind::Tts, account: "livekit".into() };
    One { target, name: "TTS", marks: Marks::default(), standing }
}

impl One {
    /// In these hours before now some minutes came near the limit, or reached it.
    fn marked(mut self, hours_ago: &[u64], reached: bool) -> Self {
        for ago in hours_ago {
            let hour = Tick(AS_OF.0 - ago * HOUR_SECONDS).hour();
            self.marks.add(hour, 0b111 << 3, u64::from(reached) << 4);
        }
        self
    }
}

fn limited(standing: Standing<'_>, level: u32, limit: u32, risk: Risk, week: Week) -> Standing<'_> {
    let peak = standing.peak.map(|(_, at)| (level.max(limit), at));
    Standing { level, recent_peak: level, limit: Some(limit), risk: Some(risk), week: Some(week), peak, ..standing }
}

fn said_of(list: &[One], settling: bool, zone: &TimeZone) -> Verdict {
    let standings: Vec<_> = list
        .iter()
        .map(|one| {
            (one.standing)(Standing {
                target: &one.target,
                name: one.name,
                level: 0,
                recent_peak: 0,
                covered: true,
                limit: None,
                risk: None,
                week: None,
                minutes_near: 1_200,
                minutes_covered: 10_080,
                peak: Some((9, Tick(AS_OF.0 - HOUR_SECONDS))),
                peak_bound: Bound::Exact,
                peak_raised: 0,
                marks: &one.marks,
                known_since: None,
            })
        })
        .collect();
    verdict(&standings, AS_OF, settling, zone)
}

#[track_caller]
fn check(list: &[One], sentence: &str, about: Option<usize>, days_at_limit: u32, wanted_slots: u32) {
    let expected = Verdict { sentence: sentence.to_owned(), about, days_at_limit, wanted_slots };
    assert_eq!(said_of(list, false, &TimeZone::UTC), expected);
}

/// Each afternoon at two, today, yesterday and so on.
const AFTERNOONS: [u64; 4] = [73, 49, 25, 1];

fn calm_nova() -> One {
    nova(|s| limited(s, 31, 50, Risk::Ok, Week::Calm))
}

fn repeating_turbo() -> One {
    turbo(|s| limited(s, 18, 20, Risk::Approaching, Week::Repeating)).marked(&AFTERNOONS, true)
}

#[test]
fn the_worst_is_told_when_one_is_at_risk() {
    let words = "ElevenLabs Turbo v2.5: 18 of 20. Reached its limit on 4 of 7 days, around 14:00.";
    check(&[calm_nova(), repeating_turbo()], words, Some(1), 4, 25);
    let new_york = TimeZone::get("America/New_York").unwrap();
    let there = said_of(&[repeating_turbo()], false, &new_york).sentence;
    assert!(there.ends_with("on 4 of 7 days, around 10:00."), "{there}");
    let near = turbo(|s| limited(s, 3, 20, Risk::Ok, Week::Repeating)).marked(&AFTERNOONS, false);
    let words = "ElevenLabs Turbo v2.5: 3 of 20. At or above 90 % of its limit on 4 of 7 days, around 14:00.";
    check(&[near], words, Some(0), 0, 25);
}

#[test]
fn calm_names_the_tightest() {
    let turbo = turbo(|s| limited(s, 3, 20, Risk::Ok, Week::Calm));
    check(&[turbo.clone(), calm_nova()], "Every model has room. Tightest: Deepgram Nova-3, 31 of 50.", Some(1), 0, 0);
    let words = "Every model with a limit has room. Tightest: Deepgram Nova-3, 31 of 50.";
    check(&[one(Kind::Tts, "a/b", |s| s), calm_nova()], words, Some(1), 0, 0);
    let bounded = pool(|s| limited(s, 9, 40, Risk::Ok, Week::Calm));
    let words = "Every model has room. Tightest: TTS pool, 9 of 40.";
    check(&[bounded, one(Kind::Tts, "a/b", |s| s)], words, Some(0), 0, 0);
}

#[test]
fn others_at_risk_are_counted() {
    let one_off = nova(|s| limited(s, 31, 50, Risk::Ok, Week::OneOff)).marked(&[25], true);
    let two = [repeating_turbo(), one_off.clone()];
    assert!(said_of(&two, false, &TimeZone::UTC).sentence.ends_with("around 14:00. 1 more at risk."));
    let three = [one_off.clone(), one_off, repeating_turbo()];
    assert!(said_of(&three, false, &TimeZone::UTC).sentence.ends_with("around 14:00. 2 more at risk."));
}

#[test]
fn now_is_worse_than_the_week_and_over_worse_than_at() {
    let at = nova(|s| limited(s, 50, 50, Risk::AtLimit, Week::Calm));
    let words = "Deepgram Nova-3: 50 of 50. Highest of the last seven days: 50, Tue 14:00. 1 more at risk.";
    check(&[repeating_turbo(), at.clone()], words, Some(1), 0, 63);
    let over = turbo(|s| limited(s, 23, 20, Risk::Over, Week::OneOff)).marked(&[0], true);
    let words = "ElevenLabs Turbo v2.5: 23 of 20, 3 over its limit. Reached its limit once, Tue 15:04. 1 more at risk.";
    check(&[at, over], words, Some(1), 1, 29);
    let was = turbo(|s| Standing { recent_peak: 22, ..limited(s, 12, 20, Risk::Over, Week::Calm) });
    let words = "ElevenLabs Turbo v2.5: 12 of 20, and 22 in the last five minutes, over its limit.";
    assert!(said_of(&[was], false, &TimeZone::UTC).sentence.starts_with(words));
}

#[test]
fn a_pool_may_be_worse_than_its_models() {
    let full = pool(|s| limited(s, 39, 40, Risk::Approaching, Week::Constant)).marked(&AFTERNOONS, true);
    let words = "TTS pool: 39 of 40. Constantly close: at or above 90 % of its limit 11 % of the time, at it on 4 of 7 \
                 days.";
    check(&[full, turbo(|s| limited(s, 13, 20, Risk::Ok, Week::Calm))], words, Some(0), 4, 50);
    let other = Target::KindPool { kind: Kind::Tts, account: "direct".into() };
    let full = One { target: other, ..pool(|s| limited(s, 40, 40, Risk::AtLimit, Week::Calm)) };
    assert!(said_of(&[full], false, &TimeZone::UTC).sentence.starts_with("TTS pool (direct): 40 of 40."));
}

#[test]
fn each_kind_of_week_has_its_words() {
    let week = |week: fn(Standing<'_>) -> Standing<'_>, hours: &[u64], reached| {
        said_of(&[turbo(week).marked(hours, reached)], false, &TimeZone::UTC).sentence
    };
    fn scattered(s: Standing<'_>) -> Standing<'_> {
        limited(s, 2, 20, Risk::Ok, Week::Scattered)
    }
    let words = "ElevenLabs Turbo v2.5: 2 of 20. Reached its limit on 3 of 7 days, at different times.";
    assert_eq!(week(scattered, &[70, 30, 3], true), words);
    fn one_off(s: Standing<'_>) -> Standing<'_> {
        limited(s, 2, 20, Risk::Ok, Week::OneOff)
    }
    let words = "ElevenLabs Turbo v2.5: 2 of 20. At or above 90 % of its limit once, Mon 14:03.";
    assert_eq!(week(one_off, &[25], false), words);
    fn constant(s: Standing<'_>) -> Standing<'_> {
        limited(s, 2, 20, Risk::Ok, Week::Constant)
    }
    let words = "ElevenLabs Turbo v2.5: 2 of 20. Constantly close: at or above 90 % of its limit 11 % of the time.";
    assert_eq!(week(constant, &AFTERNOONS, false), words);
}

/// Eight dates touch seven days, and what began yesterday has no seven days.
#[test]
fn days_are_never_more_than_there_are() {
    let days: Vec<u64> = (0..8).rev().map(|day| day * 24).collect();
    let daily = turbo(|s| limited(s, 2, 20, Risk::Ok, Week::Repeating)).marked(&days, true);
    check(&[daily], "ElevenLabs Turbo v2.5: 2 of 20. Reached its limit on 7 of 7 days, around 15:00.", Some(0), 7, 25);
    let young = turbo(|s| Standing {
        known_since: Some(Tick(AS_OF.0 - 30 * HOUR_SECONDS).minute()),
        ..limited(s, 2, 20, Risk::Ok, Week::Scattered)
    });
    let words = "ElevenLabs Turbo v2.5: 2 of 20. Reached its limit on 2 of 2 days, at different times.";
    check(&[young.marked(&[25, 3], true)], words, Some(0), 2, 25);
    let today =
        turbo(|s| Standing { known_since: Some(AS_OF.minute()), ..limited(s, 2, 20, Risk::Ok, Week::Scattered) });
    let words = "ElevenLabs Turbo v2.5: 2 of 20. Reached its limit today, at different times.";
    check(&[today.marked(&[1], true)], words, Some(0), 1, 25);
}

#[test]
fn without_limits_there_is_no_verdict_but_the_highest() {
    check(&[], "Nothing has been reported yet: what the first worker reports shows here.", None, 0, 0);
    let unused = nova(|s| Standing {
        covered: false,
        minutes_covered: 0,
        peak: None,
        ..limited(s, 0, 5, Risk::Unknown, Week::Calm)
    });
    let nothing = "Nothing was reported in the last seven days: what the next worker reports shows here.";
    check(std::slice::from_ref(&unused), nothing, None, 0, 0);
    let words = "No model has a limit yet. Highest of the last seven days: a/b, 9, Tue 14:00.";
    check(&[pool(|s| s), one(Kind::Tts, "a/b", |s| s)], words, Some(1), 0, 0);
    let words = "No model in use has a limit yet. Highest of the last seven days: a/b, 9, Tue 14:00.";
    check(&[unused, one(Kind::Tts, "a/b", |s| s)], words, Some(1), 0, 0);
}

#[test]
fn what_may_have_been_is_neither_stated_nor_asked_for() {
    fn raised(s: Standing<'_>) -> Standing<'_> {
        Standing { peak_bound: Bound::AtMost, peak_raised: 52, peak: Some((72, AS_OF)), ..s }
    }
    let words = "No model has a limit yet. Highest of the last seven days: a/b, ≤72, Tue 15:00.";
    check(&[one(Kind::Tts, "a/b", raised)], words, Some(0), 0, 0);
    fn repeating(s: Standing<'_>) -> Standing<'_> {
        Standing { peak: Some((72, AS_OF)), peak_raised: 52, ..limited(s, 2, 20, Risk::Ok, Week::Repeating) }
    }
    let wanted = said_of(&[turbo(repeating).marked(&AFTERNOONS, true)], false, &TimeZone::UTC).wanted_slots;
    assert_eq!(wanted, 25, "of what was surely reached, 20");
}

#[test]
fn what_is_not_known_is_never_zero() {
    let dark = || turbo(|s| Standing { covered: false, ..limited(s, 0, 20, Risk::Unknown, Week::Calm) });
    let words = "Every model has room. Tightest: Deepgram Nova-3, 31 of 50. Not fully known: ElevenLabs Turbo v2.5.";
    check(&[calm_nova(), dark()], words, Some(0), 0, 0);
    check(&[dark()], "No worker is heard: nothing is known of the levels now.", Some(0), 0, 0);
    let words = "Not known now: ElevenLabs Turbo v2.5 and 1 more. No worker reports it.";
    check(&[dark(), dark(), one(Kind::Tts, "a/b", |s| s)], words, Some(0), 0, 0);
    let risky = turbo(|s| Standing { covered: false, ..limited(s, 0, 20, Risk::Unknown, Week::Repeating) });
    let words =
        "ElevenLabs Turbo v2.5: not known now, its limit is 20. Reached its limit on 4 of 7 days, around 14:00.";
    check(&[risky.marked(&AFTERNOONS, true)], words, Some(0), 4, 25);
    let partly = turbo(|s| limited(s, 20, 20, Risk::Unknown, Week::Calm));
    let words = "ElevenLabs Turbo v2.5: 20 of 20, and part of the last five minutes is not known.";
    assert!(said_of(&[partly], false, &TimeZone::UTC).sentence.starts_with(words));
}

#[test]
fn settling_says_at_least() {
    fn unknown(s: Standing<'_>) -> Standing<'_> {
        Standing { covered: false, ..limited(s, 18, 20, Risk::Unknown, Week::Repeating) }
    }
    let words = "ElevenLabs Turbo v2.5: at least 18 of 20; the service settles after a restart. Reached its limit on 4 \
                 of 7 days, around 14:00.";
    assert_eq!(said_of(&[turbo(unknown).marked(&AFTERNOONS, true)], true, &TimeZone::UTC).sentence, words);
    let calm = nova(|s| limited(s, 31, 50, Risk::Unknown, Week::Calm));
    let words =
        "Settling after a restart: levels are lower bounds. Tightest so far: Deepgram Nova-3, at least 31 of 50.";
    assert_eq!(said_of(&[calm], true, &TimeZone::UTC).sentence, words);
    let over = nova(|s| limited(s, 51, 50, Risk::Unknown, Week::Calm));
    assert!(said_of(&[over], true, &TimeZone::UTC).sentence.starts_with("Deepgram Nova-3: at least 51 of 50;"));
}

#[test]
fn a_limit_of_0_is_one() {
    let closed = turbo(|s| Standing { peak: Some((0, AS_OF)), ..limited(s, 0, 0, Risk::Ok, Week::Calm) });
    check(std::slice::from_ref(&closed), "Every limit is 0, and nothing is held.", Some(0), 0, 0);
    let words = "Every model with a limit above 0 has room. Tightest: Deepgram Nova-3, 31 of 50.";
    check(&[closed, calm_nova()], words, Some(1), 0, 0);
    let held = turbo(|s| Standing { peak: Some((3, AS_OF)), ..limited(s, 3, 0, Risk::Over, Week::OneOff) });
    let words = "ElevenLabs Turbo v2.5: 3 held, and its limit is 0. Reached its limit once, Tue 15:04.";
    check(&[held.marked(&[0], true)], words, Some(0), 1, 4);
}

/// Minutes that were marked are of the hour that they are in.
#[test]
fn marks_are_of_their_hour() {
    let marks = turbo(|s| s).marked(&[1], true).marks;
    assert_eq!(marks.reached(&TimeZone::UTC).span.unwrap().0.hour(), Hour((AS_OF.0 / HOUR_SECONDS) as u32 - 1));
}

#[test]
fn a_name_that_several_kinds_have_is_told_with_its_kind() {
    let voice = |kind| one(kind, "acme/voice", |s| limited(s, 18, 20, Risk::Approaching, Week::Calm));
    let idle = |kind| one(kind, "acme/voice", |s| limited(s, 1, 20, Risk::Ok, Week::Calm));
    let starts = |list: &[One], words: &str| {
        let said = said_of(list, false, &TimeZone::UTC).sentence;
        assert!(said.starts_with(words), "{said}");
    };
    starts(&[voice(Kind::Tts)], "acme/voice: 18 of 20.");
    starts(&[voice(Kind::Tts), idle(Kind::Stt)], "acme/voice (TTS): 18 of 20.");
    starts(&[idle(Kind::Tts), voice(Kind::Stt)], "acme/voice (STT): 18 of 20.");
    // A pool says its kind anyway, and connections are called by it.
    starts(&[pool(|s| limited(s, 39, 40, Risk::Approaching, Week::Calm)), idle(Kind::Tts)], "TTS pool: 39 of 40.");
    let with = |mut one: One, account: &str, unit: Unit| {
        let Target::Meter(meter) = &mut one.target else { return one };
        (meter.account, meter.unit) = (account.into(), unit);
        one
    };
    let sockets = with(voice(Kind::Tts), "direct", Unit::Connection);
    let generations = with(idle(Kind::Tts), "direct", Unit::Generation);
    starts(&[sockets.clone(), idle(Kind::Tts)], "acme/voice (direct): 18 of 20.");
    starts(&[sockets.clone(), generations], "acme/voice (direct, connections): 18 of 20.");
    starts(&[sockets, idle(Kind::Llm)], "acme/voice (TTS, direct): 18 of 20.");
}

#[test]
fn a_day_that_is_called_as_today_is_told_by_its_date() {
    let spoken = |hours_ago: u64, zone: &str| {
        weekday(Tick(AS_OF.0 - hours_ago * HOUR_SECONDS), AS_OF, &TimeZone::get(zone).unwrap())
    };
    assert_eq!([1, 25, 164].map(|ago| spoken(ago, "UTC")), ["Tue 14:00", "Mon 14:00", "3 Mar 19:00"]);
    // It is Wednesday there.
    assert_eq!([1, 25, 164].map(|ago| spoken(ago, "Asia/Tokyo")), ["Tue 23:00", "Mon 23:00", "4 Mar 04:00"]);
}
