//! What a batch does to levels, gathered: the word of each meter and pool is moved once for all events of the batch that
//! name it, by how high they took it and where they left it. Nothing of a batch is seen before the rest, so that this is
//! the order in which its events happened, with nobody in between. Flushed with the book still locked: whoever counts the
//! records of a book finds its levels moved.

use std::sync::Arc;

use crate::{
    live::{
        ends,
        meter::{Meter, Tally},
    },
    model::{Outcome, Tick, counts::Bucket},
};

/// A place in the list of meters that a book declared.
pub(super) type Slot = u32;

/// How a level moved: where it ended, and the highest on the way, from where it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rise {
    pub net: i32,
    pub high: u32,
}

impl Rise {
    const fn step(&mut self, by: i32) {
        self.net += by;
        if self.net > self.high.cast_signed() {
            self.high = self.net.cast_unsigned();
        }
    }

    const fn is_still(self) -> bool {
        self.net == 0 && self.high == 0
    }
}

/// No place in a list.
const NONE: u32 = u32::MAX;

/// What is gathered of one meter.
#[derive(Clone, Copy, Debug)]
struct Run {
    rise: Rise,
    opened: u32,
    /// Sessions that ended as intended, which most do; other outcomes are counted at once.
    ok: u32,
    /// Place of the pool of its kind, or `NONE` when the batch has not touched it.
    pool: u32,
    /// Place of the last of its durations.
    durations: u32,
}

const UNTOUCHED: Run = Run { rise: Rise { net: 0, high: 0 }, opened: 0, ok: 0, pool: NONE, durations: NONE };

/// What is gathered of a batch, and not yet in the words.
#[derive(Debug, Default)]
pub(super) struct Moves {
    tick: Tick,
    /// The place of the worker whose batch it is.
    place: u8,
    runs: Vec<Run>,
    touched: Vec<Slot>,
    /// The pools of kinds: few, since a kind has one an account.
    pools: Vec<(Arc<Tally>, Rise)>,
    /// Durations in milliseconds, each with the place of the one before it of the same meter.
    durations: Vec<(Bucket, u32)>,
}

impl Moves {
    /// With room for so many events, of which most are of this second.
    pub fn with_room(worker: &str, events: usize, tick: Tick) -> Self {
        let (durations, touched) = (Vec::with_capacity(events), Vec::with_capacity(events));
        Self { tick, durations, touched, ..Self::of(worker) }
    }

    pub fn of(worker: &str) -> Self {
        Self { place: ends::place(worker), ..Self::default() }
    }

    /// A record was put in: its slot is held from `now` on.
    pub fn open(&mut self, meters: &[Arc<Meter>], slot: Slot, now: Tick) {
        self.step(meters, slot, 1, now);
    }

    /// A record was taken out.
    pub fn close(&mut self, meters: &[Arc<Meter>], slot: Slot, last: Tick) {
        self.step(meters, slot, -1, last);
    }

    /// A session was over before it was known: the peak knows of it, the level does not.
    pub fn pulse(&mut self, meters: &[Arc<Meter>], slot: Slot, now: Tick) {
        self.step(meters, slot, 1, now);
        self.step(meters, slot, -1, now);
    }

    fn step(&mut self, meters: &[Arc<Meter>], slot: Slot, by: i32, tick: Tick) {
        if tick != self.tick {
            // A close on the very end of a second belongs to that second, an open to the next.
            self.flush(meters);
            self.tick = tick;
        }
        let run = self.run(meters, slot);
        run.rise.step(by);
        let pool = run.pool as usize;
        self.pools[pool].1.step(by);
    }

    /// A connect is counted.
    pub fn count_opened(&mut self, meters: &[Arc<Meter>], slot: Slot) {
        self.run(meters, slot).opened += 1;
    }

    /// An end is counted, and how long it lasted. What failed long ago says nothing of how its provider does now.
    pub fn count_closed(
        &mut self,
        meters: &[Arc<Meter>],
        slot: Slot,
        (outcome, is_now): (Outcome, bool),
        duration: Bucket,
    ) {
        let at = self.durations.len() as u32;
        let run = self.run(meters, slot);
        let before = std::mem::replace(&mut run.durations, at);
        if outcome == Outcome::Ok {
            run.ok += 1;
        } else {
            let meter = &meters[slot as usize];
            meter.count_unmeasured(outcome, 1);
            if is_now {
                meter.ends.end(self.place, outcome, meter.tally.word.level());
            }
        }
        self.durations.push((duration, before));
    }

    fn run(&mut self, meters: &[Arc<Meter>], slot: Slot) -> &mut Run {
        let at = slot as usize;
        if at >= self.runs.len() {
            self.runs.resize(meters.len(), UNTOUCHED);
        }
        if self.runs[at].pool == NONE {
            let of_kind = meters[at].pool_of_kind();
            let known = self.pools.iter().position(|(pool, _)| Arc::ptr_eq(pool, of_kind));
            let pool = known.unwrap_or_else(|| {
                self.pools.push((of_kind.clone(), Rise::default()));
                self.pools.len() - 1
            });
            self.runs[at].pool = pool as u32;
            self.touched.push(slot);
        }
        &mut self.runs[at]
    }

    /// Moves the words. A level moves after what was opened and closed is counted.
    pub fn flush(&mut self, meters: &[Arc<Meter>]) {
        let tick = self.tick;
        for slot in self.touched.drain(..) {
            let run = std::mem::replace(&mut self.runs[slot as usize], UNTOUCHED);
            let mut next = run.durations;
            let durations = (next != NONE).then(|| {
                std::iter::from_fn(|| {
                    let (duration, before) = *self.durations.get(next as usize)?;
                    next = before;
                    Some(duration)
                })
            });
            let meter = &meters[slot as usize];
            meter.add(tick, run.rise, (run.opened, run.ok), durations);
            if run.ok > 0 {
                meter.ends.well(self.place, run.ok);
            }
        }
        self.durations.clear();
        for (pool, rise) in self.pools.drain(..) {
            pool.rise(tick, rise);
        }
    }
}

impl Tally {
    /// Moves the level as a batch did.
    pub(super) fn rise(&self, now: Tick, rise: Rise) {
        if !rise.is_still() {
            self.word.rise(now, rise);
            if rise.net < 0 {
                self.lowered();
            }
        }
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn a_rise_knows_its_end_and_the_highest_on_the_way() {
        let rise = |steps: &[i32]| {
            let mut rise = Rise::default();
            steps.iter().for_each(|by| rise.step(*by));
            (rise.net, rise.high, rise.is_still())
        };
        assert_eq!(rise(&[1, 1, -1, -1, -1]), (-1, 2, false));
        assert_eq!(rise(&[-1, -1, 1, 1]), (0, 0, true));
        assert_eq!(rise(&[-1, 1, 1, -1]), (0, 1, false));
        assert_eq!(rise(&[]), (0, 0, true));
    }
}
