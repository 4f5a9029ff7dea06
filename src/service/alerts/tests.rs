//! Days of alerts in a service that is killed between any two steps: decide and write, claim, send, and say what came of
//! it. What was written is all that the next process knows.

#[cfg(test)]
mod clock;
#[cfg(test)]
mod last;
#[cfg(test)]
mod snooze;

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::*;
use crate::{
    alert::{
        Address, Delivery, NoticeKind, Phase, Recipient, Row, Severity, Threshold, Tried, recipient::MOST_RECIPIENTS,
    },
    config::{Config, RawConfig},
    error::Error,
    model::{Entry, Frame, Kind, Meter, Now, Target},
    service::{
        Actor, Author, Clock, Service,
        alerts::deliver::{Delivered, Room},
    },
    store::EmbeddedStore,
};

const KEY: KeyId = KeyId(0);
const LIMIT: u32 = 10;
const ROOM: Room = Room { mails: 10, webhooks: 10 };
/// Days that are lived; `HIGHWATER_ALERT_DAYS` says how many else.
const DAYS: u64 = 100;
/// Seconds in which nothing happens, so that all that is to be told is; and how many of them at once.
const QUIET: u64 = 8_000;
const QUIET_STEP: u64 = 10;
/// The first second of a day: whole minutes.
const START: u64 = 1_700_000_040;

fn key() -> Key {
    let meter = Meter::new(Kind::Tts, "cartesia/sonic-3", "", None).unwrap();
    Key { project: Project::new("demo").unwrap(), target: Target::Meter(meter) }
}

fn open(store: &Arc<EmbeddedStore>) -> Arc<Service> {
    let config = Config::build(&RawConfig::default(), None).unwrap();
    Service::open(config, store.clone(), Clock::start()).unwrap()
}

fn at(second: u64) -> Now {
    Now::at(Time::from_secs(START + second))
}

fn recipient(name: &str) -> Recipient {
    Recipient {
        name: name.into(),
        project: key().project,
        address: Address::Mailbox(format!("{name}@x.example")),
        enabled: true,
        least: Severity::Info,
        quiet: None,
        unsubscribed: None,
        trouble: String::new(),
    }
}

/// A store with a limit, rules of short times, and who is told.
fn prepared(names: &[&str]) -> Arc<EmbeddedStore> {
    let store = Arc::new(EmbeddedStore::in_memory().unwrap());
    let service = open(&store);
    let author = || Author { set_by: "kim".to_owned(), reason: String::new(), actor: Actor::service() };
    service.set_limit(&key(), LIMIT, None, author(), at(0)).unwrap();
    for rule in AlertRule::defaults(&key().project).into_iter().filter(|rule| rule.kind.is_of_level()) {
        let rule = AlertRule { hold_seconds: rule.hold_seconds / 20, keep_seconds: 20, ..rule };
        service.set_alert_rule(rule, &Actor::service(), at(0)).unwrap();
    }
    for name in names {
        service.set_recipient(recipient(name), &Actor::service(), at(0)).unwrap();
    }
    store
}

fn second(tick: u64, level: u32) -> Frame {
    let entry = Entry { key: KEY.0, level, peak: level, ..Entry::default() };
    Frame { tick: START + tick, entries: vec![entry], ..Frame::default() }
}

/// What a day of a killed service came to.
#[derive(Default)]
struct Day {
    /// How often each message arrived, and the rows that it told of.
    arrived: BTreeMap<String, (u32, Vec<Row>)>,
    /// Messages after which the service was killed before it could say that they were taken.
    unknown: HashSet<String>,
    kills: u32,
    /// Seconds that were decided on, and their levels.
    decided: Vec<(u64, u32)>,
}

impl Day {
    /// A message is there; returns its id.
    fn arrive(&mut self, delivered: &Delivered) -> String {
        let id = delivered.batch.rows[0].id.to_string();
        let (count, rows) = self.arrived.entry(id.clone()).or_default();
        (*count, *rows) = (*count + 1, delivered.batch.rows.clone());
        id
    }
}

/// Lives a day of random levels, and then a quiet one.
fn live(seed: u64) -> (Day, Arc<Service>) {
    let mut random = StdRng::seed_from_u64(seed);
    let store = prepared(&["ops", "lee"]);
    let mut service = open(&store);
    let mut day = Day::default();
    let mut levels = Vec::new();
    while levels.len() < 400 {
        let (level, long) = (random.random_range(0..=12), random.random_range(1..=40));
        levels.extend(std::iter::repeat_n(level, long));
    }
    levels.extend(std::iter::repeat_n(0, 100));
    for (tick, level) in (0..).zip(&levels) {
        let now = at(tick);
        let mut may_kill = || random.random_ratio(1, 120);
        let mut killed = may_kill();
        if !killed {
            service.alerts.step(&service, &[second(tick, *level)], &[], now).unwrap();
            day.decided.push((START + tick, *level));
            killed = may_kill();
        }
        if !killed {
            let claimed = service.alerts.claim(&service, now, ROOM);
            killed = may_kill();
            for delivered in claimed {
                if killed {
                    break;
                }
                let id = day.arrive(&delivered);
                killed = may_kill();
                match killed {
                    true => drop(day.unknown.insert(id)),
                    false => drop(service.alerts.tried(&service, &delivered, &Tried::Sent("250".into()), now)),
                }
            }
        }
        if killed {
            day.kills += 1;
            service = open(&store);
            service.alerts.take_over_rows(now);
        }
    }
    let busy = levels.len() as u64;
    for tick in (busy..busy + QUIET).step_by(QUIET_STEP as usize) {
        let (now, frame) = (at(tick + QUIET_STEP - 1), Frame { repeat: QUIET_STEP - 1, ..second(tick, 0) });
        service.alerts.step(&service, &[frame], &[], now).unwrap();
        for delivered in service.alerts.claim(&service, now, ROOM) {
            day.arrive(&delivered);
            service.alerts.tried(&service, &delivered, &Tried::Sent("250".into()), now);
        }
    }
    (day, service)
}

#[test]
fn every_crossing_is_told_once_whenever_the_service_is_killed() {
    let (mut kills, mut twice) = (0, 0);
    let days = std::env::var("HIGHWATER_ALERT_DAYS").map_or(DAYS, |days| days.parse().expect("it is a number of days"));
    for seed in 0..days {
        let (day, service) = live(seed);
        kills += day.kills;
        for (id, (count, _)) in &day.arrived {
            assert!(*count <= 1 || day.unknown.contains(id), "day {seed}: {id} came {count} times");
            twice += u32::from(*count > 1);
        }
        let state = service.alerts.state();
        assert_eq!(state.outbox.open().count(), 0, "day {seed}: nothing waits");
        for row in state.outbox.rows() {
            let told = match &row.delivery {
                Delivery::Sent { lead, .. } => {
                    day.arrived.get(&**lead).is_some_and(|(_, rows)| rows.iter().any(|r| r.id == row.id))
                }
                Delivery::Superseded { .. } => true,
                _ => false,
            };
            assert!(told, "day {seed}: {row:?} was lost");
        }
        for name in ["ops", "lee"] {
            let mut rows: Vec<&Row> = state.outbox.rows().filter(|row| &*row.recipient == name).collect();
            rows.sort_by_key(|row| (row.alert.began, row.alert.notices));
            let numbers: HashSet<_> = rows.iter().map(|row| (row.alert.began, row.alert.notices)).collect();
            assert_eq!(numbers.len(), rows.len(), "day {seed}: each notice has one row for {name}");
        }
        // Every second at the limit that was decided on is within an episode that fired.
        let episodes: Vec<_> = state.past.values().map(|past| &past.alert).chain(state.engine.alerts()).collect();
        let fired: HashSet<_> =
            episodes.iter().filter(|alert| alert.fired.is_some()).map(|alert| alert.began).collect();
        let told: HashSet<_> = state.outbox.rows().map(|row| row.alert.began).collect();
        assert!(told.is_subset(&fired), "day {seed}: what is told of did fire");
        // As read off the levels: a day is one episode, which fires by the first second at the limit, and not before one near it.
        let first = |least: u32| day.decided.iter().find(|(_, level)| *level >= least).map(|(tick, _)| *tick);
        let began = episodes.iter().filter_map(|alert| alert.fired).map(|tick| tick.0).min();
        let (at_limit, near) = (first(LIMIT), first(LIMIT * 8 / 10));
        let is_in_time = began.is_none_or(|began| near <= Some(began) && near.is_some());
        let is_late = at_limit.is_some_and(|at| began.is_none_or(|began| began > at));
        assert!(is_in_time && !is_late, "day {seed}: {near:?} {began:?} {at_limit:?}");
        assert!(fired.len() <= 1, "day {seed}: {fired:?}");
        assert_eq!(fired, told, "day {seed}: every episode is told of");
        assert!(episodes.iter().all(|alert| alert.phase != Phase::Firing), "day {seed}: all is over");
    }
    println!("{days} days, {kills} kills, {twice} messages came twice");
    assert!(days < DAYS || (kills > 500 && twice > 2), "{kills} {twice}");
}

#[test]
fn what_is_decided_and_what_is_to_be_told_are_one_step() {
    let store = prepared(&["ops"]);
    let service = open(&store);
    service.alerts.step(&service, &[second(0, LIMIT)], &[], at(0)).unwrap();
    let alerts = store.documents(Shelf::Alerts).unwrap();
    assert_eq!(alerts.len(), 1);
    let rows = store.documents(Shelf::Outbox).unwrap();
    let row = record::decode_row(&rows[0].1).unwrap();
    assert_eq!((row.notice, row.alert.level, row.alert.limit), (NoticeKind::Fired, LIMIT, Some(LIMIT)));
    // Another process makes the same row of the same second.
    let again = open(&prepared(&["ops"]));
    again.alerts.step(&again, &[second(0, LIMIT)], &[], at(0)).unwrap();
    assert_eq!(again.alerts.state().outbox.rows().next().unwrap().id, row.id);
}

#[test]
fn a_project_without_recipients_falls_to_those_of_the_configuration() {
    let text = "[alerts]\nrecipients = 'a@x.example'\n[smtp]\nhost = 'localhost'\nfrom = 'h@x.example'\n";
    let config = Config::build(&RawConfig::default(), Some((std::path::Path::new("h.toml"), text))).unwrap();
    let store = Arc::new(EmbeddedStore::in_memory().unwrap());
    let service = Service::open(config, store, Clock::start()).unwrap();
    let names = |project: &Project| -> Vec<_> {
        service.alerts.recipients(project).iter().map(|recipient| recipient.name.to_string()).collect()
    };
    let demo = key().project;
    let expected = vec![unsubscribe::name_of_mailbox("a@x.example").to_string()];
    assert_eq!((names(&demo), names(&Project::across())), (expected.clone(), expected));
    service.set_recipient(recipient("ops"), &Actor::service(), at(0)).unwrap();
    assert_eq!(names(&demo), ["ops"]);
}

#[test]
fn a_deleted_project_leaves_no_rule_recipient_alert_or_notice() {
    let store = prepared(&["ops"]);
    let service = open(&store);
    service.alerts.step(&service, &[second(0, LIMIT)], &[], at(0)).unwrap();
    let write = |documents| store.change(&crate::store::Change { documents, ..Default::default() });
    service.forget_alerts(&key().project, at(1), write).unwrap();
    for shelf in [Shelf::AlertRules, Shelf::Recipients, Shelf::Alerts, Shelf::PastAlerts, Shelf::Outbox] {
        assert_eq!(store.documents(shelf).unwrap(), [], "{shelf:?}");
    }
    assert_eq!(service.alerts.list(None), []);
}

#[test]
fn who_unsubscribes_is_told_no_more_and_nobody_else_can_do_it() {
    let store = prepared(&["ops", "lee"]);
    let service = open(&store);
    let project = key().project;
    let token = service.unsubscribe_token(&project, "ops", "ops@x.example");
    assert!(service.unsubscribe(&project, "lee", &token, at(0)).is_err());
    assert!(service.unsubscribe(&project, "ops", "", at(0)).is_err());
    service.unsubscribe(&project, "ops", &token, at(0)).unwrap();
    service.alerts.step(&service, &[second(0, LIMIT)], &[], at(0)).unwrap();
    let to: Vec<_> =
        service.alerts.claim(&service, at(0), ROOM).iter().map(|sent| sent.recipient.name.to_string()).collect();
    assert_eq!(to, ["lee"]);
    assert!(open(&store).alerts.recipient(&project, "ops").unwrap().unsubscribed.is_some());
}

#[test]
fn a_limit_that_ends_by_its_time_is_looked_at_again() {
    let store = prepared(&["ops"]);
    let service = open(&store);
    let author = || Author { set_by: "kim".to_owned(), reason: String::new(), actor: Actor::service() };
    service.set_limit(&key(), 20, Some(at(60).wall), author(), at(1)).unwrap();
    for tick in 2..60 {
        let frame = if tick == 2 { second(2, LIMIT) } else { Frame { tick: START + tick, ..Frame::default() } };
        service.alerts.step(&service, &[frame], &[], at(tick)).unwrap();
    }
    assert_eq!(service.alerts.list(None), [], "10 of 20");
    service.alerts.step(&service, &[Frame { tick: START + 60, ..Frame::default() }], &[], at(60)).unwrap();
    assert_eq!(service.alerts.list(None)[0].alert.limit, Some(LIMIT));
}

#[test]
fn snoozing_and_seeing_are_durable() {
    let store = prepared(&["ops"]);
    let service = open(&store);
    service.alerts.step(&service, &[second(0, LIMIT)], &[], at(0)).unwrap();
    let project = key().project;
    service.acknowledge_alert(&project, "level-0", "kim", &Actor::service(), at(5)).unwrap();
    service.snooze_alert(&project, "level-0", at(900).wall, "kim", &Actor::service(), at(6)).unwrap();
    let after = open(&store).alerts.list(Some(&project)).remove(0).alert;
    assert_eq!(after.acknowledged.as_ref().map(|seen| &*seen.by), Some("kim"));
    assert_eq!(after.snooze.as_ref().map(|snooze| snooze.until), Some(at(900).wall));
    service.take_back_acknowledgement(&project, "level-0", "lee", &Actor::service(), at(7)).unwrap();
    let after = open(&store).alerts.list(Some(&project)).remove(0).alert;
    assert_eq!(after.acknowledged, None);
    assert_eq!(
        after.events.last().map(|event| &event.what),
        Some(&crate::alert::state::What::TakenBack { by: "lee".into() })
    );
    let other = Project::new("other").unwrap();
    assert!(service.acknowledge_alert(&other, "level-0", "kim", &Actor::service(), at(7)).is_err());
    let far = service.snooze_alert(&project, "level-0", Time(u64::MAX), "kim", &Actor::service(), at(8));
    assert!(far.is_err());
}

#[test]
fn names_of_alerts_are_read_as_they_are_written() {
    let ways = AlertKind::ALL.iter().filter(|kind| kind.is_of_way()).map(|kind| Subject::Way(*kind, KeyId(9)));
    let others = [Subject::Level(KeyId(7)), Subject::Silence(KeyId(0)), Subject::Service(AlertKind::AuditDrift)];
    for subject in ways.chain(others) {
        assert_eq!(subject_of(&name_of(subject)), Some(subject));
    }
    assert!(
        ["", "level-", "level-x", "approaching", "x-1", "refused", "refused-x", "over-3"]
            .iter()
            .all(|name| subject_of(name).is_none())
    );
}

#[test]
fn thresholds_of_slots_need_no_limit() {
    let store = prepared(&["ops"]);
    let service = open(&store);
    let author = Author { set_by: "kim".to_owned(), reason: String::new(), actor: Actor::service() };
    service.end_limit(&key(), author, at(1)).unwrap();
    let mut rule = AlertRule::defaults(&key().project).remove(0);
    (rule.name, rule.threshold, rule.clear, rule.hold_seconds) =
        ("ours".into(), Threshold::Slots(5), Threshold::Slots(3), 0);
    service.set_alert_rule(rule, &Actor::service(), at(2)).unwrap();
    service.alerts.step(&service, &[second(3, 5)], &[], at(3)).unwrap();
    assert_eq!(service.alerts.list(None)[0].alert.phase, Phase::Firing);
}

#[test]
fn more_recipients_than_a_project_has_are_refused_by_a_bound_that_is_named() {
    let store = prepared(&[]);
    let documents =
        (0..MOST_RECIPIENTS).map(|nth| recipient(&format!("r{nth}"))).map(|recipient| crate::store::Document {
            shelf: Shelf::Recipients,
            name: named(&recipient.project, &recipient.name),
            bytes: Some(record::encode_recipient(&recipient, |_| Vec::new())),
        });
    store.change(&crate::store::Change { documents: documents.collect(), ..Default::default() }).unwrap();
    let service = open(&store);
    let error = service.set_recipient(recipient("one-more"), &Actor::service(), at(0)).unwrap_err();
    assert!(matches!(error, Error::Bound { name: "recipients of a project", most: 10_000 }), "{error:?}");
    // One that is there is changed all the same; and all others are told.
    let changed = Recipient { enabled: false, ..recipient("r7") };
    service.set_recipient(changed, &Actor::service(), at(0)).unwrap();
    service.alerts.step(&service, &[second(0, LIMIT)], &[], at(0)).unwrap();
    let claimed = service.alerts.claim(&service, at(1), Room { mails: usize::MAX, webhooks: 0 });
    assert_eq!(claimed.len(), MOST_RECIPIENTS - 1);
    // What has ended is told to each of them, too: that is decided without looking at all rows for each.
    let ends: Vec<_> = (2..30).map(|tick| second(tick, 0)).collect();
    service.alerts.step(&service, &ends, &[], at(30)).unwrap();
    assert_eq!(service.alerts.state().outbox.open().count(), 2 * (MOST_RECIPIENTS - 1));
}

#[test]
fn the_end_of_a_rule_that_was_removed_is_told_to_who_was_told_of_it() {
    let store = prepared(&["ops"]);
    let service = open(&store);
    let mut lee = recipient("lee");
    lee.least = Severity::Critical;
    service.set_recipient(lee, &Actor::service(), at(0)).unwrap();
    let author = Actor::service();
    let rules = service.alerts.rules(&key().project);
    let rule = rules.iter().find(|rule| rule.kind == AlertKind::AtLimit).unwrap();
    service.set_alert_rule(AlertRule { name: "ours".into(), ..(**rule).clone() }, &author, at(0)).unwrap();
    for rule in rules.iter().filter(|rule| rule.kind.is_of_level()) {
        service.set_alert_rule(AlertRule { enabled: false, ..(**rule).clone() }, &author, at(0)).unwrap();
    }
    service.alerts.step(&service, &[second(1, LIMIT)], &[], at(1)).unwrap();
    service.remove_alert_rule(&key().project, "ours", &author, at(2)).unwrap();
    for tick in 3..60 {
        service.alerts.step(&service, &[second(tick, 0)], &[], at(tick)).unwrap();
    }
    let state = service.alerts.state();
    let mut told: Vec<_> = state.outbox.rows().map(|row| (row.recipient.to_string(), row.notice.as_str())).collect();
    told.sort_unstable();
    let fired = |name: &str| told.iter().any(|(to, notice)| to == name && *notice == "fired");
    let ended = |name: &str| told.iter().any(|(to, notice)| to == name && notice.contains("resolved"));
    for name in ["ops", "lee"] {
        assert!(fired(name) && ended(name), "{name}: {told:?}");
    }
}
