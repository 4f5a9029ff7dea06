//! The hours of the week of one key, and which kind of peaks its last seven days had.

use std::ops::Range;

use jiff::tz::TimeZone;

use crate::{
    history::{
        Week,
        heat::{self, CELLS, Cell, HeatMinutes},
    },
    model::{Key, Minute, Now},
    query::{Queries, Result},
};

/// What is told of the hours of the week.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    /// Monday 0:00 first.
    pub cells: [Cell; CELLS],
    /// Of the last seven days; `None` when no limit was in force.
    pub week: Option<Week>,
    pub sentence: String,
}

impl Queries {
    /// The hours of the week over a range of minutes, as the clock of a zone shows them. Reads the store.
    ///
    /// # Errors
    /// When the project or the target was never seen, or the store can't be read.
    pub fn heat_map(&self, key: &Key, range: &Range<Minute>, zone: &TimeZone, now: Now) -> Result<HeatMap> {
        let quota = self.quota(key, now)?;
        let minutes = self.minute_peaks(quota.id, range)?;
        let limits = self.service.limits.of(quota.id);
        let of_minutes = HeatMinutes { peaks: &minutes.peaks, sure: &minutes.sure_peaks(), flags: &minutes.flags };
        let cells = heat::heat_map(range.start, &of_minutes, &limits, zone);
        let sentence =
            heat::sentence(quota.week, &quota.marks, quota.minutes_covered, self.service.live.tick(now), zone);
        Ok(HeatMap { cells, week: quota.week, sentence })
    }
}
