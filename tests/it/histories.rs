//! Random histories: workers that repeat themselves, come out of order, lose streams, come back with snapshots, restart,
//! fall silent, under a clock that jumps. After each, levels, peaks and sums must be those of a naive ledger.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use highwater::{
    live::{Attachment, Batch, Event, Hello, Live, Meter, Roller, snapshot::Live as LiveSession},
    model::{
        Bounds, Hour, Incarnation, KeyId, Kind, Meter as Name, Minute, Now, Outcome, Project, SessionId, Slew,
        SparseCounts, Tick, Time,
    },
    rollup::Rollup,
};
use proptest::prelude::*;

use self::op::{Op, op};
use crate::ledger::Ledger;

mod op;

const METERS: [(Kind, &str); 4] = [(Kind::Tts, "a/x"), (Kind::Tts, "a/y"), (Kind::Stt, "b/z"), (Kind::Agent, "")];
const WORKERS: usize = 3;
const START: u64 = 1_000_000 * 3_600;

struct Worker {
    who: Incarnation,
    stream: Option<Attachment>,
    older: Option<Attachment>,
    attach_seq: u64,
    seq: u64,
    last: Vec<Event>,
}

struct World {
    live: Live,
    roller: Roller,
    rollup: Rollup,
    meters: Vec<Arc<Meter>>,
    ledger: Ledger,
    workers: Vec<Worker>,
    wall: u64,
    mono: u64,
    slew: Slew,
    incarnations: u8,
}

fn session(id: u8) -> SessionId {
    SessionId([id; 16])
}

impl World {
    fn new() -> Self {
        let now = Now { wall: Time(START), mono: Time(0) };
        let live = Live::new(Bounds::default(), now.wall.tick());
        let project = Project::new("p").unwrap();
        let meter = |(kind, model): (Kind, &str)| {
            live.meter(&project, &Name::new(kind, model, "", None).unwrap(), now).unwrap()
        };
        let meters = METERS.map(meter).to_vec();
        let mut world = Self {
            live,
            roller: Roller::default(),
            rollup: Rollup::new(Duration::from_secs(900), None),
            meters,
            ledger: Ledger::default(),
            workers: Vec::new(),
            wall: START,
            mono: 0,
            slew: Slew::default(),
            incarnations: 0,
        };
        for _ in 0..WORKERS {
            let who = world.incarnation();
            world.workers.push(Worker { who, stream: None, older: None, attach_seq: 0, seq: 0, last: Vec::new() });
        }
        (0..WORKERS).for_each(|worker| world.attach(worker, None, &[]));
        world
    }

    fn incarnation(&mut self) -> Incarnation {
        self.incarnations += 1;
        Incarnation([self.incarnations; 16])
    }

    fn now(&self) -> Now {
        { self.slew }.now(Time(self.wall), Time(self.mono))
    }

    /// The second that what happens now belongs to.
    fn tick(&self) -> u64 {
        self.live.tick(self.now()).0
    }

    /// Each step happens at a moment of its own, and the roller has come by in every second.
    fn roll(&mut self) {
        self.wall += 2;
        self.mono += 2;
        self.slew.now(Time(self.wall), Time(self.mono));
        // Leases that are over end now, in the second that is being rolled or the one that begins.
        let over: Vec<_> =
            self.ledger.deadlines.iter().filter(|(_, until)| **until <= self.mono).map(|(who, _)| *who).collect();
        for who in over {
            let last = self.now().wall.tick_before().0.max(self.live.tick(Now::at(Time(0))).0);
            self.ledger.end_all(last, who);
        }
        for frame in self.roller.roll(&self.live, self.now()) {
            self.rollup.apply(&frame);
        }
    }

    fn attach(&mut self, worker: usize, replaces: Option<Incarnation>, snapshot: &[(u8, usize)]) {
        let now = self.now();
        let w = &mut self.workers[worker];
        w.attach_seq += 1;
        let hello = Hello {
            project: Project::new("p").unwrap(),
            worker: "w".into(),
            incarnation: w.who,
            replaces,
            attach_seq: w.attach_seq,
        };
        let stream = self.live.attach(&hello, now).unwrap();
        let sessions = snapshot.iter().map(|(id, meter)| LiveSession {
            id: session(*id),
            meter: self.meters[*meter].clone(),
            age: Duration::ZERO,
            labels: None,
        });
        let digest = snapshot.iter().fold(0, |digest, (id, _)| digest ^ session(*id).digest());
        let last = Some((snapshot.len() as u64, digest));
        let taken = self.live.snapshot(&stream, 0, sessions.collect(), last, now).unwrap();
        assert!(matches!(taken, Batch::Applied(_)), "{taken:?}");
        w.older = w.stream.take().or(w.older.take());
        w.stream = Some(stream);
        self.ledger.deadlines.insert(w.who, self.mono + 10_000_000);
    }

    /// Sends a batch; what the ledger makes of it is told by `record`, if the stream is heard.
    fn send(&mut self, worker: usize, events: Vec<Event>, record: impl FnOnce(&mut Ledger, u64, Incarnation)) {
        let (now, tick) = (self.now(), self.tick());
        let w = &mut self.workers[worker];
        let Some(stream) = &w.stream else { return };
        w.seq += 1;
        w.last.clone_from(&events);
        match self.live.batch(stream, w.seq, events, now).unwrap() {
            Batch::Applied(_) => {
                self.ledger.deadlines.insert(w.who, self.mono + 10_000_000);
                record(&mut self.ledger, tick, w.who);
            }
            Batch::Expired { .. } => {
                // The stream learns that it was given up: it comes back with nothing.
                w.stream = None;
                w.seq -= 1;
                self.ledger.deadlines.insert(w.who, self.mono + 10_000_000);
                self.attach(worker, None, &[]);
            }
            other => panic!("{other:?}"),
        }
    }

    fn step(&mut self, op: Op) {
        self.roll();
        match op {
            Op::Pass(micros) => {
                self.wall += micros;
                self.mono += micros;
            }
            Op::Jump(seconds) => self.wall = self.wall.saturating_add_signed(seconds * 1_000_000),
            Op::Open { worker, id, meter } => {
                let event = Event::Open {
                    id: session(id),
                    meter: self.meters[meter].clone(),
                    age: Duration::ZERO,
                    labels: None,
                };
                self.send(worker, vec![event], |ledger, tick, who| ledger.open(tick, who, id, meter));
            }
            Op::Close { worker, id, outcome } => {
                let event = Event::Close { id: session(id), outcome, age: Duration::ZERO, meter: None };
                self.send(worker, vec![event], |ledger, tick, who| ledger.close(tick, who, id));
            }
            Op::Repeat { worker } => {
                let (now, w) = (self.now(), &self.workers[worker]);
                if let Some(stream) = &w.stream
                    && w.seq > 0
                    && self.ledger.deadlines.contains_key(&w.who)
                {
                    assert_eq!(self.live.batch(stream, w.seq, w.last.clone(), now).unwrap(), Batch::Ignored);
                    self.ledger.deadlines.insert(w.who, self.mono + 10_000_000);
                }
            }
            Op::Cut { worker } => {
                if let Some(stream) = self.workers[worker].stream.take() {
                    self.live.detach(&stream);
                    self.workers[worker].older = Some(stream);
                }
            }
            Op::Return { worker, keep, extra } => self.come_back(worker, keep, extra),
            Op::Ghost { worker, id } => {
                let event =
                    Event::Open { id: session(id), meter: self.meters[0].clone(), age: Duration::ZERO, labels: None };
                let w = &self.workers[worker];
                if let (Some(older), Some(_)) = (&w.older, &w.stream) {
                    assert!(self.live.batch(older, 99, vec![event], self.now()).is_err(), "an older stream was heard");
                }
            }
            Op::Beat { worker } => {
                let now = self.now();
                let w = &self.workers[worker];
                if let (Some(stream), true) = (&w.stream, self.ledger.deadlines.contains_key(&w.who)) {
                    assert_eq!(self.live.beat(stream, None, now).unwrap(), Batch::Ignored);
                    self.ledger.deadlines.insert(w.who, self.mono + 10_000_000);
                }
            }
            Op::Goodbye { worker } => {
                let (now, tick, who) = (self.now(), self.tick(), self.workers[worker].who);
                self.live.goodbye(&Project::new("p").unwrap(), who, Outcome::Ok, now);
                self.ledger.end_all(tick, who);
                self.restart(worker, None);
            }
            Op::Restart { worker, replaces } => {
                let old = self.workers[worker].who;
                if let Some(stream) = self.workers[worker].stream.take() {
                    self.live.detach(&stream);
                }
                if replaces {
                    self.ledger.end_all(self.tick(), old);
                }
                self.restart(worker, replaces.then_some(old));
            }
        }
    }

    fn restart(&mut self, worker: usize, replaces: Option<Incarnation>) {
        let who = self.incarnation();
        self.workers[worker] = Worker { who, stream: None, older: None, attach_seq: 0, seq: 0, last: Vec::new() };
        self.attach(worker, replaces, &[]);
    }

    fn come_back(&mut self, worker: usize, keep: u8, extra: Option<(u8, usize)>) {
        let (tick, who) = (self.tick(), self.workers[worker].who);
        let held: Vec<_> =
            self.ledger.held.iter().filter(|((by, _), _)| *by == who).map(|((_, id), meter)| (*id, *meter)).collect();
        let mut snapshot = Vec::new();
        for (nth, (id, meter)) in held.into_iter().enumerate() {
            if keep >> (nth % 8) & 1 == 1 {
                snapshot.push((id, meter));
            } else {
                self.ledger.held.remove(&(who, id));
                self.ledger.moves.push((tick, meter, -1));
                self.ledger.ended.insert((who, id));
            }
        }
        let known = |ledger: &Ledger, id| ledger.ended.contains(&(who, id)) || ledger.overtook.contains(&(who, id));
        if let Some((id, meter)) = extra.filter(|(id, _)| !known(&self.ledger, *id))
            && !self.ledger.held.contains_key(&(who, id))
        {
            snapshot.push((id, meter));
            self.ledger.open(tick, who, id, meter);
        }
        self.attach(worker, None, &snapshot);
    }

    fn check(mut self) {
        // Past the time in which outcomes are waited for, with every worker heard.
        for _ in 0..12 {
            self.wall += 1_000_000;
            self.mono += 1_000_000;
            for worker in 0..WORKERS {
                if let (Some(stream), true) =
                    (&self.workers[worker].stream, self.ledger.deadlines.contains_key(&self.workers[worker].who))
                {
                    assert_eq!(self.live.beat(stream, None, self.now()).unwrap(), Batch::Ignored);
                    self.ledger.deadlines.insert(self.workers[worker].who, self.mono + 10_000_000);
                }
            }
            self.roll();
        }
        assert_eq!(self.live.audit(), []);
        let mut pools: BTreeMap<KeyId, Vec<usize>> = BTreeMap::new();
        for (nth, meter) in self.meters.iter().enumerate() {
            pools.entry(meter.tally.id).or_default().push(nth);
            meter.pools.iter().for_each(|pool| pools.entry(pool.id).or_default().push(nth));
        }
        for (key, members) in pools {
            self.check_key(key, &members);
        }
        let totals: Vec<_> = self.meters.iter().map(|meter| meter.totals()).collect();
        let (opened, closed): (u64, u64) =
            totals.iter().fold((0, 0), |sum, t| (sum.0 + t.opened, sum.1 + t.closed.iter().sum::<u64>()));
        assert_eq!(opened, self.ledger.opened);
        assert_eq!(opened - closed, self.ledger.held.len() as u64, "opened less closed and lost is the level");
    }

    fn check_key(&mut self, key: KeyId, members: &[usize]) {
        let mut minutes: BTreeMap<Minute, i64> = BTreeMap::new();
        let mut hours: BTreeMap<Hour, SparseCounts> = BTreeMap::new();
        let (mut level, mut moves) = (0, self.ledger.moves.iter().filter(|(_, m, _)| members.contains(m)).peekable());
        for tick in START / 1_000_000..self.tick() {
            let mut peak = level;
            while let Some((_, _, by)) = moves.next_if(|(at, _, _)| *at <= tick) {
                level += by;
                peak = peak.max(level);
            }
            let minute = minutes.entry(Tick(tick).minute()).or_default();
            *minute = peak.max(*minute);
            let hour = hours.entry(Tick(tick).hour()).or_default();
            if peak > 0 {
                hour.add(peak.unsigned_abs(), 1);
            }
        }
        for (hour, expected) in hours {
            // Seconds at 0 are known or not, as the workers were heard; those above are known all.
            let told: Option<Vec<_>> =
                self.rollup.hour(key, hour).map(|hour| hour.levels.iter().filter(|(level, _)| *level > 0).collect());
            assert_eq!(told.unwrap_or_default(), expected.iter().collect::<Vec<_>>(), "seconds of {key:?} in {hour:?}");
        }
        let held = self.ledger.held.values().filter(|m| members.contains(m)).count();
        assert_eq!(i64::from(self.rollup.level(key)), held as i64, "level of {key:?}");
        let last = Tick(self.tick()).minute().next();
        let points: BTreeMap<_, _> = self.rollup.points(key, Minute(0)..last).into_iter().collect();
        for (minute, peak) in minutes {
            match points.get(&minute) {
                Some(point) => assert_eq!(i64::from(point.peak), peak, "peak of {key:?} in {minute:?}: {point:?}"),
                None => assert_eq!(peak, 0, "{key:?} has no point in {minute:?}"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_096, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_histories_agree_with_the_naive_ledger(ops in prop::collection::vec(op(), 1..60)) {
        let mut world = World::new();
        for op in ops {
            world.step(op);
            // Tombstones end after a minute; what comes after that is another story.
            if world.mono > 45_000_000 {
                break;
            }
        }
        world.check();
    }
}
