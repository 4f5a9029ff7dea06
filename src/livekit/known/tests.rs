//! The rules one by one; all of them together are in `tests/it/livekit_schedules.rs`.

use super::*;
use crate::model::Kind;

const SECOND: Duration = Duration::from_secs(1);

fn now(second: u64) -> Now {
    Now { wall: Time::from_secs(1_000_000 + second), mono: Time::from_secs(second) }
}

fn thing(id: &str) -> Thing {
    let (room, room_id) = ("call".into(), "RM_1".into());
    Thing { id: id.into(), run: "".into(), kind: Kind::Participant, room, room_id, began: None }
}

fn run(id: &str, run: &str, began: u64) -> Thing {
    Thing { run: run.into(), kind: Kind::Ingress, began: Some(Time::from_secs(began)), ..thing(id) }
}

fn answer(asked: u64, ids: &[&str]) -> Answer {
    let lines = ids.iter().map(|id| Listed { thing: thing(id), is_live: true }).collect();
    Answer { room: Some("call".into()), asked: Time::from_secs(asked), lines }
}

/// A list of which everything is known at second 0.
#[derive(Default)]
struct Test {
    known: Known,
    counts: Counts,
}

impl Test {
    fn synced() -> Self {
        let mut test = Self::default();
        test.known.synced(now(0));
        test
    }

    fn began(&mut self, thing: Thing, age: u64, second: u64) -> String {
        told(self.known.began(thing, age as u32 * SECOND, now(second), &self.counts))
    }

    fn ended(&mut self, thing: Thing, lasted: Option<u64>, second: u64) -> String {
        let lasted = lasted.map(Duration::from_secs);
        told(self.known.ended(thing, Outcome::Ok, Duration::ZERO, lasted, now(second), &self.counts))
    }

    fn listed(&mut self, answer: Answer, second: u64) -> String {
        told(self.known.listed(&[answer], now(second), &self.counts))
    }
}

fn told(changes: impl IntoIterator<Item = Change>) -> String {
    let words = changes.into_iter().map(|change| match change {
        Change::Open(held) => format!("+{}", held.thing.name()),
        Change::Close { outcome, .. } => format!("-{outcome}"),
        Change::Passed { held, at, .. } => format!("~{} {}s", held.thing.name(), at.since(held.since).as_secs()),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_thing_is_there_from_its_beginning_to_its_end_once() {
    let mut test = Test::synced();
    assert_eq!(test.began(thing("PA_1"), 0, 1), "+PA_1");
    assert_eq!(test.began(thing("PA_1"), 0, 2), "");
    assert_eq!(test.ended(thing("PA_1"), None, 3), "-ok");
    assert_eq!(test.ended(thing("PA_1"), None, 4), "");
    assert_eq!(test.began(thing("PA_1"), 0, 5), "", "a beginning that was sent again");
    assert!(test.known.is_empty() && test.known.rooms.is_empty());
}

#[test]
fn an_end_without_a_beginning_is_a_session_that_was() {
    let mut test = Test::synced();
    assert_eq!(test.ended(thing("PA_1"), Some(4), 10), "~PA_1 4s");
    assert_eq!(test.began(thing("PA_1"), 1, 11), "", "it was counted");
    assert_eq!(test.ended(thing("PA_2"), None, 10), "");
    assert_eq!(test.began(thing("PA_2"), 5, 12), "~PA_2 3s", "now it is known when it began");
    assert_eq!(test.began(thing("PA_2"), 5, 13), "");
    assert_eq!(test.ended(thing("PA_3"), Some(60), 10), "", "what began before all was known was counted, or lost");
    assert_eq!(test.counts.read().ends_first, 3);
}

#[test]
fn a_beginning_that_was_old_when_it_was_sent_opens_nothing() {
    let mut test = Test::synced();
    assert_eq!(test.began(thing("PA_1"), 31, 100), "");
    assert_eq!(test.began(thing("PA_1"), 30, 100), "+PA_1");
    assert_eq!(test.counts.read().stale, 1);
}

#[test]
fn a_reading_is_the_truth_of_when_it_was_asked_for() {
    let mut test = Test::synced();
    test.began(thing("PA_1"), 0, 1);
    test.began(thing("PA_2"), 0, 2);
    // Asked for at 10; PA_3 begins and PA_2 ends while the answer is on its way.
    test.began(thing("PA_3"), 0, 11);
    test.ended(thing("PA_2"), None, 12);
    assert_eq!(test.listed(answer(10, &["PA_2", "PA_4"]), 13), "-lost +PA_4");
    assert_eq!(test.known.len(), 2);
    let counts = test.counts.read();
    assert_eq!((counts.missed_ends, counts.missed_begins), (1, 1));
    // The next one agrees, or not.
    assert_eq!(test.listed(answer(40, &["PA_3", "PA_4", "PA_1"]), 41), "+PA_1", "the list had lost it for a while");
    assert_eq!(test.began(thing("PA_1"), 0, 42), "");
    let elsewhere = Answer { room: Some("other".into()), ..answer(50, &[]) };
    assert_eq!(test.listed(elsewhere, 51), "", "another room says nothing of this one");
}

#[test]
fn what_began_or_ended_unheard_while_the_lists_were_away_is_counted_by_the_first_reading() {
    let mut test = Test::synced();
    for id in ["PA_1", "PA_2", "PA_3", "PA_4"] {
        test.began(thing(id), 0, 1);
    }
    test.known.lose_all();
    assert!(test.known.is_empty() && test.known.rooms().contains("call"), "its room is asked for");
    // What is heard meanwhile is no disagreement, and neither is who is there still.
    assert_eq!(test.ended(thing("PA_3"), Some(19), 20), "");
    assert_eq!(test.began(thing("PA_5"), 0, 21), "+PA_5");
    let elsewhere = Answer { room: Some("other".into()), ..answer(25, &[]) };
    assert_eq!(test.listed(elsewhere, 25), "", "another room says nothing of this one");
    test.listed(answer(30, &["PA_1", "PA_4", "PA_5", "PA_6"]), 31);
    assert_eq!(test.known.len(), 4);
    let counts = test.counts.read();
    assert_eq!((counts.missed_begins, counts.missed_ends), (1, 1), "PA_6 began, and PA_2 ended");
    assert_eq!(counts.ends_first, 0, "PA_3 was known");
    assert_eq!(test.ended(thing("PA_2"), Some(30), 32), "", "its end comes late, and was put right");
    test.listed(answer(60, &["PA_1", "PA_4", "PA_5", "PA_6"]), 61);
    let again = test.counts.read();
    assert_eq!((again.missed_begins, again.missed_ends, again.ends_first), (1, 1, 0), "each is counted once");

    // Lost twice before a reading, and a room that ends meanwhile.
    test.known.lose_all();
    test.began(Thing { room_id: "RM_2".into(), ..thing("PA_7") }, 0, 70);
    test.known.lose_all();
    assert_eq!(told(test.known.room_ended("RM_1", Duration::ZERO, now(75))), "");
    test.listed(answer(80, &[]), 81);
    assert_eq!(test.counts.read().missed_ends, 2, "PA_7 alone ended unheard");
    assert!(test.known.rooms().is_empty());
}

#[test]
fn a_service_that_starts_disagrees_with_nothing() {
    let mut test = Test::default();
    assert_eq!(test.listed(answer(1, &["PA_1"]), 1), "+PA_1");
    assert_eq!(test.counts.read(), Counts::default().read());
}

#[test]
fn a_list_that_insists_is_right_in_the_end() {
    let mut test = Test::synced();
    test.began(thing("PA_1"), 0, 1);
    test.ended(thing("PA_1"), None, 20);
    assert_eq!(test.listed(answer(49, &["PA_1"]), 49), "");
    assert_eq!(test.listed(answer(50, &["PA_1"]), 50), "+PA_1");
}

#[test]
fn who_joins_is_not_there_yet_and_not_gone() {
    let mut test = Test::synced();
    let joins = |asked, id: &str| {
        let lines = vec![Listed { thing: thing(id), is_live: false }];
        Answer { lines, ..answer(asked, &[]) }
    };
    assert_eq!(test.listed(joins(1, "PA_1"), 1), "");
    test.began(thing("PA_1"), 0, 2);
    assert_eq!(test.listed(joins(5, "PA_1"), 5), "");
    assert_eq!(test.known.len(), 1);
}

#[test]
fn a_room_that_ends_takes_all_with_it_also_what_comes_late() {
    let mut test = Test::synced();
    test.began(thing("PA_1"), 0, 1);
    test.began(Thing { room_id: "RM_2".into(), ..thing("PA_2") }, 0, 2);
    assert_eq!(told(test.known.room_ended("RM_1", Duration::ZERO, now(5))), "-ok");
    assert_eq!(test.began(thing("PA_3"), 3, 6), "~PA_3 2s");
    assert_eq!(test.listed(answer(2, &["PA_1", "PA_4"]), 7), "", "both were in it");
    assert_eq!(test.known.len(), 1);
    let mut nameless = thing("PA_5");
    nameless.room_id = "call".into();
    test.known.room_ended("call", Duration::ZERO, now(8));
    assert_eq!(test.began(nameless, 0, 9), "+PA_5", "without ids, a room of that name may be another");
}

#[test]
fn an_ingress_runs_again() {
    let mut test = Test::synced();
    assert_eq!(test.began(run("IN_1", "a", 1), 0, 1), "+IN_1/a");
    assert_eq!(test.began(run("IN_1", "b", 5), 0, 5), "-lost +IN_1/b", "the end of its first run was lost");
    assert_eq!(test.ended(run("IN_1", "a", 1), None, 6), "");
    assert_eq!(test.began(run("IN_1", "a", 1), 0, 7), "");
    assert_eq!(test.ended(run("IN_1", "", 0), None, 8), "-ok", "an end that does not say of which run");
    assert_eq!(test.began(run("IN_1", "c", 9), 0, 9), "+IN_1/c");
}

#[test]
fn without_lists_what_nobody_speaks_of_ends() {
    let mut test = Test::synced();
    let hour = 3_600 * SECOND;
    let mut elsewhere = thing("PA_2");
    elsewhere.room_id = "RM_2".into();
    test.began(thing("PA_1"), 0, 0);
    test.began(elsewhere, 0, 0);
    test.known.room_lives("RM_1", now(600));
    assert_eq!(told(test.known.expire(hour, now(3_599), &test.counts)), "");
    assert_eq!(told(test.known.expire(hour, now(3_600), &test.counts)), "-lost");
    assert_eq!(told(test.known.expire(hour, now(4_200), &test.counts)), "-lost");
    assert_eq!(test.counts.read().expired, 2);
}
