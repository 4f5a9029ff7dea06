//! Errors inside the embedded store: what the caller is told, and whether the file is to be opened anew.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::tables::FORMAT;
use crate::{history::PackError, store::StoreError};

/// An error, and whether it came from the database, which then answers nothing more until it is opened again.
#[derive(Debug)]
pub struct Fault {
    pub error: StoreError,
    pub reopen: bool,
}

pub type Fallible<T> = Result<T, Fault>;

impl Fault {
    pub fn damaged(what: impl Into<String>) -> Self {
        Self { error: StoreError::Damaged(what.into()), reopen: false }
    }

    pub fn unavailable(what: impl Into<String>) -> Self {
        Self { error: StoreError::Unavailable(what.into()), reopen: false }
    }

    pub fn format(found: u64) -> Self {
        Self { error: StoreError::Format { found, known: FORMAT }, reopen: false }
    }

    /// A row that can't be unpacked.
    pub fn row(kind: &str, key: u32, hour: u32, error: PackError) -> Self {
        Self::damaged(format!("{kind} {hour} of key {key}: {error}"))
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self { error, reopen: false }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::unavailable(error.to_string())
    }
}

impl From<redb::Error> for Fault {
    fn from(error: redb::Error) -> Self {
        use redb::Error::{Corrupted, DatabaseAlreadyOpen, Io, LockProtocolMismatch, UpgradeRequired};
        let error = match error {
            DatabaseAlreadyOpen | LockProtocolMismatch => StoreError::Unavailable("in use by another highwater".into()),
            UpgradeRequired(version) => StoreError::Damaged(format!("its file has version {version}")),
            // What is no database at all, or one that is cut off.
            Io(error) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
                StoreError::Damaged(error.to_string())
            }
            Corrupted(what) => StoreError::Damaged(what),
            error @ (redb::Error::TableDoesNotExist(_)
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableIsMultimap(_)) => StoreError::Damaged(error.to_string()),
            error => StoreError::Unavailable(error.to_string()),
        };
        Self { error, reopen: true }
    }
}

/// Runs what calls redb, which panics on some pages that are not as it wrote them: that is an error here, and the
/// database is dropped after it, so nothing half done is seen.
pub fn guarded<T>(work: impl FnOnce() -> Fallible<T>) -> Fallible<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let why = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a page is not as it was written");
        Err(Fault { error: StoreError::Damaged(why.to_owned()), reopen: true })
    })
}

/// Converts an error of redb by way of the one that holds them all.
macro_rules! from_redb {
    ($($error:ty),+) => { $(impl From<$error> for Fault {
        fn from(error: $error) -> Self {
            redb::Error::from(error).into()
        }
    })+ };
}

from_redb!(redb::StorageError, redb::TableError, redb::TransactionError, redb::CommitError, redb::DatabaseError);
