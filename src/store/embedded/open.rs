//! Opening the file, and opening it again after an error: redb answers nothing after a failed write, and a disk that was
//! full for a minute must not need a restart.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io,
    path::Path,
    sync::{PoisonError, RwLock},
    time::{Duration, Instant},
};

use redb::{Builder, ConcurrencyMode, Database, ReadOnlyDatabase, ReadTransaction, ReadableDatabase};

use super::{
    fault::{Fallible, Fault, guarded},
    tables,
};
use crate::store::{Result, StoreError};

/// Memory for pages of the file: some weeks of a hundred keys, and all frames of an hour.
const CACHE_BYTES: usize = 64 << 20;
/// How long the file is left alone after it could not be opened again.
const REOPEN_AFTER: Duration = Duration::from_millis(100);

/// A database that is open, for writing or for reading alone.
pub enum Handle {
    Writer(Database),
    Reader(ReadOnlyDatabase),
}

/// Opens the database, each time it is called.
pub type Opener = Box<dyn Fn() -> Fallible<Handle> + Send + Sync>;

/// A database that opens itself again after an error.
pub struct Healing {
    /// What it is called in messages, such as its path.
    name: String,
    opener: Opener,
    state: RwLock<State>,
}

struct State {
    handle: Option<Handle>,
    /// Counts openings, so that an error of an earlier one does not close a later one.
    opened: u64,
    /// When it could not be opened again, and why.
    failed: Option<(Instant, String)>,
}

impl Healing {
    /// Opens the database for the first time.
    pub fn open(name: String, opener: Opener) -> Result<Self> {
        let handle = guarded(&opener).map_err(|fault| named(&name, fault.error))?;
        Ok(Self { name, opener, state: RwLock::new(State { handle: Some(handle), opened: 1, failed: None }) })
    }

    /// Reads from one snapshot.
    pub fn read<T>(&self, work: impl FnOnce(&ReadTransaction) -> Fallible<T>) -> Result<T> {
        self.with(|handle| work(&handle.begin_read()?))
    }

    /// Writes in one durable step.
    pub fn write<T>(&self, work: impl FnOnce(&redb::WriteTransaction) -> Fallible<T>) -> Result<T> {
        self.with(|handle| match handle {
            Handle::Writer(database) => tables::write(database, work),
            Handle::Reader(_) => Err(Fault::unavailable("open for reading alone")),
        })
    }

    fn with<T>(&self, work: impl FnOnce(&Handle) -> Fallible<T>) -> Result<T> {
        self.reopen_if_closed()?;
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let Some(handle) = &state.handle else {
            return Err(self.unavailable("it failed in another thread just now"));
        };
        let opened = state.opened;
        let result = guarded(|| work(handle));
        drop(state);
        result.map_err(|fault| {
            if fault.reopen {
                self.close(opened);
            }
            named(&self.name, fault.error)
        })
    }

    /// Closes what failed, unless another thread did and it is open again.
    fn close(&self, opened: u64) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.opened == opened {
            state.handle = None;
        }
    }

    #[expect(clippy::disallowed_methods, reason = "how long ago an opening failed is no part of what is stored")]
    fn reopen_if_closed(&self) -> Result<()> {
        if self.state.read().unwrap_or_else(PoisonError::into_inner).handle.is_some() {
            return Ok(());
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.handle.is_some() {
            return Ok(());
        }
        if let Some((at, why)) = &state.failed
            && at.elapsed() < REOPEN_AFTER
        {
            return Err(self.unavailable(why));
        }
        match guarded(&self.opener) {
            Ok(handle) => {
                (state.handle, state.failed) = (Some(handle), None);
                state.opened += 1;
                Ok(())
            }
            Err(fault) => {
                state.failed = Some((Instant::now(), fault.error.to_string()));
                Err(named(&self.name, fault.error))
            }
        }
    }

    fn unavailable(&self, why: &str) -> StoreError {
        named(&self.name, StoreError::Unavailable(why.to_owned()))
    }
}

impl Handle {
    pub fn begin_read(&self) -> Fallible<ReadTransaction> {
        Ok(match self {
            Self::Writer(database) => database.begin_read()?,
            Self::Reader(database) => database.begin_read()?,
        })
    }
}

impl fmt::Debug for Healing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Healing").field(&self.name).finish()
    }
}

/// How every database is opened. One process writes a file; others may read it meanwhile, for a backup.
pub fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn file_builder() -> Builder {
    let mut builder = builder();
    builder.set_concurrency_mode(ConcurrencyMode::SingleWriter);
    builder
}

/// Opens a file for writing, and makes it where there is none.
pub fn open_file(path: &Path) -> Fallible<Handle> {
    create(path)?;
    let database = file_builder().create(path)?;
    tables::prepare(&database)?;
    Ok(Handle::Writer(database))
}

/// Opens a file that is there, for writing, whatever is in it.
pub fn open_existing(path: &Path) -> Fallible<Database> {
    guarded(|| Ok(file_builder().open(path)?))
}

/// Opens a file that is there, for writing, and reads all of it before: what is damaged is an error.
pub fn open_checked(path: &Path) -> Fallible<Database> {
    Ok(file_builder().set_check_integrity_on_open(true).open(path)?)
}

/// Opens a file for reading alone, beside a service that writes it or without one.
pub fn open_file_read_only(path: &Path) -> Fallible<Handle> {
    let database = file_builder().open_read_only(path)?;
    let format = tables::format(&database)?.ok_or_else(|| Fault::damaged("there is no format in it"))?;
    tables::check_format(format)?;
    Ok(Handle::Reader(database))
}

/// Makes an empty file that only its owner may read, and the directories above it, unless it is there.
pub fn create(path: &Path) -> io::Result<()> {
    if path.try_exists()? {
        return Ok(());
    }
    let parent = parent(path);
    let mut directories = fs::DirBuilder::new();
    let mut file = OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        directories.mode(0o700);
        file.mode(0o600);
    }
    directories.recursive(true).create(parent)?;
    file.write(true).create(true).truncate(false).open(path)?;
    sync_directory(parent)
}

/// The directory that a file is in.
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a new or renamed file's name durable.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// An error that says which store it is of.
pub fn named(name: &str, error: StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(why) if !why.starts_with(name) => StoreError::Unavailable(format!("{name}: {why}")),
        StoreError::Damaged(why) if !why.starts_with(name) => StoreError::Damaged(format!("{name}: {why}")),
        error => error,
    }
}
