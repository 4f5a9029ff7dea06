//! How long the sessions of an entry lasted: a busy key ends thousands in a second, most of them in the same few hundred
//! buckets, which are then told once each, with their counts.

use std::mem::take;

use crate::model::{Entry, counts::Bucket};

/// From this many durations on they are put together.
const LEAST_GATHERED: usize = 64;

/// Puts durations together; a count for each bucket, all 0 between uses.
#[derive(Debug)]
pub(super) struct Gather(Box<[u32; Bucket::COUNT]>);

impl Default for Gather {
    fn default() -> Self {
        Self(Box::new([0; Bucket::COUNT]))
    }
}

impl Gather {
    /// The durations of an entry that has none yet.
    pub fn tell(&mut self, entry: &mut Entry, durations: &[Bucket]) {
        if durations.len() < LEAST_GATHERED {
            entry.durations = durations.iter().map(|bucket| bucket.value()).collect();
        } else {
            self.gather(entry, durations.iter().map(|bucket| (*bucket, 1)));
        }
    }

    /// Puts together what was added to an entry, if it is much and is not together already.
    pub fn settle(&mut self, entry: &mut Entry) {
        if entry.durations.len() >= LEAST_GATHERED && !entry.durations.is_sorted_by(|a, b| a < b) {
            let (durations, counts) = (take(&mut entry.durations), take(&mut entry.duration_counts));
            let counts = counts.into_iter().chain(std::iter::repeat(1));
            self.gather(entry, durations.into_iter().map(Bucket::of).zip(counts));
        }
    }

    fn gather(&mut self, entry: &mut Entry, durations: impl Iterator<Item = (Bucket, u32)>) {
        let (mut least, mut most) = (usize::MAX, 0);
        for (bucket, sessions) in durations {
            let place = bucket.place();
            self.0[place] += sessions;
            (least, most) = (least.min(place), most.max(place));
        }
        for place in least..=most {
            let sessions = take(&mut self.0[place]);
            if sessions > 0 {
                entry.durations.push(Bucket::at(place).value());
                entry.duration_counts.push(sessions);
            }
        }
    }
}

/// Adds the durations of an entry to those of another.
pub(super) fn add(to: &mut Entry, durations: &[u64], counts: &[u32]) {
    let plain = to.duration_counts.is_empty() && counts.is_empty();
    if !plain {
        to.duration_counts.resize(to.durations.len(), 1);
        to.duration_counts.extend_from_slice(counts);
    }
    to.durations.extend_from_slice(durations);
    if !plain {
        to.duration_counts.resize(to.durations.len(), 1);
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use crate::model::SparseCounts;

    fn counted(entry: &Entry) -> SparseCounts {
        let mut counts = SparseCounts::default();
        entry.lasted().for_each(|(value, sessions)| counts.add(value, sessions.into()));
        counts
    }

    #[test]
    fn however_many_there_are_and_in_whatever_order_they_come_all_are_told() {
        let buckets =
            |first: u64, len: u64| (0..len).map(|nth| Bucket::of(first + nth % 9 * 1_000)).collect::<Vec<_>>();
        let (mut gather, mut pool, mut all) = (Gather::default(), Entry::default(), SparseCounts::default());
        for (first, len) in [(5, 1), (200, 63), (7, 64), (90_000, 0), (3, 2), (u64::MAX - 9_000, 500), (1, 3)] {
            let (buckets, mut meter) = (buckets(first, len), Entry::default());
            gather.tell(&mut meter, &buckets);
            add(&mut pool, &meter.durations, &meter.duration_counts);
            let mut each = SparseCounts::default();
            for bucket in &buckets {
                each.add(bucket.value(), 1);
                all.add(bucket.value(), 1);
            }
            assert_eq!((counted(&meter), counted(&pool)), (each, all.clone()), "{first} {len}");
            assert!(meter.durations.len() < LEAST_GATHERED);
        }
        let long = pool.durations.len();
        gather.settle(&mut pool);
        assert_eq!(counted(&pool), all);
        assert!(pool.durations.len() < long && pool.durations.is_sorted());
    }
}
