//! Tombstones: ids of sessions that ended, so that a connect that comes late or twice does not bring them back.

use std::{collections::VecDeque, time::Duration};

use crate::{
    live::book::BySession,
    model::{Outcome, SessionId, Time},
};

/// How a session ended that a book remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tomb {
    /// Its connect and its disconnect were counted.
    Counted,
    /// Its disconnect overtook its connect.
    Overtook(Outcome, Time),
}

/// The tombstones of one book. Those of sessions that were counted are as many as there are sessions: they are kept in two
/// generations, and the older one is dropped whole, so that forgetting them costs nothing. Those that overtook are few, and
/// dropped one by one.
#[derive(Debug)]
pub struct Tombs {
    /// Each with the instant (monotonic) from which it is forgotten.
    newer: BySession<Time>,
    older: BySession<Time>,
    /// When the first of the newer ones is forgotten: by then all of the older are.
    turn_at: Time,
    /// When the last of them is.
    newest: Time,
    /// When the last of the older ones is.
    older_until: Time,
    /// The last instant that was told.
    now: Time,
    /// Disconnects that overtook their connects, with the same instants.
    overtook: BySession<(Outcome, Time, Time)>,
    /// An id stands here once for each time it was put in.
    by_age: VecDeque<(Time, SessionId)>,
}

impl Default for Tombs {
    fn default() -> Self {
        Self {
            newer: BySession::default(),
            older: BySession::default(),
            turn_at: Time(u64::MAX),
            newest: Time::default(),
            older_until: Time::default(),
            now: Time::default(),
            overtook: BySession::default(),
            by_age: VecDeque::new(),
        }
    }
}

impl Tombs {
    pub fn get(&self, id: SessionId) -> Option<Tomb> {
        if let Some((outcome, ended, _)) = self.overtook.get(&id) {
            return Some(Tomb::Overtook(*outcome, *ended));
        }
        self.has_counted(id).then_some(Tomb::Counted)
    }

    /// Whether it is remembered as counted.
    pub fn has_counted(&self, id: SessionId) -> bool {
        let is_kept = |until: &Time| *until > self.now;
        self.newer.get(&id).is_some_and(is_kept) || self.older.get(&id).is_some_and(is_kept)
    }

    /// Remembers an end; drops what is too old or too many. Of those that were counted, at least the last half of `most`
    /// are remembered.
    pub fn put(&mut self, id: SessionId, tomb: Tomb, now: Time, age: Duration, most: usize) {
        let until = now.after(age);
        match tomb {
            Tomb::Counted => self.put_counted(id, now, until, most),
            Tomb::Overtook(outcome, ended) => {
                self.expire(now);
                self.overtook.insert(id, (outcome, ended, until));
                self.by_age.push_back((until, id));
                while self.by_age.len() > most.max(1) {
                    self.drop_oldest();
                }
            }
        }
    }

    fn put_counted(&mut self, id: SessionId, now: Time, until: Time, most: usize) {
        self.now = now;
        if !self.overtook.is_empty() {
            self.overtook.remove(&id);
        }
        if self.newer.len() >= (most / 2).max(1) || self.turn_at <= now {
            self.turn();
        }
        if self.newer.is_empty() {
            self.turn_at = until;
        }
        self.newer.insert(id, until);
        self.newest = until;
    }

    /// The newer generation becomes the older one; what was older is forgotten, and its room used again.
    fn turn(&mut self) {
        self.older.clear();
        std::mem::swap(&mut self.newer, &mut self.older);
        self.older_until = self.newest;
        self.turn_at = Time(u64::MAX);
    }

    /// Drops what is too old.
    pub fn expire(&mut self, now: Time) {
        self.now = now;
        while self.by_age.front().is_some_and(|(until, _)| *until <= now) {
            self.drop_oldest();
        }
        if self.by_age.is_empty() && self.by_age.capacity() > 64 {
            self.by_age = VecDeque::new();
            self.overtook = BySession::default();
        }
        if self.turn_at <= now {
            self.turn();
        }
        if self.older_until <= now && self.older.capacity() > 0 {
            self.older = BySession::default();
        }
        if self.newer.is_empty() && self.older.capacity() == 0 && self.newer.capacity() > 0 {
            self.newer = BySession::default();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((until, id)) = self.by_age.pop_front()
            && self.overtook.get(&id).is_some_and(|(.., newest)| *newest <= until)
        {
            self.overtook.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_told_again_is_kept_from_then_on() {
        let (mut tombs, age, at) = (Tombs::default(), Duration::from_secs(60), Time::from_secs);
        let id = |n| SessionId([n; 16]);
        tombs.put(id(0), Tomb::Overtook(Outcome::Ok, at(0)), at(0), age, 100);
        tombs.put(id(0), Tomb::Counted, at(30), age, 100);
        (1..20).for_each(|n| tombs.put(id(n), Tomb::Counted, at(31), age, 100));
        tombs.expire(at(60));
        assert_eq!(tombs.get(id(0)), Some(Tomb::Counted));
        tombs.expire(at(90));
        assert_eq!((tombs.get(id(0)), tombs.get(id(1))), (None, Some(Tomb::Counted)));
    }

    #[test]
    fn of_very_many_ends_the_last_are_remembered() {
        let (mut tombs, age, now) = (Tombs::default(), Duration::from_secs(60), Time::from_secs(1));
        let id = |n: u32| SessionId(std::array::from_fn(|at| n.to_le_bytes()[at % 4]));
        (0..1_000).for_each(|n| tombs.put(id(n), Tomb::Counted, now, age, 100));
        assert!((950..1_000).all(|n| tombs.get(id(n)).is_some()), "at least half of the bound");
        assert_eq!((0..900).find(|n| tombs.get(id(*n)).is_some()), None, "no more than the bound");
    }
}
