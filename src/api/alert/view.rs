//! Alerts, rules and recipients as the contract shows them. No secret is shown.

use crate::{
    alert::{
        Address, Alert, AlertKind, AlertRule, Delivery, Event, Phase, Recipient, Row, Severity, Subject, Threshold,
        Tried, WebhookForm, state::What,
    },
    api::{
        alert::check::shown_url,
        convert::{to_target, to_timestamp},
    },
    model::{Key, Now, Project, text::number},
    proto::{
        self, AlertDelivery, AlertEvent, AlertPhase, DeliverySums, PreviewAlertRuleResponse, SendTestMessageResponse,
        alert_delivery::State,
        alert_rule::threshold::Level,
        preview_alert_rule_response::Crossing,
        recipient::{self, webhook::Form},
    },
    query::Preview,
    service::{
        Service,
        alerts::{Past, deliveries::Sums, name_of, unsubscribe::CONFIGURED},
    },
};

/// An alert as it stands, of which a decision was made.
pub fn alert_of(service: &Service, alert: Alert, now: Now) -> proto::Alert {
    let key = service.alerts.key_of(alert.subject);
    self::alert(service, &Past { alert, key }, now)
}

pub fn alert(service: &Service, past: &Past, now: Now) -> proto::Alert {
    let Past { alert, key } = past;
    let project = key.as_ref().map_or_else(Project::across, |key| key.project.clone());
    let (kind, severity) = worst(service, alert, &project);
    let deliveries = service.alerts.deliveries(alert);
    let name = |key: &Key| service.catalogue.display_name(&key.target);
    proto::Alert {
        name: name_of(alert.subject),
        project: project.to_string(),
        target: key.as_ref().map(|key| to_target(&key.target)),
        display_name: key.as_ref().map_or_else(|| kind.to_string(), name),
        kind: kind as i32,
        severity: severity as i32,
        phase: match alert.phase {
            Phase::Pending => AlertPhase::Pending,
            Phase::Firing => AlertPhase::Firing,
            Phase::Resolved | Phase::Inactive => AlertPhase::Resolved,
        } as i32,
        begin_time: Some(to_timestamp(alert.began.start())),
        fire_time: alert.fired.map(|at| to_timestamp(at.start())),
        resolve_time: alert.resolved.map(|at| to_timestamp(at.start())),
        level: alert.level,
        peak: alert.peak,
        limit_plus_one: alert.limit.map_or(0, |limit| limit.saturating_add(1)),
        snooze_time: alert.snooze.as_ref().map(|snooze| to_timestamp(snooze.until)),
        acknowledged_by: alert.acknowledged.as_ref().map(|seen| seen.by.clone()).unwrap_or_default(),
        acknowledge_time: alert.acknowledged.as_ref().map(|seen| to_timestamp(seen.at)),
        events: alert.events.iter().map(event).collect(),
        deliveries: deliveries.rows.iter().map(|row| delivery(service, row)).collect(),
        delivery_sums: Some(delivery_sums(deliveries.sums)),
        time_to_limit: time_to_limit(service, alert, now),
    }
}

/// How long until what fires is at its limit, if it goes on so.
fn time_to_limit(service: &Service, alert: &Alert, now: Now) -> Option<prost_types::Duration> {
    let Subject::Level(id) = alert.subject else { return None };
    if alert.phase != Phase::Firing {
        return None;
    }
    let time = service.pace(id, alert.level, alert.limit, now).1?;
    Some(prost_types::Duration { seconds: i64::try_from(time.as_secs()).ok()?, nanos: 0 })
}

/// The worst of the rules that fire, or that fired last.
fn worst(service: &Service, alert: &Alert, project: &Project) -> (AlertKind, Severity) {
    let rules = service.alerts.rules(project);
    let of = |name: &str| rules.iter().find(|rule| &*rule.name == name).map(|rule| (rule.kind, rule.severity));
    let fires = alert.stages.iter().rev().find(|stage| stage.fires).and_then(|stage| of(&stage.rule));
    let fired = || {
        alert.events.iter().rev().find_map(|event| match &event.what {
            What::Fired { rule, .. } => of(rule),
            _ => None,
        })
    };
    let by_subject = || match alert.subject {
        Subject::Level(_) => (AlertKind::Approaching, Severity::Warning),
        Subject::Silence(_) => (AlertKind::WorkersSilent, Severity::Critical),
        Subject::Way(kind, _) | Subject::Service(kind) => (kind, Severity::Warning),
    };
    fires.or_else(fired).unwrap_or_else(by_subject)
}

fn event(event: &Event) -> AlertEvent {
    AlertEvent { time: Some(to_timestamp(event.at.start())), text: event_in_words(event) }
}

/// `at-limit fired at 20 of 20`.
pub fn event_in_words(event: &Event) -> String {
    match &event.what {
        What::Fired { rule, level, limit: Some(limit) } => {
            format!("{rule} fired at {} of {}", number(*level), number(*limit))
        }
        What::Fired { rule, limit: None, .. } => format!("{rule} fired"),
        What::Eased { rule, level } => format!("{rule} ended at {}", number(*level)),
        What::Resolved { level } => format!("resolved at {}", number(*level)),
        What::Told { notice } => format!("told: {notice}"),
        What::Acknowledged { by } => format!("acknowledged by {by}"),
        What::TakenBack { by } => format!("acknowledgement taken back by {by}"),
        What::Snoozed { by, until } if *until <= event.at.start() => format!("snooze ended by {by}"),
        What::Snoozed { by, .. } => format!("snoozed by {by}"),
    }
}

const fn delivery_sums(sums: Sums) -> DeliverySums {
    let Sums { waiting, retrying, sent, undeliverable, superseded } = sums;
    DeliverySums { waiting, retrying, sent, undeliverable, superseded }
}

/// Where somebody is told, as others may see it.
fn address(recipient: &Recipient) -> String {
    match &recipient.address {
        Address::Mailbox(mailbox) => mailbox.clone(),
        Address::Webhook { url, .. } => shown_url(url),
    }
}

fn delivery(service: &Service, row: &Row) -> AlertDelivery {
    let (state, at, words) = match &row.delivery {
        Delivery::Queued => (State::Queued, row.due, ""),
        Delivery::Sending { until, .. } => (State::Sending, *until, ""),
        Delivery::Retry { at, reason, .. } => (State::Retrying, *at, &**reason),
        Delivery::Sent { at, answer, .. } => (State::Sent, *at, &**answer),
        Delivery::Undeliverable { at, reason } => (State::Undeliverable, *at, &**reason),
        Delivery::Superseded { at } => (State::Superseded, *at, ""),
    };
    AlertDelivery {
        recipient: row.recipient.to_string(),
        notice: row.notice as i32,
        create_time: Some(to_timestamp(row.created)),
        state: state as i32,
        state_time: Some(to_timestamp(at)),
        words: words.to_owned(),
        attempts: row.attempts,
        address: service.alerts.recipient(&row.project, &row.recipient).as_ref().map(address).unwrap_or_default(),
    }
}

pub fn rule(rule: &AlertRule) -> proto::AlertRule {
    let seconds = |seconds: u32| prost_types::Duration { seconds: seconds.into(), nanos: 0 };
    let threshold = |threshold: Threshold| proto::alert_rule::Threshold {
        level: Some(match threshold {
            Threshold::Percent(percent) => Level::Percent(percent),
            Threshold::Slots(slots) => Level::Slots(slots),
        }),
    };
    proto::AlertRule {
        name: rule.name.to_string(),
        kind: rule.kind as i32,
        enabled: rule.enabled,
        only_kind: rule.scope.kind.map_or(0, |kind| kind as i32),
        only_model: rule.scope.model.to_string(),
        threshold: Some(threshold(rule.threshold)),
        hold: Some(seconds(rule.hold_seconds)),
        clear: Some(threshold(rule.clear)),
        keep: Some(seconds(rule.keep_seconds)),
        severity: rule.severity as i32,
        repeat: (rule.repeat_seconds > 0).then(|| seconds(rule.repeat_seconds)),
        built_in: AlertRule::defaults(&rule.project).iter().any(|default| default.name == rule.name),
    }
}

pub fn recipient(recipient: &Recipient) -> proto::Recipient {
    let form = |form: WebhookForm| match form {
        WebhookForm::Standard => Form::Standard,
        WebhookForm::Slack => Form::Slack,
        WebhookForm::Alertmanager => Form::Alertmanager,
    };
    let address = match &recipient.address {
        Address::Mailbox(mailbox) => recipient::Address::Mailbox(mailbox.clone()),
        Address::Webhook { url, form: sent, .. } => recipient::Address::Webhook(recipient::Webhook {
            url: shown_url(url),
            form: form(*sent) as i32,
            secret: String::new(),
        }),
    };
    proto::Recipient {
        name: recipient.name.to_string(),
        address: Some(address),
        enabled: recipient.enabled,
        least_severity: recipient.least as i32,
        quiet_hours: recipient.quiet.as_ref().map(|quiet| recipient::QuietHours {
            from_minute: quiet.from.into(),
            to_minute: quiet.to.into(),
            time_zone: quiet.zone.iana_name().unwrap_or("UTC").to_owned(),
            critical_too: quiet.critical_too,
        }),
        unsubscribe_time: recipient.unsubscribed.map(to_timestamp),
        trouble: recipient.trouble.clone(),
        configured: recipient.name.starts_with(CONFIGURED),
    }
}

pub fn preview(preview: &Preview) -> PreviewAlertRuleResponse {
    let crossing = |crossing: &crate::query::Crossing| Crossing {
        target: Some(to_target(&crossing.target)),
        fire_time: Some(to_timestamp(crossing.fired.start())),
        resolve_time: crossing.resolved.map(|at| to_timestamp(at.start())),
        peak: crossing.peak,
    };
    PreviewAlertRuleResponse {
        crossings: preview.crossings.iter().map(crossing).collect(),
        targets: u32::try_from(preview.targets).unwrap_or(u32::MAX),
    }
}

pub fn tried(tried: &Tried) -> SendTestMessageResponse {
    let (taken, answer) = match tried {
        Tried::Sent(answer) => (true, answer),
        Tried::Failed(reason) | Tried::Refused(reason) | Tried::Waits(reason) => (false, reason),
    };
    SendTestMessageResponse { taken, answer: answer.clone() }
}
