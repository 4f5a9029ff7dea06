//! How sessions ended of late, as it tells of their provider: counted on each meter without a lock, and taken by who judges
//! providers. Workers are told apart by their place of [`PLACES`]. Nothing is dropped: what is not taken adds up.

use crate::{
    live::sync::{AtomicU32, Ordering},
    model::{Outcome, text::hash},
};

/// Two workers that share a place count as one.
pub const PLACES: usize = 16;
/// No refusal.
const NONE: u32 = u32::MAX;

/// What ended on one meter and was not taken.
#[derive(Debug)]
pub(super) struct Ends {
    well: [AtomicU32; PLACES],
    failed: [AtomicU32; PLACES],
    /// The lowest level at which the provider refused one for its own limit of concurrency.
    refused_at: AtomicU32,
}

/// What was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// By place: how many ended well as far as their provider goes, and how many it failed.
    pub counts: [(u32, u32); PLACES],
    /// The lowest level at which the provider refused one for its own limit of concurrency, itself included.
    pub refused_at: Option<u32>,
}

/// The place of a worker.
pub(super) fn place(worker: &str) -> u8 {
    (hash(worker.as_bytes()) % PLACES as u64) as u8
}

impl Default for Ends {
    fn default() -> Self {
        let none = || std::array::from_fn(|_| AtomicU32::new(0));
        Self { well: none(), failed: none(), refused_at: AtomicU32::new(NONE) }
    }
}

impl Ends {
    /// So many sessions of a worker ended as intended.
    #[inline]
    pub fn well(&self, place: u8, sessions: u32) {
        self.well[place as usize].fetch_add(sessions, Ordering::Relaxed);
    }

    /// A session of a worker ended while so many slots were held, its own too.
    pub fn end(&self, place: u8, outcome: Outcome, level: u32) {
        if outcome == Outcome::Concurrency {
            self.refused_at.fetch_min(level.max(1), Ordering::Relaxed);
        }
        match outcome.failed() {
            Some(true) => drop(self.failed[place as usize].fetch_add(1, Ordering::Relaxed)),
            Some(false) => self.well(place, 1),
            None => {}
        }
    }

    /// Takes what is new; `None` when nothing is.
    pub fn take(&self) -> Option<Taken> {
        let take = |count: &AtomicU32| match count.load(Ordering::Relaxed) {
            0 => 0,
            _ => count.swap(0, Ordering::Relaxed),
        };
        let counts = std::array::from_fn(|place| (take(&self.well[place]), take(&self.failed[place])));
        let refused_at = match self.refused_at.load(Ordering::Relaxed) {
            NONE => None,
            _ => Some(self.refused_at.swap(NONE, Ordering::Relaxed)),
        };
        let taken = Taken { counts, refused_at };
        (taken != Taken::default()).then_some(taken)
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn what_ended_is_taken_once_and_a_refusal_with_the_lowest_level() {
        let ends = Ends::default();
        assert_eq!(ends.take(), None);
        ends.well(3, 5);
        for (outcome, level) in [(Outcome::Concurrency, 9), (Outcome::Concurrency, 7), (Outcome::Concurrency, 8)] {
            ends.end(3, outcome, level);
        }
        ends.end(4, Outcome::Timeout, 9);
        ends.end(4, Outcome::Lost, 9);
        ends.end(4, Outcome::Cancelled, 9);
        let mut counts = [(0, 0); PLACES];
        (counts[3], counts[4]) = ((8, 0), (0, 1));
        assert_eq!(ends.take(), Some(Taken { counts, refused_at: Some(7) }));
        assert_eq!(ends.take(), None);
    }

    #[test]
    fn workers_have_places_all_over() {
        let mut seen = [0; PLACES];
        (0..1_600).for_each(|nth| seen[place(&format!("worker-{nth}")) as usize] += 1);
        assert!(seen.iter().all(|count| (50..200).contains(count)), "{seen:?}");
    }
}
