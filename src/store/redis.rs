//! The store in Redis, for one service at a time: one server, a primary with its Sentinels, or a cluster.
//!
//! What is across projects (keys, frames, workers, decisions, documents, the audit log) lies under one hash tag, so that a
//! second, and a decision, is one step of one script on one node. The hours of a project lie under its own tag. A fold
//! writes them first, node by node, and last lets the frames go and says that the hour is folded: a service that dies in
//! between folds the same frames again, and the same hours replace themselves. A project that is forgotten goes likewise.
//!
//! A writer holds a lease and a fence. The fence is checked by every step, so that a service which was paused while another
//! took over changes nothing any more. Every step has a number: a Redis that is behind the last one which it acknowledged
//! (restarted empty, from an old copy, or a replica that took over too early) is noticed by the next second, and
//! [`StoreError::Lost`] says so.
//!
//! What is here never waits without a limit, and never trusts a key's name to a tenant ([`names`]).

mod across;
mod blob;
mod connect;
mod doubt;
mod forget;
mod hours;
mod link;
mod mirror;
mod names;
mod numbers;
mod owner;
mod promise;
mod retain;
mod scripts;
mod search;
mod takeover;
mod writer;

use std::{
    fmt,
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
};

use link::Link;
use names::Names;
use numbers::Numbers;
use owner::Owners;
use writer::Writer;

use crate::{
    config::{RedisOptions, Retention, place::RedisAddress},
    model::{Frame, Hour, HourSummary, Key, KeyHour, KeyId, LimitEntry, Project},
    store::{
        Change, CheckReport, Forgotten, HourPeaks, Keeping, KnownWorker, Removed, Result, Second, Shelf, Store,
        StoreError, content,
    },
};

/// The format that is written, and the newest that is read.
pub const FORMAT: u64 = 2;

const DAY_SECONDS: u64 = 24 * 3_600;
const MONTH_DAYS: u64 = 31;
/// How much longer than history is kept Redis keeps it: a service that is down for so long loses none, and one that is
/// gone for good leaves nothing behind.
const MARGIN_DAYS: u64 = 14;

/// How long after the last write to it a key stays, in seconds. The service itself drops what is too old, to the hour.
#[derive(Clone, Copy, Debug)]
struct Lifetimes {
    points: u64,
    summaries: u64,
}

impl Lifetimes {
    fn of(retention: &Retention) -> Self {
        let margin = MARGIN_DAYS * DAY_SECONDS;
        Self {
            points: u64::from(retention.points_days) * DAY_SECONDS + margin,
            summaries: u64::from(retention.summaries_months) * MONTH_DAYS * DAY_SECONDS + margin,
        }
    }
}

/// A store in Redis.
pub struct RedisStore {
    link: Link,
    names: Names,
    /// The id of the store.
    id: String,
    /// The format that it has.
    format: u64,
    lifetimes: Lifetimes,
    numbers: Numbers,
    /// Whose the history is that is there.
    owners: Owners,
    /// One step at a time. `None` where it was opened for reading alone.
    writer: Option<Mutex<Writer>>,
    /// Whether nobody knows if the last decision was written: its answer was lost, or is awaited.
    in_doubt: AtomicBool,
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisStore").field(&self.link).finish()
    }
}

impl RedisStore {
    /// Opens the store for writing; one that is not there is made. Waits shortly for the lease of a service that died.
    ///
    /// # Errors
    /// `Unavailable` when Redis can't be reached or another service writes it, `Format` when a newer version wrote it.
    pub fn open(address: &RedisAddress, options: &RedisOptions, retention: &Retention) -> Result<Self> {
        let mut store = Self::reader(address, options, Lifetimes::of(retention));
        let writer = Writer::open(&store.link, &store.names)?;
        (store.id, store.format) = (writer.id().to_owned(), writer.format);
        let is_to_be_cleared = writer.is_to_be_cleared;
        store.writer = Some(Mutex::new(writer));
        store.take_over(is_to_be_cleared)?;
        store.writer()?.mirror = store.read_mirror()?;
        Ok(store)
    }

    /// Opens the store for reading alone, also while a service writes it.
    ///
    /// # Errors
    /// As [`RedisStore::open`], and `Unavailable` when there is none.
    pub fn open_read_only(address: &RedisAddress, options: &RedisOptions) -> Result<Self> {
        let mut store = Self::reader(address, options, Lifetimes { points: 1, summaries: 1 });
        let none = || StoreError::Unavailable(format!("{}: there is no store in it", store.link.name()));
        let format = store.meta("format")?.ok_or_else(none)?;
        if format > FORMAT {
            return Err(StoreError::Format { found: format, known: FORMAT });
        }
        let id: Option<String> = store.link.ask(redis::cmd("HGET").arg(store.names.meta()).arg("id"))?;
        (store.id, store.format) = (id.ok_or_else(none)?, format);
        Ok(store)
    }

    fn reader(address: &RedisAddress, options: &RedisOptions, lifetimes: Lifetimes) -> Self {
        Self {
            link: Link::new(address.clone(), options.clone()),
            names: Names::new(&options.prefix),
            id: String::new(),
            format: FORMAT,
            lifetimes,
            numbers: Numbers::default(),
            owners: Owners::default(),
            writer: None,
            in_doubt: AtomicBool::new(false),
        }
    }

    /// Reads all of it, and says what is wrong.
    ///
    /// # Errors
    /// `Unavailable` when it can't be read.
    pub fn check(&self) -> Result<CheckReport> {
        content::check(self)
    }

    /// Removes all of a store.
    ///
    /// # Errors
    /// `Unavailable` when Redis can't be reached, or another service writes the store.
    pub fn clear(address: &RedisAddress, options: &RedisOptions) -> Result<()> {
        let mut store = Self::reader(address, options, Lifetimes { points: 1, summaries: 1 });
        // Nobody else may be writing it meanwhile.
        let writer = Writer::open(&store.link, &store.names)?;
        store.id = writer.id().to_owned();
        store.writer = Some(Mutex::new(writer));
        store.remove_whole()
    }

    /// Whether another address leads to this store, too, which this process writes. A copy of what Redis keeps has its id, and
    /// not its writer.
    ///
    /// # Errors
    /// `Unavailable` when the other can't be reached.
    pub fn is_at(&self, address: &RedisAddress, options: &RedisOptions) -> Result<bool> {
        let other = Self::reader(address, options, Lifetimes { points: 1, summaries: 1 });
        let holder: Option<String> = other.link.ask(redis::cmd("HGET").arg(other.names.meta()).arg("holder"))?;
        Ok(holder.as_deref() == Some(self.writer()?.holder()))
    }

    /// Says that this process still writes the store: nobody else did since it was opened.
    ///
    /// # Errors
    /// `Unavailable` when another took over, or Redis can't be reached.
    pub fn still_holds(&self) -> Result<()> {
        self.hold().map(drop)
    }

    fn writer(&self) -> Result<MutexGuard<'_, Writer>> {
        match &self.writer {
            Some(writer) => self.link.in_turn(|| writer.lock().unwrap_or_else(PoisonError::into_inner)),
            None => Err(StoreError::Unavailable(format!("{}: open for reading alone", self.link.name()))),
        }
    }
}

impl Drop for RedisStore {
    /// Lets go of the lease, so that the next service need not wait for it.
    fn drop(&mut self) {
        if let Ok(writer) = self.writer() {
            writer.close(&self.link, &self.names);
        }
    }
}

impl Store for RedisStore {
    fn keys(&self) -> Result<Vec<(KeyId, Key)>> {
        self.read_keys()
    }

    fn commit(&self, second: &Second) -> Result<()> {
        self.write_second(second)
    }

    fn frames(&self) -> Result<Vec<Frame>> {
        self.read_frames()
    }

    fn fold(&self, hour: Hour, rows: &[(KeyId, KeyHour)]) -> Result<()> {
        let puts = self.puts_of(rows.iter().map(|(key, row)| (*key, hour, row)))?;
        self.put(&puts)?;
        self.end_fold(hour, puts)
    }

    fn folded_until(&self) -> Result<Option<Hour>> {
        let hour = self.meta("folded_until")?.map(u32::try_from).transpose();
        let out_of_range = |_| StoreError::Damaged("the hour that is folded up to is out of range".to_owned());
        hour.map(|hour| hour.map(Hour)).map_err(out_of_range)
    }

    fn put_hours(&self, keys: &[(KeyId, Key)], rows: &[(KeyId, Hour, KeyHour)]) -> Result<()> {
        self.write_second(&Second { new_keys: keys.to_vec(), ..Second::default() })?;
        self.put_rows(rows.iter().map(|(key, hour, row)| (*key, *hour, row)))
    }

    fn remove_hours(&self, project: &Project, hours: Range<Hour>) -> Result<u64> {
        self.remove_rows(project, hours)
    }

    fn first_hour(&self, project: &Project, hours: Range<Hour>) -> Result<Option<(Key, Hour)>> {
        self.read_first_hour(project, hours)
    }

    fn hours(&self, key: KeyId, hours: Range<Hour>) -> Result<Vec<(Hour, KeyHour)>> {
        self.read_hours(key, hours)
    }

    fn hour_of(&self, keys: &[KeyId], hour: Hour) -> Result<Vec<(KeyId, KeyHour)>> {
        self.read_hour_of(keys, hour)
    }

    fn peaks(&self, key: KeyId, hours: Range<Hour>) -> Result<Vec<HourPeaks>> {
        self.read_peaks(key, hours)
    }

    fn summaries(&self, key: KeyId, hours: Range<Hour>) -> Result<Vec<(Hour, HourSummary)>> {
        self.read_summaries(key, hours)
    }

    fn limits(&self) -> Result<Vec<(KeyId, LimitEntry)>> {
        self.as_left(|| self.read_limits())
    }

    fn change(&self, change: &Change) -> Result<()> {
        self.write_change(change)
    }

    fn forget(&self, project: &Project, change: &Change) -> Result<Forgotten> {
        self.forget_project(project, change)
    }

    fn keys_end(&self) -> Result<u32> {
        self.read_keys_end()
    }

    fn put_keys_end(&self, end: u32) -> Result<()> {
        self.raise_keys_end(end)
    }

    fn documents(&self, shelf: Shelf) -> Result<Vec<(String, Vec<u8>)>> {
        self.as_left(|| self.read_documents(shelf))
    }

    fn audit_end(&self) -> Result<u64> {
        self.audit_end_as_left()
    }

    fn audit(&self, rows: Range<u64>, most: usize) -> Result<Vec<(u64, Vec<u8>)>> {
        self.as_left(|| self.read_audit(rows, most))
    }

    fn drop_audit(&self, before: u64) -> Result<u64> {
        self.drop_audit_rows(before)
    }

    fn known_workers(&self) -> Result<Vec<KnownWorker>> {
        self.read_workers()
    }

    fn retain(&self, hours_from: Hour, summaries_from: Hour) -> Result<Removed> {
        self.remove_old(hours_from, summaries_from)
    }

    fn note(&self, name: &str) -> Result<Option<String>> {
        self.as_left(|| self.read_note(name))
    }

    fn set_note(&self, name: &str, value: &str) -> Result<()> {
        self.write_note(name, value)
    }

    fn notes(&self) -> Result<Vec<(String, String)>> {
        self.as_left(|| self.read_notes())
    }

    fn put_summaries(&self, rows: &[(KeyId, Hour, Option<HourSummary>)]) -> Result<()> {
        self.put_only_summaries(rows)
    }

    fn put_audit(&self, rows: &[(u64, Vec<u8>)], end: u64) -> Result<()> {
        self.write_audit(rows, end)
    }

    fn keeping(&self) -> Result<Keeping> {
        promise::ask(self)
    }

    fn restore_lost(&self, hours: &[(KeyId, Hour, KeyHour)]) -> Result<bool> {
        self.restore(hours)
    }

    fn missing(&self) -> Result<Option<String>> {
        self.missing_history()
    }
}
