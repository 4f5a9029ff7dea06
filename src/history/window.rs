//! Minutes and hours merged into steps of a width that is asked for. What no point or summary was added for is a gap.

use std::ops::Range;

use crate::model::{Flags, Hour, HourSummary, KeyHour, Minute, Outcome, Point, Tick, time::MINUTES_PER_HOUR};

/// Seconds in a minute.
const MINUTE_SECONDS: u64 = 60;

/// What is known of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepPoint {
    pub start: Minute,
    /// Highest level.
    pub peak: u32,
    /// Second in which it was first reached; the start of a gap.
    pub peak_at: Tick,
    /// Level at the end of the last covered minute.
    pub last: u32,
    pub opened: u64,
    /// By [`Outcome::index`].
    pub closed: [u64; Outcome::COUNT],
    pub refused: u64,
    pub diverted: u64,
    /// Covered seconds.
    pub covered: u64,
    /// `GAP` when nothing is covered, `PARTIAL` when not all is, the others when any part has them.
    pub flags: Flags,
}

/// Steps of one width over a range of minutes, which are added to in order of time.
#[derive(Clone, Debug)]
pub struct Steps {
    range: Range<Minute>,
    width: u32,
    points: Vec<StepPoint>,
}

/// What is added to a step.
struct Part<'a> {
    peak: u32,
    peak_at: Tick,
    last: u32,
    opened: u64,
    closed: &'a [u64],
    refused: u64,
    diverted: u64,
    covered: u64,
    flags: Flags,
}

impl Steps {
    /// Steps of `width` minutes, at least one, from the range's start; the last may be cut off by its end. The caller
    /// bounds how many steps there are.
    pub fn new(range: Range<Minute>, width: u32) -> Self {
        let width = width.max(1);
        let starts = (range.start.0..range.end.0).step_by(width as usize);
        let points = starts.map(|start| StepPoint::gap(Minute(start))).collect();
        Self { range, width, points }
    }

    /// Adds a minute; one outside the range changes nothing.
    pub fn add_point(&mut self, minute: Minute, point: &Point) {
        self.add(
            minute,
            &Part {
                peak: point.peak,
                peak_at: Tick(minute.first_tick().0 + u64::from(point.peak_second)),
                last: point.last,
                opened: point.opened.into(),
                closed: &point.closed.map(u64::from),
                refused: point.refused.into(),
                diverted: point.diverted.into(),
                covered: if point.is_gap() { 0 } else { point.covered.into() },
                flags: point.flags,
            },
        );
    }

    /// Adds the minutes of an hour that lie in the range.
    pub fn add_hour(&mut self, hour: Hour, key_hour: &KeyHour) {
        for (offset, point) in (0..).zip(&key_hour.points) {
            self.add_point(Minute(hour.first_minute().0 + offset), point);
        }
    }

    /// Adds a whole hour to the step that its first minute lies in, so that steps are to be whole hours and begin with
    /// one.
    pub fn add_summary(&mut self, hour: Hour, summary: &HourSummary) {
        self.add(
            hour.first_minute(),
            &Part {
                peak: summary.peak,
                peak_at: summary.peak_at(hour),
                last: summary.last,
                opened: summary.opened,
                closed: &summary.closed,
                refused: summary.refused,
                diverted: summary.diverted,
                covered: summary.covered.into(),
                flags: summary.flags(),
            },
        );
    }

    /// The steps, in order of time.
    pub fn finish(mut self) -> Vec<StepPoint> {
        for point in &mut self.points {
            let minutes = self.width.min(self.range.end.0 - point.start.0);
            let gaps = Flags::GAP.with(Flags::PARTIAL).0;
            // PARTIAL was set by what was added: covered in full, yet settling, is partial too.
            let partial = point.flags.has(Flags::PARTIAL) || point.covered < u64::from(minutes) * MINUTE_SECONDS;
            let flags = Flags(point.flags.0 & !gaps);
            point.flags = match (point.covered, partial) {
                (0, _) => flags.with(Flags::GAP),
                (_, true) => flags.with(Flags::PARTIAL),
                (_, false) => flags,
            };
        }
        self.points
    }

    fn add(&mut self, minute: Minute, part: &Part<'_>) {
        let Some(offset) = minute.0.checked_sub(self.range.start.0).filter(|_| minute < self.range.end) else { return };
        let step = &mut self.points[(offset / self.width) as usize];
        if part.covered > 0 {
            if step.covered == 0 || part.peak > step.peak {
                (step.peak, step.peak_at) = (part.peak, part.peak_at);
            }
            step.last = part.last;
        }
        step.opened += part.opened;
        step.refused += part.refused;
        step.diverted += part.diverted;
        step.covered += part.covered;
        step.closed.iter_mut().zip(part.closed).for_each(|(sum, n)| *sum += n);
        step.flags = step.flags.with(part.flags);
    }
}

impl StepPoint {
    /// A step of which nothing is known.
    const fn gap(start: Minute) -> Self {
        Self {
            start,
            peak: 0,
            peak_at: start.first_tick(),
            last: 0,
            opened: 0,
            closed: [0; Outcome::COUNT],
            refused: 0,
            diverted: 0,
            covered: 0,
            flags: Flags::GAP,
        }
    }

    pub const fn is_gap(&self) -> bool {
        self.flags.has(Flags::GAP)
    }
}

/// The steps of a range whose bounds are whole hours, by hours of minutes.
pub fn steps_of_hours<'a>(
    hours: Range<Hour>,
    width: u32,
    key_hours: impl IntoIterator<Item = (Hour, &'a KeyHour)>,
) -> Vec<StepPoint> {
    let mut steps = Steps::new(minutes_of(&hours), width);
    key_hours.into_iter().for_each(|(hour, key_hour)| steps.add_hour(hour, key_hour));
    steps.finish()
}

/// The steps of a range whose bounds are whole hours, by summaries; `hours_wide` hours each.
pub fn steps_of_summaries<'a>(
    hours: Range<Hour>,
    hours_wide: u32,
    summaries: impl IntoIterator<Item = (Hour, &'a HourSummary)>,
) -> Vec<StepPoint> {
    let mut steps = Steps::new(minutes_of(&hours), hours_wide.saturating_mul(MINUTES_PER_HOUR));
    summaries.into_iter().for_each(|(hour, summary)| steps.add_summary(hour, summary));
    steps.finish()
}

fn minutes_of(hours: &Range<Hour>) -> Range<Minute> {
    hours.start.first_minute()..hours.end.first_minute()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Point = Point { covered: 60, ..Point::GAP };

    fn point(peak: u32, peak_second: u8, last: u32) -> Point {
        Point { peak, peak_second, last, opened: 2, flags: Flags::default(), ..FULL }
    }

    /// Minutes from 600 on, merged three a step: peak, its second after the start, last and flags of each step.
    #[track_caller]
    fn check(points: &[Point], steps: &[(u32, u64, u32, u8)]) {
        let end = 600 + points.len() as u32;
        let mut merged = Steps::new(Minute(600)..Minute(end), 3);
        for (minute, point) in (600..).map(Minute).zip(points) {
            merged.add_point(minute, point);
        }
        merged.add_point(Minute(599), &point(99, 0, 0));
        merged.add_point(Minute(end), &point(99, 0, 0));
        let seconds = |step: &StepPoint| step.peak_at.0 - step.start.first_tick().0;
        let merged = merged.finish();
        let found: Vec<_> = merged.iter().map(|step| (step.peak, seconds(step), step.last, step.flags.0)).collect();
        assert_eq!(found, steps);
    }

    #[test]
    fn minutes_are_merged() {
        let partial = Point { flags: Flags::PARTIAL, covered: 30, ..point(2, 9, 1) };
        let settling = Point { flags: Flags::PARTIAL, ..point(2, 9, 1) };
        let late = Point { flags: Flags::LATE, ..point(2, 9, 1) };
        check(&[point(1, 3, 1), point(4, 7, 2), point(4, 5, 0)], &[(4, 67, 0, 0)]);
        check(&[Point::GAP, point(0, 0, 0), Point::GAP], &[(0, 60, 0, 2)]);
        check(&[point(3, 1, 3), point(3, 0, 3), Point::GAP], &[(3, 1, 3, 2)]);
        check(&[Point::GAP; 4], &[(0, 0, 0, 1), (0, 0, 0, 1)]);
        check(&[point(1, 3, 1), partial, point(1, 0, 1)], &[(2, 69, 1, 2)]);
        check(&[point(1, 3, 1), settling, point(1, 0, 1)], &[(2, 69, 1, 2)]);
        check(&[point(1, 3, 1), late, point(1, 0, 1), late], &[(2, 69, 1, 4), (2, 9, 1, 4)]);
        check(&[Point { flags: Flags::GAP.with(Flags::LATE_DROPPED), ..Point::GAP }], &[(0, 0, 0, 9)]);
    }

    #[test]
    fn hours_by_minutes_and_by_summaries_are_the_same() {
        let mut first = KeyHour { points: [point(2, 0, 2); 60], ..KeyHour::gap() };
        first.points[31] = point(7, 12, 3);
        let second = KeyHour { points: [point(1, 5, 1); 60], ..KeyHour::gap() };
        let hours = [(Hour(10), &first), (Hour(12), &second)];
        let by_minutes = steps_of_hours(Hour(10)..Hour(14), 120, hours);
        let summaries = hours.map(|(hour, key_hour)| (hour, key_hour.summary()));
        let by_summaries = steps_of_summaries(Hour(10)..Hour(14), 2, summaries.iter().map(|(hour, s)| (*hour, s)));
        assert_eq!(by_minutes, by_summaries);
        assert_eq!((by_minutes[0].peak_at, by_minutes[0].opened), (Tick(10 * 3_600 + 31 * 60 + 12), 120));
        assert_eq!(by_minutes[1].flags, Flags::PARTIAL);
    }
}
