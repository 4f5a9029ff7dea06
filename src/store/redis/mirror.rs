//! What the writer remembers of what it wrote, so that a Redis that lost it gets it again: everything but history. Frames
//! and hours that are gone stay gone, and show as a gap.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use prost::Message;

use super::{
    RedisStore,
    across::{encode_limit, encode_worker},
    hours::Puts,
    scripts::STEP,
    writer::{Arguments, Writer},
};
use crate::{
    model::{Frame, Hour, KeyHour, KeyId},
    store::{Change, Result, Second, Shelf, Store as _, StoreError, rows},
};

/// Rows that one step writes again.
pub const ROWS_A_STEP: usize = 1_000;
/// Rows of the audit log that are remembered, the newest: some hundred bytes each.
const MOST_AUDIT_ROWS: usize = 10_000;
/// Steps with frames that are remembered, the newest: twice as long as a Redis that syncs each second can be behind, and
/// longer than most failovers lose. Each is some hundred kilobytes with 20,000 active meters.
const MOST_SECONDS: usize = 30;

/// What is in Redis besides history.
#[derive(Debug, Default)]
pub struct Mirror {
    keys: BTreeMap<u32, Vec<u8>>,
    projects: BTreeMap<String, u32>,
    workers: BTreeSet<Vec<u8>>,
    limits: Vec<Vec<u8>>,
    documents: BTreeMap<(Shelf, String), Vec<u8>>,
    audit: VecDeque<(u64, Vec<u8>)>,
    audit_end: u64,
    pub notes: BTreeMap<String, String>,
    folded_until: u64,
    /// The frames of the newest seconds, each with the step that wrote them: a Redis that went back by moments, as one that
    /// was killed while its disk was a second behind, gets all of them again.
    frames: VecDeque<(u64, Vec<Vec<u8>>)>,
    /// The hours of the last fold, and its step.
    fold: (u64, Puts),
    /// The newest step of which frames or hours are not remembered any more.
    forgotten: u64,
}

impl Mirror {
    pub fn take_second(&mut self, step: u64, second: &Second) {
        if !second.frames.is_empty() {
            self.frames.push_back((step, second.frames.iter().map(Message::encode_to_vec).collect()));
        }
        while self.frames.len() > MOST_SECONDS {
            self.forgotten = self.frames.pop_front().map_or(0, |(step, _)| step).max(self.forgotten);
        }
        self.take_keys(&second.new_keys);
        self.workers.extend(second.attached.iter().map(encode_worker));
        second.gone.iter().for_each(|worker| {
            self.workers.remove(&encode_worker(worker));
        });
    }

    pub fn take_fold(&mut self, step: u64, hour: Hour, puts: Puts) {
        self.folded_until = self.folded_until.max(u64::from(hour.next().0));
        self.forgotten = self.forgotten.max(self.fold.0);
        self.fold = (step, puts);
    }

    pub fn take_change(&mut self, change: &Change) {
        self.take_keys(&change.new_keys);
        self.limits.extend(change.limits.iter().map(|(key, entry)| encode_limit(*key, entry)));
        for document in &change.documents {
            let place = (document.shelf, document.name.clone());
            match &document.bytes {
                Some(bytes) => self.documents.insert(place, bytes.clone()),
                None => self.documents.remove(&place),
            };
        }
        if !change.audit.is_empty() {
            let rows: Vec<_> = (change.audit_from..).zip(change.audit.iter().cloned()).collect();
            self.take_audit(&rows, change.audit_from + change.audit.len() as u64);
        }
    }

    pub fn take_audit(&mut self, rows: &[(u64, Vec<u8>)], end: u64) {
        self.audit.extend(rows.iter().cloned());
        self.audit.drain(..self.audit.len().saturating_sub(MOST_AUDIT_ROWS));
        self.audit_end = end;
    }

    /// Numbers are given as `add_keys` of `guard.lua` gives them.
    fn take_keys(&mut self, keys: &[(KeyId, crate::model::Key)]) {
        for (id, key) in keys {
            self.keys.insert(id.0, rows::encode_key(key));
            let next = self.projects.len() as u32 + 1;
            self.projects.entry(key.project.as_str().to_owned()).or_insert(next);
        }
    }
}

impl RedisStore {
    /// What is there when the store is opened.
    pub(super) fn read_mirror(&self) -> Result<Mirror> {
        let mut mirror = Mirror {
            keys: self.link.ask(redis::cmd("HGETALL").arg(self.names.keys()))?,
            projects: self.link.ask(redis::cmd("HGETALL").arg(self.names.projects()))?,
            workers: self.link.ask(redis::cmd("SMEMBERS").arg(self.names.workers()))?,
            limits: self.link.ask(redis::cmd("LRANGE").arg(self.names.limits()).arg(0).arg(-1))?,
            notes: self.link.ask(redis::cmd("HGETALL").arg(self.names.notes()))?,
            folded_until: self.meta("folded_until")?.unwrap_or_default(),
            ..Mirror::default()
        };
        for shelf in Shelf::ALL {
            let rows = self.read_documents(shelf)?.into_iter();
            mirror.documents.extend(rows.map(|(name, bytes)| ((shelf, name), bytes)));
        }
        let end = self.audit_end()?;
        let from = end.saturating_sub(MOST_AUDIT_ROWS as u64);
        mirror.take_audit(&self.read_audit(from..end, MOST_AUDIT_ROWS)?, end);
        Ok(mirror)
    }

    /// Writes again what is remembered, when the store is not as it was left; says whether that is everything. If it is not,
    /// the hours that the caller has are written, too. What is there is written over: it is what the writer knows, or older.
    /// What fails is begun again with the next call, since the step that comes last says that all is there.
    pub(super) fn restore(&self, hours: &[(KeyId, Hour, KeyHour)]) -> Result<bool> {
        let mut writer = self.writer()?;
        let mut ask = redis::cmd("HMGET");
        let meta: Vec<Option<Vec<u8>>> =
            self.link.ask(ask.arg(self.names.meta()).arg(&["id", "fence", "step", "restoring"]))?;
        let unfinished = meta.get(3).is_some_and(Option::is_some);
        let reached = writer.reached(&self.link, &meta)?;
        if !unfinished && reached.is_some_and(|reached| writer.has_all(reached)) {
            return Ok(true);
        }
        let whole = !unfinished && reached.is_some_and(|reached| reached >= writer.mirror.forgotten);
        tracing::warn!(store = self.link.name(), whole, "the store lost what it held: writing again what is known");
        writer.reopen(&self.link, &self.names)?;
        let mirror = std::mem::take(&mut writer.mirror);
        let written = self.write_mirror(&mut writer, &mirror);
        let frames = mirror.frames.iter().flat_map(|(_, frames)| frames).map(|frame| Frame::decode(frame.as_slice()));
        let frames = frames.collect::<std::result::Result<Vec<_>, _>>();
        let (fold, forgotten) = (mirror.fold.1.clone(), mirror.forgotten);
        writer.mirror = mirror;
        drop(writer);
        written?;
        let frames = frames.map_err(|error| StoreError::Damaged(format!("a frame that was remembered: {error}")))?;
        self.write_second(&Second { frames, ..Second::default() })?;
        self.put(&fold)?;
        if !whole {
            self.put_rows(hours.iter().map(|(key, hour, row)| (*key, *hour, row)))?;
        }
        let mut arguments = Arguments::default();
        arguments.text("unset").text("restoring");
        let mut writer = self.writer()?;
        // The same frames are remembered twice until the older ones are forgotten.
        writer.mirror.forgotten = forgotten;
        writer.take(&self.link, &self.names, &STEP, [self.names.meta()], arguments)?;
        Ok(whole)
    }

    fn write_mirror(&self, writer: &mut Writer, mirror: &Mirror) -> Result<()> {
        let names = &self.names;
        let mut hash = |name: String, rows: Vec<(Vec<u8>, Vec<u8>)>| -> Result<()> {
            for rows in rows.chunks(ROWS_A_STEP) {
                let mut arguments = Arguments::default();
                arguments.text("restore").text("hash");
                rows.iter().for_each(|(field, value)| {
                    arguments.bytes(field.clone()).bytes(value.clone());
                });
                writer.take(&self.link, names, &STEP, [name.clone()], arguments)?;
            }
            Ok(())
        };
        let number = |number: u64| number.to_string().into_bytes();
        hash(names.meta(), vec![(b"restoring".to_vec(), number(1))])?;
        hash(
            names.projects(),
            mirror.projects.iter().map(|(n, id)| (n.clone().into(), number((*id).into()))).collect(),
        )?;
        hash(names.keys(), mirror.keys.iter().map(|(id, row)| (number((*id).into()), row.clone())).collect())?;
        hash(names.notes(), mirror.notes.iter().map(|(n, v)| (n.clone().into(), v.clone().into())).collect())?;
        for shelf in Shelf::ALL {
            let of_shelf = mirror.documents.iter().filter(|((on, _), _)| *on == shelf);
            hash(names.shelf(shelf), of_shelf.map(|((_, n), bytes)| (n.clone().into(), bytes.clone())).collect())?;
        }
        hash(names.audit(), mirror.audit.iter().map(|(n, row)| (number(*n), row.clone())).collect())?;
        let mut meta = vec![(b"audit_end".to_vec(), number(mirror.audit_end))];
        if let Some((first, _)) = mirror.audit.front() {
            meta.push((b"audit_from".to_vec(), number(*first)));
        }
        if mirror.folded_until > 0 {
            meta.push((b"folded_until".to_vec(), number(mirror.folded_until)));
        }
        hash(names.meta(), meta)?;
        let workers: Vec<_> = mirror.workers.iter().cloned().collect();
        for workers in workers.chunks(ROWS_A_STEP) {
            let mut arguments = Arguments::default();
            arguments.text("restore").text("set");
            workers.iter().for_each(|worker| {
                arguments.bytes(worker.as_slice());
            });
            writer.take(&self.link, names, &STEP, [names.workers()], arguments)?;
        }
        let mut kind = "new list";
        for limits in mirror.limits.chunks(ROWS_A_STEP) {
            let mut arguments = Arguments::default();
            arguments.text("restore").text(kind);
            limits.iter().for_each(|limit| {
                arguments.bytes(limit.as_slice());
            });
            writer.take(&self.link, names, &STEP, [names.limits()], arguments)?;
            kind = "list";
        }
        Ok(())
    }
}
