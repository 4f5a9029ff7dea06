//! A fleet in process: its workers' streams, and batches that end their oldest sessions and begin new ones.

use std::{sync::Arc, time::Duration};

use highwater::{
    live::{
        Answer, Ask, Attachment, Batch, Event, Hello, Live, Meter, Roller, Rules,
        admit::{GivenBack, Holder},
        waiting::Wanted,
    },
    model::{
        Bounds, Enforcement, Incarnation, Kind, LimitEntry, LimitHistory, Meter as MeterName, Mode, Now, Outcome,
        Priority, Project, SessionId, Time,
    },
};

pub const WORKERS: usize = 2_000;
pub const SESSIONS_EACH: usize = 500;
pub const BATCH_PAIRS: usize = 50;
const METERS: usize = 1_000;
/// The clock goes on by so much a batch, in microseconds: 333 batches a second, so that a session lasts a minute.
const BATCH_US: u64 = 3_000;
/// Batches until as many ends are remembered as ever will be: two minutes.
const FIRST_BATCHES: u64 = 120_000_000 / BATCH_US;

pub struct Fleet {
    pub live: Live,
    meters: Vec<Arc<Meter>>,
    /// Each alone, as it is asked for.
    wanted: Vec<Wanted>,
    meters_each: usize,
    workers: Vec<Worker>,
    turn: usize,
    now: Now,
    roller: Roller,
}

struct Worker {
    stream: Attachment,
    seq: u64,
    /// Its oldest session.
    first: u64,
}

/// The id of a worker's session.
pub fn id(worker: usize, nth: u64) -> SessionId {
    let mixed = (worker as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ nth.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let other = mixed.rotate_left(31).wrapping_mul(0x94d0_49bb_1331_11eb);
    let mut id = [0; 16];
    id[..8].copy_from_slice(&mixed.to_le_bytes());
    id[8..].copy_from_slice(&other.to_le_bytes());
    SessionId(id)
}

pub fn at(micros: u64) -> Now {
    Now { wall: Time::from_secs(1_700_000_000).after(Duration::from_micros(micros)), mono: Time(micros) }
}

impl Fleet {
    /// Workers that each report so many meters, spread over all of them.
    pub fn new(meters_each: usize) -> Self {
        let bounds =
            Bounds { sessions_per_project: 2_000_000, lease: Duration::from_secs(1_000_000_000), ..Bounds::default() };
        let now = at(500);
        let live = Live::new(bounds, now.wall.tick());
        let project = Project::new("bench").expect("the name is one");
        let kind = |nth: usize| [Kind::Llm, Kind::Stt, Kind::Tts][nth % 3];
        let name = |nth: usize| MeterName::new(kind(nth), &format!("bench/model-{nth}"), "", None).expect("it is one");
        let meters: Vec<_> =
            (0..METERS).map(|nth| live.meter(&project, &name(nth), now).expect("there is room")).collect();
        let wanted = meters.iter().map(|meter| Wanted::from([meter.clone()])).collect();
        let mut fleet =
            Self { live, meters, wanted, meters_each, workers: Vec::new(), turn: 0, now, roller: Roller::default() };
        for nth in 0..WORKERS {
            let mut incarnation = [0; 16];
            incarnation[..8].copy_from_slice(&(nth as u64 + 1).to_le_bytes());
            let hello = Hello {
                project: project.clone(),
                worker: "bench".into(),
                incarnation: Incarnation(incarnation),
                replaces: None,
                attach_seq: 1,
            };
            let stream = fleet.live.attach(&hello, now).expect("there is room");
            let empty = fleet.live.snapshot(&stream, 0, Vec::new(), Some((0, 0)), now);
            assert!(matches!(empty, Ok(Batch::Applied(_))));
            fleet.workers.push(Worker { stream, seq: 0, first: 0 });
            let opens = (0..SESSIONS_EACH as u64).map(|session| fleet.open(nth, session)).collect();
            fleet.apply(nth, opens);
        }
        (0..FIRST_BATCHES).for_each(|_| fleet.batch());
        fleet
    }

    /// Spread over the meters that this worker reports.
    fn meter(&self, worker: usize, nth: u64) -> usize {
        let mixed = nth.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        (worker * 7 + mixed as usize % self.meters_each) % METERS
    }

    fn open(&self, worker: usize, nth: u64) -> Event {
        let meter = self.meters[self.meter(worker, nth)].clone();
        Event::Open { id: id(worker, nth), meter, age: Duration::ZERO, labels: None }
    }

    /// Limits on all three levels of each session, which are enforced and far away.
    pub fn enforce(&self) {
        let (set_by, reason) = (String::new(), String::new());
        let entry = LimitEntry { slots: Some(4_000_000), start: Time(0), end: None, set_by, reason };
        let enforcement = Enforcement { mode: Mode::Enforce, kept_percent: 0 };
        let rules = Rules { slots: Arc::new(LimitHistory::new(vec![entry])), enforcement, ..Rules::default() };
        for tally in self.meters.iter().flat_map(|meter| meter.scopes()) {
            self.live.set_rules(tally, rules.clone(), self.now);
        }
    }

    /// The same as a batch, each session asked for and given back by itself.
    pub fn ask(&mut self) {
        self.next_turn();
        let (turn, now) = (self.turn, self.now);
        let stream = self.workers[turn].stream.clone();
        let first = self.workers[turn].first;
        for nth in first..first + BATCH_PAIRS as u64 {
            let (given, _) =
                self.live.give_back(Holder::Stream(&stream), id(turn, nth), Outcome::Ok, now).expect("it is there");
            assert_eq!(given, GivenBack::Free);
            let next = nth + SESSIONS_EACH as u64;
            let wanted = self.wanted[self.meter(turn, next)].clone();
            let ask = Ask {
                id: id(turn, next),
                wanted,
                priority: Priority::Standard,
                labels: None,
                waits: false,
                of_chain: None,
                without_store: false,
            };
            let (answer, _) = self.live.acquire(Holder::Stream(&stream), &ask, None, now).expect("it is there");
            assert!(matches!(answer, Answer::Granted(_)));
        }
        self.live.heard_grants(&stream, u64::MAX).expect("it is there");
        self.workers[turn].first += BATCH_PAIRS as u64;
    }

    fn apply(&mut self, worker: usize, events: Vec<Event>) {
        self.workers[worker].seq += 1;
        let seq = self.workers[worker].seq;
        let applied = self.live.batch(&self.workers[worker].stream, seq, events, self.now);
        assert!(matches!(applied, Ok(Batch::Applied(applied)) if applied.duplicates == 0), "{applied:?}");
    }

    /// The same as a batch, each event reported by itself.
    pub fn report(&mut self) {
        self.next_turn();
        let first = self.workers[self.turn].first;
        for nth in first..first + BATCH_PAIRS as u64 {
            let id = id(self.turn, nth);
            let close = Event::Close { id, outcome: Outcome::Ok, age: Duration::ZERO, meter: None };
            self.apply(self.turn, vec![close]);
            self.apply(self.turn, vec![self.open(self.turn, nth + SESSIONS_EACH as u64)]);
        }
        self.workers[self.turn].first += BATCH_PAIRS as u64;
    }

    /// The next worker's batch, and now and then a second is rolled.
    pub fn batch(&mut self) {
        self.next_turn();
        let first = self.workers[self.turn].first;
        let mut events = Vec::with_capacity(2 * BATCH_PAIRS);
        for nth in first..first + BATCH_PAIRS as u64 {
            let id = id(self.turn, nth);
            events.push(Event::Close { id, outcome: Outcome::Ok, age: Duration::ZERO, meter: None });
            events.push(self.open(self.turn, nth + SESSIONS_EACH as u64));
        }
        self.workers[self.turn].first += BATCH_PAIRS as u64;
        self.apply(self.turn, events);
    }

    /// The clock goes on, and with it now and then the second.
    fn next_turn(&mut self) {
        self.turn = (self.turn + 1) % WORKERS;
        self.now = at(self.now.mono.0 + BATCH_US);
        if self.now.wall.tick() > self.live.tick(at(0)) {
            let frames = self.roller.roll(&self.live, self.now);
            frames.into_iter().for_each(|frame| self.roller.reuse(frame));
        }
    }
}
