//! Decisions on credentials: each is in the store, with the row of the audit log that tells of it, before it holds.

use std::{sync::PoisonError, time::Duration};

use crate::{
    access::{
        Kept, KeyRecord, Role, Secret,
        audit::Entry,
        record::MAX_NAME_BYTES,
        token::{self, ID_BYTES, SECRET_BYTES},
    },
    error::Error,
    model::{Project, Time, text::is_unseen},
    service::access::{Access, Actor, CHECK_NOTE, random, records},
    store::{Change, Document, Shelf, StoreError},
};

/// Credentials of one project that are kept, ended ones included.
const MOST_KEYS: usize = 1_000;
/// How long one that has ended is still listed; the audit log knows of it for longer.
const LISTED_AFTER_ITS_END: Duration = Duration::from_secs(30 * 24 * 3_600);
/// The shortest secret of a LiveKit API key, in bytes: LiveKit asks for as much, and a shorter one could be guessed.
pub const MIN_LIVEKIT_SECRET_BYTES: usize = 32;
/// The longest one, in bytes.
pub const MAX_LIVEKIT_SECRET_BYTES: usize = 256;

/// A credential that is to be.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// What people call it, at most 128 bytes.
    pub name: String,
    pub project: Project,
    pub role: Role,
    pub not_before: Option<Time>,
    pub expires: Option<Time>,
}

/// Which credentials one may decide on. Others are not there for them.
pub type Scope<'s> = &'s dyn Fn(&KeyRecord) -> bool;

impl Access {
    /// Makes an API key; returns it with its one spelling, which is not kept.
    ///
    /// # Errors
    /// `Invalid` when its times or its name are wrong, `Bound` when the project has as many as it may, `Store` when it is
    /// not durable, and then it does not hold.
    pub fn create_key(&self, new: NewKey, actor: &Actor, now: Time) -> Result<(KeyRecord, Secret<String>), Error> {
        let _one_at_a_time = self.deciding_on_stored()?;
        let (record, token) = self.fresh(new, actor, now)?;
        let entry = actor.entry("key.create", record.project.as_str(), &record.id);
        let entry = Entry { after: record.describe(), ..entry };
        self.decide(self.with_ended_ones_removed(&record, now)?, vec![record.clone()], entry, now)?;
        Ok((record, token))
    }

    /// Registers a LiveKit API key with its secret: tokens that are signed with it may report for the project.
    ///
    /// # Errors
    /// `Exists` when there is a credential of that name; else as [`create_key`](Self::create_key).
    pub fn register_livekit(
        &self,
        api_key: &str,
        secret: Secret<Vec<u8>>,
        new: NewKey,
        actor: &Actor,
        now: Time,
    ) -> Result<KeyRecord, Error> {
        let _one_at_a_time = self.deciding_on_stored()?;
        check(&new, now)?;
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if api_key.is_empty() || api_key.len() > crate::access::jwt::MAX_ISSUER_BYTES || !api_key.bytes().all(letters) {
            return Err(Error::invalid("api_key", "is not 1 to 64 bytes of [A-Za-z0-9_-]"));
        }
        let length = secret.expose().len();
        if !(MIN_LIVEKIT_SECRET_BYTES..=MAX_LIVEKIT_SECRET_BYTES).contains(&length) {
            let problem =
                format!("has {length} bytes; {MIN_LIVEKIT_SECRET_BYTES} to {MAX_LIVEKIT_SECRET_BYTES} are allowed");
            return Err(Error::invalid("secret", problem));
        }
        let ended = |record: &KeyRecord| record.revoked.is_some();
        if self.record(api_key).is_some_and(|there| !ended(&there) || there.project != new.project) {
            return Err(Error::Exists { what: "a credential", name: api_key.to_owned() });
        }
        let kept = Kept::Sealed(self.vault.seal(api_key, &secret, random()));
        let record = record(api_key.to_owned(), kept, NewKey { role: Role::Worker, ..new }, actor, now);
        let entry = actor.entry("livekit_key.register", record.project.as_str(), api_key);
        let entry = Entry { after: record.describe(), ..entry };
        self.decide(self.with_ended_ones_removed(&record, now)?, vec![record.clone()], entry, now)?;
        Ok(record)
    }

    /// Changes what a credential is called, and until when it is good.
    ///
    /// # Errors
    /// `NotFound` when there is none in the scope; else as [`create_key`](Self::create_key).
    pub fn update_key(
        &self,
        id: &str,
        name: Option<String>,
        expires: Option<Option<Time>>,
        (scope, actor): (Scope<'_>, &Actor),
        now: Time,
    ) -> Result<KeyRecord, Error> {
        let _one_at_a_time = self.deciding_on_stored()?;
        let before = self.in_scope(id, scope)?;
        if before.revoked.is_some() {
            return Err(Error::OutOfOrder("the key was revoked: make a new one".into()));
        }
        let after = KeyRecord {
            name: name.unwrap_or_else(|| before.name.clone()),
            expires: expires.unwrap_or(before.expires),
            ..before.clone()
        };
        check_name(&after.name)?;
        if after.expires.is_some_and(|expires| expires <= after.not_before.unwrap_or_default()) {
            return Err(Error::invalid("expire_time", "is before the key's beginning"));
        }
        if after.expires.is_some_and(|expires| expires <= now) {
            self.check_operators_stay(actor, &|record| record.id == id, now)?;
        }
        self.changed("key.update", &before, after, actor, now)
    }

    /// Makes a key that takes the place of another, which is good for `overlap` more.
    ///
    /// # Errors
    /// `NotFound` when there is none in the scope; `OutOfOrder` when it has ended, or is a LiveKit key; else as
    /// [`create_key`](Self::create_key).
    pub fn rotate_key(
        &self,
        id: &str,
        overlap: Duration,
        (scope, actor): (Scope<'_>, &Actor),
        now: Time,
    ) -> Result<(KeyRecord, KeyRecord, Secret<String>), Error> {
        let _one_at_a_time = self.deciding_on_stored()?;
        let before = self.in_scope(id, scope)?;
        if before.is_livekit() {
            return Err(Error::OutOfOrder("LiveKit makes its keys: register the new one, then revoke this one".into()));
        }
        if before.revoked.is_some() || before.expires.is_some_and(|expires| expires <= now) {
            return Err(Error::OutOfOrder("the key has ended: make a new one".into()));
        }
        let KeyRecord { name, project, role, expires, .. } = before.clone();
        // As long as the one that it replaces was made for.
        let span = expires.map(|expires| expires.since(before.not_before.unwrap_or(before.created)));
        let new = NewKey { name, project, role, not_before: None, expires: span.map(|span| now.after(span)) };
        let (new, token) = self.fresh(new, actor, now)?;
        let ends = now.after(overlap);
        let old = KeyRecord {
            expires: Some(before.expires.map_or(ends, |expires| expires.min(ends))),
            replaced_by: Some(new.id.clone()),
            ..before.clone()
        };
        let entry = Entry {
            before: before.describe(),
            after: format!("{}; new key {}: {}", old.describe(), new.id, new.describe()),
            ..actor.entry("key.rotate", old.project.as_str(), id)
        };
        let removed = self.with_ended_ones_removed(&new, now)?;
        self.decide(removed, vec![old.clone(), new.clone()], entry, now)?;
        Ok((old, new, token))
    }

    /// Ends and removes every credential of a project, with the document that says that it is leaving; returns how many.
    ///
    /// # Errors
    /// `OutOfOrder` when the operator's own key, or the last operator's, is one of them; `Store` when it is not durable, and
    /// then they go on.
    pub fn end_project(
        &self,
        leaving: Document,
        project: &Project,
        (actor, entry): (&Actor, Entry),
        now: Time,
    ) -> Result<usize, Error> {
        let _one_at_a_time = self.deciding_on_stored()?;
        self.check_operators_stay(actor, &|record| record.project == *project, now)?;
        let of_project = self.records().into_iter().filter(|record| record.project == *project);
        let gone = |record: KeyRecord| Document { shelf: Shelf::ApiKeys, name: record.id, bytes: None };
        let removed: Vec<Document> = of_project.map(gone).collect();
        let count = removed.len();
        self.decide(removed.into_iter().chain([leaving]).collect(), Vec::new(), entry, now)?;
        Ok(count)
    }

    /// Removes every credential, so that new ones can be made under another key file. For a store whose key file is lost.
    ///
    /// # Errors
    /// When the store does not do it.
    pub fn reset(
        store: &dyn crate::store::Store,
        ledger: &crate::service::Ledger,
        now: Time,
    ) -> Result<usize, StoreError> {
        let records = records(store)?;
        let gone = |record: &KeyRecord| Document { shelf: Shelf::ApiKeys, name: record.id.clone(), bytes: None };
        let change = Change { documents: records.iter().map(gone).collect(), ..Change::default() };
        let entry = Actor::offline().entry("keys.reset", "", "");
        let before = format!("{} credentials", records.len());
        ledger.write(change, &[Entry { before, ..entry }], now)?;
        store.set_note(CHECK_NOTE, "")?;
        Ok(records.len())
    }

    /// Writes when credentials were used, for those that were since it was last written; never over what another process
    /// decided of them meanwhile.
    ///
    /// # Errors
    /// When the store does not do it.
    pub fn keep_uses(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.deciding_on_stored()?;
        match self.put_uses() {
            Err(StoreError::Conflict(_)) => {
                self.catch_up(self.ledger.surprises()?)?;
                self.put_uses()
            }
            put => put,
        }
    }

    fn put_uses(&self) -> Result<(), StoreError> {
        let used: Vec<KeyRecord> = {
            let credentials = self.credentials();
            credentials
                .iter()
                .filter(|credential| credential.was_used())
                .map(|credential| credential.record())
                .collect()
        };
        if used.is_empty() {
            return Ok(());
        }
        let documents = used.iter().map(document).collect();
        self.ledger.write_on_known(Change { documents, ..Change::default() })?;
        let mut credentials = self.credentials.write().unwrap_or_else(PoisonError::into_inner);
        used.into_iter().for_each(|record| credentials.put(record, &self.vault));
        Ok(())
    }

    fn fresh(&self, new: NewKey, actor: &Actor, now: Time) -> Result<(KeyRecord, Secret<String>), Error> {
        check(&new, now)?;
        let id = token::id(random::<ID_BYTES>());
        if self.record(&id).is_some() {
            return Err(Error::Internal { detail: "an id was drawn twice".to_owned() });
        }
        let secret = token::secret(&Secret::new(random::<SECRET_BYTES>()));
        let token = token::spell(new.role, &id, &secret);
        let kept = Kept::Digest(self.vault.digest(secret.expose().as_bytes()));
        Ok((record(id, kept, new, actor, now), token))
    }

    /// Whoever ends keys by a key of their own does not lock themselves out, nor everybody: then nobody could make a key any
    /// more but at the store itself, with the service stopped.
    pub(super) fn check_operators_stay(
        &self,
        actor: &Actor,
        goes: &dyn Fn(&KeyRecord) -> bool,
        now: Time,
    ) -> Result<(), Error> {
        if actor.role != Some(Role::Operator) {
            return Ok(());
        }
        let is_operator = |record: &KeyRecord| record.role == Role::Operator && record.is_good(now);
        let (gone, stay): (Vec<KeyRecord>, Vec<KeyRecord>) =
            self.records().into_iter().filter(is_operator).partition(goes);
        if gone.iter().any(|record| *record.id == *actor.key) {
            return Err(Error::OutOfOrder(
                "it would end the key that you call with: do it by the key of another operator, which `highwater keys \
                 create --role operator` makes, in a project that stays (`--project`)"
                    .into(),
            ));
        }
        if !gone.is_empty() && stay.is_empty() {
            return Err(Error::OutOfOrder(
                "it would end the last key of an operator: make another first, in a project that stays, by `highwater \
                 keys create --role operator`"
                    .into(),
            ));
        }
        Ok(())
    }

    pub(super) fn in_scope(&self, id: &str, scope: Scope<'_>) -> Result<KeyRecord, Error> {
        let found = self.record(id).filter(|record| scope(record));
        found.ok_or_else(|| Error::NotFound { what: "key", name: id.to_owned() })
    }

    /// The documents of those of its project that ended long ago, as removed; refused when too many are left.
    fn with_ended_ones_removed(&self, new: &KeyRecord, now: Time) -> Result<Vec<Document>, Error> {
        let (mut kept, mut removed) = (0, Vec::new());
        for record in self.records().into_iter().filter(|record| record.project == new.project) {
            let end = [record.revoked, record.expires].into_iter().flatten().min();
            if end.is_some_and(|end| end.after(LISTED_AFTER_ITS_END) < now) {
                removed.push(Document { shelf: Shelf::ApiKeys, name: record.id, bytes: None });
            } else {
                kept += 1;
            }
        }
        match kept < MOST_KEYS {
            true => Ok(removed),
            false => Err(Error::Bound { name: "keys of a project", most: MOST_KEYS as u64 }),
        }
    }

    pub(super) fn changed(
        &self,
        action: &str,
        before: &KeyRecord,
        after: KeyRecord,
        actor: &Actor,
        now: Time,
    ) -> Result<KeyRecord, Error> {
        self.decide(Vec::new(), vec![after.clone()], told(action, before, &after, actor), now)?;
        Ok(after)
    }

    /// Makes a decision durable, and then seen.
    fn decide(&self, documents: Vec<Document>, put: Vec<KeyRecord>, entry: Entry, now: Time) -> Result<(), Error> {
        let is_gone = |document: &&Document| document.shelf == Shelf::ApiKeys && document.bytes.is_none();
        let gone: Vec<String> = documents.iter().filter(is_gone).map(|document| document.name.clone()).collect();
        let documents = documents.into_iter().chain(put.iter().map(document)).collect();
        let change = Change { documents, ..Change::default() };
        self.ledger.write(change, &[entry], now).map_err(|error| Error::Store { detail: error.to_string() })?;
        let mut credentials = self.credentials.write().unwrap_or_else(PoisonError::into_inner);
        credentials.retain(|id| gone.iter().all(|gone| gone != id));
        put.into_iter().for_each(|record| credentials.put(record, &self.vault));
        drop(credentials);
        self.tell();
        Ok(())
    }
}

/// What tells of a change of a credential.
pub(super) fn told(action: &str, before: &KeyRecord, after: &KeyRecord, actor: &Actor) -> Entry {
    let entry = actor.entry(action, after.project.as_str(), &after.id);
    Entry { before: before.describe(), after: after.describe(), ..entry }
}

pub(super) fn document(record: &KeyRecord) -> Document {
    Document { shelf: Shelf::ApiKeys, name: record.id.clone(), bytes: Some(record.encode()) }
}

fn record(id: String, kept: Kept, new: NewKey, actor: &Actor, now: Time) -> KeyRecord {
    let NewKey { name, project, role, not_before, expires } = new;
    let (created, created_by) = (now, actor.key.to_string());
    KeyRecord {
        id,
        kept,
        name,
        project,
        role,
        created,
        created_by,
        not_before,
        expires,
        revoked: None,
        last_used: None,
        replaced_by: None,
    }
}

fn check(new: &NewKey, now: Time) -> Result<(), Error> {
    check_name(&new.name)?;
    if new.project.is_across() {
        return Err(Error::invalid("project", "`-` stands for all projects; a key belongs to one"));
    }
    match new.expires {
        Some(expires) if expires <= now => Err(Error::invalid("expire_time", "is not in the future")),
        Some(expires) if new.not_before.is_some_and(|not_before| expires <= not_before) => {
            Err(Error::invalid("expire_time", "is not after start_time"))
        }
        _ => Ok(()),
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    match name.len() <= MAX_NAME_BYTES && !name.chars().any(is_unseen) {
        true => Ok(()),
        false => Err(Error::invalid("display_name", format!("is not at most {MAX_NAME_BYTES} bytes of text"))),
    }
}
