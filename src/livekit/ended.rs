//! What has ended, so that a beginning that comes late does not bring it back.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use crate::model::{Outcome, Time};

/// Ends that are remembered of each list. An end that is forgotten too early is put right by the next reading of the lists.
const MOST_ENDS: usize = 65_536;
/// How long: far longer than LiveKit tries to send an event (30 s and some retries).
const KEPT: Duration = Duration::from_secs(600);

/// One end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// When we heard of it (monotonic).
    pub heard: Time,
    /// When it was (wall).
    pub at: Time,
    pub outcome: Outcome,
    pub how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// An event said so, and the session was counted.
    Counted,
    /// An event said so, and when it began is not known: it is still to be counted.
    BeginUnknown,
    /// A list had it no more.
    Unlisted,
}

/// The ends of one list, the oldest forgotten first.
#[derive(Debug, Default)]
pub struct Ended {
    by_name: HashMap<Box<str>, End>,
    by_age: VecDeque<(Time, Box<str>)>,
}

impl Ended {
    pub fn get(&self, name: &str) -> Option<End> {
        self.by_name.get(name).copied()
    }

    pub fn put(&mut self, name: &str, end: End) {
        self.by_name.insert(name.into(), end);
        self.by_age.push_back((end.heard, name.into()));
        while let Some((heard, name)) = self.by_age.front()
            && (self.by_age.len() > MOST_ENDS || heard.after(KEPT) <= end.heard)
        {
            // The same name may have ended anew since.
            if self.by_name.get(name).is_some_and(|end| end.heard <= *heard) {
                self.by_name.remove(name);
            }
            self.by_age.pop_front();
        }
    }

    /// It is back after all.
    pub fn remove(&mut self, name: &str) {
        self.by_name.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten() {
        let mut ended = Ended::default();
        let end = |second| End {
            heard: Time::from_secs(second),
            at: Time::from_secs(second),
            outcome: Outcome::Ok,
            how: How::Counted,
        };
        ended.put("a", end(0));
        ended.put("a", end(300));
        ended.put("b", end(700));
        assert!(ended.get("a").is_some_and(|a| a.heard == Time::from_secs(300)), "it ended anew");
        ended.put("c", end(1_000));
        assert!(ended.get("a").is_none() && ended.get("b").is_some());
        (0..=MOST_ENDS).for_each(|n| ended.put(&n.to_string(), end(1_001)));
        assert!(ended.get("0").is_none() && ended.get("1").is_some());
        assert_eq!(ended.by_age.len(), MOST_ENDS);
    }
}
