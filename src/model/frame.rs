//! The frame: what was seen in one second. It is the only thing that leaves the live state, and what is made durable
//! each second; rolling the stored frames again gives the same points.

use prost::{Enumeration, Message};

/// Whether the level of a key is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum Coverage {
    /// Its workers are connected, or left with a goodbye.
    Full = 0,
    /// Some are silent or cut off, or the service is settling: the level is a bound.
    Partial = 1,
    /// All were lost: the level is not known, which is not zero.
    None = 2,
}

/// What was seen in one second, or in that one and the `repeat` after it.
#[derive(Clone, PartialEq, Message)]
pub struct Frame {
    /// The second, since the Unix epoch.
    #[prost(uint64, tag = "1")]
    pub tick: u64,
    /// Seconds after `tick` in which nothing happened: every level stayed as it was at the end of `tick`.
    #[prost(uint64, tag = "2")]
    pub repeat: u64,
    /// True when there is an entry for every key of which anything is known; of the others nothing is. In a frame that is
    /// not full, keys without an entry are as they were.
    #[prost(bool, tag = "3")]
    pub full: bool,
    /// The service is settling after a restart: nothing of this second is covered in full.
    #[prost(bool, tag = "4")]
    pub settling: bool,
    /// The clock jumped over these seconds, or the service was paused.
    #[prost(bool, tag = "5")]
    pub jumped: bool,
    /// What changed, in the order of keys.
    #[prost(message, repeated, tag = "6")]
    pub entries: Vec<Entry>,
}

/// What was seen of one key.
#[derive(Clone, PartialEq, Message)]
pub struct Entry {
    /// The key's number.
    #[prost(uint32, tag = "1")]
    pub key: u32,
    /// Highest level in the second, the one at its start included.
    #[prost(uint32, tag = "2")]
    pub peak: u32,
    /// Level at its end.
    #[prost(uint32, tag = "3")]
    pub level: u32,
    /// Sessions opened.
    #[prost(uint32, tag = "4")]
    pub opened: u32,
    /// Sessions closed, by [`Outcome::index`](crate::model::Outcome::index), beside those of `ok`; what is left out at the
    /// end is 0.
    #[prost(uint32, repeated, tag = "5")]
    pub closed: Vec<u32>,
    /// Attempts refused.
    #[prost(uint32, tag = "6")]
    pub refused: u32,
    /// Attempts diverted.
    #[prost(uint32, tag = "7")]
    pub diverted: u32,
    /// Whether the level is known.
    #[prost(enumeration = "Coverage", tag = "8")]
    pub coverage: i32,
    /// How long the sessions that closed had lasted, in milliseconds by [`bucket`](crate::model::counts::bucket).
    #[prost(uint64, repeated, tag = "9")]
    pub durations: Vec<u64>,
    /// What late events say of earlier seconds.
    #[prost(message, repeated, tag = "10")]
    pub late: Vec<LateSpan>,
    /// Events too late for history.
    #[prost(uint32, tag = "11")]
    pub late_dropped: u32,
    /// Sessions that were opened and have not ended, by the sums of all time, less the level: those of before a restart
    /// that no worker has accounted for. Also events between the end of the second and the reading of the sums.
    #[prost(sint64, tag = "12")]
    pub unaccounted: i64,
    /// Sessions that ended as intended, which most do. Frames of earlier versions have them in `closed`.
    #[prost(uint32, tag = "13")]
    pub ok: u32,
    /// How many sessions lasted each of `durations`; empty when one session lasted each.
    #[prost(uint32, repeated, tag = "14")]
    pub duration_counts: Vec<u32>,
}

impl Entry {
    /// How long the sessions that closed had lasted, and how many lasted so long.
    pub fn lasted(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        let counts = self.duration_counts.iter().copied().chain(std::iter::repeat(1));
        self.durations.iter().copied().zip(counts)
    }
}

/// Seconds whose peaks a late event raises or lowers.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct LateSpan {
    /// First second.
    #[prost(uint64, tag = "1")]
    pub from: u64,
    /// Second after the last.
    #[prost(uint64, tag = "2")]
    pub to: u64,
    /// 1 or -1.
    #[prost(sint32, tag = "3")]
    pub by: i32,
}
