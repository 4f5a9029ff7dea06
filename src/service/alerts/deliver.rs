//! What is sent next, and what came of it: each is in the store before it is done, so that whoever comes after a process
//! that was killed sends the same message again, and no other.

use std::sync::atomic::Ordering;

use crate::{
    alert::{
        Address, Alert, AlertKind, Asked, Batch, Delivery, Engine, Phase, Recipient, Row, Sort, Standing, Subject,
        Tried,
    },
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

/// How many messages may begin now, of each sort: what one sort waits for holds up no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    pub mails: usize,
    pub webhooks: usize,
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

    /// The messages that are to be sent now, as many as there is room for. That they are being sent is in the store.
    pub fn claim(&self, service: &Service, now: Now, room: Room) -> Vec<Delivered> {
        let mut state = self.state();
        let State { engine, outbox, .. } = &*state;
        // It goes through all that waits: only where there is a snooze.
        if engine.alerts().any(|alert| engine.is_snoozed(alert.subject, now.wall)) {
            let held = outbox.hold(&|row| engine.is_snoozed(row.subject, now.wall));
            state.put_rows(held);
        }
        if state.write(service, now.wall).is_err() {
            return state.claim_of_lost_store(now.wall, room);
        }
        let batches = state.claim(now.wall, room, &|_| true);
        let mut delivered = Vec::with_capacity(batches.len());
        for batch in batches {
            let recipient = state.recipient_of(&batch.rows[0], service);
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
        let mut batch = delivered.batch.clone();
        // What was removed meanwhile with its project stays so.
        batch.rows.retain(|row| state.outbox.get(&row.id).is_some());
        let rows = state.outbox.tried(&batch, tried, now.wall, u64::from_le_bytes(random()));
        if matches!(tried, Tried::Waits(_)) {
            state.outbox.take_back(&batch);
            state.put_rows(rows);
            return state.write(service, now.wall).is_ok();
        }
        match (tried, rows.iter().any(Row::is_open)) {
            (Tried::Sent(_), _) => counts.sent.fetch_add(1, Ordering::Relaxed),
            (_, true) => counts.failed.fetch_add(1, Ordering::Relaxed),
            (_, false) => counts.undeliverable.fetch_add(1, Ordering::Relaxed),
        };
        state.put_rows(rows);
        let trouble = match tried {
            Tried::Sent(_) => String::new(),
            Tried::Failed(reason) | Tried::Refused(reason) | Tried::Waits(reason) => reason.clone(),
        };
        let Recipient { project, name, .. } = &delivered.recipient;
        let place = (project.clone(), name.clone());
        let seal = |secret: &[u8]| service.access.seal_secret(super::WEBHOOKS, secret);
        let is_theirs =
            |there: &&mut Recipient| there.address == delivered.recipient.address && there.trouble != trouble;
        if let Some(recipient) = state.recipients.get_mut(&place).filter(is_theirs) {
            recipient.trouble = trouble;
            // A secret that can't be opened is not written over: the key file of it may come back.
            let bytes = (!recipient.lacks_secret()).then(|| record::encode_recipient(recipient, seal));
            if let Some(bytes) = bytes {
                state.put(Shelf::Recipients, super::named(project, name), Some(bytes));
            }
        }
        let written = state.write(service, now.wall);
        if let Err(error) = &written {
            tracing::warn!(%error, "what came of a notice is not written yet");
        }
        written.is_ok()
    }
}

impl State {
    fn claim(&mut self, now: Time, room: Room, wanted: &dyn Fn(&Row) -> bool) -> Vec<Batch> {
        let Self { engine, outbox, recipients, .. } = self;
        let is_webhook = |row: &Row| match row.gone.is_empty() {
            true => recipients.get(&(row.project.clone(), row.recipient.clone())).is_some_and(is_webhook),
            false => record::decode_recipient(&row.gone, |_| None).as_ref().is_some_and(is_webhook),
        };
        let asked = Asked {
            sort_of: &|row| if is_webhook(row) { Sort::Webhook } else { Sort::Mail },
            wanted: &|row| wanted(row) && !engine.is_snoozed(row.subject, now),
            standing: &|row| standing(engine, row),
        };
        let webhooks = outbox.claim(now, Sort::Webhook, room.webhooks, &asked);
        let mails = outbox.claim(now, Sort::Mail, room.mails, &asked);
        webhooks.into_iter().chain(mails).collect()
    }

    /// Who is to have a row, also when their project is gone.
    pub(super) fn recipient_of(&self, row: &Row, service: &Service) -> Option<Recipient> {
        match row.gone.is_empty() {
            true => self.recipient(&row.project, &row.recipient),
            false => record::decode_recipient(&row.gone, |sealed| service.access.open_secret(super::WEBHOOKS, sealed)),
        }
    }

    /// Where the store has taken nothing for a while, that alone is told, and what becomes of it is written when the store
    /// is well again.
    fn claim_of_lost_store(&mut self, now: Time, room: Room) -> Vec<Delivered> {
        if self.failing_since.is_none_or(|since| now.since(since) < STORE_LOST) {
            return Vec::new();
        }
        let of_store = |row: &Row| row.subject == Subject::Service(AlertKind::StoreDegraded);
        let batches = self.claim(now, room, &of_store);
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

fn is_webhook(recipient: &Recipient) -> bool {
    matches!(recipient.address, Address::Webhook { .. })
}

/// How the alert of a row stands now; `None` when it does not fire.
fn standing(engine: &Engine, row: &Row) -> Option<Standing> {
    let is_of_row = |alert: &&Alert| alert.began == row.alert.began && alert.phase == Phase::Firing;
    let alert = engine.get(row.subject).filter(is_of_row)?;
    let worst = alert.stages.iter().rfind(|stage| stage.fires)?;
    let rules = engine.rules.of(&row.project);
    let severity = rules.iter().find(|rule| rule.name == worst.rule).map_or(row.severity, |rule| rule.severity);
    Some(Standing { fires: true, severity, level: alert.level, limit: alert.limit })
}
