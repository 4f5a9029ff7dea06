//! The end of a project: its history first, on its node, and last what is across projects, in one step with the change that
//! tells of it. One that is cut off in between is begun again, and finds what is left.

use std::collections::BTreeSet;

use super::{
    RedisStore,
    mirror::Mirror,
    names::{ProjectNumber, Strand},
    owner::Owned,
    retain::STRINGS_A_STEP,
    scripts::{DROP, STEP},
    writer::{Arguments, Writer},
};
use crate::{
    model::{KeyId, Project},
    store::{Change, Forgotten, Result, StoreError},
};

/// How long the fence of a project that is no more stays, in seconds: longer than any writer that was replaced is paused.
const FENCE_SECONDS: u64 = 24 * 3_600;

/// A project that is to be forgotten.
#[derive(Debug)]
pub struct Leaving {
    pub project: Project,
    pub keys: BTreeSet<KeyId>,
    /// A number above those of all keys that there are or were.
    pub keys_end: u32,
}

impl RedisStore {
    pub(super) fn forget_project(&self, project: &Project, change: &Change) -> Result<Forgotten> {
        self.check_end(change)?;
        // The lock is not held while history goes: seconds are written meanwhile.
        let (fence, number, keys) = self.leaving(&*self.writer()?, project)?;
        let hours = match number {
            Some(number) => {
                let owned = (number, self.owner(project.as_str()));
                self.claim(std::slice::from_ref(&owned))?;
                self.drop_history(fence, &owned, &keys)?
            }
            None => 0,
        };
        let mut writer = self.settled()?;
        // Asked again: no key may stay whose project has no number.
        let (_, _, keys) = self.leaving(&writer, project)?;
        let keys_end = writer.mirror.keys_end().max(self.read_keys_end()?);
        let leaving = Leaving { project: project.clone(), keys, keys_end };
        let take = |writer: &mut Writer| self.take_change(writer, change, Some(&leaving));
        self.decided(&mut writer, take, |writer| {
            writer.mirror.take_forgotten(&leaving);
            writer.mirror.take_change(change);
        })?;
        drop(writer);
        self.unlearn(|key| leaving.keys.contains(&key));
        number.into_iter().for_each(|number| self.end_fence(number));
        Ok(Forgotten { keys: leaving.keys.len() as u64, hours })
    }

    /// Before anything is removed: is this still the writer, and does the audit log end where the change says?
    fn check_end(&self, change: &Change) -> Result<()> {
        let mut arguments = Arguments::default();
        let end = if change.audit.is_empty() { self.meta("audit_end")?.unwrap_or_default() } else { change.audit_from };
        arguments.text("audit_ends").number(end);
        self.settled()?.take(&self.link, &self.names, &STEP, [self.names.audit()], arguments)?;
        Ok(())
    }

    /// The fence of the writer, and the number and keys of a project: those that are there, and those that are remembered,
    /// since a step that removed them may have been taken while its answer was lost.
    fn leaving(&self, writer: &Writer, project: &Project) -> Result<(u64, Option<ProjectNumber>, BTreeSet<KeyId>)> {
        let there = self.number_of(project)?;
        let keys_there = self.read_keys()?.into_iter().filter(|(_, key)| key.project == *project).map(|(id, _)| id);
        let (number, mut keys) = writer.mirror.project(project);
        keys.extend(keys_there);
        Ok((writer.fence, there.or(number), keys))
    }

    /// Removes all history of a project; returns how many hours it had.
    fn drop_history(&self, fence: u64, owned: &Owned, keys: &BTreeSet<KeyId>) -> Result<u64> {
        let project = owned.0;
        let keys: Vec<_> = keys.iter().copied().collect();
        let mut hours = 0;
        for strand in Strand::ALL {
            for part in self.parts_there(project, strand, 0, u32::MAX)? {
                for keys in keys.chunks(STRINGS_A_STEP) {
                    let names = keys.iter().map(|key| self.names.part(project, strand, *key, part));
                    let dropped = self.drop_step(fence, owned, names)?;
                    hours += if strand == Strand::Peaks { dropped } else { 0 };
                }
            }
        }
        // Last, since they say which strings there are.
        self.drop_step(fence, owned, Strand::ALL.map(|strand| self.names.parts(project, strand)))?;
        Ok(hours)
    }

    fn drop_step(&self, fence: u64, owned: &Owned, names: impl IntoIterator<Item = String>) -> Result<u64> {
        let dropped = self.on_hours(&DROP, fence, std::slice::from_ref(owned), names, Arguments::default())?;
        redis::from_redis_value(dropped).map_err(|error| StoreError::Damaged(error.to_string()))
    }

    /// The fence of a project that is no more ends by itself. One that stays, since Redis was away just now, is a number that
    /// nobody reads.
    fn end_fence(&self, project: ProjectNumber) {
        self.owners.forget(project);
        let mut end = redis::cmd("EXPIRE");
        if let Err(error) = self.link.ask::<u64>(end.arg(self.names.fence(project)).arg(FENCE_SECONDS)) {
            tracing::debug!(%error, "the fence of a project that was forgotten stays");
        }
    }

    /// Removes the history of projects that were forgotten and are there again, as in an old copy of Redis.
    pub(super) fn drop_revived(&self, fence: u64, mirror: &Mirror) -> Result<()> {
        let revived: Vec<_> =
            self.projects()?.into_iter().filter(|(name, number)| !mirror.has_project(name, *number)).collect();
        if revived.is_empty() {
            return Ok(());
        }
        let keys = self.read_keys()?;
        for (name, number) in revived {
            let of_project = keys.iter().filter(|(_, key)| key.project.as_str() == name).map(|(id, _)| *id);
            let owned = (number, self.owner(&name));
            // The number may be another's by now, on a node that did not go back.
            if self.is_ours(&owned)? {
                self.drop_history(fence, &owned, &of_project.collect())?;
                self.end_fence(number);
            }
        }
        Ok(())
    }
}
