//! Sparse counts of values: what a histogram is until it is merged or stored.

use prost::Message;

/// Bits of precision of a bucketed value: 6, so that a bucket is at most 1/64 (1.6 %) wide. How long sessions lasted is
/// most of what an hour takes at rest, and each bit more nearly doubles it.
pub const PRECISION_BITS: u32 = 6;

/// How often each value occurred, as two columns sorted by value.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct SparseCounts {
    #[prost(uint64, repeated, tag = "1")]
    pub values: Vec<u64>,
    #[prost(uint64, repeated, tag = "2")]
    pub counts: Vec<u64>,
}

/// All values within 1.6 % of each other, by their place among all buckets. Values below 128 stand for themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket(u16);

impl Bucket {
    /// Number of buckets.
    pub const COUNT: usize = ((u64::BITS - PRECISION_BITS + 1) as usize) << PRECISION_BITS;

    pub const fn of(value: u64) -> Self {
        let shift = (u64::BITS - value.leading_zeros()).saturating_sub(PRECISION_BITS + 1);
        Self(((shift << PRECISION_BITS) as u64 + (value >> shift)) as u16)
    }

    /// The bucket at a place, one of those there are.
    pub const fn at(place: usize) -> Self {
        debug_assert!(place < Self::COUNT, "there are no more buckets");
        Self(place as u16)
    }

    /// Its place, from 0, below [`Bucket::COUNT`].
    pub const fn place(self) -> usize {
        self.0 as usize
    }

    /// Its lower end, which stands for all of its values.
    pub const fn value(self) -> u64 {
        let shift = (self.0 >> PRECISION_BITS).saturating_sub(1);
        (self.0 as u64 - ((shift as u64) << PRECISION_BITS)) << shift
    }
}

/// The value that stands for all values of its bucket.
pub const fn bucket(value: u64) -> u64 {
    Bucket::of(value).value()
}

impl SparseCounts {
    /// Counts `value` `count` times more.
    pub fn add(&mut self, value: u64, count: u64) {
        match self.values.binary_search(&value) {
            Ok(at) => self.counts[at] = self.counts[at].saturating_add(count),
            Err(at) => {
                self.values.insert(at, value);
                self.counts.insert(at, count);
            }
        }
    }

    /// Counts `value` once less; nothing happens when it was not counted.
    pub fn remove_one(&mut self, value: u64) {
        if let Ok(at) = self.values.binary_search(&value) {
            self.counts[at] -= 1;
            if self.counts[at] == 0 {
                self.values.remove(at);
                self.counts.remove(at);
            }
        }
    }

    pub fn merge(&mut self, other: &Self) {
        for (value, count) in other.iter() {
            self.add(value, count);
        }
    }

    /// The values and their counts, by value.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, u64)> + '_ {
        self.values.iter().copied().zip(self.counts.iter().copied())
    }

    /// How many values were counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().fold(0, |total, count| total.saturating_add(*count))
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_within_a_sixty_fourth() {
        for value in [0, 1, 127, 128, 129, 123_456_789, u64::MAX] {
            assert!(value - bucket(value) <= value / 64, "{value}");
        }
        assert_eq!((bucket(127), bucket(129)), (127, 128));
        assert_eq!(Bucket::of(130).place(), Bucket::of(128).place() + 1);
        assert_eq!(Bucket::of(u64::MAX).place() + 1, Bucket::COUNT);
    }

    #[test]
    fn what_was_added_can_be_removed() {
        let mut counts = SparseCounts::default();
        counts.add(5, 2);
        counts.add(3, 1);
        counts.remove_one(5);
        counts.remove_one(3);
        counts.remove_one(9);
        assert_eq!(counts.iter().collect::<Vec<_>>(), [(5, 1)]);
    }
}
