//! All that a store holds, read once: counted, checked and hashed, the same whatever store it is. Two stores with equal
//! hashes hold the same.

use std::collections::HashSet;

use prost::Message;
use sha2::{Digest, Sha256};

use crate::{
    access::audit::Verifier,
    history::{pack, pack_summary},
    model::{Hour, KeyId},
    store::{CheckReport, Result, Shelf, Store, StoreError, rows},
};

/// All hours.
pub const EVER: std::ops::Range<Hour> = Hour(0)..Hour(u32::MAX);
/// Audit rows that are read at once.
const AUDIT_ROWS: usize = 1_000;
/// The word of a copy that is not whole yet; it is no part of what a store holds.
pub const UNFINISHED_NOTE: &str = "migration";
/// What it says then.
pub const UNFINISHED: &str = "unfinished";
/// What a check says of such a copy.
pub const INTERRUPTED: &str =
    "it is a copy that was interrupted: `highwater migrate` from the same store begins it anew";

/// What a store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    pub report: CheckReport,
    pub workers: u64,
    pub notes: u64,
    /// Of everything, in an order that does not depend on the store.
    pub hash: String,
}

/// Reads all of it, and says what is damaged.
///
/// # Errors
/// When the store can't be read.
pub fn check(store: &dyn Store) -> Result<CheckReport> {
    let mut report = read(store, &mut |_, _| {})?.report;
    if is_unfinished(store)? {
        report.problems.insert(0, INTERRUPTED.to_owned());
    }
    Ok(report)
}

/// Whether a copy into this store was interrupted: then it is not to be used.
///
/// # Errors
/// When the store can't be read.
pub fn is_unfinished(store: &dyn Store) -> Result<bool> {
    Ok(store.note(UNFINISHED_NOTE)?.as_deref() == Some(UNFINISHED))
}

/// Reads all of it; `progress` is told how many keys are done, of how many.
///
/// # Errors
/// When the store can't be read. What is damaged is no error but a problem of the report.
pub fn read(store: &dyn Store, progress: &mut dyn FnMut(u64, u64)) -> Result<Content> {
    let mut reader = Reader::default();
    let keys = reader.part("keys", store.keys())?;
    reader.content.report.keys = keys.len() as u64;
    for (id, key) in &keys {
        reader.row(&[&id.0.to_be_bytes(), &rows::encode_key(key)]);
    }
    for (done, (id, _)) in (0..).zip(&keys) {
        progress(done, keys.len() as u64);
        reader.history(store, *id)?;
    }
    for frame in reader.part("frames", store.frames())? {
        reader.content.report.frames += 1;
        reader.row(&[&frame.encode_to_vec()]);
    }
    let known: HashSet<KeyId> = keys.iter().map(|(id, _)| *id).collect();
    let mut limits = reader.part("limits", store.limits())?;
    limits.sort_by_key(|(key, _)| *key);
    reader.content.report.limits = limits.len() as u64;
    for (key, entry) in limits {
        if !known.contains(&key) {
            reader.content.report.problems.push(format!("a limit of key {}: there is no such key", key.0));
        }
        reader.row(&[&key.0.to_be_bytes(), &rows::encode_limit(&entry)]);
    }
    for shelf in Shelf::ALL {
        for (name, bytes) in reader.part("documents", store.documents(shelf))? {
            reader.content.report.documents += 1;
            reader.row(&[&[shelf as u8], name.as_bytes(), &bytes]);
        }
    }
    reader.audit(store)?;
    for worker in reader.part("workers", store.known_workers())? {
        reader.content.workers += 1;
        reader.row(&[worker.project.as_str().as_bytes(), &worker.incarnation.0]);
    }
    for (name, value) in reader.part("notes", store.notes())? {
        if name != UNFINISHED_NOTE {
            reader.content.notes += 1;
            reader.row(&[name.as_bytes(), value.as_bytes()]);
        }
    }
    let folded_until = reader.part("how far it is folded", store.folded_until())?;
    reader.row(&[&folded_until.map_or(0, |hour| hour.0).to_be_bytes()]);
    reader.content.report.problems.extend(store.missing()?);
    let keys_end = reader.part("the end of the keys", store.keys_end())?;
    reader.row(&[&keys_end.to_be_bytes()]);
    progress(keys.len() as u64, keys.len() as u64);
    Ok(reader.end())
}

/// Gives every row of the audit log to `take`, whatever is wrong with it, and says what is wrong with the first.
fn walk_audit(store: &dyn Store, end: u64, mut take: impl FnMut(u64, &[u8])) -> Result<Option<String>> {
    let (mut from, mut chain, mut problem) = (0, Verifier::default(), None);
    while from < end {
        let rows = store.audit(from..end, AUDIT_ROWS)?;
        let Some((newest, _)) = rows.last() else { break };
        from = newest + 1;
        for (number, row) in &rows {
            take(*number, row);
            problem = problem.or_else(|| chain.take(*number, row).err());
        }
    }
    Ok(problem.or_else(|| chain.end(end).err()))
}

#[derive(Default)]
struct Reader {
    content: Content,
    hash: Sha256,
}

impl Reader {
    /// A part that is damaged is a problem, and read as nothing.
    fn part<T: Default>(&mut self, what: &str, part: Result<T>) -> Result<T> {
        match part {
            Err(StoreError::Damaged(problem)) => {
                self.content.report.problems.push(format!("{what}: {problem}"));
                Ok(T::default())
            }
            part => part,
        }
    }

    /// Takes a row into the hash, each field with its length.
    fn row(&mut self, fields: &[&[u8]]) {
        self.hash.update([fields.len() as u8]);
        for field in fields {
            self.hash.update((field.len() as u64).to_be_bytes());
            self.hash.update(field);
        }
    }

    fn history(&mut self, store: &dyn Store, key: KeyId) -> Result<()> {
        let what = format!("key {}", key.0);
        for (hour, row) in self.part(&what, store.hours(key, EVER))? {
            self.content.report.hours += 1;
            self.row(&[&key.0.to_be_bytes(), &hour.0.to_be_bytes(), &pack(&row)]);
        }
        for (hour, summary) in self.part(&what, store.summaries(key, EVER))? {
            self.content.report.summaries += 1;
            self.row(&[&key.0.to_be_bytes(), &hour.0.to_be_bytes(), &pack_summary(&summary)]);
        }
        Ok(())
    }

    fn audit(&mut self, store: &dyn Store) -> Result<()> {
        let end = self.part("the audit log", store.audit_end())?;
        let walked = walk_audit(store, end, |number, row| {
            self.content.report.audit += 1;
            self.row(&[&number.to_be_bytes(), row]);
        });
        if let Some(problem) = self.part("the audit log", walked)? {
            self.content.report.problems.push(format!("the audit log: {problem}"));
        }
        self.row(&[&end.to_be_bytes()]);
        Ok(())
    }

    fn end(mut self) -> Content {
        let digest = self.hash.finalize();
        self.content.hash = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        self.content
    }
}
