//! How a level goes, and when it reaches its limit if it goes on so: by the peaks of the last minutes.

use std::time::Duration;

use crate::{
    alert::Trend,
    model::{KeyId, Minute, Now, Time},
    service::Service,
};

/// Minutes that the pace is taken from.
const PACE_MINUTES: u32 = 10;
/// The limit is not foreseen further than this.
const LONGEST_FORESIGHT: Duration = Duration::from_secs(24 * 3_600);

impl Service {
    pub fn pace(&self, id: KeyId, level: u32, limit: Option<u32>, now: Now) -> (Trend, Option<Duration>) {
        let end = now.wall.tick().minute().next();
        let first = Minute(end.0.saturating_sub(PACE_MINUTES));
        let points = self.rollup().points(id, first..end);
        let before = points.first().map(|(minute, point)| (minute.first_tick().start(), point.peak));
        before.map_or((Trend::Steady, None), |before| pace(before, level, limit, now.wall))
    }
}

/// From a time and its peak to a level now.
fn pace((then, before): (Time, u32), level: u32, limit: Option<u32>, now: Time) -> (Trend, Option<Duration>) {
    let trend = match level.cmp(&before) {
        std::cmp::Ordering::Greater => Trend::Rising,
        std::cmp::Ordering::Equal => Trend::Steady,
        std::cmp::Ordering::Less => Trend::Falling,
    };
    let seconds = now.since(then).as_secs().max(1);
    let left = limit.and_then(|limit| limit.checked_sub(level)).filter(|left| *left > 0);
    let grown = u64::from(level.saturating_sub(before));
    let time = left.filter(|_| grown > 0).map(|left| Duration::from_secs(u64::from(left) * seconds / grown));
    (trend, time.filter(|time| *time <= LONGEST_FORESIGHT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: u32, level: u32, limit: Option<u32>, expected: (Trend, Option<u64>)) {
        let (trend, time) = pace((Time::from_secs(1_000), before), level, limit, Time::from_secs(1_600));
        assert_eq!((trend, time.map(|time| time.as_secs())), expected);
    }

    #[test]
    fn the_limit_is_foreseen_where_the_level_rises_below_it() {
        check(10, 16, Some(20), (Trend::Rising, Some(400)));
        check(10, 20, Some(20), (Trend::Rising, None));
        check(10, 21, Some(20), (Trend::Rising, None));
        check(10, 16, None, (Trend::Rising, None));
        check(16, 16, Some(20), (Trend::Steady, None));
        check(18, 16, Some(20), (Trend::Falling, None));
        check(10, 11, Some(1_000), (Trend::Rising, None));
    }
}
