//! What is read, each from one snapshot.

use std::ops::Range;

use redb::{ReadTransaction, ReadableTable};

use super::{
    fault::{Fallible, Fault},
    tables::{
        AUDIT, AUDIT_END_ROW, DOCUMENTS, FOLDED_UNTIL_ROW, FRAMES, HOURS, KEYS, KEYS_END_ROW, LIMITS, META, NOTES,
        Place, SUMMARIES, WORKERS, added, first_rows,
    },
    write::decode_frame,
};
use crate::{
    history::{Peaks, unpack, unpack_peaks, unpack_summary},
    model::{Frame, Hour, HourSummary, Incarnation, Key, KeyHour, KeyId, LimitEntry, Project},
    store::{HourPeaks, KnownWorker, Shelf, rows},
};

pub fn keys(transaction: &ReadTransaction) -> Fallible<Vec<(KeyId, Key)>> {
    all_keys(&transaction.open_table(KEYS)?)
}

pub fn keys_end(transaction: &ReadTransaction) -> Fallible<u32> {
    let end = transaction.open_table(KEYS)?.last()?.map_or(0, |(id, _)| id.value().saturating_add(1));
    let removed = transaction.open_table(META)?.get(KEYS_END_ROW)?.map_or(0, |row| row.value());
    let removed = u32::try_from(removed).map_err(|_| Fault::damaged("the end of the keys is out of range"))?;
    Ok(end.max(removed))
}

/// The keys of one project.
pub fn keys_of(keys: &impl ReadableTable<u32, &'static [u8]>, project: &Project) -> Fallible<Vec<(KeyId, Key)>> {
    let mut keys = all_keys(keys)?;
    keys.retain(|(_, key)| key.project == *project);
    Ok(keys)
}

fn all_keys(keys: &impl ReadableTable<u32, &'static [u8]>) -> Fallible<Vec<(KeyId, Key)>> {
    let rows = keys.iter()?.map(|row| {
        let (id, bytes) = row?;
        Ok((KeyId(id.value()), rows::decode_key(bytes.value())?))
    });
    rows.collect()
}

pub fn frames(transaction: &ReadTransaction) -> Fallible<Vec<Frame>> {
    let frames = transaction.open_table(FRAMES)?;
    let rows = frames.iter()?.map(|row| {
        let (tick, bytes) = row?;
        decode_frame(tick.value(), bytes.value())
    });
    rows.collect()
}

pub fn folded_until(transaction: &ReadTransaction) -> Fallible<Option<Hour>> {
    let until = transaction.open_table(META)?.get(FOLDED_UNTIL_ROW)?.map(|row| row.value());
    let out_of_range = |_| Fault::damaged("the hour that is folded up to is out of range");
    until.map(u32::try_from).transpose().map(|hour| hour.map(Hour)).map_err(out_of_range)
}

pub fn note(transaction: &ReadTransaction, name: &str) -> Fallible<Option<String>> {
    Ok(transaction.open_table(NOTES)?.get(name)?.map(|row| row.value().to_owned()))
}

pub fn notes(transaction: &ReadTransaction) -> Fallible<Vec<(String, String)>> {
    let notes = transaction.open_table(NOTES)?;
    let rows = notes.iter()?.map(|row| {
        let (name, value) = row?;
        Ok((name.value().to_owned(), value.value().to_owned()))
    });
    rows.collect()
}

pub fn first_hour(
    transaction: &ReadTransaction,
    project: &Project,
    hours: Range<Hour>,
) -> Fallible<Option<(Key, Hour)>> {
    let table = transaction.open_table(HOURS)?;
    let mut first: Option<(Key, Hour)> = None;
    for (id, key) in keys_of(&transaction.open_table(KEYS)?, project)? {
        // Only what is before the first so far can be the first.
        let end = first.as_ref().map_or(hours.end, |(_, hour)| *hour);
        let rows = first_rows(&table, places(id, hours.start..end), 1)?;
        first = rows.first().map(|(_, hour)| (key, Hour(*hour))).or(first);
    }
    Ok(first)
}

pub fn hours(transaction: &ReadTransaction, key: KeyId, hours: Range<Hour>) -> Fallible<Vec<(Hour, KeyHour)>> {
    let table = transaction.open_table(HOURS)?;
    let rows = table.range(places(key, hours))?.map(|row| {
        let (place, bytes) = row?;
        let (_, hour) = place.value();
        let key_hour = unpack(bytes.value()).map_err(|error| Fault::row("hour", key.0, hour, error))?;
        Ok((Hour(hour), key_hour))
    });
    rows.collect()
}

pub fn hour_of(transaction: &ReadTransaction, keys: &[KeyId], hour: Hour) -> Fallible<Vec<(KeyId, KeyHour)>> {
    let table = transaction.open_table(HOURS)?;
    let mut rows = Vec::new();
    for key in keys {
        if let Some(bytes) = table.get((key.0, hour.0))? {
            rows.push((*key, unpack(bytes.value()).map_err(|error| Fault::row("hour", key.0, hour.0, error))?));
        }
    }
    Ok(rows)
}

pub fn peaks(transaction: &ReadTransaction, key: KeyId, hours: Range<Hour>) -> Fallible<Vec<HourPeaks>> {
    let table = transaction.open_table(HOURS)?;
    let rows = table.range(places(key, hours))?.map(|row| {
        let (place, bytes) = row?;
        let (_, hour) = place.value();
        let unpacked = unpack_peaks(bytes.value()).map_err(|error| Fault::row("hour", key.0, hour, error))?;
        let Peaks { peaks, flags, raised } = unpacked;
        Ok(HourPeaks { hour: Hour(hour), peaks, flags, raised })
    });
    rows.collect()
}

pub fn summaries(transaction: &ReadTransaction, key: KeyId, hours: Range<Hour>) -> Fallible<Vec<(Hour, HourSummary)>> {
    let table = transaction.open_table(SUMMARIES)?;
    let rows = table.range(places(key, hours))?.map(|row| {
        let (place, bytes) = row?;
        let (_, hour) = place.value();
        let summary = unpack_summary(bytes.value()).map_err(|error| Fault::row("summary", key.0, hour, error))?;
        Ok((Hour(hour), summary))
    });
    rows.collect()
}

pub fn limits(transaction: &ReadTransaction) -> Fallible<Vec<(KeyId, LimitEntry)>> {
    let limits = transaction.open_table(LIMITS)?;
    let rows = limits.iter()?.map(|row| {
        let (place, bytes) = row?;
        Ok((KeyId(place.value().0), rows::decode_limit(bytes.value())?))
    });
    rows.collect()
}

pub fn documents(transaction: &ReadTransaction, shelf: Shelf) -> Fallible<Vec<(String, Vec<u8>)>> {
    let Some(documents) = added(transaction, DOCUMENTS)? else { return Ok(Vec::new()) };
    let shelf = shelf as u8;
    let rows = documents.range((shelf, "")..(shelf + 1, ""))?.map(|row| {
        let (place, bytes) = row?;
        Ok((place.value().1.to_owned(), bytes.value().to_vec()))
    });
    rows.collect()
}

pub fn audit_end(transaction: &ReadTransaction) -> Fallible<u64> {
    Ok(transaction.open_table(META)?.get(AUDIT_END_ROW)?.map_or(0, |row| row.value()))
}

pub fn audit(transaction: &ReadTransaction, rows: Range<u64>, most: usize) -> Fallible<Vec<(u64, Vec<u8>)>> {
    let Some(table) = added(transaction, AUDIT)? else { return Ok(Vec::new()) };
    let rows = table.range(rows.start..rows.end.max(rows.start))?.take(most).map(|row| {
        let (number, bytes) = row?;
        Ok((number.value(), bytes.value().to_vec()))
    });
    rows.collect()
}

pub fn known_workers(transaction: &ReadTransaction) -> Fallible<Vec<KnownWorker>> {
    let workers = transaction.open_table(WORKERS)?;
    let rows = workers.iter()?.map(|row| {
        let (place, _) = row?;
        let (project, incarnation) = place.value();
        let project = Project::new(project).map_err(|error| Fault::damaged(format!("a worker: {error}")))?;
        Ok(KnownWorker { project, incarnation: Incarnation(*incarnation) })
    });
    rows.collect()
}

/// Up to `most` rows each of hours and of summaries that are older than is kept.
pub fn outdated(
    transaction: &ReadTransaction,
    hours_from: Hour,
    summaries_from: Hour,
    most: usize,
) -> Fallible<(Vec<Place>, Vec<Place>)> {
    let tables = (transaction.open_table(HOURS)?, transaction.open_table(SUMMARIES)?);
    let (mut hours, mut summaries) = (Vec::new(), Vec::new());
    for key in transaction.open_table(KEYS)?.iter()? {
        let key = KeyId(key?.0.value());
        hours.extend(first_rows(&tables.0, places(key, Hour(0)..hours_from), most - hours.len())?);
        summaries.extend(first_rows(&tables.1, places(key, Hour(0)..summaries_from), most - summaries.len())?);
        if hours.len() >= most && summaries.len() >= most {
            break;
        }
    }
    Ok((hours, summaries))
}

/// Where the rows of a key's hours are. An end before its start is as an empty range, not a panic.
fn places(key: KeyId, hours: Range<Hour>) -> Range<Place> {
    (key.0, hours.start.0)..(key.0, hours.end.0.max(hours.start.0))
}
