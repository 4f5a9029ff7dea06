//! What becomes of credentials that are refused: counted, bounded by address and by key, logged without what they were.
//! One that is right is never refused for the failures of others: its secret can't be guessed, and a lock would be a way to
//! lock its owner out.

use std::{
    net::IpAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    access::{Refused, audit::Entry},
    config::Rate,
    error::Error,
    model::Time,
    service::{Actor, throttle::Throttle},
};

/// How often an address or a key may fail and be told why: 20 times at once, then once a second.
const FAILURES: Rate = Rate { per_second: 1, burst: 20 };

/// Refusals that wait to be told to the audit log, which is told once a minute: what more there is, is counted.
const MOST_REMEMBERED: usize = 32;

/// Who fails.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Address(IpAddr),
    Key(Box<str>),
}

/// Failures of a service.
#[derive(Debug)]
pub struct Failures {
    throttle: Throttle<Subject>,
    /// Credentials that were refused since the service started.
    refused: AtomicU64,
    /// Those of them that were refused without a word of why.
    throttled: AtomicU64,
    /// What the audit log is to be told of.
    remembered: Mutex<Vec<Entry>>,
    /// What it was not told of, since there was too much.
    forgotten: AtomicU64,
}

impl Default for Failures {
    fn default() -> Self {
        let (refused, throttled, remembered, forgotten) = Default::default();
        Self { throttle: Throttle::new(FAILURES), refused, throttled, remembered, forgotten }
    }
}

impl Failures {
    /// Notes a refusal; what the client is told of it, and whether it is worth more than counting.
    pub fn note(&self, refused: &Refused, key: Option<Box<str>>, address: Option<IpAddr>, mono: Time) -> (Error, bool) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let may_by_key = |key| self.may_fail(&Subject::Key(key), mono);
        if !(self.may_fail_from(address, mono) && key.is_none_or(may_by_key)) {
            self.throttled.fetch_add(1, Ordering::Relaxed);
            return (Error::TooManyFailures, false);
        }
        (said(refused), true)
    }

    /// Notes that something failed that came from an address; false when too much did for it to be told why.
    pub fn may_fail_from(&self, address: Option<IpAddr>, mono: Time) -> bool {
        address.is_none_or(|address| self.may_fail(&Subject::Address(address), mono))
    }

    fn may_fail(&self, subject: &Subject, mono: Time) -> bool {
        self.throttle.take(subject, 1, mono).is_ok()
    }

    /// Keeps a refusal for the audit log, or counts it when many wait already.
    pub fn remember(&self, entry: Entry) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() < MOST_REMEMBERED {
            remembered.push(entry);
        } else {
            self.forgotten.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Keeps for the audit log that a good key tried what it may not, as often as it may fail.
    pub fn remember_forbidden(&self, entry: Entry, mono: Time) {
        if self.may_fail(&Subject::Key(entry.actor.as_str().into()), mono) {
            self.remember(entry);
        }
    }

    /// Takes what the audit log is to be told of, with a row of what was too much.
    pub fn take(&self) -> Vec<Entry> {
        let mut entries = std::mem::take(&mut *self.remembered.lock().unwrap_or_else(PoisonError::into_inner));
        let forgotten = self.forgotten.swap(0, Ordering::Relaxed);
        if forgotten > 0 {
            let after = format!("{forgotten} more that failed or were forbidden");
            entries.push(Entry { after, ..Actor::service().entry("auth.failed", "", "") });
        }
        entries
    }

    /// Credentials that were refused, and how many of them without a word of why.
    pub fn counts(&self) -> (u64, u64) {
        (self.refused.load(Ordering::Relaxed), self.throttled.load(Ordering::Relaxed))
    }
}

/// What a client is told. What was right once may say so: who holds it knows that it was.
pub fn said(refused: &Refused) -> Error {
    let words: std::borrow::Cow<'static, str> = match refused {
        Refused::Missing => {
            "a credential is needed: send `authorization: Bearer` with an API key (hwm_...) or a LiveKit access token"
                .into()
        }
        Refused::Malformed(why) => format!("the credential can't be one: {why}").into(),
        Refused::Unknown => "the credential is not known here".into(),
        Refused::Expired => "the credential has expired".into(),
        Refused::NotYet => "the credential is not valid yet".into(),
        Refused::Revoked => "the credential was revoked".into(),
        Refused::WithoutGrant => {
            return Error::Forbidden("the access token has no grant `inference: {perform: true}`".into());
        }
    };
    Error::Unauthenticated(words)
}
