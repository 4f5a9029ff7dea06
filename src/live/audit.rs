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

/// A level that differs from the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    pub key: KeyId,
    pub level: u32,
    pub records: u32,
}

impl Live {
    /// Recounts, twice when something moved in between, and returns the levels that differ both times.
    pub fn audit(&self) -> Vec<Drift> {
        let first = self.recount();
        if first.is_empty() {
            self.drift.store(0, Ordering::Release);
            return first;
        }
        // What was in motion during the first count is at rest, or elsewhere, in the second.
        let second = self.recount();
        let drift: Vec<_> = second.into_iter().filter(|drift| first.contains(drift)).collect();
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
