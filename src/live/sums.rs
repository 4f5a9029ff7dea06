//! What was opened and closed on a meter: what is new since the roller came by, and the sums of all before. Under one lock,
//! so that an end and how long it lasted are counted in one step, and the roller takes what is new without reading sums
//! that did not change.

use crate::model::{LateSpan, Outcome, counts::Bucket};

/// Sums since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Sessions that the sums of earlier processes left open.
    pub left_open: i64,
    pub opened: u64,
    /// By [`Outcome::index`].
    pub closed: [u64; Outcome::COUNT],
    pub refused: u64,
    pub diverted: u64,
    pub late_dropped: u64,
}

impl Totals {
    /// Adds what was opened and closed.
    pub fn add(&mut self, more: &Self) {
        self.opened += more.opened;
        self.closed.iter_mut().zip(more.closed).for_each(|(sum, more)| *sum += more);
        self.refused += more.refused;
        self.diverted += more.diverted;
    }

    /// Sessions that were opened and have not ended, by the sums of all time.
    pub fn open(&self) -> i64 {
        let grown = self.opened.wrapping_sub(self.closed.iter().sum());
        self.left_open + grown.cast_signed()
    }
}

/// What was counted since the roller came by.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// How long sessions lasted that ended, in milliseconds.
    pub durations: Vec<Bucket>,
    pub seldom: Option<Box<Seldom>>,
    pub opened: u32,
    /// Sessions that ended as intended, which most do.
    pub ok: u32,
}

/// What few meters have to tell in a second.
#[derive(Debug, Default)]
pub(super) struct Seldom {
    /// Sessions that ended otherwise, by [`Outcome::index`].
    pub closed: [u32; Outcome::COUNT],
    pub late_dropped: u32,
    pub late: Vec<LateSpan>,
    /// Who asked for a slot and got none, or one of another model.
    pub refused: u32,
    pub diverted: u32,
}

/// All that was counted. In the order of use: what each second needs is one line of the cache with the lock before it.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Sums {
    pub counted: Counted,
    /// Sessions that were opened and have not ended, by the sums of all time, without what is new.
    open: i64,
    /// By [`Outcome::index`], without what is new.
    closed: [u64; Outcome::COUNT],
    late_dropped: u64,
    refused: u64,
    diverted: u64,
    /// Sessions that the sums of earlier processes left open.
    left_open: i64,
}

impl Counted {
    /// Sessions that ended with this outcome.
    pub fn close(&mut self, outcome: Outcome, sessions: u32) {
        if outcome == Outcome::Ok {
            self.ok += sessions;
        } else {
            self.seldom().closed[outcome.index()] += sessions;
        }
    }

    pub fn seldom(&mut self) -> &mut Seldom {
        self.seldom.get_or_insert_default()
    }

    pub fn is_empty(&self) -> bool {
        self.opened == 0 && self.ok == 0 && self.durations.is_empty() && self.seldom.is_none()
    }
}

impl Sums {
    /// Takes what is new; also tells how many sessions are open with it.
    pub fn take(&mut self) -> (Counted, i64) {
        let counted = std::mem::take(&mut self.counted);
        self.open += i64::from(counted.opened) - i64::from(counted.ok);
        self.closed[Outcome::Ok.index()] += u64::from(counted.ok);
        if let Some(seldom) = &counted.seldom {
            for (sum, more) in self.closed.iter_mut().zip(seldom.closed) {
                *sum += u64::from(more);
                self.open -= i64::from(more);
            }
            self.late_dropped += u64::from(seldom.late_dropped);
            self.refused += u64::from(seldom.refused);
            self.diverted += u64::from(seldom.diverted);
        }
        (counted, self.open)
    }

    /// The sums of earlier processes left so many sessions open.
    pub const fn inherit(&mut self, sessions: i64) {
        self.open += sessions - self.left_open;
        self.left_open = sessions;
    }

    /// With what is new.
    pub fn totals(&self) -> Totals {
        let grown = self.open - self.left_open;
        let mut totals = Totals {
            left_open: self.left_open,
            opened: self.closed.iter().sum::<u64>().wrapping_add_signed(grown) + u64::from(self.counted.opened),
            closed: self.closed,
            refused: self.refused,
            diverted: self.diverted,
            late_dropped: self.late_dropped,
        };
        totals.closed[Outcome::Ok.index()] += u64::from(self.counted.ok);
        if let Some(seldom) = &self.counted.seldom {
            totals.closed.iter_mut().zip(seldom.closed).for_each(|(sum, more)| *sum += u64::from(more));
            totals.late_dropped += u64::from(seldom.late_dropped);
            totals.refused += u64::from(seldom.refused);
            totals.diverted += u64::from(seldom.diverted);
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_the_same_before_and_after_what_is_new_is_taken() {
        let mut sums = Sums::default();
        sums.inherit(3);
        for round in 1..=2_u64 {
            sums.counted.opened += 5;
            sums.counted.close(Outcome::Ok, 2);
            sums.counted.close(Outcome::Lost, 1);
            sums.counted.seldom().late_dropped += 1;
            sums.counted.seldom().refused += 2;
            sums.counted.seldom().diverted += 3;
            let before = sums.totals();
            let (counted, open) = sums.take();
            assert_eq!((counted.opened, counted.ok, counted.is_empty()), (5, 2, false));
            assert_eq!((sums.totals(), before.open()), (before, open));
            assert_eq!((before.opened, before.late_dropped, open), (5 * round, round, 3 + 2 * round.cast_signed()));
            assert_eq!(before.closed[Outcome::Lost.index()], round);
            assert_eq!((before.refused, before.diverted), (2 * round, 3 * round));
        }
        assert!(sums.take().0.is_empty());
        sums.inherit(1);
        assert_eq!((sums.totals().open(), sums.take().1), (5, 5));
    }
}
