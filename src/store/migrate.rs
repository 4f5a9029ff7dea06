//! Copying one store to another, whatever each of them is, and proving that the copy holds the same.

use std::{fs, sync::Arc};

use crate::{
    config::{RedisOptions, Retention, StorePlace},
    model::{Hour, KeyId},
    store::{
        self, Change, Document, EmbeddedStore, RedisStore, Result, Second, Shelf, Store, StoreError,
        content::{self, Content, EVER, UNFINISHED, UNFINISHED_NOTE, is_unfinished},
        embedded::Tell,
    },
};

/// Rows that are written at once.
const ROWS_AT_ONCE: usize = 2_000;
/// Hours of a key that are written at once: some weeks.
const HOURS_AT_ONCE: usize = 1_000;
/// The longest that anything may be kept: how long it really is, is the setting of the service that uses the copy.
const LONGEST: Retention = Retention { points_days: 366, summaries_months: 120 };

/// Which part of the work is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Copy,
    /// Reading what was copied from.
    VerifySource,
    /// Reading the copy.
    VerifyCopy,
}

/// Why a store was not copied.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("{place}: {error}")]
    Store { place: String, error: StoreError },
    #[error("{0} holds a store already")]
    NotEmpty(String),
    #[error("{0} holds nothing that could be copied")]
    Nothing(String),
    #[error("{0} is a copy that was interrupted: it is not whole")]
    Unfinished(String),
    #[error("{place} is damaged: {problem}")]
    Damaged { place: String, problem: String },
    #[error("the copy differs from what was copied: {0}")]
    Differs(String),
}

/// Copies a store to a place, and returns what both hold. Neither may be in use. What a copy that was interrupted left
/// is begun anew. `tell` then writes into the copy what tells of it: only after that may it be used.
///
/// A source that is no store, holds nothing, is itself a copy that was interrupted, or whose audit log is not whole is refused
/// before anything is changed, and is not made a store by the look: what it holds would be the same in the copy, and "both are
/// the same" would be read as "both are right".
///
/// # Errors
/// When a store can't be used, the place holds another store and is not to be replaced, or the copy is not the same.
pub fn migrate(
    from: &StorePlace,
    to: &StorePlace,
    options: &RedisOptions,
    replace: bool,
    tell: &mut Tell<'_>,
    progress: &mut dyn FnMut(Stage, u64, u64),
) -> std::result::Result<Content, MigrateError> {
    let at = |place: &StorePlace| {
        let place = place.to_string();
        move |error| MigrateError::Store { place, error }
    };
    // To open one for writing, which keeps others from it, would make what is not there.
    check_is_store(from, options).map_err(at(from))?;
    let source = store::open(from, options, &LONGEST).map_err(at(from))?;
    if is_unfinished(&*source).map_err(at(from))? {
        return Err(MigrateError::Unfinished(from.to_string()));
    }
    if is_empty(&*source).map_err(at(from))? {
        return Err(MigrateError::Nothing(from.to_string()));
    }
    if let Some(problem) = content::audit_problem(&*source).map_err(at(from))? {
        return Err(MigrateError::Damaged { place: from.to_string(), problem: format!("the audit log: {problem}") });
    }
    if !is_new(to) {
        let target = store::open(to, options, &LONGEST).map_err(at(to))?;
        let unfinished = is_unfinished(&*target).map_err(at(to))?;
        let empty = is_empty(&*target).map_err(at(to))?;
        drop(target);
        if !empty {
            if !unfinished && !replace {
                return Err(MigrateError::NotEmpty(to.to_string()));
            }
            clear(to, options).map_err(at(to))?;
        }
    }
    let target: Arc<dyn Store> = store::open(to, options, &LONGEST).map_err(at(to))?;
    target.set_note(UNFINISHED_NOTE, UNFINISHED).map_err(at(to))?;
    copy(&*source, &*target, &mut |done, of| progress(Stage::Copy, done, of)).map_err(at(to))?;
    let before = content::read(&*source, &mut |done, of| progress(Stage::VerifySource, done, of)).map_err(at(from))?;
    if let Some(problem) = before.report.problems.first() {
        return Err(MigrateError::Damaged { place: from.to_string(), problem: problem.clone() });
    }
    let after = content::read(&*target, &mut |done, of| progress(Stage::VerifyCopy, done, of)).map_err(at(to))?;
    if before != after {
        return Err(MigrateError::Differs(format!("{before:?} became {after:?}")));
    }
    tell(&target).map_err(at(to))?;
    target.set_note(UNFINISHED_NOTE, "finished").map_err(at(to))?;
    Ok(after)
}

fn check_is_store(place: &StorePlace, options: &RedisOptions) -> Result<()> {
    match place {
        StorePlace::Redis(address) => RedisStore::open_read_only(address, options).map(drop),
        StorePlace::File(path) => match fs::metadata(path) {
            Err(_) => Err(StoreError::Unavailable("there is no such file".to_owned())),
            Ok(file) if file.len() == 0 => Err(StoreError::Unavailable("there is no store in it".to_owned())),
            Ok(_) => Ok(()),
        },
    }
}

/// A file that is not there need not be made to see that it is empty.
fn is_new(place: &StorePlace) -> bool {
    matches!(place, StorePlace::File(path) if !path.exists())
}

fn is_empty(store: &dyn Store) -> Result<bool> {
    let documents = Shelf::ALL.into_iter().map(|shelf| store.documents(shelf)).collect::<Result<Vec<_>>>()?;
    Ok(store.keys_end()? == 0
        && store.frames()?.is_empty()
        && documents.iter().all(Vec::is_empty)
        && store.audit_end()? == 0
        && store.known_workers()?.is_empty()
        && store.notes()?.is_empty()
        && store.folded_until()?.is_none())
}

/// Removes a store that nobody uses.
fn clear(place: &StorePlace, options: &RedisOptions) -> Result<()> {
    match place {
        StorePlace::Redis(address) => RedisStore::clear(address, options),
        StorePlace::File(path) => {
            // Held while it is removed, so that no service opens it in between.
            let _held = EmbeddedStore::open(path)?;
            fs::remove_file(path).map_err(|error| StoreError::Unavailable(format!("{}: {error}", path.display())))
        }
    }
}

fn copy(from: &dyn Store, to: &dyn Store, progress: &mut dyn FnMut(u64, u64)) -> Result<()> {
    let keys = from.keys()?;
    for keys in keys.chunks(ROWS_AT_ONCE) {
        to.put_hours(keys, &[])?;
    }
    for (done, (key, _)) in (0..).zip(&keys) {
        progress(done, keys.len() as u64);
        copy_history(from, to, *key)?;
    }
    progress(keys.len() as u64, keys.len() as u64);
    to.put_keys_end(from.keys_end()?)?;
    if let Some(until) = from.folded_until()?
        && until > Hour(0)
    {
        to.fold(Hour(until.0 - 1), &[])?;
    }
    for frames in from.frames()?.chunks(ROWS_AT_ONCE) {
        to.commit(&Second { frames: frames.to_vec(), ..Second::default() })?;
    }
    for attached in from.known_workers()?.chunks(ROWS_AT_ONCE) {
        to.commit(&Second { attached: attached.to_vec(), ..Second::default() })?;
    }
    for limits in from.limits()?.chunks(ROWS_AT_ONCE) {
        to.change(&Change { limits: limits.to_vec(), ..Change::default() })?;
    }
    for shelf in Shelf::ALL {
        for documents in from.documents(shelf)?.chunks(ROWS_AT_ONCE) {
            let document =
                |(name, bytes): &(String, Vec<u8>)| Document { shelf, name: name.clone(), bytes: Some(bytes.clone()) };
            to.change(&Change { documents: documents.iter().map(document).collect(), ..Change::default() })?;
        }
    }
    let end = from.audit_end()?;
    let rows = from.audit(0..end, usize::MAX)?;
    if end > 0 {
        to.put_audit(&rows, end)?;
    }
    for (name, value) in from.notes()?.into_iter().filter(|(name, _)| name != UNFINISHED_NOTE) {
        to.set_note(&name, &value)?;
    }
    Ok(())
}

fn copy_history(from: &dyn Store, to: &dyn Store, key: KeyId) -> Result<()> {
    let hours = from.hours(key, EVER)?;
    let with_minutes: Vec<_> = hours.iter().map(|(hour, _)| *hour).collect();
    for hours in hours.chunks(HOURS_AT_ONCE) {
        let rows: Vec<_> = hours.iter().map(|(hour, row)| (key, *hour, row.clone())).collect();
        to.put_hours(&[], &rows)?;
    }
    let summaries = from.summaries(key, EVER)?;
    // An hour brought its summary with it; those that are alone are written, and those that are gone removed.
    let is_there = |hour: &Hour| summaries.binary_search_by_key(hour, |(hour, _)| *hour).is_ok();
    let gone = with_minutes.iter().filter(|hour| !is_there(hour)).map(|hour| (key, *hour, None));
    let rows = summaries.iter().map(|(hour, summary)| (key, *hour, Some(summary.clone()))).chain(gone);
    let rows: Vec<_> = rows.collect();
    for rows in rows.chunks(HOURS_AT_ONCE) {
        to.put_summaries(rows)?;
    }
    Ok(())
}
