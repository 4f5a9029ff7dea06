//! What a journal keeps, tells and forgets.

use std::time::Duration;

use super::*;

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn session(since: Instant) -> Live {
    Live { handle: 1, since, labels: None }
}

fn id(n: u8) -> SessionId {
    SessionId([n; 16])
}

/// A journal in which sessions 1 to 3 began, each in a batch of its own.
fn three_batches(now: Instant) -> Journal {
    let mut journal = Journal::default();
    for n in 1..=3 {
        assert!(journal.open(id(n).into(), session(now), now));
        assert_eq!(journal.next_batch(512).map(|batch| batch.seq), Some(u64::from(n)));
    }
    journal
}

fn ids(snapshot: &Snapshot) -> Vec<u8> {
    let mut ids: Vec<_> = snapshot.iter().map(|(id, _)| id.0[0]).collect();
    ids.sort_unstable();
    ids
}

fn unapplied(journal: &Journal) -> Vec<u64> {
    journal.unapplied().map(|batch| batch.seq).collect()
}

#[test]
fn repeated_opens_and_closes_change_nothing() {
    let now = now();
    let mut journal = Journal::default();
    assert!(journal.open(id(1).into(), session(now), now));
    assert!(!journal.open(id(1).into(), session(now), now));
    assert!(journal.close(id(1), Outcome::Ok, now));
    assert!(!journal.close(id(1), Outcome::Ok, now));
    assert_eq!((journal.pending(), journal.live(), journal.digest), (2, 0, 0));
}

#[test]
fn a_snapshot_is_the_set_as_of_what_was_applied() {
    let now = now();
    let mut journal = three_batches(now);
    journal.ack(2, 0);
    assert!(journal.close(id(1), Outcome::Timeout, now));
    assert!(journal.open(id(4).into(), session(now), now));
    assert!(journal.close(id(4), Outcome::Ok, now));
    assert_eq!(ids(&journal.resume(2, 0)), [1, 2], "3 and 4 and the end of 1 are told after it");
    assert_eq!(unapplied(&journal), [3]);
    assert_eq!(ids(&journal.resync(2)), [2, 3], "in mid-stream it is what is live");
}

#[test]
fn a_service_that_forgot_is_told_all_that_is_not_durable() {
    let now = now();
    let mut journal = three_batches(now);
    journal.ack(3, 1);
    assert_eq!((journal.in_flight(), unapplied(&journal)), (0, vec![]));
    assert_eq!(ids(&journal.resume(0, 0)), [1]);
    assert_eq!(unapplied(&journal), [2, 3], "with the numbers they had");
    assert!(journal.open(id(4).into(), session(now), now));
    assert_eq!(journal.next_batch(512).map(|batch| batch.seq), Some(4));
    assert_eq!(ids(&journal.resync(0)), [1, 2, 3, 4]);
    assert_eq!(unapplied(&journal), [1, 2, 3], "a service that wants to count from 1 gets its way");
}

#[test]
fn numbers_close_up_over_what_was_dropped() {
    let now = now();
    let mut journal = three_batches(now);
    journal.ack(1, 1);
    for n in 0..MAX_KEPT_EVENTS as u32 {
        journal.open(SessionName::Text(format!("s{n}").into()), session(now), now);
    }
    assert_eq!(journal.stats().dropped_events, 2);
    assert_eq!(ids(&journal.resume(1, 1)), [1, 2, 3]);
    assert_eq!(journal.next_batch(512).map(|batch| batch.seq), Some(2));
}

#[test]
fn what_is_kept_is_bounded_in_number_and_age() {
    let now = now();
    let mut journal = three_batches(now);
    for n in 0..MAX_KEPT_EVENTS as u32 + 10 {
        journal.open(SessionName::Text(format!("s{n}").into()), session(now), now);
    }
    assert_eq!((journal.pending(), journal.batches.len()), (MAX_KEPT_EVENTS, 0));
    assert!(journal.has_gap());
    assert_eq!(journal.resume(0, 0).len(), 13, "what was dropped is in the snapshot");
    assert!(!journal.has_gap());

    let mut journal = three_batches(now);
    let later = now + Duration::from_secs(MAX_KEPT_SECONDS);
    journal.open(id(9).into(), session(later), later);
    assert_eq!(journal.batches.len(), 0);
}

#[test]
fn no_more_is_in_flight_than_the_window_holds() {
    let now = now();
    let mut journal = Journal::default();
    for n in 0..3_000 {
        journal.open(SessionName::Text(format!("s{n}").into()), session(now), now);
    }
    let sent: usize = std::iter::from_fn(|| journal.next_batch(512).map(|batch| batch.events.len())).sum();
    assert_eq!((sent, journal.pending(), journal.can_send()), (2_048, 952, false));
    journal.ack(1, 0);
    assert!(journal.can_send() && journal.digest().is_none());
    journal.ack(u64::MAX, u64::MAX);
    assert_eq!((journal.in_flight(), journal.batches.len()), (0, 0));
}

#[test]
fn a_session_from_before_is_in_the_snapshot_and_in_no_batch() {
    let now = now();
    let mut journal = Journal::default();
    assert!(journal.hold(id(1), session(now)) && !journal.hold(id(1), session(now)));
    assert!(journal.open(id(2).into(), session(now), now));
    assert_eq!(ids(&journal.resume(0, 0)), [1]);
    assert!(journal.close(id(1), Outcome::Ok, now));
    assert_eq!(journal.next_batch(512).map(|batch| batch.events.len()), Some(2));
    assert_eq!(ids(&journal.resume(0, 0)), [1]);
}
