//! Rolls frames into points, hourly histograms and coverage. Minutes stay open for late events; an hour whose minutes
//! are all closed is folded into the store and forgotten here. A pure function of the frames: rolling the stored ones
//! again after a crash gives the same points.

pub mod minute;
pub mod track;

use std::{ops::Range, time::Duration};

pub use track::Recent;

use crate::{
    model::{Coverage, Entry, Frame, Hour, KeyHour, KeyId, Minute, Point, Tick, time::SECONDS_PER_MINUTE},
    rollup::track::{LateBounds, Steady, Track},
};

/// Keys of one store, more than all bounds allow together: a greater number is a mistake, and must not cost its room.
const MOST_KEYS: u32 = 1 << 25;

/// The minutes of all keys that are not folded yet.
#[derive(Debug)]
pub struct Rollup {
    late_until: Duration,
    /// By number; a key of which nothing was told has none.
    tracks: Vec<Option<Box<Track>>>,
    /// The first second that no frame told of.
    next: Option<Tick>,
    /// The first hour that is not folded.
    open_from: Option<Hour>,
    steady: Steady,
    /// Before this second the service was away or learnt.
    sure_from: Tick,
}

/// A frame on its way into the minutes.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    tick: Tick,
    /// The first second that was not told before.
    told: Tick,
    late: LateBounds,
    steady: Steady,
    /// What comes is not like what was: all keys are brought up to here.
    fills: bool,
    full: bool,
}

impl Rollup {
    /// Begins after the hours that are folded; minutes stay open for `late_until` after their end.
    pub fn new(late_until: Duration, folded_until: Option<Hour>) -> Self {
        Self {
            late_until,
            tracks: Vec::new(),
            next: None,
            open_from: folded_until,
            steady: Steady::default(),
            sure_from: Tick(0),
        }
    }

    /// Takes a frame. Frames come in order; one of a second that was told already changes nothing.
    pub fn apply(&mut self, frame: &Frame) {
        let Some(course) = self.begin(frame) else { return };
        self.fill(&course, 0..self.tracks.len());
        self.take(&course, &frame.entries);
        self.forget(&course, frame, 0..self.tracks.len());
        self.end(&course);
    }

    /// The steps of [`Self::apply`], for who lets others have their turn between them: `begin`, then all keys are filled,
    /// all entries taken, and all keys forgotten, each some at a time, then `end`. Until then nothing is told of the frame's
    /// seconds. `None` when the frame changes nothing.
    pub fn begin(&mut self, frame: &Frame) -> Option<Course> {
        let tick = Tick(frame.tick);
        let next = Tick(frame.tick.saturating_add(frame.repeat).saturating_add(1));
        let folded_until = *self.open_from.get_or_insert(tick.hour());
        let first = folded_until.first_tick();
        if self.next.is_some_and(|told| tick < told) || next <= first {
            return None;
        }
        let told = *self.next.get_or_insert(tick);
        let steady = Steady { settling: frame.settling, jumped: frame.jumped };
        let fills = told < tick || steady != self.steady || frame.full;
        let oldest = Tick(tick.0.saturating_sub(self.late_until.as_secs() + SECONDS_PER_MINUTE)).max(first);
        if steady.settling || told < tick {
            self.sure_from = if steady.settling { next } else { tick };
        }
        let late = LateBounds { oldest, next, sure_from: self.sure_from };
        Some(Course { tick, told, late, steady, fills, full: frame.full })
    }

    /// Brings keys up to the frame, where what comes is not like what was.
    pub fn fill(&mut self, course: &Course, keys: Range<usize>) {
        if !course.fills {
            return;
        }
        let steady = self.steady;
        for track in self.some(keys) {
            track.fill(course.told, steady);
            if course.told < course.tick {
                track.skip(course.tick);
            }
        }
    }

    /// Takes entries of the frame.
    pub fn take(&mut self, course: &Course, entries: &[Entry]) {
        for entry in entries.iter().filter(|entry| entry.key < MOST_KEYS) {
            let at = entry.key as usize;
            if at >= self.tracks.len() {
                self.tracks.resize_with(at + 1, || None);
            }
            let track = self.tracks[at].get_or_insert_with(|| Box::new(Track::new(course.tick)));
            track.fill(course.tick, course.steady);
            track.apply(entry, course.tick, course.steady, course.late);
        }
    }

    /// Forgets keys that a full frame does not name.
    pub fn forget(&mut self, course: &Course, frame: &Frame, keys: Range<usize>) {
        if !course.full {
            return;
        }
        let first = keys.start as u32;
        let mut named = frame.entries.partition_point(|entry| entry.key < first);
        for (key, track) in (first..).zip(&mut self.tracks[keys]) {
            if frame.entries.get(named).is_some_and(|entry| entry.key == key) {
                named += 1;
            } else if let Some(track) = track {
                track.forget();
            }
        }
    }

    /// The frame was taken: its seconds are told.
    pub fn end(&mut self, course: &Course) {
        self.steady = course.steady;
        self.next = Some(course.late.next);
    }

    /// One more than the greatest key of which anything was told.
    pub fn key_range(&self) -> usize {
        self.tracks.len()
    }

    fn some(&mut self, keys: Range<usize>) -> impl Iterator<Item = &mut Track> {
        let end = keys.end.min(self.tracks.len());
        self.tracks[keys.start.min(end)..end].iter_mut().flatten().map(|track| &mut **track)
    }

    fn track(&self, key: KeyId) -> Option<&Track> {
        self.tracks.get(key.0 as usize)?.as_deref()
    }

    /// Fills the seconds of a key that the frames since its last entry told of by leaving it out.
    fn filled(&mut self, key: KeyId) -> Option<&Track> {
        let (next, steady) = (self.next?, self.steady);
        let track = self.tracks.get_mut(key.0 as usize)?.as_deref_mut()?;
        track.fill(next, steady);
        Some(track)
    }

    /// The first second that no frame told of.
    pub const fn next_tick(&self) -> Option<Tick> {
        self.next
    }

    /// The first minute that is not folded; before it, the store is asked. `None` when nothing was told.
    pub fn open_from(&self) -> Option<Minute> {
        self.open_from.map(Hour::first_minute)
    }

    /// The level that the last frame left a key at.
    pub fn level(&self, key: KeyId) -> u32 {
        self.track(key).map_or(0, |track| track.level)
    }

    /// Sessions of a key that were opened and have not ended, by the sums of all frames: its level, and those of before
    /// a restart that were never accounted for.
    pub fn left_open(&self, key: KeyId) -> i64 {
        self.track(key).map_or(0, Track::left_open)
    }

    /// Whether the sums left any session open.
    pub fn any_left_open(&self) -> bool {
        self.tracks.iter().flatten().any(|track| track.left_open() != 0)
    }

    /// Whether the level of a key was known in the last frame.
    pub fn coverage(&self, key: KeyId) -> Coverage {
        self.track(key).map_or(Coverage::None, |track| track.coverage)
    }

    /// The points of a key in a range of minutes that are not folded; minutes of which nothing is known are left out.
    pub fn points(&mut self, key: KeyId, minutes: Range<Minute>) -> Vec<(Minute, Point)> {
        let Some(next) = self.next else { return Vec::new() };
        self.filled(key).map(|track| track.points(minutes, next).collect()).unwrap_or_default()
    }

    /// What is known of a key since second `from`, as far as that is not folded.
    pub fn recent(&mut self, key: KeyId, from: Tick) -> Recent {
        let Some(next) = self.next else { return Recent::default() };
        self.filled(key).map(|track| track.recent(from, next)).unwrap_or_default()
    }

    /// An hour of a key that is not folded, as it stands; `None` when nothing is known of it.
    pub fn hour(&mut self, key: KeyId, hour: Hour) -> Option<KeyHour> {
        let next = self.next?;
        self.filled(key)?.hour(hour, next)
    }

    /// The oldest open hour, when all its minutes are closed.
    pub fn foldable(&self) -> Option<Hour> {
        let (hour, next) = (self.open_from?, self.next?);
        let closed = hour.next().first_tick().0 + self.late_until.as_secs() + SECONDS_PER_MINUTE;
        (next.0 >= closed).then_some(hour)
    }

    /// The oldest open hour, closed or not; `None` when nothing was told.
    pub fn oldest_hour(&self) -> Option<Hour> {
        self.open_from.filter(|hour| self.next.is_some_and(|next| next > hour.first_tick()))
    }

    /// The keys of which anything was told since the last start.
    pub fn keys(&self) -> Vec<KeyId> {
        self.keys_in(0..self.tracks.len())
    }

    /// The same of a range of numbers.
    pub fn keys_in(&self, keys: Range<usize>) -> Vec<KeyId> {
        let first = keys.start as u32;
        let there = (first..).zip(&self.tracks[keys]).filter(|(_, track)| track.is_some());
        there.map(|(key, _)| KeyId(key)).collect()
    }

    /// Forgets keys of which nothing is to be kept.
    pub fn retain(&mut self, keeps: impl Fn(KeyId) -> bool) {
        for (key, track) in (0..).map(KeyId).zip(&mut self.tracks) {
            if track.is_some() && !keeps(key) {
                *track = None;
            }
        }
    }

    /// What is to be folded of an hour.
    pub fn rows(&mut self, hour: Hour) -> Vec<(KeyId, KeyHour)> {
        let keys = self.keys();
        keys.into_iter().filter_map(|key| Some((key, self.hour(key, hour)?))).collect()
    }

    /// An hour is in the store: it is forgotten here.
    pub fn folded(&mut self, hour: Hour) {
        self.open_from = Some(hour.next());
        self.some(0..usize::MAX).for_each(|track| track.forget_before(hour.next()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Entry, Flags, LateSpan};

    fn entry(level: u32, peak: u32) -> Entry {
        Entry { key: 1, level, peak, ..Entry::default() }
    }

    fn frame(tick: u64, entries: Vec<Entry>) -> Frame {
        Frame { tick, full: tick.is_multiple_of(60), entries, ..Frame::default() }
    }

    const KEY: KeyId = KeyId(1);

    fn rolled(frames: &[Frame]) -> Rollup {
        let mut rollup = Rollup::new(Duration::from_secs(900), None);
        frames.iter().for_each(|frame| rollup.apply(frame));
        rollup
    }

    #[test]
    fn seconds_without_an_entry_stay_as_they_were() {
        let mut rollup = rolled(&[frame(60, vec![entry(2, 3)]), Frame { repeat: 58, ..frame(61, vec![]) }]);
        let points = rollup.points(KEY, Minute(0)..Minute(9));
        assert_eq!(points.len(), 1);
        let point = points[0].1;
        assert_eq!((point.peak, point.peak_second, point.last, point.covered), (3, 0, 2, 60));
    }

    #[test]
    fn a_service_that_was_down_leaves_a_gap_and_late_events_fill_it() {
        let late = vec![LateSpan { from: 70, to: 95, by: 1 }];
        let mut rollup = rolled(&[
            frame(60, vec![entry(2, 2)]),
            Frame { full: true, ..frame(100, vec![Entry { late, ..entry(2, 2) }]) },
        ]);
        let point = rollup.points(KEY, Minute(1)..Minute(2))[0].1;
        assert_eq!((point.peak, point.covered), (2, 1 + 25 + 1));
        assert!(point.flags.has(Flags::PARTIAL) && point.flags.has(Flags::LATE));
    }

    #[test]
    fn what_late_events_raised_is_an_upper_bound_and_not_sure() {
        let late = vec![LateSpan { from: 70, to: 71, by: 1 }; 9];
        let long = vec![LateSpan { from: 75, to: 85, by: 1 }; 3];
        let steady = Frame { repeat: 38, ..frame(61, vec![]) };
        let told = Entry { late: [late, long].concat(), ..entry(2, 2) };
        // Told by a worker that was cut off: what lived for whole seconds is sure, what came and went within one is not.
        let mut rollup = rolled(&[frame(60, vec![entry(2, 2)]), steady.clone(), frame(100, vec![told.clone()])]);
        let point = rollup.points(KEY, Minute(1)..Minute(2))[0].1;
        assert_eq!((point.peak, point.sure_peak()), (11, 5));
        let recent = rollup.recent(KEY, Tick(60));
        assert_eq!((recent.peak, recent.sure), (Some((11, Tick(70))), 5));
        assert!(recent.flags.has(Flags::LATE));
        // Told again after a restart: it may be in the history already.
        let learning = Frame { settling: true, ..frame(100, vec![told]) };
        let mut rollup = rolled(&[frame(60, vec![entry(2, 2)]), steady, learning]);
        let point = rollup.points(KEY, Minute(1)..Minute(2))[0].1;
        assert_eq!((point.peak, point.sure_peak()), (11, 2));
    }

    #[test]
    fn the_last_seconds_are_told_exactly() {
        let mut rollup = rolled(&[
            frame(60, vec![entry(2, 3)]),
            Frame { repeat: 9, ..frame(61, vec![]) },
            Frame { repeat: 4, full: true, ..frame(100, vec![entry(4, 4)]) },
        ]);
        let recent = rollup.recent(KEY, Tick(60));
        assert_eq!((recent.peak, recent.first, recent.known), (Some((4, Tick(100))), Some(Tick(60)), 11 + 5));
        let recent = rollup.recent(KEY, Tick(103));
        assert_eq!((recent.peak, recent.first, recent.known), (Some((4, Tick(103))), Some(Tick(103)), 2));
        assert_eq!(rollup.recent(KeyId(9), Tick(0)), Recent::default());
    }

    #[test]
    fn rolling_the_frames_again_gives_the_same_hours() {
        let frames: Vec<_> = (0..9_000)
            .map(|tick| frame(tick, vec![entry((tick / 7 % 5) as u32, (tick / 7 % 5 + tick % 2) as u32)]))
            .collect();
        let (mut once, mut again) = (rolled(&frames), rolled(&frames));
        assert_eq!(once.foldable(), Some(Hour(0)));
        assert_eq!(once.rows(Hour(0)), again.rows(Hour(0)));
        once.folded(Hour(0));
        assert_eq!(once.points(KEY, Minute(0)..Minute(60)), []);
        assert_eq!(once.hour(KEY, Hour(1)), again.hour(KEY, Hour(1)));
        assert_eq!(again.hour(KEY, Hour(0)).map(|hour| hour.levels.total()), Some(3_600));
    }
}
