//! Snapshots: the full set of a worker's live sessions replaces its book in one step, closes before opens, so that a
//! return never shows a spike that did not happen.

use std::{sync::Arc, time::Duration};

use crate::{
    live::{
        apply::{Applied, Moment},
        book::{Book, BySession, Departed},
        meter::Meter,
        moves::Moves,
        record::Record,
        registry::ProjectCounts,
        sync::Ordering,
    },
    model::{Labels, Outcome, SessionId},
};

/// One session of a snapshot.
#[derive(Clone, Debug)]
pub struct Live {
    pub id: SessionId,
    pub meter: Arc<Meter>,
    pub age: Duration,
    pub labels: Option<Box<Labels>>,
}

/// The chunks of a snapshot that have come. While they wait for the last one they count against their project.
#[derive(Debug)]
pub struct Gathered {
    next_index: u32,
    sessions: BySession<Live>,
    counts: Arc<ProjectCounts>,
    counted: u64,
}

/// Why chunks do not make a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkProblem {
    /// Chunks must come in order, from 0.
    OutOfOrder { expected: u32 },
    /// The snapshot, or all that are being told in the project, have more sessions than a project may have.
    TooMany,
    /// The sessions are not as many, or not those, that the last chunk says.
    Mismatch,
}

impl Drop for Gathered {
    fn drop(&mut self) {
        self.counts.gathering.fetch_sub(self.counted, Ordering::AcqRel);
    }
}

impl Gathered {
    /// Nothing yet, of a worker of this project.
    pub fn new(counts: Arc<ProjectCounts>) -> Self {
        Self { next_index: 0, sessions: BySession::default(), counts, counted: 0 }
    }

    /// Takes a chunk in.
    pub fn add(&mut self, index: u32, sessions: Vec<Live>, most: usize) -> Result<(), ChunkProblem> {
        if index != self.next_index {
            return Err(ChunkProblem::OutOfOrder { expected: self.next_index });
        }
        let more = sessions.len() as u64;
        self.counted += more;
        if self.counts.gathering.fetch_add(more, Ordering::AcqRel) + more > most as u64 {
            return Err(ChunkProblem::TooMany);
        }
        self.next_index += 1;
        self.sessions.extend(sessions.into_iter().map(|live| (live.id, live)));
        Ok(())
    }

    /// How many sessions have come.
    pub fn len(&self) -> u64 {
        self.sessions.len() as u64
    }

    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Takes out as many as there are more than `room`, those that are held last; returns them.
    pub(super) fn take_out(&mut self, room: u64, is_held: impl Fn(&SessionId) -> bool) -> Vec<Live> {
        let over = usize::try_from(self.len().saturating_sub(room)).unwrap_or(usize::MAX);
        let mut out: Vec<_> = self.sessions.keys().filter(|id| !is_held(id)).take(over).copied().collect();
        let held = self.sessions.keys().filter(|id| is_held(id)).take(over - out.len()).copied();
        out.extend(held.collect::<Vec<_>>());
        out.iter().filter_map(|id| self.sessions.remove(id)).collect()
    }

    /// Checks the set against what the last chunk says of it.
    pub fn verify(&self, count: u64, digest: u64) -> Result<(), ChunkProblem> {
        let digest_here = self.sessions.keys().fold(0, |digest, id| digest ^ id.digest());
        if (self.len(), digest_here) == (count, digest) { Ok(()) } else { Err(ChunkProblem::Mismatch) }
    }
}

impl Book {
    /// Replaces the records by the snapshot: what is not in it ends first, then what is new begins.
    pub(super) fn replace(&mut self, mut snapshot: Gathered, moment: &Moment<'_>) -> Applied {
        let mut applied = Applied::default();
        let (now, tick) = (moment.now, moment.tick);
        let gone: Vec<_> = self
            .places
            .iter()
            .filter(|(id, record)| {
                // What it was granted and may not have heard of, it could not name.
                snapshot.sessions.get(id).is_none_or(|l| l.meter.tally.id != self.meter(record).tally.id)
                    && !self.unseen.holds(id)
            })
            .map(|(id, _)| *id)
            .collect();
        if self.departed.len() + gone.len() > moment.bounds.sessions_per_project {
            // A flood of snapshots: of those that left earlier, no more than a project may hold are waited for.
            self.give_up_departed(moment);
        }
        let mut moves = Moves::of(&self.worker);
        for id in gone {
            if let Some(record) = self.remove(id, now.wall.tick_before(), &mut moves) {
                self.unclaim(&id, None);
                let held = record.to_held(&self.declared[record.slot() as usize]);
                if self.departed.len() < moment.bounds.tombstones_per_book {
                    let until = now.mono.after(moment.bounds.lease);
                    self.departed.insert(id, Departed { held, left: tick, until });
                } else {
                    // More than are remembered one by one: how they ended is not waited for.
                    held.settle(Outcome::Lost, now.wall);
                }
                applied.changed += 1;
                applied.grown -= 1;
            }
        }
        // Closes before opens, also in the words.
        moves.flush(&self.declared);
        for (id, live) in std::mem::take(&mut snapshot.sessions) {
            if self.places.get(&id).is_some() {
                applied.duplicates += 1;
                continue;
            }
            if let Some(departed) = self.departed.remove(&id) {
                departed.held.settle(Outcome::Lost, departed.left.next().start());
            }
            self.restore(id, live, moment, &mut moves);
            applied.changed += 1;
            applied.grown += 1;
        }
        moves.flush(&self.declared);
        self.is_told();
        self.expired = None;
        self.fresh = false;
        applied
    }

    /// A session that the service did not know, or had given up, is live. History is put right for the seconds since it
    /// began, or since it was given up, or since the service went down.
    fn restore(&mut self, id: SessionId, live: Live, moment: &Moment<'_>, moves: &mut Moves) {
        let since = moment.now.wall.before(live.age);
        let oldest = moment.now.wall.before(moment.bounds.late_until).tick();
        let known_until = self.expired.map(|expired| expired.first_without).max(moment.down_from);
        let mut counted_from = since.tick().max(oldest).min(moment.tick);
        if let Some(known_until) = known_until {
            counted_from = counted_from.max(known_until).min(moment.tick);
        } else if live.age <= moment.bounds.late_after {
            counted_from = moment.tick;
        }
        live.meter.count_late(counted_from, moment.tick, 1);
        let restored = moment.down_from.is_some_and(|down_from| self.fresh && since.tick() < down_from.next());
        if !restored {
            live.meter.count_opened();
        }
        let slot = self.declare(&live.meter);
        self.insert(id, Record::new(slot, since, counted_from, live.labels, restored), moment.tick, moves);
    }
}
