//! The hours of keys: written by strings of many hours, and read by few commands.

use std::{collections::BTreeMap, ops::Range};

use super::{
    RedisStore, blob,
    names::{ProjectNumber, Strand},
    scripts::PUT,
    writer::Arguments,
};
use crate::{
    history::{Peaks, pack, pack_summary, peaks_len, unpack, unpack_peaks, unpack_summary},
    model::{Hour, HourSummary, Key, KeyHour, KeyId, Project},
    store::{HourPeaks, Result, StoreError},
};

/// Strings that one step writes: the three of 500 keys. It keeps Redis for some milliseconds.
const STRINGS_A_STEP: usize = 1_500;
/// Bytes after which a step takes no more strings.
const BYTES_A_STEP: usize = 4 << 20;
/// Strings that are read at once.
const STRINGS_A_READ: usize = 500;
/// Parts of a window that are asked for by their names; in a longer one, those that there are are asked for first.
const PARTS_BY_NAME: u32 = 64;

/// A string, in the order in which they are written: those of a project together.
pub type Place = (ProjectNumber, KeyId, Strand, u32);
/// What is to be put into a string: hours within it, each with its record, or with nothing to remove it.
pub type Put = BTreeMap<u8, Vec<u8>>;
/// What is to be put into strings.
pub type Puts = BTreeMap<Place, Put>;

impl RedisStore {
    /// Writes hours and summaries; a gap is the absence of both.
    pub(super) fn put_rows<'r>(&self, rows: impl Iterator<Item = (KeyId, Hour, &'r KeyHour)> + Clone) -> Result<()> {
        self.put(&self.puts_of(rows)?)
    }

    /// What is to be put for hours and summaries.
    pub(super) fn puts_of<'r>(&self, rows: impl Iterator<Item = (KeyId, Hour, &'r KeyHour)> + Clone) -> Result<Puts> {
        self.learn(rows.clone().map(|(key, _, _)| key))?;
        let mut puts = BTreeMap::new();
        for (key, hour, row) in rows {
            let project = self.learned(key)?;
            let mut put = |strand, bytes: Option<&[u8]>| add(&mut puts, (project, key, strand), hour, bytes);
            if row.is_gap() {
                Strand::ALL.into_iter().for_each(|strand| put(strand, None));
                continue;
            }
            let bytes = pack(row);
            let (peaks, rest) = bytes.split_at(peaks_len(&bytes).map_err(|error| wrong("an hour", key, hour, error))?);
            put(Strand::Peaks, Some(peaks));
            put(Strand::Rest, Some(rest));
            put(Strand::Sums, Some(&pack_summary(&row.summary())));
        }
        Ok(puts)
    }

    pub(super) fn put_only_summaries(&self, rows: &[(KeyId, Hour, Option<HourSummary>)]) -> Result<()> {
        self.learn(rows.iter().map(|(key, ..)| *key))?;
        let mut puts = BTreeMap::new();
        for (key, hour, summary) in rows {
            let bytes = summary.as_ref().map(pack_summary);
            add(&mut puts, (self.learned(*key)?, *key, Strand::Sums), *hour, bytes.as_deref());
        }
        self.put(&puts)
    }

    pub(super) fn put(&self, puts: &Puts) -> Result<()> {
        let fence = self.writer()?.fence;
        let mut step = Vec::new();
        let mut bytes = 0;
        for (place, put) in puts {
            let full = step.len() >= STRINGS_A_STEP || bytes >= BYTES_A_STEP;
            let elsewhere = |(last, _): &(&Place, &Put)| self.link.is_cluster() && last.0 != place.0;
            if full || step.last().is_some_and(elsewhere) {
                self.put_step(fence, &std::mem::take(&mut step))?;
                bytes = 0;
            }
            bytes += put.values().map(Vec::len).sum::<usize>();
            step.push((place, put));
        }
        if step.is_empty() { Ok(()) } else { self.put_step(fence, &step) }
    }

    /// One step, of projects that lie on one node.
    fn put_step(&self, fence: u64, puts: &[(&Place, &Put)]) -> Result<()> {
        let mut projects: Vec<_> = puts.iter().map(|(place, _)| place.0).collect();
        projects.dedup();
        let projects = projects.into_iter().map(|project| self.owned(project)).collect::<Result<Vec<_>>>()?;
        self.claim(&projects)?;
        // They come after the marks of the projects.
        let mut keys: Vec<String> = Vec::new();
        let mut parts: Vec<_> = puts.iter().map(|((project, _, strand, part), _)| (*project, *strand, *part)).collect();
        parts.sort_unstable();
        parts.dedup();
        let mut arguments = Arguments::default();
        arguments.count(parts.len());
        for run in parts.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            keys.push(self.names.parts(run[0].0, run[0].1));
            for (_, _, part) in run {
                arguments.count(projects.len() + keys.len()).number(*part);
            }
        }
        arguments.count(projects.len() + keys.len() + 1);
        for ((project, key, strand, part), put) in puts {
            keys.push(self.names.part(*project, *strand, *key, *part));
            arguments.number(self.lifetime(*strand)).count(put.len());
            for (hour, record) in put.iter() {
                arguments.number(*hour).bytes(record.as_slice());
            }
        }
        self.on_hours(&PUT, fence, &projects, keys, arguments)?;
        self.note_history(&projects)?;
        self.owners.wrote(projects.into_iter().map(|(project, _)| project));
        Ok(())
    }

    fn lifetime(&self, strand: Strand) -> u64 {
        match strand {
            Strand::Peaks | Strand::Rest => self.lifetimes.points,
            Strand::Sums => self.lifetimes.summaries,
        }
    }

    /// The records of a key in a window, by hour.
    fn read(&self, key: KeyId, strand: Strand, hours: &Range<Hour>) -> Result<Vec<(Hour, Vec<u8>)>> {
        if hours.is_empty() {
            return Ok(Vec::new());
        }
        let Some(project) = self.project_of(key)? else { return Ok(Vec::new()) };
        if !self.is_of(project)? {
            return Ok(Vec::new());
        }
        let parts = self.parts(project, strand, hours)?;
        let mut found = Vec::new();
        for parts in parts.chunks(STRINGS_A_READ) {
            let names: Vec<_> = parts.iter().map(|part| self.names.part(project, strand, key, *part)).collect();
            for (part, string) in parts.iter().zip(self.link.strings(&names)?) {
                for (hour, bytes) in blob::records(&string.unwrap_or_default())? {
                    let hour = Hour(part * strand.hours() + u32::from(hour));
                    if hours.contains(&hour) {
                        found.push((hour, bytes.to_vec()));
                    }
                }
            }
        }
        Ok(found)
    }

    /// The parts of a strand that may have something of a window.
    pub(super) fn parts(&self, project: ProjectNumber, strand: Strand, hours: &Range<Hour>) -> Result<Vec<u32>> {
        let (first, last) = (hours.start.0 / strand.hours(), hours.end.0.saturating_sub(1) / strand.hours());
        if last.saturating_sub(first) < PARTS_BY_NAME {
            Ok((first..=last).collect())
        } else {
            self.parts_there(project, strand, first, last)
        }
    }

    /// The parts of a strand that a project has any of.
    pub(super) fn parts_there(
        &self,
        project: ProjectNumber,
        strand: Strand,
        first: u32,
        last: u32,
    ) -> Result<Vec<u32>> {
        let mut ask = redis::cmd("ZRANGEBYSCORE");
        self.link.ask(ask.arg(self.names.parts(project, strand)).arg(first).arg(last))
    }

    pub(super) fn read_hours(&self, key: KeyId, hours: Range<Hour>) -> Result<Vec<(Hour, KeyHour)>> {
        let peaks = self.read(key, Strand::Peaks, &hours)?;
        // Read after the peaks, which are written in the same step: of an hour that is there, both are.
        let mut rest: BTreeMap<Hour, Vec<u8>> = self.read(key, Strand::Rest, &hours)?.into_iter().collect();
        let whole = peaks.into_iter().filter_map(|(hour, peaks)| Some((hour, [peaks, rest.remove(&hour)?].concat())));
        whole
            .map(|(hour, bytes)| Ok((hour, unpack(&bytes).map_err(|error| wrong("hour", key, hour, error))?)))
            .collect()
    }

    /// An hour of many keys, by few commands. The rest is asked first: it is shorter, and mostly there is none.
    pub(super) fn read_hour_of(&self, keys: &[KeyId], hour: Hour) -> Result<Vec<(KeyId, KeyHour)>> {
        let mut found = Vec::new();
        for keys in keys.chunks(STRINGS_A_READ) {
            let rest = self.records_of(keys, Strand::Rest, hour)?;
            let keys: Vec<_> = rest.iter().map(|(key, _)| *key).collect();
            let mut peaks: BTreeMap<_, _> = self.records_of(&keys, Strand::Peaks, hour)?.into_iter().collect();
            for (key, rest) in rest {
                let Some(peaks) = peaks.remove(&key) else { continue };
                let row = unpack(&[peaks, rest].concat()).map_err(|error| wrong("hour", key, hour, error))?;
                found.push((key, row));
            }
        }
        Ok(found)
    }

    /// The records that keys have of an hour.
    fn records_of(&self, keys: &[KeyId], strand: Strand, hour: Hour) -> Result<Vec<(KeyId, Vec<u8>)>> {
        let (part, within) = (hour.0 / strand.hours(), (hour.0 % strand.hours()) as u8);
        let (mut known, mut names) = (Vec::new(), Vec::new());
        for key in keys {
            if let Some(project) = self.project_of(*key)?
                && self.is_of(project)?
            {
                known.push(*key);
                names.push(self.names.part(project, strand, *key, part));
            }
        }
        let mut found = Vec::new();
        for (key, string) in known.into_iter().zip(self.link.strings(&names)?) {
            let string = string.unwrap_or_default();
            let record = blob::records(&string)?.into_iter().find(|(hour, _)| *hour == within);
            found.extend(record.map(|(_, bytes)| (key, bytes.to_vec())));
        }
        Ok(found)
    }

    pub(super) fn read_peaks(&self, key: KeyId, hours: Range<Hour>) -> Result<Vec<HourPeaks>> {
        let rows = self.read(key, Strand::Peaks, &hours)?.into_iter().map(|(hour, bytes)| {
            let Peaks { peaks, flags, raised } =
                unpack_peaks(&bytes).map_err(|error| wrong("hour", key, hour, error))?;
            Ok(HourPeaks { hour, peaks, flags, raised })
        });
        rows.collect()
    }

    pub(super) fn read_summaries(&self, key: KeyId, hours: Range<Hour>) -> Result<Vec<(Hour, HourSummary)>> {
        let rows = self.read(key, Strand::Sums, &hours)?.into_iter().map(|(hour, bytes)| {
            Ok((hour, unpack_summary(&bytes).map_err(|error| wrong("summary", key, hour, error))?))
        });
        rows.collect()
    }

    pub(super) fn read_first_hour(&self, project: &Project, hours: Range<Hour>) -> Result<Option<(Key, Hour)>> {
        let Some(number) = self.number_of(project)?.filter(|_| !hours.is_empty()) else { return Ok(None) };
        if !self.is_ours(&(number, self.owner(project.as_str())))? {
            return Ok(None);
        }
        let keys: Vec<_> = self.read_keys()?.into_iter().filter(|(_, key)| key.project == *project).collect();
        let size = Strand::Peaks.hours();
        for part in self.parts_there(number, Strand::Peaks, hours.start.0 / size, (hours.end.0 - 1) / size)? {
            let mut first: Option<(&Key, Hour)> = None;
            for keys in keys.chunks(STRINGS_A_READ) {
                let names: Vec<_> =
                    keys.iter().map(|(id, _)| self.names.part(number, Strand::Peaks, *id, part)).collect();
                for ((_, key), string) in keys.iter().zip(self.link.strings(&names)?) {
                    let string = string.unwrap_or_default();
                    let found =
                        blob::records(&string)?.into_iter().map(|(hour, _)| Hour(part * size + u32::from(hour)));
                    let found = found.filter(|hour| hours.contains(hour)).min();
                    // Of keys with the same first hour, the one with the least number.
                    if let Some(hour) = found.filter(|hour| first.is_none_or(|(_, before)| *hour < before)) {
                        first = Some((key, hour));
                    }
                }
            }
            if let Some((key, hour)) = first {
                return Ok(Some((key.clone(), hour)));
            }
        }
        Ok(None)
    }
}

/// Adds a record to those of its string.
fn add(puts: &mut Puts, (project, key, strand): (ProjectNumber, KeyId, Strand), hour: Hour, bytes: Option<&[u8]>) {
    let (part, within) = (hour.0 / strand.hours(), (hour.0 % strand.hours()) as u8);
    let record = bytes.map(|bytes| blob::record(within, bytes)).unwrap_or_default();
    puts.entry((project, key, strand, part)).or_default().insert(within, record);
}

fn wrong(kind: &str, key: KeyId, hour: Hour, error: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged(format!("{kind} {} of key {}: {error}", hour.0, key.0))
}
