//! Sparse counts as bytes. The gaps between values and the counts are Rice coded, each with the parameter that is best
//! for it: the levels of an hour have small gaps and large counts, the durations large gaps and small counts.
//!
//! The number of values comes as a varint. Unless it is 0, there follow a byte with the parameter of the gaps and, in the
//! highest bit, whether the values are the places of buckets; a byte with the parameter of the counts; and for each value
//! its gap and its count, both less one (the first gap is the first value).

use crate::{
    history::{
        bits::{BitWriter, Reader, put_varint, rice_len},
        pack::PackError,
    },
    model::{
        SparseCounts,
        counts::{Bucket, PRECISION_BITS, bucket},
    },
};

/// Set when values are places of buckets rather than values.
const BUCKETED: u8 = 1 << 7;
/// Largest parameter of a Rice code.
const MAX_K: u32 = 31;

pub fn put_counts(out: &mut Vec<u8>, counts: &SparseCounts) {
    put_varint(out, counts.values.len() as u64);
    if counts.is_empty() {
        return;
    }
    let bucketed = counts.values.iter().all(|value| bucket(*value) == *value);
    let gaps = counts.values.iter().scan(None, |last: &mut Option<u64>, value| {
        let place = if bucketed { place_of(*value) } else { *value };
        let gap = last.map_or(place, |last| place.wrapping_sub(last).wrapping_sub(1));
        *last = Some(place);
        Some(gap)
    });
    let extras = counts.counts.iter().map(|count| count.wrapping_sub(1));
    let (gap_k, extra_k) = (best_k(gaps.clone()), best_k(extras.clone()));
    out.push(gap_k as u8 | if bucketed { BUCKETED } else { 0 });
    out.push(extra_k as u8);
    let mut bits = BitWriter::new(out);
    for (gap, extra) in gaps.zip(extras) {
        bits.rice(gap, gap_k);
        bits.rice(extra, extra_k);
    }
    bits.end();
}

pub fn get_counts(from: &mut Reader<'_>) -> Result<SparseCounts, PackError> {
    let mut counts = SparseCounts::default();
    let len = from.varint()?;
    if len == 0 {
        return Ok(counts);
    }
    let first = from.byte()?;
    let bucketed = first & BUCKETED != 0;
    let (gap_k, extra_k) = (checked_k(first & !BUCKETED)?, checked_k(from.byte()?)?);
    // A value takes two bits at the least, so what is reserved is in proportion to the bytes that are there.
    if len > from.remaining() as u64 * u64::from(u8::BITS) / 2 {
        return Err(PackError::Truncated);
    }
    counts.values.reserve_exact(len as usize);
    counts.counts.reserve_exact(len as usize);
    let mut next = 0_u64;
    for _ in 0..len {
        let place = next.checked_add(from.rice(gap_k)?).ok_or(PackError::Invalid("a value"))?;
        let value = if bucketed { value_at(place).ok_or(PackError::Invalid("a bucket"))? } else { place };
        next = place.checked_add(1).ok_or(PackError::Invalid("a value")).or_else(|error| {
            // The largest value of all can only be the last.
            if counts.values.len() as u64 + 1 == len { Ok(place) } else { Err(error) }
        })?;
        counts.values.push(value);
        counts.counts.push(from.rice(extra_k)?.wrapping_add(1));
    }
    from.end_bits();
    Ok(counts)
}

/// The place of a bucket among all buckets, by its lower end.
const fn place_of(value: u64) -> u64 {
    Bucket::of(value).place() as u64
}

/// The lower end of the bucket at a place, if there is one.
const fn value_at(place: u64) -> Option<u64> {
    let shift = (place >> PRECISION_BITS).saturating_sub(1);
    if shift + PRECISION_BITS as u64 >= u64::BITS as u64 {
        return None;
    }
    Some((place - (shift << PRECISION_BITS)) << shift)
}

const fn checked_k(k: u8) -> Result<u32, PackError> {
    if k as u32 > MAX_K { Err(PackError::Invalid("a Rice parameter")) } else { Ok(k as u32) }
}

/// The parameter with which the values take the fewest bits: it is near the logarithm of their mean.
fn best_k(values: impl Iterator<Item = u64> + Clone) -> u32 {
    let (sum, len) = values.clone().fold((0_u64, 0_u64), |(sum, len), value| (sum.saturating_add(value), len + 1));
    let near = (sum / len.max(1)).checked_ilog2().unwrap_or(0);
    let bits = |k: u32| values.clone().map(|value| rice_len(value, k)).sum::<u64>();
    (near.saturating_sub(2)..=near + 1).map(|k| k.min(MAX_K)).min_by_key(|k| bits(*k)).unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pairs: &[(u64, u64)], most_bytes: usize) {
        let (values, counts) = pairs.iter().copied().unzip();
        let counts = SparseCounts { values, counts };
        let mut out = Vec::new();
        put_counts(&mut out, &counts);
        let mut reader = Reader::new(&out);
        assert_eq!((get_counts(&mut reader), reader.remaining()), (Ok(counts), 0));
        assert!(out.len() <= most_bytes, "{} bytes", out.len());
    }

    #[test]
    fn counts_come_back() {
        check(&[], 1);
        check(&[(0, 3_600)], 6);
        check(&[(0, 1), (u64::MAX, u64::MAX)], 60);
        check(&[(u64::MAX - 1, 0), (u64::MAX, 1)], 60);
        check(&[(1_000_001, 1), (1_000_003, 2)], 12);
        let levels: Vec<_> = (0..6).map(|level| (level, 500 + level * 40)).collect();
        check(&levels, 13);
        let durations: Vec<_> = {
            let mut counts = SparseCounts::default();
            (0..400).for_each(|i| counts.add(bucket(700 + i * 13), 1));
            counts.iter().collect()
        };
        check(&durations, 150);
    }

    #[test]
    fn every_bucket_has_its_place() {
        for value in [0, 1, 127, 128, 256, 260, 123_456_789, u64::MAX] {
            assert_eq!(value_at(place_of(bucket(value))), Some(bucket(value)), "{value}");
        }
        assert_eq!(place_of(130), place_of(128) + 1);
        assert_eq!(value_at(u64::MAX), None);
    }
}
