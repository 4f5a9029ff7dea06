//! The point: one minute of one key.

use crate::model::kind::Outcome;

/// One minute of one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Point {
    /// Highest level.
    pub peak: u32,
    /// Second of the minute in which it was first reached, 0 to 59.
    pub peak_second: u8,
    /// Level at the end.
    pub last: u32,
    pub opened: u32,
    /// Sessions closed, by [`Outcome::index`].
    pub closed: [u32; Outcome::COUNT],
    pub refused: u32,
    pub diverted: u32,
    /// Seconds in which the level was known, in full or in part, 0 to 60.
    pub covered: u8,
    /// By how much late events may have raised the peak above what was surely held, 0 to the peak; 0 where they did not.
    pub raised: u32,
    pub flags: Flags,
}

/// How a peak is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bound {
    #[default]
    Exact,
    /// Part of what it is the highest of is not known.
    AtLeast,
    /// Late events raised it: sessions are added up that may not have been live at the same time.
    AtMost,
    /// Both: neither exact nor a bound.
    About,
}

/// What is to be known of a point beside its figures. The bits are those of the contract.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Bound {
    /// What stands before a level that is to be read so.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Exact => "",
            Self::AtLeast => "≥",
            Self::AtMost => "≤",
            Self::About => "≈",
        }
    }
}

impl Flags {
    /// Nothing of it is covered: there is no level, which is not 0.
    pub const GAP: Self = Self(1);
    /// Partly covered, or settling: the peak is a lower bound.
    pub const PARTIAL: Self = Self(2);
    /// Late events changed it: the peak is an upper bound.
    pub const LATE: Self = Self(4);
    /// Events that were too late for history were dropped in it.
    pub const LATE_DROPPED: Self = Self(8);
    /// The clock jumped in it.
    pub const JUMPED: Self = Self(16);

    pub const fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    /// How a peak with these flags is to be read.
    pub const fn bound(self) -> Bound {
        match (self.has(Self::PARTIAL), self.has(Self::LATE)) {
            (false, false) => Bound::Exact,
            (true, false) => Bound::AtLeast,
            (false, true) => Bound::AtMost,
            (true, true) => Bound::About,
        }
    }

    /// Those of a peak that is to be read so.
    pub const fn of(bound: Bound) -> Self {
        match bound {
            Bound::Exact => Self(0),
            Bound::AtLeast => Self::PARTIAL,
            Bound::AtMost => Self::LATE,
            Bound::About => Self::PARTIAL.with(Self::LATE),
        }
    }

    #[must_use]
    pub const fn with(self, flag: Self) -> Self {
        Self(self.0 | flag.0)
    }
}

impl Point {
    /// A minute of which nothing is known.
    pub const GAP: Self = Self {
        peak: 0,
        peak_second: 0,
        last: 0,
        opened: 0,
        closed: [0; Outcome::COUNT],
        refused: 0,
        diverted: 0,
        covered: 0,
        raised: 0,
        flags: Flags::GAP,
    };

    /// The level that was surely reached: what is near a limit or at it is decided by this, never by an upper bound alone.
    pub const fn sure_peak(&self) -> u32 {
        self.peak.saturating_sub(self.raised)
    }

    pub const fn is_gap(&self) -> bool {
        self.flags.has(Flags::GAP)
    }
}
