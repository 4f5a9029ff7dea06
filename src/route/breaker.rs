//! The breaker of one model: closed while its provider does well, open while it fails, half open while a few real sessions
//! try it again. It never sends a session by itself and never a duplicate.

use std::time::Duration;

use crate::model::Time;

/// First time that it stays open; doubled for each opening in a row.
pub const FIRST_OPEN: Duration = Duration::from_secs(15);
/// Longest time that it stays open.
pub const MOST_OPEN: Duration = Duration::from_secs(300);
/// Doublings after which an opening is not longer.
const MOST_DOUBLINGS: u32 = 5;
/// How far the open time is spread, in percent either way, so that breakers of many projects do not probe at once.
const SPREAD_PERCENT: u64 = 20;
/// Sessions that try a provider at once, and that must do well for it to be up.
pub const PROBES: u32 = 3;
/// A probe that has lasted so long without an error did well: calls last minutes, and nobody waits for their ends.
pub const PROOF: Duration = Duration::from_secs(10);
/// A model that nobody tried for so long is as good as any: it is not known to be down.
pub const FORGET: Duration = Duration::from_secs(600);
/// After so long without an opening, the next one counts one opening in a row less.
pub const QUIET: Duration = Duration::from_secs(3_600);

/// How a model's provider does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    #[default]
    Up,
    /// It fails: no session goes there while another model has room.
    Down,
    /// It failed, and a few sessions try it again.
    Probing,
}

#[derive(Clone, Debug, Default)]
pub struct Breaker {
    state: State,
    /// Openings in a row.
    openings: u32,
}

#[derive(Clone, Debug)]
enum State {
    Closed { since: Time },
    Open { until: Time },
    HalfOpen { since: Time, probes: Vec<Probe>, well: u32 },
}

/// A session that tries a provider.
#[derive(Clone, Copy, Debug)]
struct Probe {
    session: u64,
    worker: u64,
    since: Time,
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { since: Time(0) }
    }
}

impl Breaker {
    pub const fn condition(&self) -> Condition {
        match self.state {
            State::Closed { .. } => Condition::Up,
            State::Open { .. } => Condition::Down,
            State::HalfOpen { .. } => Condition::Probing,
        }
    }

    /// Openings in a row, this one too.
    pub const fn openings(&self) -> u32 {
        self.openings
    }

    /// When the next probes go, while it is open.
    pub const fn open_until(&self) -> Option<Time> {
        match self.state {
            State::Open { until } => Some(until),
            _ => None,
        }
    }

    /// Opens it. `seed` spreads how long; the same gives the same time.
    pub fn open(&mut self, now: Time, seed: u64) {
        let doubled = FIRST_OPEN.saturating_mul(1 << self.openings.min(MOST_DOUBLINGS)).min(MOST_OPEN);
        let percent = 100 - SPREAD_PERCENT + mixed(seed ^ u64::from(self.openings)) % (2 * SPREAD_PERCENT + 1);
        let spread = doubled.saturating_mul(u32::try_from(percent).unwrap_or(100)) / 100;
        self.state = State::Open { until: now.after(spread.min(MOST_OPEN)) };
        self.openings = self.openings.saturating_add(1);
    }

    /// What time does: an open one is half open after a while, and probes that lasted did well. True when it closed.
    pub fn step(&mut self, now: Time) -> bool {
        match &mut self.state {
            State::Open { until } if now >= *until => {
                self.state = State::HalfOpen { since: now, probes: Vec::new(), well: 0 };
            }
            State::HalfOpen { since, probes, well } => {
                let before = probes.len();
                probes.retain(|probe| now.since(probe.since) < PROOF);
                *well += u32::try_from(before - probes.len()).unwrap_or(0);
                let forgotten = probes.is_empty() && now.since(*since) >= FORGET;
                if *well >= PROBES || forgotten {
                    self.state = State::Closed { since: now };
                    return true;
                }
            }
            State::Closed { since } if self.openings > 0 && now.since(*since) >= QUIET => {
                *since = since.after(QUIET);
                self.openings -= 1;
            }
            State::Open { .. } | State::Closed { .. } => {}
        }
        false
    }

    /// Whether a session of a worker may try the provider: a few at once, each of another worker.
    pub fn may_probe(&self, worker: u64) -> bool {
        match &self.state {
            State::HalfOpen { probes, well, .. } => {
                let tried = u32::try_from(probes.len()).unwrap_or(u32::MAX).saturating_add(*well);
                tried < PROBES && probes.iter().all(|probe| probe.worker != worker)
            }
            _ => false,
        }
    }

    /// A session of a worker tries the provider.
    pub fn probe(&mut self, session: u64, worker: u64, now: Time) {
        if let State::HalfOpen { probes, since, .. } = &mut self.state {
            *since = now;
            probes.push(Probe { session, worker, since: now });
        }
    }

    /// A session ended; `failed` is `None` where its end says nothing of the provider. A probe that failed opens it again.
    pub fn ended(&mut self, session: u64, failed: Option<bool>, now: Time, seed: u64) {
        let State::HalfOpen { probes, well, .. } = &mut self.state else { return };
        let Some(place) = probes.iter().position(|probe| probe.session == session) else { return };
        probes.swap_remove(place);
        match failed {
            Some(true) => self.open(now, seed),
            Some(false) => *well += 1,
            None => {}
        }
    }
}

/// The bits of a number, mixed.
const fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let number = (number ^ (number >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    number ^ (number >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half_open(breaker: &mut Breaker, now: Time) -> Time {
        breaker.open(now, 7);
        let until = breaker.open_until().expect("it was opened");
        breaker.step(until);
        assert_eq!(breaker.condition(), Condition::Probing);
        until
    }

    #[test]
    fn three_probes_of_three_workers_close_it() {
        let mut breaker = Breaker::default();
        let now = half_open(&mut breaker, Time::from_secs(100));
        for worker in 0..3 {
            assert!(breaker.may_probe(worker));
            breaker.probe(worker, worker, now);
            assert!(!breaker.may_probe(worker), "one at a time for each worker");
        }
        assert!(!breaker.may_probe(9), "three at once");
        breaker.ended(0, Some(false), now, 7);
        breaker.ended(1, None, now, 7);
        assert!(breaker.may_probe(9), "one that was cancelled proved nothing");
        breaker.probe(9, 9, now);
        assert!(!breaker.step(now.after(PROOF - Duration::from_secs(1))));
        assert!(breaker.step(now.after(PROOF)), "two that lasted did well");
        assert_eq!(breaker.condition(), Condition::Up);
    }

    #[test]
    fn a_probe_that_fails_opens_it_for_twice_as_long() {
        let mut breaker = Breaker::default();
        let mut now = Time::from_secs(100);
        for doublings in 0..8 {
            let open = half_open(&mut breaker, now).since(now);
            let expected = FIRST_OPEN.saturating_mul(1 << doublings.min(MOST_DOUBLINGS)).min(MOST_OPEN);
            assert!(open >= expected * 8 / 10 && open <= (expected * 12 / 10).min(MOST_OPEN), "{doublings}: {open:?}");
            now = now.after(open);
            breaker.probe(1, 1, now);
            breaker.ended(1, Some(true), now, 7);
            assert_eq!(breaker.condition(), Condition::Down);
            // Back to where the next round begins: it was opened once more by the probe.
            breaker.openings -= 1;
        }
    }

    #[test]
    fn what_nobody_tries_is_not_down_for_ever_and_quiet_hours_count() {
        let mut breaker = Breaker::default();
        let now = half_open(&mut breaker, Time::from_secs(100));
        assert!(!breaker.step(now.after(FORGET - Duration::from_secs(1))));
        assert!(breaker.step(now.after(FORGET)));
        assert_eq!(breaker.openings(), 1);
        breaker.step(now.after(FORGET + QUIET));
        assert_eq!(breaker.openings(), 0);
    }
}
