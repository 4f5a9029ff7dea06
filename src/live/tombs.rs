//! Tombstones: ids of sessions that ended, so that a connect that comes late or twice does not bring them back.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use crate::model::{Outcome, SessionId, Time};

/// How a session ended that a book remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tomb {
    /// Its connect and its disconnect were counted.
    Counted,
    /// Its disconnect overtook its connect.
    Overtook(Outcome, Time),
}

/// The tombstones of one book, the oldest dropped first.
#[derive(Debug, Default)]
pub struct Tombs {
    by_id: HashMap<SessionId, Tomb>,
    /// With the instants (monotonic) from which they need not be kept. An id stands here once for each time it was put in.
    by_age: VecDeque<(Time, SessionId)>,
}

impl Tombs {
    pub fn get(&self, id: SessionId) -> Option<Tomb> {
        self.by_id.get(&id).copied()
    }

    /// Remembers an end; drops what is too old or too many.
    pub fn put(&mut self, id: SessionId, tomb: Tomb, now: Time, age: Duration, most: usize) {
        self.expire(now);
        self.by_id.insert(id, tomb);
        self.by_age.push_back((now.after(age), id));
        while self.by_age.len() > most.max(1) {
            self.drop_oldest();
        }
    }

    /// Drops what is too old.
    pub fn expire(&mut self, now: Time) {
        while self.by_age.front().is_some_and(|(until, _)| *until <= now) {
            self.drop_oldest();
        }
        if self.by_age.is_empty() && self.by_age.capacity() > 64 {
            *self = Self::default();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((_, id)) = self.by_age.pop_front()
            && !self.by_age.iter().rev().take(8).any(|(_, later)| *later == id)
        {
            self.by_id.remove(&id);
        }
    }
}
