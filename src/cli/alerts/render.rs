//! Alerts, rules and [`recipients`] for people, and as JSON.

mod recipients;

use jiff::tz::TimeZone;
use recipients::{RecipientOut, of_recipients};
use serde::Serialize;

use crate::{
    cli::{
        alerts::Answer,
        moment,
        output::{self, Rfc3339, TargetOut},
        screen::{Line, Style},
        table::{Column, Table},
        target::Named,
        text,
    },
    proto::{
        Alert, AlertDelivery, AlertPhase, AlertRule, DeliverySums, PreviewAlertRuleResponse, Severity,
        alert_delivery::State,
        alert_rule::{Threshold, threshold::Level},
        preview_alert_rule_response::Crossing,
    },
};

const ALERTS: [Column; 7] = [
    Column::left("alert", Column::ALWAYS),
    Column::name("project", 60, 8),
    Column::name("of", Column::ALWAYS, 20),
    Column::left("state", Column::ALWAYS),
    Column::right("peak", 80),
    Column::right("limit", 75),
    Column::left("since", 50),
];
const RULES: [Column; 6] = [
    Column::name("rule", Column::ALWAYS, 12),
    Column::left("from", Column::ALWAYS),
    Column::left("for", 80),
    Column::left("ends below", 60),
    Column::left("severity", 70),
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
    state: &'static str,
    severity: &'static str,
    began: Option<Rfc3339>,
    fired: Option<Rfc3339>,
    resolved: Option<Rfc3339>,
    level: u32,
    peak: u32,
    limit: Option<u32>,
    acknowledged_by: String,
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
    state: &'static str,
    time: Option<Rfc3339>,
    words: String,
    attempts: u32,
}

#[derive(Debug, Serialize)]
pub struct RuleOut {
    name: String,
    enabled: bool,
    from: String,
    hold_seconds: i64,
    ends_below: String,
    severity: &'static str,
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
            state: state(alert),
            severity: severity(alert.severity()),
            began: output::time(alert.begin_time.as_ref()),
            fired: output::time(alert.fire_time.as_ref()),
            resolved: output::time(alert.resolve_time.as_ref()),
            level: alert.level,
            peak: alert.peak,
            limit: alert.limit_plus_one.checked_sub(1),
            acknowledged_by: alert.acknowledged_by.clone(),
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
            enabled: rule.enabled,
            from: threshold(rule.threshold.as_ref()),
            hold_seconds: rule.hold.as_ref().map_or(0, |hold| hold.seconds),
            ends_below: threshold(rule.clear.as_ref()),
            severity: severity(rule.severity()),
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
            Line::of(style, state(alert)),
            text::number(alert.peak.into()).into(),
            limit.map(|limit| text::number(limit.into())).unwrap_or_default().into(),
            Line::of(Style::Dim, since.unwrap_or_default()),
        ]);
    }
    table.lay_out(width)
}

fn of_rules(rules: &[AlertRule], width: usize) -> Vec<Line> {
    let mut table = Table::new(&RULES);
    for rule in rules {
        let hold = rule.hold.as_ref().map_or(0, |hold| u64::try_from(hold.seconds).unwrap_or(0));
        table.row([
            Line::from(rule.name.as_str()),
            threshold(rule.threshold.as_ref()).into(),
            if hold == 0 { "at once".into() } else { moment::duration(hold).into() },
            threshold(rule.clear.as_ref()).into(),
            severity(rule.severity()).into(),
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
