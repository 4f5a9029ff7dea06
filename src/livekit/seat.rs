//! One list's seat in the live state: a book of an incarnation of its own, as a worker's. While the list can be read, the
//! book is that of a worker that is heard; else of one that is cut off: what it holds still counts, and is known in part.

use std::{sync::Arc, time::Duration};

use sha2::{Digest as _, Sha256};

use crate::{
    live::{Attachment, Batch, BoundReached, Event, Gone, Hello, Live, Meter, Refusal, snapshot::Live as LiveSession},
    livekit::{
        known::{Change, Held, Known},
        thing::List,
    },
    model::{Incarnation, Kind, Labels, Meter as MeterName, Now, Project, session::MAX_LABEL_BYTES},
};

/// Sessions that are opened in one step, so that a bound refuses no more than these for one that is too many.
const OPENS_A_STEP: usize = 64;

/// Why nothing could be done in the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeatError {
    #[error(transparent)]
    Bound(#[from] BoundReached),
    #[error("a worker uses the incarnation of LiveKit's list: {0}")]
    Taken(#[from] Gone),
    #[error("the sessions of LiveKit's list were not taken")]
    Refused,
}

impl From<Refusal> for SeatError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Bound(bound) => Self::Bound(bound),
            Refusal::Gone(gone) => Self::Taken(gone),
        }
    }
}

/// The book of one list of a project, and our hold on it.
#[derive(Debug)]
pub struct Seat {
    list: List,
    hello: Hello,
    /// How long what it holds counts after the last word of LiveKit's.
    lease: Duration,
    stream: Option<Attachment>,
    /// The list could be read when it was tried last.
    is_heard: bool,
    seq: u64,
}

impl Seat {
    pub fn new(project: &Project, list: List, lease: Duration) -> Self {
        // The same after a restart, so that the service knows whom it waits for.
        let hash = Sha256::digest(format!("livekit {project} {}", list.as_str()));
        let mut incarnation = Incarnation([0; 16]);
        incarnation.0.copy_from_slice(&hash[..16]);
        let worker = format!("livekit-{}", list.as_str()).into();
        let hello = Hello { project: project.clone(), worker, incarnation, replaces: None, attach_seq: 0 };
        Self { list, hello, lease, stream: None, is_heard: false, seq: 0 }
    }

    /// Whether anything is counted yet.
    pub fn is_taken(&self) -> bool {
        self.stream.is_some()
    }

    /// Whether some of what is known was left out at a bound, and has room now.
    pub fn may_come_in(&self, live: &Live) -> bool {
        self.stream.as_ref().is_some_and(|stream| live.may_come_in(stream))
    }

    pub fn is_heard(&self) -> bool {
        self.is_heard
    }

    /// Notes that the lease ended, if it did: all that was in the book is lost then.
    pub fn has_lost(&mut self, live: &Live, now: Now) -> bool {
        let lease_end = live.lease_end(&self.hello.project, self.hello.incarnation);
        let has_lost = self.stream.is_some() && lease_end.is_none_or(|end| end <= now.mono);
        if has_lost {
            self.stream = None;
            self.is_heard = false;
        }
        has_lost
    }

    fn meter(&self, live: &Live, kind: Kind, now: Now) -> Result<Arc<Meter>, BoundReached> {
        let name = MeterName::new(kind, "", "", None).expect("OK because the kinds of the lists have no model");
        live.meter(&self.hello.project, &name, now)
    }

    /// Puts all that is known into the book in one step.
    ///
    /// # Errors
    /// When a bound of the project is reached.
    pub fn sync(&mut self, live: &Live, known: &mut Known, is_heard: bool, now: Now) -> Result<(), SeatError> {
        self.stream = None;
        self.is_heard = false;
        self.hello.attach_seq += 1;
        let meters =
            self.list.kinds().iter().map(|kind| self.meter(live, *kind, now)).collect::<Result<Vec<_>, _>>()?;
        let mut sessions = Vec::with_capacity(known.len());
        for held in known.held() {
            let (meter, age) = (self.meter(live, held.thing.kind, now)?, now.wall.since(held.since));
            sessions.push(LiveSession { id: held.session, meter, age, labels: Some(labels(held)) });
        }
        let digest = sessions.iter().fold(0, |digest, session| digest ^ session.id.digest());
        let count = sessions.len() as u64;
        let stream = live.attach_for(&self.hello, self.lease, now)?;
        live.declare(&stream, &meters, now)?;
        let taken = live.snapshot(&stream, 0, sessions, Some((count, digest)), now);
        if !is_heard || !matches!(taken, Ok(Batch::Applied(_))) {
            live.detach(&stream);
        }
        if !matches!(taken?, Batch::Applied(_)) {
            return Err(SeatError::Refused);
        }
        known.synced(now);
        self.seq = stream.applied_seq;
        self.stream = Some(stream);
        self.is_heard = is_heard;
        Ok(())
    }

    /// The list can't be read: what the book holds still counts, until the lease ends or it is read again.
    pub fn cut(&mut self, live: &Live) {
        if let Some(stream) = self.stream.as_ref().filter(|_| self.is_heard) {
            live.detach(stream);
        }
        self.is_heard = false;
    }

    /// Does in the book what changed, closes first, and keeps up its lease. Nothing is done before all that is known was
    /// put in.
    ///
    /// # Errors
    /// When a bound of the project is reached: what could not be opened is not known any more.
    pub fn apply(&mut self, live: &Live, known: &mut Known, changes: Vec<Change>, now: Now) -> Result<(), SeatError> {
        let (mut opens, mut events) = (Vec::new(), Vec::new());
        for change in changes {
            match change {
                Change::Open(held) => opens.push(held),
                Change::Close { session, outcome, at } => {
                    events.push(Event::Close { id: session, outcome, age: now.wall.since(at), meter: None });
                }
                // The book counts an end that overtakes its beginning as a session that was, and raises no level.
                Change::Passed { held, outcome, at } => {
                    events.push(Event::Close { id: held.session, outcome, age: now.wall.since(at), meter: None });
                    events.push(self.open(live, &held, now)?);
                }
            }
        }
        let mut is_due = self.batch(live, known, events, now)?;
        for (nth, some) in opens.chunks(OPENS_A_STEP).enumerate() {
            if !is_due {
                break;
            }
            let events = some.iter().map(|held| self.open(live, held, now)).collect::<Result<_, _>>();
            let done = events.map_err(SeatError::from);
            match done.and_then(|events| self.batch(live, known, events, now)) {
                Ok(applied) => is_due = applied,
                Err(error) => {
                    opens[nth * OPENS_A_STEP..].iter().for_each(|held| known.forget(&held.thing.id));
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn open(&self, live: &Live, held: &Held, now: Now) -> Result<Event, BoundReached> {
        let (meter, age) = (self.meter(live, held.thing.kind, now)?, now.wall.since(held.since));
        Ok(Event::Open { id: held.session, meter, age, labels: Some(labels(held)) })
    }

    /// Applies events; false when there is nothing more to do, since all that is known was put in anew, or waits to be.
    fn batch(&mut self, live: &Live, known: &mut Known, events: Vec<Event>, now: Now) -> Result<bool, SeatError> {
        let Some(stream) = &self.stream else { return Ok(false) };
        match live.whole_batch(stream, self.seq + 1, events, now) {
            Ok(Batch::Applied(_)) => {
                self.seq += 1;
                Ok(true)
            }
            Err(Refusal::Bound(bound)) => Err(bound.into()),
            // Another took the book meanwhile, or its lease ended this moment.
            Ok(_) | Err(Refusal::Gone(_)) => self.sync(live, known, self.is_heard, now).map(|()| false),
        }
    }
}

fn labels(held: &Held) -> Box<Labels> {
    let room = &held.thing.room[..held.thing.room.floor_char_boundary(MAX_LABEL_BYTES)];
    Box::new(Labels { room: room.into(), job: "".into(), text_id: held.thing.name().into() })
}
