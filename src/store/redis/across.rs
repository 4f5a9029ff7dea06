//! What is across projects, read and written: keys, frames, workers, decisions, documents, the audit log and notes.

use std::{collections::BTreeMap, ops::Range};

use prost::Message;

use super::{
    RedisStore,
    forget::Leaving,
    hours::Puts,
    scripts::{CHANGE, COMMIT, FOLD, STEP},
    writer::{Arguments, Writer},
};
use crate::{
    model::{Frame, Hour, Incarnation, Key, KeyId, LimitEntry, Project, session::ID_BYTES, time::SECONDS_PER_HOUR},
    store::{Change, KnownWorker, Result, Second, Shelf, StoreError, rows},
};

/// Most audit rows that one call drops.
const DROP_ROWS: u64 = 2_000;

impl RedisStore {
    /// A number of the meta row.
    pub(super) fn meta(&self, field: &str) -> Result<Option<u64>> {
        self.link.ask(redis::cmd("HGET").arg(self.names.meta()).arg(field))
    }

    pub(super) fn read_keys(&self) -> Result<Vec<(KeyId, Key)>> {
        let rows: Vec<(u32, Vec<u8>)> = self.link.ask(redis::cmd("HGETALL").arg(self.names.keys()))?;
        let mut keys = Vec::with_capacity(rows.len());
        for (id, row) in rows {
            keys.push((KeyId(id), rows::decode_key(&row)?));
        }
        keys.sort_unstable_by_key(|(id, _)| *id);
        Ok(keys)
    }

    /// A number above those of all keys that there are or were.
    pub(super) fn read_keys_end(&self) -> Result<u32> {
        // In this order: keys that are removed in between are then below what is read after them.
        let keys: Vec<u32> = self.link.ask(redis::cmd("HKEYS").arg(self.names.keys()))?;
        let end = keys.into_iter().max().map_or(0, |id| id.saturating_add(1));
        Ok(end.max(self.meta_number("keys_end")?.unwrap_or_default()))
    }

    /// A number of the meta row that is no more than 32 bits long.
    pub(super) fn meta_number(&self, field: &str) -> Result<Option<u32>> {
        let out_of_range = |_| StoreError::Damaged(format!("{field} is out of range"));
        self.meta(field)?.map(u32::try_from).transpose().map_err(out_of_range)
    }

    pub(super) fn raise_keys_end(&self, end: u32) -> Result<()> {
        let end = end.max(self.read_keys_end()?);
        let mut arguments = Arguments::default();
        arguments.text("HSET").text("keys_end").number(end);
        let mut writer = self.settled()?;
        writer.take(&self.link, &self.names, &STEP, [self.names.meta()], arguments)?;
        writer.mirror.raise_keys_end(end);
        Ok(())
    }

    pub(super) fn write_second(&self, second: &Second) -> Result<()> {
        self.take_second(&mut *self.settled()?, second)
    }

    pub(super) fn take_second(&self, writer: &mut Writer, second: &Second) -> Result<()> {
        self.send_second(writer, second)?;
        let step = writer.step();
        writer.mirror.take_second(step, second);
        Ok(())
    }

    /// Writes a second, which the mirror knows already, or is told of next.
    pub(super) fn send_second(&self, writer: &mut Writer, second: &Second) -> Result<()> {
        let mut by_hour: BTreeMap<u64, Vec<&Frame>> = BTreeMap::new();
        for frame in &second.frames {
            by_hour.entry(frame.tick / SECONDS_PER_HOUR).or_default().push(frame);
        }
        let mut keys = vec![self.names.keys(), self.names.projects(), self.names.workers(), self.names.frame_hours()];
        keys.extend(by_hour.keys().map(|hour| self.names.frames(*hour)));
        let mut arguments = Arguments::default();
        add_keys(&mut arguments, &second.new_keys);
        arguments.number(self.lifetimes.points);
        for (hour, frames) in by_hour {
            arguments.number(hour).count(frames.len());
            for frame in frames {
                arguments.number(frame.tick).bytes(encode_frame(frame));
            }
        }
        for workers in [&second.attached, &second.gone] {
            arguments.count(workers.len());
            for worker in workers {
                arguments.bytes(encode_worker(worker));
            }
        }
        writer.take(&self.link, &self.names, &COMMIT, keys, arguments).map(drop)
    }

    pub(super) fn read_frames(&self) -> Result<Vec<Frame>> {
        let mut ask = redis::cmd("ZRANGE");
        let hours: Vec<u64> = self.link.ask(ask.arg(self.names.frame_hours()).arg(0).arg(-1))?;
        let mut frames = Vec::new();
        for hour in hours {
            let rows: Vec<(u64, Vec<u8>)> = self.link.ask(redis::cmd("HGETALL").arg(self.names.frames(hour)))?;
            for (tick, row) in rows {
                frames.push(decode_frame(tick, &row)?);
            }
        }
        frames.sort_unstable_by_key(|frame| frame.tick);
        Ok(frames)
    }

    /// Lets the frames before the end of an hour go, and says that it is folded.
    pub(super) fn end_fold(&self, hour: Hour, puts: Puts) -> Result<()> {
        let mut ask = redis::cmd("ZRANGEBYSCORE");
        let hours: Vec<u64> = self.link.ask(ask.arg(self.names.frame_hours()).arg("-inf").arg(hour.0))?;
        let mut keys = vec![self.names.frame_hours()];
        keys.extend(hours.iter().map(|hour| self.names.frames(*hour)));
        let mut arguments = Arguments::default();
        arguments.number(hour.next().0).number(hour.next().first_tick().0);
        hours.iter().for_each(|hour| {
            arguments.number(*hour);
        });
        let mut writer = self.settled()?;
        writer.take(&self.link, &self.names, &FOLD, keys, arguments)?;
        let step = writer.step();
        writer.mirror.take_fold(step, hour, puts);
        Ok(())
    }

    pub(super) fn read_workers(&self) -> Result<Vec<KnownWorker>> {
        let rows: Vec<Vec<u8>> = self.link.ask(redis::cmd("SMEMBERS").arg(self.names.workers()))?;
        let mut workers = rows.iter().map(|row| decode_worker(row)).collect::<Result<Vec<_>>>()?;
        workers.sort_unstable();
        Ok(workers)
    }

    pub(super) fn read_limits(&self) -> Result<Vec<(KeyId, LimitEntry)>> {
        let mut ask = redis::cmd("LRANGE");
        let rows: Vec<Vec<u8>> = self.link.ask(ask.arg(self.names.limits()).arg(0).arg(-1))?;
        rows.iter().map(|row| decode_limit(row)).collect()
    }

    pub(super) fn write_change(&self, change: &Change) -> Result<()> {
        let mut writer = self.settled()?;
        let take = |writer: &mut Writer| self.take_change(writer, change, None);
        self.decided(&mut writer, take, |writer| writer.mirror.take_change(change))
    }

    /// Writes a change, and before it the end of a project.
    pub(super) fn take_change(&self, writer: &mut Writer, change: &Change, leaving: Option<&Leaving>) -> Result<()> {
        let mut shelves: BTreeMap<Shelf, Vec<_>> = BTreeMap::new();
        for document in &change.documents {
            shelves.entry(document.shelf).or_default().push(document);
        }
        let names = &self.names;
        let mut keys = vec![names.keys(), names.projects(), names.limits(), names.audit(), names.workers()];
        let mut arguments = Arguments::default();
        arguments.count(leaving.iter().count());
        if let Some(Leaving { project, keys, keys_end, .. }) = leaving {
            arguments.text(project.as_str()).number(*keys_end).count(keys.len());
            keys.iter().for_each(|key| {
                arguments.number(key.0);
            });
        }
        add_keys(&mut arguments, &change.new_keys);
        arguments.number(change.audit_from).number(change.only_at_end).count(change.audit.len());
        change.audit.iter().for_each(|row| {
            arguments.bytes(row.as_slice());
        });
        arguments.count(change.limits.len());
        change.limits.iter().for_each(|(key, entry)| {
            arguments.bytes(encode_limit(*key, entry));
        });
        for document in shelves.values().flatten() {
            // A shelf once for each document: they may be many, and the same may be changed twice.
            keys.push(names.shelf(document.shelf));
            let is_there = u64::from(document.bytes.is_some());
            arguments.text(&document.name).number(is_there).bytes(document.bytes.clone().unwrap_or_default());
        }
        writer.take(&self.link, names, &CHANGE, keys, arguments)?;
        Ok(())
    }

    pub(super) fn read_documents(&self, shelf: Shelf) -> Result<Vec<(String, Vec<u8>)>> {
        let mut rows: Vec<(String, Vec<u8>)> = self.link.ask(redis::cmd("HGETALL").arg(self.names.shelf(shelf)))?;
        rows.sort_unstable();
        Ok(rows)
    }

    pub(super) fn read_audit_end(&self) -> Result<u64> {
        Ok(self.meta("audit_end")?.unwrap_or_default())
    }

    pub(super) fn read_audit(&self, rows: Range<u64>, most: usize) -> Result<Vec<(u64, Vec<u8>)>> {
        let start = rows.start.max(self.meta("audit_from")?.unwrap_or_default());
        let end = rows.end.min(self.meta("audit_end")?.unwrap_or_default());
        let numbers: Vec<u64> = (start..end).take(most).collect();
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        let found: Vec<Option<Vec<u8>>> =
            self.link.ask(redis::cmd("HMGET").arg(self.names.audit()).arg(numbers.as_slice()))?;
        Ok(numbers.into_iter().zip(found).filter_map(|(number, row)| Some((number, row?))).collect())
    }

    pub(super) fn drop_audit_rows(&self, before: u64) -> Result<u64> {
        let mut arguments = Arguments::default();
        arguments.text("drop_audit").number(before).number(DROP_ROWS);
        let dropped = self.settled()?.take(&self.link, &self.names, &STEP, [self.names.audit()], arguments)?;
        redis::from_redis_value(dropped).map_err(|error| StoreError::Damaged(error.to_string()))
    }

    /// Rows with the numbers that they had in another store.
    pub(super) fn write_audit(&self, rows: &[(u64, Vec<u8>)], end: u64) -> Result<()> {
        let mut writer = self.settled()?;
        for rows in rows.chunks(super::mirror::ROWS_A_STEP) {
            let mut arguments = Arguments::default();
            arguments.text("restore").text("hash");
            rows.iter().for_each(|(number, row)| {
                arguments.number(*number).bytes(row.as_slice());
            });
            writer.take(&self.link, &self.names, &STEP, [self.names.audit()], arguments)?;
        }
        let first = rows.first().map_or(end, |(number, _)| *number);
        for (field, number) in [("audit_from", first), ("audit_end", end)] {
            let mut arguments = Arguments::default();
            arguments.text("HSET").text(field).number(number);
            writer.take(&self.link, &self.names, &STEP, [self.names.meta()], arguments)?;
        }
        writer.mirror.take_audit(rows, end);
        Ok(())
    }

    pub(super) fn read_note(&self, name: &str) -> Result<Option<String>> {
        self.link.ask(redis::cmd("HGET").arg(self.names.notes()).arg(name))
    }

    pub(super) fn read_notes(&self) -> Result<Vec<(String, String)>> {
        let mut notes: Vec<(String, String)> = self.link.ask(redis::cmd("HGETALL").arg(self.names.notes()))?;
        notes.sort_unstable();
        Ok(notes)
    }

    pub(super) fn write_note(&self, name: &str, value: &str) -> Result<()> {
        let mut arguments = Arguments::default();
        arguments.text("HSET").text(name).text(value);
        let mut writer = self.settled()?;
        let take = |writer: &mut Writer| {
            writer.take(&self.link, &self.names, &STEP, [self.names.notes()], arguments).map(drop)
        };
        self.decided(&mut writer, take, |writer| drop(writer.mirror.notes.insert(name.to_owned(), value.to_owned())))
    }
}

fn add_keys(arguments: &mut Arguments, keys: &[(KeyId, Key)]) {
    arguments.count(keys.len());
    for (id, key) in keys {
        arguments.number(id.0).bytes(rows::encode_key(key)).text(key.project.as_str());
    }
}

/// A frame after the last second that it speaks of, which a fold asks for.
fn encode_frame(frame: &Frame) -> Vec<u8> {
    let mut row = format!("{} ", frame.tick.saturating_add(frame.repeat)).into_bytes();
    frame.encode(&mut row).expect("OK because a vector takes any number of bytes");
    row
}

fn decode_frame(tick: u64, row: &[u8]) -> Result<Frame> {
    let wrong = |what: String| StoreError::Damaged(format!("the frame of second {tick}: {what}"));
    let space = row.iter().position(|byte| *byte == b' ').ok_or_else(|| wrong("it has no end".to_owned()))?;
    Frame::decode(&row[space + 1..]).map_err(|error| wrong(error.to_string()))
}

pub fn encode_worker(worker: &KnownWorker) -> Vec<u8> {
    [worker.incarnation.0.as_slice(), worker.project.as_str().as_bytes()].concat()
}

fn decode_worker(row: &[u8]) -> Result<KnownWorker> {
    let wrong = || StoreError::Damaged("a worker".to_owned());
    let (incarnation, project) = row.split_first_chunk::<ID_BYTES>().ok_or_else(wrong)?;
    let project = std::str::from_utf8(project).ok().and_then(|name| Project::new(name).ok()).ok_or_else(wrong)?;
    Ok(KnownWorker { project, incarnation: Incarnation(*incarnation) })
}

pub fn encode_limit(key: KeyId, entry: &LimitEntry) -> Vec<u8> {
    [key.0.to_be_bytes().as_slice(), &rows::encode_limit(entry)].concat()
}

fn decode_limit(row: &[u8]) -> Result<(KeyId, LimitEntry)> {
    let (key, entry) = row.split_first_chunk().ok_or_else(|| StoreError::Damaged("a limit".to_owned()))?;
    Ok((KeyId(u32::from_be_bytes(*key)), rows::decode_limit(entry)?))
}
