//! What is wrong with the service, in words.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use crate::store::Keeping;

/// The part that troubles of the store are told of.
pub const STORE: &str = "store";
/// The part that troubles of how safely the store keeps are told of.
pub const KEEPING: &str = "keeping";
/// The part that makes each second durable.
pub const RECORDER: &str = "recorder";
/// Every part that may be told of.
pub const PARTS: &[&str] = &[STORE, KEEPING, RECORDER];

/// What is wrong now, by the part that it is of.
#[derive(Debug, Default)]
pub struct Health {
    troubles: Mutex<BTreeMap<&'static str, String>>,
    /// How safely the store keeps what is written, as it said last.
    keeping: Mutex<Option<Keeping>>,
}

impl Health {
    /// Something is wrong with a part.
    pub fn trouble(&self, part: &'static str, words: impl Into<String>) {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).insert(part, words.into());
    }

    /// Nothing is wrong with it any more; returns whether anything was.
    pub fn well(&self, part: &'static str) -> bool {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).remove(part).is_some()
    }

    /// The parts that something is wrong with.
    pub fn parts(&self) -> Vec<&'static str> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// Takes what the store says of how safely it keeps; returns whether that is news.
    pub fn set_keeping(&self, keeping: &Keeping) -> bool {
        let mut before = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = before.as_ref() != Some(keeping);
        *before = Some(keeping.clone());
        is_news
    }

    /// How safely the store keeps what is written; `None` until it was asked.
    pub fn keeping(&self) -> Option<Keeping> {
        self.keeping.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is wrong, a line a part: `store: no space left`.
    pub fn degraded(&self) -> Vec<String> {
        let troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        troubles.iter().map(|(part, words)| format!("{part}: {words}")).collect()
    }
}
