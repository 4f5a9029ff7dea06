//! What is written, each in one transaction.

use std::ops::Range;

use prost::Message;
use redb::{ReadableTable, Table, WriteTransaction};

use super::{
    fault::{Fallible, Fault},
    read,
    tables::{
        AUDIT, AUDIT_END_ROW, DOCUMENTS, FOLDED_UNTIL_ROW, FRAMES, HOURS, KEYS, KEYS_END_ROW, LIMITS, META, Place,
        SUMMARIES, WORKERS,
    },
};
use crate::{
    history::{pack, pack_summary},
    model::{Frame, Hour, HourSummary, Key, KeyHour, KeyId, LimitEntry, Project, session::ID_BYTES},
    store::{Change, Document, Forgotten, KnownWorker, Second, StoreError, rows},
};

type Rows<'t> = Table<'t, Place, &'static [u8]>;

pub fn commit(transaction: &WriteTransaction, second: &Second) -> Fallible<()> {
    add_keys(transaction, &second.new_keys)?;
    if !second.frames.is_empty() {
        let mut frames = transaction.open_table(FRAMES)?;
        for frame in &second.frames {
            frames.insert(frame.tick, frame.encode_to_vec().as_slice())?;
        }
    }
    if !second.attached.is_empty() || !second.gone.is_empty() {
        let mut workers = transaction.open_table(WORKERS)?;
        for KnownWorker { project, incarnation } in &second.attached {
            workers.insert((project.as_str(), &incarnation.0), ())?;
        }
        for KnownWorker { project, incarnation } in &second.gone {
            workers.remove((project.as_str(), &incarnation.0))?;
        }
    }
    Ok(())
}

pub fn fold(transaction: &WriteTransaction, hour: Hour, rows: &[(KeyId, KeyHour)]) -> Fallible<()> {
    let mut rows: Vec<_> = rows.iter().map(|(key, row)| (*key, hour, row)).collect();
    put_rows(transaction, &mut rows)?;
    drop_frames(transaction, hour.next())?;
    let mut meta = transaction.open_table(META)?;
    let until = meta.get(FOLDED_UNTIL_ROW)?.map_or(0, |row| row.value());
    meta.insert(FOLDED_UNTIL_ROW, until.max(hour.next().0.into()))?;
    Ok(())
}

pub fn put_hours(
    transaction: &WriteTransaction,
    keys: &[(KeyId, Key)],
    rows: &[(KeyId, Hour, KeyHour)],
) -> Fallible<()> {
    add_keys(transaction, keys)?;
    put_rows(transaction, &mut rows.iter().map(|(key, hour, row)| (*key, *hour, row)).collect::<Vec<_>>())
}

pub fn remove_hours(transaction: &WriteTransaction, project: &Project, hours: Range<Hour>) -> Fallible<u64> {
    let keys = read::keys_of(&transaction.open_table(KEYS)?, project)?;
    let mut removed = 0;
    for (table, counts) in [(HOURS, true), (SUMMARIES, false)] {
        let mut table = transaction.open_table(table)?;
        for (key, _) in &keys {
            table.retain_in((key.0, hours.start.0)..(key.0, hours.end.0), |_, _| {
                removed += u64::from(counts);
                false
            })?;
        }
    }
    Ok(removed)
}

pub fn change(transaction: &WriteTransaction, change: &Change) -> Fallible<()> {
    add_keys(transaction, &change.new_keys)?;
    add_limits(transaction, &change.limits)?;
    put_documents(transaction, &change.documents)?;
    add_audit(transaction, change)
}

pub fn forget(transaction: &WriteTransaction, project: &Project, change: &Change) -> Fallible<Forgotten> {
    let hours = remove_hours(transaction, project, Hour(0)..Hour(u32::MAX))?;
    let mut keys = transaction.open_table(KEYS)?;
    let forgotten = read::keys_of(&keys, project)?;
    let mut limits = transaction.open_table(LIMITS)?;
    for (key, _) in &forgotten {
        limits.retain_in((key.0, 0)..=(key.0, u32::MAX), |_, _| false)?;
    }
    raise_keys_end(transaction, keys.last()?.map_or(0, |(id, _)| id.value().saturating_add(1)))?;
    for (key, _) in &forgotten {
        keys.remove(key.0)?;
    }
    let name = project.as_str();
    let mut workers = transaction.open_table(WORKERS)?;
    workers.retain_in((name, &[0; ID_BYTES])..=(name, &[u8::MAX; ID_BYTES]), |_, _| false)?;
    drop((keys, limits, workers));
    self::change(transaction, change)?;
    Ok(Forgotten { keys: forgotten.len() as u64, hours })
}

/// Says that keys below a number were there.
pub fn raise_keys_end(transaction: &WriteTransaction, end: u32) -> Fallible<()> {
    let mut meta = transaction.open_table(META)?;
    let before = meta.get(KEYS_END_ROW)?.map_or(0, |row| row.value());
    meta.insert(KEYS_END_ROW, before.max(end.into()))?;
    Ok(())
}

fn put_documents(transaction: &WriteTransaction, put: &[Document]) -> Fallible<()> {
    let mut documents = transaction.open_table(DOCUMENTS)?;
    for Document { shelf, name, bytes } in put {
        let place = (*shelf as u8, name.as_str());
        match bytes {
            Some(bytes) => documents.insert(place, bytes.as_slice())?,
            None => documents.remove(place)?,
        };
    }
    Ok(())
}

fn add_audit(transaction: &WriteTransaction, change: &Change) -> Fallible<()> {
    let (from, rows) = (change.audit_from, &change.audit);
    if rows.is_empty() && !change.only_at_end {
        return Ok(());
    }
    let mut meta = transaction.open_table(META)?;
    let end = meta.get(AUDIT_END_ROW)?.map_or(0, |row| row.value());
    if end != from {
        return Err(StoreError::Conflict(format!("the audit log ends before row {end}, not {from}")).into());
    }
    let mut audit = transaction.open_table(AUDIT)?;
    for (number, row) in (from..).zip(rows) {
        audit.insert(number, row.as_slice())?;
    }
    meta.insert(AUDIT_END_ROW, from + rows.len() as u64)?;
    Ok(())
}

/// Writes audit rows with their numbers, and the number that comes next.
pub fn put_audit(transaction: &WriteTransaction, rows: &[(u64, Vec<u8>)], end: u64) -> Fallible<()> {
    let mut audit = transaction.open_table(AUDIT)?;
    for (number, row) in rows {
        audit.insert(number, row.as_slice())?;
    }
    transaction.open_table(META)?.insert(AUDIT_END_ROW, end)?;
    Ok(())
}

pub fn put_summaries(transaction: &WriteTransaction, rows: &[(KeyId, Hour, Option<HourSummary>)]) -> Fallible<()> {
    let mut summaries = transaction.open_table(SUMMARIES)?;
    for (key, hour, summary) in rows {
        match summary {
            Some(summary) => summaries.insert((key.0, hour.0), pack_summary(summary).as_slice())?,
            None => summaries.remove((key.0, hour.0))?,
        };
    }
    Ok(())
}

/// Drops up to `most` audit rows before a number.
pub fn drop_audit(transaction: &WriteTransaction, before: u64, most: usize) -> Fallible<u64> {
    let mut audit = transaction.open_table(AUDIT)?;
    let first = audit.first()?.map_or(before, |(number, _)| number.value());
    let end = before.min(first.saturating_add(most as u64));
    let mut dropped = 0;
    audit.retain_in(first..end.max(first), |_, _| {
        dropped += 1;
        false
    })?;
    Ok(dropped)
}

fn add_limits(transaction: &WriteTransaction, entries: &[(KeyId, LimitEntry)]) -> Fallible<()> {
    let mut limits = transaction.open_table(LIMITS)?;
    for (key, entry) in entries {
        let newest = limits.range((key.0, 0)..=(key.0, u32::MAX))?.next_back().transpose()?;
        let place = newest.map_or(0, |(row, _)| row.value().1.saturating_add(1));
        limits.insert((key.0, place), rows::encode_limit(entry).as_slice())?;
    }
    Ok(())
}

/// Removes rows by their keys; returns how many there were.
pub fn remove_rows(table: &mut Rows<'_>, rows: &[Place]) -> Fallible<u64> {
    let mut removed = 0;
    for row in rows {
        removed += u64::from(table.remove(*row)?.is_some());
    }
    Ok(removed)
}

/// Adds keys. A number that has a key keeps it: history would change hands otherwise.
fn add_keys(transaction: &WriteTransaction, new: &[(KeyId, Key)]) -> Fallible<()> {
    if new.is_empty() {
        return Ok(());
    }
    let mut keys = transaction.open_table(KEYS)?;
    for (id, key) in new {
        let row = rows::encode_key(key);
        let before = keys.insert(id.0, row.as_slice())?;
        if before.is_some_and(|before| before.value() != row) {
            return Err(Fault::damaged(format!("key {} was to become {key}, and is another", id.0)));
        }
    }
    Ok(())
}

/// Writes hours and their summaries; a gap is the absence of both. In order of keys, as the pages are.
fn put_rows(transaction: &WriteTransaction, rows: &mut [(KeyId, Hour, &KeyHour)]) -> Fallible<()> {
    rows.sort_by_key(|(key, hour, _)| (*key, *hour));
    let mut hours = transaction.open_table(HOURS)?;
    let mut summaries = transaction.open_table(SUMMARIES)?;
    for (key, hour, row) in rows {
        let place = (key.0, hour.0);
        if row.is_gap() {
            hours.remove(place)?;
            summaries.remove(place)?;
        } else {
            hours.insert(place, pack(row).as_slice())?;
            summaries.insert(place, pack_summary(&row.summary()).as_slice())?;
        }
    }
    Ok(())
}

/// Drops the frames before the start of an hour. The last of them stays when it speaks of seconds after that, too.
fn drop_frames(transaction: &WriteTransaction, hour: Hour) -> Fallible<()> {
    let mut frames = transaction.open_table(FRAMES)?;
    let mut end = hour.first_tick().0;
    let last = match frames.range(..end)?.next_back().transpose()? {
        Some((tick, bytes)) => Some((tick.value(), decode_frame(tick.value(), bytes.value())?)),
        None => None,
    };
    if let Some((tick, _)) = last.filter(|(tick, frame)| tick.saturating_add(frame.repeat) >= end) {
        end = tick;
    }
    frames.retain_in(..end, |_, _| false)?;
    Ok(())
}

pub fn decode_frame(tick: u64, bytes: &[u8]) -> Fallible<Frame> {
    Frame::decode(bytes).map_err(|error| Fault::damaged(format!("the frame of second {tick}: {error}")))
}
