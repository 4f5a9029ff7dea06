//! Crashes at any moment, with workers that return or don't: whatever the service forgot, what it grants is never more than
//! the limit with what its workers hold.

use std::{collections::BTreeSet, sync::Arc};

use highwater::{
    live::{Answer, Attachment, Hello, Live, Meter, Roller, admit::Holder, snapshot::Live as LiveSession},
    model::{Incarnation, Now, Outcome, SessionId, Time},
};
use proptest::prelude::*;

use super::{ask, at, id, limit, live, meter, project};

const WORKERS: usize = 4;
/// How much more may be held, each time that the store is asked.
const STEP: u32 = 2;
const LEARNING_SECONDS: u64 = 12;

#[derive(Clone, Debug)]
enum Op {
    Acquire(usize),
    GiveBack(usize),
    Report(usize),
    Return(usize),
    Crash { away: u64 },
    Pass(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        10 => (0..WORKERS).prop_map(Op::Acquire),
        3 => (0..WORKERS).prop_map(Op::GiveBack),
        1 => (0..WORKERS).prop_map(Op::Report),
        2 => (0..WORKERS).prop_map(Op::Return),
        1 => (0..4_u64).prop_map(|away| Op::Crash { away }),
        3 => (1..6_u64).prop_map(Op::Pass),
    ]
}

/// A worker, which forgets nothing while the service does.
#[derive(Default)]
struct Worker {
    /// Granted slots, and those that were only reported or whose lease a restart ended.
    granted: Vec<(SessionId, u64)>,
    facts: Vec<(SessionId, u64)>,
    stream: Option<Attachment>,
    attach_seq: u64,
    seq: u64,
}

struct World {
    limit: u32,
    live: Live,
    roller: Roller,
    meter: Arc<Meter>,
    now: u64,
    next: u64,
    workers: Vec<Worker>,
    /// What the store holds: the ceiling, and the workers that it knows.
    ceiling: u32,
    known: BTreeSet<usize>,
    settling_until: Option<u64>,
}

fn who(worker: usize) -> Incarnation {
    Incarnation([worker as u8 + 1; 16])
}

impl World {
    fn new(most: u32) -> Self {
        let live = live();
        let meter = meter(&live, "p", "a/x");
        let mut world = Self {
            limit: most,
            live,
            roller: Roller::default(),
            meter,
            now: 60,
            next: 1,
            workers: Vec::new(),
            ceiling: 0,
            known: BTreeSet::new(),
            settling_until: None,
        };
        world.workers.resize_with(WORKERS, Worker::default);
        world.begin();
        world
    }

    fn now(&self) -> Now {
        at(self.now)
    }

    /// The service begins on what the store holds.
    fn begin(&self) {
        self.live.set_rules(&self.meter.tally, limit(self.limit), self.now());
        self.live.inherit_ceiling(&self.meter.tally, self.ceiling);
    }

    fn crash(&mut self, away: u64) {
        self.now += away;
        self.live = live();
        self.roller = Roller::default();
        self.meter = meter(&self.live, "p", "a/x");
        if !self.known.is_empty() {
            let known = self.known.iter().map(|worker| (project("p"), who(*worker)));
            self.live.start_learning(known, &|_| 0, at(self.now - away).wall.tick(), self.now());
            self.settling_until = Some(self.now + LEARNING_SECONDS);
        }
        self.workers.iter_mut().for_each(|worker| worker.stream = None);
        self.begin();
    }

    /// A worker attaches, if it is not attached, and says what it holds.
    fn attach(&mut self, worker: usize) {
        let (now, meter) = (self.now(), self.meter.clone());
        let state = &mut self.workers[worker];
        if state.stream.is_some() {
            return;
        }
        state.attach_seq += 1;
        let hello = Hello {
            project: project("p"),
            worker: "w".into(),
            incarnation: who(worker),
            replaces: None,
            attach_seq: state.attach_seq,
        };
        let stream = self.live.attach(&hello, now).unwrap();
        state.seq = stream.applied_seq;
        let held = state.granted.iter().chain(&state.facts);
        let sessions: Vec<_> = held
            .map(|(id, since)| LiveSession {
                id: *id,
                meter: meter.clone(),
                age: now.wall.since(Time::from_secs(*since)),
                labels: None,
            })
            .collect();
        let last = (sessions.len() as u64, sessions.iter().fold(0, |digest, session| digest ^ session.id.digest()));
        let _told = self.live.snapshot(&stream, 0, sessions, Some(last), now).unwrap();
        state.stream = Some(stream);
    }

    fn acquire(&mut self, worker: usize) {
        self.attach(worker);
        self.next += 1;
        let ask = ask(id(self.next), &[&self.meter]);
        loop {
            let stream = self.workers[worker].stream.as_ref().unwrap();
            match self.live.acquire(Holder::Stream(stream), &ask, None, self.now()).unwrap().0 {
                Answer::Granted(_) => break,
                Answer::Introduce => {
                    self.known.insert(worker);
                    self.live.introduced(&project("p"), who(worker));
                }
                Answer::Raise(levels) => {
                    let to = self.live.next_ceiling(&levels[0], STEP).unwrap();
                    assert!(to > levels[0].scope().unwrap().ceiling().unwrap());
                    self.ceiling = to;
                    self.live.raise_ceiling(&levels[0], to, self.now());
                }
                Answer::Refused(says) => {
                    let held: usize = self.workers.iter().map(|worker| worker.granted.len() + worker.facts.len()).sum();
                    let may_be_full = held >= self.limit as usize || self.settling_until.is_some();
                    assert!(may_be_full, "{held} of {} are held, and it says {says:?}", self.limit);
                    return;
                }
                other => panic!("{other:?}"),
            }
        }
        self.workers[worker].granted.push((ask.id, self.now));
        let granted: usize = self.workers.iter().map(|worker| worker.granted.len()).sum();
        assert!(granted <= self.limit as usize, "{granted} of {} are granted", self.limit);
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Acquire(worker) => self.acquire(worker),
            Op::GiveBack(worker) => {
                self.attach(worker);
                let now = self.now();
                let state = &mut self.workers[worker];
                let Some((id, _)) = state.granted.pop().or_else(|| state.facts.pop()) else { return };
                let holder = Holder::Stream(state.stream.as_ref().unwrap());
                let _given = self.live.give_back(holder, id, Outcome::Ok, now).unwrap();
            }
            Op::Report(worker) => {
                self.attach(worker);
                self.next += 1;
                let (id, now) = (id(self.next), self.now());
                let state = &mut self.workers[worker];
                state.seq += 1;
                let age = std::time::Duration::ZERO;
                let event = highwater::live::Event::Open { id, meter: self.meter.clone(), age, labels: None };
                let _told = self.live.batch(state.stream.as_ref().unwrap(), state.seq, vec![event], now).unwrap();
                state.facts.push((id, self.now));
            }
            Op::Return(worker) => self.attach(worker),
            Op::Crash { away } => self.crash(away),
            Op::Pass(seconds) => (0..seconds).for_each(|_| self.pass()),
        }
    }

    fn pass(&mut self) {
        self.now += 1;
        drop(self.roller.roll(&self.live, self.now()));
        if self.settling_until.is_some() && !self.live.is_settling() {
            self.settling_until = None;
            for (nth, worker) in self.workers.iter_mut().enumerate().filter(|(_, worker)| worker.stream.is_none()) {
                // Its lease is over, and it is told so when it returns: what it holds is no promise any more.
                worker.facts.append(&mut worker.granted);
                self.known.remove(&nth);
            }
        }
        // Now and then no more is kept than is needed.
        if self.now.is_multiple_of(5) {
            self.ceiling = self.live.lower_ceiling(&self.meter.tally, 0).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]
    #[test]
    fn histories_with_crashes_never_grant_more_than_the_limit(
        most in 1..9_u32,
        ops in prop::collection::vec(op(), 1..150),
    ) {
        let mut world = World::new(most);
        for op in ops {
            world.run(op);
            assert_eq!(world.live.audit(), []);
        }
    }
}
