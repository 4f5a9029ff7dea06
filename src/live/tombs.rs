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
    /// Each with the instant (monotonic) from which it need not be kept.
    by_id: HashMap<SessionId, (Tomb, Time)>,
    /// With the same instants. An id stands here once for each time it was put in.
    by_age: VecDeque<(Time, SessionId)>,
}

impl Tombs {
    pub fn get(&self, id: SessionId) -> Option<Tomb> {
        self.by_id.get(&id).map(|(tomb, _)| *tomb)
    }

    /// Remembers an end; drops what is too old or too many.
    pub fn put(&mut self, id: SessionId, tomb: Tomb, now: Time, age: Duration, most: usize) {
        self.expire(now);
        let until = now.after(age);
        self.by_id.insert(id, (tomb, until));
        self.by_age.push_back((until, id));
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
        if let Some((until, id)) = self.by_age.pop_front()
            && self.by_id.get(&id).is_some_and(|(_, newest)| *newest <= until)
        {
            self.by_id.remove(&id);
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
}
