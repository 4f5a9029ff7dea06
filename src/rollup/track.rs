//! What is known of one key since the last fold: its open minutes, filled up to a second, and how it goes on from there.

use std::{collections::BTreeMap, ops::Range};

use crate::{
    model::{Coverage, Entry, Flags, Hour, KeyHour, LateSpan, Minute, Outcome, Point, Tick, time::SECONDS_PER_MINUTE},
    rollup::minute::{KeyMinute, Known},
};

/// How seconds without an entry go on: as the frame said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steady {
    pub settling: bool,
    pub jumped: bool,
}

/// The seconds that late spans may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LateBounds {
    /// The first.
    pub oldest: Tick,
    /// The first after the last.
    pub next: Tick,
    /// Before this second the service was away or learnt: what workers tell again of it may be in it already.
    pub sure_from: Tick,
}

/// What is known of a range of seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recent {
    /// Highest level, and the second in which it was first reached; `None` when nothing is known.
    pub peak: Option<(u32, Tick)>,
    /// Highest level that was surely reached: what late events may have raised is left out.
    pub sure: u32,
    /// Those of the minute that the peak is of.
    pub flags: Flags,
    /// The first second of which anything is known.
    pub first: Option<Tick>,
    /// How many seconds anything is known of.
    pub known: u64,
}

/// What changes from a second on, to be added up.
type Edges = BTreeMap<Tick, i64>;

/// One key's open minutes.
#[derive(Debug)]
pub struct Track {
    pub level: u32,
    pub coverage: Coverage,
    /// Sessions that the sums left open, less the level.
    unaccounted: i64,
    /// Seconds before this one are in the minutes.
    filled: Tick,
    minutes: BTreeMap<Minute, KeyMinute>,
}

impl Track {
    /// A key that was first told of in second `from`.
    pub fn new(from: Tick) -> Self {
        Self { level: 0, coverage: Coverage::None, unaccounted: 0, filled: from, minutes: BTreeMap::new() }
    }

    /// Sessions that were opened and have not ended, by the sums of all frames.
    pub fn left_open(&self) -> i64 {
        i64::from(self.level) + self.unaccounted
    }

    /// Fills the seconds before `to` with the level as it was left.
    pub fn fill(&mut self, to: Tick, steady: Steady) {
        let (level, coverage) = (self.level, self.coverage);
        self.set(to, level, level, coverage, steady);
    }

    /// The seconds from where it is filled up to `to` had this peak.
    fn set(&mut self, to: Tick, peak: u32, last: u32, coverage: Coverage, steady: Steady) {
        let from = self.filled;
        self.filled = to.max(from);
        if coverage == Coverage::None && peak == 0 {
            return;
        }
        let known = Known { partial: steady.settling || coverage != Coverage::Full, jumped: steady.jumped };
        for (minute, seconds) in minutes_of(from, to) {
            self.minutes.entry(minute).or_default().set(seconds.start, seconds.end, peak, last, known);
        }
    }

    /// The seconds up to `next` are not known: the service was down.
    pub fn skip(&mut self, next: Tick) {
        self.filled = next.max(self.filled);
        self.forget();
    }

    /// Nothing is known of it from here on.
    pub fn forget(&mut self) {
        self.level = 0;
        self.unaccounted = 0;
        self.coverage = Coverage::None;
    }

    /// Takes what a frame tells of second `tick`; late spans change seconds within bounds alone.
    pub fn apply(&mut self, entry: &Entry, tick: Tick, steady: Steady, late: LateBounds) {
        let coverage = entry.coverage();
        self.set(tick.next(), entry.peak.max(entry.level), entry.level, coverage, steady);
        self.level = entry.level;
        self.unaccounted = entry.unaccounted;
        self.coverage = coverage;
        self.add_sums(entry, tick);
        if !entry.late.is_empty() {
            self.fill(late.next, steady);
            self.shift(&entry.late, late);
        }
    }

    fn add_sums(&mut self, entry: &Entry, tick: Tick) {
        let any = entry.opened | entry.ok | entry.refused | entry.diverted | entry.late_dropped;
        if any == 0 && entry.closed.is_empty() && entry.durations.is_empty() {
            return;
        }
        let sums = self.minutes.entry(tick.minute()).or_default().sums();
        sums.opened += entry.opened;
        sums.refused += entry.refused;
        sums.diverted += entry.diverted;
        sums.late_dropped += entry.late_dropped;
        sums.closed[Outcome::Ok.index()] += entry.ok;
        sums.closed.iter_mut().zip(&entry.closed).for_each(|(sum, n)| *sum += n);
        entry.lasted().for_each(|(duration, sessions)| sums.durations.add(duration, sessions.into()));
    }

    /// Applies late spans: where they overlap, their sum. A session was live all through the seconds between its first and
    /// its last, so that there the sum is the level; in these two, and in what may be told twice, it is an upper bound.
    fn shift(&mut self, spans: &[LateSpan], late: LateBounds) {
        let (mut shifts, mut doubts) = (Edges::new(), Edges::new());
        let add = |edges: &mut Edges, from: Tick, to: Tick, by: i32| {
            let (from, to) = (from.max(late.oldest), to.min(late.next));
            if from < to {
                *edges.entry(from).or_default() += i64::from(by);
                *edges.entry(to).or_default() -= i64::from(by);
            }
        };
        for span in spans {
            let (from, to) = (Tick(span.from), Tick(span.to));
            add(&mut shifts, from, to, span.by);
            if span.by > 0 && from < to {
                let whole_from = from.next().max(late.sure_from).min(to);
                let whole_to = Tick(to.0 - 1).max(whole_from);
                add(&mut doubts, from, whole_from, span.by);
                add(&mut doubts, whole_to, to, span.by);
            }
        }
        self.each_minute(shifts, |minute, seconds, by| minute.shift(seconds.start, seconds.end, by));
        self.each_minute(doubts, |minute, seconds, by| {
            minute.doubt(seconds.start, seconds.end, u32::try_from(by).unwrap_or(0));
        });
    }

    /// Does something in each stretch of seconds, minute by minute, between edges whose sum is not 0.
    fn each_minute(&mut self, edges: Edges, mut act: impl FnMut(&mut KeyMinute, Range<u32>, i64)) {
        let mut by = 0;
        let mut from = Tick(0);
        for (tick, change) in edges {
            if by != 0 {
                for (minute, seconds) in minutes_of(from, tick) {
                    act(self.minutes.entry(minute).or_default(), seconds, by);
                }
            }
            by += change;
            from = tick;
        }
    }

    /// The points of a range of minutes up to `next`, the first second that no frame told of.
    pub fn points(&self, minutes: Range<Minute>, next: Tick) -> impl Iterator<Item = (Minute, Point)> + '_ {
        self.minutes.range(minutes).map(move |(minute, known)| {
            let elapsed = next.0.saturating_sub(minute.first_tick().0).min(SECONDS_PER_MINUTE);
            (*minute, known.point(elapsed as u32))
        })
    }

    /// What is known of the seconds `from..to`.
    pub fn recent(&self, from: Tick, to: Tick) -> Recent {
        let mut recent = Recent::default();
        for (minute, seconds) in minutes_of(from, to) {
            let Some(known) = self.minutes.get(&minute) else { continue };
            let elapsed = to.0.saturating_sub(minute.first_tick().0).min(SECONDS_PER_MINUTE);
            let flags = known.flags(elapsed as u32);
            known.each_peak(seconds.start, seconds.end, |second, peak, sure| {
                recent.sure = recent.sure.max(sure);
                let tick = Tick(minute.first_tick().0 + u64::from(second));
                recent.known += 1;
                recent.first.get_or_insert(tick);
                if recent.peak.is_none_or(|(highest, _)| peak > highest) {
                    recent.peak = Some((peak, tick));
                    recent.flags = flags;
                }
            });
        }
        recent
    }

    /// An hour as it stands; `None` when nothing is known of it.
    pub fn hour(&self, hour: Hour, next: Tick) -> Option<KeyHour> {
        let range = hour.first_minute()..hour.next().first_minute();
        let mut known = KeyHour::gap();
        for (minute, point) in self.points(range.clone(), next) {
            known.points[minute.of_hour()] = point;
        }
        for minute in self.minutes.range(range).map(|(_, minute)| minute) {
            minute.count_into(&mut known.levels, &mut known.durations);
        }
        (!known.is_gap()).then_some(known)
    }

    /// Forgets the minutes before an hour.
    pub fn forget_before(&mut self, hour: Hour) {
        self.minutes = self.minutes.split_off(&hour.first_minute());
    }
}

/// The minutes that the seconds `from..to` lie in, each with its seconds.
fn minutes_of(from: Tick, to: Tick) -> impl Iterator<Item = (Minute, Range<u32>)> {
    let last = to.0.saturating_sub(1);
    let minutes = if from < to { from.minute().0..Tick(last).minute().0 + 1 } else { 0..0 };
    minutes.map(move |minute| {
        let first = Minute(minute).first_tick().0;
        let start = from.0.saturating_sub(first);
        let end = (to.0 - first).min(SECONDS_PER_MINUTE);
        (Minute(minute), start as u32..end as u32)
    })
}
