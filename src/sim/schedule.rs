//! What the workers of a fleet do, step by step in the order of time: each call is a worker process that begins, opens
//! and closes the sessions of its call, and ends.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    sync::Arc,
    vec,
};

use crate::{
    model::Time,
    sim::{call::Call, fleet::Calls},
};

/// What a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The session at this place of its call ends. At one instant, what ends goes before what begins.
    Closes(usize),
    /// The process is over.
    Ends,
    /// The process is there.
    Begins,
    /// The session at this place of its call begins.
    Opens(usize),
}

/// A step, when it is taken, and by whom.
#[derive(Clone, Debug)]
pub struct Happening {
    pub at: Time,
    pub step: Step,
    /// Number of the call in its schedule.
    pub nth: u64,
    pub call: Arc<Call>,
}

/// The steps of a fleet's workers from an instant on. That of a fleet's own calls never ends.
#[derive(Debug)]
pub struct Schedule<C = Calls> {
    from: Time,
    calls: C,
    /// The next call to start.
    next: Option<Call>,
    nth: u64,
    /// Steps of calls that have started, the earliest on top.
    steps: BinaryHeap<Reverse<Happening>>,
}

impl Schedule<vec::IntoIter<Call>> {
    /// Steps of these calls, which are in the order in which they start.
    pub fn of(calls: Vec<Call>, from: Time) -> Self {
        Self::new(calls.into_iter(), from)
    }

    /// Other calls come, instead of those that have not started. Those that have go on.
    pub fn renew(&mut self, calls: Vec<Call>) {
        self.calls = calls.into_iter();
        self.next = self.calls.next();
    }

    /// Calls that have started and not ended.
    pub fn calls_there(&self) -> usize {
        self.steps.iter().filter(|Reverse(happening)| happening.step == Step::Ends).count()
    }
}

impl<C: Iterator<Item = Call>> Schedule<C> {
    /// Steps of the calls that are there at `from`, which begin then with all that they hold, and of later ones.
    pub(super) fn new(mut calls: C, from: Time) -> Self {
        let next = calls.next();
        Self { from, calls, next, nth: 0, steps: BinaryHeap::new() }
    }

    /// When the next step is taken.
    pub fn peek(&mut self) -> Option<Time> {
        self.fill();
        self.steps.peek().map(|Reverse(next)| next.at)
    }

    /// The next step, when it is taken before `to`.
    pub fn next_before(&mut self, to: Time) -> Option<Happening> {
        if self.peek()? < to { self.next() } else { None }
    }

    /// Takes in every call that starts before, or with, the earliest step.
    fn fill(&mut self) {
        while let Some(call) = &self.next {
            if self.steps.peek().is_some_and(|Reverse(earliest)| earliest.at < call.started) {
                return;
            }
            let following = self.calls.next();
            if let Some(call) = std::mem::replace(&mut self.next, following) {
                self.start(Arc::new(call));
            }
        }
    }

    fn start(&mut self, call: Arc<Call>) {
        let ended = call.ended();
        if ended <= self.from {
            return;
        }
        let nth = self.nth;
        self.nth += 1;
        let mut take = |at: Time, step| self.steps.push(Reverse(Happening { at, step, nth, call: call.clone() }));
        take(call.started.max(self.from), Step::Begins);
        take(ended, Step::Ends);
        for (place, session) in call.sessions.iter().enumerate().filter(|(_, s)| s.disconnected > self.from) {
            take(session.connected.max(self.from), Step::Opens(place));
            take(session.disconnected, Step::Closes(place));
        }
    }
}

impl<C: Iterator<Item = Call>> Iterator for Schedule<C> {
    type Item = Happening;

    fn next(&mut self) -> Option<Happening> {
        self.fill();
        self.steps.pop().map(|Reverse(next)| next)
    }
}

impl Happening {
    const fn order(&self) -> (Time, Step, u64) {
        (self.at, self.step, self.nth)
    }
}

impl Ord for Happening {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}

impl PartialOrd for Happening {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Happening {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Happening {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashSet;

    use jiff::tz::TimeZone;

    use super::*;
    use crate::sim::Fleet;

    /// Monday, 6 January 2025, 14:00 UTC.
    const FROM: Time = Time::from_secs(1_736_172_000);

    #[test]
    fn steps_come_in_order_and_each_session_ends_once() {
        let mut schedule = Fleet::new(1, TimeZone::UTC).schedule(FROM);
        let (mut workers, mut open) = (HashSet::new(), HashSet::new());
        let (mut before, mut most) = (FROM, 0);
        let to = Time::from_secs(FROM.0 / 1_000_000 + 3_600);
        while let Some(Happening { at, step, nth, .. }) = schedule.next_before(to) {
            assert!(before <= at);
            before = at;
            let fine = match step {
                Step::Begins => workers.insert(nth),
                Step::Opens(place) => workers.contains(&nth) && open.insert((nth, place)),
                Step::Closes(place) => open.remove(&(nth, place)),
                Step::Ends => workers.remove(&nth) && open.iter().all(|(of, _)| *of != nth),
            };
            assert!(fine, "{step:?} of {nth} at {at:?}");
            most = most.max(workers.len());
        }
        assert!(schedule.peek().unwrap() >= to);
        assert!((40..80).contains(&most), "{most}");
        assert!(!workers.is_empty() && !open.is_empty());
    }

    #[test]
    fn what_is_there_already_begins_at_once() {
        let at_once = Fleet::new(1, TimeZone::UTC).schedule(FROM).take_while(|happening| happening.at == FROM);
        let begun = at_once.filter(|happening| happening.step == Step::Begins).count();
        assert!((30..70).contains(&begun), "{begun}");
    }
}
