//! Who is told of a notice: a row for each, which is written with the decision that it tells of.

use std::{sync::Arc, time::Duration};

use sha2::{Digest, Sha256};

use crate::{
    alert::{
        Address, Alert, AlertKind, AlertRule, Delivery, Notice, NoticeKind, Phase, Recipient, Row, Severity, Subject,
        Threshold, WebhookForm,
    },
    model::{Key, Project, Time},
    service::alerts::{State, name_of, project_of},
};

/// Bytes of a row's id.
const ID_BYTES: usize = 16;
/// An Alertmanager is told again after so long what fires still: long before it takes it to have ended, all tries and quiet
/// hours included, and so that one that forgot all knows it again.
const RENEW_EVERY: Duration = Duration::from_secs(24 * 3_600);

/// What the rows of a notice have in common.
pub(super) struct Told {
    pub key: Option<Key>,
    pub project: Project,
    pub kind: AlertKind,
    pub severity: Severity,
    pub stage_percent: u32,
    pub detail: String,
}

impl Told {
    pub fn of_row(row: &Row) -> Self {
        Self {
            key: row.key.clone(),
            project: row.project.clone(),
            kind: row.kind,
            severity: row.severity,
            stage_percent: row.stage_percent,
            detail: row.detail.clone(),
        }
    }

    /// The row of a recipient.
    pub fn row(&self, notice: &Notice, id: Arc<str>, recipient: &Arc<str>, now: Time) -> Row {
        Row {
            id,
            project: self.project.clone(),
            recipient: recipient.clone(),
            subject: notice.alert.subject,
            key: self.key.clone(),
            notice: notice.notice,
            kind: self.kind,
            severity: self.severity,
            stage_percent: self.stage_percent,
            detail: self.detail.clone(),
            alert: notice.alert.clone(),
            created: now,
            due: now,
            held: false,
            attempts: 0,
            delivery: Delivery::Queued,
            gone: Vec::new(),
        }
    }
}

impl State {
    /// Puts a row for each recipient into the outbox.
    pub(super) fn tell(&mut self, notice: &Notice, now: Time) {
        let subject = notice.alert.subject;
        // Who was told of the episode is told of its end, whatever became of the rule and of what they want to be told.
        let is_end = notice.notice == NoticeKind::Resolved;
        let of_episode = |row: &&Row| row.subject == subject && row.alert.began == notice.alert.began;
        let earlier: Vec<Row> = self.outbox.rows().filter(of_episode).filter(|_| is_end).cloned().collect();
        let last = earlier.iter().max_by_key(|row| row.created);
        let Some(told) = self.told(notice, last) else { return };
        let project = told.project.clone();
        let was_told = |recipient: &Recipient| {
            recipient.is_told() && earlier.iter().any(|row| row.recipient == recipient.name && row.project == project)
        };
        let recipients = self.recipients_of(&project).into_iter();
        for recipient in recipients.filter(|recipient| recipient.wants(told.severity) || was_told(recipient)) {
            let row = told.row(notice, id_of(notice, &project, &recipient.name), &recipient.name, now);
            let rows = self.outbox.queue(row, &recipient);
            self.put_rows(rows);
        }
        let dropped = self.outbox.overflow(now);
        self.put_rows(dropped);
    }

    /// What is told of a notice: by its rule; where that is gone, as by the `last` row.
    fn told(&self, notice: &Notice, last: Option<&Row>) -> Option<Told> {
        let subject = notice.alert.subject;
        let key = self.names.of(subject).cloned();
        let project = project_of(key.as_ref());
        let rule = self.engine.rules.of(&project).into_iter().find(|rule| rule.name == notice.rule);
        let of_row = |row: &Row| (row.kind, row.severity, row.stage_percent);
        let (kind, severity, stage_percent) = rule.map(of_rule).or_else(|| last.map(of_row))?;
        let is_over = matches!(notice.notice, NoticeKind::Resolved | NoticeKind::FiredAndResolved);
        let has_ended = is_over && matches!(subject, Subject::Way(..));
        let detail = self.details.get(&subject).filter(|_| !has_ended).cloned().unwrap_or_default();
        Some(Told { key, project, kind, severity, stage_percent, detail })
    }

    /// Tells each Alertmanager again what fires still, or it would take it to have ended.
    pub(super) fn renew(&mut self, now: Time) {
        let is_alertmanager = |recipient: &&Recipient| {
            let form = WebhookForm::Alertmanager;
            recipient.is_told() && matches!(&recipient.address, Address::Webhook { form: of, .. } if *of == form)
        };
        let recipients: Vec<_> = self.recipients.values().filter(is_alertmanager).cloned().collect();
        if recipients.is_empty() {
            return;
        }
        let is_told = |alert: &&Alert| alert.phase == Phase::Firing && !self.engine.is_snoozed(alert.subject, now);
        let firing: Vec<Alert> = self.engine.alerts().filter(is_told).cloned().collect();
        for alert in firing {
            let project = project_of(self.names.of(alert.subject));
            let Some(rule) = alert.stages.iter().rfind(|stage| stage.fires).map(|stage| stage.rule.clone()) else {
                continue;
            };
            let notice = Notice { notice: NoticeKind::Repeated, rule, number: alert.notices, alert };
            let Some(told) = self.told(&notice, None) else { continue };
            for recipient in recipients.iter().filter(|recipient| recipient.project == project) {
                let last = self.outbox.last_told(&project, &recipient.name, &notice.alert);
                if last.is_some_and(|last| now.since(last) >= RENEW_EVERY) {
                    let name = format!("{}/{}", recipient.name, now.tick().0);
                    let row = told.row(&notice, id_of(&notice, &project, &name), &recipient.name, now);
                    let rows = self.outbox.queue(row, recipient);
                    self.put_rows(rows);
                }
            }
        }
    }
}

fn of_rule(rule: Arc<AlertRule>) -> (AlertKind, Severity, u32) {
    let percent = match rule.threshold {
        Threshold::Percent(percent) if rule.kind.is_of_level() => percent,
        Threshold::Percent(_) | Threshold::Slots(_) => 0,
    };
    (rule.kind, rule.severity, percent)
}

/// The same for the same notice and recipient, whoever makes it and how often.
pub(super) fn id_of(notice: &Notice, project: &Project, recipient: &str) -> Arc<str> {
    let name = name_of(notice.alert.subject);
    let text = format!("{project}/{name}/{}/{}/{recipient}", notice.alert.began.0, notice.number);
    let hash: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    hash[..ID_BYTES].iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}
