//! What the store promised last, as a note of it: that it promises something else now is a row of the audit log, also when
//! it came about while no service ran.

use crate::{
    access::audit::Entry,
    model::Time,
    service::{Actor, Service},
    store::{Change, Promise, StoreError},
};

const NOTE: &str = "store_promise";

/// What the audit log knows of the store's promise.
#[derive(Debug, Default)]
pub struct Promised(Option<Promise>);

impl Promised {
    /// Tells the audit log when the store was found to promise something else than before.
    ///
    /// # Errors
    /// When the store does not answer: it is to be told again.
    pub fn tell(&mut self, service: &Service, now: Time) -> Result<(), StoreError> {
        let Some(keeping) = service.health.keeping().filter(|keeping| self.0 != Some(keeping.promise)) else {
            return Ok(());
        };
        let promise = keeping.promise.as_str();
        let before = service.store.note(NOTE)?;
        if before.as_deref() != Some(promise) {
            // What the first service on a store finds is no change. A row that is told twice is better than none.
            if let Some(before) = before {
                let entry = Actor::service().entry("store.promise", "", service.config.store.to_string());
                service.ledger.write(
                    Change::default(),
                    &[Entry { before, after: keeping.to_string(), ..entry }],
                    now,
                )?;
            }
            service.store.set_note(NOTE, promise)?;
        }
        self.0 = Some(keeping.promise);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        access::AuditRow,
        config::{Config, RawConfig},
        service::Clock,
        store::{EmbeddedStore, Keeping},
    };

    #[test]
    fn a_change_of_the_promise_is_a_row_and_the_first_is_none() {
        let config = Config::build(&RawConfig::default(), None).unwrap();
        let store = Arc::new(EmbeddedStore::in_memory().unwrap());
        let service = Service::open(config, store, Clock::start()).unwrap();
        let rows = || service.store.audit(0..u64::MAX, 10).unwrap();
        let mut promised = Promised::default();
        let found = |promise| service.health.set_keeping(&Keeping::of(promise, "in words".to_owned()));
        promised.tell(&service, Time(1)).unwrap();
        for promise in [Promise::Strict, Promise::Strict, Promise::Bounded, Promise::Bounded] {
            found(promise);
            promised.tell(&service, Time(2)).unwrap();
        }
        // Another service on the store finds what it left, and then something else.
        Promised::default().tell(&service, Time(3)).unwrap();
        found(Promise::None);
        Promised::default().tell(&service, Time(4)).unwrap();
        let told: Vec<_> = rows().iter().map(|(_, bytes)| AuditRow::decode(bytes).unwrap().entry).collect();
        let told: Vec<_> = told.iter().map(|entry| (&*entry.action, &*entry.before, &*entry.after)).collect();
        let action = "store.promise";
        assert_eq!(told, [(action, "strict", "bounded: in words"), (action, "bounded", "none: in words")]);
    }
}
