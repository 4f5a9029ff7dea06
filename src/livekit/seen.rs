//! Which events were taken already: LiveKit sends one again when our answer was lost or late.

use std::collections::{HashSet, VecDeque};

use crate::model::SessionId;

/// Events that are remembered; older ones are forgotten. At 100 events a second it is the last ten minutes, and LiveKit
/// gives up an event after half a minute.
const MOST_EVENTS: usize = 65_536;

/// The ids of the last events.
#[derive(Debug, Default)]
pub struct Seen {
    ids: HashSet<SessionId>,
    order: VecDeque<SessionId>,
}

impl Seen {
    /// Whether an event of this id was taken. One without an id never was.
    pub fn has(&self, id: &str) -> bool {
        !id.is_empty() && self.ids.contains(&SessionId::of_text(id.as_bytes()))
    }

    /// An event of this id was taken.
    pub fn put(&mut self, id: &str) {
        let id = SessionId::of_text(id.as_bytes());
        if self.ids.insert(id) {
            self.order.push_back(id);
        }
        while self.order.len() > MOST_EVENTS {
            if let Some(oldest) = self.order.pop_front() {
                self.ids.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_remembered_and_no_more() {
        let mut seen = Seen::default();
        assert!(!seen.has("") && !seen.has("EV_0"));
        for n in 0..=MOST_EVENTS {
            seen.put(&format!("EV_{n}"));
            seen.put(&format!("EV_{n}"));
        }
        assert!(!seen.has("EV_0") && seen.has("EV_1") && seen.has(&format!("EV_{MOST_EVENTS}")) && !seen.has(""));
        assert_eq!((seen.ids.len(), seen.order.len()), (MOST_EVENTS, MOST_EVENTS));
    }
}
