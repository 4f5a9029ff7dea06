//! What the writer remembers of what it wrote, so that a Redis that lost it gets it again: everything but history. Frames
//! and hours that are gone stay gone, and show as a gap.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::atomic::Ordering,
};

use prost::Message;

use super::{
    RedisStore,
    across::{encode_limit, encode_worker},
    doubt::Stand,
    forget::Leaving,
    hours::Puts,
    names::ProjectNumber,
    scripts::STEP,
    writer::{Arguments, Writer},
};
use crate::{
    model::{Frame, Hour, KeyHour, KeyId, Project, session::ID_BYTES},
    store::{Change, Result, Second, Shelf, StoreError, rows},
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
    /// The last number that a project was given.
    projects_end: u32,
    /// A number above those of keys that were removed.
    keys_end: u32,
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

    /// What is remembered was written again, up to this step: a store that goes back to before it has none of it.
    fn written_again(&mut self, step: u64) {
        self.frames.iter_mut().for_each(|(written, _)| *written = step);
        if self.fold.0 > 0 {
            self.fold.0 = step;
        }
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

    /// Takes over what was read from a store that is whole; seconds and a fold are not read.
    pub fn take_read(&mut self, read: Self) {
        let old = std::mem::replace(self, read);
        (self.frames, self.fold, self.forgotten) = (old.frames, old.fold, old.forgotten);
        let keys = &self.keys;
        self.fold.1.retain(|(_, key, ..), _| keys.contains_key(&key.0));
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
            let end = &mut self.projects_end;
            self.projects.entry(key.project.as_str().to_owned()).or_insert_with(|| {
                *end += 1;
                *end
            });
        }
    }

    /// The number of a project, and its keys.
    pub fn project(&self, project: &Project) -> (Option<ProjectNumber>, BTreeSet<KeyId>) {
        let keys = self.keys.iter();
        let keys = keys.filter(|(_, row)| rows::decode_key(row).is_ok_and(|key| key.project == *project));
        (self.projects.get(project.as_str()).copied().map(ProjectNumber), keys.map(|(id, _)| KeyId(*id)).collect())
    }

    /// Whether a project has this number.
    pub fn has_project(&self, name: &str, number: ProjectNumber) -> bool {
        self.projects.get(name) == Some(&number.0)
    }

    /// A number above those of all keys that there are or were.
    pub fn keys_end(&self) -> u32 {
        self.keys.last_key_value().map_or(0, |(id, _)| id.saturating_add(1)).max(self.keys_end)
    }

    pub fn raise_keys_end(&mut self, end: u32) {
        self.keys_end = self.keys_end.max(end);
    }

    /// A project that was forgotten is not written again.
    pub fn take_forgotten(&mut self, leaving: &Leaving) {
        let name = leaving.project.as_str();
        let is_gone = |key: u32| leaving.keys.contains(&KeyId(key));
        self.raise_keys_end(leaving.keys_end);
        self.projects.remove(name);
        self.keys.retain(|key, _| !is_gone(*key));
        self.limits.retain(|row| !row.first_chunk().is_some_and(|key| is_gone(u32::from_be_bytes(*key))));
        self.workers.retain(|row| row.get(ID_BYTES..) != Some(name.as_bytes()));
        self.fold.1.retain(|(_, key, ..), _| !is_gone(key.0));
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
        mirror.projects_end = self.meta_number("projects_end")?.unwrap_or(mirror.projects.len() as u32);
        mirror.keys_end = self.read_keys_end()?;
        for shelf in Shelf::ALL {
            let rows = self.read_documents(shelf)?.into_iter();
            mirror.documents.extend(rows.map(|(name, bytes)| ((shelf, name), bytes)));
        }
        let end = self.read_audit_end()?;
        let from = end.saturating_sub(MOST_AUDIT_ROWS as u64);
        mirror.take_audit(&self.read_audit(from..end, MOST_AUDIT_ROWS)?, end);
        Ok(mirror)
    }

    /// Writes again what is remembered, when the store is not as it was left; says whether that is everything. If it is not,
    /// the hours that the caller has are written, too. What is there is written over: it is what the writer knows, or older.
    /// What fails is begun again with the next call, since the step that comes last says that all is there.
    pub(super) fn restore(&self, hours: &[(KeyId, Hour, KeyHour)]) -> Result<bool> {
        let mut writer = self.writer()?;
        let Stand { reached, unfinished, .. } = self.stands(&writer)?;
        if !unfinished && reached.is_some_and(|reached| writer.has_all(reached)) {
            return Ok(true);
        }
        let whole = !unfinished && reached.is_some_and(|reached| reached >= writer.mirror.forgotten);
        tracing::warn!(store = self.link.name(), whole, "the store lost what it held: writing again what is known");
        writer.restoring = true;
        self.owners.note_again();
        writer.reopen(&self.link, &self.names)?;
        let mirror = std::mem::take(&mut writer.mirror);
        let written = self.write_mirror(&mut writer, &mirror).and_then(|()| self.remove_revived(&mut writer, &mirror));
        let decoded = |frames: &Vec<Vec<u8>>| frames.iter().map(|frame| Frame::decode(frame.as_slice())).collect();
        let seconds: std::result::Result<Vec<Vec<_>>, _> =
            mirror.frames.iter().map(|(_, frames)| decoded(frames)).collect();
        let fold = mirror.fold.1.clone();
        writer.mirror = mirror;
        drop(writer);
        // A number that was given in a step that was lost may be given to another project.
        self.unlearn(|_| true);
        written?;
        let seconds = seconds.map_err(|error| StoreError::Damaged(format!("a frame that was remembered: {error}")))?;
        for frames in seconds {
            self.send_second(&mut *self.writer()?, &Second { frames, ..Second::default() })?;
        }
        self.put(&fold)?;
        if !whole {
            self.put_rows(hours.iter().map(|(key, hour, row)| (*key, *hour, row)))?;
        }
        let mut arguments = Arguments::default();
        arguments.text("unset").text("restoring");
        let mut writer = self.writer()?;
        writer.take(&self.link, &self.names, &STEP, [self.names.meta()], arguments)?;
        let step = writer.step();
        writer.mirror.written_again(step);
        writer.restoring = false;
        // A decision whose answer was lost went with what was lost, see `doubt`.
        self.in_doubt.store(false, Ordering::Release);
        Ok(whole)
    }

    /// Removes what is there again though it was removed, after an old copy came back.
    fn remove_revived(&self, writer: &mut Writer, mirror: &Mirror) -> Result<()> {
        let names = &self.names;
        let mut remove = |name: String, from: &str, is_known: &dyn Fn(&[u8]) -> bool| -> Result<()> {
            let read = if from == "not in set" { "SMEMBERS" } else { "HKEYS" };
            let mut there: Vec<Vec<u8>> = self.link.ask(redis::cmd(read).arg(&name))?;
            there.retain(|row| !is_known(row));
            for rows in there.chunks(ROWS_A_STEP) {
                let mut arguments = Arguments::default();
                arguments.text("restore").text(from);
                rows.iter().for_each(|row| {
                    arguments.bytes(row.as_slice());
                });
                writer.take(&self.link, names, &STEP, [name.clone()], arguments)?;
            }
            Ok(())
        };
        let text = |row: &[u8]| String::from_utf8_lossy(row).into_owned();
        remove(names.workers(), "not in set", &|row| mirror.workers.contains(row))?;
        for shelf in Shelf::ALL {
            let is_known = |row: &[u8]| mirror.documents.contains_key(&(shelf, text(row)));
            remove(names.shelf(shelf), "not in hash", &is_known)?;
        }
        remove(names.keys(), "not in hash", &|row| text(row).parse().is_ok_and(|id| mirror.keys.contains_key(&id)))?;
        remove(names.projects(), "not in hash", &|row| mirror.projects.contains_key(&text(row)))
    }

    fn write_mirror(&self, writer: &mut Writer, mirror: &Mirror) -> Result<()> {
        let (names, fence) = (&self.names, writer.fence);
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
        let ends = [("keys_end", mirror.keys_end), ("projects_end", mirror.projects_end)];
        let ends = ends.map(|(name, end)| (name.into(), number(end.into())));
        hash(names.meta(), [&[(b"restoring".to_vec(), number(1))], &ends[..]].concat())?;
        // While the numbers of projects are those of the history that is there.
        self.drop_revived(fence, mirror)?;
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
