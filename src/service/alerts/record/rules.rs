//! Rules and recipients as bytes.

use prost::Message;

use crate::{
    alert::{Address, AlertKind, AlertRule, QuietHours, Recipient, Scope, Severity, Threshold, WebhookForm},
    config::time_zone,
    model::{Kind, Project, Time},
};

#[derive(Clone, PartialEq, Message)]
struct RuleRow {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    project: String,
    #[prost(uint32, tag = "3")]
    kind: u32,
    #[prost(bool, tag = "4")]
    enabled: bool,
    /// 0 for any.
    #[prost(uint32, tag = "5")]
    of_kind: u32,
    #[prost(string, tag = "6")]
    model: String,
    #[prost(uint32, optional, tag = "7")]
    percent: Option<u32>,
    #[prost(uint32, optional, tag = "8")]
    slots: Option<u32>,
    #[prost(uint32, tag = "9")]
    hold: u32,
    #[prost(uint32, optional, tag = "10")]
    clear_percent: Option<u32>,
    #[prost(uint32, optional, tag = "11")]
    clear_slots: Option<u32>,
    #[prost(uint32, tag = "12")]
    keep: u32,
    #[prost(uint32, tag = "13")]
    severity: u32,
    #[prost(uint32, tag = "14")]
    repeat: u32,
}

#[derive(Clone, PartialEq, Message)]
struct RecipientRow {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    project: String,
    /// Of a webhook empty.
    #[prost(string, tag = "3")]
    mailbox: String,
    #[prost(string, tag = "4")]
    url: String,
    #[prost(string, tag = "5")]
    form: String,
    /// Encrypted under the key file.
    #[prost(bytes = "vec", tag = "6")]
    secret: Vec<u8>,
    #[prost(bool, tag = "7")]
    enabled: bool,
    #[prost(uint32, tag = "8")]
    least: u32,
    #[prost(message, optional, tag = "9")]
    quiet: Option<QuietRow>,
    #[prost(uint64, optional, tag = "10")]
    unsubscribed: Option<u64>,
    #[prost(string, tag = "11")]
    trouble: String,
}

#[derive(Clone, PartialEq, Message)]
struct QuietRow {
    #[prost(uint32, tag = "1")]
    from: u32,
    #[prost(uint32, tag = "2")]
    to: u32,
    #[prost(string, tag = "3")]
    zone: String,
    #[prost(bool, tag = "4")]
    critical_too: bool,
}

pub fn encode_rule(rule: &AlertRule) -> Vec<u8> {
    let parts = |threshold| match threshold {
        Threshold::Percent(percent) => (Some(percent), None),
        Threshold::Slots(slots) => (None, Some(slots)),
    };
    let ((percent, slots), (clear_percent, clear_slots)) = (parts(rule.threshold), parts(rule.clear));
    RuleRow {
        name: rule.name.to_string(),
        project: rule.project.to_string(),
        kind: rule.kind as u32,
        enabled: rule.enabled,
        of_kind: rule.scope.kind.map_or(0, |kind| kind as u32),
        model: rule.scope.model.to_string(),
        percent,
        slots,
        hold: rule.hold_seconds,
        clear_percent,
        clear_slots,
        keep: rule.keep_seconds,
        severity: rule.severity as u32,
        repeat: rule.repeat_seconds,
    }
    .encode_to_vec()
}

pub fn decode_rule(bytes: &[u8]) -> Option<AlertRule> {
    let row = RuleRow::decode(bytes).ok()?;
    let threshold = |percent: Option<u32>, slots: Option<u32>| match (percent, slots) {
        (Some(percent), None) => Some(Threshold::Percent(percent)),
        (None, Some(slots)) => Some(Threshold::Slots(slots)),
        _ => None,
    };
    Some(AlertRule {
        name: row.name.into(),
        project: Project::new(&row.project).ok()?,
        kind: AlertKind::from_number(row.kind)?,
        enabled: row.enabled,
        scope: Scope { kind: Kind::from_number(row.of_kind), model: row.model.into() },
        threshold: threshold(row.percent, row.slots)?,
        hold_seconds: row.hold,
        clear: threshold(row.clear_percent, row.clear_slots)?,
        keep_seconds: row.keep,
        severity: Severity::from_number(row.severity)?,
        repeat_seconds: row.repeat,
    })
}

/// `seal` encrypts the secret of a webhook.
pub fn encode_recipient(recipient: &Recipient, seal: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let (mailbox, url, form, secret) = match &recipient.address {
        Address::Mailbox(mailbox) => (mailbox.clone(), String::new(), "", Vec::new()),
        Address::Webhook { url, form, secret } => (String::new(), url.clone(), form.as_str(), secret.clone()),
    };
    let quiet = recipient.quiet.as_ref().map(|quiet| QuietRow {
        from: quiet.from.into(),
        to: quiet.to.into(),
        zone: quiet.zone.iana_name().unwrap_or("UTC").to_owned(),
        critical_too: quiet.critical_too,
    });
    RecipientRow {
        name: recipient.name.to_string(),
        project: recipient.project.to_string(),
        mailbox,
        url,
        form: form.to_owned(),
        secret: if secret.is_empty() { secret } else { seal(&secret) },
        enabled: recipient.enabled,
        least: recipient.least as u32,
        quiet,
        unsubscribed: recipient.unsubscribed.map(|at| at.0),
        trouble: recipient.trouble.clone(),
    }
    .encode_to_vec()
}

/// `open` decrypts the secret of a webhook; where it can't, there is none.
pub fn decode_recipient(bytes: &[u8], open: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Option<Recipient> {
    let row = RecipientRow::decode(bytes).ok()?;
    let address = match row.mailbox.is_empty() {
        false => Address::Mailbox(row.mailbox),
        true => Address::Webhook {
            url: row.url,
            form: WebhookForm::ALL.into_iter().find(|form| form.as_str() == row.form)?,
            secret: if row.secret.is_empty() { Vec::new() } else { open(&row.secret).unwrap_or_default() },
        },
    };
    let quiet = row.quiet.and_then(|quiet| {
        let zone = time_zone(&quiet.zone).ok()?;
        Some(QuietHours { from: quiet.from as u16, to: quiet.to as u16, zone, critical_too: quiet.critical_too })
    });
    Some(Recipient {
        name: row.name.into(),
        project: Project::new(&row.project).ok()?,
        address,
        enabled: row.enabled,
        least: Severity::from_number(row.least)?,
        quiet,
        unsubscribed: row.unsubscribed.map(Time),
        trouble: row.trouble,
    })
}
