//! The one place where decisions are written: each with the rows of the audit log that tell of it, in one durable step.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{
    access::{AuditRow, Hash, audit::Entry},
    model::{Project, Time},
    store::{Change, Forgotten, Store, StoreError},
};

/// How often a decision is tried again when another writer added to the log meanwhile.
const ATTEMPTS: usize = 4;

/// Writes decisions.
#[derive(Debug)]
pub struct Ledger {
    store: Arc<dyn Store>,
    end: Mutex<End>,
}

/// Where the log ends.
#[derive(Clone, Copy, Debug, Default)]
struct End {
    next: u64,
    hash: Hash,
}

impl Ledger {
    /// # Errors
    /// When the end of the log can't be read.
    pub fn open(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let end = read_end(&*store)?;
        Ok(Self { store, end: Mutex::new(end) })
    }

    /// Writes a decision and what tells of it, in one durable step.
    ///
    /// # Errors
    /// What the store says; nothing was written then.
    pub fn write(&self, change: Change, entries: &[Entry], now: Time) -> Result<Change, StoreError> {
        self.write_by(change, entries, now, |change| self.store.change(change)).map(|((), change)| change)
    }

    /// Removes all that is kept of a project, and writes a decision and what tells of it, in one durable step.
    ///
    /// # Errors
    /// What the store says; nothing was removed or written then.
    pub fn forget(
        &self,
        project: &Project,
        change: Change,
        entries: &[Entry],
        now: Time,
    ) -> Result<Forgotten, StoreError> {
        self.write_by(change, entries, now, |change| self.store.forget(project, change)).map(|(forgotten, _)| forgotten)
    }

    fn write_by<T>(
        &self,
        mut change: Change,
        entries: &[Entry],
        now: Time,
        write: impl Fn(&Change) -> Result<T, StoreError>,
    ) -> Result<(T, Change), StoreError> {
        let mut end = self.end();
        let mut attempt = 0;
        loop {
            attempt += 1;
            let mut next = *end;
            change.audit_from = next.next;
            change.audit.clear();
            for entry in entries {
                let row = AuditRow::after(next.next, next.hash, now, entry.clone());
                change.audit.push(row.encode());
                next = End { next: row.seq + 1, hash: row.hash };
            }
            match write(&change) {
                Ok(done) => {
                    *end = next;
                    return Ok((done, change));
                }
                Err(StoreError::Conflict(_)) if attempt < ATTEMPTS => *end = read_end(&*self.store)?,
                Err(error) => return Err(error),
            }
        }
    }

    /// Number of the next row and hash of the last one.
    pub fn head(&self) -> (u64, Hash) {
        let end = self.end();
        (end.next, end.hash)
    }

    /// Whether another writer added to the log since this was last asked; takes over where it ends now.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn has_grown(&self) -> Result<bool, StoreError> {
        let mut end = self.end();
        if self.store.audit_end()? == end.next {
            return Ok(false);
        }
        *end = read_end(&*self.store)?;
        Ok(true)
    }

    fn end(&self) -> MutexGuard<'_, End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_end(store: &dyn Store) -> Result<End, StoreError> {
    let next = store.audit_end()?;
    let Some(last) = next.checked_sub(1) else { return Ok(End::default()) };
    let rows = store.audit(last..next, 1)?;
    let Some((_, bytes)) = rows.first() else {
        // All rows are older than they are kept: the chain begins anew from a number that never comes again.
        return Ok(End { next, hash: Hash::default() });
    };
    let row = AuditRow::decode(bytes).ok_or_else(|| StoreError::Damaged(format!("audit row {last} can't be read")))?;
    Ok(End { next, hash: row.hash })
}
