//! What a worker says on its stream: declarations, batches, snapshots, beats.

use std::sync::Arc;

use crate::{
    live::{
        BoundReached, Live,
        apply::{Applied, Event, Moment, Told},
        attach::{Attachment, Gone, Refusal, renew},
        book::{Book, Link},
        left_out::Room,
        meter::Meter,
        snapshot::{ChunkProblem, Gathered, Live as LiveSession},
        sync::Ordering,
    },
    model::{Now, Outcome},
};

/// Sessions that the snapshots of a project may name at once beyond those that it may have: workers that hold more than are
/// counted must be able to say so.
const BEYOND_IN_SNAPSHOTS: usize = 10_000;

/// What became of a message on a stream.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    Applied(Applied),
    /// It was applied before, or comes before the snapshot that was asked for: nothing changed.
    Ignored,
    /// A batch is missing: a snapshot is needed, and then the batch after `applied_seq`.
    Gap {
        applied_seq: u64,
    },
    /// The lease had ended and the sessions were lost: a snapshot is needed.
    Expired {
        lost: u64,
    },
    /// The stream has not sent its first snapshot.
    NoSnapshotYet,
    /// The chunks did not make a snapshot.
    BadSnapshot(ChunkProblem),
    /// What the worker believes is live differs from its book, or what was left out of it has room now: a snapshot is
    /// needed.
    DigestMismatch {
        applied_seq: u64,
    },
}

/// How a worker stands that asks for something.
pub(super) enum Heard {
    Well,
    /// Its snapshot has not come.
    Unsure,
    /// Its lease had ended: a snapshot is needed.
    Expired {
        lost: u64,
    },
}

impl Live {
    /// Renews the lease; says so when it had ended.
    fn heard(&self, book: &mut Book, now: Now) -> Option<Batch> {
        renew(book, now);
        if book.link == Link::Gone {
            // Its lease ended while the stream was silent: it is back, with nothing.
            self.revive(book);
            book.ask_snapshot();
            book.back(Link::Stream);
            return Some(Batch::Expired { lost: book.expired.map_or(0, |expired| expired.lost) });
        }
        None
    }

    /// The worker is heard, and asks for something: whether its book is what it holds. That its lease had ended it is told at
    /// its next beat or batch.
    pub(super) fn hears(book: &mut Book, now: Now) -> Heard {
        if book.link == Link::Gone {
            return Heard::Expired { lost: book.expired.map_or(0, |expired| expired.lost) };
        }
        renew(book, now);
        if book.needs_snapshot { Heard::Unsure } else { Heard::Well }
    }

    /// The worker names meters that it reports.
    pub fn declare(&self, stream: &Attachment, meters: &[Arc<Meter>], now: Now) -> Result<(), Gone> {
        let mut book = stream.mine()?;
        renew(&mut book, now);
        for meter in meters {
            book.declare(meter);
        }
        Ok(())
    }

    /// Applies a batch of a stream. What began and has no room, since the project has as many sessions as it may, is left
    /// out, and [`Applied::left_out`] says how many; all else is applied.
    ///
    /// # Errors
    /// When the stream was superseded.
    pub fn batch(&self, stream: &Attachment, seq: u64, events: Vec<impl Told>, now: Now) -> Result<Batch, Refusal> {
        self.take_batch(stream, seq, events, false, now)
    }

    /// Applies a batch of a stream, whole or not at all.
    ///
    /// # Errors
    /// When the stream was superseded, or the project would have more sessions than it may.
    pub fn whole_batch(&self, stream: &Attachment, seq: u64, events: Vec<Event>, now: Now) -> Result<Batch, Refusal> {
        self.take_batch(stream, seq, events, true, now)
    }

    fn take_batch(
        &self,
        stream: &Attachment,
        seq: u64,
        mut events: Vec<impl Told>,
        whole: bool,
        now: Now,
    ) -> Result<Batch, Refusal> {
        let mut book = stream.mine()?;
        let moment = self.moment(now);
        if let Some(expired) = self.heard(&mut book, now) {
            return Ok(expired);
        }
        if book.needs_snapshot {
            return Ok(if book.snapshot_asked { Batch::Ignored } else { Batch::NoSnapshotYet });
        }
        match book.applied {
            Some(applied) if seq <= applied => return Ok(Batch::Ignored),
            Some(applied_seq) if seq > applied_seq + 1 => {
                book.ask_snapshot();
                return Ok(Batch::Gap { applied_seq });
            }
            _ => {}
        }
        let applied = self.apply_all(&mut book, &mut events, &moment, whole)?;
        book.applied = Some(seq);
        // Read after it was applied: what the roller had not passed by now is in the frame of this second, or an earlier one.
        book.note_undurable(seq, self.tick(now));
        Ok(Batch::Applied(applied))
    }

    /// Applies events: what has no room is left out, or refuses all if it is to be `whole`.
    pub(super) fn apply_all(
        &self,
        book: &mut Book,
        events: &mut [impl Told],
        moment: &Moment<'_>,
        whole: bool,
    ) -> Result<Applied, BoundReached> {
        let opens = events.iter().filter(|event| event.is_open()).count() as u64;
        let counts = self.registry.project(&book.project);
        let most = self.bounds.sessions_per_project as u64;
        let room = counts.take_room(opens, most);
        if whole && room < opens {
            counts.grow(-room.cast_signed());
            return Err(BoundReached { what: "sessions_per_project", most });
        }
        let applied = book.apply_all(events, moment, Room::of(&counts, room));
        counts.grow(applied.grown - room.cast_signed());
        Ok(applied)
    }

    /// Takes a chunk of a snapshot; with the last one, the book is replaced. Sessions that have no room, since the project
    /// has as many as it may, are left out: those that were not counted before.
    ///
    /// # Errors
    /// When the stream was superseded.
    pub fn snapshot(
        &self,
        stream: &Attachment,
        index: u32,
        sessions: Vec<LiveSession>,
        last: Option<(u64, u64)>,
        now: Now,
    ) -> Result<Batch, Gone> {
        let mut book = stream.mine()?;
        let moment = self.moment(now);
        let _back = self.heard(&mut book, now);
        let counts = self.registry.project(&book.project);
        let mut gathered = book.gathered.take().filter(|_| index > 0).unwrap_or_else(|| Gathered::new(counts.clone()));
        let most = self.bounds.sessions_per_project;
        let taken = gathered.add(index, sessions, most + BEYOND_IN_SNAPSHOTS).and_then(|()| match last {
            Some((count, digest)) => gathered.verify(count, digest),
            None => Ok(()),
        });
        if let Err(problem) = taken {
            book.ask_snapshot();
            return Ok(Batch::BadSnapshot(problem));
        }
        if last.is_none() {
            book.gathered = Some(gathered);
            return Ok(Batch::Applied(Applied::default()));
        }
        let others = counts.sessions.load(Ordering::Acquire).saturating_sub(book.live_count());
        let room = (most as u64).saturating_sub(others);
        let left_out = gathered.take_out(room, |id| book.places.get(id).is_some());
        let mut applied = book.replace(gathered, &moment);
        book.forget_left_out();
        book.leave_out_all(&left_out, &counts);
        applied.left_out = u32::try_from(left_out.len()).unwrap_or(u32::MAX);
        self.grow(&book.project, applied.grown);
        let (project, incarnation) = (book.project.clone(), book.incarnation);
        drop(book);
        self.returned(&project, incarnation);
        Ok(Batch::Applied(applied))
    }

    /// The worker is alive; `believed` is the last batch it sent, and number and digest of what it holds live.
    ///
    /// # Errors
    /// When the stream was superseded.
    pub fn beat(&self, stream: &Attachment, believed: Option<(u64, u64, u64)>, now: Now) -> Result<Batch, Gone> {
        let mut book = stream.mine()?;
        if let Some(expired) = self.heard(&mut book, now) {
            return Ok(expired);
        }
        let applied_seq = book.applied.unwrap_or(0);
        if let Some((as_of, count, digest)) = believed
            && !book.needs_snapshot
            && book.applied.is_none_or(|applied| applied == as_of)
            && book.unseen.is_empty()
            && book.digest() != (count, digest)
        {
            book.ask_snapshot();
            return Ok(Batch::DigestMismatch { applied_seq });
        }
        if !book.needs_snapshot && book.may_come_in(self.bounds.sessions_per_project as u64) {
            book.ask_snapshot();
            return Ok(Batch::DigestMismatch { applied_seq });
        }
        Ok(Batch::Ignored)
    }

    /// The worker has heard of so many of the grants that its stream was sent.
    ///
    /// # Errors
    /// When the stream was superseded.
    pub fn heard_grants(&self, stream: &Attachment, grants: u64) -> Result<(), Gone> {
        stream.mine()?.unseen.heard(grants);
        Ok(())
    }

    /// The last applied and the last durable batch of a stream.
    ///
    /// # Errors
    /// When the stream was superseded.
    pub fn acknowledged(&self, stream: &Attachment) -> Result<(u64, u64), Gone> {
        Ok(stream.mine()?.acknowledged(self.durable()))
    }

    /// The process ends: its sessions end at once.
    ///
    /// # Errors
    /// When the stream was superseded.
    pub fn stream_goodbye(&self, stream: &Attachment, outcome: Outcome, now: Now) -> Result<u64, Gone> {
        let (project, incarnation) = {
            let book = stream.mine()?;
            (book.project.clone(), book.incarnation)
        };
        Ok(self.goodbye(&project, incarnation, outcome, now))
    }
}
