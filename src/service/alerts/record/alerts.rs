//! Alerts, and what is to be told of them, as bytes.

use prost::Message;

use crate::{
    alert::{
        Acknowledgement, Alert, AlertKind, Delivery, Event, NoticeKind, Phase, Row, Severity, Snooze, Stage, Subject,
        state::What,
    },
    model::{Key, KeyId, Project, Tick, Time},
    store::rows::{decode_key, encode_key},
};

#[derive(Clone, PartialEq, Message)]
struct AlertRow {
    /// 1 a level, 2 silence, 3 of the service, 4 the way of sessions.
    #[prost(uint32, tag = "1")]
    sort: u32,
    /// The key's number, or the kind's.
    #[prost(uint32, tag = "2")]
    number: u32,
    #[prost(uint32, tag = "3")]
    phase: u32,
    #[prost(message, repeated, tag = "4")]
    stages: Vec<StageRow>,
    /// Seconds since the Unix epoch, as are the next two.
    #[prost(uint64, tag = "5")]
    began: u64,
    #[prost(uint64, optional, tag = "6")]
    fired: Option<u64>,
    #[prost(uint64, optional, tag = "7")]
    resolved: Option<u64>,
    #[prost(uint32, tag = "8")]
    peak: u32,
    #[prost(uint32, tag = "9")]
    level: u32,
    #[prost(bool, tag = "10")]
    known: bool,
    #[prost(uint32, optional, tag = "11")]
    limit: Option<u32>,
    #[prost(bool, tag = "12")]
    came_back: bool,
    #[prost(string, optional, tag = "13")]
    told: Option<String>,
    #[prost(uint64, optional, tag = "14")]
    told_at: Option<u64>,
    #[prost(uint32, tag = "15")]
    notices: u32,
    #[prost(message, optional, tag = "16")]
    snooze: Option<ByRow>,
    #[prost(message, optional, tag = "17")]
    acknowledged: Option<ByRow>,
    #[prost(message, repeated, tag = "18")]
    events: Vec<EventRow>,
    /// The key; empty for what is of the service.
    #[prost(bytes = "vec", tag = "19")]
    key: Vec<u8>,
    /// Of the way of sessions: the kind's number.
    #[prost(uint32, tag = "20")]
    way: u32,
}

#[derive(Clone, PartialEq, Message)]
struct StageRow {
    #[prost(string, tag = "1")]
    rule: String,
    #[prost(uint32, tag = "2")]
    above: u32,
    #[prost(uint32, tag = "3")]
    below: u32,
    #[prost(bool, tag = "4")]
    fires: bool,
}

#[derive(Clone, PartialEq, Message)]
struct ByRow {
    #[prost(string, tag = "1")]
    by: String,
    /// Microseconds since the Unix epoch.
    #[prost(uint64, tag = "2")]
    at: u64,
}

#[derive(Clone, PartialEq, Message)]
struct EventRow {
    #[prost(uint64, tag = "1")]
    at: u64,
    /// 1 fired, 2 eased, 3 resolved, 4 told, 5 acknowledged, 6 snoozed.
    #[prost(uint32, tag = "2")]
    what: u32,
    /// A rule's name, or who did it.
    #[prost(string, tag = "3")]
    text: String,
    /// A level, or the number of a notice's kind.
    #[prost(uint32, tag = "4")]
    number: u32,
    #[prost(uint32, optional, tag = "5")]
    limit: Option<u32>,
    #[prost(uint64, tag = "6")]
    until: u64,
}

#[derive(Clone, PartialEq, Message)]
struct OutboxRow {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    project: String,
    #[prost(string, tag = "3")]
    recipient: String,
    #[prost(message, optional, tag = "4")]
    alert: Option<AlertRow>,
    #[prost(uint32, tag = "5")]
    notice: u32,
    #[prost(uint32, tag = "6")]
    kind: u32,
    #[prost(uint32, tag = "7")]
    severity: u32,
    #[prost(uint32, tag = "8")]
    stage_percent: u32,
    #[prost(string, tag = "9")]
    detail: String,
    /// Times are in microseconds since the Unix epoch.
    #[prost(uint64, tag = "10")]
    created: u64,
    #[prost(uint64, tag = "11")]
    due: u64,
    #[prost(bool, tag = "12")]
    held: bool,
    #[prost(uint32, tag = "13")]
    attempts: u32,
    /// 1 queued, 2 sending, 3 retry, 4 sent, 5 undeliverable, 6 superseded.
    #[prost(uint32, tag = "14")]
    delivery: u32,
    #[prost(string, tag = "15")]
    lead: String,
    #[prost(uint64, tag = "16")]
    at: u64,
    /// A reason, or the server's answer.
    #[prost(string, tag = "17")]
    words: String,
    /// A recipient's record, where it is there no more.
    #[prost(bytes = "vec", tag = "18")]
    gone: Vec<u8>,
}

pub fn encode_alert(alert: &Alert, key: Option<&Key>) -> Vec<u8> {
    alert_row(alert, key).encode_to_vec()
}

pub fn decode_alert(bytes: &[u8]) -> Option<(Alert, Option<Key>)> {
    alert_of(AlertRow::decode(bytes).ok()?)
}

fn alert_row(alert: &Alert, key: Option<&Key>) -> AlertRow {
    let (sort, number) = match alert.subject {
        Subject::Level(key) => (1, key.0),
        Subject::Silence(key) => (2, key.0),
        Subject::Service(kind) => (3, kind as u32),
        Subject::Way(_, key) => (4, key.0),
    };
    let way = if let Subject::Way(kind, _) = alert.subject { kind as u32 } else { 0 };
    let stage = |stage: &Stage| StageRow {
        rule: stage.rule.to_string(),
        above: stage.above_seconds,
        below: stage.below_seconds,
        fires: stage.fires,
    };
    AlertRow {
        sort,
        number,
        phase: alert.phase as u32,
        stages: alert.stages.iter().map(stage).collect(),
        began: alert.began.0,
        fired: alert.fired.map(|at| at.0),
        resolved: alert.resolved.map(|at| at.0),
        peak: alert.peak,
        level: alert.level,
        known: alert.known,
        limit: alert.limit,
        came_back: alert.came_back,
        told: alert.told.as_ref().map(|told| told.to_string()),
        told_at: alert.told_at.map(|at| at.0),
        notices: alert.notices,
        snooze: alert.snooze.as_ref().map(|snooze| ByRow { by: snooze.by.clone(), at: snooze.until.0 }),
        acknowledged: alert.acknowledged.as_ref().map(|seen| ByRow { by: seen.by.clone(), at: seen.at.0 }),
        events: alert.events.iter().map(event_row).collect(),
        key: key.map(encode_key).unwrap_or_default(),
        way,
    }
}

fn alert_of(row: AlertRow) -> Option<(Alert, Option<Key>)> {
    let subject = match row.sort {
        1 => Subject::Level(KeyId(row.number)),
        2 => Subject::Silence(KeyId(row.number)),
        3 => Subject::Service(AlertKind::from_number(row.number)?),
        4 => Subject::Way(AlertKind::from_number(row.way)?, KeyId(row.number)),
        _ => return None,
    };
    let phase = [Phase::Inactive, Phase::Pending, Phase::Firing, Phase::Resolved].get(row.phase as usize).copied()?;
    let stage = |row: StageRow| Stage {
        rule: row.rule.into(),
        above_seconds: row.above,
        below_seconds: row.below,
        fires: row.fires,
    };
    let key = if row.key.is_empty() { None } else { Some(decode_key(&row.key).ok()?) };
    let alert = Alert {
        subject,
        phase,
        stages: row.stages.into_iter().map(stage).collect(),
        began: Tick(row.began),
        fired: row.fired.map(Tick),
        resolved: row.resolved.map(Tick),
        peak: row.peak,
        level: row.level,
        known: row.known,
        limit: row.limit,
        came_back: row.came_back,
        told: row.told.map(Into::into),
        told_at: row.told_at.map(Tick),
        notices: row.notices,
        snooze: row.snooze.map(|row| Snooze { by: row.by, until: Time(row.at) }),
        acknowledged: row.acknowledged.map(|row| Acknowledgement { by: row.by, at: Time(row.at) }),
        events: row.events.into_iter().map(event_of).collect::<Option<_>>()?,
    };
    Some((alert, key))
}

fn event_row(event: &Event) -> EventRow {
    let (mut text, mut number, mut limit, mut until) = (String::new(), 0, None, 0);
    let what = match &event.what {
        What::Fired { rule, level, limit: under } => {
            (text, number, limit) = (rule.to_string(), *level, *under);
            1
        }
        What::Eased { rule, level } => {
            (text, number) = (rule.to_string(), *level);
            2
        }
        What::Resolved { level } => {
            number = *level;
            3
        }
        What::Told { notice } => {
            number = *notice as u32;
            4
        }
        What::Acknowledged { by } => {
            text = by.clone();
            5
        }
        What::Snoozed { by, until: end } => {
            (text, until) = (by.clone(), end.0);
            6
        }
        What::TakenBack { by } => {
            text = by.clone();
            7
        }
    };
    EventRow { at: event.at.0, what, text, number, limit, until }
}

fn event_of(row: EventRow) -> Option<Event> {
    let what = match row.what {
        1 => What::Fired { rule: row.text.into(), level: row.number, limit: row.limit },
        2 => What::Eased { rule: row.text.into(), level: row.number },
        3 => What::Resolved { level: row.number },
        4 => What::Told { notice: NoticeKind::from_number(row.number)? },
        5 => What::Acknowledged { by: row.text },
        6 => What::Snoozed { by: row.text, until: Time(row.until) },
        7 => What::TakenBack { by: row.text },
        _ => return None,
    };
    Some(Event { at: Tick(row.at), what })
}

pub fn encode_row(row: &Row) -> Vec<u8> {
    let (delivery, lead, at, words) = match &row.delivery {
        Delivery::Queued => (1, None, 0, ""),
        Delivery::Sending { lead, until } => (2, Some(lead), until.0, ""),
        Delivery::Retry { lead, at, reason } => (3, Some(lead), at.0, &**reason),
        Delivery::Sent { lead, at, answer } => (4, Some(lead), at.0, &**answer),
        Delivery::Undeliverable { at, reason } => (5, None, at.0, &**reason),
        Delivery::Superseded { at } => (6, None, at.0, ""),
    };
    OutboxRow {
        id: row.id.to_string(),
        project: row.project.to_string(),
        recipient: row.recipient.to_string(),
        alert: Some(alert_row(&row.alert, row.key.as_ref())),
        notice: row.notice as u32,
        kind: row.kind as u32,
        severity: row.severity as u32,
        stage_percent: row.stage_percent,
        detail: row.detail.clone(),
        created: row.created.0,
        due: row.due.0,
        held: row.held,
        attempts: row.attempts,
        delivery,
        lead: lead.map(|lead| lead.to_string()).unwrap_or_default(),
        at,
        words: words.to_owned(),
        gone: row.gone.clone(),
    }
    .encode_to_vec()
}

pub fn decode_row(bytes: &[u8]) -> Option<Row> {
    let row = OutboxRow::decode(bytes).ok()?;
    let (alert, key) = alert_of(row.alert?)?;
    let (lead, at) = (row.lead.into(), Time(row.at));
    let delivery = match row.delivery {
        1 => Delivery::Queued,
        2 => Delivery::Sending { lead, until: at },
        3 => Delivery::Retry { lead, at, reason: row.words },
        4 => Delivery::Sent { lead, at, answer: row.words },
        5 => Delivery::Undeliverable { at, reason: row.words },
        6 => Delivery::Superseded { at },
        _ => return None,
    };
    Some(Row {
        id: row.id.into(),
        project: Project::new(&row.project).ok()?,
        recipient: row.recipient.into(),
        subject: alert.subject,
        key,
        notice: NoticeKind::from_number(row.notice)?,
        kind: AlertKind::from_number(row.kind)?,
        severity: Severity::from_number(row.severity)?,
        stage_percent: row.stage_percent,
        detail: row.detail,
        alert,
        created: Time(row.created),
        due: Time(row.due),
        held: row.held,
        attempts: row.attempts,
        delivery,
        gone: row.gone,
    })
}
