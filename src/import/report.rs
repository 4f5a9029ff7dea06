//! What an import found: for each meter and pool its sessions, its peak and when, and how much was enough for how long.

use jiff::{Timestamp, fmt::temporal::DateTimePrinter};
use serde::Serialize;

use crate::{
    import::trace::Skipped,
    model::{Target, Time},
};

/// What was found of one meter or pool.
#[derive(Clone, Debug)]
pub struct Line {
    pub target: Target,
    pub sessions: u64,
    pub peak: u32,
    /// When the peak was first reached.
    pub peak_at: Time,
    /// Of the per-second peaks from the first connect to the last disconnect of the trace, idle seconds being 0.
    pub p50: u64,
    pub p95: u64,
    pub p99: u64,
}

/// What an import found.
#[derive(Clone, Debug)]
pub struct Report {
    pub meters: Vec<Line>,
    pub pools: Vec<Line>,
    /// First connect and last disconnect; `None` when no session was taken.
    pub window: Option<(Time, Time)>,
    pub skipped: Vec<Skipped>,
    /// Models that the catalogue does not know: they are counted all the same.
    pub unknown_models: Vec<String>,
    /// Meters that the project has with these.
    pub project_meters: usize,
}

/// The report as one JSON object.
#[derive(Serialize)]
struct JsonReport<'a> {
    meters: Vec<JsonLine<'a>>,
    pools: Vec<JsonLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    skipped: Vec<JsonSkipped<'a>>,
    unknown_models: &'a [String],
    project_meters: usize,
}

#[derive(Serialize)]
struct JsonLine<'a> {
    kind: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    model: &'a str,
    sessions: u64,
    peak: u32,
    peak_at: String,
    p50: u64,
    p95: u64,
    p99: u64,
}

#[derive(Serialize)]
struct JsonSkipped<'a> {
    line: u64,
    reason: &'a str,
}

/// An instant as RFC 3339 in UTC, with as many digits after the second as it needs.
pub fn time_text(time: Time) -> String {
    let micros = i64::try_from(time.0).unwrap_or(i64::MAX);
    let timestamp = Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX);
    DateTimePrinter::new().timestamp_to_string(&timestamp)
}

impl Report {
    /// The report of a trace that has nothing to import.
    pub fn of_nothing(skipped: Vec<Skipped>) -> Self {
        let (meters, pools, unknown_models, project_meters) = Default::default();
        Self { meters, pools, window: None, skipped, unknown_models, project_meters }
    }

    /// The report as one JSON object.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(&JsonReport {
            meters: lines_of(&self.meters),
            pools: lines_of(&self.pools),
            from: self.window.map(|(from, _)| time_text(from)),
            to: self.window.map(|(_, to)| time_text(to)),
            skipped: self.skipped.iter().map(|s| JsonSkipped { line: s.line, reason: &s.reason }).collect(),
            unknown_models: &self.unknown_models,
            project_meters: self.project_meters,
        })
    }
}

fn lines_of(lines: &[Line]) -> Vec<JsonLine<'_>> {
    lines.iter().map(JsonLine::of).collect()
}

impl<'a> JsonLine<'a> {
    fn of(line: &'a Line) -> Self {
        Self {
            kind: line.target.kind().as_str(),
            model: line.target.model(),
            sessions: line.sessions,
            peak: line.peak,
            peak_at: time_text(line.peak_at),
            p50: line.p50,
            p95: line.p95,
            p99: line.p99,
        }
    }
}
