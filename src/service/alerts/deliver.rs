//! What is sent next, and what came of it: each is in the store before it is done, so that whoever comes after a process
//! that was killed sends the same message again, and no other.

use std::sync::atomic::Ordering;

use crate::{
    alert::{AlertKind, Batch, Delivery, Recipient, Row, Subject, Tried},
    config::StorePlace,
    model::{Now, Time},
    service::{
        Service,
        access::random,
        alerts::{Alerts, State, record},
    },
    store::Shelf,
};

/// A store that takes nothing for so long is told of without it: then the same message may come more than once.
const STORE_LOST: std::time::Duration = std::time::Duration::from_secs(60);

/// A message and who is to have it.
#[derive(Clone, Debug)]
pub struct Delivered {
    pub batch: Batch,
    pub recipient: Recipient,
}

impl Alerts {
    /// The process before this one is gone for sure: what it was sending is sent again at once.
    pub fn take_over(&self, service: &Service, now: Now) {
        if matches!(service.config.store, StorePlace::File(_)) {
            self.take_over_rows(now);
        }
    }

    pub(super) fn take_over_rows(&self, now: Now) {
        let mut state = self.state();
        let sending = state.outbox.open().filter_map(|row| match &row.delivery {
            Delivery::Sending { lead, .. } => {
                Some(Row { delivery: Delivery::Sending { lead: lead.clone(), until: now.wall }, ..row.clone() })
            }
            _ => None,
        });
        let rows: Vec<_> = sending.collect();
        state.outbox.take(rows);
    }

    /// The messages that are to be sent now, at most `most`. That they are being sent is in the store.
    pub fn claim(&self, service: &Service, now: Now, most: usize) -> Vec<Delivered> {
        let mut state = self.state();
        if state.write(service, now.wall).is_err() {
            return state.claim_of_lost_store(now.wall, most);
        }
        let batches = state.outbox.claim(now.wall, most, &|_| true);
        let mut delivered = Vec::with_capacity(batches.len());
        for batch in batches {
            let first = &batch.rows[0];
            let recipient = state.recipient(&first.project, &first.recipient);
            match recipient.filter(|recipient| recipient.enabled && recipient.unsubscribed.is_none()) {
                Some(recipient) => {
                    state.put_rows(batch.rows.clone());
                    delivered.push(Delivered { batch, recipient });
                }
                None => {
                    let refused = Tried::Refused("the recipient is there no more".to_owned());
                    let rows = state.outbox.tried(&batch, &refused, now.wall, 0);
                    state.put_rows(rows);
                }
            }
        }
        if let Err(error) = state.write(service, now.wall) {
            tracing::warn!(%error, "notices wait: that they are being sent can't be written");
            let batches: Vec<_> = delivered.drain(..).map(|delivered| delivered.batch).collect();
            state.outbox.unclaim(&batches);
        }
        delivered
    }

    /// What came of a try. Returns whether it is in the store.
    pub fn tried(&self, service: &Service, delivered: &Delivered, tried: &Tried, now: Now) -> bool {
        let mut state = self.state();
        let counts = &self.counts;
        let rows = state.outbox.tried(&delivered.batch, tried, now.wall, u64::from_le_bytes(random()));
        match (tried, rows.first().is_some_and(Row::is_open)) {
            (Tried::Sent(_), _) => counts.sent.fetch_add(1, Ordering::Relaxed),
            (_, true) => counts.failed.fetch_add(1, Ordering::Relaxed),
            (_, false) => counts.undeliverable.fetch_add(1, Ordering::Relaxed),
        };
        state.put_rows(rows);
        let trouble = match tried {
            Tried::Sent(_) => String::new(),
            Tried::Failed(reason) => reason.clone(),
            Tried::Refused(reason) => reason.clone(),
        };
        let Recipient { project, name, .. } = &delivered.recipient;
        let place = (project.clone(), name.clone());
        let seal = |secret: &[u8]| service.access.seal_secret(super::WEBHOOKS, secret);
        if let Some(recipient) = state.recipients.get_mut(&place).filter(|recipient| recipient.trouble != trouble) {
            recipient.trouble = trouble;
            let bytes = record::encode_recipient(recipient, seal);
            state.put(Shelf::Recipients, super::named(project, name), Some(bytes));
        }
        let written = state.write(service, now.wall);
        if let Err(error) = &written {
            tracing::warn!(%error, "what came of a notice is not written yet");
        }
        written.is_ok()
    }
}

impl State {
    /// Where the store has taken nothing for a while, that alone is told, and what becomes of it is written when the store
    /// is well again.
    fn claim_of_lost_store(&mut self, now: Time, most: usize) -> Vec<Delivered> {
        if self.failing_since.is_none_or(|since| now.since(since) < STORE_LOST) {
            return Vec::new();
        }
        let of_store = |row: &Row| row.subject == Subject::Service(AlertKind::StoreDegraded);
        let batches = self.outbox.claim(now, most, &of_store);
        let mut delivered = Vec::with_capacity(batches.len());
        for batch in batches {
            self.put_rows(batch.rows.clone());
            let first = &batch.rows[0];
            if let Some(recipient) = self.recipient(&first.project, &first.recipient) {
                delivered.push(Delivered { batch, recipient });
            }
        }
        delivered
    }
}
