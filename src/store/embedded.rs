//! The embedded store: one redb file that one service writes. It heals by itself after an error of the disk; what was
//! committed stays.

mod backup;
mod check;
mod fault;
mod open;
mod read;
mod tables;
mod write;

use std::{ops::Range, path::Path};

use redb::{StorageBackend, backends::InMemoryBackend};

pub use backup::{Tell, backup_file, restore};
pub use check::check;
use open::Healing;

use crate::{
    model::{Frame, Hour, HourSummary, Key, KeyHour, KeyId, LimitEntry, Project},
    store::{Change, Forgotten, HourPeaks, Keeping, KnownWorker, Removed, Result, Second, Shelf, Store},
};

/// Most rows of each kind that one call of [`Store::retain`] removes, so that the second after it is not kept waiting:
/// each may lie in a page of its own.
const RETAIN_ROWS: usize = 2_000;

/// A store in one file.
#[derive(Debug)]
pub struct EmbeddedStore {
    database: Healing,
}

impl EmbeddedStore {
    /// Opens the store in a file, for writing. A file that is not there is made, with the directories above it, and only
    /// its owner may read it.
    ///
    /// # Errors
    /// `Unavailable` when the file is in use or can't be read and written, `Damaged` when it is no store, `Format` when
    /// a newer version wrote it.
    pub fn open(path: &Path) -> Result<Self> {
        let owned = path.to_owned();
        Self::with_opener(path.display().to_string(), Box::new(move || open::open_file(&owned)))
    }

    /// Opens the store in a file for reading alone, also while a service writes it: each read sees what was committed
    /// when it began. Writes are refused.
    ///
    /// # Errors
    /// As [`EmbeddedStore::open`], and `Unavailable` when there is no file.
    pub fn open_read_only(path: &Path) -> Result<Self> {
        let owned = path.to_owned();
        Self::with_opener(path.display().to_string(), Box::new(move || open::open_file_read_only(&owned)))
    }

    /// A store in memory, for tests.
    ///
    /// # Errors
    /// As [`EmbeddedStore::open`].
    pub fn in_memory() -> Result<Self> {
        Self::with_backend("in memory", InMemoryBackend::new)
    }

    /// A store on a storage of the caller's, called `name` in messages: `backend` gives the storage when the store is
    /// opened, and again when it is opened anew after an error.
    ///
    /// # Errors
    /// As [`EmbeddedStore::open`].
    pub fn with_backend<B: StorageBackend>(
        name: &str,
        backend: impl Fn() -> B + Send + Sync + 'static,
    ) -> Result<Self> {
        let opener = move || {
            let database = open::builder().create_with_backend(backend())?;
            tables::prepare(&database)?;
            Ok(open::Handle::Writer(database))
        };
        Self::with_opener(name.to_owned(), Box::new(opener))
    }

    fn with_opener(name: String, opener: open::Opener) -> Result<Self> {
        Ok(Self { database: Healing::open(name, opener)? })
    }

    /// Copies the store, as it is now, to a file that is not there yet. The service goes on meanwhile.
    ///
    /// # Errors
    /// `Unavailable` when the file is there or can't be written; `Damaged` when a row can't be read.
    pub fn backup(&self, to: &Path) -> Result<()> {
        backup::copy_to(to, |copy| self.database.read(|transaction| copy.take(transaction)))
    }
}

impl Store for EmbeddedStore {
    fn keys(&self) -> Result<Vec<(KeyId, Key)>> {
        self.database.read(read::keys)
    }

    fn commit(&self, second: &Second) -> Result<()> {
        self.database.write(|transaction| write::commit(transaction, second))
    }

    fn frames(&self) -> Result<Vec<Frame>> {
        self.database.read(read::frames)
    }

    fn fold(&self, hour: Hour, rows: &[(KeyId, KeyHour)]) -> Result<()> {
        self.database.write(|transaction| write::fold(transaction, hour, rows))
    }

    fn folded_until(&self) -> Result<Option<Hour>> {
        self.database.read(read::folded_until)
    }

    fn put_hours(&self, keys: &[(KeyId, Key)], rows: &[(KeyId, Hour, KeyHour)]) -> Result<()> {
        self.database.write(|transaction| write::put_hours(transaction, keys, rows))
    }

    fn remove_hours(&self, project: &Project, hours: Range<Hour>) -> Result<u64> {
        self.database.write(|transaction| write::remove_hours(transaction, project, hours))
    }

    fn first_hour(&self, project: &Project, hours: Range<Hour>) -> Result<Option<(Key, Hour)>> {
        self.database.read(|transaction| read::first_hour(transaction, project, hours))
    }

    fn hours(&self, key: KeyId, hours: Range<Hour>) -> Result<Vec<(Hour, KeyHour)>> {
        self.database.read(|transaction| read::hours(transaction, key, hours))
    }

    fn hour_of(&self, keys: &[KeyId], hour: Hour) -> Result<Vec<(KeyId, KeyHour)>> {
        self.database.read(|transaction| read::hour_of(transaction, keys, hour))
    }

    fn peaks(&self, key: KeyId, hours: Range<Hour>) -> Result<Vec<HourPeaks>> {
        self.database.read(|transaction| read::peaks(transaction, key, hours))
    }

    fn summaries(&self, key: KeyId, hours: Range<Hour>) -> Result<Vec<(Hour, HourSummary)>> {
        self.database.read(|transaction| read::summaries(transaction, key, hours))
    }

    fn limits(&self) -> Result<Vec<(KeyId, LimitEntry)>> {
        self.database.read(read::limits)
    }

    fn change(&self, change: &Change) -> Result<()> {
        self.database.write(|transaction| write::change(transaction, change))
    }

    fn forget(&self, project: &Project, change: &Change) -> Result<Forgotten> {
        self.database.write(|transaction| write::forget(transaction, project, change))
    }

    fn keys_end(&self) -> Result<u32> {
        self.database.read(read::keys_end)
    }

    fn put_keys_end(&self, end: u32) -> Result<()> {
        self.database.write(|transaction| write::raise_keys_end(transaction, end))
    }

    fn documents(&self, shelf: Shelf) -> Result<Vec<(String, Vec<u8>)>> {
        self.database.read(|transaction| read::documents(transaction, shelf))
    }

    fn audit_end(&self) -> Result<u64> {
        self.database.read(read::audit_end)
    }

    fn audit(&self, rows: Range<u64>, most: usize) -> Result<Vec<(u64, Vec<u8>)>> {
        self.database.read(|transaction| read::audit(transaction, rows, most))
    }

    fn drop_audit(&self, before: u64) -> Result<u64> {
        self.database.write(|transaction| write::drop_audit(transaction, before, RETAIN_ROWS))
    }

    fn known_workers(&self) -> Result<Vec<KnownWorker>> {
        self.database.read(read::known_workers)
    }

    fn retain(&self, hours_from: Hour, summaries_from: Hour) -> Result<Removed> {
        let (hours, summaries) =
            self.database.read(|transaction| read::outdated(transaction, hours_from, summaries_from, RETAIN_ROWS))?;
        if hours.is_empty() && summaries.is_empty() {
            return Ok(Removed::default());
        }
        self.database.write(|transaction| {
            Ok(Removed {
                hours: write::remove_rows(&mut transaction.open_table(tables::HOURS)?, &hours)?,
                summaries: write::remove_rows(&mut transaction.open_table(tables::SUMMARIES)?, &summaries)?,
            })
        })
    }

    fn note(&self, name: &str) -> Result<Option<String>> {
        self.database.read(|transaction| read::note(transaction, name))
    }

    fn set_note(&self, name: &str, value: &str) -> Result<()> {
        self.database.write(|transaction| {
            transaction.open_table(tables::NOTES)?.insert(name, value)?;
            Ok(())
        })
    }

    fn notes(&self) -> Result<Vec<(String, String)>> {
        self.database.read(read::notes)
    }

    fn put_summaries(&self, rows: &[(KeyId, Hour, Option<HourSummary>)]) -> Result<()> {
        self.database.write(|transaction| write::put_summaries(transaction, rows))
    }

    fn put_audit(&self, rows: &[(u64, Vec<u8>)], end: u64) -> Result<()> {
        self.database.write(|transaction| write::put_audit(transaction, rows, end))
    }

    fn keeping(&self) -> Result<Keeping> {
        Ok(Keeping::embedded())
    }

    /// What it has committed is in the file.
    fn restore_lost(&self, _: &[(KeyId, Hour, KeyHour)]) -> Result<bool> {
        Ok(true)
    }
}
