//! Moments in which one thread waits for a book while another changes what it has looked at already. Each is of something
//! that once went wrong.

#![allow(clippy::unwrap_used)]

use std::{sync::Arc, thread, time::Duration};

use crate::{
    live::{
        Attachment, Batch, Event, Hello, Live, Meter,
        learn::Learning,
        snapshot::Live as LiveSession,
        sync::{Ordering, lock},
    },
    model::{Bounds, Incarnation, Kind, Meter as Name, Now, Outcome, Project, SessionId, Tick, Time},
};

const WHO: Incarnation = Incarnation([7; 16]);
/// Long enough for a thread to come to a lock.
const A_WHILE: Duration = Duration::from_millis(50);

fn at(second: u64) -> Now {
    Now::at(Time::from_secs(second).after(Duration::from_millis(500)))
}

fn project() -> Project {
    Project::new("p").unwrap()
}

fn started() -> (Live, Arc<Meter>) {
    let live = Live::new(Bounds::default(), Tick(10));
    let meter = live.meter(&project(), &Name::new(Kind::Tts, "a/b", "", None).unwrap(), at(10)).unwrap();
    (live, meter)
}

fn attach(live: &Live) -> Attachment {
    let hello = Hello { project: project(), worker: "w".into(), incarnation: WHO, replaces: None, attach_seq: 1 };
    live.attach(&hello, at(10)).unwrap()
}

fn open(id: u8, meter: &Arc<Meter>) -> Event {
    Event::Open { id: SessionId([id; 16]), meter: meter.clone(), age: Duration::ZERO, labels: None }
}

#[test]
fn a_batch_that_the_roller_passed_by_is_not_durable_a_second_early() {
    let (live, meter) = started();
    let stream = attach(&live);
    assert!(matches!(live.snapshot(&stream, 0, Vec::new(), Some((0, 0)), at(10)), Ok(Batch::Applied(_))));
    thread::scope(|scope| {
        let book = live.all_books().remove(0);
        let held = lock(&book);
        let batch = scope.spawn(|| live.batch(&stream, 1, vec![open(1, &meter)], at(10)).unwrap());
        thread::sleep(A_WHILE);
        // The roller closes second 10, and then the batch is applied: it is in the frame of second 11.
        live.tick.store(11, Ordering::Release);
        drop(held);
        assert!(matches!(batch.join().unwrap(), Batch::Applied(_)));
    });
    live.set_durable(Tick(10));
    assert_eq!(live.acknowledged(&stream).unwrap(), (1, 0));
    live.set_durable(Tick(11));
    assert_eq!(live.acknowledged(&stream).unwrap(), (1, 1));
}

#[test]
fn batches_that_wait_for_a_store_that_is_away_take_no_more_and_more_room() {
    let (live, meter) = started();
    let stream = attach(&live);
    assert!(matches!(live.snapshot(&stream, 0, Vec::new(), Some((0, 0)), at(10)), Ok(Batch::Applied(_))));
    for seq in 1..=5_000 {
        let taken = live.batch(&stream, seq, vec![open(1, &meter)], at(10 + seq / 4)).unwrap();
        assert!(matches!(taken, Batch::Applied(_)));
    }
    assert!(lock(&live.all_books()[0]).undurable.len() <= 64);
    live.set_durable(Tick(20));
    assert_eq!(live.acknowledged(&stream).unwrap(), (5_000, 43));
    live.set_durable(Tick(10 + 5_000));
    assert_eq!(live.acknowledged(&stream).unwrap(), (5_000, 5_000));
}

#[test]
fn a_report_that_waits_while_a_goodbye_ends_its_book_goes_into_a_new_one() {
    let (live, meter) = started();
    let report = |id| {
        live.report(&project(), "w", WHO, Duration::from_secs(10), vec![open(id, &meter)], at(10)).unwrap();
    };
    report(1);
    thread::scope(|scope| {
        let book = live.all_books().remove(0);
        let mut held = lock(&book);
        let late = scope.spawn(|| report(2));
        thread::sleep(A_WHILE);
        live.books.remove(&(project(), WHO));
        live.end(&mut held, Outcome::Ok, at(10), false);
        drop(held);
        late.join().unwrap();
    });
    assert_eq!((meter.tally.word.level(), live.audit()), (1, vec![]));
    live.expire(at(21));
    assert_eq!(meter.tally.word.level(), 0);
}

#[test]
fn a_snapshot_that_waits_while_learning_ends_is_of_nothing_that_is_accounted_for_later() {
    let (live, meter) = started();
    let stream = attach(&live);
    *lock(&live.learning) = Some(Learning::new(Tick(5), at(22).mono, [(project(), WHO)].into()));
    let session =
        LiveSession { id: SessionId([1; 16]), meter: meter.clone(), age: Duration::from_secs(9), labels: None };
    let digest = session.id.digest();
    thread::scope(|scope| {
        let book = live.all_books().remove(0);
        let held = lock(&book);
        let snapshot = scope.spawn(|| live.snapshot(&stream, 0, vec![session], Some((1, digest)), at(10)).unwrap());
        thread::sleep(A_WHILE);
        *lock(&live.learning) = None;
        drop(held);
        assert!(matches!(snapshot.join().unwrap(), Batch::Applied(_)));
    });
    assert!(lock(&live.all_books()[0]).sessions().all(|(_, held)| !held.restored));
    assert_eq!(meter.totals().opened, 1);
}
