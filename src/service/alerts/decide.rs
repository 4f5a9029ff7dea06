//! What people decide of alerts: each is in the store, with its row of the audit log, before it holds.

use std::sync::Arc;

use crate::{
    access::audit::Entry,
    alert::{
        Address, Alert, AlertRule, Recipient,
        recipient::{MOST_RECIPIENTS, NO_SECRET},
        rule::{MOST_RULES, WrongRule},
        state::MAX_BY_BYTES,
    },
    error::Error,
    model::{Now, Project, Time},
    service::{
        Actor, Service,
        alerts::{Known, State, WEBHOOKS, name_of, named, project_of, record, subject_of},
    },
    store::{Change, Document, Shelf},
};

/// Longest time for which an alert can be snoozed: thirty days.
pub const LONGEST_SNOOZE: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 3_600);

impl From<WrongRule> for Error {
    fn from(wrong: WrongRule) -> Self {
        Self::invalid(wrong.field, wrong.problem)
    }
}

pub(super) fn document(shelf: Shelf, name: String, bytes: Option<Vec<u8>>) -> Document {
    Document { shelf, name, bytes }
}

impl Service {
    /// Sets a rule of a project, in the place of one of the same name.
    ///
    /// # Errors
    /// `Invalid` when it is wrong, `Bound` when there are as many as there may be, `Store` when it is not durable, and then
    /// it does not hold.
    pub fn set_alert_rule(&self, rule: AlertRule, actor: &Actor, now: Now) -> Result<Arc<AlertRule>, Error> {
        rule.check()?;
        let mut state = self.alerts.state();
        let before = state.engine.rules.of(&rule.project);
        let replaced = before.iter().find(|there| there.name == rule.name);
        if replaced.is_none() && before.len() >= AlertRule::defaults(&rule.project).len() + MOST_RULES {
            return Err(Error::Bound { name: "rules of a project", most: MOST_RULES as u64 });
        }
        let entry = Entry {
            before: replaced.map(|rule| describe(rule)).unwrap_or_default(),
            after: describe(&rule),
            ..actor.entry("alert.rule.set", rule.project.as_str(), rule.name.to_string())
        };
        let put = document(Shelf::AlertRules, named(&rule.project, &rule.name), Some(record::encode_rule(&rule)));
        self.ledger.write(Change { documents: vec![put], ..Change::default() }, &[entry], now.wall)?;
        let rule = Arc::new(rule);
        state.engine.rules.set(AlertRule::clone(&rule));
        self.look_again(&mut state, &rule.project, now);
        Ok(rule)
    }

    /// Takes a rule back: one of the start is as it was at the start.
    ///
    /// # Errors
    /// `NotFound` when there is none, `Store` as above.
    pub fn remove_alert_rule(&self, project: &Project, name: &str, actor: &Actor, now: Now) -> Result<(), Error> {
        let mut state = self.alerts.state();
        let found = state.engine.rules.of(project).into_iter().find(|rule| &*rule.name == name);
        let found = found.ok_or_else(|| Error::NotFound { what: "rule", name: name.to_owned() })?;
        let entry =
            Entry { before: describe(&found), ..actor.entry("alert.rule.remove", project.as_str(), name.to_owned()) };
        let gone = document(Shelf::AlertRules, named(project, name), None);
        self.ledger.write(Change { documents: vec![gone], ..Change::default() }, &[entry], now.wall)?;
        state.engine.rules.remove(project, name);
        self.look_again(&mut state, project, now);
        Ok(())
    }

    fn look_again(&self, state: &mut State, project: &Project, now: Now) {
        let State { engine, names, .. } = state;
        engine.look_again(project, &Known { names, limits: &self.limits }, now.wall.tick());
    }

    /// Sets who is told. A webhook without a secret keeps the one that it has.
    ///
    /// # Errors
    /// As [`set_alert_rule`](Self::set_alert_rule).
    pub fn set_recipient(&self, mut recipient: Recipient, actor: &Actor, now: Now) -> Result<Recipient, Error> {
        recipient.check().map_err(|(field, problem)| Error::invalid(field, problem))?;
        let mut state = self.alerts.state();
        let place = (recipient.project.clone(), recipient.name.clone());
        let before = state.recipients.get(&place).cloned();
        let of_project = state.recipients.keys().filter(|(project, _)| *project == recipient.project).count();
        if before.is_none() && of_project >= MOST_RECIPIENTS {
            return Err(Error::Bound { name: "recipients of a project", most: MOST_RECIPIENTS as u64 });
        }
        if let Address::Webhook { secret, .. } = &mut recipient.address
            && secret.is_empty()
            && let Some(Address::Webhook { secret: kept, .. }) = before.as_ref().map(|before| &before.address)
        {
            secret.clone_from(kept);
        }
        if recipient.lacks_secret() {
            return Err(Error::invalid("secret", NO_SECRET));
        }
        let action = "alert.recipient.set";
        let entry = Entry {
            before: before.as_ref().map(describe_recipient).unwrap_or_default(),
            after: describe_recipient(&recipient),
            ..actor.entry(action, recipient.project.as_str(), recipient.name.to_string())
        };
        let put = self.recipient_document(&recipient);
        self.ledger.write(Change { documents: vec![put], ..Change::default() }, &[entry], now.wall)?;
        state.outbox.look_again(&place.0, &place.1);
        state.recipients.insert(place, recipient.clone());
        Ok(recipient)
    }

    pub(super) fn recipient_document(&self, recipient: &Recipient) -> Document {
        let seal = |secret: &[u8]| self.access.seal_secret(WEBHOOKS, secret);
        let name = named(&recipient.project, &recipient.name);
        document(Shelf::Recipients, name, Some(record::encode_recipient(recipient, seal)))
    }

    /// Removes who was told; what waits for them is given up.
    ///
    /// # Errors
    /// `NotFound` when there is none, `Store` as above.
    pub fn remove_recipient(&self, project: &Project, name: &str, actor: &Actor, now: Now) -> Result<(), Error> {
        let mut state = self.alerts.state();
        let place = (project.clone(), Arc::from(name));
        let Some(before) = state.recipients.get(&place).cloned() else {
            return Err(Error::NotFound { what: "recipient", name: name.to_owned() });
        };
        let entry = Entry {
            before: describe_recipient(&before),
            ..actor.entry("alert.recipient.remove", project.as_str(), name.to_owned())
        };
        let rows = state.outbox.ended(project, &place.1, "the recipient was removed", now.wall);
        let mut documents = vec![document(Shelf::Recipients, named(project, name), None)];
        let written =
            |row: &crate::alert::Row| document(Shelf::Outbox, row.id.to_string(), Some(record::encode_row(row)));
        documents.extend(rows.iter().map(written));
        self.ledger.write(Change { documents, ..Change::default() }, &[entry], now.wall)?;
        state.recipients.remove(&place);
        state.outbox.take(rows);
        Ok(())
    }

    /// Nothing is told of an alert until an instant.
    ///
    /// # Errors
    /// `NotFound` when there is none of this name in the project, `Invalid` when that is too long, `Store` when it is not
    /// durable.
    pub fn snooze_alert(
        &self,
        project: &Project,
        name: &str,
        until: Time,
        by: &str,
        actor: &Actor,
        now: Now,
    ) -> Result<Alert, Error> {
        if until.since(now.wall) > LONGEST_SNOOZE {
            return Err(Error::invalid("until", "is more than 30 days away"));
        }
        let after = format!("until_us={} by={by:?}", until.0);
        self.change_alert(project, name, ("alert.snooze", after), actor, now, |alert| {
            alert.snooze(by, until, now.wall);
        })
    }

    /// Somebody has seen an alert: it is not told again until it gets worse.
    ///
    /// # Errors
    /// As [`snooze_alert`](Self::snooze_alert).
    pub fn acknowledge_alert(
        &self,
        project: &Project,
        name: &str,
        by: &str,
        actor: &Actor,
        now: Now,
    ) -> Result<Alert, Error> {
        let after = format!("by={by:?}");
        self.change_alert(project, name, ("alert.acknowledge", after), actor, now, |alert| {
            alert.acknowledge(by, now.wall);
        })
    }

    /// Nobody has seen an alert, after all: it is told again as its rule says.
    ///
    /// # Errors
    /// As [`snooze_alert`](Self::snooze_alert).
    pub fn take_back_acknowledgement(
        &self,
        project: &Project,
        name: &str,
        by: &str,
        actor: &Actor,
        now: Now,
    ) -> Result<Alert, Error> {
        let after = format!("by={by:?}");
        self.change_alert(project, name, ("alert.acknowledge.take_back", after), actor, now, |alert| {
            alert.take_back(by, now.wall);
        })
    }

    fn change_alert(
        &self,
        project: &Project,
        name: &str,
        (action, after): (&str, String),
        actor: &Actor,
        now: Now,
        change: impl FnOnce(&mut Alert),
    ) -> Result<Alert, Error> {
        let mut state = self.alerts.state();
        let not_found = || Error::NotFound { what: "alert", name: name.to_owned() };
        let subject = subject_of(name).ok_or_else(not_found)?;
        let key = state.names.of(subject).cloned();
        let is_of = project_of(key.as_ref()) == *project;
        let alert = state.engine.get(subject).filter(|alert| is_of && alert.is_active()).cloned();
        let mut alert = alert.ok_or_else(not_found)?;
        change(&mut alert);
        let entry = Entry { after, ..actor.entry(action, project.as_str(), name.to_owned()) };
        let put = document(Shelf::Alerts, name_of(subject), Some(record::encode_alert(&alert, key.as_ref())));
        self.ledger.write(Change { documents: vec![put], ..Change::default() }, &[entry], now.wall)?;
        state.unwritten.remove(&(Shelf::Alerts, name_of(subject)));
        if let Some(there) = state.engine.get_mut(subject) {
            there.clone_from(&alert);
        }
        state.outbox.look_again_at(&alert);
        Ok(alert)
    }
}

/// Who did it, as they say; what does not fit is cut.
pub fn by(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_BY_BYTES.min(text.len()))]
}

/// What the audit log says of a rule.
fn describe(rule: &AlertRule) -> String {
    format!(
        "{} enabled={} threshold={:?} hold={}s clear={:?} keep={}s severity={} repeat={}s kind={} model={:?}",
        rule.kind,
        rule.enabled,
        rule.threshold,
        rule.hold_seconds,
        rule.clear,
        rule.keep_seconds,
        rule.severity,
        rule.repeat_seconds,
        rule.scope.kind.map_or("any", |kind| kind.as_str()),
        rule.scope.model,
    )
}

/// What it says of a recipient: of a webhook not where it is, which may be its secret.
fn describe_recipient(recipient: &Recipient) -> String {
    format!("{:?} enabled={} least={}", recipient.address, recipient.enabled, recipient.least)
}
