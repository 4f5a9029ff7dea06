//! What requests of the alert service hold, checked.

use axum::http::Uri;
use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::{
    alert::{
        Address, AlertKind, AlertRule, QuietHours, Recipient, Scope, Severity, Threshold, WebhookForm,
        state::MAX_BY_BYTES,
    },
    api::convert,
    config::time_zone,
    error::FieldProblem,
    model::{Kind, Project},
    proto::{
        self,
        alert_rule::threshold::Level,
        recipient::{self, webhook::Form},
    },
    service::alerts::unsubscribe::CONFIGURED,
};

type Checked<T> = Result<T, FieldProblem>;

/// What the secret of Standard Webhooks begins with, where it is base64.
const SECRET_PREFIX: &str = "whsec_";
/// Bytes of a webhook's secret.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Who does it, as they say.
pub fn by(text: &str) -> Checked<()> {
    convert::text("set_by", text, 1, MAX_BY_BYTES).map(drop)
}

fn number<T>(field: &'static str, value: i32, of: impl Fn(u32) -> Option<T>) -> Checked<T> {
    let found = u32::try_from(value).ok().and_then(of);
    found.ok_or_else(|| FieldProblem::new(field, format!("is {value}, which is not known")))
}

fn seconds(field: &'static str, duration: Option<prost_types::Duration>) -> Checked<u32> {
    let Some(duration) = duration else { return Ok(0) };
    let seconds = u32::try_from(duration.seconds).ok().filter(|_| duration.nanos == 0);
    seconds.ok_or_else(|| FieldProblem::new(field, "is not a whole number of seconds from 0 on"))
}

fn threshold(field: &'static str, threshold: Option<proto::alert_rule::Threshold>) -> Checked<Option<Threshold>> {
    match threshold.map(|threshold| threshold.level) {
        None => Ok(None),
        Some(None) => Err(FieldProblem::new(field, "percent or slots are needed")),
        Some(Some(Level::Percent(percent))) => Ok(Some(Threshold::Percent(percent))),
        Some(Some(Level::Slots(slots))) => Ok(Some(Threshold::Slots(slots))),
    }
}

/// A rule; a threshold that is not said is none of a kind that has no level, and needed else.
pub fn rule(project: &Project, rule: Option<proto::AlertRule>) -> Checked<AlertRule> {
    let rule = rule.ok_or_else(|| FieldProblem::new("rule", "is needed"))?;
    let kind = number("kind", rule.kind, AlertKind::from_number)?;
    let up = threshold("threshold", rule.threshold)?;
    let up = match up {
        Some(up) => up,
        None if kind.is_of_level() => return Err(FieldProblem::new("threshold", "is needed")),
        None => Threshold::Percent(0),
    };
    let checked = AlertRule {
        name: rule.name.into(),
        project: project.clone(),
        kind,
        enabled: rule.enabled,
        scope: Scope {
            kind: if rule.only_kind == 0 {
                None
            } else {
                Some(number("only_kind", rule.only_kind, Kind::from_number)?)
            },
            model: rule.only_model.into(),
        },
        threshold: up,
        hold_seconds: seconds("hold", rule.hold)?,
        clear: threshold("clear", rule.clear)?.unwrap_or(up),
        keep_seconds: seconds("keep", rule.keep)?,
        severity: number("severity", rule.severity, Severity::from_number)?,
        repeat_seconds: seconds("repeat", rule.repeat)?,
    };
    checked.check().map_err(|wrong| FieldProblem::new(wrong.field, wrong.problem))?;
    Ok(checked)
}

/// A recipient; of a webhook, what is not said is as it is kept.
pub fn recipient(project: &Project, named: Option<proto::Recipient>, kept: Option<&Recipient>) -> Checked<Recipient> {
    let named = named.ok_or_else(|| FieldProblem::new("recipient", "is needed"))?;
    if kept.is_none() && named.name.starts_with(CONFIGURED) {
        let problem = format!("begins with {CONFIGURED}, as those of the configuration do; choose another beginning");
        return Err(FieldProblem::new("name", problem));
    }
    let address = match named.address {
        None => return Err(FieldProblem::new("address", "a mailbox or a webhook is needed")),
        Some(recipient::Address::Mailbox(mailbox)) => Address::Mailbox(mailbox),
        Some(recipient::Address::Webhook(webhook)) => address(webhook, kept)?,
    };
    let checked = Recipient {
        name: named.name.into(),
        project: project.clone(),
        address,
        enabled: named.enabled,
        least: number("least_severity", named.least_severity, Severity::from_number)?,
        quiet: named.quiet_hours.map(quiet_hours).transpose()?,
        unsubscribed: None,
        trouble: String::new(),
    };
    checked.check().map_err(|(field, problem)| FieldProblem::new(field, problem))?;
    Ok(checked)
}

fn address(webhook: recipient::Webhook, kept: Option<&Recipient>) -> Checked<Address> {
    let kept = match kept.map(|kept| &kept.address) {
        Some(Address::Webhook { url, .. }) => Some(url),
        _ => None,
    };
    let form = match Form::try_from(webhook.form) {
        Ok(Form::Unspecified | Form::Standard) => WebhookForm::Standard,
        Ok(Form::Slack) => WebhookForm::Slack,
        Ok(Form::Alertmanager) => WebhookForm::Alertmanager,
        Err(_) => return Err(FieldProblem::new("form", format!("is {}, which is not known", webhook.form))),
    };
    let url = match kept {
        Some(kept) if webhook.url.is_empty() || webhook.url == shown_url(kept) => kept.clone(),
        _ => webhook.url,
    };
    let has_host = url.parse::<Uri>().is_ok_and(|uri| uri.authority().is_some_and(|at| !at.as_str().contains('@')));
    if !has_host {
        return Err(FieldProblem::new("url", "is not a URL such as https://hooks.example.com/path"));
    }
    Ok(Address::Webhook { url, form, secret: secret(&webhook.secret)? })
}

fn secret(text: &str) -> Checked<Vec<u8>> {
    let wrong = || {
        let (least, most) = (SECRET_BYTES.start(), SECRET_BYTES.end());
        FieldProblem::new("secret", format!("is not {least} to {most} bytes, or `{SECRET_PREFIX}` and their base64"))
    };
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let bytes = match text.strip_prefix(SECRET_PREFIX) {
        Some(encoded) => BASE64_STANDARD.decode(encoded).map_err(|_| wrong())?,
        None => text.as_bytes().to_vec(),
    };
    if SECRET_BYTES.contains(&bytes.len()) { Ok(bytes) } else { Err(wrong()) }
}

fn quiet_hours(hours: recipient::QuietHours) -> Checked<QuietHours> {
    let zone = if hours.time_zone.is_empty() { "UTC" } else { &hours.time_zone };
    let zone = time_zone(zone).map_err(|problem| FieldProblem::new("time_zone", problem))?;
    let minute = |minute: u32| u16::try_from(minute).unwrap_or(u16::MAX);
    Ok(QuietHours {
        from: minute(hours.from_minute),
        to: minute(hours.to_minute),
        zone,
        critical_too: hours.critical_too,
    })
}

/// The URL of a webhook as it is shown: its path is often a secret.
pub fn shown_url(url: &str) -> String {
    let parts = url.split_once("://").map(|(scheme, rest)| (scheme, rest.split(['/', '?', '#']).next().unwrap_or("")));
    parts.map_or_else(String::new, |(scheme, host)| format!("{scheme}://{host}/…"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_bytes_or_base64_of_them() {
        assert_eq!(secret(""), Ok(Vec::new()));
        assert_eq!(secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap().len(), 24);
        assert_eq!(secret(&"a".repeat(24)).unwrap(), vec![b'a'; 24]);
        assert!(["short", "whsec_short", &"a".repeat(65)].iter().all(|text| secret(text).is_err()));
    }

    #[test]
    fn what_is_shown_of_a_url_is_taken_for_the_one_that_is_kept() {
        let project = Project::new("demo").unwrap();
        let asked = |url: &str| proto::Recipient {
            name: "hook".into(),
            address: Some(recipient::Address::Webhook(recipient::Webhook { url: url.into(), ..Default::default() })),
            enabled: true,
            least_severity: 1,
            ..Default::default()
        };
        let kept = recipient(&project, Some(asked("https://hooks.example/T0/secret")), None).unwrap();
        for url in ["", "https://hooks.example/…"] {
            assert_eq!(recipient(&project, Some(asked(url)), Some(&kept)), Ok(kept.clone()));
        }
        let theirs = proto::Recipient { name: format!("{CONFIGURED}x"), ..asked("https://hooks.example/") };
        assert!(
            recipient(&project, Some(theirs), None).is_err(),
            "that is how mailboxes of the configuration are named"
        );
        assert_eq!(shown_url("https://hooks.example?key=secret"), "https://hooks.example/…");
        for url in ["", "ftp://x", "https://u:p@x/", "nowhere"] {
            assert!(recipient(&project, Some(asked(url)), None).is_err(), "{url}");
        }
    }
}
