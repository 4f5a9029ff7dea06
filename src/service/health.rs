//! What is wrong with the service, in words; and what will be if nobody looks after it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::store::{Keeping, Promise};

/// The part that troubles of the store are told of.
pub const STORE: &str = "store";
/// The part that warnings of how safely the store keeps are told of.
pub const KEEPING: &str = "keeping";
/// The part that warnings of history that is gone are told of.
pub const HISTORY: &str = "history";
/// The part that makes each second durable.
pub const RECORDER: &str = "recorder";
/// The part that keeps credentials.
pub const ACCESS: &str = "access";
/// The part that sends mails.
pub const MAIL: &str = "mail";
/// What waits to be told.
pub const NOTICES: &str = "notices";
/// Every part that may be told of.
pub const PARTS: &[&str] = &[STORE, RECORDER, ACCESS];

/// What is wrong now, and what is about to be, by the part that it is of.
#[derive(Debug, Default)]
pub struct Health {
    troubles: Mutex<BTreeMap<&'static str, String>>,
    warnings: Mutex<BTreeMap<&'static str, String>>,
    /// How safely the store keeps what is written, as it said last.
    keeping: Mutex<Option<Keeping>>,
}

fn lock<'m>(words: &'m Mutex<BTreeMap<&'static str, String>>) -> MutexGuard<'m, BTreeMap<&'static str, String>> {
    words.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lines(words: &Mutex<BTreeMap<&'static str, String>>) -> Vec<String> {
    lock(words).iter().map(|(part, words)| format!("{part}: {words}")).collect()
}

impl Health {
    /// Something is wrong with a part: what it does is done late, or not at all.
    pub fn trouble(&self, part: &'static str, words: impl Into<String>) {
        let words = words.into();
        // Errors say by themselves which part they are of: it is said once.
        let rest = words.strip_prefix(part).and_then(|rest| rest.strip_prefix(": ")).map(str::to_owned);
        lock(&self.troubles).insert(part, rest.unwrap_or(words));
    }

    /// Nothing is wrong with it any more; returns whether anything was.
    pub fn well(&self, part: &'static str) -> bool {
        lock(&self.troubles).remove(part).is_some()
    }

    /// A part does its work and wants looking after; `None` when it does not. Returns whether that is news.
    pub fn warn(&self, part: &'static str, words: Option<String>) -> bool {
        let mut warnings = lock(&self.warnings);
        let is_news = warnings.get(part) != words.as_ref();
        match words {
            Some(words) => drop(warnings.insert(part, words)),
            None => drop(warnings.remove(part)),
        }
        is_news
    }

    /// Whether a part wants looking after.
    pub fn is_warned(&self, part: &'static str) -> bool {
        lock(&self.warnings).contains_key(part)
    }

    /// Why nothing is counted for good any more, if so: workers had better go elsewhere. A store that is away is no reason,
    /// since the service counts on, and every other one would fare the same.
    pub fn no_use(&self) -> Option<String> {
        lock(&self.troubles).get(RECORDER).map(|words| format!("{RECORDER}: {words}"))
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

    /// How safely what is written now is kept, in words; empty until the store was asked. While it takes no writes it keeps
    /// none, whatever it is set to keep.
    pub fn store_line(&self) -> String {
        let Some(keeping) = self.keeping() else { return String::new() };
        if !lock(&self.troubles).contains_key(STORE) {
            return keeping.to_string();
        }
        let words =
            "it takes no writes now; what waits in memory is lost if the service ends before it does. When it is well";
        Keeping::of(Promise::None, format!("{words}: {keeping}")).to_string()
    }

    /// What is wrong, a line a part: `store: no space left`.
    pub fn degraded(&self) -> Vec<String> {
        lines(&self.troubles)
    }

    /// What wants looking after, a line a part: `certificate: ends in 6 days`.
    pub fn warnings(&self) -> Vec<String> {
        lines(&self.warnings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_named_once() {
        let health = Health::default();
        for words in ["store: redis://127.0.0.1: refused", "redis://127.0.0.1: refused"] {
            health.trouble(STORE, words);
            assert_eq!(health.degraded(), ["store: redis://127.0.0.1: refused"]);
        }
    }

    #[test]
    fn a_store_that_takes_no_writes_promises_nothing() {
        let health = Health::default();
        assert_eq!(health.store_line(), "");
        health.trouble(STORE, "away");
        assert_eq!(health.store_line(), "");
        health.set_keeping(&Keeping::embedded());
        let line = health.store_line();
        assert!(line.starts_with("none: it takes no writes now") && line.contains("When it is well: strict"), "{line}");
        health.trouble(ACCESS, "away");
        health.well(STORE);
        assert_eq!(health.store_line(), Keeping::embedded().to_string());
    }

    #[test]
    fn a_store_that_is_away_is_no_reason_to_go_elsewhere() {
        let health = Health::default();
        health.trouble(STORE, "away");
        health.trouble(ACCESS, "away");
        assert_eq!(health.no_use(), None);
        health.trouble(RECORDER, "it stopped");
        assert_eq!(health.no_use().as_deref(), Some("recorder: it stopped"));
    }
}
