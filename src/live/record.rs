//! One held slot, as a book keeps it and as others see it.

use std::sync::Arc;

use crate::{
    live::{meter::Meter, moves::Slot},
    model::{Labels, Outcome, Tick, Time},
};

/// One held slot in a book: 24 bytes beside its id, since a fleet holds a million.
#[derive(Debug)]
pub(super) struct Record {
    /// When it began, by the wall clock of the service.
    since: Time,
    labels: Option<Box<Labels>>,
    /// First tick of the history that counts it, in the 32 bits that last until 2106.
    counted_from: u32,
    /// Place of its meter among those that the book declared, in 24 bits; a project has fewer meters.
    slot: [u8; 3],
    /// It is known from a snapshot after a restart only: whether history knows its connect is not known yet.
    restored: bool,
}

/// A held slot that is out of its book, or seen from outside.
#[derive(Debug)]
pub struct Held {
    pub meter: Arc<Meter>,
    pub since: Time,
    pub counted_from: Tick,
    pub restored: bool,
}

/// What others see of a record.
#[derive(Clone, Copy, Debug)]
pub struct View<'b> {
    pub meter: &'b Arc<Meter>,
    pub since: Time,
    pub labels: Option<&'b Labels>,
    pub restored: bool,
}

impl Record {
    pub fn new(slot: Slot, since: Time, counted_from: Tick, labels: Option<Box<Labels>>, restored: bool) -> Self {
        let counted_from = u32::try_from(counted_from.0).unwrap_or(u32::MAX);
        let [a, b, c, above] = slot.to_le_bytes();
        debug_assert!(above == 0, "a book declares fewer meters than 2^24");
        Self { since, labels, counted_from, slot: [a, b, c], restored }
    }

    pub const fn slot(&self) -> Slot {
        let [a, b, c] = self.slot;
        Slot::from_le_bytes([a, b, c, 0])
    }

    pub const fn since(&self) -> Time {
        self.since
    }

    pub const fn counted_from(&self) -> Tick {
        Tick(self.counted_from as u64)
    }

    pub const fn is_restored(&self) -> bool {
        self.restored
    }

    /// It is known now whether history knows its connect; returns whether it was not before.
    pub const fn account(&mut self) -> bool {
        std::mem::replace(&mut self.restored, false)
    }

    pub fn view<'b>(&'b self, meter: &'b Arc<Meter>) -> View<'b> {
        View { meter, since: self.since, labels: self.labels.as_deref(), restored: self.is_restored() }
    }

    pub fn to_held(&self, meter: &Arc<Meter>) -> Held {
        let (since, counted_from, restored) = (self.since, self.counted_from(), self.is_restored());
        Held { meter: meter.clone(), since, counted_from, restored }
    }
}

impl Held {
    /// Counts the end of a session.
    pub(super) fn settle(&self, outcome: Outcome, ended: Time) {
        if self.restored {
            self.meter.account_inherited();
        }
        self.meter.count_closed(outcome, ended.millis_since(self.since));
    }
}
