//! The journal of a worker: what is live in it, what it has not yet told, and what the service has not yet made
//! durable. Plain code, a function of calls and their instants: it opens no stream and reads no clock.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use rustc_hash::FxHashMap;

use crate::{
    client::name::SessionName,
    model::{Outcome, SessionId},
    proto::Labels,
};

/// Events kept beyond what is durable, so that memory stays bounded while the service is away: 4,096.
pub const MAX_KEPT_EVENTS: usize = 4_096;
/// How long they are kept: 10 min. The service takes events into history up to 15 min late.
pub const MAX_KEPT_SECONDS: u64 = 600;
/// Events sent and not yet applied: 2,048, so that a service that is slow slows its workers down.
pub const MAX_IN_FLIGHT_EVENTS: usize = 2_048;

/// A session that is live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    pub handle: u32,
    pub since: Instant,
    pub labels: Option<Arc<Labels>>,
}

/// A session that began or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub name: SessionName,
    pub at: Instant,
    pub session: Live,
    /// How it ended; `None` when it began.
    pub ended: Option<Outcome>,
}

/// Events that were sent under one number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub seq: u64,
    pub events: Vec<Event>,
}

/// What a worker has done, in numbers since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalStats {
    /// Connects and disconnects, without those that repeated what was known.
    pub events: u64,
    /// Batches made.
    pub batches: u64,
    /// Events dropped before they were applied, since the service was away too long: lost to history, not to levels.
    pub dropped_events: u64,
}

/// What to tell after attaching: the set of live sessions as of the last applied batch. The batches after that one
/// follow, so that how and when sessions ended meanwhile is told too.
pub type Snapshot = Vec<(SessionId, Live)>;

#[derive(Debug)]
pub struct Journal {
    live: FxHashMap<SessionId, Live>,
    /// XOR of the digests of all live ids.
    digest: u64,
    pending: VecDeque<Event>,
    /// Sent and not yet durable, by number, without gaps.
    batches: VecDeque<Batch>,
    /// Events in `batches`.
    batched_events: usize,
    /// Events in `batches` that are not applied yet.
    in_flight: usize,
    next_seq: u64,
    applied: u64,
    /// Events were dropped that no stream has carried.
    gap: bool,
    stats: JournalStats,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            live: FxHashMap::default(),
            digest: 0,
            pending: VecDeque::new(),
            batches: VecDeque::new(),
            batched_events: 0,
            in_flight: 0,
            next_seq: 1,
            applied: 0,
            gap: false,
            stats: JournalStats::default(),
        }
    }
}

impl Journal {
    /// A session began. False, and nothing changes, when it is live already.
    pub fn open(&mut self, name: SessionName, session: Live, now: Instant) -> bool {
        let id = name.id();
        if self.live.contains_key(&id) {
            return false;
        }
        self.live.insert(id, session.clone());
        self.digest ^= id.digest();
        let at = session.since.min(now);
        self.push(Event { name, at, session, ended: None }, now);
        true
    }

    /// A session has been live since before this journal began, and its beginning was told then: only snapshots name it.
    /// False, and nothing changes, when it is live already.
    pub fn hold(&mut self, id: SessionId, session: Live) -> bool {
        let is_new = !self.live.contains_key(&id);
        if is_new {
            self.live.insert(id, session);
            self.digest ^= id.digest();
        }
        is_new
    }

    /// A session ended. False, and nothing changes, when it is not live.
    pub fn close(&mut self, id: SessionId, outcome: Outcome, now: Instant) -> bool {
        let Some(session) = self.live.remove(&id) else { return false };
        self.digest ^= id.digest();
        self.push(Event { name: SessionName::Id(id), at: now, session, ended: Some(outcome) }, now);
        true
    }

    fn push(&mut self, event: Event, now: Instant) {
        self.stats.events += 1;
        self.pending.push_back(event);
        self.trim(now);
    }

    /// Keeps within the bounds: what is applied goes first, then the oldest.
    fn trim(&mut self, now: Instant) {
        let too_old = |event: &Event| now.saturating_duration_since(event.at).as_secs() >= MAX_KEPT_SECONDS;
        while let Some(batch) = self.batches.front() {
            let full = self.batched_events + self.pending.len() > MAX_KEPT_EVENTS;
            if !full && !batch.events.last().is_some_and(too_old) {
                break;
            }
            self.forget_first_batch();
        }
        while self.pending.len() > MAX_KEPT_EVENTS {
            self.pending.pop_front();
            self.gap = true;
            self.stats.dropped_events += 1;
        }
    }

    fn forget_first_batch(&mut self) {
        let Some(batch) = self.batches.pop_front() else { return };
        self.batched_events -= batch.events.len();
        if batch.seq > self.applied {
            self.in_flight -= batch.events.len();
            self.stats.dropped_events += batch.events.len() as u64;
        }
    }

    /// Makes the next batch of what is pending, `None` when nothing is or enough is in flight.
    pub fn next_batch(&mut self, max_events: usize) -> Option<&Batch> {
        if self.pending.is_empty() || self.in_flight >= MAX_IN_FLIGHT_EVENTS {
            return None;
        }
        let count = self.pending.len().min(max_events.max(1));
        let batch = Batch { seq: self.next_seq, events: self.pending.drain(..count).collect() };
        self.next_seq += 1;
        self.stats.batches += 1;
        self.batched_events += count;
        self.in_flight += count;
        self.batches.push_back(batch);
        self.batches.back()
    }

    /// The service applied and made durable all batches up to these.
    pub fn ack(&mut self, applied: u64, durable: u64) {
        let applied = applied.min(self.next_seq - 1);
        if applied > self.applied {
            let (low, high) = (self.applied, applied);
            let newly = self.batches.iter().filter(|batch| batch.seq > low && batch.seq <= high);
            self.in_flight -= newly.map(|batch| batch.events.len()).sum::<usize>();
            self.applied = applied;
        }
        while self.batches.front().is_some_and(|batch| batch.seq <= durable.min(self.applied)) {
            self.forget_first_batch();
        }
    }

    /// A stream was attached, and the service says what it remembers; 0 when nothing. Gives the live set as of then;
    /// [`Journal::unapplied`] is to be sent after it. Batches keep their numbers, unless older ones were dropped
    /// meanwhile: then they close up to what was applied.
    pub fn resume(&mut self, applied: u64, durable: u64) -> Snapshot {
        self.gap = false;
        self.applied = applied;
        self.next_seq = self.next_seq.max(applied.saturating_add(1));
        while self.batches.front().is_some_and(|batch| batch.seq <= durable.min(applied)) {
            self.forget_first_batch();
        }
        self.in_flight = self.unapplied().map(|batch| batch.events.len()).sum();
        if applied > 0 {
            self.number_from_applied();
        }
        self.live_as_of_applied()
    }

    /// The service asks for a snapshot in mid-stream, and for what follows to go on after `applied`. Gives what is
    /// live now, since it may have applied more by the time that the snapshot arrives.
    pub fn resync(&mut self, applied: u64) -> Snapshot {
        self.applied = applied.min(self.next_seq - 1);
        self.in_flight = self.unapplied().map(|batch| batch.events.len()).sum();
        self.number_from_applied();
        self.live.iter().map(|(id, session)| (*id, session.clone())).collect()
    }

    /// Lets the batches that are not applied follow on the last one that is, without a gap.
    fn number_from_applied(&mut self) {
        let applied = self.applied;
        let mut seq = applied;
        for batch in self.batches.iter_mut().filter(|batch| batch.seq > applied) {
            seq += 1;
            batch.seq = seq;
        }
        self.next_seq = seq + 1;
    }

    /// The live set with everything undone that is still to be told, the newest first.
    fn live_as_of_applied(&self) -> Snapshot {
        let mut set = self.live.clone();
        let untold = self.batches.iter().filter(|batch| batch.seq > self.applied).flat_map(|batch| &batch.events);
        for event in untold.chain(&self.pending).collect::<Vec<_>>().into_iter().rev() {
            let id = event.name.id();
            match event.ended {
                Some(_) => set.insert(id, event.session.clone()),
                None => set.remove(&id),
            };
        }
        set.into_iter().collect()
    }

    /// Batches that were sent and are not applied, by number.
    pub fn unapplied(&self) -> impl Iterator<Item = &Batch> {
        self.batches.iter().filter(|batch| batch.seq > self.applied)
    }

    /// Number and digest of the live sessions and the last batch that told of them; `None` while some are untold.
    pub fn digest(&self) -> Option<(u64, u64, u64)> {
        self.pending.is_empty().then_some((self.live.len() as u64, self.digest, self.next_seq - 1))
    }

    /// Events that wait to be sent.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Whether events wait that may be sent now.
    pub fn can_send(&self) -> bool {
        !self.pending.is_empty() && self.in_flight < MAX_IN_FLIGHT_EVENTS
    }

    /// Whether events were dropped that the stream has not carried: only attaching again, with a snapshot, mends that.
    pub fn has_gap(&self) -> bool {
        self.gap
    }

    /// Events that were sent and are not applied yet.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// The last batch that is known to be applied.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// Sessions live now.
    pub fn live(&self) -> usize {
        self.live.len()
    }

    pub fn stats(&self) -> JournalStats {
        self.stats
    }
}

#[cfg(test)]
mod tests;
