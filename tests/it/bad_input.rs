//! Hostile input, straight to the engine and the decoders: each gets its error or its due, whole or not at all; nothing
//! panics, nothing grows beyond its bound, and the project beside it never notices.

use std::{sync::Arc, time::Duration};

use highwater::{
    api::ingest::{decode, handles::Handles},
    import::{
        Gathered, ImportError, Options, run,
        trace::{HEADER, TraceReader},
    },
    live::{
        Applied, Attachment, Batch, BoundReached, Event, Gone, Hello, Live, Meter, Refusal, Roller, Said, Told,
        snapshot::{ChunkProblem, Live as LiveSession},
    },
    model::{
        Bounds, Incarnation, Kind, Labels, Meter as Name, Minute, Now, Outcome, Point, Project, SessionId, Tick, Time,
    },
    proto::{self, ColumnBatch},
    rollup::Rollup,
    store::embedded::EmbeddedStore,
};

const START: u64 = 3_600 * 277_778;
const ABSURD: Duration = Duration::from_micros(u64::MAX);

/// A live state with a project `p` that is attacked, and a project `beside` that holds one session all the while.
struct World {
    live: Live,
    roller: Roller,
    rollup: Rollup,
    now: Now,
    stream: Attachment,
    meter: Arc<Meter>,
    neighbour: Attachment,
    beside: Arc<Meter>,
}

fn project(name: &str) -> Project {
    Project::new(name).unwrap()
}

fn id(n: u64) -> SessionId {
    SessionId(u128::from(n).to_le_bytes())
}

fn attach(live: &Live, to: &str, incarnation: u8, now: Now) -> Result<Attachment, Refusal> {
    let hello = Hello {
        project: project(to),
        worker: "w".into(),
        incarnation: Incarnation([incarnation; 16]),
        replaces: None,
        attach_seq: 1,
    };
    let stream = live.attach(&hello, now)?;
    let empty = live.snapshot(&stream, 0, Vec::new(), Some((0, 0)), now)?;
    assert!(matches!(empty, Batch::Applied(_)));
    Ok(stream)
}

fn meter(live: &Live, of: &str, model: &str, now: Now) -> Result<Arc<Meter>, BoundReached> {
    live.meter(&project(of), &Name::new(Kind::Tts, model, "", None).unwrap(), now)
}

impl World {
    fn new(bounds: Bounds) -> Self {
        let now = Now::at(Time::from_secs(START));
        let live = Live::new(bounds, now.wall.tick());
        let (stream, neighbour) = (attach(&live, "p", 1, now).unwrap(), attach(&live, "beside", 1, now).unwrap());
        let (own, beside) = (meter(&live, "p", "a/x", now).unwrap(), meter(&live, "beside", "a/y", now).unwrap());
        let world = Self {
            roller: Roller::default(),
            rollup: Rollup::new(live.bounds.late_until, None),
            now,
            stream,
            meter: own,
            neighbour,
            beside: beside.clone(),
            live,
        };
        let open = Event::Open { id: id(1), meter: beside, age: Duration::ZERO, labels: None };
        assert!(matches!(world.live.batch(&world.neighbour, 1, vec![open], now), Ok(Batch::Applied(_))));
        world
    }

    fn open(&self, n: u64, age: Duration) -> Event {
        Event::Open { id: id(n), meter: self.meter.clone(), age, labels: None }
    }

    fn close(&self, n: u64, age: Duration) -> Event {
        Event::Close { id: id(n), outcome: Outcome::Ok, age, meter: Some(self.meter.clone()) }
    }

    #[track_caller]
    fn send(&self, seq: u64, events: Vec<impl Told>) -> Applied {
        match self.live.batch(&self.stream, seq, events, self.now).unwrap() {
            Batch::Applied(applied) => applied,
            other => panic!("{other:?}"),
        }
    }

    fn snapshot(&self, ids: std::ops::Range<u64>, age: Duration) -> Result<Batch, Gone> {
        let session = |n| LiveSession { id: id(n), meter: self.meter.clone(), age, labels: None };
        let digest = ids.clone().fold(0, |digest, n| digest ^ id(n).digest());
        let last = Some((ids.end - ids.start, digest));
        self.live.snapshot(&self.stream, 0, ids.map(session).collect(), last, self.now)
    }

    fn level(&self) -> u32 {
        self.meter.tally.word.level()
    }

    fn lost(&self) -> u64 {
        self.meter.totals().closed[Outcome::Lost.index()]
    }

    fn pass(&mut self, time: Duration) {
        self.now = Now::at(self.now.wall.after(time));
        assert_eq!(self.live.beat(&self.neighbour, None, self.now), Ok(Batch::Ignored));
        for frame in self.roller.roll(&self.live, self.now) {
            self.rollup.apply(&frame);
        }
    }

    /// All points of the attacked meter.
    fn points(&mut self) -> Vec<(Minute, Point)> {
        self.rollup.points(self.meter.tally.id, Minute(0)..Minute(u32::MAX))
    }

    /// Levels are those of the records, and the project beside holds its one session.
    #[track_caller]
    fn check(&self, level: u32) {
        assert_eq!(self.live.audit(), []);
        assert_eq!((self.level(), self.beside.tally.word.level()), (level, 1));
    }
}

#[test]
fn absurd_ages_end_nowhere_but_in_their_flags() {
    let ages = [Duration::ZERO, Duration::from_micros(2_000_001), Duration::from_secs(900), ABSURD, Duration::MAX];
    let mut world = World::new(Bounds::default());
    let mut events = Vec::new();
    for (n, open) in (0..).zip(ages) {
        for (m, close) in (0..).zip(ages) {
            let n = 100 + n * 10 + m;
            events.extend([world.open(n, open), world.close(n, close)]);
            // Overtaken: the end comes first.
            events.extend([world.close(n + 1_000, close), world.open(n + 1_000, open)]);
        }
    }
    let applied = world.send(1, events);
    assert_eq!((applied.grown, applied.changed), (0, 75), "an end that overtakes changes nothing yet");
    world.check(0);
    let totals = world.meter.totals();
    assert_eq!((totals.opened, totals.closed[Outcome::Ok.index()]), (50, 50));
    world.pass(Duration::from_secs(2));
    let points = world.points();
    let oldest = Tick(START - 900).minute();
    assert!(points.iter().all(|(minute, _)| *minute >= oldest), "{:?}", points.first());
    let minute = Tick(START).minute();
    assert!(points.iter().any(|(at, p)| *at == minute && p.flags.has(highwater::model::Flags::LATE_DROPPED)));

    assert!(matches!(world.snapshot(5_000..5_010, ABSURD), Ok(Batch::Applied(_))));
    world.check(10);
    world.pass(Duration::from_secs(2));
    assert!(world.points().iter().all(|(minute, _)| *minute >= oldest));
}

#[test]
fn a_batch_of_old_connects_is_one_sweep() {
    let mut world = World::new(Bounds::default());
    world.pass(Duration::from_secs(1_000));
    world.stream = attach(&world.live, "p", 2, world.now).unwrap();
    let sessions = world.live.bounds.batch_events as u64;
    let age = |n: u64| Duration::from_millis(900_000 - n * 7);
    let events = (0..sessions).map(|n| world.open(10 + n, age(n))).collect();
    assert_eq!(world.send(1, events).changed, 4_096);
    world.pass(Duration::from_secs(1));
    world.check(4_096);
    let points = world.points();
    let (_, last) = points.last().unwrap();
    assert_eq!(last.peak, 4_096);
    let first = points.iter().find(|(_, point)| point.peak > 0).unwrap();
    assert_eq!(first.0, Tick(START + 100).minute());
}

#[test]
fn numbers_of_batches_may_be_anything() {
    let world = World::new(Bounds::default());
    world.send(u64::MAX, vec![world.open(1, Duration::ZERO)]);
    for seq in [0, 1, u64::MAX - 1, u64::MAX] {
        let again = world.live.batch(&world.stream, seq, vec![world.open(2, Duration::ZERO)], world.now);
        assert_eq!(again, Ok(Batch::Ignored));
    }
    world.check(1);

    let world = World::new(Bounds::default());
    world.send(0, vec![world.open(1, Duration::ZERO)]);
    let gap = world.live.batch(&world.stream, u64::MAX, vec![world.open(2, Duration::ZERO)], world.now);
    assert_eq!(gap, Ok(Batch::Gap { applied_seq: 0 }));
    world.check(1);
}

#[test]
fn a_flood_of_ends_without_beginnings_is_forgotten_from_its_start() {
    let bounds = Bounds { tombstones_per_book: 100, ..Bounds::default() };
    let world = World::new(bounds);
    for batch in 0..50 {
        let ends = (0..1_000).map(|n| world.close(batch * 1_000 + n, Duration::ZERO)).collect();
        assert_eq!(world.send(batch + 1, ends), Applied { duplicates: 1_000, ..Applied::default() });
    }
    world.check(0);
    // The last hundred are remembered: their connects are counted as over. Those before are not.
    let opens = [49_899, 49_900, 49_999].map(|n| world.open(n, Duration::ZERO));
    assert_eq!(world.send(51, opens.into()).grown, 1);
    world.check(1);
}

#[test]
fn what_must_be_whole_and_has_no_room_is_refused_whole() {
    let world = World::new(Bounds { sessions_per_project: 10, ..Bounds::default() });
    world.send(1, (0..8).map(|n| world.open(n, Duration::ZERO)).collect());
    let more = (8..12).map(|n| world.open(n, Duration::ZERO)).collect();
    let bound = BoundReached { what: "sessions_per_project", most: 10 };
    assert_eq!(world.live.whole_batch(&world.stream, 2, more, world.now), Err(Refusal::Bound(bound)));
    world.check(8);
    assert_eq!(world.meter.totals().opened, 8);
    // It can be said again, smaller, with the same number.
    assert_eq!(world.send(2, vec![world.close(0, Duration::ZERO), world.open(8, Duration::ZERO)]).grown, 0);
    world.check(8);
}

#[test]
fn meters_and_workers_end_at_their_bounds() {
    let bounds = Bounds { meters_per_project: 3, workers_per_project: 2, projects: 2, ..Bounds::default() };
    let world = World::new(bounds);
    let (live, now) = (&world.live, world.now);
    let flood = (0..1_000).filter(|n| meter(live, "p", &format!("flood/m{n}"), now).is_ok());
    assert_eq!(flood.count(), 2);
    assert_eq!(meter(live, "p", "a/new", now).unwrap_err(), BoundReached { what: "meters_per_project", most: 3 });
    assert!(Arc::ptr_eq(&meter(live, "p", "a/x", now).unwrap(), &world.meter), "what is there is still found");
    assert!(meter(live, "beside", "a/new", now).is_ok());

    let flood: Vec<_> = (2..=255).filter_map(|n| attach(live, "p", n, now).ok()).collect();
    assert_eq!(flood.len(), 1);
    let refused = attach(live, "p", 77, now).unwrap_err();
    assert_eq!(refused, Refusal::Bound(BoundReached { what: "workers_per_project", most: 2 }));
    assert!(attach(live, "beside", 2, now).is_ok());
    live.goodbye(&project("p"), Incarnation([2; 16]), Outcome::Ok, now);
    assert!(attach(live, "p", 77, now).is_ok(), "one left, one may come");

    assert_eq!(meter(live, "third", "a/x", now).unwrap_err(), BoundReached { what: "projects", most: 2 });
    assert_eq!(attach(live, "third", 1, now).unwrap_err(), Refusal::Bound(BoundReached { what: "projects", most: 2 }));
    world.check(0);
}

#[test]
fn snapshots_that_do_not_add_up_change_nothing() {
    let world = World::new(Bounds::default());
    world.send(1, (0..5).map(|n| world.open(n, Duration::ZERO)).collect());
    let chunk = |index, ids: std::ops::Range<u64>, last| {
        let session = |n| LiveSession { id: id(n), meter: world.meter.clone(), age: Duration::ZERO, labels: None };
        world.live.snapshot(&world.stream, index, ids.map(session).collect(), last, world.now).unwrap()
    };
    let bad = Batch::BadSnapshot;
    assert_eq!(chunk(7, 10..12, None), bad(ChunkProblem::OutOfOrder { expected: 0 }));
    assert_eq!(chunk(u32::MAX, 10..12, Some((2, 0))), bad(ChunkProblem::OutOfOrder { expected: 0 }));
    assert_eq!(chunk(0, 10..12, Some((3, 0))), bad(ChunkProblem::Mismatch));
    assert_eq!(chunk(0, 10..12, Some((2, 12_345))), bad(ChunkProblem::Mismatch));
    assert_eq!(chunk(0, 10..12, Some((u64::MAX, u64::MAX))), bad(ChunkProblem::Mismatch));
    // Begun, begun anew, and never ended.
    assert!(matches!(chunk(0, 10..12, None), Batch::Applied(_)));
    assert!(matches!(chunk(0, 20..22, None), Batch::Applied(_)));
    assert_eq!(chunk(2, 30..32, None), bad(ChunkProblem::OutOfOrder { expected: 1 }));
    world.check(5);
    // A batch before the snapshot that was asked for is passed over.
    let passed = world.live.batch(&world.stream, 2, vec![world.open(40, Duration::ZERO)], world.now);
    assert_eq!(passed, Ok(Batch::Ignored));
    // The same session twice in a snapshot is one.
    let twice = id(50).digest() ^ id(51).digest();
    assert!(matches!(chunk(0, 50..52, None), Batch::Applied(_)));
    assert!(matches!(chunk(1, 50..52, Some((2, twice))), Batch::Applied(_)));
    world.check(2);
}

#[test]
fn a_flood_of_snapshots_keeps_no_more_ends_open_than_a_project_may_hold() {
    let mut world = World::new(Bounds { sessions_per_project: 100, ..Bounds::default() });
    for round in 0..50 {
        assert!(matches!(world.snapshot(round * 100..(round + 1) * 100, Duration::ZERO), Ok(Batch::Applied(_))));
        world.check(100);
    }
    // Of 4,900 that left, 100 at most are still awaited.
    assert!(world.lost() >= 4_800, "{} are given up", world.lost());
    assert!(matches!(world.snapshot(0..0, Duration::ZERO), Ok(Batch::Applied(_))));
    world.pass(Duration::from_secs(11));
    assert_eq!((world.lost(), world.meter.totals().opened), (5_000, 5_000));
    world.check(0);
}

/// A batch of connects in columns, as an honest worker sends it.
fn columns(rows: u64) -> ColumnBatch {
    ColumnBatch {
        seq: 1,
        session_ids: (0..rows).flat_map(|n| id(n).0).collect::<Vec<u8>>().into(),
        outcomes: vec![0; rows as usize].into(),
        handles: vec![1; rows as usize],
        ..ColumnBatch::default()
    }
}

#[test]
fn columns_that_do_not_fit_are_refused_by_name() {
    let world = World::new(Bounds::default());
    let handles: Handles = [(1, world.meter.clone())].into_iter().collect();
    let check = |spoil: &dyn Fn(&mut ColumnBatch), words: &str| {
        let mut batch = columns(4);
        spoil(&mut batch);
        let refused = decode::columns(&batch, &handles, 4_096).unwrap_err();
        let said = format!("{refused} {refused:?}");
        assert!(said.contains(words), "{said}");
    };
    let labels = |room: &str| proto::Labels { room: room.to_owned(), job: String::new() };
    check(&|batch| batch.seq = 0, "columns.seq");
    check(&|batch| *batch = ColumnBatch { seq: 1, ..ColumnBatch::default() }, "columns.outcomes");
    check(&|batch| *batch = columns(4_097), "batch_events");
    check(&|batch| batch.session_ids.truncate(63), "columns.session_ids");
    check(&|batch| batch.session_ids = vec![0; 80].into(), "columns.session_ids");
    check(&|batch| batch.handles.truncate(3), "columns.handles");
    check(&|batch| batch.handles[2] = 9, "columns.handles[2]");
    check(&|batch| batch.handles[2] = u32::MAX, "columns.handles[2]");
    check(&|batch| batch.ages_us = vec![1; 3], "columns.ages_us");
    check(&|batch| batch.label_refs = vec![0; 5], "columns.label_refs");
    check(&|batch| batch.label_refs = vec![0, 0, 0, 1], "columns.label_refs[3]");
    check(&|batch| batch.label_refs = vec![u32::MAX; 4], "columns.label_refs[0]");
    check(&|batch| batch.labels = vec![labels("r"); 5], "columns.labels");
    check(&|batch| batch.labels = vec![labels("r"), labels(&"r".repeat(65))], "columns.labels[1].room");
    check(&|batch| batch.labels = vec![labels("\u{1b}[2J")], "columns.labels[0].room");
    check(&|batch| batch.outcomes = vec![0, 10, 0, 0].into(), "columns.outcomes[1]");
    check(&|batch| batch.outcomes = vec![0, 0, 255, 0].into(), "columns.outcomes[2]");
}

#[test]
fn labels_go_with_their_sessions() {
    let world = World::new(Bounds::default());
    let handles: Handles = [(1, world.meter.clone())].into_iter().collect();
    let mut batch = columns(4_096);
    batch.labels = (0..4_096).map(|n| proto::Labels { room: format!("{n:064}"), job: "j".repeat(64) }).collect();
    batch.label_refs = (1..=4_096).collect();
    let events = decode::columns(&batch, &handles, 4_096).unwrap();
    let labelled = |event: &Said<'_>| matches!(event, Said::Open { labels: Some(l), .. } if **l != Labels::default());
    assert!(events.iter().all(labelled));
    assert_eq!(world.send(1, events).grown, 4_096);
    let held = || -> usize {
        let count = |book: &highwater::live::Book| book.sessions().filter(|(_, held)| held.labels.is_some()).count();
        world.live.all_books().iter().map(|book| count(&book.lock().unwrap())).sum()
    };
    assert_eq!(held(), 4_096);
    batch.outcomes = vec![1; 4_096].into();
    assert_eq!(world.send(2, decode::columns(&batch, &handles, 4_096).unwrap()).grown, -4_096);
    assert_eq!(held(), 0);
    world.check(0);
}

/// Imports a trace into a store in memory; returns the peaks of its meters.
fn import(rows: &str) -> Result<Vec<u32>, ImportError> {
    let mut trace = Gathered::default();
    let text = format!("{HEADER}\n{rows}");
    TraceReader::new(text.as_bytes()).unwrap().for_each(|item| trace.take(item.unwrap()));
    let options = Options { project: project("p"), replace: false };
    let report = run(&EmbeddedStore::in_memory().unwrap(), &trace, &options, &mut || Ok(()), &mut |_, _| {})?;
    Ok(report.meters.iter().map(|line| line.peak).collect())
}

#[test]
fn a_trace_of_centuries_is_refused_and_a_long_pause_is_not() {
    let first = "s1,w,tts,a/x,1999-01-01T00:00:00Z,1999-01-01T00:00:05Z";
    let far = import(&format!("{first}\ns2,w,tts,a/x,9998-01-01T00:00:00Z,9998-01-01T00:00:05Z"));
    let error = far.unwrap_err().to_string();
    let ends = "from 1999-01-01T00:00:00Z (line 2) to 9998-01-01T00:00:05Z (line 3)";
    assert!(error.contains(ends), "{error}");
    // A session of centuries is skipped, the others are imported.
    let long = "s2,w,tts,a/x,1999-01-01T00:00:00Z,9998-01-01T00:00:05Z";
    assert_eq!(import(&format!("{long}\n{first}")).unwrap(), [1]);
    let paused = format!("{first}\ns2,w,tts,a/x,1999-03-01T00:00:00Z,1999-03-01T00:00:05Z");
    assert_eq!(import(&paused).unwrap(), [1]);
}
