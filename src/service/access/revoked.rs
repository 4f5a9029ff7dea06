//! Keys that were revoked while the store did not answer: they end in this process at once, and the store is told as soon as
//! it answers. A process that ends before takes that with it, which whoever revoked is told.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    access::{KeyRecord, audit::Entry},
    error::Error,
    model::Time,
    service::access::{
        Access, Actor,
        decide::{Scope, document, told},
    },
    store::{Change, StoreError},
};

/// What the store does not have yet, by key: when it was revoked, and what tells of it. There are no more than keys.
#[derive(Debug, Default)]
pub struct Unwritten(Mutex<BTreeMap<String, (Time, Entry)>>);

impl Unwritten {
    fn by_key(&self) -> MutexGuard<'_, BTreeMap<String, (Time, Entry)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the revocation of a key is not written yet.
    pub fn has(&self, id: &str) -> bool {
        self.by_key().contains_key(id)
    }

    pub fn add(&self, id: &str, revoked: Time, entry: Entry) {
        self.by_key().insert(id.to_owned(), (revoked, entry));
    }

    /// Says of keys as the store has them which are revoked all the same; those that it has as revoked, or no more, are done.
    pub fn meet(&self, records: &mut [KeyRecord]) {
        self.by_key().retain(|id, (revoked, _)| {
            let stored = records.iter_mut().find(|record| record.id == *id && record.revoked.is_none());
            stored.map(|record| record.revoked = Some(*revoked)).is_some()
        });
    }
}

impl Access {
    /// Ends a credential now, with what is open on it. Again: nothing changes.
    ///
    /// # Errors
    /// `NotFound` when there is none in the scope; `OutOfOrder` when it is the operator's own or the last operator's key;
    /// `RevokedHere` when it is not durable: it ends in this process all the same, and is written when the store answers.
    pub fn revoke_key(&self, id: &str, scope: Scope<'_>, actor: &Actor, now: Time) -> Result<KeyRecord, Error> {
        // Whether or not the store answers.
        let (_one_at_a_time, mut unheard) = match self.deciding_on_stored() {
            Ok(deciding) => (deciding, None),
            Err(error) => (self.deciding(), Some(error.to_string())),
        };
        let before = self.in_scope(id, scope)?;
        if before.revoked.is_some() {
            if unheard.is_none() && self.revoked.has(id) {
                unheard = self.write_unwritten(now).err().map(|error| error.to_string());
            }
            return match unheard.filter(|_| self.revoked.has(id)) {
                Some(detail) => Err(Error::RevokedHere { detail }),
                None => self.in_scope(id, scope),
            };
        }
        self.check_operators_stay(actor, &|record| record.id == id, now)?;
        let after = KeyRecord { revoked: Some(now), ..before.clone() };
        if unheard.is_none() {
            match self.changed("key.revoke", &before, after.clone(), actor, now) {
                Err(Error::Store { detail }) => unheard = Some(detail),
                decided => return decided,
            }
        }
        self.revoked.add(id, now, told("key.revoke", &before, &after, actor));
        self.credentials.write().unwrap_or_else(PoisonError::into_inner).put(after, &self.vault);
        self.tell();
        Err(Error::RevokedHere { detail: unheard.unwrap_or_default() })
    }

    /// Writes the revocations that the store does not have yet.
    ///
    /// # Errors
    /// When it does not answer: they are held, and tried again.
    pub fn write_revoked(&self, now: Time) -> Result<(), StoreError> {
        let _one_at_a_time = self.deciding_on_stored()?;
        self.write_unwritten(now)
    }

    fn write_unwritten(&self, now: Time) -> Result<(), StoreError> {
        let unwritten: Vec<_> =
            self.revoked.by_key().iter().map(|(id, (_, entry))| (id.clone(), entry.clone())).collect();
        for (id, entry) in unwritten {
            if let Some(record) = self.record(&id) {
                let change = Change { documents: vec![document(&record)], ..Change::default() };
                self.ledger.write(change, &[entry], now)?;
                tracing::info!(key = id, "a revocation that waited for the store is written");
            }
            self.revoked.by_key().remove(&id);
        }
        Ok(())
    }
}
