//! The meter word: level and tick peak in one atomic, so that a rise and its peak are one step, and so is the roll to
//! the next tick.
//!
//! ```text
//!  63            48 47                      24 23                       0
//! ┌────────────────┬──────────────────────────┬──────────────────────────┐
//! │ tick (low 16)  │ peak in that tick        │ level                    │
//! └────────────────┴──────────────────────────┴──────────────────────────┘
//! ```
//!
//! Whoever moves the word to a later tick publishes the peak and last level of the tick it left into a ring, in the
//! same layout. An event belongs to the tick of its compare-and-set: a thread that read the clock before the roll
//! counts in the newer tick, never twice, never nowhere. Every change is `AcqRel`, so that whoever sees a word sees what
//! led to it. A cell is written after the word has moved, so the roller, which moved the word or saw it moved, waits for
//! the one cell that may still be on its way.

use crate::{
    live::{
        moves::Rise,
        sync::{AtomicU64, Ordering, yield_now},
    },
    model::Tick,
};

/// Bits of a level and of a peak.
const LEVEL_BITS: u32 = 24;
/// Highest level that a word can hold.
pub const MAX_LEVEL: u32 = (1 << LEVEL_BITS) - 1;
const PEAK_SHIFT: u32 = LEVEL_BITS;
const TICK_SHIFT: u32 = 2 * LEVEL_BITS;
/// Ticks that the ring holds: how late the roller may come and still find every tick's peak.
#[cfg(not(feature = "loom"))]
pub const RING_TICKS: usize = 32;
#[cfg(feature = "loom")]
pub const RING_TICKS: usize = 4;
/// A jump is taken in steps of this many ticks, so that the order of 16-bit ticks stays clear.
const STEP_TICKS: u64 = 1 << 14;

/// A word, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Parts {
    tick: u16,
    peak: u32,
    level: u32,
}

impl Parts {
    const fn of(word: u64) -> Self {
        let mask = MAX_LEVEL as u64;
        Self {
            tick: (word >> TICK_SHIFT) as u16,
            peak: (word >> PEAK_SHIFT & mask) as u32,
            level: (word & mask) as u32,
        }
    }

    const fn word(self) -> u64 {
        (self.tick as u64) << TICK_SHIFT | (self.peak as u64) << PEAK_SHIFT | self.level as u64
    }
}

/// How many ticks `later` is after `earlier`; negative when it is before.
const fn ticks_between(earlier: u16, later: u16) -> i16 {
    later.wrapping_sub(earlier).cast_signed()
}

/// What one tick saw.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TickPeak {
    /// Highest level, the one at the start included.
    pub peak: u32,
    /// Level at the end.
    pub level: u32,
}

/// What a roll found.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rolled {
    /// Nothing happened after the first tick: it is given, and all later ones stayed at its last level.
    Still(TickPeak),
    /// Something happened after the first tick: each tick is to be read with [`MeterWord::tick_peak`].
    Moved,
}

/// Level and peak of one meter or pool, and the peaks of its last ticks.
#[derive(Debug)]
#[repr(C)]
pub struct MeterWord {
    word: AtomicU64,
    ring: [AtomicU64; RING_TICKS],
}

impl MeterWord {
    /// A word at level 0, in the tick given.
    pub fn new(now: Tick) -> Self {
        let word = Parts { tick: now.0 as u16, peak: 0, level: 0 }.word();
        let mut before = [0; RING_TICKS];
        for back in 1..=RING_TICKS as u16 {
            let tick = (now.0 as u16).wrapping_sub(back);
            before[usize::from(tick) % RING_TICKS] = Parts { tick, peak: 0, level: 0 }.word();
        }
        Self { word: AtomicU64::new(word), ring: before.map(AtomicU64::new) }
    }

    /// The level now.
    pub fn level(&self) -> u32 {
        Parts::of(self.word.load(Ordering::Acquire)).level
    }

    /// The level now, for who must see every change that was made before by those who will see theirs: a read-modify-write.
    pub(super) fn settled_level(&self) -> u32 {
        Parts::of(self.word.fetch_add(0, Ordering::AcqRel)).level
    }

    /// The highest level so far in the word's tick.
    pub fn peak(&self) -> u32 {
        Parts::of(self.word.load(Ordering::Acquire)).peak
    }

    /// The level now, and the highest since second `from` began, as far back as the ring goes ([`RING_TICKS`]). Both are
    /// of one instant, that of one load of the word: what moved it before is in the ring, what moves it after is not told.
    pub fn since(&self, from: Tick) -> TickPeak {
        let now = Parts::of(self.word.load(Ordering::Acquire));
        let passed = ticks_between(from.0 as u16, now.tick);
        if passed < 0 {
            // Nothing has happened since before then.
            return TickPeak { peak: now.level, level: now.level };
        }
        let passed = passed.unsigned_abs().min(RING_TICKS as u16);
        let past = (1..=passed).filter_map(|back| self.cell(now.tick.wrapping_sub(back)));
        TickPeak { peak: past.map(|seen| seen.peak).fold(now.peak, u32::max), level: now.level }
    }

    /// One more slot is held from `now` on; returns the level after it.
    pub fn open(&self, now: Tick) -> u32 {
        self.apply(now, |level| (level + 1).min(MAX_LEVEL), |_, after| after)
    }

    /// One slot less is held; returns the level after it. Below zero it does not go: the caller removed a record first.
    pub fn close(&self, now: Tick) -> u32 {
        self.apply(now, |level| level.saturating_sub(1), |_, after| after)
    }

    /// A slot was held and given back before it could be counted: the peak knows of it, the level does not.
    pub fn pulse(&self, now: Tick) -> u32 {
        self.apply(now, |level| level, |_, after| (after + 1).min(MAX_LEVEL))
    }

    /// Many slots were taken and given back, one after the other with nobody in between.
    pub fn rise(&self, now: Tick, rise: Rise) -> u32 {
        let change = |level: u32| level.saturating_add_signed(rise.net).min(MAX_LEVEL);
        self.apply(now, change, |before, after| (before + rise.high).min(MAX_LEVEL).max(after))
    }

    /// `high` is the highest level on the way, of that before and that after.
    fn apply(&self, now: Tick, change: impl Fn(u32) -> u32, high: impl Fn(u32, u32) -> u32) -> u32 {
        let mut seen = self.word.load(Ordering::Acquire);
        loop {
            let before = Parts::of(seen);
            let level = change(before.level);
            let high = high(before.level, level);
            let ahead = ticks_between(before.tick, now.0 as u16);
            let after = if ahead > 0 {
                // The new tick starts at the level it was left with.
                Parts { tick: now.0 as u16, peak: high.max(before.level), level }
            } else {
                Parts { tick: before.tick, peak: before.peak.max(high), level }
            };
            match self.word.compare_exchange_weak(seen, after.word(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    if ahead > 0 {
                        self.publish(before, ahead);
                    }
                    return level;
                }
                Err(newer) => seen = newer,
            }
        }
    }

    /// Writes the tick that was left, and those passed over, into the ring.
    #[cold]
    fn publish(&self, left: Parts, ahead: i16) {
        self.write(left);
        let passed = (ahead.unsigned_abs() - 1).min(RING_TICKS as u16 - 1);
        for back in (1..=passed).rev() {
            let tick = left.tick.wrapping_add(ahead.unsigned_abs()).wrapping_sub(back);
            self.write(Parts { tick, peak: left.level, level: left.level });
        }
    }

    /// Writes a cell unless a later tick is there already.
    fn write(&self, cell: Parts) {
        let at = &self.ring[usize::from(cell.tick) % RING_TICKS];
        let mut seen = at.load(Ordering::Acquire);
        while ticks_between(Parts::of(seen).tick, cell.tick) > 0 {
            match at.compare_exchange_weak(seen, cell.word(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return,
                Err(newer) => seen = newer,
            }
        }
    }

    /// Moves the word to tick `to`, when `from` is the first tick that was not rolled yet; only the roller calls it.
    pub fn roll(&self, from: Tick, to: Tick) -> Rolled {
        let mut first = None;
        let mut at = from.0;
        while at < to.0 {
            let step = (at + STEP_TICKS).min(to.0);
            let seen = self.roll_step(step);
            if at == from.0 {
                first = Some(seen);
            }
            at = step;
        }
        match first {
            Some(left) if left.tick == from.0 as u16 => Rolled::Still(TickPeak { peak: left.peak, level: left.level }),
            _ => Rolled::Moved,
        }
    }

    /// Moves the word to a tick and returns what it was.
    fn roll_step(&self, to: u64) -> Parts {
        let mut seen = self.word.load(Ordering::Acquire);
        loop {
            let before = Parts::of(seen);
            let ahead = ticks_between(before.tick, to as u16);
            if ahead <= 0 {
                return before;
            }
            let after = Parts { tick: to as u16, peak: before.level, level: before.level };
            match self.word.compare_exchange_weak(seen, after.word(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    self.publish(before, ahead);
                    return before;
                }
                Err(newer) => seen = newer,
            }
        }
    }

    /// What tick `tick` saw, after a roll beyond it; `None` when the ring has lost it because the roller came too late.
    pub fn tick_peak(&self, tick: Tick) -> Option<TickPeak> {
        self.cell(tick.0 as u16)
    }

    /// The same for a tick by its low bits.
    fn cell(&self, tick: u16) -> Option<TickPeak> {
        let at = &self.ring[usize::from(tick) % RING_TICKS];
        loop {
            let cell = Parts::of(at.load(Ordering::Acquire));
            match ticks_between(cell.tick, tick) {
                0 => return Some(TickPeak { peak: cell.peak, level: cell.level }),
                // Whoever moved the word past this tick is about to write the cell.
                ahead if ahead > 0 => yield_now(),
                _ => return None,
            }
        }
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn a_peak_belongs_to_its_tick_and_the_next_starts_at_the_level() {
        let word = MeterWord::new(Tick(10));
        for _ in 0..3 {
            word.open(Tick(10));
        }
        word.close(Tick(10));
        assert_eq!(word.roll(Tick(10), Tick(11)), Rolled::Still(TickPeak { peak: 3, level: 2 }));
        assert_eq!((word.level(), word.peak()), (2, 2));
        word.pulse(Tick(11));
        assert_eq!((word.level(), word.peak()), (2, 3));
    }

    #[test]
    fn a_late_roller_finds_every_tick() {
        let word = MeterWord::new(Tick(10));
        word.open(Tick(10));
        word.open(Tick(12));
        word.close(Tick(12));
        assert_eq!(word.roll(Tick(10), Tick(14)), Rolled::Moved);
        let seen = [10, 11, 12, 13].map(|tick| word.tick_peak(Tick(tick)).map(|t| (t.peak, t.level)));
        assert_eq!(seen, [Some((1, 1)), Some((1, 1)), Some((2, 1)), Some((1, 1))]);
    }

    #[test]
    fn a_roller_that_comes_far_too_late_is_told_so() {
        let word = MeterWord::new(Tick(0));
        word.open(Tick(1));
        let late = RING_TICKS as u64 + 10;
        assert_eq!(word.roll(Tick(0), Tick(late)), Rolled::Moved);
        assert_eq!(word.tick_peak(Tick(0)), None);
        assert_eq!(word.tick_peak(Tick(late - 1)), Some(TickPeak { peak: 1, level: 1 }));
    }

    #[test]
    fn what_is_asked_since_a_second_is_of_that_second_on() {
        let word = MeterWord::new(Tick(10));
        word.open(Tick(10));
        word.open(Tick(10));
        word.close(Tick(10));
        word.pulse(Tick(12));
        let since = |from| (word.since(Tick(from)).peak, word.since(Tick(from)).level);
        assert_eq!([9, 10, 11, 12, 13].map(since), [(2, 1), (2, 1), (2, 1), (2, 1), (1, 1)]);
        word.close(Tick(14));
        assert_eq!([12, 13, 14, 15].map(since), [(2, 0), (1, 0), (1, 0), (0, 0)]);
        // Beyond the ring there is nothing to be told.
        let _ = word.roll(Tick(14), Tick(14 + RING_TICKS as u64));
        assert_eq!(since(10), (1, 0));
    }

    #[test]
    fn a_jump_of_days_is_still() {
        let word = MeterWord::new(Tick(0));
        word.open(Tick(0));
        assert_eq!(word.roll(Tick(0), Tick(200_000)), Rolled::Still(TickPeak { peak: 1, level: 1 }));
        assert_eq!(word.open(Tick(200_000)), 2);
        assert_eq!(word.roll(Tick(200_000), Tick(200_001)), Rolled::Still(TickPeak { peak: 2, level: 2 }));
    }
}
