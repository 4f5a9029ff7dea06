//! Columnar batches: any bytes are decoded, checked and applied to a small live state, one batch after the other, or
//! refused whole. Columns say what the same events say one by one; levels are those of the records at every step; another
//! project never notices.

#![no_main]

use std::{sync::Arc, time::Duration};

use highwater::{
    api::ingest::{decode, handles::Handles},
    live::{Attachment, Batch, Event, Hello, Live, Meter, Roller, snapshot::Live as LiveSession},
    model::{Bounds, Incarnation, Kind, Meter as Name, Now, Outcome, Project, SessionId, Time, session::ID_BYTES},
    proto::{self, ColumnBatch, Connect, Disconnect, EventBatch, event::Event as Said},
    rollup::Rollup,
};
use libfuzzer_sys::fuzz_target;
use prost::{Message, encoding::decode_varint};

/// Most events of a batch.
const MAX_EVENTS: usize = 256;
/// Most sessions of the project.
const MAX_SESSIONS: usize = 100;
/// Most tombstones of the book.
const MAX_TOMBS: usize = 50;
/// Time between batches: two of three begin a second.
const STEP: Duration = Duration::from_millis(700);
const START: Time = Time(1_000_000 * 1_000_000);
const METERS: [(u32, Kind, &str); 3] = [(1, Kind::Tts, "a/x"), (2, Kind::Tts, "a/y"), (900_000, Kind::Agent, "")];

fuzz_target!(|data: &[u8]| {
    let mut world = World::new();
    let mut rest = data;
    while !rest.is_empty() {
        world.take(next_message(&mut rest));
    }
    world.end();
});

/// Takes a message that its length stands before; all that is left when there is no such length.
fn next_message<'d>(rest: &mut &'d [u8]) -> &'d [u8] {
    let whole = *rest;
    let length = decode_varint(rest).ok().and_then(|length| usize::try_from(length).ok());
    match length.and_then(|length| rest.split_at_checked(length)) {
        Some((message, after)) => {
            *rest = after;
            message
        }
        None => {
            *rest = &[];
            whole
        }
    }
}

struct World {
    live: Live,
    roller: Roller,
    rollup: Rollup,
    now: Now,
    handles: Handles,
    meters: Vec<Arc<Meter>>,
    stream: Attachment,
    neighbour: Attachment,
    beside: Arc<Meter>,
}

fn project(name: &str) -> Project {
    Project::new(name).expect("it is a name")
}

fn attach(live: &Live, to: &str, now: Now) -> Attachment {
    let hello = Hello {
        project: project(to),
        worker: "w".into(),
        incarnation: Incarnation([7; ID_BYTES]),
        replaces: None,
        attach_seq: 1,
    };
    let stream = live.attach(&hello, now).expect("it is the first");
    assert!(matches!(live.snapshot(&stream, 0, Vec::new(), Some((0, 0)), now), Ok(Batch::Applied(_))));
    stream
}

impl World {
    fn new() -> Self {
        let bounds = Bounds {
            batch_events: MAX_EVENTS,
            sessions_per_project: MAX_SESSIONS,
            tombstones_per_book: MAX_TOMBS,
            ..Bounds::default()
        };
        let now = Now::at(START);
        let live = Live::new(bounds, now.wall.tick());
        let meter = |of: &str, kind, model| {
            let name = Name::new(kind, model, "", None).expect("it is a name");
            live.meter(&project(of), &name, now).expect("there are few")
        };
        let handles: Vec<_> = METERS.map(|(handle, kind, model)| (handle, meter("p", kind, model))).into();
        let beside = meter("beside", METERS[0].1, METERS[0].2);
        let neighbour = attach(&live, "beside", now);
        let (id, age) = (SessionId([1; ID_BYTES]), Duration::ZERO);
        let open = Event::Open { id, meter: beside.clone(), age, labels: None };
        assert!(matches!(live.batch(&neighbour, 1, vec![open], now), Ok(Batch::Applied(_))));
        let stream = attach(&live, "p", now);
        Self {
            stream,
            roller: Roller::default(),
            rollup: Rollup::new(live.bounds.late_until, None),
            live,
            now,
            meters: handles.iter().map(|(_, meter)| meter.clone()).collect(),
            handles: handles.into_iter().collect(),
            neighbour,
            beside,
        }
    }

    fn levels(&self) -> Vec<u32> {
        self.meters.iter().map(|meter| meter.tally.word.level()).collect()
    }

    fn take(&mut self, bytes: &[u8]) {
        let before = self.levels();
        let Ok(batch) = ColumnBatch::decode(bytes) else { return };
        let decoded = decode::columns(&batch, &self.handles, MAX_EVENTS);
        match decoded.map(|events| events.iter().map(|event| event.to_event()).collect::<Vec<_>>()) {
            Err(error) => assert!(!error.to_string().is_empty()),
            Ok(events) => {
                self.check_one_by_one(&batch, &events);
                self.apply(batch.seq, events, &before);
            }
        }
        self.check();
        self.pass(STEP);
    }

    fn apply(&mut self, seq: u64, events: Vec<Event>, before: &[u32]) {
        let count = events.len();
        let outcome = self.live.batch(&self.stream, seq, events.clone(), self.now);
        let grown = match outcome {
            Ok(Batch::Applied(applied)) => {
                assert_eq!((applied.changed + applied.duplicates + applied.left_out) as usize, count);
                assert_eq!(self.live.batch(&self.stream, seq, events, self.now), Ok(Batch::Ignored), "sent again");
                applied.grown
            }
            Ok(Batch::Gap { applied_seq }) => {
                assert!(seq > applied_seq + 1);
                self.resync();
                return;
            }
            _ => 0,
        };
        let sum = |levels: &[u32]| levels.iter().map(|level| i64::from(*level)).sum::<i64>();
        assert_eq!(sum(&self.levels()) - sum(before), grown, "{outcome:?}");
        if grown == 0 && !matches!(outcome, Ok(Batch::Applied(_))) {
            assert_eq!(self.levels(), before, "what is refused changes nothing: {outcome:?}");
        }
    }

    /// A batch was missing: the worker tells what is live, here one session.
    fn resync(&mut self) {
        let id = SessionId([2; ID_BYTES]);
        let session = LiveSession { id, meter: self.meters[0].clone(), age: Duration::ZERO, labels: None };
        let taken = self.live.snapshot(&self.stream, 0, vec![session], Some((1, id.digest())), self.now);
        assert!(matches!(taken, Ok(Batch::Applied(_))), "{taken:?}");
        assert_eq!(self.levels(), [1, 0, 0]);
    }

    /// The same events, said one by one, are the same.
    fn check_one_by_one(&self, batch: &ColumnBatch, events: &[Event]) {
        let said = batch.outcomes.iter().enumerate().map(|(row, outcome)| {
            let id = &batch.session_ids[row * ID_BYTES..][..ID_BYTES];
            let (session_id, handle) = (id.to_vec(), batch.handles[row]);
            let place = batch.label_refs.get(row).map_or(0, |place| *place as usize);
            let labels = place.checked_sub(1).and_then(|place| batch.labels.get(place).cloned());
            let event = match outcome {
                0 => Said::Connect(Connect { session_id, handle, labels }),
                outcome => Said::Disconnect(Disconnect { session_id, handle, outcome: i32::from(*outcome) }),
            };
            proto::Event { event: Some(event), age_us: batch.ages_us.get(row).copied().unwrap_or(0) }
        });
        let said = EventBatch::new(batch.seq, said);
        let said = decode::events(&said, &self.handles, MAX_EVENTS).expect("what columns may say, events may");
        assert_eq!(said.len(), events.len());
        let said = said.iter().map(|event| event.to_event());
        said.zip(events).for_each(|(said, event)| assert!(is_same(&said, event), "{said:?} {event:?}"));
    }

    fn pass(&mut self, time: Duration) {
        self.now = Now::at(self.now.wall.after(time));
        assert_eq!(self.live.beat(&self.neighbour, None, self.now), Ok(Batch::Ignored));
        let has_left_out = self.live.registry.beyond(self.now.wall.tick()).iter().any(|beyond| beyond.left_out > 0);
        match self.live.beat(&self.stream, None, self.now) {
            // What was left out has room now.
            Ok(Batch::DigestMismatch { .. }) => {
                assert!(has_left_out);
                self.resync();
            }
            answer => assert_eq!(answer, Ok(Batch::Ignored)),
        }
        self.roll();
    }

    fn roll(&mut self) {
        for frame in self.roller.roll(&self.live, self.now) {
            self.rollup.apply(&frame);
        }
    }

    fn check(&self) {
        assert_eq!(self.live.audit(), [], "levels are those of the records");
        assert!(self.levels().iter().sum::<u32>() as usize <= MAX_SESSIONS);
        assert_eq!(self.beside.tally.word.level(), 1);
    }

    fn end(mut self) {
        self.live.stream_goodbye(&self.stream, Outcome::Ok, self.now).expect("no other stream took over");
        assert_eq!(self.levels(), [0, 0, 0]);
        self.check();
        self.now = Now::at(self.now.wall.after(Duration::from_secs(1)));
        self.roll();
        let (from, to) = (START.tick().hour(), self.now.wall.tick().hour());
        for hour in (from.0..=to.0).map(highwater::model::Hour) {
            self.rollup.rows(hour);
        }
        for meter in &self.meters {
            let totals = meter.totals();
            assert_eq!(totals.opened, totals.closed.iter().sum::<u64>(), "all that was opened was closed");
        }
    }
}

fn is_same(one: &Event, other: &Event) -> bool {
    match (one, other) {
        (
            Event::Open { id, meter, age, labels },
            Event::Open { id: id2, meter: meter2, age: age2, labels: labels2 },
        ) => (id, age, labels) == (id2, age2, labels2) && Arc::ptr_eq(meter, meter2),
        (
            Event::Close { id, outcome, age, meter },
            Event::Close { id: id2, outcome: outcome2, age: age2, meter: meter2 },
        ) => {
            let ids = [meter, meter2].map(|meter| meter.as_ref().map(|meter| meter.tally.id));
            (id, outcome, age) == (id2, outcome2, age2) && ids[0] == ids[1]
        }
        _ => false,
    }
}
