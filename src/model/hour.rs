//! One hour of one key: what is folded into the store when its minutes are closed, and what is left of it for 13 months.

use prost::Message;

use crate::model::{
    counts::SparseCounts,
    kind::Outcome,
    point::{Flags, Point},
    time::{Hour, MINUTES_PER_HOUR, Tick},
};

/// Minutes in an hour, as the length of an array.
pub const MINUTES: usize = MINUTES_PER_HOUR as usize;

/// One hour of one key, minute by minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHour {
    pub points: [Point; MINUTES],
    /// How many seconds had which peak; each covered second counts once.
    pub levels: SparseCounts,
    /// How many sessions that closed in it had lasted how many milliseconds, by [`bucket`](crate::model::counts::bucket).
    pub durations: SparseCounts,
}

/// What is left of an hour of one key when its minutes are dropped.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct HourSummary {
    /// Highest level.
    #[prost(uint32, tag = "1")]
    pub peak: u32,
    /// Second of the hour in which it was first reached, 0 to 3,599.
    #[prost(uint32, tag = "2")]
    pub peak_second: u32,
    /// Level at the end of the last covered minute.
    #[prost(uint32, tag = "3")]
    pub last: u32,
    #[prost(uint64, tag = "4")]
    pub opened: u64,
    /// By [`Outcome::index`]; empty when none closed.
    #[prost(uint64, repeated, tag = "5")]
    pub closed: Vec<u64>,
    #[prost(uint64, tag = "6")]
    pub refused: u64,
    #[prost(uint64, tag = "7")]
    pub diverted: u64,
    /// Covered seconds, 0 to 3,600.
    #[prost(uint32, tag = "8")]
    pub covered: u32,
    /// Bits of [`Flags`]: `GAP` when nothing is covered, `PARTIAL` when not all is, the others when any minute has them.
    #[prost(uint32, tag = "9")]
    pub flags: u32,
    #[prost(message, required, tag = "10")]
    pub levels: SparseCounts,
    #[prost(message, required, tag = "11")]
    pub durations: SparseCounts,
}

impl KeyHour {
    /// An hour of which nothing is known.
    pub fn gap() -> Self {
        let (levels, durations) = Default::default();
        Self { points: [Point::GAP; MINUTES], levels, durations }
    }

    /// Whether there is nothing in it to keep.
    pub fn is_gap(&self) -> bool {
        self.points.iter().all(|point| *point == Point::GAP) && self.durations.is_empty()
    }

    /// Takes over from an earlier row of the same hour the minutes of which this one knows nothing: those of an import,
    /// or of a service that ran before. A minute that both know stays as it is here.
    pub fn fill_gaps(&mut self, earlier: &Self) {
        let mut filled = false;
        for (point, before) in self.points.iter_mut().zip(&earlier.points) {
            if point.is_gap() && !before.is_gap() {
                *point = *before;
                filled = true;
            }
        }
        if filled {
            self.levels.merge(&earlier.levels);
            self.durations.merge(&earlier.durations);
        }
    }

    pub fn summary(&self) -> HourSummary {
        let mut summary = HourSummary::default();
        let mut closed = [0_u64; Outcome::COUNT];
        let mut any = Flags::default();
        for (minute, point) in (0_u32..).zip(&self.points) {
            if !point.is_gap() {
                if summary.covered == 0 || point.peak > summary.peak {
                    summary.peak = point.peak;
                    summary.peak_second = minute * 60 + u32::from(point.peak_second);
                }
                summary.last = point.last;
            }
            summary.opened += u64::from(point.opened);
            summary.refused += u64::from(point.refused);
            summary.diverted += u64::from(point.diverted);
            summary.covered += u32::from(point.covered);
            closed.iter_mut().zip(point.closed).for_each(|(sum, n)| *sum += u64::from(n));
            any = any.with(point.flags);
        }
        if closed.iter().any(|n| *n > 0) {
            summary.closed = closed.to_vec();
        }
        let gaps = Flags::GAP.with(Flags::PARTIAL).0;
        let mut flags = Flags(any.0 & !gaps);
        if summary.covered == 0 {
            flags = flags.with(Flags::GAP);
        } else if any.0 & gaps != 0 {
            flags = flags.with(Flags::PARTIAL);
        }
        summary.flags = u32::from(flags.0);
        summary.levels = self.levels.clone();
        summary.durations = self.durations.clone();
        summary
    }
}

impl HourSummary {
    /// The second in which the peak was first reached.
    pub const fn peak_at(&self, hour: Hour) -> Tick {
        Tick(hour.first_tick().0 + self.peak_second as u64)
    }

    pub const fn flags(&self) -> Flags {
        Flags(self.flags as u8)
    }
}
