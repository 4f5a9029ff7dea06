//! Increase requests for people, and as JSON.

use jiff::tz::TimeZone;
use serde::Serialize;

use crate::{
    cli::{
        moment,
        output::{self, MomentOut, Rfc3339, TargetOut},
        requests::Answer,
        screen::{Line, Style},
        table::{Column, Table},
        target::Named,
        text,
    },
    proto::{Decision, Evidence, IncreaseRequest, increase_request::State},
};

const COLUMNS: [Column; 10] = [
    Column::left("request", Column::ALWAYS),
    Column::name("project", 60, 8),
    Column::name("of", Column::ALWAYS, 20),
    Column::right("limit", 75),
    Column::right("wanted", Column::ALWAYS),
    Column::left("state", Column::ALWAYS),
    Column::right("granted", 80),
    Column::left("asked", 50),
    Column::name("why", 70, 10),
    Column::name("word", 65, 10),
];

/// An answer as JSON.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Out {
    Requests { requests: Vec<RequestOut> },
    Request { request: Option<Box<RequestOut>> },
}

/// A request as JSON.
#[derive(Debug, Serialize)]
pub struct RequestOut {
    id: String,
    project: String,
    #[serde(flatten)]
    target: TargetOut,
    display_name: String,
    wanted_slots: u32,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<Rfc3339>,
    state: &'static str,
    created: Option<Rfc3339>,
    created_by: String,
    created_by_name: String,
    evidence: Option<EvidenceOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<DecisionOut>,
}

#[derive(Debug, Serialize)]
struct EvidenceOut {
    limit: Option<u32>,
    peak: Option<MomentOut>,
    peak_bound: Option<&'static str>,
    minutes_near_limit: u32,
    minutes_covered: u32,
    week: Option<&'static str>,
    turned_away: u64,
}

#[derive(Debug, Serialize)]
struct DecisionOut {
    slots: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<Rfc3339>,
    decided_by: String,
    decided_by_name: String,
    decided: Option<Rfc3339>,
    word: String,
}

impl From<&IncreaseRequest> for RequestOut {
    fn from(request: &IncreaseRequest) -> Self {
        Self {
            id: request.id.clone(),
            project: request.project.clone(),
            target: TargetOut::of(request.target.as_ref()),
            display_name: request.display_name.clone(),
            wanted_slots: request.wanted_slots,
            reason: request.reason.clone(),
            end: output::time(request.end_time.as_ref()),
            state: state(request),
            created: output::time(request.create_time.as_ref()),
            created_by: request.created_by.clone(),
            created_by_name: request.created_by_name.clone(),
            evidence: request.evidence.as_ref().map(EvidenceOut::from),
            decision: request.decision.as_ref().map(DecisionOut::from),
        }
    }
}

impl From<&Evidence> for EvidenceOut {
    fn from(evidence: &Evidence) -> Self {
        Self {
            limit: evidence.limit_plus_one.checked_sub(1),
            peak: evidence.peak.as_ref().map(MomentOut::from),
            peak_bound: output::bound(evidence.peak_bound()),
            minutes_near_limit: evidence.minutes_near_limit,
            minutes_covered: evidence.minutes_covered,
            week: output::week(evidence.week()),
            turned_away: evidence.turned_away,
        }
    }
}

impl From<&Decision> for DecisionOut {
    fn from(decision: &Decision) -> Self {
        Self {
            slots: decision.slots,
            end: output::time(decision.end_time.as_ref()),
            decided_by: decision.decided_by.clone(),
            decided_by_name: decision.decided_by_name.clone(),
            decided: output::time(decision.decide_time.as_ref()),
            word: decision.word.clone(),
        }
    }
}

fn state(request: &IncreaseRequest) -> &'static str {
    match request.state() {
        State::Unspecified => "unknown",
        State::Open => "open",
        State::Approved => "approved",
        State::ApprovedInPart => "approved in part",
        State::Declined => "declined",
        State::Withdrawn => "withdrawn",
    }
}

pub fn json(answer: &Answer) -> Out {
    match answer {
        Answer::Listed(requests) => Out::Requests { requests: requests.iter().map(RequestOut::from).collect() },
        Answer::Done(request) => {
            Out::Request { request: request.as_ref().map(|request| Box::new((&**request).into())) }
        }
    }
}

/// What was found or done.
pub fn lines(project: &str, answer: &Answer, width: usize, zone: &TimeZone) -> Vec<Line> {
    match answer {
        Answer::Listed(requests) if requests.is_empty() => vec![
            format!("Nothing was asked for in {project}.").into(),
            Line::of(
                Style::Dim,
                "Ask: highwater requests create --kind tts --model cartesia/sonic-3 30 --reason 'the launch'",
            ),
        ],
        Answer::Listed(requests) => table(requests, width, zone),
        Answer::Done(request) => request.iter().map(|request| done(request, zone)).collect(),
    }
}

fn table(requests: &[IncreaseRequest], width: usize, zone: &TimeZone) -> Vec<Line> {
    let mut table = Table::new(&COLUMNS);
    for request in requests {
        let limit = request.evidence.as_ref().and_then(|evidence| evidence.limit_plus_one.checked_sub(1));
        let decision = request.decision.as_ref();
        let slots = |slots: Option<u32>| slots.map(|slots| text::number(slots.into())).unwrap_or_default();
        let state_style = if request.state() == State::Open { Style::Warning } else { Style::Plain };
        table.row([
            Line::from(request.id.as_str()),
            request.project.as_str().into(),
            Named::of(request.target.as_ref()).spelled().into(),
            slots(limit).into(),
            text::number(request.wanted_slots.into()).into(),
            Line::of(state_style, state(request)),
            slots(decision.map(|decision| decision.slots).filter(|slots| *slots > 0)).into(),
            Line::of(Style::Dim, time(request.create_time.as_ref(), zone).unwrap_or_default()),
            Line::of(Style::Dim, &request.reason),
            decision.map(|decision| decision.word.as_str()).unwrap_or_default().into(),
        ]);
    }
    table.lay_out(width)
}

/// What a command did, in a line.
fn done(request: &IncreaseRequest, zone: &TimeZone) -> Line {
    let of = Named::of(request.target.as_ref()).spelled();
    let until = |end| time(end, zone).map(|end| format!(" until {end}")).unwrap_or_default();
    let granted = request.decision.as_ref().filter(|decision| decision.slots > 0);
    let words = match granted {
        Some(decision) => {
            format!("may hold {}{}", text::number(decision.slots.into()), until(decision.end_time.as_ref()))
        }
        None => format!("wanted {}{}", text::number(request.wanted_slots.into()), until(request.end_time.as_ref())),
    };
    format!("{}: request {} of {}: {of} {words}", state(request), request.id, request.project).into()
}

fn time(time: Option<&prost_types::Timestamp>, zone: &TimeZone) -> Option<String> {
    time.and_then(moment::of_wire).map(|time| moment::full(time, zone))
}
