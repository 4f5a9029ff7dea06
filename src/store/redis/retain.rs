//! Removing hours: those that are too old, and those that an import is to replace. Redis drops by itself what nobody
//! writes any more; this is to the hour.

use std::ops::Range;

use super::{
    RedisStore,
    names::{ProjectNumber, Strand},
    scripts::{STEP, TRIM, UNLIST},
    writer::Arguments,
};
use crate::{
    model::{Hour, KeyId, Project},
    store::{Removed, Result, StoreError},
};

/// Strings that one step looks at.
pub const STRINGS_A_STEP: usize = 500;
/// Rows after which a call of [`RedisStore::remove_old`] ends: the second after it is not kept waiting.
const RETAIN_ROWS: u64 = 2_000;

impl RedisStore {
    pub(super) fn remove_rows(&self, project: &Project, hours: Range<Hour>) -> Result<u64> {
        self.check_writer()?;
        let Some(number) = self.number_of(project)?.filter(|_| !hours.is_empty()) else { return Ok(0) };
        if !self.is_ours(&(number, self.owner(project.as_str())))? {
            return Ok(0);
        }
        let keys = self.read_keys()?.into_iter().filter(|(_, key)| key.project == *project);
        let keys: Vec<_> = keys.map(|(id, _)| id).collect();
        let mut removed = 0;
        for strand in Strand::ALL {
            let size = strand.hours();
            for part in self.parts_there(number, strand, hours.start.0 / size, (hours.end.0 - 1) / size)? {
                for keys in keys.chunks(STRINGS_A_STEP) {
                    let trimmed = self.trim(number, strand, part, keys, &hours)?;
                    removed += if strand == Strand::Peaks { trimmed } else { 0 };
                }
            }
        }
        Ok(removed)
    }

    pub(super) fn remove_old(&self, hours_from: Hour, summaries_from: Hour) -> Result<Removed> {
        self.check_writer()?;
        let numbers = self.projects()?;
        let mut keys = Vec::new();
        for (id, key) in self.read_keys()? {
            let number = numbers.get(key.project.as_str()).copied();
            keys.push((number.ok_or_else(|| StoreError::Damaged(format!("key {} has no project", id.0)))?, id));
        }
        keys.sort_unstable();
        let mut removed = Removed::default();
        for strand in Strand::ALL {
            let from = if strand == Strand::Sums { summaries_from } else { hours_from };
            for of_project in keys.chunk_by(|a, b| a.0 == b.0) {
                let ids: Vec<_> = of_project.iter().map(|(_, id)| *id).collect();
                let mut trimmed = self.trim_project(of_project[0].0, strand, &ids, from)?;
                match strand {
                    Strand::Peaks => removed.hours += trimmed,
                    Strand::Sums => removed.summaries += trimmed,
                    // As many as of the peaks, which were bounded: all of them, since they are not counted.
                    Strand::Rest => {
                        while trimmed >= RETAIN_ROWS {
                            trimmed = self.trim_project(of_project[0].0, strand, &ids, from)?;
                        }
                    }
                }
                if removed.hours.max(removed.summaries) >= RETAIN_ROWS {
                    return Ok(removed);
                }
            }
        }
        Ok(removed)
    }

    /// Removes what a project has before an hour, about [`RETAIN_ROWS`] of it.
    fn trim_project(&self, project: ProjectNumber, strand: Strand, keys: &[KeyId], from: Hour) -> Result<u64> {
        if from.0 == 0 || !self.is_of(project)? {
            return Ok(0);
        }
        let mut removed = 0;
        for part in self.parts_there(project, strand, 0, (from.0 - 1) / strand.hours())? {
            for keys in keys.chunks(STRINGS_A_STEP) {
                removed += self.trim(project, strand, part, keys, &(Hour(0)..from))?;
                if removed >= RETAIN_ROWS {
                    return Ok(removed);
                }
            }
            if (part + 1) * strand.hours() <= from.0 {
                let mut arguments = Arguments::default();
                arguments.number(part);
                let (fence, owned) = (self.writer()?.fence, self.owned(project)?);
                self.on_hours(&UNLIST, fence, &[owned], [self.names.parts(project, strand)], arguments)?;
            }
        }
        Ok(removed)
    }

    /// Before anything is removed: is this still the writer? The fence of a project says so only once the newer one wrote
    /// to it.
    fn check_writer(&self) -> Result<()> {
        let mut arguments = Arguments::default();
        arguments.text("holds").text("");
        self.settled()?.take(&self.link, &self.names, &STEP, [self.names.notes()], arguments)?;
        Ok(())
    }

    /// Removes a window of hours from a part of some keys; returns how many records went.
    fn trim(
        &self,
        project: ProjectNumber,
        strand: Strand,
        part: u32,
        keys: &[KeyId],
        hours: &Range<Hour>,
    ) -> Result<u64> {
        let first = part * strand.hours();
        let within = |hour: Hour| hour.0.saturating_sub(first).min(strand.hours());
        let mut arguments = Arguments::default();
        arguments.number(within(hours.start)).number(within(hours.end));
        let (fence, owned) = (self.writer()?.fence, self.owned(project)?);
        let names = keys.iter().map(|key| self.names.part(project, strand, *key, part));
        let removed = self.on_hours(&TRIM, fence, &[owned], names, arguments)?;
        redis::from_redis_value(removed).map_err(|error| StoreError::Damaged(error.to_string()))
    }
}
