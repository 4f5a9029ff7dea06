//! How a level goes, and when it reaches its limit if it goes on so: by the peaks of the last minutes. The last few say
//! whether it rises, since the peak where there was one; what lasts for longer says at which pace, where that is slower.

use std::time::Duration;

use crate::{
    alert::Trend,
    model::{KeyId, Minute, Now, Time},
    service::Service,
};

/// Minutes that the pace is taken from.
const PACE_MINUTES: u32 = 10;
/// How long ago the course began that says whether it rises.
const RECENT: Duration = Duration::from_secs(4 * 60);
/// A level has fallen from a peak when it is lower by more than this part of what it had risen.
const FALLEN: f64 = 0.25;
/// Slots that a level changes by in its course, or it is steady; and as a part of the level.
const LEAST_CHANGE: f64 = 0.5;
const LEAST_SHARE: f64 = 0.01;
/// The limit is not foreseen further than this.
const LONGEST_FORESIGHT: Duration = Duration::from_secs(24 * 3_600);

impl Service {
    pub fn pace(&self, id: KeyId, level: u32, limit: Option<u32>, now: Now) -> (Trend, Option<Duration>) {
        let end = now.wall.tick().minute().next();
        let first = Minute(end.0.saturating_sub(PACE_MINUTES));
        let points = self.rollup().points(id, first..end);
        let peaks: Vec<_> = points.iter().map(|(minute, point)| (minute.first_tick().start(), point.peak)).collect();
        pace(&peaks, level, limit, now.wall)
    }
}

/// From minutes and their peaks, the last of which may not be over, to a level now.
fn pace(peaks: &[(Time, u32)], level: u32, limit: Option<u32>, now: Time) -> (Trend, Option<Duration>) {
    let ago = |(at, peak): &(Time, u32)| (-now.since(*at).as_secs_f64(), f64::from(*peak));
    let now_at = (0.0, f64::from(level));
    let whole: Vec<_> = peaks.iter().map(ago).filter(|(at, _)| *at < 0.0).chain([now_at]).collect();
    let recent: Vec<_> = whole.iter().filter(|(at, _)| *at > -RECENT.as_secs_f64()).copied().collect();
    let course = since_peak(&recent);
    let (Some(slope), Some((first, _))) = (slope(course), course.first()) else { return (Trend::Steady, None) };
    let change = slope * -first;
    if change.abs() < LEAST_CHANGE.max(LEAST_SHARE * f64::from(level)) {
        return (Trend::Steady, None);
    }
    if change < 0.0 {
        return (Trend::Falling, None);
    }
    let (since, before) = whole[0];
    let longer = Some((f64::from(level) - before) / -since).filter(|pace| *pace > 0.0);
    let pace = longer.map_or(slope, |longer| longer.min(slope));
    let left = limit.and_then(|limit| limit.checked_sub(level)).filter(|left| *left > 0);
    let time = left.map(|left| f64::from(left) / pace).filter(|seconds| *seconds <= LONGEST_FORESIGHT.as_secs_f64());
    (Trend::Rising, time.map(|seconds| Duration::from_secs(seconds.round() as u64)))
}

/// The course from its last peak on, where it has fallen since.
fn since_peak(course: &[(f64, f64)]) -> &[(f64, f64)] {
    let level = course.last().map_or(0.0, |(_, level)| *level);
    let highest = course.iter().fold(level, |highest, (_, level)| highest.max(*level));
    let lowest = course.iter().fold(level, |lowest, (_, level)| lowest.min(*level));
    let at = course.iter().rposition(|(_, level)| *level >= highest).unwrap_or(0);
    if highest - level > FALLEN * (highest - lowest) { &course[at..] } else { course }
}

/// The slope of the line that fits best, in slots a second; `None` of fewer than two times.
fn slope(course: &[(f64, f64)]) -> Option<f64> {
    let count = course.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| course.iter().map(of).sum::<f64>() / count;
    let (time, level) = (mean(|(time, _)| *time), mean(|(_, level)| *level));
    let spread: f64 = course.iter().map(|(at, _)| (at - time).powi(2)).sum();
    let both: f64 = course.iter().map(|(at, there)| (at - time) * (there - level)).sum();
    (spread > 0.0).then(|| both / spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Peaks of minutes, the last of which began 30 s ago.
    #[track_caller]
    fn check(peaks: &[u32], level: u32, limit: Option<u32>, expected: (Trend, Option<u64>)) {
        let at = |nth: usize| Time::from_secs(6_000 + 60 * nth as u64);
        let now = Time::from_secs(6_000 + 60 * peaks.len() as u64 - 30);
        let peaks: Vec<_> = peaks.iter().enumerate().map(|(nth, peak)| (at(nth), *peak)).collect();
        let (trend, time) = pace(&peaks, level, limit, now);
        assert_eq!((trend, time.map(|time| time.as_secs())), expected, "{peaks:?} {level}");
    }

    #[test]
    fn the_limit_is_foreseen_where_the_level_rises_below_it() {
        let rising = [10, 12, 14, 16];
        check(&rising, 17, Some(20), (Trend::Rising, Some(90)));
        check(&rising, 17, Some(17), (Trend::Rising, None));
        check(&rising, 17, Some(16), (Trend::Rising, None));
        check(&rising, 17, None, (Trend::Rising, None));
        check(&[10, 10, 10, 11], 11, Some(10_000), (Trend::Rising, None));
        check(&[16, 16, 16, 16], 16, Some(20), (Trend::Steady, None));
        check(&[], 16, Some(20), (Trend::Steady, None));
    }

    #[test]
    fn what_falls_since_a_spike_falls_however_low_it_was_before() {
        check(&[5, 5, 5, 5, 5, 5, 20, 17, 14, 11], 10, Some(20), (Trend::Falling, None));
        check(&[5, 5, 5, 5, 5, 5, 5, 5, 5, 20], 8, Some(20), (Trend::Falling, None));
        check(&[5, 5, 5, 5, 5, 20, 12, 12, 12, 12], 12, Some(20), (Trend::Steady, None));
        // It rises again: at the pace of that.
        check(&[5, 20, 8, 8, 8, 8, 10, 12, 14, 16], 17, Some(21), (Trend::Rising, Some(190)));
    }

    #[test]
    fn a_level_that_wavers_is_steady_and_a_dip_ends_no_rise() {
        check(&[1_000, 1_003, 998, 1_002], 1_000, Some(2_000), (Trend::Steady, None));
        check(&[100, 120, 140, 160], 155, Some(200), (Trend::Rising, Some(172)));
    }

    #[test]
    fn a_jump_after_calm_is_foreseen_at_the_slower_pace() {
        check(&[10, 10, 10, 10, 10, 10, 10, 10, 10, 16], 16, Some(20), (Trend::Rising, Some(380)));
    }
}
