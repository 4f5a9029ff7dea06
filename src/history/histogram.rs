//! Sparse counts of many hours merged into one HdrHistogram, and what is read out of it: the level that was enough, and
//! for how long a level was reached.

use hdrhistogram::Histogram;

use crate::model::{HourSummary, KeyHour, SparseCounts};

/// Significant digits kept: values below 2,048 are exact, others within 0.1 %.
const SIGNIFICANT_DIGITS: u8 = 3;
/// Percentiles are taken to a millionth, so that 99.9 % of a whole number of thousands is a whole number.
const PARTS: u128 = 1_000_000;

/// How often each value occurred: seconds by their peak, or sessions by how long they lasted in milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    counts: Histogram<u64>,
    /// The highest value itself, of which the histogram knows the bucket.
    max: u64,
}

impl Default for Distribution {
    fn default() -> Self {
        let counts = Histogram::new(SIGNIFICANT_DIGITS).expect("three digits are within what a histogram takes");
        Self { counts, max: 0 }
    }
}

impl Distribution {
    /// Seconds by their peak, of all these hours.
    pub fn of_levels<'a>(hours: impl IntoIterator<Item = &'a KeyHour>) -> Self {
        hours.into_iter().map(|hour| &hour.levels).collect()
    }

    /// Sessions by how long they lasted, of all these hours.
    pub fn of_durations<'a>(hours: impl IntoIterator<Item = &'a KeyHour>) -> Self {
        hours.into_iter().map(|hour| &hour.durations).collect()
    }

    /// Seconds by their peak, of all the hours of these summaries.
    pub fn of_summary_levels<'a>(summaries: impl IntoIterator<Item = &'a HourSummary>) -> Self {
        summaries.into_iter().map(|summary| &summary.levels).collect()
    }

    /// Sessions by how long they lasted, of all the hours of these summaries.
    pub fn of_summary_durations<'a>(summaries: impl IntoIterator<Item = &'a HourSummary>) -> Self {
        summaries.into_iter().map(|summary| &summary.durations).collect()
    }

    pub fn merge(&mut self, counts: &SparseCounts) {
        for (value, count) in counts.iter() {
            // A histogram that grows by itself takes every value; saturating says what holds if one did not.
            if self.counts.record_n(value, count).is_err() {
                self.counts.saturating_record_n(value, count);
            }
            self.max = self.max.max(value);
        }
    }

    /// How many seconds or sessions were counted.
    pub fn total(&self) -> u64 {
        self.counts.len()
    }

    /// The highest value; `None` when there is none.
    pub fn max(&self) -> Option<u64> {
        (self.total() > 0).then_some(self.max)
    }

    /// The least value that `percent` of what was counted did not exceed, by nearest rank: "42 was enough 99 % of the
    /// time". 0 % is the least value, 100 % the highest; `None` when nothing was counted.
    pub fn percentile(&self, percent: f64) -> Option<u64> {
        let parts = (percent.clamp(0.0, 100.0) / 100.0 * PARTS as f64).round() as u128;
        let rank = (parts * u128::from(self.total())).div_ceil(PARTS).max(1);
        let mut seen = 0;
        self.counts.iter_recorded().find_map(|step| {
            seen += u128::from(step.count_since_last_iteration());
            (seen >= rank).then(|| step.value_iterated_to().min(self.max))
        })
    }

    /// How many seconds or sessions had this value or a higher one.
    pub fn at_or_above(&self, value: u64) -> u64 {
        if self.total() == 0 || value > self.max { 0 } else { self.counts.count_between(value, u64::MAX) }
    }
}

impl<'a> FromIterator<&'a SparseCounts> for Distribution {
    fn from_iter<I: IntoIterator<Item = &'a SparseCounts>>(all: I) -> Self {
        let mut merged = Self::default();
        all.into_iter().for_each(|counts| merged.merge(counts));
        merged
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u64]) -> Distribution {
        let mut counts = SparseCounts::default();
        values.iter().for_each(|value| counts.add(*value, 1));
        [&counts].into_iter().collect()
    }

    #[track_caller]
    fn check(percent: f64, values: &[u64], enough: Option<u64>) {
        assert_eq!(of(values).percentile(percent), enough);
    }

    #[test]
    fn the_least_level_that_is_enough() {
        check(50.0, &[], None);
        check(50.0, &[7], Some(7));
        check(0.0, &[3, 7], Some(3));
        check(50.0, &[3, 7], Some(3));
        check(50.1, &[3, 7], Some(7));
        check(100.0, &[3, 7], Some(7));
        check(95.0, &[0; 20], Some(0));
        let thousand: Vec<u64> = (1..=1_000).collect();
        check(99.9, &thousand, Some(999));
        check(99.95, &thousand, Some(1_000));
        check(f64::NAN, &[3], Some(3));
        check(100.0, &[2_049, 100_001], Some(100_001));
    }

    #[test]
    fn time_at_or_above_a_level() {
        let levels = of(&[0, 0, 5, 9, 9, 10]);
        let above = [0, 5, 6, 9, 10, 11].map(|level| levels.at_or_above(level));
        assert_eq!(above, [6, 4, 3, 3, 1, 0]);
        assert_eq!((Distribution::default().at_or_above(0), Distribution::default().max()), (0, None));
    }

    #[test]
    fn any_value_is_taken() {
        assert_eq!(of(&[u64::MAX]).total(), 1);
        assert_eq!(of(&[u64::MAX, 0]).percentile(50.0), Some(0));
    }

    proptest! {
        /// Against the sorted values themselves.
        #[test]
        fn percentiles_are_exact(mut values in prop::collection::vec(0..2_048_u64, 1..200), thousandths in 0..=100_000_u64) {
            let distribution = of(&values);
            values.sort_unstable();
            let rank = (thousandths * values.len() as u64).div_ceil(100_000).max(1);
            let expected = values[rank as usize - 1];
            prop_assert_eq!(distribution.percentile(thousandths as f64 / 1_000.0), Some(expected));
            let above = values.iter().filter(|value| **value >= expected).count() as u64;
            prop_assert_eq!(distribution.at_or_above(expected), above);
        }
    }
}
