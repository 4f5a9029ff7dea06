//! Who is known to the service: its credentials, checked on each call and changed by decisions that are durable before
//! they hold.
//!
//! - [`decide`]: making, changing and ending credentials and projects.
//! - [`failures`]: what becomes of credentials that are refused.
//! - [`keep`]: what is done beside the calls.
//! - [`key_file`]: the key that what is kept of them is protected with.
//! - [`revoked`]: keys that were revoked while the store did not answer.
//! - [`sign_in`]: browsers that are signed in by a cookie.

pub mod decide;
pub mod failures;
pub mod keep;
pub mod key_file;
pub mod revoked;
pub mod sign_in;

use std::{
    cell::RefCell,
    net::IpAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ring::{
    digest,
    rand::{SecureRandom as _, SystemRandom},
};
use rustc_hash::FxHashMap;
use tokio::sync::watch;

pub use failures::Failures;

use crate::{
    access::{Credentials, KeyRecord, Pass, Refused, Role, Secret, Vault, audit::Entry},
    model::{Project, Time},
    service::{Clock, Ledger, access::key_file::KeyFileError},
    store::{Shelf, Store, StoreError},
};

/// The note of a store by which the key file of its credentials is known.
const CHECK_NOTE: &str = "access_key_check";
/// Credentials that a server's thread remembers to have verified. One that is forgotten is verified again.
const MOST_REMEMBERED: usize = 4_096;
/// How often the store is asked for decisions that another process made: a revocation is to hold within 5 s.
pub const REFRESH_EVERY: Duration = Duration::from_secs(2);
/// Days that audit rows are kept.
pub const AUDIT_DAYS: u64 = 400;

/// Why credentials can't be checked.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    #[error(
        "the key file {} is not the one that this store's credentials were made with; name that one with `--access-key-file`, bring it \
         back, or make all credentials anew: `highwater keys reset --store PATH`", .0.display()
    )]
    WrongKeyFile(PathBuf),
    #[error(
        "the key file {} is not there, and this store's credentials were made with one; name it with `--access-key-file` where it is \
         elsewhere, bring it back, or make all credentials anew: `highwater keys reset --store PATH`", .0.display()
    )]
    NoKeyFile(PathBuf),
}

/// Who does something, for the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Id of the key; `dev` or `offline` where there is none.
    pub key: Box<str>,
    pub role: Option<Role>,
    pub address: Option<IpAddr>,
    /// What the client calls its request; empty when it does not say.
    pub request_id: Box<str>,
}

/// The credentials of one service.
#[derive(Debug)]
pub struct Access {
    store: Arc<dyn Store>,
    pub ledger: Arc<Ledger>,
    vault: Vault,
    credentials: RwLock<Credentials>,
    /// Held from looking at what there is until a decision on it is durable and seen.
    deciding: Mutex<()>,
    /// Revocations that the store does not have yet.
    revoked: revoked::Unwritten,
    /// How many surprises of the ledger the credentials know.
    surprises: AtomicU64,
    /// Tells what is open that credentials were changed.
    changed: watch::Sender<u64>,
    pub failures: Failures,
    /// Sign-ins of browsers that ended by hand.
    signed_out: sign_in::Ended,
    /// Tells this service's verified credentials from those of others in the same process.
    number: u64,
    /// The key does not outlive the process, so that credentials would not either.
    is_ephemeral: bool,
}

/// Tells that credentials were changed.
#[derive(Clone, Debug)]
pub struct Changes(watch::Receiver<u64>);

impl Changes {
    /// Whether anything changed since it was last waited for.
    pub fn is_news(&self) -> bool {
        self.0.has_changed().unwrap_or(false)
    }

    /// Waits for the next change.
    pub async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            // The service is gone: nothing changes any more.
            std::future::pending().await
        }
    }
}

impl Actor {
    /// Somebody at the store itself, with no service running.
    pub fn offline() -> Self {
        Self { key: "offline".into(), role: None, address: None, request_id: "".into() }
    }

    /// The service by itself.
    pub fn service() -> Self {
        Self { key: "service".into(), role: None, address: None, request_id: "".into() }
    }

    /// A row of the audit log that tells of this actor.
    pub fn entry(&self, action: &str, project: &str, object: impl Into<String>) -> Entry {
        Entry {
            actor: self.key.to_string(),
            role: self.role.map(|role| role.to_string()).unwrap_or_default(),
            address: self.address.map(|address| address.to_string()).unwrap_or_default(),
            action: action.to_owned(),
            project: project.to_owned(),
            object: object.into(),
            request_id: self.request_id.to_string(),
            ..Entry::default()
        }
    }
}

/// Random bytes of the system's.
pub(crate) fn random<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    SystemRandom::new().fill(&mut bytes).expect("OK because every system that this runs on has random bytes to give");
    bytes
}

type Remembered = FxHashMap<(u64, [u8; digest::SHA256_OUTPUT_LEN]), Pass>;

thread_local! {
    /// What this thread verified: looked at with no lock, on each call.
    static REMEMBERED: RefCell<Remembered> = RefCell::default();
}

impl Access {
    /// The credentials of a store, under the key of a file, which is made when it is not there; with no file, under a key
    /// that ends with the process.
    ///
    /// # Errors
    /// When the store or the file can't be read, or the file that the credentials were made with is not there or is another.
    pub fn open(store: Arc<dyn Store>, ledger: Arc<Ledger>, key_file: Option<PathBuf>) -> Result<Self, AccessError> {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let records = records(&*store)?;
        if let Some(path) = key_file.as_ref().filter(|path| !records.is_empty() && !path.exists()) {
            // A new one would be of no use, and would be taken for the right one.
            return Err(AccessError::NoKeyFile(path.clone()));
        }
        let master = key_file.as_deref().map(key_file::read_or_make).transpose()?;
        let is_ephemeral = master.is_none();
        let vault = Vault::new(&master.unwrap_or_else(|| Secret::new(random())));
        if let Some(path) = key_file {
            match store.note(CHECK_NOTE)? {
                Some(check) if check == vault.check() => {}
                // Nothing is kept under the other one.
                _ if records.is_empty() => store.set_note(CHECK_NOTE, &vault.check())?,
                _ => return Err(AccessError::WrongKeyFile(path)),
            }
        }
        Ok(Self {
            credentials: RwLock::new(Credentials::load(records, &vault)),
            store,
            ledger,
            vault,
            deciding: Mutex::default(),
            revoked: revoked::Unwritten::default(),
            surprises: AtomicU64::new(0),
            changed: watch::Sender::new(0),
            failures: Failures::default(),
            signed_out: sign_in::Ended::default(),
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            is_ephemeral,
        })
    }

    /// What was presented, if it is right and good now. What this thread has verified before costs a hash and a look.
    ///
    /// # Errors
    /// Why it is not taken, and whose it was said to be.
    pub fn verify(&self, text: &str, now: Time) -> Result<Pass, (Refused, Option<Box<str>>)> {
        let mut name = (self.number, [0; digest::SHA256_OUTPUT_LEN]);
        name.1.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
        let known = REMEMBERED.with_borrow(|remembered| {
            let pass = remembered.get(&name)?;
            pass.check(now).ok().map(|()| pass.clone())
        });
        if let Some(pass) = known {
            pass.used(now);
            return Ok(pass);
        }
        let pass = self.credentials().verify(&self.vault, text, now)?;
        pass.used(now);
        REMEMBERED.with_borrow_mut(|remembered| {
            if remembered.len() >= MOST_REMEMBERED {
                remembered.clear();
            }
            remembered.insert(name, pass.clone());
        });
        Ok(pass)
    }

    /// Tells what is open when credentials change.
    pub fn changes(&self) -> Changes {
        Changes(self.changed.subscribe())
    }

    /// The project and secret of a LiveKit API key that is in force: what webhooks are verified with.
    pub fn secret_of(&self, api_key: &str) -> Option<(Project, Secret<Vec<u8>>)> {
        let credentials = self.credentials();
        let credential = credentials.get(api_key)?;
        Some((credential.project().clone(), credential.livekit_secret(Clock::wall())?))
    }

    /// Whether the key that credentials are kept under ends with the process.
    pub fn is_ephemeral(&self) -> bool {
        self.is_ephemeral
    }

    /// A secret encrypted under the key file, for one purpose.
    pub fn seal_secret(&self, purpose: &str, secret: &[u8]) -> Vec<u8> {
        self.vault.seal(purpose, &Secret::new(secret.to_vec()), random())
    }

    /// A secret that was sealed for this purpose; `None` when it was not, or under another key file.
    pub fn open_secret(&self, purpose: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        self.vault.open(purpose, sealed).map(|secret| secret.expose().clone())
    }

    /// A token that nobody can make for other words without the key file.
    pub fn sign(&self, words: &str) -> String {
        self.vault.digest(words.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether nobody could be let in.
    pub fn is_empty(&self) -> bool {
        self.credentials().is_empty()
    }

    /// What is kept of a credential.
    pub fn record(&self, id: &str) -> Option<KeyRecord> {
        self.credentials().get(id).map(|credential| credential.record())
    }

    /// What the key is called with which somebody acted in a project: one of that project, or an operator's. `None` for what
    /// is no such key's id: names of other projects are not to be asked for by guessing; and where it has no name.
    pub fn name_of(&self, id: &str, project: &str) -> Option<String> {
        self.record(id)?.name_in(project)
    }

    /// What is kept of all credentials, by id.
    pub fn records(&self) -> Vec<KeyRecord> {
        let mut records: Vec<_> = self.credentials().iter().map(|credential| credential.record()).collect();
        records.sort_by(|a, b| a.id.cmp(&b.id));
        records
    }

    /// Takes over what another process decided, if any did.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn refresh(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.deciding();
        self.catch_up(self.ledger.surprises()?)
    }

    fn catch_up(&self, surprises: u64) -> Result<(), StoreError> {
        if self.surprises.load(Ordering::Acquire) != surprises {
            let mut records = records(&*self.store)?;
            self.revoked.meet(&mut records);
            let mut credentials = self.credentials.write().unwrap_or_else(PoisonError::into_inner);
            credentials.retain(|id| records.iter().any(|record| record.id == id));
            records.into_iter().for_each(|record| credentials.put(record, &self.vault));
            drop(credentials);
            self.surprises.store(surprises, Ordering::Release);
            self.tell();
        }
        Ok(())
    }

    /// Decisions come one after another, each on what the store holds.
    fn deciding_on_stored(&self) -> Result<std::sync::MutexGuard<'_, ()>, StoreError> {
        let deciding = self.deciding();
        self.catch_up(self.ledger.known_surprises()?)?;
        Ok(deciding)
    }

    /// What is open looks again at what it was let in by.
    fn tell(&self) {
        self.changed.send_modify(|number| *number += 1);
    }

    fn credentials(&self) -> std::sync::RwLockReadGuard<'_, Credentials> {
        self.credentials.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn deciding(&self) -> std::sync::MutexGuard<'_, ()> {
        self.deciding.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many API keys and LiveKit keys of a store are good at a time.
///
/// # Errors
/// When they can't be read.
pub fn good_keys(store: &dyn Store, now: Time) -> Result<usize, StoreError> {
    Ok(records(store)?.iter().filter(|record| record.is_good(now)).count())
}

/// What is kept of each credential of a store.
///
/// # Errors
/// When they can't be read.
pub fn records(store: &dyn Store) -> Result<Vec<KeyRecord>, StoreError> {
    let decode = |(name, bytes): (String, Vec<u8>)| {
        KeyRecord::decode(&bytes).ok_or_else(|| StoreError::Damaged(format!("the credential {name} can't be read")))
    };
    store.documents(Shelf::ApiKeys)?.into_iter().map(decode).collect()
}
