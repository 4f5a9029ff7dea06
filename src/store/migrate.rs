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
    /// Reading what is to be copied.
    VerifySource,
    Copy,
    /// Reading the copy.
    VerifyCopy,
}

/// Why a store was not copied.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// What is to be copied can't be used; the other place is as it was.
    #[error("{place}: {error}")]
    Source { place: String, error: StoreError },
    /// The place of the copy can't be used.
    #[error("{place}: {error}")]
    Target { place: String, error: StoreError },
    #[error("{0} is the same store, by another name: nothing was changed")]
    Same(String),
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
/// A source that is no store, holds nothing, is itself a copy that was interrupted, or in which anything is damaged or known to
/// be gone, is refused before anything is changed, and is not made a store by the look: what it holds would be the same in the
/// copy, and "both are the same" would be read as "both are right". So is one that the place of the copy leads to, too.
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
    let from_failed = |error| MigrateError::Source { place: from.to_string(), error };
    let to_failed = |error| MigrateError::Target { place: to.to_string(), error };
    // To open one for writing, which keeps others from it, would make what is not there.
    check_is_store(from, options).map_err(from_failed)?;
    let source = Source::open(from, options).map_err(from_failed)?;
    if source.is_at(to, options).map_err(to_failed)? {
        return Err(MigrateError::Same(to.to_string()));
    }
    let before = source.read(from, &mut |done, of| progress(Stage::VerifySource, done, of))?;
    if !is_new(to) {
        let target = store::open(to, options, &LONGEST).map_err(to_failed)?;
        let unfinished = is_unfinished(&*target).map_err(to_failed)?;
        let empty = is_empty(&*target).map_err(to_failed)?;
        drop(target);
        if !empty {
            if !unfinished && !replace {
                return Err(MigrateError::NotEmpty(to.to_string()));
            }
            clear(to, options).map_err(to_failed)?;
        }
    }
    let target: Arc<dyn Store> = store::open(to, options, &LONGEST).map_err(to_failed)?;
    target.set_note(UNFINISHED_NOTE, UNFINISHED).map_err(to_failed)?;
    copy(&*source.store, &*target, &mut |done, of| progress(Stage::Copy, done, of)).map_err(to_failed)?;
    let after = content::read(&*target, &mut |done, of| progress(Stage::VerifyCopy, done, of)).map_err(to_failed)?;
    if before != after {
        return Err(MigrateError::Differs(format!("{before:?} became {after:?}")));
    }
    // Whoever took a Redis over meanwhile may have written what is not in the copy.
    source.still_holds().map_err(from_failed)?;
    tell(&target).map_err(to_failed)?;
    target.set_note(UNFINISHED_NOTE, "finished").map_err(to_failed)?;
    Ok(after)
}

/// The store that is copied, open for writing: nobody else may write it meanwhile.
struct Source {
    store: Arc<dyn Store>,
    redis: Option<Arc<RedisStore>>,
}

impl Source {
    fn open(place: &StorePlace, options: &RedisOptions) -> Result<Self> {
        let StorePlace::Redis(address) = place else {
            return Ok(Self { store: store::open(place, options, &LONGEST)?, redis: None });
        };
        let redis = Arc::new(RedisStore::open(address, options, &LONGEST)?);
        Ok(Self { store: redis.clone(), redis: Some(redis) })
    }

    /// Whether the place of the copy is another name of the same Redis. A file that is open can't be opened again.
    fn is_at(&self, to: &StorePlace, options: &RedisOptions) -> Result<bool> {
        match (&self.redis, to) {
            (Some(redis), StorePlace::Redis(address)) => redis.is_at(address, options),
            _ => Ok(false),
        }
    }

    /// All of it, which is whole.
    fn read(
        &self,
        place: &StorePlace,
        progress: &mut dyn FnMut(u64, u64),
    ) -> std::result::Result<Content, MigrateError> {
        let failed = |error| MigrateError::Source { place: place.to_string(), error };
        if is_unfinished(&*self.store).map_err(failed)? {
            return Err(MigrateError::Unfinished(place.to_string()));
        }
        if is_empty(&*self.store).map_err(failed)? {
            return Err(MigrateError::Nothing(place.to_string()));
        }
        let content = content::read(&*self.store, progress).map_err(failed)?;
        match content.report.problems.first() {
            Some(problem) => Err(MigrateError::Damaged { place: place.to_string(), problem: problem.clone() }),
            None => Ok(content),
        }
    }

    fn still_holds(&self) -> Result<()> {
        self.redis.as_ref().map_or(Ok(()), |redis| redis.still_holds())
    }
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
