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
    /// How often it was elsewhere than this ledger knew: what is known of decisions is out of date then.
    surprises: u64,
    /// Whether a write failed: it may be in the log nevertheless.
    in_doubt: bool,
}

impl End {
    fn take(&mut self, (next, hash): (u64, Hash)) {
        self.surprises += u64::from(next != self.next);
        (self.next, self.hash, self.in_doubt) = (next, hash, false);
    }
}

impl Ledger {
    /// # Errors
    /// When the end of the log can't be read.
    pub fn open(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let (next, hash) = read_end(&*store)?;
        Ok(Self { store, end: Mutex::new(End { next, hash, ..End::default() }) })
    }

    /// Writes a decision and what tells of it, in one durable step.
    ///
    /// # Errors
    /// What the store says; nothing was written then, unless the answer was lost: see [`Ledger::surprises`].
    pub fn write(&self, change: Change, entries: &[Entry], now: Time) -> Result<Change, StoreError> {
        self.write_by(change, entries, now, |change| self.store.change(change)).map(|((), change)| change)
    }

    /// Writes what is no decision, and was made of the decisions that are known: never over one that is not.
    ///
    /// # Errors
    /// `Conflict` when another was added meanwhile: [`Ledger::surprises`] says so then. What the store says, else. Nothing
    /// was written.
    pub fn write_on_known(&self, change: Change) -> Result<(), StoreError> {
        let end = self.end();
        self.store.change(&Change { audit_from: end.next, only_at_end: true, ..change })
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
                next = End { next: row.seq + 1, hash: row.hash, ..*end };
            }
            match write(&change) {
                Ok(done) => {
                    *end = next;
                    return Ok((done, change));
                }
                Err(StoreError::Conflict(_)) if attempt < ATTEMPTS => end.take(read_end(&*self.store)?),
                Err(error) => {
                    end.in_doubt = true;
                    return Err(error);
                }
            }
        }
    }

    /// Number of the next row and hash of the last one.
    pub fn head(&self) -> (u64, Hash) {
        let end = self.end();
        (end.next, end.hash)
    }

    /// A number that is another when decisions were added that this ledger did not acknowledge: by another process, or
    /// with an answer that was lost. Takes over where the log ends now.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn surprises(&self) -> Result<u64, StoreError> {
        let mut end = self.end();
        if self.store.audit_end()? != end.next {
            end.take(read_end(&*self.store)?);
        }
        end.in_doubt = false;
        Ok(end.surprises)
    }

    /// The same, before a decision: the store is asked only after a write that failed.
    ///
    /// # Errors
    /// As [`Ledger::surprises`].
    pub fn known_surprises(&self) -> Result<u64, StoreError> {
        let End { surprises, in_doubt, .. } = *self.end();
        if in_doubt { self.surprises() } else { Ok(surprises) }
    }

    fn end(&self) -> MutexGuard<'_, End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_end(store: &dyn Store) -> Result<(u64, Hash), StoreError> {
    let next = store.audit_end()?;
    let Some(last) = next.checked_sub(1) else { return Ok((0, Hash::default())) };
    let rows = store.audit(last..next, 1)?;
    let Some((_, bytes)) = rows.first() else {
        // All rows are older than they are kept: the chain begins anew from a number that never comes again.
        return Ok((next, Hash::default()));
    };
    let row = AuditRow::decode(bytes).ok_or_else(|| StoreError::Damaged(format!("audit row {last} can't be read")))?;
    Ok((next, row.hash))
}
