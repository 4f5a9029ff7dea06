//! How a model's provider does, from the outcomes of real sessions: a window with a minimum, more than one worker, a
//! breaker, and a learned ceiling. Each project judges by its own sessions: none can talk another's model down.

use crate::{
    live::ends::Taken,
    model::{Outcome, Time},
    route::{
        breaker::{Breaker, Condition},
        ceiling::Ceiling,
        standing::Scope,
        window::{self, Window},
    },
};

/// Fewer outcomes in the window say nothing by their share.
pub const LEAST_OUTCOMES: u32 = 20;
/// From this share of failed outcomes on, a provider is down, in percent.
pub const DOWN_PERCENT: u32 = 50;
/// So many failures in a row, of more than one worker, say so at once.
pub const FAILED_IN_A_ROW: u32 = 5;

/// A session's end, as it tells of its provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    pub session: u64,
    /// A hash of the worker's name.
    pub worker: u64,
    pub outcome: Outcome,
    /// The model in the project, with the session that ended.
    pub scope: Scope,
}

/// The health of one model in a project.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// Spreads the times of its breaker.
    seed: u64,
    window: Window,
    in_a_row: u32,
    /// The place of the first of the failures in a row, and whether another's came since.
    first: usize,
    others: bool,
    breaker: Breaker,
    ceiling: Option<Ceiling>,
}

impl Health {
    /// Of a model; `seed` is a hash of its name.
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    pub const fn condition(&self) -> Condition {
        self.breaker.condition()
    }

    pub const fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// The learned ceiling in force beside a limit.
    pub fn ceiling(&self, limit: Option<u32>, now: Time) -> Option<u32> {
        self.ceiling.and_then(|ceiling| ceiling.slots(limit, now))
    }

    /// What the ceiling was learned from.
    pub const fn learned(&self) -> Option<&Ceiling> {
        self.ceiling.as_ref()
    }

    /// Whether a session of a worker may try a provider that was down.
    pub fn may_probe(&self, worker: u64) -> bool {
        self.breaker.may_probe(worker)
    }

    /// A session was granted to try it.
    pub fn probe(&mut self, session: u64, worker: u64, now: Time) {
        self.breaker.probe(session, worker, now);
    }

    /// What time does to it.
    pub fn step(&mut self, now: Time) {
        if self.breaker.step(now) {
            // What was seen while it was down says nothing of what is up.
            (self.window, self.in_a_row) = (Window::default(), 0);
        }
    }

    /// A session on the model ended.
    pub fn ended(&mut self, ended: Ended, now: Time) {
        let Ended { session, worker, outcome, scope } = ended;
        self.probe_ended(session, Some(outcome), now);
        let mut counts = Taken::default();
        let (well, failed) = &mut counts.counts[window::place(worker)];
        match outcome.failed() {
            Some(true) => *failed = 1,
            Some(false) => *well = 1,
            None => {}
        }
        counts.refused_at = (outcome == Outcome::Concurrency).then_some(scope.level);
        self.seen(&counts, scope.limit, now);
    }

    /// A session that tried it is over; without an outcome when it never was held.
    pub fn probe_ended(&mut self, session: u64, outcome: Option<Outcome>, now: Time) {
        self.step(now);
        self.breaker.ended(session, outcome.and_then(Outcome::failed), now, self.seed ^ now.0);
    }

    /// What ended on the model since the last call. In which order is not known: where one did well, the others were not in a
    /// row.
    pub fn seen(&mut self, ends: &Taken, limit: Option<u32>, now: Time) {
        self.step(now);
        if let Some(level) = ends.refused_at {
            self.ceiling = Ceiling::learn(self.ceiling, level, limit, now);
        }
        let of = ends.counts.iter().enumerate().filter(|(_, counts)| **counts != (0, 0));
        of.for_each(|(place, counts)| self.window.add(now.tick(), place, *counts));
        let (well, failed) = ends.counts.iter().fold((0_u32, 0_u32), |(well, failed), counts| {
            (well.saturating_add(counts.0), failed.saturating_add(counts.1))
        });
        if well > 0 {
            self.in_a_row = 0;
        } else {
            let of = ends.counts.iter().enumerate().filter(|(_, (_, failed))| *failed > 0);
            of.for_each(|(place, (_, failed))| self.count_in_a_row(place, *failed));
        }
        if failed > 0 && self.condition() == Condition::Up && self.is_failing(now) {
            self.breaker.open(now, self.seed ^ now.0);
        }
    }

    /// Whether there is nothing to be remembered: it is as one that nobody used.
    pub fn is_forgotten(&mut self, limit: Option<u32>, now: Time) -> bool {
        self.condition() == Condition::Up
            && self.breaker.openings() == 0
            && self.in_a_row == 0
            && self.ceiling(limit, now).is_none()
            && self.window.is_empty(now.tick())
    }

    fn count_in_a_row(&mut self, place: usize, failed: u32) {
        if self.in_a_row == 0 {
            (self.first, self.others) = (place, false);
        }
        self.in_a_row = self.in_a_row.saturating_add(failed);
        self.others |= place != self.first;
    }

    fn is_failing(&mut self, now: Time) -> bool {
        let in_a_row = self.in_a_row >= FAILED_IN_A_ROW && self.others;
        in_a_row || {
            let seen = self.window.seen(now.tick());
            seen.outcomes >= LEAST_OUTCOMES && seen.failed_percent >= DOWN_PERCENT && seen.many_workers
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ends at one second: worker and outcome.
    fn after(ends: &[(u64, Outcome)]) -> Health {
        let mut health = Health::new(3);
        for (worker, outcome) in ends {
            let scope = Scope { level: 10, limit: Some(20) };
            health.ended(Ended { session: 0, worker: *worker, outcome: *outcome, scope }, Time::from_secs(100));
        }
        health
    }

    #[track_caller]
    fn check(ends: &[(u64, Outcome)], condition: Condition) {
        assert_eq!(after(ends).condition(), condition);
    }

    #[test]
    fn failures_of_more_than_one_worker_open_it() {
        use Outcome::{Auth, Ok, Timeout, Unavailable};
        check(&[(1, Unavailable), (2, Timeout), (1, Auth), (1, Timeout)], Condition::Up);
        check(&[(1, Unavailable), (2, Timeout), (1, Auth), (1, Timeout), (2, Timeout)], Condition::Down);
        check(&[(1, Unavailable); 60], Condition::Up);
        // One of five fails always: a quarter of the weight at the most.
        let one_of_five: Vec<_> = (0..100).map(|n| (n % 5, if n % 5 == 0 { Timeout } else { Ok })).collect();
        check(&one_of_five, Condition::Up);
        // Half of all fail, of all workers; one less than the minimum, and the minimum.
        let half: Vec<_> = (0..20).map(|n| (n / 2, if n % 2 == 1 { Timeout } else { Ok })).collect();
        check(&half[..19], Condition::Up);
        check(&half, Condition::Down);
    }

    #[test]
    fn what_is_no_fault_of_the_provider_opens_nothing() {
        for outcome in [Outcome::Rate, Outcome::Credits, Outcome::Concurrency, Outcome::Cancelled, Outcome::Lost] {
            let ends: Vec<_> = (0..100).map(|worker| (worker, outcome)).collect();
            check(&ends, Condition::Up);
        }
    }

    #[test]
    fn a_refusal_for_concurrency_alone_teaches() {
        for outcome in Outcome::ALL {
            let ceiling = after(&[(1, *outcome)]).ceiling(Some(20), Time::from_secs(100));
            assert_eq!(ceiling, (*outcome == Outcome::Concurrency).then_some(9), "{outcome}");
        }
    }

    #[test]
    fn what_failed_while_it_was_down_does_not_open_it_again() {
        let mut health = after(&[(1, Outcome::Timeout), (2, Outcome::Timeout)].repeat(3));
        assert_eq!(health.condition(), Condition::Down);
        let now = health.breaker().open_until().expect("it is down");
        health.step(now);
        (0..3).for_each(|worker| health.probe(worker, worker, now));
        let now = now.after(crate::route::breaker::PROOF);
        health.step(now);
        assert_eq!(health.condition(), Condition::Up);
        let scope = Scope::default();
        health.ended(Ended { session: 9, worker: 9, outcome: Outcome::Timeout, scope }, now);
        assert_eq!(health.condition(), Condition::Up);
    }
}
