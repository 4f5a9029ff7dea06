//! Sessions that are not counted, since their project has as many as it may: how many a book has of them, and their digest,
//! so that a worker and its book agree on what is live. Which they are is not kept: that would be the room that they may
//! not have. When there is room again, the worker is asked for a snapshot.

use std::sync::Arc;

use crate::{
    live::{book::Book, meter::Meter, registry::ProjectCounts, snapshot::Live, sync::Ordering},
    model::SessionId,
};

/// The sessions of a worker that are left out.
#[derive(Debug, Default)]
pub struct LeftOut {
    count: u64,
    /// XOR of their digests.
    digest: u64,
    counts: Option<Arc<ProjectCounts>>,
}

/// The room that is left for the opens of a batch.
pub(super) struct Room<'c> {
    left: u64,
    /// Those of the project; `None` where there is room for all.
    counts: Option<&'c Arc<ProjectCounts>>,
}

impl<'c> Room<'c> {
    /// Room for all.
    pub const fn any() -> Self {
        Self { left: u64::MAX, counts: None }
    }

    pub const fn of(counts: &'c Arc<ProjectCounts>, left: u64) -> Self {
        Self { left, counts: Some(counts) }
    }

    /// Takes a place; false when there is none.
    pub const fn take(&mut self) -> bool {
        let is_there = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_there
    }

    /// A place is free again.
    pub const fn give(&mut self) {
        self.left = self.left.saturating_add(1);
    }
}

impl ProjectCounts {
    /// Takes room for so many sessions, or for as many as there is; what was too much is given back, so that two workers at
    /// once can't both have the last of it.
    pub(super) fn take_room(&self, sessions: u64, most: u64) -> u64 {
        if sessions == 0 {
            return 0;
        }
        let taken = self.sessions.fetch_add(sessions, Ordering::AcqRel);
        let over = (taken + sessions).saturating_sub(most).min(sessions);
        if over > 0 {
            self.sessions.fetch_sub(over, Ordering::AcqRel);
        }
        sessions - over
    }
}

impl Book {
    /// A session of the worker's has no room.
    pub(super) fn leave_out(&mut self, id: SessionId, meter: &Arc<Meter>, room: &Room<'_>) {
        if let Some(counts) = room.counts {
            self.add_left_out(id, meter, counts);
        }
    }

    fn add_left_out(&mut self, id: SessionId, meter: &Arc<Meter>, counts: &Arc<ProjectCounts>) {
        self.declare(meter);
        self.left_out.count += 1;
        self.left_out.digest ^= id.digest();
        counts.left_out.fetch_add(1, Ordering::AcqRel);
        self.left_out.counts = Some(counts.clone());
        self.note_completeness();
    }

    /// A session that is not in the book has ended: whether it may be one that was left out.
    pub(super) fn end_left_out(&mut self, id: SessionId) -> bool {
        if self.left_out.count == 0 {
            return false;
        }
        self.left_out.count -= 1;
        self.left_out.digest ^= id.digest();
        if let Some(counts) = &self.left_out.counts {
            counts.left_out.fetch_sub(1, Ordering::AcqRel);
        }
        if self.left_out.count == 0 {
            self.all_is_in();
        }
        true
    }

    /// None is left out any more: all have ended, or a snapshot says anew who is there.
    pub(super) fn forget_left_out(&mut self) {
        if self.left_out.count > 0 {
            if let Some(counts) = &self.left_out.counts {
                counts.left_out.fetch_sub(self.left_out.count, Ordering::AcqRel);
            }
            self.all_is_in();
        }
    }

    fn all_is_in(&mut self) {
        self.left_out = LeftOut::default();
        self.note_completeness();
    }

    /// These sessions of a snapshot have no room.
    pub(super) fn leave_out_all(&mut self, sessions: &[Live], counts: &Arc<ProjectCounts>) {
        sessions.iter().for_each(|live| self.add_left_out(live.id, &live.meter, counts));
    }

    /// Whether sessions are left out that would have room now.
    pub(super) fn may_come_in(&self, most: u64) -> bool {
        let Some(counts) = &self.left_out.counts else { return false };
        self.left_out.count > 0 && counts.sessions.load(Ordering::Acquire) < most
    }

    /// Sessions of the worker that are not counted.
    pub fn left_out(&self) -> u64 {
        self.left_out.count
    }

    /// Number and digest of the live sessions, as a beat states them: those that are left out are live, too.
    pub fn digest(&self) -> (u64, u64) {
        (self.live_count() + self.left_out.count, self.digest ^ self.left_out.digest)
    }
}
