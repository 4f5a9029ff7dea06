//! The limits of all keys with their histories, in memory; every change is durable before it is seen.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    model::{KeyId, LimitEntry, LimitHistory, Time},
    store::{Store, StoreError},
};

/// Limits by key. Read by every list, changed a few times a day.
#[derive(Debug, Default)]
pub struct Limits {
    by_key: RwLock<HashMap<KeyId, Arc<LimitHistory>>>,
    /// Held from looking at what is in force until a decision on it is durable and seen.
    deciding: Mutex<()>,
    /// How many surprises of the ledger they know.
    surprises: AtomicU64,
    /// Keys whose limits changed and have not been asked for.
    touched: Mutex<Vec<KeyId>>,
}

impl Limits {
    /// The limits of a store, the oldest decision of each key first.
    pub fn load(entries: impl IntoIterator<Item = (KeyId, LimitEntry)>) -> Self {
        let mut by_key: HashMap<KeyId, LimitHistory> = HashMap::new();
        for (key, entry) in entries {
            by_key.entry(key).or_default().push(entry);
        }
        let by_key = by_key.into_iter().map(|(key, history)| (key, Arc::new(history))).collect();
        Self { by_key: RwLock::new(by_key), ..Self::default() }
    }

    /// Takes over what the store holds when the ledger was surprised since; while `deciding`.
    pub(super) fn catch_up(&self, surprises: u64, store: &dyn Store) -> Result<(), StoreError> {
        if self.knows(surprises) {
            return Ok(());
        }
        let stored = Self::load(store.limits()?).by_key.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.touch(stored.keys().copied());
        *self.by_key.write().unwrap_or_else(PoisonError::into_inner) = stored;
        self.surprises.store(surprises, Ordering::Release);
        Ok(())
    }

    pub(super) fn knows(&self, surprises: u64) -> bool {
        self.surprises.load(Ordering::Acquire) == surprises
    }

    /// The history of a key's limit; empty when it never had one.
    pub fn of(&self, key: KeyId) -> Arc<LimitHistory> {
        self.by_key.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned().unwrap_or_default()
    }

    /// The slots allowed at an instant.
    pub fn slots_at(&self, key: KeyId, at: Time) -> Option<u32> {
        self.of(key).slots_at(at)
    }

    /// Decisions come one after another: held until one is durable and seen.
    pub(super) fn deciding(&self) -> MutexGuard<'_, ()> {
        self.deciding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the limits of keys that are no more.
    pub(super) fn forget(&self, keys: &[KeyId]) {
        self.by_key.write().unwrap_or_else(PoisonError::into_inner).retain(|key, _| !keys.contains(key));
    }

    /// Adds decisions that the store holds already.
    pub(super) fn add(&self, entries: &[(KeyId, LimitEntry)]) {
        let mut by_key = self.by_key.write().unwrap_or_else(PoisonError::into_inner);
        for (key, entry) in entries {
            Arc::make_mut(by_key.entry(*key).or_default()).push(entry.clone());
        }
        drop(by_key);
        self.touch(entries.iter().map(|(key, _)| *key));
    }

    fn touch(&self, keys: impl IntoIterator<Item = KeyId>) {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner).extend(keys);
    }

    /// The keys whose limits changed since this was asked last. There is one who asks.
    pub(super) fn take_touched(&self) -> Vec<KeyId> {
        std::mem::take(&mut *self.touched.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
