//! The gate of one level: how many slots are promised and not held yet, in a second atomic beside the meter word. Who asks
//! for a slot is promised one while level and promises are below the limit; only then is the level raised, and the promise
//! is over. So what is refused never touches a level or a peak, and what is reported costs nothing here: it moves the level,
//! and the level is what the next caller finds.
//!
//! ```text
//!  63                            32 31            16 15             0
//! ┌────────────────────────────────┬────────────────┬────────────────┐
//! │ version                        │ handed         │ passing        │
//! └────────────────────────────────┴────────────────┴────────────────┘
//! ```
//!
//! *Never exceeded.* A promise is over (`AcqRel`) only after its level was raised. Who enters reads this word, then the
//! level, and then moves this word from what it read: each change has a new version, so that no promise ended in between. A
//! promise that ended before was seen as a level, one that had not was counted here. A promise that just became a level may
//! be seen twice: who finds no room for that reason is told [`Step::Busy`], and tries again before it is refused.
//!
//! *Nobody sleeps beside a free slot.* Who waits first says so (`waiters`) and then looks with read-modify-writes of both
//! words; who frees a slot or ends a promise writes a word first and then looks for waiters. Whichever wrote the word later
//! has seen what the other did before.

use crate::{
    live::{
        sync::{AtomicU32, AtomicU64, Ordering},
        word::MeterWord,
    },
    model::Priority,
};

/// Stands for no limit, and for no ceiling.
pub const NONE: u32 = u32::MAX;

const HANDED_SHIFT: u32 = 16;
const VERSION: u64 = 1 << 32;
const COUNT: u64 = (1 << HANDED_SHIFT) - 1;

/// Who holds a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// A call on its way through, which never waits.
    Passing,
    /// A waiter that was handed a slot and has not come for it.
    Handed,
}

impl Promise {
    const fn one(self) -> u64 {
        match self {
            Self::Passing => 1,
            Self::Handed => 1 << HANDED_SHIFT,
        }
    }
}

/// What became of a try.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A slot is promised, to one who passes.
    Entered,
    /// So many slots are held, which is all there are for this priority.
    Full { held: u32, most: u32 },
    /// After a restart: so many slots may be held by workers that have not returned.
    Settling { held: u32, most: u32 },
    /// Others are promised what is left, or the word moved. Those that are not `handed` are over in a moment.
    Busy { held: u32, most: u32, handed: bool },
    /// More may be held only when the store knows of it.
    Ceiling,
}

/// The promises of one level, and what bounds them.
#[derive(Debug)]
pub struct Gate {
    word: AtomicU64,
    /// Most slots that may be held, by the rank of a priority.
    most: [AtomicU32; Priority::COUNT],
    /// What the store knows may be held: a restart reckons with it.
    ceiling: AtomicU32,
    /// While the service learns after a restart: what may have been held before it; else 0.
    unclaimed: AtomicU32,
    /// Slots that were given since.
    fresh: AtomicU32,
    /// Callers that wait for a slot here.
    waiters: AtomicU32,
}

impl Gate {
    /// Without limit, ceiling or promises.
    pub fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            most: Priority::ALL.map(|_| AtomicU32::new(NONE)),
            ceiling: AtomicU32::new(NONE),
            unclaimed: AtomicU32::new(0),
            fresh: AtomicU32::new(0),
            waiters: AtomicU32::new(0),
        }
    }

    /// Tries once to be promised a slot of this level.
    pub fn enter(&self, level: &MeterWord, priority: Priority) -> Step {
        let seen = self.word.load(Ordering::Acquire);
        self.enter_from(seen, level.level(), priority)
    }

    /// The same, for who has said that it waits: it finds all that was done before by those who did not see it.
    pub fn enter_settled(&self, level: &MeterWord, priority: Priority) -> Step {
        let seen = self.word.fetch_add(VERSION, Ordering::AcqRel).wrapping_add(VERSION);
        self.enter_from(seen, level.settled_level(), priority)
    }

    fn enter_from(&self, seen: u64, level: u32, priority: Priority) -> Step {
        let most = self.most[priority.rank()].load(Ordering::Acquire);
        let before_restart = self.before_restart();
        let held = level.max(before_restart);
        if held >= most {
            return if level >= most { Step::Full { held, most } } else { Step::Settling { held, most } };
        }
        let (handed, passing) = promises(seen);
        let promised = held.saturating_add(handed).saturating_add(passing);
        if promised >= most {
            return Step::Busy { held, most, handed: handed > 0 };
        }
        if promised >= self.ceiling.load(Ordering::Acquire) {
            return Step::Ceiling;
        }
        let entered = seen.wrapping_add(VERSION + Promise::Passing.one());
        match self.word.compare_exchange(seen, entered, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Step::Entered,
            Err(_) => Step::Busy { held, most, handed: false },
        }
    }

    /// What may be held by those who have not said so since a restart, with what was given meanwhile.
    fn before_restart(&self) -> u32 {
        match self.unclaimed.load(Ordering::Acquire) {
            0 => 0,
            unclaimed => unclaimed.saturating_add(self.fresh.load(Ordering::Acquire)),
        }
    }

    /// The promise is a level now; returns whether somebody waits.
    pub fn commit(&self, promise: Promise) -> bool {
        if self.unclaimed.load(Ordering::Acquire) > 0 {
            self.fresh.fetch_add(1, Ordering::AcqRel);
        }
        self.leave(promise)
    }

    /// The promise is given back; returns whether somebody waits.
    pub fn leave(&self, promise: Promise) -> bool {
        self.word.fetch_add(VERSION.wrapping_sub(promise.one()), Ordering::AcqRel);
        self.has_waiters()
    }

    /// The promise passes to a waiter.
    pub fn hand(&self) {
        let moved = VERSION + Promise::Handed.one() - Promise::Passing.one();
        self.word.fetch_add(moved, Ordering::AcqRel);
    }

    /// Whether somebody waits here. To be asked after a level was lowered.
    pub fn has_waiters(&self) -> bool {
        self.waiters.load(Ordering::Acquire) > 0
    }

    pub fn begin_waiting(&self) {
        self.waiters.fetch_add(1, Ordering::AcqRel);
    }

    pub fn end_waiting(&self) {
        self.waiters.fetch_sub(1, Ordering::AcqRel);
    }

    /// Sets the most slots that may be held by each rank of priority. Who enters after this returned is bound by it.
    pub fn set_most(&self, most: [u32; Priority::COUNT]) {
        for (place, most) in self.most.iter().zip(most) {
            place.store(most, Ordering::Release);
        }
        self.word.fetch_add(VERSION, Ordering::AcqRel);
    }

    /// The most slots that may be held at all; [`NONE`] for no limit.
    pub fn limit(&self) -> u32 {
        self.most[Priority::Priority.rank()].load(Ordering::Acquire)
    }

    /// The most slots that may be held by one of this priority; [`NONE`] for no limit.
    pub fn most(&self, priority: Priority) -> u32 {
        self.most[priority.rank()].load(Ordering::Acquire)
    }

    /// What the store knows may be held; [`NONE`] where it is not asked.
    pub fn ceiling(&self) -> u32 {
        self.ceiling.load(Ordering::Acquire)
    }

    /// The store knows that so many may be held.
    pub fn raise_ceiling(&self, to: u32) {
        self.ceiling.store(to, Ordering::Release);
        self.word.fetch_add(VERSION, Ordering::AcqRel);
    }

    /// From now on no more may be held without asking the store. Returns what it must know: more than `to` where more is
    /// held or promised already.
    pub fn lower_ceiling(&self, to: u32, level: &MeterWord) -> u32 {
        self.ceiling.store(to, Ordering::Release);
        self.word.fetch_add(VERSION, Ordering::AcqRel);
        self.taken(level).max(to)
    }

    /// What is held or promised, as far as the store must know it.
    pub fn taken(&self, level: &MeterWord) -> u32 {
        let (handed, passing) = promises(self.word.load(Ordering::Acquire));
        let held = level.level().max(self.before_restart());
        held.saturating_add(handed).saturating_add(passing)
    }

    /// After a restart: so many may be held by workers that have not returned.
    pub fn begin_learning(&self, unclaimed: u32) {
        self.fresh.store(0, Ordering::Release);
        self.unclaimed.store(unclaimed, Ordering::Release);
        self.word.fetch_add(VERSION, Ordering::AcqRel);
    }

    /// All of them have returned, or are given up.
    pub fn end_learning(&self) {
        self.unclaimed.store(0, Ordering::Release);
        self.word.fetch_add(VERSION, Ordering::AcqRel);
    }

    /// Slots that are promised and not held.
    #[cfg(test)]
    pub fn promised(&self) -> u32 {
        let (handed, passing) = promises(self.word.load(Ordering::Acquire));
        handed + passing
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

const fn promises(word: u64) -> (u32, u32) {
    ((word >> HANDED_SHIFT & COUNT) as u32, (word & COUNT) as u32)
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use crate::model::Tick;

    const ANY: Priority = Priority::Standard;

    fn limited(most: u32) -> (Gate, MeterWord) {
        let gate = Gate::new();
        gate.set_most([most; 3]);
        (gate, MeterWord::new(Tick(0)))
    }

    #[test]
    fn a_promise_counts_until_it_is_a_level_and_what_is_reported_counts_at_once() {
        let (gate, word) = limited(2);
        assert_eq!(gate.enter(&word, ANY), Step::Entered);
        word.open(Tick(0));
        assert_eq!(gate.enter(&word, ANY), Step::Busy { held: 1, most: 2, handed: false }, "it is seen twice for now");
        assert!(!gate.commit(Promise::Passing));
        assert_eq!(gate.enter(&word, ANY), Step::Entered);
        gate.hand();
        assert_eq!(gate.enter(&word, ANY), Step::Busy { held: 1, most: 2, handed: true });
        assert!(!gate.leave(Promise::Handed));
        word.open(Tick(0));
        assert_eq!(gate.enter(&word, ANY), Step::Full { held: 2, most: 2 });
        word.open(Tick(0));
        word.close(Tick(0));
        assert_eq!((gate.enter(&word, ANY), word.peak()), (Step::Full { held: 2, most: 2 }, 3));
        gate.set_most([3, 2, 1]);
        assert_eq!(gate.enter(&word, ANY), Step::Full { held: 2, most: 2 });
        assert_eq!((gate.enter(&word, Priority::Priority), gate.promised()), (Step::Entered, 1));
    }

    #[test]
    fn no_more_is_given_than_the_store_knows() {
        let (gate, word) = limited(9);
        gate.raise_ceiling(1);
        assert_eq!(gate.enter(&word, ANY), Step::Entered);
        assert_eq!(gate.enter(&word, ANY), Step::Ceiling);
        word.open(Tick(0));
        gate.commit(Promise::Passing);
        gate.raise_ceiling(2);
        assert_eq!(gate.enter(&word, ANY), Step::Entered);
        assert_eq!(gate.lower_ceiling(0, &word), 2, "what is held and promised is to stay known");
        assert_eq!(gate.enter(&word, ANY), Step::Ceiling);
    }

    #[test]
    fn what_may_be_held_from_before_a_restart_is_not_given_again() {
        let (gate, word) = limited(10);
        gate.begin_learning(8);
        assert_eq!(gate.enter(&word, ANY), Step::Entered);
        word.open(Tick(0));
        gate.commit(Promise::Passing);
        assert_eq!(gate.enter(&word, ANY), Step::Entered);
        assert_eq!(gate.enter(&word, ANY), Step::Busy { held: 9, most: 10, handed: false });
        word.open(Tick(0));
        gate.commit(Promise::Passing);
        word.close(Tick(0));
        assert_eq!(
            gate.enter(&word, ANY),
            Step::Settling { held: 10, most: 10 },
            "also when one of the new ones is over"
        );
        gate.end_learning();
        assert_eq!(gate.enter(&word, ANY), Step::Entered);
    }
}
