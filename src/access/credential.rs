//! The credentials that there are, and what one that was presented is good for.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    access::{
        Kept, KeyRecord, Role, Secret, Vault, jwt,
        token::{self, PREFIX},
        vault::DIGEST_BYTES,
    },
    model::{Project, Time, time::MICROS_PER_SECOND},
};

/// How far the clocks of those who mint tokens may be off.
pub const LEEWAY: Duration = Duration::from_secs(10);
/// How exactly it is known when a credential was used.
const USE_MICROS: u64 = 60 * MICROS_PER_SECOND;
/// The end of what has none.
const NEVER: u64 = u64::MAX;

/// Why a credential is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// None was presented.
    Missing,
    /// It can't be one: what is wrong with its form.
    Malformed(&'static str),
    /// It is not one that there is. Said of an unknown key and of a wrong secret alike.
    Unknown,
    /// It is right, but not any more.
    Expired,
    /// It is right, but not yet.
    NotYet,
    Revoked,
    /// It is right, and gives no right to anything here.
    WithoutGrant,
}

/// One credential that there is.
pub struct Credential {
    id: Box<str>,
    role: Role,
    project: Project,
    secret: Kind,
    not_before: Time,
    /// Until when it is good, exclusive, in microseconds; 0 once it is revoked.
    until: AtomicU64,
    last_used: AtomicU64,
    record: Mutex<KeyRecord>,
}

enum Kind {
    Api([u8; DIGEST_BYTES]),
    /// `None` when it was sealed under another key file.
    LiveKit(Option<Secret<Vec<u8>>>),
}

/// What was presented and found right: good for as long as [`Pass::check`] says.
#[derive(Clone, Debug)]
pub struct Pass {
    credential: Arc<Credential>,
    /// When what was presented ends, if it has an end of its own: a token, or the sign-in of a browser.
    presented_until: Option<Time>,
}

/// All credentials, by id.
#[derive(Debug, Default)]
pub struct Credentials {
    by_id: HashMap<Box<str>, Arc<Credential>>,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("id", &self.id).field("role", &self.role).finish_non_exhaustive()
    }
}

impl Credential {
    fn new(record: KeyRecord, vault: &Vault) -> Self {
        let secret = match &record.kept {
            Kept::Digest(digest) => Kind::Api(*digest),
            Kept::Sealed(sealed) => Kind::LiveKit(vault.open(&record.id, sealed)),
        };
        Self {
            id: record.id.as_str().into(),
            role: record.role,
            project: record.project.clone(),
            secret,
            not_before: record.not_before.unwrap_or_default(),
            until: AtomicU64::new(until(&record)),
            last_used: AtomicU64::new(record.last_used.map_or(0, |used| used.0)),
            record: Mutex::new(record),
        }
    }

    pub fn project(&self) -> &Project {
        &self.project
    }

    /// What is kept of it, with when it was used last.
    pub fn record(&self) -> KeyRecord {
        let last_used = self.last_used.load(Ordering::Relaxed);
        KeyRecord { last_used: (last_used > 0).then_some(Time(last_used)), ..self.locked().clone() }
    }

    /// Whether it was used since it was stored.
    pub fn was_used(&self) -> bool {
        self.locked().last_used.map_or(0, |used| used.0) != self.last_used.load(Ordering::Relaxed)
    }

    /// Takes a later version of its record: what is open on it sees the change.
    fn update(&self, record: KeyRecord) {
        let mut locked = self.locked();
        self.until.store(until(&record), Ordering::Release);
        self.last_used.fetch_max(record.last_used.map_or(0, |used| used.0), Ordering::Relaxed);
        *locked = record;
    }

    fn end(&self) {
        self.until.store(0, Ordering::Release);
    }

    fn locked(&self) -> MutexGuard<'_, KeyRecord> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The secret of a LiveKit key that is in force.
    pub fn livekit_secret(&self, now: Time) -> Option<Secret<Vec<u8>>> {
        let in_force = now >= self.not_before && now.0 < self.until.load(Ordering::Acquire);
        match &self.secret {
            Kind::LiveKit(secret) if in_force => secret.clone(),
            _ => None,
        }
    }
}

fn until(record: &KeyRecord) -> u64 {
    if record.revoked.is_some() { 0 } else { record.expires.map_or(NEVER, |expires| expires.0) }
}

impl Pass {
    /// What stands for a credential until an instant.
    pub fn of(credential: Arc<Credential>, until: Time) -> Self {
        Self { credential, presented_until: Some(until) }
    }

    pub fn role(&self) -> Role {
        self.credential.role
    }

    pub fn project(&self) -> &Project {
        &self.credential.project
    }

    /// Id of the key.
    pub fn id(&self) -> &str {
        &self.credential.id
    }

    /// Until when it is good as things stand; `None` for no end.
    pub fn until(&self) -> Option<Time> {
        let key = self.credential.until.load(Ordering::Acquire);
        let until = self.presented_until.map_or(key, |until| key.min(until.0));
        (until != NEVER).then_some(Time(until))
    }

    /// Whether it is good now. A few loads: nothing is locked.
    ///
    /// # Errors
    /// Why it is not any more, or not yet.
    pub fn check(&self, now: Time) -> Result<(), Refused> {
        let until = self.credential.until.load(Ordering::Acquire);
        if until == 0 {
            return Err(Refused::Revoked);
        }
        if now < self.credential.not_before {
            return Err(Refused::NotYet);
        }
        if now.0 >= until || self.presented_until.is_some_and(|until| now >= until) {
            return Err(Refused::Expired);
        }
        Ok(())
    }

    /// Notes that it was used, to a minute: most calls only look.
    pub fn used(&self, now: Time) {
        if now.0 >= self.credential.last_used.load(Ordering::Relaxed).saturating_add(USE_MICROS) {
            self.credential.last_used.store(now.0, Ordering::Relaxed);
        }
    }

    pub fn record(&self) -> KeyRecord {
        self.credential.record()
    }
}

impl Credentials {
    pub fn load(records: impl IntoIterator<Item = KeyRecord>, vault: &Vault) -> Self {
        let mut all = Self::default();
        records.into_iter().for_each(|record| all.put(record, vault));
        all
    }

    /// Adds a credential, or takes the later version of one.
    pub fn put(&mut self, record: KeyRecord, vault: &Vault) {
        match self.by_id.get(record.id.as_str()) {
            Some(there) if there.locked().kept == record.kept => there.update(record),
            Some(there) => {
                there.end();
                self.by_id.insert(record.id.as_str().into(), Arc::new(Credential::new(record, vault)));
            }
            None => {
                self.by_id.insert(record.id.as_str().into(), Arc::new(Credential::new(record, vault)));
            }
        }
    }

    /// Forgets those of which nothing is kept any more; what is open on them ends.
    pub fn retain(&mut self, keeps: impl Fn(&str) -> bool) {
        self.by_id.retain(|id, credential| {
            let kept = keeps(id);
            if !kept {
                credential.end();
            }
            kept
        });
    }

    pub fn get(&self, id: &str) -> Option<&Arc<Credential>> {
        self.by_id.get(id)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Credential>> {
        self.by_id.values()
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// What was presented, if it is right and good now; of a refusal also whose it was said to be. An unknown key takes as
    /// long as a wrong secret.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn verify(&self, vault: &Vault, text: &str, now: Time) -> Result<Pass, (Refused, Option<Box<str>>)> {
        let malformed = |why| (Refused::Malformed(why), None);
        let (pass, id): (Result<Pass, Refused>, Box<str>) = if text.starts_with(PREFIX) {
            let presented = token::read(text).map_err(malformed)?;
            (self.api_key(vault, &presented), presented.id.into())
        } else {
            let token = jwt::read::<jwt::Claims>(text).map_err(malformed)?;
            let issuer = token.issuer().into();
            (self.livekit(token, now), issuer)
        };
        let checked = pass.and_then(|pass| pass.check(now).map(|()| pass));
        checked.map_err(|refused| (refused, Some(id)))
    }

    fn api_key(&self, vault: &Vault, presented: &token::Presented<'_>) -> Result<Pass, Refused> {
        let credential = self.by_id.get(presented.id);
        let digest = match credential.map(|credential| &credential.secret) {
            Some(Kind::Api(digest)) => *digest,
            _ => [0; DIGEST_BYTES],
        };
        let matches = vault.matches(presented.secret.0, &digest);
        match credential {
            Some(credential) if matches && credential.role == presented.role => {
                Ok(Pass { credential: credential.clone(), presented_until: None })
            }
            _ => Err(Refused::Unknown),
        }
    }

    fn livekit(&self, token: jwt::Unverified<'_>, now: Time) -> Result<Pass, Refused> {
        /// What a token of an unknown key is verified with, so that it takes as long; whoever finds it gains nothing.
        const NOBODYS: &[u8] = b"a secret of nobody, as long as those that LiveKit makes";
        let credential = self.by_id.get(token.issuer());
        let secret = match credential.map(|credential| &credential.secret) {
            Some(Kind::LiveKit(Some(secret))) => Some(secret),
            _ => None,
        };
        let claims = token.verify(secret.map_or(NOBODYS, |secret| secret.expose()));
        let (Some(credential), Some(_), Some(claims)) = (credential, secret, claims) else {
            return Err(Refused::Unknown);
        };
        if claims.not_before.is_some_and(|not_before| now.after(LEEWAY) < not_before) {
            return Err(Refused::NotYet);
        }
        let pass = Pass::of(credential.clone(), claims.expires.after(LEEWAY));
        pass.check(now)?;
        if claims.may_report() { Ok(pass) } else { Err(Refused::WithoutGrant) }
    }
}

#[cfg(test)]
mod tests;
