//! Distributions: for how long a level was reached, and how long sessions lasted, over whole hours.

use std::{collections::BTreeSet, ops::Range};

use crate::{
    history::Distribution,
    model::{Hour, KeyId, SparseCounts},
    query::{Queries, Result},
};

/// Levels that are chosen when none is asked for.
const MOST_CHOSEN_LEVELS: usize = 100;

/// What is wanted of a distribution.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// Percentiles, above 0 to 100.
    pub percentiles: Vec<f64>,
    /// Levels to give the time at or above of; when empty all that occurred, thinned to 100.
    pub levels: Vec<u32>,
}

/// The distributions of one key over a window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Distributions {
    /// Seconds that are covered.
    pub covered_seconds: u64,
    /// Percentile, and the least level that was enough for that share of the covered seconds; empty when none is.
    pub levels: Vec<(f64, u32)>,
    /// Level, and the seconds whose peak was at or above it.
    pub time_at: Vec<(u32, u64)>,
    /// Sessions that ended.
    pub ended_sessions: u64,
    /// Percentile, and the least duration in milliseconds that covers that share of the ended sessions; empty when there
    /// are none.
    pub durations: Vec<(f64, u64)>,
    /// Longest session that ended, in milliseconds.
    pub longest: Option<u64>,
}

impl Queries {
    /// The distributions of a key over a range of hours, those still open included. Reads the store.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn distribution(&self, key: KeyId, hours: Range<Hour>, wanted: &Wanted) -> Result<Distributions> {
        let open = self.open_hours(key, hours.clone())?;
        let mut summaries = self.service.store.summaries(key, hours)?;
        summaries.retain(|(hour, _)| open.iter().all(|(open, _)| open != hour));
        let of_levels = summaries.iter().map(|(_, summary)| &summary.levels);
        let of_levels = || of_levels.clone().chain(open.iter().map(|(_, hour)| &hour.levels));
        let of_durations = summaries.iter().map(|(_, summary)| &summary.durations);
        let levels: Distribution = of_levels().collect();
        let durations: Distribution = of_durations.chain(open.iter().map(|(_, hour)| &hour.durations)).collect();

        let at = if wanted.levels.is_empty() { chosen_levels(of_levels()) } else { wanted.levels.clone() };
        let percentiles = |of: &Distribution| -> Vec<(f64, u64)> {
            wanted.percentiles.iter().filter_map(|percent| Some((*percent, of.percentile(*percent)?))).collect()
        };
        Ok(Distributions {
            covered_seconds: levels.total(),
            levels: percentiles(&levels).into_iter().map(|(percent, level)| (percent, level_of(level))).collect(),
            time_at: at.into_iter().map(|level| (level, levels.at_or_above(level.into()))).collect(),
            ended_sessions: durations.total(),
            durations: percentiles(&durations),
            longest: durations.max(),
        })
    }
}

fn level_of(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// The levels that occurred, thinned evenly; the highest is always there.
fn chosen_levels<'a>(of_hours: impl Iterator<Item = &'a SparseCounts>) -> Vec<u32> {
    let all: BTreeSet<u32> = of_hours.flat_map(|counts| counts.values.iter().map(|value| level_of(*value))).collect();
    let step = all.len().div_ceil(MOST_CHOSEN_LEVELS).max(1);
    let last = all.len().wrapping_sub(1);
    all.into_iter().enumerate().filter(|(at, _)| (last - at).is_multiple_of(step)).map(|(_, level)| level).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(levels: impl Iterator<Item = u64>, count: usize, highest: u32) {
        let mut counts = SparseCounts::default();
        levels.for_each(|level| counts.add(level, 1));
        let chosen = chosen_levels([&counts].into_iter());
        assert_eq!((chosen.len(), chosen.last().copied().unwrap_or(0)), (count, highest));
    }

    #[test]
    fn levels_are_thinned_to_a_hundred() {
        check(0..0, 0, 0);
        check(0..100, 100, 99);
        check(0..101, 51, 100);
        check(5..1_005, 100, 1_004);
    }
}
