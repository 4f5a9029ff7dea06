//! Alerts, rules and [`recipients`] for people, and as JSON.

mod recipients;

use jiff::tz::TimeZone;
use recipients::{RecipientOut, of_recipients};
use serde::Serialize;

use crate::{
    alert::AlertKind,
    cli::{
        alerts::Answer,
        moment,
        output::{self, Rfc3339, TargetOut},
        screen::{Line, Style},
        table::{Column, Table},
        target::Named,
        text,
    },
    model::Kind,
    proto::{
        Alert, AlertDelivery, AlertPhase, AlertRule, DeliverySums, PreviewAlertRuleResponse, Severity,
        alert_delivery::State,
        alert_rule::{Threshold, threshold::Level},
        preview_alert_rule_response::Crossing,
    },
};

const ALERTS: [Column; 11] = [
    Column::left("alert", Column::ALWAYS),
    Column::name("project", 110, 8),
    Column::name("of", Column::ALWAYS, 20),
    Column::left("is", 60),
    Column::left("state", Column::ALWAYS),
    Column::left("severity", 100),
    Column::right("level", 75),
    Column::right("limit", 75),
    Column::right("peak", 120),
    Column::left("since", 90),
    Column::name("decided", 60, 12),
];
const RULES: [Column; 10] = [
    Column::name("rule", Column::ALWAYS, 12),
    Column::left("of", 90),
    Column::name("only", 100, 10),
    Column::left("from", Column::ALWAYS),
    Column::left("for", 80),
    Column::left("ends below", 60),
    Column::left("after", 110),
    Column::left("severity", 70),
    Column::left("told again", 120),
    Column::left("in use", 75),
];

const CROSSINGS: [Column; 4] = [
    Column::name("of", Column::ALWAYS, 20),
    Column::right("peak", Column::ALWAYS),
    Column::left("from", Column::ALWAYS),
    Column::left("to", 60),
];

/// An answer as JSON.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Out {
    Alerts { alerts: Vec<AlertOut> },
    Rules { rules: Vec<RuleOut> },
    Preview { targets: u32, crossings: Vec<CrossingOut> },
    Recipients { recipients: Vec<RecipientOut> },
    Tested { taken: bool, answer: String },
}

#[derive(Debug, Serialize)]
pub struct AlertOut {
    name: String,
    project: String,
    #[serde(flatten)]
    target: TargetOut,
    display_name: String,
    /// What it is of: `over`.
    alert: &'static str,
    state: &'static str,
    severity: &'static str,
    began: Option<Rfc3339>,
    fired: Option<Rfc3339>,
    resolved: Option<Rfc3339>,
    level: u32,
    peak: u32,
    limit: Option<u32>,
    acknowledged_by: String,
    acknowledged: Option<Rfc3339>,
    snoozed_until: Option<Rfc3339>,
    events: Vec<EventOut>,
    /// At most 50: of more, what has not arrived, and then the newest.
    deliveries: Vec<DeliveryOut>,
    delivery_sums: DeliverySumsOut,
}

#[derive(Debug, Serialize)]
struct EventOut {
    time: Option<Rfc3339>,
    text: String,
}

#[derive(Debug, Serialize)]
struct DeliverySumsOut {
    waiting: u32,
    retrying: u32,
    sent: u32,
    undeliverable: u32,
    superseded: u32,
}

#[derive(Debug, Serialize)]
struct DeliveryOut {
    recipient: String,
    address: String,
    state: &'static str,
    time: Option<Rfc3339>,
    words: String,
    attempts: u32,
}

#[derive(Debug, Serialize)]
pub struct RuleOut {
    name: String,
    /// What it is of: `approaching`.
    alert: &'static str,
    /// Only of this kind and this model; absent for any.
    only_kind: Option<&'static str>,
    only_model: Option<String>,
    enabled: bool,
    from: String,
    hold_seconds: i64,
    ends_below: String,
    ends_after_seconds: i64,
    severity: &'static str,
    /// 0 for never.
    repeat_seconds: i64,
}

#[derive(Debug, Serialize)]
pub struct CrossingOut {
    #[serde(flatten)]
    target: TargetOut,
    fired: Option<Rfc3339>,
    resolved: Option<Rfc3339>,
    peak: u32,
}

const fn state(alert: &Alert) -> &'static str {
    match alert.phase {
        phase if phase == AlertPhase::Pending as i32 => "pending",
        phase if phase == AlertPhase::Firing as i32 => "firing",
        _ => "resolved",
    }
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::Warning => "warning",
        Severity::Info | Severity::Unspecified => "info",
    }
}

/// What an alert or a rule is of: `at-limit`.
fn kind(number: i32) -> &'static str {
    AlertKind::ALL.iter().find(|kind| **kind as i32 == number).map_or("", |kind| kind.as_str())
}

fn only_kind(rule: &AlertRule) -> Option<&'static str> {
    Kind::ALL.iter().find(|kind| **kind as i32 == rule.only_kind).map(|kind| kind.as_str())
}

fn seconds(span: Option<&prost_types::Duration>) -> i64 {
    span.map_or(0, |span| span.seconds)
}

fn threshold(threshold: Option<&Threshold>) -> String {
    match threshold.and_then(|threshold| threshold.level) {
        Some(Level::Percent(percent)) => format!("{percent} %"),
        Some(Level::Slots(slots)) => format!("{slots} slots"),
        None => String::new(),
    }
}

const fn delivery_sums(sums: DeliverySums) -> DeliverySumsOut {
    let DeliverySums { waiting, retrying, sent, undeliverable, superseded } = sums;
    DeliverySumsOut { waiting, retrying, sent, undeliverable, superseded }
}

fn delivery(delivery: &AlertDelivery) -> DeliveryOut {
    let state = match delivery.state() {
        State::Unspecified => "unknown",
        State::Queued => "queued",
        State::Sending => "sending",
        State::Retrying => "retrying",
        State::Sent => "sent",
        State::Undeliverable => "undeliverable",
        State::Superseded => "superseded",
    };
    DeliveryOut {
        recipient: delivery.recipient.clone(),
        address: delivery.address.clone(),
        state,
        time: output::time(delivery.state_time.as_ref()),
        words: delivery.words.clone(),
        attempts: delivery.attempts,
    }
}

impl From<&Alert> for AlertOut {
    fn from(alert: &Alert) -> Self {
        let event = |event: &crate::proto::AlertEvent| EventOut {
            time: output::time(event.time.as_ref()),
            text: event.text.clone(),
        };
        Self {
            name: alert.name.clone(),
            project: alert.project.clone(),
            target: TargetOut::of(alert.target.as_ref()),
            display_name: alert.display_name.clone(),
            alert: kind(alert.kind),
            state: state(alert),
            severity: severity(alert.severity()),
            began: output::time(alert.begin_time.as_ref()),
            fired: output::time(alert.fire_time.as_ref()),
            resolved: output::time(alert.resolve_time.as_ref()),
            level: alert.level,
            peak: alert.peak,
            limit: alert.limit_plus_one.checked_sub(1),
            acknowledged_by: alert.acknowledged_by.clone(),
            acknowledged: output::time(alert.acknowledge_time.as_ref()),
            snoozed_until: output::time(alert.snooze_time.as_ref()),
            events: alert.events.iter().map(event).collect(),
            deliveries: alert.deliveries.iter().map(delivery).collect(),
            delivery_sums: delivery_sums(alert.delivery_sums.unwrap_or_default()),
        }
    }
}

impl From<&AlertRule> for RuleOut {
    fn from(rule: &AlertRule) -> Self {
        Self {
            name: rule.name.clone(),
            alert: kind(rule.kind),
            only_kind: only_kind(rule),
            only_model: Some(rule.only_model.clone()).filter(|model| !model.is_empty()),
            enabled: rule.enabled,
            from: threshold(rule.threshold.as_ref()),
            hold_seconds: seconds(rule.hold.as_ref()),
            ends_below: threshold(rule.clear.as_ref()),
            ends_after_seconds: seconds(rule.keep.as_ref()),
            severity: severity(rule.severity()),
            repeat_seconds: seconds(rule.repeat.as_ref()),
        }
    }
}

impl From<&Crossing> for CrossingOut {
    fn from(crossing: &Crossing) -> Self {
        Self {
            target: TargetOut::of(crossing.target.as_ref()),
            fired: output::time(crossing.fire_time.as_ref()),
            resolved: output::time(crossing.resolve_time.as_ref()),
            peak: crossing.peak,
        }
    }
}

pub fn json(answer: &Answer) -> Out {
    match answer {
        Answer::Alerts(alerts) => Out::Alerts { alerts: alerts.iter().map(AlertOut::from).collect() },
        Answer::Preview(preview) => Out::Preview {
            targets: preview.targets,
            crossings: preview.crossings.iter().map(CrossingOut::from).collect(),
        },
        Answer::Rules(rules) => Out::Rules { rules: rules.iter().map(RuleOut::from).collect() },
        Answer::Recipients(recipients) => {
            Out::Recipients { recipients: recipients.iter().map(RecipientOut::from).collect() }
        }
        Answer::Tested(tested) => Out::Tested { taken: tested.taken, answer: tested.answer.clone() },
    }
}

/// What was found or done.
pub fn lines(project: &str, answer: &Answer, width: usize, zone: &TimeZone) -> Vec<Line> {
    match answer {
        Answer::Alerts(alerts) if alerts.is_empty() => vec![format!("Nothing fires or fired in {project}.").into()],
        Answer::Alerts(alerts) => of_alerts(alerts, width, zone),
        Answer::Rules(rules) => of_rules(rules, width),
        Answer::Preview(preview) => of_preview(preview, width, zone),
        Answer::Recipients(recipients) if recipients.is_empty() => {
            vec![
                format!("Nobody is told of {project}: `alerts recipients set NAME --mail MAILBOX` names somebody.")
                    .into(),
            ]
        }
        Answer::Recipients(recipients) => of_recipients(recipients, width),
        Answer::Tested(tested) => {
            let (style, word) = if tested.taken { (Style::Plain, "taken") } else { (Style::Warning, "not taken") };
            vec![Line::of(style, format!("{word}: {}", text::line(&tested.answer)))]
        }
    }
}

fn of_alerts(alerts: &[Alert], width: usize, zone: &TimeZone) -> Vec<Line> {
    let mut table = Table::new(&ALERTS);
    for alert in alerts {
        let of = match alert.target.as_ref() {
            Some(target) => Named::of(Some(target)).spelled(),
            None => alert.display_name.clone(),
        };
        let style = if alert.phase() == AlertPhase::Firing { Style::Warning } else { Style::Plain };
        let limit = alert.limit_plus_one.checked_sub(1);
        let since = alert.begin_time.as_ref().and_then(moment::of_wire).map(|time| moment::full(time, zone));
        table.row([
            Line::from(alert.name.as_str()),
            alert.project.as_str().into(),
            of.into(),
            kind(alert.kind).into(),
            Line::of(style, state(alert)),
            severity(alert.severity()).into(),
            text::number(alert.level.into()).into(),
            limit.map(|limit| text::number(limit.into())).unwrap_or_default().into(),
            text::number(alert.peak.into()).into(),
            Line::of(Style::Dim, since.unwrap_or_default()),
            decided(alert, zone).into(),
        ]);
    }
    table.lay_out(width)
}

/// What people decided of an alert: `snoozed until 2026-11-27 12:00, seen by kim`.
fn decided(alert: &Alert, zone: &TimeZone) -> String {
    let until = alert.snooze_time.as_ref().and_then(moment::of_wire).map(|time| moment::full(time, zone));
    let snoozed = until.map(|until| format!("snoozed until {until}"));
    let by = Some(&alert.acknowledged_by).filter(|by| !by.is_empty());
    let seen = by.map(|by| format!("seen by {}", text::line(by)));
    [seen, snoozed].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What a rule is of alone: `tts deepgram/nova-3`; empty for any.
fn only(rule: &AlertRule) -> String {
    let model = Some(rule.only_model.as_str()).filter(|model| !model.is_empty());
    [only_kind(rule), model].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn of_rules(rules: &[AlertRule], width: usize) -> Vec<Line> {
    let mut table = Table::new(&RULES);
    for rule in rules {
        let span = |span: Option<&prost_types::Duration>, none: &str| match u64::try_from(seconds(span)) {
            Ok(0) | Err(_) => none.to_owned(),
            Ok(seconds) => moment::duration(seconds),
        };
        table.row([
            Line::from(rule.name.as_str()),
            kind(rule.kind).into(),
            text::line(&only(rule)).into(),
            threshold(rule.threshold.as_ref()).into(),
            span(rule.hold.as_ref(), "at once").into(),
            threshold(rule.clear.as_ref()).into(),
            span(rule.keep.as_ref(), "at once").into(),
            severity(rule.severity()).into(),
            span(rule.repeat.as_ref(), "never").into(),
            if rule.enabled { "yes".into() } else { "no".into() },
        ]);
    }
    table.lay_out(width)
}

fn of_preview(preview: &PreviewAlertRuleResponse, width: usize, zone: &TimeZone) -> Vec<Line> {
    let (count, targets) = (preview.crossings.len() as u64, u64::from(preview.targets));
    let times = if count == 1 { "once".to_owned() } else { format!("{} times", text::number(count)) };
    let of =
        if targets == 1 { "1 meter or pool".to_owned() } else { format!("{} meters and pools", text::number(targets)) };
    let mut lines = vec![format!("In the last seven days it would have fired {times}, of {of}.").into()];
    let mut table = Table::new(&CROSSINGS);
    let time = |time: Option<&prost_types::Timestamp>| time.and_then(moment::of_wire);
    for crossing in &preview.crossings {
        let fired = time(crossing.fire_time.as_ref()).map(|at| moment::full(at, zone)).unwrap_or_default();
        let resolved = time(crossing.resolve_time.as_ref()).map(|at| moment::full(at, zone));
        table.row([
            Named::of(crossing.target.as_ref()).spelled().into(),
            text::number(crossing.peak.into()).into(),
            fired.into(),
            resolved.unwrap_or_else(|| "now".to_owned()).into(),
        ]);
    }
    if count > 0 {
        lines.extend(table.lay_out(width));
    }
    lines
}
