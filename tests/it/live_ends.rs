//! How books end, and what must not be left behind: each test is of something that once was.

use std::{
    sync::{Arc, Barrier},
    thread,
    time::Duration,
};

use highwater::{
    live::{
        Attachment, Batch, Event, Hello, Live, Meter, Roller,
        snapshot::{ChunkProblem, Live as LiveSession},
    },
    model::{
        Bounds, Coverage, Entry, Frame, Incarnation, Kind, Meter as Name, Minute, Now, Outcome, Project, SessionId,
        Time,
    },
    rollup::Rollup,
};

const WHO: Incarnation = Incarnation([7; 16]);
/// Longer than what a lease that ended is remembered.
const LONG: u64 = 10 + 15 * 60 + 1;

fn at(second: u64) -> Now {
    Now::at(Time::from_secs(7_200 + second).after(Duration::from_millis(500)))
}

fn project() -> Project {
    Project::new("p").unwrap()
}

fn started(bounds: Bounds) -> (Live, Arc<Meter>) {
    let live = Live::new(bounds, at(0).wall.tick());
    let meter = live.meter(&project(), &Name::new(Kind::Tts, "a/b", "", None).unwrap(), at(0)).unwrap();
    (live, meter)
}

fn attach(live: &Live, who: Incarnation, attach_seq: u64, second: u64) -> Attachment {
    let hello = Hello { project: project(), worker: "w".into(), incarnation: who, replaces: None, attach_seq };
    live.attach(&hello, at(second)).unwrap()
}

fn snapshot(live: &Live, stream: &Attachment, meter: &Arc<Meter>, ids: &[(u8, u64)], second: u64) {
    let session = |(id, since): &(u8, u64)| LiveSession {
        id: SessionId([*id; 16]),
        meter: meter.clone(),
        age: Duration::from_secs(second - since),
        labels: None,
    };
    let digest = ids.iter().fold(0, |digest, (id, _)| digest ^ SessionId([*id; 16]).digest());
    let last = Some((ids.len() as u64, digest));
    let taken = live.snapshot(stream, 0, ids.iter().map(session).collect(), last, at(second)).unwrap();
    assert!(matches!(taken, Batch::Applied(_)), "{taken:?}");
}

fn open(id: u8, meter: &Arc<Meter>, age: u64) -> Event {
    Event::Open { id: SessionId([id; 16]), meter: meter.clone(), age: Duration::from_secs(age), labels: None }
}

fn beat(live: &Live, stream: &Attachment, second: u64) {
    assert_eq!(live.beat(stream, None, at(second)).unwrap(), Batch::Ignored);
}

#[test]
fn a_stream_that_was_silent_for_longer_than_its_book_is_kept_leaks_nothing() {
    let (live, meter) = started(Bounds::default());
    let stream = attach(&live, WHO, 1, 0);
    snapshot(&live, &stream, &meter, &[(1, 0)], 0);
    live.expire(at(11));
    live.expire(at(LONG));
    // It wakes up: whatever it is told, what it then says must end with its next lease.
    if live.batch(&stream, 1, vec![open(2, &meter, 0)], at(LONG + 1)).is_ok() {
        snapshot(&live, &stream, &meter, &[(1, 0), (2, LONG)], LONG + 2);
        assert_eq!((meter.tally.word.level(), live.audit()), (2, vec![]));
    }
    live.expire(at(LONG + 20));
    assert_eq!((meter.tally.word.level(), live.audit()), (0, vec![]));
    drop(stream);
    live.expire(at(3 * LONG));
    assert_eq!(live.all_books().len(), 0);
}

#[test]
fn a_report_beside_a_goodbye_leaves_no_session_in_a_book_that_nobody_ends() {
    let (live, meter) = started(Bounds::default());
    for round in 0..500_u16 {
        let mut who = [0; 16];
        who[..2].copy_from_slice(&round.to_le_bytes());
        let who = Incarnation(who);
        let lease = Duration::from_secs(10);
        let both = Barrier::new(2);
        live.report(&project(), "w", who, lease, vec![open(1, &meter, 0)], at(0)).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                both.wait();
                live.report(&project(), "w", who, lease, vec![open(2, &meter, 0)], at(0)).unwrap();
            });
            scope.spawn(|| {
                both.wait();
                live.goodbye(&project(), who, Outcome::Ok, at(0));
            });
        });
    }
    live.expire(at(11));
    assert_eq!(meter.tally.word.level(), 0);
    assert_eq!(live.audit(), []);
}

#[test]
fn a_worker_that_was_silent_and_holds_nothing_still_covers_what_it_declared() {
    let (live, meter) = started(Bounds::default());
    let stream = attach(&live, WHO, 1, 0);
    live.declare(&stream, std::slice::from_ref(&meter), at(0)).unwrap();
    snapshot(&live, &stream, &meter, &[], 0);
    live.expire(at(11));
    assert_eq!(meter.coverage(), Coverage::None);
    assert_eq!(live.batch(&stream, 1, vec![open(1, &meter, 0)], at(12)).unwrap(), Batch::Expired { lost: 0 });
    assert_eq!(meter.coverage(), Coverage::Partial, "what it holds it has not said yet");
    snapshot(&live, &stream, &meter, &[], 12);
    assert_eq!(meter.coverage(), Coverage::Full);
    // The same for a stream that broke, and one that is asked again since it and its book differ.
    live.detach(&stream);
    let stream = attach(&live, WHO, 2, 12);
    assert_eq!((meter.coverage(), meter.has_silent()), (Coverage::Partial, false));
    snapshot(&live, &stream, &meter, &[(1, 12)], 12);
    assert_eq!(meter.coverage(), Coverage::Full);
    assert!(matches!(live.beat(&stream, Some((0, 2, 7)), at(12)), Ok(Batch::DigestMismatch { .. })));
    assert_eq!(meter.coverage(), Coverage::Partial);
    snapshot(&live, &stream, &meter, &[], 12);
    assert_eq!(meter.coverage(), Coverage::Full);
    live.goodbye(&project(), WHO, Outcome::Ok, at(13));
    assert!(!meter.has_reporters() && !meter.has_silent());
}

#[test]
fn a_worker_that_was_lost_and_came_back_while_the_roller_was_held_up_leaves_no_zero_that_seems_known() {
    let (live, meter) = started(Bounds::default());
    let mut roller = Roller::default();
    let stream = attach(&live, WHO, 1, 0);
    snapshot(&live, &stream, &meter, &[(1, 0), (2, 0)], 0);
    let mut frames = roller.roll(&live, at(5));
    live.expire(at(11));
    let stream = attach(&live, WHO, 2, 13);
    snapshot(&live, &stream, &meter, &[(1, 0), (2, 0)], 13);
    frames.extend(roller.roll(&live, at(15)));
    frames.extend(roller.roll(&live, at(17)));
    let told = |frame: &Frame| frame.entries.iter().find(|entry| entry.key == meter.tally.id.0).cloned();
    let (mut entry, mut seen) = (Entry::default(), Vec::new());
    for frame in &frames {
        entry = told(frame).unwrap_or(entry);
        seen.push((entry.level, entry.coverage()));
    }
    assert!(seen.contains(&(0, Coverage::Partial)) && !seen.contains(&(0, Coverage::Full)), "{seen:?}");
    assert_eq!(seen.last(), Some(&(2, Coverage::Full)), "{seen:?}");
}

#[test]
fn a_declaration_after_the_lease_ended_does_not_make_a_dead_worker_a_reporter() {
    let (live, meter) = started(Bounds::default());
    let stream = attach(&live, WHO, 1, 0);
    snapshot(&live, &stream, &meter, &[], 0);
    live.expire(at(11));
    live.declare(&stream, std::slice::from_ref(&meter), at(12)).unwrap();
    live.detach(&stream);
    drop(stream);
    live.expire(at(12 + LONG));
    assert!(!meter.has_reporters());
}

#[test]
fn books_of_crashed_workers_are_bounded() {
    let bounds = Bounds { workers_per_project: 10, ..Bounds::default() };
    let (live, _) = started(bounds);
    for wave in 0..9_u8 {
        for worker in 0..10 {
            drop(attach(&live, Incarnation([wave * 10 + worker; 16]), 1, u64::from(wave) * 11));
        }
        live.expire(at(u64::from(wave) * 11 + 11));
    }
    live.expire(at(100));
    assert_eq!(live.all_books().len(), 10);
}

#[test]
fn a_second_silence_before_the_snapshot_leaves_no_hole_after_the_first() {
    let (live, meter) = started(Bounds::default());
    let mut roller = Roller::default();
    let stream = attach(&live, WHO, 1, 0);
    snapshot(&live, &stream, &meter, &[(1, 0)], 0);
    roller.roll(&live, at(11));
    let again = attach(&live, WHO, 2, 15);
    assert_eq!(again.lost_before, 1);
    roller.roll(&live, at(26));
    let third = attach(&live, WHO, 3, 30);
    assert_eq!(third.lost_before, 1);
    snapshot(&live, &third, &meter, &[(1, 0)], 30);
    let frames = roller.roll(&live, at(31));
    let late = frames.iter().flat_map(|frame| &frame.entries).find(|entry| !entry.late.is_empty()).unwrap();
    assert_eq!(late.late[0].from, at(12).wall.tick().0);
    beat(&live, &third, 32);
}

fn sessions(meter: &Arc<Meter>, ids: std::ops::Range<u32>) -> (Vec<LiveSession>, Option<(u64, u64)>) {
    let id = |n: u32| {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&n.to_le_bytes());
        SessionId(id)
    };
    let live = |n| LiveSession { id: id(n), meter: meter.clone(), age: Duration::ZERO, labels: None };
    let sessions: Vec<_> = ids.map(live).collect();
    let digest = sessions.iter().fold(0, |digest, session| digest ^ session.id.digest());
    let last = Some((sessions.len() as u64, digest));
    (sessions, last)
}

#[test]
fn snapshots_that_never_end_are_bounded_by_their_project() {
    let (live, meter) = started(Bounds { sessions_per_project: 100, ..Bounds::default() });
    let streams: Vec<_> = (0..3).map(|worker| attach(&live, Incarnation([worker; 16]), 1, 0)).collect();
    let begin = |stream: usize| live.snapshot(&streams[stream], 0, sessions(&meter, 0..5_050).0, None, at(1)).unwrap();
    assert!(matches!((begin(0), begin(1)), (Batch::Applied(_), Batch::Applied(_))));
    assert_eq!(begin(2), Batch::BadSnapshot(ChunkProblem::TooMany));
    live.detach(&streams[0]);
    assert!(matches!(begin(2), Batch::Applied(_)), "a stream that broke makes room");
}

#[test]
fn a_worker_that_swaps_all_it_holds_again_and_again_takes_no_more_and_more_room() {
    let (live, meter) = started(Bounds { tombstones_per_book: 100, ..Bounds::default() });
    let stream = attach(&live, WHO, 1, 0);
    for round in 0..50 {
        let (sessions, last) = sessions(&meter, round * 50..(round + 1) * 50);
        assert!(matches!(live.snapshot(&stream, 0, sessions, last, at(1)).unwrap(), Batch::Applied(_)));
    }
    let totals = meter.totals();
    // All but the live ones, and the hundred whose outcome is waited for, have ended as lost.
    assert_eq!((totals.opened, totals.closed[Outcome::Lost.index()]), (50 * 50, 50 * 50 - 50 - 100));
}

#[test]
fn a_meter_that_threads_make_at_once_is_one_meter_of_the_bound() {
    let most = 40;
    let live = Live::new(Bounds { meters_per_project: most, ..Bounds::default() }, at(0).wall.tick());
    for nth in 0..most {
        let name = Name::new(Kind::Tts, &format!("a/b{nth}"), "", None).unwrap();
        let both = Barrier::new(2);
        thread::scope(|scope| {
            let make = || {
                both.wait();
                drop(live.meter(&project(), &name, at(0)));
            };
            scope.spawn(make);
            scope.spawn(make);
        });
        assert!(live.meter(&project(), &name, at(0)).is_ok(), "meter {nth}");
    }
}

#[test]
fn a_lease_that_ends_as_the_clock_jumps_leaves_the_last_second_its_peak() {
    let (live, meter) = started(Bounds::default());
    let mut roller = Roller::default();
    let ghost = attach(&live, WHO, 1, 0);
    snapshot(&live, &ghost, &meter, &[(1, 0)], 0);
    roller.roll(&live, at(9));
    let other = attach(&live, Incarnation([8; 16]), 1, 9);
    snapshot(&live, &other, &meter, &[(2, 9), (3, 9)], 9);
    snapshot(&live, &other, &meter, &[(2, 9)], 9);
    let jumped = Now { wall: at(60).wall, mono: at(11).mono };
    let frames = roller.roll(&live, jumped);
    let entry = frames[0].entries.iter().find(|entry| entry.key == meter.tally.id.0).unwrap();
    assert_eq!((frames[0].tick, entry.peak, entry.level), (at(9).wall.tick().0, 3, 2));
}

#[test]
fn a_clock_set_by_years_makes_no_years_of_minutes() {
    const YEARS: u64 = 50 * 365 * 24 * 3_600;
    let (live, meter) = started(Bounds::default());
    let (mut roller, mut rollup) = (Roller::default(), Rollup::new(Duration::from_secs(900), None));
    let stream = attach(&live, WHO, 1, 0);
    snapshot(&live, &stream, &meter, &[(1, 0)], 0);
    let mut told = 0;
    for second in 0..200 {
        let wall = at(if second < 100 { second } else { second + YEARS }).wall;
        let now = Now { wall, mono: at(second).mono };
        assert_eq!(live.beat(&stream, None, now).unwrap(), Batch::Ignored);
        for frame in roller.roll(&live, now) {
            told += 1 + frame.repeat;
            rollup.apply(&frame);
        }
    }
    assert_eq!(told, 200, "each second that was lived through, and the one in which the clock was set");
    let points = rollup.points(meter.tally.id, Minute(0)..Minute(u32::MAX));
    assert_eq!(points.iter().map(|(_, point)| u64::from(point.covered)).sum::<u64>(), told);
    assert!(points.iter().all(|(_, point)| point.peak == 1));
    assert_eq!(rollup.level(meter.tally.id), 1);
}

#[test]
fn a_model_that_nobody_uses_any_more_does_not_leave_its_pool_unknown_for_ever() {
    let (live, used) = started(Bounds::default());
    let name = Name::new(Kind::Tts, "a/retired", "", None).unwrap();
    let retired = live.meter(&project(), &name, at(0)).unwrap();
    let (mut roller, mut rollup) = (Roller::default(), Rollup::new(Duration::from_secs(900), None));
    let stream = attach(&live, WHO, 1, 0);
    snapshot(&live, &stream, &used, &[(1, 0)], 0);
    let crashed = attach(&live, Incarnation([8; 16]), 1, 0);
    snapshot(&live, &crashed, &retired, &[(2, 0)], 0);
    live.detach(&crashed);
    let pool = used.pools[0].id;
    for second in 1..1_000 {
        beat(&live, &stream, second);
        roller.roll(&live, at(second)).iter().for_each(|frame| rollup.apply(frame));
        let expected = if (5..900).contains(&second) { Coverage::Partial } else { Coverage::Full };
        if ![1, 2, 3, 4].contains(&second) && !(900..925).contains(&second) {
            assert_eq!(rollup.coverage(pool), expected, "second {second}");
        }
    }
    assert_eq!(rollup.coverage(retired.tally.id), Coverage::None, "of the model itself nothing is known");
}
