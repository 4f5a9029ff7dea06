//! What becomes of a project's alerts when it is deleted: who was told that one fires is told that it ended, and all else
//! of them is gone.

use crate::{
    alert::{Alert, Delivery, Notice, NoticeKind, Phase, Recipient, Row, state::What},
    model::{KeyId, Now, Project, Time},
    service::{
        Service,
        alerts::{
            State, WEBHOOKS,
            decide::document,
            name_of, named, record,
            tell::{Told, id_of},
        },
    },
    store::{Document, Shelf},
};

/// What is said of the end.
const DELETED: &str = "The project was deleted: nothing is counted for it any more.";

impl Service {
    /// Forgets a project's rules, recipients, alerts and notices, if `write` makes it durable that they are removed.
    ///
    /// # Errors
    /// What `write` fails with; then all is as it was.
    pub(in crate::service) fn forget_alerts<T, E>(
        &self,
        project: &Project,
        now: Now,
        write: impl FnOnce(Vec<Document>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut state = self.alerts.state();
        let gone = state.removed(project);
        let seal = |recipient: &Recipient| {
            record::encode_recipient(recipient, |secret| self.access.seal_secret(WEBHOOKS, secret))
        };
        let farewells = state.farewells(project, now.wall, &seal);
        let mut documents = gone.clone();
        let kept = |row: &Row| document(Shelf::Outbox, row.id.to_string(), Some(record::encode_row(row)));
        documents.extend(farewells.iter().map(kept));
        let written = write(documents)?;
        state.forget(project, &gone);
        state.outbox.take(farewells);
        drop(state);
        self.alerts.wake.notify_one();
        Ok(written)
    }
}

impl State {
    /// The documents of a project, as removed.
    fn removed(&self, project: &Project) -> Vec<Document> {
        let mut gone = Vec::new();
        for rule in self.engine.rules.of(project) {
            gone.push(document(Shelf::AlertRules, named(project, &rule.name), None));
        }
        let of_project = self.recipients.keys().filter(|(of, _)| of == project);
        gone.extend(of_project.map(|(_, name)| document(Shelf::Recipients, named(project, name), None)));
        for alert in self.alerts_of(project) {
            gone.push(document(Shelf::Alerts, name_of(alert.subject), None));
        }
        let past = self.past.iter().filter(|(_, past)| past.key.as_ref().is_some_and(|key| key.project == *project));
        gone.extend(past.map(|(name, _)| document(Shelf::PastAlerts, name.clone(), None)));
        // What tells of the end of a project of this name that was there before is not of this one.
        let rows = self.outbox.rows().filter(|row| row.project == *project && row.gone.is_empty());
        gone.extend(rows.map(|row| document(Shelf::Outbox, row.id.to_string(), None)));
        gone
    }

    fn alerts_of(&self, project: &Project) -> impl Iterator<Item = &Alert> {
        self.engine.alerts().filter(|alert| self.names.of(alert.subject).is_some_and(|key| key.project == *project))
    }

    /// The ends of what was told to fire: a row for each who was told, with their record, since they are there no more.
    fn farewells(&self, project: &Project, now: Time, seal: &dyn Fn(&Recipient) -> Vec<u8>) -> Vec<Row> {
        let recipients: Vec<_> = self.recipients_of(project).into_iter().filter(Recipient::is_told).collect();
        let mut farewells = Vec::new();
        for alert in self.alerts_of(project).filter(|alert| alert.told.is_some()) {
            let of_alert = |row: &&Row| row.subject == alert.subject && row.alert.began == alert.began;
            let told: Vec<&Row> = self.outbox.rows().filter(of_alert).filter(|row| row.is_told()).collect();
            let notice = end_of(alert, now);
            for recipient in &recipients {
                let theirs = told.iter().filter(|row| row.recipient == recipient.name && row.tells_of_firing());
                let Some(last) = theirs.max_by_key(|row| row.created) else { continue };
                let common = Told { detail: DELETED.to_owned(), ..Told::of_row(last) };
                let id = id_of(&notice, project, &recipient.name);
                let row = common.row(&notice, id, &recipient.name, now);
                // It does not overtake what is on its way.
                let due = match last.delivery {
                    Delivery::Sending { until, .. } => until.max(now),
                    _ => now,
                };
                // No recipient has such a name: one who comes after them is somebody else.
                let name = format!("{}:{}", recipient.name, now.0).into();
                farewells.push(Row { recipient: name, gone: seal(recipient), due, ..row });
            }
        }
        farewells
    }

    /// Forgets what the store holds no more.
    fn forget(&mut self, project: &Project, gone: &[Document]) {
        for (id, name) in (0..).map(KeyId).zip(&mut self.names.0) {
            if name.take_if(|key| key.project == *project).is_some() {
                self.engine.forget(id);
            }
        }
        for document in gone {
            self.unwritten.remove(&(document.shelf, document.name.clone()));
        }
        self.engine.rules.forget(project);
        self.recipients.retain(|(of, _), _| of != project);
        self.past.retain(|_, past| past.key.as_ref().is_none_or(|key| key.project != *project));
        self.outbox.forget(project);
    }
}

/// The notice that an alert has ended.
fn end_of(alert: &Alert, now: Time) -> Notice {
    let mut ended = alert.clone();
    let (at, level) = (now.tick(), alert.level);
    (ended.phase, ended.resolved) = (Phase::Resolved, Some(at));
    ended.notices += 1;
    ended.events.push(crate::alert::Event { at, what: What::Resolved { level } });
    let rule = ended.told.take().unwrap_or_default();
    Notice { notice: NoticeKind::Resolved, rule, number: alert.notices, alert: ended }
}
