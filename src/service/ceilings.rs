//! The write-ahead ceilings: for each level that is enforced, how many slots may be held as far as the store knows. It is
//! raised before more is granted, so that a service that was killed knows what its workers may hold.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    error::Error,
    live::Tally,
    model::{Incarnation, KeyId, Now, Project},
    service::{Service, enforcement::record},
    store::{Change, Document, KnownWorker, Second, Shelf, Store, StoreError},
};

/// A ceiling is this far above what is held, at least: so many more may come within a second or two without waiting.
const LEAST_STEP: u32 = 8;
/// The same, as a part of the limit.
const STEP_OF_LIMIT: u32 = 16;
/// A ceiling this many steps above what is held is lowered.
const MOST_STEPS: u32 = 4;

/// What the store knows.
#[derive(Debug, Default)]
pub struct Ceilings {
    /// Held while the store is told.
    known: Mutex<HashMap<KeyId, u32>>,
}

impl Ceilings {
    /// Those of a store.
    ///
    /// # Errors
    /// When they can't be read.
    pub fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let mut known = HashMap::new();
        for (name, bytes) in store.documents(Shelf::Ceilings)? {
            let (key, slots) = record::decode_ceiling(&name, &bytes)?;
            known.insert(key, slots);
        }
        Ok(Self { known: Mutex::new(known) })
    }

    /// What the store knows may be held of a key.
    pub fn of(&self, key: KeyId) -> u32 {
        self.locked().get(&key).copied().unwrap_or(0)
    }

    /// Those of keys that are removed, as removed.
    pub(super) fn removed(&self, keys: &[KeyId]) -> Vec<Document> {
        let known = self.locked();
        keys.iter().filter(|key| known.contains_key(key)).map(|key| record::ceiling_document(*key, None)).collect()
    }

    pub(super) fn forget(&self, keys: &[KeyId]) {
        self.locked().retain(|key, _| !keys.contains(key));
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, HashMap<KeyId, u32>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn step(tally: &Tally) -> u32 {
    let limit = tally.scope().and_then(|scope| scope.limit()).unwrap_or(0);
    LEAST_STEP.max(limit / STEP_OF_LIMIT)
}

impl Service {
    /// Lets more be held on these levels: the store knows it first. Those that may hold more by now are left alone.
    ///
    /// # Errors
    /// `Store` when it does not take it; then no more may be held.
    pub fn raise_ceilings(&self, levels: &[Arc<Tally>], now: Now) -> Result<(), Error> {
        self.tell_ceilings(levels, now, |tally, ceiling| {
            let to = self.live.next_ceiling(tally, step(tally))?;
            // Others were before it in the queue for the store, and asked for all that is needed.
            (to > ceiling).then_some(to)
        })?;
        Ok(())
    }

    /// Lets those who wait have what is free and more than the store knows of. Called by a thread of its own, which the waiting
    /// room wakes.
    ///
    /// # Errors
    /// `Store` when it does not take it; then it is to be tried again after [`Live::serve_waiting`](crate::live::Live::serve_waiting).
    pub fn raise_for_waiting(&self, now: Now) -> Result<(), Error> {
        self.raise_ceilings(&self.live.waiting_room().take_short(), now)
    }

    /// Keeps the ceilings a step above what is held, so that who asks seldom waits for the store, and not far above it, so
    /// that a restart leaves little unused. Called each second.
    ///
    /// # Errors
    /// When the store does not take it: what was held may be held still.
    pub(super) fn keep_ceilings(&self, now: Now) -> Result<(), StoreError> {
        let enforced = |tally: &&Arc<Tally>| tally.scope().is_some_and(|scope| scope.ceiling().is_some());
        let levels: Vec<_> = self.live.registry.tallies().filter(enforced).cloned().collect();
        self.tell_ceilings(&levels, now, |tally, ceiling| {
            let (step, target) = (step(tally), self.live.next_ceiling(tally, step(tally))?);
            // Of a small limit half a step is all of it.
            let is_low = ceiling < target.saturating_sub(step / 2) || ceiling == 0 && target > 0;
            let is_high = ceiling > target.saturating_add(step * MOST_STEPS);
            (is_low || is_high).then_some(target)
        })
    }

    fn tell_ceilings(
        &self,
        levels: &[Arc<Tally>],
        now: Now,
        wanted: impl Fn(&Tally, u32) -> Option<u32>,
    ) -> Result<(), StoreError> {
        let mut known = self.ceilings.locked();
        let mut told = Vec::new();
        for tally in levels {
            let Some(ceiling) = tally.scope().and_then(|scope| scope.ceiling()) else { continue };
            let Some(mut to) = wanted(tally, ceiling) else { continue };
            if to < ceiling {
                to = self.live.lower_ceiling(tally, to).unwrap_or(to);
            }
            told.push((tally, to));
        }
        if told.is_empty() {
            return Ok(());
        }
        let documents = told.iter().map(|(tally, to)| record::ceiling_document(tally.id, Some(*to))).collect();
        let new_keys = told.iter().map(|(tally, _)| (tally.id, tally.key.clone())).collect();
        self.store.change(&Change { documents, new_keys, ..Change::default() })?;
        for (tally, to) in told {
            known.insert(tally.id, to);
            self.live.raise_ceiling(tally, to, now);
        }
        Ok(())
    }

    /// Makes sure that a restart waits for a worker: what it holds must be asked for then.
    ///
    /// # Errors
    /// `Store` when the store does not take it.
    pub fn introduce(&self, project: &Project, incarnation: Incarnation) -> Result<(), Error> {
        let worker = KnownWorker { project: project.clone(), incarnation };
        self.store.commit(&Second { attached: vec![worker], ..Second::default() })?;
        self.live.introduced(project, incarnation);
        Ok(())
    }
}
