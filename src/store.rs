//! What is kept, and the trait that every store fulfils: keys, the frames of seconds that are not yet folded, folded
//! hours, limits, documents with the audit log, and the workers that were attached. Calls block; the service makes them
//! from threads of its own.

pub mod content;
pub mod embedded;
pub mod keeping;
pub mod migrate;
pub mod redis;
pub mod rows;

use std::{fmt, ops::Range, sync::Arc};

pub use embedded::EmbeddedStore;
pub use keeping::{Keeping, Promise};
pub use redis::RedisStore;

use crate::{
    config::{RedisOptions, Retention, StorePlace},
    model::{Flags, Frame, Hour, HourSummary, Incarnation, Key, KeyHour, KeyId, LimitEntry, Project, hour::MINUTES},
};

/// A worker that is attached: what a restart must wait for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KnownWorker {
    pub project: Project,
    pub incarnation: Incarnation,
}

/// What one second leaves behind. It is written in one durable step.
#[derive(Clone, Debug, Default)]
pub struct Second {
    /// Keys that were seen first.
    pub new_keys: Vec<(KeyId, Key)>,
    pub frames: Vec<Frame>,
    /// Workers that attached.
    pub attached: Vec<KnownWorker>,
    /// Workers that left or were lost.
    pub gone: Vec<KnownWorker>,
}

/// What a document is: each kind has a shelf of its own. The numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Shelf {
    /// API keys, by their id.
    ApiKeys = 1,
    /// Projects that somebody made, by their name.
    Projects = 2,
    /// Increase requests, by their id.
    Requests = 3,
    /// Rules of alerts that somebody set, by project and name.
    AlertRules = 4,
    /// Who is told of alerts, by project and name.
    Recipients = 5,
    /// Alerts that are not inactive, by their subject.
    Alerts = 6,
    /// Alerts that are over, by their subject and the second in which they began.
    PastAlerts = 7,
    /// What is to be told, and what was, by its id.
    Outbox = 8,
    /// Whether limits are enforced, by project, kind and model.
    Enforcement = 9,
    /// Limits of starts a minute, by the number of their key.
    Starts = 10,
    /// How many slots of an enforced key may be held, by its number: a restart reckons with them.
    Ceilings = 11,
    /// Chains of models, by project and name.
    Chains = 12,
    /// What is said by hand of the models of chains, by project, chain and model.
    ByHand = 13,
    /// When the new sessions of chains went elsewhere, by project and chain.
    Turns = 14,
}

impl Shelf {
    pub const ALL: [Self; 14] = [
        Self::ApiKeys,
        Self::Projects,
        Self::Requests,
        Self::AlertRules,
        Self::Recipients,
        Self::Alerts,
        Self::PastAlerts,
        Self::Outbox,
        Self::Enforcement,
        Self::Starts,
        Self::Ceilings,
        Self::Chains,
        Self::ByHand,
        Self::Turns,
    ];
}

/// A small thing that is kept by its name, in bytes of its owner's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub shelf: Shelf,
    pub name: String,
    /// `None` removes it.
    pub bytes: Option<Vec<u8>>,
}

/// Decisions of people, and the rows of the audit log that tell of them. It is written in one durable step.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Keys that are new with the limits.
    pub new_keys: Vec<(KeyId, Key)>,
    /// Decisions on limits, for each key the oldest first.
    pub limits: Vec<(KeyId, LimitEntry)>,
    pub documents: Vec<Document>,
    /// Number of the first row of `audit`. It must be the one after the last row that is stored (0 in a new store): each row
    /// holds the hash of the one before it, so two writers must not add to the same end.
    pub audit_from: u64,
    pub audit: Vec<Vec<u8>>,
    /// Whether the log must end at `audit_from` also where no row is added: what is written was made of the decisions up to
    /// there.
    pub only_at_end: bool,
}

/// The peaks of one hour alone: what a chart reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HourPeaks {
    pub hour: Hour,
    pub peaks: [u32; MINUTES],
    pub flags: [Flags; MINUTES],
    /// By how much late events may have raised each peak.
    pub raised: [u32; MINUTES],
}

/// What a full check read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    pub keys: u64,
    pub frames: u64,
    pub hours: u64,
    pub summaries: u64,
    pub limits: u64,
    pub documents: u64,
    pub audit: u64,
    /// What is wrong, in words; empty when all is well.
    pub problems: Vec<String>,
}

/// What retention removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    pub hours: u64,
    pub summaries: u64,
}

/// What was kept of a project, and is no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    pub keys: u64,
    pub hours: u64,
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store can't be reached, read or written: full, read-only, in use, an I/O error.
    #[error("store: {0}")]
    Unavailable(String),
    /// What was read is not what was written.
    #[error("store is damaged: {0}; `highwater check` says more, `highwater restore` brings a backup back")]
    Damaged(String),
    /// What was durable is there no more, or is as it was earlier: a Redis that was restarted empty, or whose replica took
    /// over. Nothing was written; [`Store::restore_lost`] writes again what is still known.
    #[error("store has lost what it held: {0}")]
    Lost(String),
    /// Another writer was there first: nothing was written.
    #[error("store: {0}; read it again, then try again")]
    Conflict(String),
    /// It was written by a version that this one does not know.
    #[error("store has format {found}, this version reads up to {known}: use a newer highwater")]
    Format { found: u64, known: u64 },
}

impl StoreError {
    /// Whether it is in a Redis that can't be reached now.
    pub fn is_away(&self) -> bool {
        let is_said = |words: &str| UNREACHED.iter().any(|said| words.contains(said));
        matches!(self, Self::Unavailable(words) if words.contains("redis") && is_said(words))
    }

    /// Whether another process has the store: it is well, and is to be had when that ends.
    pub fn is_in_use(&self) -> bool {
        matches!(self, Self::Unavailable(words) if words.contains("in use by another highwater"))
    }
}

/// What is said of a server that can't be reached.
const UNREACHED: [&str; 5] = ["refused", "did not answer", "timed out", "No connections found", "failed to lookup"];

pub type Result<T> = std::result::Result<T, StoreError>;

/// Opens the store of a place, for writing.
///
/// # Errors
/// `Unavailable` when it can't be reached or is in use, `Damaged` when it is none, `Format` when a newer version wrote it.
pub fn open(place: &StorePlace, options: &RedisOptions, retention: &Retention) -> Result<Arc<dyn Store>> {
    Ok(match place {
        StorePlace::File(path) => Arc::new(EmbeddedStore::open(path)?),
        StorePlace::Redis(address) => Arc::new(RedisStore::open(address, options, retention)?),
    })
}

/// Opens the store of a place for reading alone, also while a service writes it.
///
/// # Errors
/// As [`open`], and `Unavailable` when there is none.
pub fn open_read_only(place: &StorePlace, options: &RedisOptions) -> Result<Arc<dyn Store>> {
    Ok(match place {
        StorePlace::File(path) => Arc::new(EmbeddedStore::open_read_only(path)?),
        StorePlace::Redis(address) => Arc::new(RedisStore::open_read_only(address, options)?),
    })
}

/// A durable store. A write that returns is as durable as [`Store::keeping`] says. Hours are written in one step where the
/// store can; where it can't, a step that was cut off is to be repeated, and then is as if it had been whole.
pub trait Store: Send + Sync + fmt::Debug {
    /// All keys with their numbers.
    fn keys(&self) -> Result<Vec<(KeyId, Key)>>;

    /// Writes one second: keys, frames and workers in one step. Writing a frame of the same second again replaces it.
    fn commit(&self, second: &Second) -> Result<()>;

    /// The frames that are not folded yet, by second.
    fn frames(&self) -> Result<Vec<Frame>>;

    /// Writes folded hours and their summaries, and drops the frames before the end of `hour`, in one step.
    /// Writing the same hour of a key again replaces it.
    fn fold(&self, hour: Hour, rows: &[(KeyId, KeyHour)]) -> Result<()>;

    /// The hour after the last folded one; `None` when none was.
    fn folded_until(&self) -> Result<Option<Hour>>;

    /// Writes hours and summaries of keys beside what is there (an import), replacing what has the same key and hour,
    /// in one step. Frames and `folded_until` stay.
    fn put_hours(&self, keys: &[(KeyId, Key)], rows: &[(KeyId, Hour, KeyHour)]) -> Result<()>;

    /// Removes the hours and summaries of a project's keys in a window, in one step; returns how many hours.
    fn remove_hours(&self, project: &Project, hours: Range<Hour>) -> Result<u64>;

    /// The first folded hour of a project in a window that is not a gap, if there is one.
    fn first_hour(&self, project: &Project, hours: Range<Hour>) -> Result<Option<(Key, Hour)>>;

    /// Folded hours of a key in a window, by hour; hours that are gaps are left out.
    fn hours(&self, key: KeyId, hours: Range<Hour>) -> Result<Vec<(Hour, KeyHour)>>;

    /// What keys have of one hour; those that have nothing are left out.
    fn hour_of(&self, keys: &[KeyId], hour: Hour) -> Result<Vec<(KeyId, KeyHour)>>;

    /// The peaks and flags of [`Store::hours`], read without unpacking the rest.
    fn peaks(&self, key: KeyId, hours: Range<Hour>) -> Result<Vec<HourPeaks>>;

    /// Summaries of a key in a window, by hour.
    fn summaries(&self, key: KeyId, hours: Range<Hour>) -> Result<Vec<(Hour, HourSummary)>>;

    /// All decisions on limits, for each key the oldest first.
    fn limits(&self) -> Result<Vec<(KeyId, LimitEntry)>>;

    /// Writes decisions and the audit rows that tell of them, in one step: `Conflict`, and nothing is written, when the audit
    /// log does not end where the change says.
    fn change(&self, change: &Change) -> Result<()>;

    /// Removes all that is kept of a project but the audit log: its keys with their hours, summaries and limits, its workers,
    /// and then makes the change, in one step; `Conflict`, and nothing is removed, as for [`Store::change`]. Where it can't be
    /// one step, hours and summaries go first, and the rest with the change. The numbers of the keys are never used again:
    /// see `keys_end`.
    fn forget(&self, project: &Project, change: &Change) -> Result<Forgotten>;

    /// A number above those of all keys that there are or were.
    fn keys_end(&self) -> Result<u32>;

    /// Says that keys below a number were there, as a copy of a store does. It never goes back.
    fn put_keys_end(&self, end: u32) -> Result<()>;

    /// All documents of a shelf with their names, by name.
    fn documents(&self, shelf: Shelf) -> Result<Vec<(String, Vec<u8>)>>;

    /// Number of the audit row that comes next: 0 in a new store, and it never goes back.
    fn audit_end(&self) -> Result<u64>;

    /// Audit rows of a window of numbers, the oldest first, at most `most`.
    fn audit(&self, rows: Range<u64>, most: usize) -> Result<Vec<(u64, Vec<u8>)>>;

    /// Drops audit rows before a number, a bounded number a call; returns how many were dropped.
    fn drop_audit(&self, before: u64) -> Result<u64>;

    /// The workers that were attached when the service last wrote.
    fn known_workers(&self) -> Result<Vec<KnownWorker>>;

    /// Drops hours before `hours_from` and summaries before `summaries_from`, a bounded number a call.
    fn retain(&self, hours_from: Hour, summaries_from: Hour) -> Result<Removed>;

    /// A word kept with the store, such as the mark of a simulation.
    fn note(&self, name: &str) -> Result<Option<String>>;

    /// Keeps a word with the store.
    fn set_note(&self, name: &str, value: &str) -> Result<()>;

    /// All words that are kept, by name.
    fn notes(&self) -> Result<Vec<(String, String)>>;

    /// Writes summaries whose minutes are not kept any more, as a copy of a store does; `None` removes one.
    fn put_summaries(&self, rows: &[(KeyId, Hour, Option<HourSummary>)]) -> Result<()>;

    /// Writes audit rows with the numbers that they had in another store, and the number that comes next.
    fn put_audit(&self, rows: &[(u64, Vec<u8>)], end: u64) -> Result<()>;

    /// How safely it keeps what is written, asked anew.
    fn keeping(&self) -> Result<Keeping>;

    /// After [`StoreError::Lost`]: writes what is still known again; returns whether that is everything. If it is not, the
    /// hours that the caller has in memory are written, too, and the rest stays a gap. Does nothing when nothing was lost.
    fn restore_lost(&self, hours: &[(KeyId, Hour, KeyHour)]) -> Result<bool>;

    /// What of history the store itself knows to be gone, in words. Once a service has told of it ([`Keeping::lost`]) it is
    /// what any other gap is. A store that is one piece has all of it or nothing.
    fn missing(&self) -> Result<Option<String>> {
        Ok(None)
    }
}
