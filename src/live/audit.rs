//! The audit: recounts the records of all books and compares them with the levels. They can't differ, since only a record
//! moves a level; if they ever do, it is a bug, and it is counted and shown.

use rustc_hash::FxHashMap;

use crate::{
    live::{
        Live,
        sync::{Ordering, lock},
    },
    model::KeyId,
};

/// Counts that must agree on a drift. A busy meter of few sessions may well look the same, and wrong, twice.
const MOST_COUNTS: usize = 5;

/// A level that differs from the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    pub key: KeyId,
    pub level: u32,
    pub records: u32,
}

impl Live {
    /// Recounts, more than once when something moved in between, and returns the levels that differ each time.
    pub fn audit(&self) -> Vec<Drift> {
        let mut drift = self.recount();
        // What was in motion during one count is at rest, or elsewhere, in the next.
        for _ in 1..MOST_COUNTS {
            if drift.is_empty() {
                break;
            }
            let again = self.recount();
            drift.retain(|drift| again.contains(drift));
        }
        self.drift.store(drift.len() as u64, Ordering::Release);
        drift
    }

    fn recount(&self) -> Vec<Drift> {
        let mut records: FxHashMap<KeyId, u32> = FxHashMap::default();
        for book in self.all_books() {
            for (_, held) in lock(&book).sessions() {
                *records.entry(held.meter.tally.id).or_default() += 1;
                for pool in &held.meter.pools {
                    *records.entry(pool.id).or_default() += 1;
                }
            }
        }
        let tallies = self.registry.all_tallies().into_iter();
        tallies
            .map(|tally| Drift {
                key: tally.id,
                level: tally.word.level(),
                records: records.get(&tally.id).copied().unwrap_or(0),
            })
            .filter(|drift| drift.level != drift.records)
            .collect()
    }
}
