//! The engine against a naive oracle on random days, and a table of cases.

mod troubles;

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::{
    alert::{AlertRule, Severity, Threshold, state::CONTINUE_SECONDS},
    model::{Entry, Kind, Project, Target, Time},
};

const KEY: KeyId = KeyId(3);
const LIMIT: u32 = 10;

/// Keys of one project, each a pool of an account of its own, under limits that may change.
struct Pools {
    limits: HashMap<KeyId, u32>,
    otherwise: Option<u32>,
}

impl Keys for Pools {
    fn key(&self, id: KeyId) -> Option<Key> {
        let target = Target::KindPool { kind: Kind::Tts, account: format!("a{}", id.0).into() };
        Some(Key { project: Project::new("demo").unwrap(), target })
    }

    fn limit(&self, id: KeyId, _: Tick) -> Option<u32> {
        self.limits.get(&id).copied().or(self.otherwise)
    }
}

fn pools(limit: Option<u32>) -> Pools {
    Pools { limits: HashMap::new(), otherwise: limit }
}

/// A second's level: `None` is not known.
type Second = Option<u32>;

fn frame(at: u64, second: Second, before: Second) -> Frame {
    let mut entries = Vec::new();
    if at == 0 || second != before {
        let coverage = if second.is_some() { Coverage::Full } else { Coverage::None } as i32;
        let level = second.unwrap_or(0);
        entries.push(Entry { key: KEY.0, level, peak: level, coverage, ..Entry::default() });
    }
    Frame { tick: at, full: at.is_multiple_of(60) && second.is_some(), entries, ..Frame::default() }
}

/// What is told of a course of seconds, each with its second: of the level alone.
fn told(seconds: &[Second], rules: RuleBook) -> Vec<(u64, NoticeKind, String)> {
    let (mut engine, keys) = (Engine::new(rules, []), pools(Some(LIMIT)));
    let mut told = Vec::new();
    for (at, second) in (0..).zip(seconds) {
        let mut frame = frame(at, *second, if at == 0 { None } else { seconds[at as usize - 1] });
        if frame.full && frame.entries.is_empty() {
            let level = second.unwrap_or(0);
            frame.entries.push(Entry { key: KEY.0, level, peak: level, ..Entry::default() });
        }
        let decided = engine.take(&frame, &[], &keys);
        let of_level = decided.notices.into_iter().filter(|notice| notice.alert.subject == Subject::Level(KEY));
        told.extend(of_level.map(|notice| (at, notice.notice, notice.rule.to_string())));
    }
    told
}

/// Short times, so that a random day of some hundred seconds has all that may happen.
fn short_rules() -> RuleBook {
    let project = Project::new("demo").unwrap();
    let rules = AlertRule::defaults(&project).into_iter().map(|rule| AlertRule {
        hold_seconds: rule.hold_seconds / 20,
        keep_seconds: 8,
        ..rule
    });
    RuleBook::new(rules)
}

/// The same rules, naively: every second looks at all that was known before it. What is not known is as if it had not been.
fn oracle(seconds: &[Second], mut rules: RuleBook) -> Vec<(u64, NoticeKind, String)> {
    let ladder = rules.ladder(&pools(None).key(KEY).unwrap(), Some(LIMIT));
    let known: Vec<(u64, u32)> = (0..).zip(seconds).filter_map(|(at, second)| Some((at, (*second)?))).collect();
    let (mut on, mut turned) = (vec![false; ladder.len()], vec![0; ladder.len()]);
    let (mut told, mut telling, mut ended, mut came_back) = (Vec::new(), None::<usize>, None::<u64>, false);
    for nth in 0..known.len() {
        let (at, _) = known[nth];
        if ended.is_some_and(|ended| at >= ended + CONTINUE_SECONDS) {
            (ended, came_back) = (None, false);
        }
        let was_on = on.contains(&true);
        for (rung, rule) in ladder.iter().enumerate() {
            let since = &known[turned[rung]..=nth];
            let last = |count: u32| (since.len() >= count as usize).then(|| &since[since.len() - count as usize..]);
            let keep = if came_back { CONTINUE_SECONDS as u32 } else { rule.rule.keep_seconds };
            let turns = match on[rung] {
                false => last(rule.rule.hold_seconds.max(1)).is_some_and(|s| s.iter().all(|s| s.1 >= rule.up)),
                true => last(keep).is_some_and(|s| s.iter().all(|s| s.1 < rule.clear_below)),
            };
            if turns {
                (on[rung], turned[rung]) = (!on[rung], nth + 1);
            }
        }
        match (was_on, on.iter().rposition(|on| *on)) {
            (true, None) => {
                ended = Some(at);
                if let Some(rung) = telling.take() {
                    told.push((at, NoticeKind::Resolved, ladder[rung].rule.name.to_string()));
                }
            }
            (was_on, Some(top)) => {
                if !was_on && ended.take().is_some() {
                    came_back = true;
                }
                if telling.is_none_or(|rung| top > rung) {
                    let kind = if came_back && telling.is_none() { NoticeKind::Repeated } else { NoticeKind::Fired };
                    told.push((at, kind, ladder[top].rule.name.to_string()));
                    telling = Some(top);
                }
            }
            (false, None) => {}
        }
    }
    told
}

/// A day of phases: each a level, or nothing known, for a while.
fn days() -> impl Strategy<Value = Vec<Second>> {
    let level = prop_oneof![1 => Just(None), 8 => (0..=12u32).prop_map(Some)];
    let long = prop_oneof![12 => 1..14usize, 1 => Just(3_590usize), 1 => Just(3_620usize)];
    proptest::collection::vec((level, long), 1..40)
        .prop_map(|phases| phases.into_iter().flat_map(|(level, long)| vec![level; long]).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn random_days_are_told_of_as_the_oracle_does(seconds in days()) {
        prop_assert_eq!(told(&seconds, short_rules()), oracle(&seconds, short_rules()));
    }

    /// Kept states are taken over at random seconds: what was told is not told again, and nothing is forgotten.
    #[test]
    fn a_restart_at_any_second_tells_nothing_twice(seconds in days(), restarts in proptest::collection::vec(0..400usize, 0..6)) {
        let (mut engine, keys) = (Engine::new(short_rules(), []), pools(Some(LIMIT)));
        let mut kept: HashMap<Subject, Alert> = HashMap::new();
        let mut told = Vec::new();
        for (at, second) in (0..).zip(&seconds) {
            if restarts.contains(&(at as usize)) {
                // All that the store has; of what was pending, seconds may be forgotten.
                engine = Engine::new(short_rules(), kept.values().cloned());
                engine.remember(KEY, second.unwrap_or(0), Coverage::Full, &keys, Tick(at));
            }
            let level = second.unwrap_or(0);
            let coverage = if second.is_some() { Coverage::Full } else { Coverage::None } as i32;
            let entry = Entry { key: KEY.0, level, peak: level, coverage, ..Entry::default() };
            let decided = engine.take(&Frame { tick: at, entries: vec![entry], ..Frame::default() }, &[], &keys);
            kept.extend(decided.alerts);
            kept.retain(|_, alert| alert.is_active());
            told.extend(decided.notices.into_iter().filter(|n| n.alert.subject == Subject::Level(KEY)));
        }
        // Each is told of once: by episode and number, and no episode is told to end that was not told to begin.
        let mut names: Vec<_> = told.iter().map(|notice| (notice.alert.began, notice.number)).collect();
        let count = names.len();
        names.dedup();
        prop_assert_eq!(names.len(), count);
        let mut open = false;
        for notice in &told {
            prop_assert_eq!(notice.notice == NoticeKind::Resolved && !open, false);
            open = notice.notice != NoticeKind::Resolved;
        }
    }
}

fn course(phases: &[(Second, usize)]) -> Vec<Second> {
    phases.iter().flat_map(|(level, long)| vec![*level; *long]).collect()
}

#[track_caller]
fn check(phases: &[(Second, usize)], expected: &[(u64, NoticeKind, &str)]) {
    let told = told(&course(phases), RuleBook::default());
    let told: Vec<_> = told.iter().map(|(at, kind, rule)| (*at, *kind, &**rule)).collect();
    assert_eq!(told, expected);
}

use NoticeKind::{Fired, Repeated, Resolved};

#[test]
fn the_rules_of_the_start_case_by_case() {
    // Two minutes at 80 %, the first second included; five minutes low to end.
    check(&[(Some(8), 119), (Some(1), 400)], &[]);
    check(&[(Some(8), 120), (Some(1), 400)], &[(119, Fired, "approaching"), (419, Resolved, "approaching")]);
    // At the limit at once, and over it.
    check(&[(Some(10), 1), (Some(1), 299)], &[(0, Fired, "at-limit")]);
    check(&[(Some(10), 1), (Some(1), 300)], &[(0, Fired, "at-limit"), (300, Resolved, "at-limit")]);
    check(&[(Some(11), 1), (Some(1), 300)], &[(0, Fired, "over"), (300, Resolved, "over")]);
    // Stages supersede each other: the worst is told, and what it eases to is not.
    check(
        &[(Some(8), 120), (Some(9), 120), (Some(10), 5), (Some(11), 5), (Some(9), 400)],
        &[(119, Fired, "approaching"), (239, Fired, "near"), (240, Fired, "at-limit"), (245, Fired, "over")],
    );
    // Between the thresholds nothing ends.
    check(&[(Some(8), 120), (Some(7), 9_000)], &[(119, Fired, "approaching")]);
    // What is not known freezes both timers.
    check(&[(Some(8), 60), (None, 900), (Some(8), 60)], &[(1_019, Fired, "approaching")]);
    check(
        &[(Some(10), 1), (Some(1), 299), (None, 900), (Some(1), 1)],
        &[(0, Fired, "at-limit"), (1_200, Resolved, "at-limit")],
    );
}

#[test]
fn a_rule_of_less_severity_keeps_nobody_from_what_is_worse() {
    let info = AlertRule {
        name: "info".into(),
        severity: Severity::Info,
        ..AlertRule::defaults(&Project::new("demo").unwrap()).remove(2)
    };
    let info = AlertRule { threshold: Threshold::Slots(9), clear: Threshold::Slots(8), hold_seconds: 0, ..info };
    let rules = |severity| RuleBook::new([AlertRule { severity, ..info.clone() }]);
    let told = |rules| told(&[Some(9); 130], rules).into_iter().map(|(at, _, rule)| (at, rule)).collect::<Vec<_>>();
    assert_eq!(told(rules(Severity::Info)), [(0, "info".to_owned()), (119, "near".to_owned())]);
    assert_eq!(told(rules(Severity::Critical)), [(0, "info".to_owned())], "the lowest of all need not be the least");
}

#[test]
fn a_crossing_within_the_hour_goes_on_with_the_alert() {
    let (hour, end) = (CONTINUE_SECONDS as usize, 300 + 10);
    check(
        &[(Some(10), 1), (Some(1), end), (Some(10), 1), (Some(1), hour)],
        &[
            (0, Fired, "at-limit"),
            (300, Resolved, "at-limit"),
            (311, Repeated, "at-limit"),
            (311 + hour as u64, Resolved, "at-limit"),
        ],
    );
    check(
        &[(Some(10), 1), (Some(1), 300 + hour), (Some(10), 1)],
        &[(0, Fired, "at-limit"), (300, Resolved, "at-limit"), (301 + hour as u64, Fired, "at-limit")],
    );
    // What flaps for an hour is told of at its beginning, once more, and when it is calm at last.
    let mut flapping = vec![];
    (0..8).for_each(|_| flapping.extend([(Some(10), 1), (Some(1), 400)]));
    flapping.push((Some(1), hour));
    let told = told(&course(&flapping), RuleBook::default());
    assert_eq!(told.iter().map(|told| told.1).collect::<Vec<_>>(), [Fired, Resolved, Repeated, Resolved]);
}

/// An engine in which one key is at its limit.
fn at_limit() -> (Engine, Pools) {
    let (mut engine, keys) = (Engine::default(), pools(Some(LIMIT)));
    let entry = Entry { key: KEY.0, level: LIMIT, peak: LIMIT, ..Entry::default() };
    let decided = engine.take(&Frame { tick: 0, entries: vec![entry], ..Frame::default() }, &[], &keys);
    assert_eq!(decided.notices.len(), 1);
    (engine, keys)
}

fn quiet(engine: &mut Engine, keys: &Pools, ticks: std::ops::Range<u64>) -> Vec<(u64, NoticeKind)> {
    let frame = Frame { tick: ticks.start, repeat: ticks.end - ticks.start - 1, ..Frame::default() };
    let decided = engine.take(&frame, &[], keys);
    decided.notices.iter().map(|notice| (notice.alert.told_at.unwrap().0, notice.notice)).collect()
}

#[test]
fn what_is_snoozed_is_told_when_that_is_over_if_it_still_fires() {
    let (mut engine, mut keys) = at_limit();
    engine.get_mut(Subject::Level(KEY)).unwrap().snooze("kim", Time::from_secs(1_000), Time::from_secs(10));
    keys.limits.insert(KEY, LIMIT - 1);
    engine.look_at(KEY, &keys, Tick(10));
    assert_eq!(quiet(&mut engine, &keys, 10..1_200), [(1_000, Fired)], "it is over its limit by then");
}

#[test]
fn what_is_acknowledged_is_not_repeated() {
    for (acknowledged, expected) in [(false, 3), (true, 0)] {
        let (mut engine, keys) = at_limit();
        let project = Project::new("demo").unwrap();
        for rule in AlertRule::defaults(&project) {
            engine.rules.set(AlertRule { repeat_seconds: 3_600, ..rule });
        }
        engine.look_again(&project, &keys, Tick(1));
        if acknowledged {
            engine.get_mut(Subject::Level(KEY)).unwrap().acknowledge("kim", Time::from_secs(1));
        }
        let repeated = quiet(&mut engine, &keys, 1..3 * 3_600 + 1);
        assert_eq!(repeated.iter().filter(|told| told.1 == Repeated).count(), expected);
    }
}

#[test]
fn a_limit_that_is_raised_ends_the_alert_and_one_that_is_taken_back_too() {
    for limit in [Some(100), None] {
        let (mut engine, mut keys) = at_limit();
        (keys.limits, keys.otherwise) = (HashMap::new(), limit);
        engine.look_at(KEY, &keys, Tick(1));
        let told = quiet(&mut engine, &keys, 1..500);
        assert_eq!(told.iter().map(|told| told.1).collect::<Vec<_>>(), [Resolved], "{limit:?}");
    }
}

#[test]
fn lost_workers_are_told_of_and_those_that_said_goodbye_are_not() {
    let keys = pools(Some(LIMIT));
    let told = |coverage: Coverage, settling| {
        let mut engine = Engine::default();
        let entry = |coverage: Coverage| Entry { key: KEY.0, coverage: coverage as i32, ..Entry::default() };
        engine.take(&Frame { tick: 0, entries: vec![entry(Coverage::Full)], ..Frame::default() }, &[], &keys);
        let frame = Frame { tick: 1, repeat: 300, settling, entries: vec![entry(coverage)], ..Frame::default() };
        let mut told = engine.take(&frame, &[], &keys).notices;
        let back = Frame { tick: 302, repeat: 400, entries: vec![entry(Coverage::Full)], ..Frame::default() };
        told.extend(engine.take(&back, &[], &keys).notices);
        told.iter().map(|notice| (notice.notice, notice.rule.to_string())).collect::<Vec<_>>()
    };
    let silent = |kind| (kind, "workers-silent".to_owned());
    assert_eq!(told(Coverage::None, false), [silent(Fired), silent(Resolved)]);
    assert_eq!(told(Coverage::Full, false), []);
    assert_eq!(told(Coverage::None, true), [], "the service settles");
}

#[test]
fn workers_that_do_not_return_after_a_restart_are_told_of() {
    let (mut engine, keys) = (Engine::default(), pools(Some(LIMIT)));
    engine.remember(KEY, 2, Coverage::Full, &keys, Tick(0));
    let settling = Frame { tick: 0, repeat: 11, full: true, settling: true, ..Frame::default() };
    assert_eq!(engine.take(&settling, &[], &keys).notices, []);
    let told = engine.take(&Frame { tick: 12, repeat: 200, full: true, ..Frame::default() }, &[], &keys).notices;
    assert_eq!(told.iter().map(|notice| &*notice.rule).collect::<Vec<_>>(), ["workers-silent"]);
}

#[test]
fn the_level_of_a_second_is_its_peak() {
    let (mut engine, keys) = (Engine::default(), pools(Some(LIMIT)));
    let spike = Entry { key: KEY.0, level: 2, peak: LIMIT, ..Entry::default() };
    let decided = engine.take(&Frame { tick: 5, entries: vec![spike], ..Frame::default() }, &[], &keys);
    assert_eq!(decided.notices.len(), 1);
    assert_eq!(decided.alerts[&Subject::Level(KEY)].peak, LIMIT);
    let told = quiet(&mut engine, &keys, 6..400);
    assert_eq!(told, [(305, Resolved)]);
}

#[test]
fn a_frame_that_was_taken_already_changes_nothing() {
    let (mut engine, keys) = at_limit();
    let entry = Entry { key: KEY.0, level: 20, peak: 20, ..Entry::default() };
    assert_eq!(
        engine.take(&Frame { tick: 0, entries: vec![entry], ..Frame::default() }, &[], &keys),
        Decided::default()
    );
}

#[test]
fn what_was_removed_is_forgotten() {
    let (mut engine, _) = at_limit();
    engine.forget(KEY);
    assert_eq!(engine.alerts().count(), 0);
}

/// A clock that was set back: a second of history lasts longer than one of time.
#[test]
fn seconds_that_no_frame_tells_of_count() {
    let (mut engine, keys) = (Engine::default(), pools(Some(LIMIT)));
    let near = LIMIT * 8 / 10;
    assert!(engine.take(&frame(0, Some(near), None), &[], &keys).notices.is_empty());
    assert!(engine.linger(118, &[], &keys).notices.is_empty());
    let told = engine.linger(1, &[], &keys).notices;
    assert_eq!(told.iter().map(|notice| notice.notice).collect::<Vec<_>>(), [NoticeKind::Fired]);
    assert!(engine.linger(100, &[], &keys).notices.is_empty());
}

/// A clock that is put forward by a day, and a second that comes again.
#[test]
fn a_clock_that_jumps_ends_no_time_and_begins_no_alert() {
    let (mut engine, keys) = (Engine::default(), pools(Some(LIMIT)));
    let near = LIMIT * 8 / 10;
    let decided = engine.take(&frame(0, Some(near), None), &[], &keys);
    assert!(decided.notices.is_empty(), "two minutes have to pass");
    let jump = Frame { tick: 1, repeat: 86_399, jumped: true, ..Frame::default() };
    assert!(engine.take(&jump, &[], &keys).notices.is_empty(), "nothing is known of that day");
    assert!(engine.take(&frame(500, Some(LIMIT), None), &[], &keys).notices.is_empty(), "that second is over");
    let told = quiet(&mut engine, &keys, 86_401..86_600);
    assert_eq!(told, [(86_401 + 118, NoticeKind::Fired)], "known seconds count, those of the jump do not");
}
