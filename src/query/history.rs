//! Histories: what the store holds of a window, and what is still open, as steps. What nothing is known of is a gap.

use std::ops::Range;

use crate::{
    history::{LimitInForce, StepPoint, Steps},
    model::{
        Flags, Hour, KeyHour, KeyId, Minute, Point,
        time::{HOURS_PER_DAY, MINUTES_PER_HOUR},
    },
    query::{Queries, Result, peaks::Minutes},
    store::StoreError,
};

/// Most steps of a window: a week of minutes.
pub const MOST_STEPS: u32 = 7 * 24 * 60;
/// Widest step, in minutes: a day.
pub const WIDEST_STEP: u32 = HOURS_PER_DAY * MINUTES_PER_HOUR;

/// A range of minutes in steps of one width; start and end are multiples of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    minutes: Range<Minute>,
    width: u32,
}

/// How much of each step is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Peak and flags: read without unpacking the rest.
    Peaks,
    /// All there is.
    All,
}

/// The steps of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Highest level of each step; 0 in a gap.
    pub peaks: Vec<u32>,
    /// Bits of [`Flags`] of each step.
    pub flags: Vec<u8>,
    /// The steps with all there is; empty unless [`Detail::All`] was asked for.
    pub steps: Vec<StepPoint>,
    /// Lowest peak of the covered minutes of each step; empty until [`Queries::add_lowest`] adds it.
    pub lowest: Vec<u32>,
}

/// Why there is no such window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WindowError {
    /// The width in minutes does not divide a day.
    Width,
    /// The end is not after the start.
    Empty,
    /// It has so many steps, which is more than [`MOST_STEPS`].
    TooMany(u32),
}

/// What the store has beside what is in memory: nothing, while it does not answer.
fn beside_memory<T>(read: std::result::Result<Vec<T>, StoreError>) -> std::result::Result<Vec<T>, StoreError> {
    match read {
        Err(StoreError::Unavailable(_) | StoreError::Lost(_)) => Ok(Vec::new()),
        read => read,
    }
}

impl Window {
    /// A window that holds `minutes` in steps of `width` minutes: the start is rounded down to a step, the end up.
    ///
    /// # Errors
    /// When the width does not divide a day, or there is no step or more than [`MOST_STEPS`] before rounding.
    pub fn new(minutes: Range<Minute>, width: u32) -> std::result::Result<Self, WindowError> {
        if width == 0 || !WIDEST_STEP.is_multiple_of(width) {
            return Err(WindowError::Width);
        }
        if minutes.end <= minutes.start {
            return Err(WindowError::Empty);
        }
        let start = minutes.start.0 / width * width;
        let steps = (minutes.end.0 - start).div_ceil(width);
        // A window of as many steps that does not begin with one touches one more.
        if steps > MOST_STEPS + 1 {
            return Err(WindowError::TooMany(steps));
        }
        let end = start.checked_add(steps.saturating_mul(width)).ok_or(WindowError::TooMany(steps))?;
        Ok(Self { minutes: Minute(start)..Minute(end), width })
    }

    /// The minutes of it.
    pub fn minutes(&self) -> Range<Minute> {
        self.minutes.clone()
    }

    /// Minutes a step.
    pub const fn width(&self) -> u32 {
        self.width
    }

    pub const fn steps(&self) -> usize {
        ((self.minutes.end.0 - self.minutes.start.0) / self.width) as usize
    }

    /// Whether its steps are whole hours, so that it is read from what is left of hours when their minutes are dropped.
    pub const fn is_of_hours(&self) -> bool {
        self.width.is_multiple_of(MINUTES_PER_HOUR)
    }

    fn hours(&self) -> Range<Hour> {
        hours_of(&self.minutes)
    }
}

/// The hours that hold these minutes, of which there is one.
fn hours_of(minutes: &Range<Minute>) -> Range<Hour> {
    minutes.start.hour()..Minute(minutes.end.0.saturating_sub(1)).hour().next()
}

impl Queries {
    /// The history of a key. Reads the store.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn history(&self, key: KeyId, window: &Window, detail: Detail) -> Result<History> {
        if detail == Detail::Peaks && window.width == 1 {
            let Minutes { peaks, flags, .. } = self.minute_peaks(key, &window.minutes)?;
            return Ok(History { peaks, flags, ..History::default() });
        }
        let steps = if window.is_of_hours() {
            self.steps_of_hours(key, window)?
        } else if detail == Detail::Peaks {
            let minutes = self.minute_peaks(key, &window.minutes)?;
            let mut steps = Steps::new(window.minutes(), window.width);
            for (minute, (peak, flags)) in (window.minutes.start.0..).zip(minutes.peaks.iter().zip(&minutes.flags)) {
                let flags = Flags(*flags);
                let covered = if flags.has(Flags::GAP) { 0 } else { 60 };
                steps.add_point(Minute(minute), &Point { peak: *peak, covered, flags, ..Point::GAP });
            }
            steps.finish()
        } else {
            self.steps_of_minutes(key, window)?
        };
        let peaks = steps.iter().map(|step| step.peak).collect();
        let flags = steps.iter().map(|step| step.flags.0).collect();
        let steps = if detail == Detail::All { steps } else { Vec::new() };
        Ok(History { peaks, flags, steps, lowest: Vec::new() })
    }

    /// Adds the lowest peak of the covered minutes of each step: 0 in a gap, and the peak where no minute of the step is
    /// kept any longer. Reads the store.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn add_lowest(&self, key: KeyId, window: &Window, history: &mut History) -> Result<()> {
        if window.width == 1 {
            history.lowest.clone_from(&history.peaks);
            return Ok(());
        }
        let mut lowest: Vec<Option<u32>> = vec![None; window.steps()];
        let mut add = |minute: Minute, peak: u32, flags: Flags| {
            let offset = minute.0.checked_sub(window.minutes.start.0).filter(|_| !flags.has(Flags::GAP));
            if let Some(step) = offset.and_then(|offset| lowest.get_mut((offset / window.width) as usize)) {
                *step = Some(step.map_or(peak, |lowest| lowest.min(peak)));
            }
        };
        if window.is_of_hours() {
            let open = self.open_hours(key, window.hours())?;
            let mut kept = self.stored(&window.hours(), |hours| self.service.store.peaks(key, hours))?;
            kept.retain(|kept| open.iter().all(|(open, _)| *open != kept.hour));
            for hour in kept {
                let minutes = hour.peaks.iter().zip(hour.flags);
                (hour.hour.first_minute().0..).zip(minutes).for_each(|(nth, (peak, f))| add(Minute(nth), *peak, f));
            }
            for (hour, key_hour) in &open {
                let points = (hour.first_minute().0..).zip(&key_hour.points);
                points.for_each(|(nth, point)| add(Minute(nth), point.peak, point.flags));
            }
        } else {
            let minutes = self.minute_peaks(key, &window.minutes)?;
            let columns = minutes.peaks.iter().zip(&minutes.flags);
            (window.minutes.start.0..).zip(columns).for_each(|(nth, (peak, f))| add(Minute(nth), *peak, Flags(*f)));
        }
        // It is read after the peaks, and a minute may have risen meanwhile: it is never above them.
        let envelope = lowest.into_iter().zip(&history.peaks);
        history.lowest = envelope.map(|(lowest, peak)| lowest.unwrap_or(*peak).min(*peak)).collect();
        Ok(())
    }

    /// The limit in force at the end of each step.
    pub fn limits_of(&self, key: KeyId, window: &Window) -> Vec<Option<u32>> {
        let limits = self.service.limits.of(key);
        let mut limit = LimitInForce::new(&limits);
        let ends = (window.minutes.start.0..window.minutes.end.0).step_by(window.width as usize);
        ends.map(|start| limit.at(Minute(start + window.width).first_tick().start())).collect()
    }

    /// Peaks and flags of minutes, folded and open ones as one. Reads the store.
    pub(super) fn minute_peaks(&self, key: KeyId, range: &Range<Minute>) -> Result<Minutes> {
        let mut minutes = Minutes::gaps(range);
        let hours = hours_of(range);
        // The open minutes first: an hour that is folded meanwhile is then in the store.
        let (open, open_from) = {
            let mut rollup = self.service.rollup();
            let open_from = rollup.open_from().map_or(hours.start, Minute::hour).clamp(hours.start, hours.end);
            (rollup.points(key, range.clone()), open_from)
        };
        let store = &*self.service.store;
        self.peaks.put(store, key, hours.start..open_from, &mut minutes)?;
        // An import may have come into hours that are still open.
        let imported = beside_memory(store.peaks(key, open_from..hours.end))?;
        imported.iter().for_each(|hour| minutes.put_hour(hour));
        for (minute, point) in open {
            let at = (minute.0 - range.start.0) as usize;
            if !point.is_gap() || Flags(minutes.flags[at]).has(Flags::GAP) {
                (minutes.peaks[at], minutes.flags[at], minutes.raised[at]) = (point.peak, point.flags.0, point.raised);
            }
        }
        Ok(minutes)
    }

    fn steps_of_minutes(&self, key: KeyId, window: &Window) -> Result<Vec<StepPoint>> {
        let open = self.open_hours(key, window.hours())?;
        let mut steps = Steps::new(window.minutes(), window.width);
        let mut hours = self.stored(&window.hours(), |hours| self.service.store.hours(key, hours))?;
        hours.retain(|(hour, _)| open.iter().all(|(open, _)| open != hour));
        hours.iter().chain(&open).for_each(|(hour, key_hour)| steps.add_hour(*hour, key_hour));
        Ok(steps.finish())
    }

    fn steps_of_hours(&self, key: KeyId, window: &Window) -> Result<Vec<StepPoint>> {
        let open = self.open_hours(key, window.hours())?;
        let mut steps = Steps::new(window.minutes(), window.width);
        let mut summaries = self.stored(&window.hours(), |hours| self.service.store.summaries(key, hours))?;
        summaries.retain(|(hour, _)| open.iter().all(|(open, _)| open != hour));
        summaries.extend(open.iter().map(|(hour, key_hour)| (*hour, key_hour.summary())));
        summaries.sort_unstable_by_key(|(hour, _)| *hour);
        summaries.iter().for_each(|(hour, summary)| steps.add_summary(*hour, summary));
        Ok(steps.finish())
    }

    /// The open hours of a key as they would be folded now. Ask before the store: an hour that is folded meanwhile is then
    /// there.
    pub(super) fn open_hours(&self, key: KeyId, hours: Range<Hour>) -> Result<Vec<(Hour, KeyHour)>> {
        let mut open: Vec<(Hour, KeyHour)> = {
            let mut rollup = self.service.rollup();
            let (Some(open_from), Some(next)) = (rollup.open_from(), rollup.next_tick()) else { return Ok(Vec::new()) };
            let from = hours.start.max(open_from.hour());
            let to = hours.end.min(next.hour().next());
            (from.0..to.0).filter_map(|hour| Some((Hour(hour), rollup.hour(key, Hour(hour))?))).collect()
        };
        for (hour, key_hour) in &mut open {
            if let Some((_, earlier)) = beside_memory(self.service.store.hours(key, *hour..hour.next()))?.first() {
                key_hour.fill_gaps(earlier);
            }
        }
        Ok(open)
    }

    /// What the store has of a window. Where all of it is in memory, it is needed for what was imported alone.
    fn stored<T>(
        &self,
        hours: &Range<Hour>,
        read: impl FnOnce(Range<Hour>) -> std::result::Result<Vec<T>, StoreError>,
    ) -> Result<Vec<T>> {
        let open_from = self.service.rollup().open_from().map(Minute::hour);
        let read = read(hours.clone());
        Ok(if open_from.is_some_and(|open_from| open_from <= hours.start) { beside_memory(read) } else { read }?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(minutes: Range<u32>, width: u32, expected: std::result::Result<(u32, usize), WindowError>) {
        let window = Window::new(Minute(minutes.start)..Minute(minutes.end), width);
        assert_eq!(window.map(|window| (window.minutes().start.0, window.steps())), expected);
    }

    #[test]
    fn windows_are_rounded_outwards_and_bounded() {
        check(0..10_080, 1, Ok((0, 10_080)));
        check(7..11, 5, Ok((5, 2)));
        check(59..61, 60, Ok((0, 2)));
        check(5..5, 1, Err(WindowError::Empty));
        check(0..9, 0, Err(WindowError::Width));
        check(0..9, 7, Err(WindowError::Width));
        check(0..9, 2_880, Err(WindowError::Width));
        check(7..50_407, 5, Ok((5, 10_081)));
        check(0..10_082, 1, Err(WindowError::TooMany(10_082)));
        check(0..u32::MAX, 1_440, Err(WindowError::TooMany(2_982_617)));
    }
}
