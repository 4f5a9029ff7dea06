//! What becomes of credentials that are refused: counted, bounded by address and by key, logged without what they were.

use std::{
    net::IpAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    access::{Refused, Throttle, audit::Entry, throttle::Subject},
    error::Error,
    model::Time,
    service::Actor,
};

/// Refusals that wait to be told to the audit log, which is told once a minute: what more there is, is counted.
const MOST_REMEMBERED: usize = 32;

/// Failures of a service.
#[derive(Debug)]
pub struct Failures {
    throttle: Mutex<Throttle>,
    /// Credentials that were refused since the service started.
    refused: AtomicU64,
    /// Those of them that were refused without a word of why.
    throttled: AtomicU64,
    /// What the audit log is to be told of.
    remembered: Mutex<Vec<Entry>>,
    /// What it was not told of, since there was too much.
    forgotten: AtomicU64,
}

impl Failures {
    pub fn new(throttle: Throttle) -> Self {
        let (refused, throttled, remembered, forgotten) = Default::default();
        Self { throttle: Mutex::new(throttle), refused, throttled, remembered, forgotten }
    }

    /// Notes a refusal; what the client is told of it, and whether it is worth more than counting.
    pub fn note(&self, refused: &Refused, key: Option<Box<str>>, address: Option<IpAddr>, mono: Time) -> (Error, bool) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        let from_there = address.is_none_or(|address| throttle.fail(Subject::Address(address), mono));
        let by_key = key.is_none_or(|key| throttle.fail(Subject::Key(key), mono));
        drop(throttle);
        if !(from_there && by_key) {
            self.throttled.fetch_add(1, Ordering::Relaxed);
            return (Error::TooManyFailures, false);
        }
        (said(refused), true)
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

    /// Takes what the audit log is to be told of, with a row of what was too much.
    pub fn take(&self) -> Vec<Entry> {
        let mut entries = std::mem::take(&mut *self.remembered.lock().unwrap_or_else(PoisonError::into_inner));
        let forgotten = self.forgotten.swap(0, Ordering::Relaxed);
        if forgotten > 0 {
            let after = format!("{forgotten} more");
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
