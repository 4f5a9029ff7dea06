//! A worker's book: the records of the sessions it holds. The level of a meter is the number of records that name it;
//! [`Book::insert`] and [`Book::remove`] are the only places that move it.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use foldhash::fast::RandomState;
use rustc_hash::FxHashMap;

use crate::{
    live::{
        asked::Unseen,
        chained::Claim,
        early_ends::EarlyEnds,
        left_out::LeftOut,
        meter::Meter,
        moves::{Moves, Slot},
        places::{Keep, Places},
        record::{Held, Record, View},
        snapshot::Gathered,
    },
    model::{Incarnation, KeyId, Now, Outcome, Project, SessionId, Tick, Time, counts::Bucket},
};

/// Sessions by id. Ids are random, or a hash; the seed is random too and nothing shows it, so that ids can't be chosen to
/// collide.
pub(super) type BySession<V> = HashMap<SessionId, V, RandomState>;

/// Seconds in which batches may wait to be durable and be told apart: beyond them, later ones are acknowledged together.
const MOST_UNDURABLE: usize = 64;

/// How a book's worker is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// By a stream.
    Stream,
    /// Its stream broke; the lease runs.
    Cut,
    /// By unary calls under a lease.
    Unary,
    /// Over: its lease ended, or it said goodbye.
    Gone,
}

/// A session that a snapshot no longer named: it has ended, and how is still to be told.
#[derive(Debug)]
pub struct Departed {
    pub held: Held,
    /// Tick in which it was taken out of the level.
    pub left: Tick,
    /// Until when (monotonic) its outcome is waited for.
    pub until: Time,
}

/// A lease that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    pub lost: u64,
    /// First second that does not count its sessions.
    pub first_without: Tick,
}

/// The records of one incarnation of a worker.
#[derive(Debug)]
pub struct Book {
    pub project: Project,
    pub worker: Box<str>,
    pub incarnation: Incarnation,
    pub link: Link,
    /// The newest stream: only it changes the book.
    pub attach_seq: u64,
    pub lease: Duration,
    /// End of the lease (monotonic).
    pub deadline: Time,
    /// When the worker was last heard (wall).
    pub heard: Time,
    pub(super) places: Places,
    pub(super) departed: HashMap<SessionId, Departed>,
    pub(super) early_ends: EarlyEnds,
    /// Meters that it declared, each once. They stay when its lease ends, since the worker may return; while it is gone they
    /// are not counted as reported.
    pub(super) declared: Vec<Arc<Meter>>,
    slots: FxHashMap<KeyId, Slot>,
    /// XOR of the digests of the sessions that are in it.
    pub(super) digest: u64,
    pub(super) left_out: LeftOut,
    /// What it holds is to be told anew: after it came back, or when it and its book differed.
    untold: bool,
    /// Its meters were told that sessions of it may be missing.
    is_incomplete: bool,
    /// The last batch that was applied; `None` before the first.
    pub(super) applied: Option<u64>,
    /// Applied batches that history does not hold durably yet, with their ticks: the last of each tick.
    pub(super) undurable: VecDeque<(u64, Tick)>,
    pub(super) durable: u64,
    /// Nothing is applied until a snapshot came.
    pub(super) needs_snapshot: bool,
    /// The stream was told so: what it sent before it heard is passed over.
    pub(super) snapshot_asked: bool,
    pub(super) gathered: Option<Gathered>,
    pub(super) expired: Option<Expired>,
    /// True until the first snapshot or report of an incarnation that the service did not know.
    pub(super) fresh: bool,
    /// The store knows of the worker: a restart waits for it.
    pub(super) is_known: bool,
    pub(super) unseen: Unseen,
    /// Of its sessions, those that were asked for by chain.
    pub(super) claims: BySession<Claim>,
}

impl Book {
    pub fn new(project: Project, worker: &str, incarnation: Incarnation, link: Link, lease: Duration) -> Self {
        Self {
            project,
            worker: worker.into(),
            incarnation,
            link,
            attach_seq: 0,
            lease,
            // No lease runs before the first word was heard.
            deadline: Time(u64::MAX),
            heard: Time::default(),
            places: Places::default(),
            departed: HashMap::new(),
            early_ends: EarlyEnds::default(),
            declared: Vec::new(),
            slots: FxHashMap::default(),
            digest: 0,
            left_out: LeftOut::default(),
            untold: false,
            is_incomplete: false,
            applied: None,
            undurable: VecDeque::new(),
            durable: 0,
            needs_snapshot: link == Link::Stream,
            snapshot_asked: false,
            gathered: None,
            expired: None,
            fresh: true,
            is_known: false,
            unseen: Unseen::default(),
            claims: BySession::default(),
        }
    }

    /// The book of a worker that a restart waited for in vain: it has ended, and may be used again.
    pub(super) fn given_up(project: Project, incarnation: Incarnation, expired: Expired, now: Now) -> Self {
        let mut book = Self::new(project, "", incarnation, Link::Gone, Duration::ZERO);
        book.deadline = now.mono;
        book.heard = now.wall;
        book.expired = Some(expired);
        book.needs_snapshot = true;
        book
    }

    /// Puts a record in and moves the level; the caller made sure that there is none of this id.
    pub(super) fn insert(&mut self, id: SessionId, record: Record, now: Tick, moves: &mut Moves) {
        moves.open(&self.declared, record.slot(), now);
        if self.is_silent() {
            self.meter(&record).add_silent_level(1);
        }
        self.digest ^= id.digest();
        self.places.insert(id, record);
    }

    /// Takes a record out and moves the level; `None` when there is none of this id.
    pub(super) fn remove(&mut self, id: SessionId, last: Tick, moves: &mut Moves) -> Option<Record> {
        let record = self.places.remove(&id)?;
        self.took(id, &record, last, moves);
        Some(record)
    }

    /// The same, and the session is remembered as one that ended.
    pub(super) fn end(&mut self, id: SessionId, last: Tick, keep: Keep, moves: &mut Moves) -> Option<Record> {
        let record = self.places.end(&id, keep)?;
        self.took(id, &record, last, moves);
        Some(record)
    }

    /// A record was taken out: moves the level.
    fn took(&mut self, id: SessionId, record: &Record, last: Tick, moves: &mut Moves) {
        moves.close(&self.declared, record.slot(), last);
        if self.is_silent() {
            self.meter(record).add_silent_level(-1);
        }
        self.digest ^= id.digest();
    }

    /// The meter of a record.
    pub(super) fn meter(&self, record: &Record) -> &Arc<Meter> {
        &self.declared[record.slot() as usize]
    }

    /// Notes that the worker reports this meter; returns its place among those that it reports.
    pub(super) fn declare(&mut self, meter: &Arc<Meter>) -> Slot {
        if let Some(slot) = self.slots.get(&meter.ids[0]) {
            return *slot;
        }
        let slot = self.declared.len() as Slot;
        self.slots.insert(meter.tally.id, slot);
        self.declared.push(meter.clone());
        match self.link {
            Link::Gone => {}
            Link::Cut => {
                meter.reporter_came();
                meter.reporter_silent();
            }
            Link::Stream | Link::Unary => meter.reporter_came(),
        }
        if self.is_incomplete {
            meter.reporter_incomplete();
        }
        slot
    }

    /// Whether it is out of use for good: nothing may be put into it, since nothing would ever take it out.
    pub(super) fn is_over(&self) -> bool {
        self.link == Link::Gone && self.expired.is_none()
    }

    /// Whether its sessions are ghosts: still counted, until the lease ends.
    pub fn is_silent(&self) -> bool {
        self.link == Link::Cut
    }

    /// The worker was cut off: its sessions become ghosts.
    pub(super) fn cut(&mut self) {
        self.link = Link::Cut;
        self.gathered = None;
        self.declared.iter().for_each(|meter| meter.reporter_silent());
        self.add_silent_levels(1);
    }

    fn add_silent_levels(&self, by: i32) {
        self.places.iter().for_each(|(_, record)| self.meter(record).add_silent_level(by));
    }

    /// The worker is heard again.
    pub(super) fn back(&mut self, link: Link) {
        if self.is_silent() {
            self.declared.iter().for_each(|meter| meter.reporter_back());
            self.add_silent_levels(-1);
        } else if self.link == Link::Gone {
            self.declared.iter().for_each(|meter| meter.reporter_came());
        }
        self.link = link;
    }

    /// Ends every session with the outcome, and what a snapshot left open; returns how many were live.
    pub(super) fn end_all(&mut self, outcome: Outcome, now: Time, last: Tick) -> u64 {
        self.forget_left_out();
        let ids: Vec<_> = self.places.iter().map(|(id, _)| *id).collect();
        let mut moves = Moves::of(&self.worker);
        for id in &ids {
            if let Some(record) = self.remove(*id, last, &mut moves) {
                self.unclaim(id, Some(outcome));
                self.settle(&record, (outcome, true), now, &mut moves);
            }
        }
        moves.flush(&self.declared);
        for (_, departed) in self.departed.drain() {
            departed.held.settle(Outcome::Lost, now);
        }
        // A book is kept for a while after its end: not with the room of a fleet.
        self.places.shrink();
        ids.len() as u64
    }

    /// Counts the end of a session that is out of the book: how, and whether that was just now.
    pub(super) fn settle(&self, record: &Record, how: (Outcome, bool), ended: Time, moves: &mut Moves) {
        if record.is_restored() {
            // Its connect was before the restart: it is one of those that the history held then.
            self.meter(record).account_inherited();
        }
        let lasted = Bucket::of(ended.millis_since(record.since()));
        moves.count_closed(&self.declared, record.slot(), how, lasted);
    }

    /// Asks the stream for a snapshot: what it has sent already is passed over.
    pub(super) fn ask_snapshot(&mut self) {
        self.await_snapshot();
        self.snapshot_asked = true;
    }

    /// Nothing is applied until a snapshot came, and until then what the worker holds is a lower bound: unless it is new, and
    /// held nothing before.
    pub(super) fn await_snapshot(&mut self) {
        self.needs_snapshot = true;
        self.snapshot_asked = false;
        self.gathered = None;
        self.untold = !self.fresh || self.expired.is_some();
        self.note_completeness();
    }

    /// The worker said what it holds, or need not.
    pub(super) fn is_told(&mut self) {
        self.needs_snapshot = false;
        self.snapshot_asked = false;
        self.untold = false;
        self.note_completeness();
    }

    /// Tells its meters whether sessions of the worker may be missing, when that has changed.
    pub(super) fn note_completeness(&mut self) {
        let is_incomplete = self.left_out() > 0 || self.untold;
        if is_incomplete != std::mem::replace(&mut self.is_incomplete, is_incomplete) {
            let note = if is_incomplete { Meter::reporter_incomplete } else { Meter::reporter_complete };
            self.declared.iter().for_each(|meter| note(meter));
        }
    }

    /// Learning is over: what was restored and had no connect is what history held before.
    pub(super) fn account_restored(&mut self) {
        for record in self.places.records_mut() {
            if record.account() {
                self.declared[record.slot() as usize].account_inherited();
            }
        }
        for departed in self.departed.values_mut() {
            if std::mem::take(&mut departed.held.restored) {
                departed.held.meter.account_inherited();
            }
        }
    }

    /// The worker is over: its meters are without it.
    pub(super) fn retire(&mut self, lost: bool, now: Tick) {
        if self.link == Link::Gone {
            return;
        }
        if lost && !self.is_silent() {
            self.declared.iter().for_each(|meter| meter.reporter_silent());
            self.link = Link::Cut;
        }
        for meter in &self.declared {
            match (lost, self.link == Link::Cut) {
                (true, _) => meter.reporter_lost(now),
                (false, true) => {
                    meter.reporter_back();
                    meter.reporter_left();
                }
                (false, false) => meter.reporter_left(),
            }
        }
        self.link = Link::Gone;
        self.untold = false;
        self.note_completeness();
    }

    /// The records, for those who ask who holds what.
    pub fn sessions(&self) -> impl Iterator<Item = (&SessionId, View<'_>)> {
        self.places.iter().map(|(id, record)| (id, record.view(self.meter(record))))
    }

    /// The record of a session, if it is held.
    pub fn session(&self, id: &SessionId) -> Option<View<'_>> {
        self.places.get(id).map(|record| record.view(self.meter(record)))
    }

    pub fn live_count(&self) -> u64 {
        self.places.len() as u64
    }

    /// Notes that a batch is in the frames up to second `tick`.
    pub(super) fn note_undurable(&mut self, seq: u64, tick: Tick) {
        let is_full = self.undurable.len() >= MOST_UNDURABLE;
        match self.undurable.back_mut() {
            Some(last) if is_full || last.1 == tick => *last = (seq, tick),
            _ => self.undurable.push_back((seq, tick)),
        }
    }

    /// The last applied and the last durable batch.
    pub fn acknowledged(&mut self, durable: Option<Tick>) -> (u64, u64) {
        while let Some((seq, tick)) = self.undurable.front().copied() {
            if durable.is_none_or(|durable| tick > durable) {
                break;
            }
            self.durable = seq;
            self.undurable.pop_front();
        }
        (self.applied.unwrap_or(0), self.durable)
    }
}
