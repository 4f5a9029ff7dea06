//! Which project a key is of, by the numbers that make the names of its history.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use super::{RedisStore, names::ProjectNumber};
use crate::{
    model::{KeyId, Project},
    store::{Result, StoreError, rows},
};

/// What was learned. A number is given once, so that nothing here is ever wrong, only not known yet.
#[derive(Debug, Default)]
pub struct Numbers {
    of_keys: RwLock<HashMap<KeyId, ProjectNumber>>,
    names: RwLock<HashMap<ProjectNumber, String>>,
}

impl RedisStore {
    /// The project of a key; `None` when there is no such key.
    pub(super) fn project_of(&self, key: KeyId) -> Result<Option<ProjectNumber>> {
        if let Some(number) = self.known(key) {
            return Ok(Some(number));
        }
        let row: Option<Vec<u8>> = self.link.ask(redis::cmd("HGET").arg(self.names.keys()).arg(key.0))?;
        let Some(row) = row else { return Ok(None) };
        let number = self.number_of(&rows::decode_key(&row)?.project)?;
        let Some(number) = number else { return Err(self.without_number(key)) };
        self.numbers.of_keys.write().unwrap_or_else(PoisonError::into_inner).insert(key, number);
        Ok(Some(number))
    }

    /// The projects of keys that are to have history.
    ///
    /// # Errors
    /// `Damaged` when one is not there: what would be written could not be found again.
    pub(super) fn learn(&self, keys: impl IntoIterator<Item = KeyId>) -> Result<()> {
        if keys.into_iter().all(|key| self.known(key).is_some()) {
            return Ok(());
        }
        let numbers = self.projects()?;
        let mut of_keys = self.numbers.of_keys.write().unwrap_or_else(PoisonError::into_inner);
        for (id, key) in self.read_keys()? {
            let number = numbers.get(key.project.as_str()).copied().ok_or_else(|| self.without_number(id))?;
            of_keys.insert(id, number);
        }
        Ok(())
    }

    /// The project of a key that was learned.
    pub(super) fn learned(&self, key: KeyId) -> Result<ProjectNumber> {
        let unknown = || StoreError::Damaged(format!("{}: there is no key {}", self.link.name(), key.0));
        self.known(key).ok_or_else(unknown)
    }

    /// All projects by name.
    pub(super) fn projects(&self) -> Result<HashMap<String, ProjectNumber>> {
        let numbers: HashMap<String, u32> = self.link.ask(redis::cmd("HGETALL").arg(self.names.projects()))?;
        let mut names = self.numbers.names.write().unwrap_or_else(PoisonError::into_inner);
        names.extend(numbers.iter().map(|(name, number)| (ProjectNumber(*number), name.clone())));
        Ok(numbers.into_iter().map(|(name, number)| (name, ProjectNumber(number))).collect())
    }

    /// The name of a project that has a number.
    pub(super) fn name_of(&self, project: ProjectNumber) -> Result<String> {
        let known = || self.numbers.names.read().unwrap_or_else(PoisonError::into_inner).get(&project).cloned();
        if let Some(name) = known() {
            return Ok(name);
        }
        self.projects()?;
        let unknown = || StoreError::Damaged(format!("{}: there is no project {}", self.link.name(), project.0));
        known().ok_or_else(unknown)
    }

    pub(super) fn number_of(&self, project: &Project) -> Result<Option<ProjectNumber>> {
        let ask = redis::cmd("HGET").arg(self.names.projects()).arg(project.as_str()).to_owned();
        Ok(self.link.ask::<Option<u32>>(&ask)?.map(ProjectNumber))
    }

    /// Lets go of keys that are no more: nothing is to be written for them.
    pub(super) fn unlearn(&self, is_gone: impl Fn(KeyId) -> bool) {
        self.numbers.of_keys.write().unwrap_or_else(PoisonError::into_inner).retain(|key, _| !is_gone(*key));
        self.numbers.names.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.owners.look_again();
    }

    fn known(&self, key: KeyId) -> Option<ProjectNumber> {
        self.numbers.of_keys.read().unwrap_or_else(PoisonError::into_inner).get(&key).copied()
    }

    fn without_number(&self, key: KeyId) -> StoreError {
        StoreError::Damaged(format!("{}: the project of key {} has no number", self.link.name(), key.0))
    }
}
