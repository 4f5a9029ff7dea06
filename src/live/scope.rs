//! A level that has limits which are enforced: its gate, its starts, and the rules that they follow. A level without one has
//! no scope, and nothing here costs it anything.

use std::{sync::Arc, time::Duration};

use crate::{
    live::{
        gate::{self, Gate},
        starts::Starts,
        sync::{AtomicBool, AtomicU64, Mutex, Ordering, lock},
        waiting::Room,
    },
    model::{Enforcement, LimitHistory, Mode, Now, Priority, Tick, Time},
};

/// What a level's limits are, and whether they are enforced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Most slots that may be held.
    pub slots: Arc<LimitHistory>,
    /// Most sessions that may be started in a minute.
    pub starts: Arc<LimitHistory>,
    pub enforcement: Enforcement,
}

/// The part of a session's way that one level is. In the order of use: who passes needs the first line of the cache.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Scope {
    pub(super) gate: Gate,
    /// Wall clock, in microseconds, at which the rules may say something else.
    until: AtomicU64,
    /// Whether anything is enforced now.
    enforces: AtomicBool,
    /// Whether starts are limited now.
    limits_starts: AtomicBool,
    pub(super) room: Arc<Room>,
    rules: Mutex<Rules>,
    starts: Mutex<Starts>,
    ends: Mutex<Ends>,
}

/// How often sessions ended of late.
#[derive(Debug, Default)]
struct Ends {
    tick: Tick,
    /// Ends a second, the last minute or so.
    rate: f64,
}

/// After so many seconds what was seen counts for a third.
const RATE_SECONDS: f64 = 30.0;
/// A slot an hour: of less, nothing is said.
const LEAST_RATE: f64 = 1.0 / 3_600.0;

fn kept_after(seconds: u64) -> f64 {
    (-(seconds as f64) / RATE_SECONDS).exp()
}

impl Rules {
    /// The slots in force; `None` when nothing is enforced.
    pub fn slots_at(&self, at: Time) -> Option<u32> {
        self.slots.slots_at(at).filter(|_| self.enforcement.mode == Mode::Enforce)
    }

    /// The same of starts a minute.
    pub fn starts_at(&self, at: Time) -> Option<u32> {
        self.starts.slots_at(at).filter(|_| self.enforcement.mode == Mode::Enforce)
    }

    /// When they may say something else than at an instant.
    fn until(&self, at: Time) -> Time {
        let changes = [self.slots.changes(), self.starts.changes()];
        changes.into_iter().flatten().filter(|change| *change > at).min().unwrap_or(Time(u64::MAX))
    }
}

impl Scope {
    pub fn new(room: Arc<Room>) -> Self {
        Self {
            gate: Gate::new(),
            enforces: AtomicBool::new(false),
            limits_starts: AtomicBool::new(false),
            until: AtomicU64::new(u64::MAX),
            rules: Mutex::new(Rules::default()),
            starts: Mutex::new(Starts::default()),
            ends: Mutex::new(Ends::default()),
            room,
        }
    }

    /// Takes over rules. Who asks after this returned is bound by them.
    pub fn set_rules(&self, rules: Rules, now: Time) {
        let mut held = lock(&self.rules);
        *held = rules;
        self.follow(&held, now);
    }

    /// Goes on to what the rules say now, when a limit has ended or begun by itself.
    pub(super) fn keep_time(&self, now: Now) {
        if self.until.load(Ordering::Acquire) > now.wall.0 {
            return;
        }
        let rules = lock(&self.rules);
        if self.until.load(Ordering::Acquire) <= now.wall.0 {
            self.follow(&rules, now.wall);
        }
    }

    fn follow(&self, rules: &Rules, now: Time) {
        let (slots, starts) = (rules.slots_at(now), rules.starts_at(now));
        self.gate.set_most(slots.map_or([gate::NONE; Priority::COUNT], |slots| rules.enforcement.most(slots)));
        lock(&self.starts).most = starts;
        self.limits_starts.store(starts.is_some(), Ordering::Release);
        self.enforces.store(slots.is_some() || starts.is_some(), Ordering::Release);
        self.until.store(rules.until(now).0, Ordering::Release);
    }

    /// Whether anything is enforced, as of when time was kept last.
    pub(super) fn enforces(&self) -> bool {
        self.enforces.load(Ordering::Acquire)
    }

    pub(super) fn limits_starts(&self) -> bool {
        self.limits_starts.load(Ordering::Acquire)
    }

    /// Starts a session, if its starts leave room.
    pub(super) fn start(&self, tick: Tick) -> Result<Tick, (u32, Duration)> {
        lock(&self.starts).start(tick)
    }

    pub(super) fn give_back_start(&self, tick: Tick) {
        lock(&self.starts).give_back(tick);
    }

    /// Sessions were reported that nobody asked for: they count against what may be started.
    pub(super) fn count_starts(&self, tick: Tick, starts: u32) {
        if self.limits_starts() {
            lock(&self.starts).count(tick, starts);
        }
    }

    /// So many sessions ended in the seconds up to `tick`.
    pub(super) fn note_ends(&self, tick: Tick, ended: u64) {
        let mut ends = lock(&self.ends);
        // Before the first nothing is known, and nothing was missed.
        let passed = if ends.tick == Tick(0) { 1 } else { tick.0.saturating_sub(ends.tick.0).max(1) };
        let kept = kept_after(passed);
        ends.rate = ends.rate * kept + ended as f64 / passed as f64 * (1.0 - kept);
        ends.tick = tick;
    }

    /// When the next slot is expected to be free, from how often sessions ended of late; `None` when none did.
    pub fn expected_wait(&self, now: Tick) -> Option<Duration> {
        let ends = lock(&self.ends);
        let rate = ends.rate * kept_after(now.0.saturating_sub(ends.tick.0));
        (rate > LEAST_RATE).then(|| Duration::from_secs_f64(1.0 / rate))
    }

    /// What the store knows may be held; `None` where it is not asked.
    pub fn ceiling(&self) -> Option<u32> {
        Some(self.gate.ceiling()).filter(|ceiling| *ceiling != gate::NONE)
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn the_next_slot_is_expected_by_how_often_sessions_ended_of_late() {
        let scope = Scope::new(Arc::default());
        assert_eq!(scope.expected_wait(Tick(100)), None);
        for second in 100..300 {
            scope.note_ends(Tick(second), 2);
        }
        let seconds = |now| scope.expected_wait(Tick(now)).map(|wait| wait.as_secs_f64());
        assert!(seconds(299).is_some_and(|wait| (wait - 0.5).abs() < 0.01), "{:?}", seconds(299));
        assert!(seconds(329).is_some_and(|wait| wait > 1.0), "nothing has ended since");
        assert_eq!(seconds(1_000), None, "that was long ago");
    }
}
