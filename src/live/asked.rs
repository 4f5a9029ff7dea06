//! Slots that were asked for, in a worker's book: one at a time, where reports come in batches. And the grants that a worker
//! may not have heard of yet, so that a beat or a snapshot that it sent before is not taken for its last word.

use std::{collections::VecDeque, sync::Arc};

use crate::{
    live::{
        apply::Moment,
        book::{Book, Link},
        ends,
        meter::Meter,
        places::{Keep, Known},
        record::Record,
    },
    model::{Labels, Outcome, SessionId},
};

/// Grants of a stream that its worker may not have heard of: more are not given until it says that it has.
pub(super) const MOST_UNSEEN: usize = 4_096;

/// The grants that a stream was sent.
#[derive(Debug, Default)]
pub(super) struct Unseen {
    /// Of all that it was sent, the last of which it may not have heard.
    last: VecDeque<SessionId>,
    /// How many it was sent.
    sent: u64,
}

impl Unseen {
    pub fn sent(&mut self, id: SessionId) {
        self.sent += 1;
        self.last.push_back(id);
    }

    /// The worker has heard of so many; returns whether that is all.
    pub fn heard(&mut self, grants: u64) -> bool {
        let unheard = usize::try_from(self.sent.saturating_sub(grants)).unwrap_or(usize::MAX);
        while self.last.len() > unheard {
            self.last.pop_front();
        }
        unheard == 0
    }

    /// Whether it may not have heard of this one.
    pub fn holds(&self, id: &SessionId) -> bool {
        self.last.contains(id)
    }

    pub fn is_full(&self) -> bool {
        self.last.len() >= MOST_UNSEEN
    }

    pub fn is_empty(&self) -> bool {
        self.last.is_empty()
    }
}

/// What a book knows of a session that is asked for.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    /// It holds a slot of this meter.
    Held(Arc<Meter>),
    /// It ended, or its end came before it.
    Ended,
    New,
}

impl Book {
    pub(super) fn asked(&mut self, id: &SessionId) -> Asked {
        let slot = match self.places.known(id) {
            Known::Held(record) => Some(record.slot()),
            Known::Ended => return Asked::Ended,
            Known::Not => None,
        };
        match slot {
            Some(slot) => Asked::Held(self.declared[slot as usize].clone()),
            None if self.departed.contains_key(id) || self.early_ends.has(id) => Asked::Ended,
            None => Asked::New,
        }
    }

    /// Puts in a session that was promised a slot: a record, and the levels with it.
    pub(super) fn hold(&mut self, id: SessionId, meter: &Arc<Meter>, labels: Option<Box<Labels>>, moment: &Moment<'_>) {
        let slot = self.declare(meter);
        meter.count_opened();
        meter.raise(moment.tick);
        if self.is_silent() {
            meter.add_silent_level(1);
        }
        self.digest ^= id.digest();
        self.places.insert(id, Record::new(slot, moment.now.wall, moment.tick, labels, false));
    }

    /// Takes a session out that ends now, and the levels with it; false when it is not held.
    pub(super) fn let_go(&mut self, id: SessionId, outcome: Outcome, moment: &Moment<'_>) -> bool {
        let Some(record) = self.places.end(&id, Keep::of(moment.now, moment.bounds)) else { return false };
        let meter = &self.declared[record.slot() as usize];
        if record.is_restored() {
            meter.account_inherited();
        }
        meter.count_closed(outcome, moment.now.wall.millis_since(record.since()));
        meter.ends.end(ends::place(&self.worker), outcome, meter.tally.word.level());
        if self.link == Link::Cut {
            meter.add_silent_level(-1);
        }
        self.digest ^= id.digest();
        meter.lower(moment.now.wall.tick_before());
        self.unclaim(&id, Some(outcome));
        true
    }

    /// A session that is not known has ended: if it comes late, it is not let in.
    pub(super) fn forestall(&mut self, id: SessionId, outcome: Outcome, moment: &Moment<'_>) {
        self.early_ends.put(id, outcome, moment.now.wall, Keep::of(moment.now, moment.bounds));
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_unseen_until_the_worker_has_heard_of_as_many() {
        let mut unseen = Unseen::default();
        let id = |nth: u8| SessionId([nth; 16]);
        (1..=3).for_each(|nth| unseen.sent(id(nth)));
        assert!(!unseen.heard(0) && unseen.holds(&id(1)));
        assert!(!unseen.heard(2) && !unseen.holds(&id(2)) && unseen.holds(&id(3)));
        assert!(!unseen.heard(1), "an older word changes nothing");
        assert!(unseen.heard(3) && unseen.is_empty());
        assert!(unseen.heard(9), "more than were sent is all");
    }
}
