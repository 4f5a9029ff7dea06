//! Disconnects that overtook their connects: they are remembered for a while, so that the connect that comes late does not
//! leak. They are few.

use std::collections::VecDeque;

use crate::{
    live::{book::BySession, places::Keep},
    model::{Outcome, SessionId, Time},
};

#[derive(Debug, Default)]
pub(super) struct EarlyEnds {
    by_id: BySession<EarlyEnd>,
    /// An id stands here once for each time it was put in.
    by_age: VecDeque<(Time, SessionId)>,
}

#[derive(Debug)]
struct EarlyEnd {
    outcome: Outcome,
    ended: Time,
    /// When (monotonic) it is forgotten.
    until: Time,
}

impl EarlyEnds {
    pub fn has(&self, id: &SessionId) -> bool {
        !self.by_id.is_empty() && self.by_id.contains_key(id)
    }

    /// How and when a session ended of which the connect is here now.
    pub fn take(&mut self, id: &SessionId) -> Option<(Outcome, Time)> {
        if self.by_id.is_empty() {
            return None;
        }
        self.by_id.remove(id).map(|early| (early.outcome, early.ended))
    }

    /// Remembers one; drops what is too old or too many.
    pub fn put(&mut self, id: SessionId, outcome: Outcome, ended: Time, keep: Keep) {
        self.expire(keep.now);
        let until = keep.now.after(keep.age);
        self.by_id.insert(id, EarlyEnd { outcome, ended, until });
        self.by_age.push_back((until, id));
        while self.by_age.len() > keep.most.max(1) {
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
            && self.by_id.get(&id).is_some_and(|early| early.until <= until)
        {
            self.by_id.remove(&id);
        }
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_is_remembered_for_its_time_and_the_last_are_when_there_are_many() {
        let (mut early, at, id) = (EarlyEnds::default(), Time::from_secs, |n: u8| SessionId([n; 16]));
        let keep = |second| Keep { now: at(second), age: Duration::from_secs(60), most: 3 };
        early.put(id(0), Outcome::Ok, at(0), keep(0));
        early.put(id(0), Outcome::Lost, at(1), keep(30));
        early.expire(at(60));
        assert_eq!(
            (early.has(&id(0)), early.take(&id(0)), early.has(&id(0))),
            (true, Some((Outcome::Lost, at(1))), false)
        );
        (1..=5).for_each(|n| early.put(id(n), Outcome::Ok, at(70), keep(70)));
        assert_eq!((0..=5).filter(|n| early.has(&id(*n))).collect::<Vec<_>>(), [3, 4, 5]);
        early.expire(at(130));
        assert_eq!(early.by_id.len(), 0);
    }
}
