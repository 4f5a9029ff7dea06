//! Histories as one object: columns of equal length, `null` where nothing is covered.

use serde::Serialize;

use crate::{
    cli::{
        history::series::Series,
        output::{self, Rfc3339, TargetOut},
    },
    model::Flags,
    proto::GetDistributionResponse,
};

#[derive(Debug, Serialize)]
pub struct HistoriesOut<'a> {
    project: &'a str,
    histories: Vec<HistoryOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    distribution: Option<DistributionOut>,
}

/// Further columns are empty unless they were asked for.
#[derive(Debug, Serialize)]
struct HistoryOut<'a> {
    #[serde(flatten)]
    target: TargetOut,
    start_time: Rfc3339,
    step_seconds: i64,
    /// `null` where nothing is covered.
    peak: Vec<Option<u32>>,
    flags: &'a [u8],
    peak_second: &'a [u32],
    opened: &'a [u32],
    closed_ok: &'a [u32],
    closed_cancelled: &'a [u32],
    closed_error: &'a [u32],
    lost: &'a [u32],
    refused: &'a [u32],
    diverted: &'a [u32],
    covered_seconds: &'a [u32],
    /// `null` where no limit was in force.
    limit: Vec<Option<u32>>,
}

#[derive(Debug, Serialize)]
struct DistributionOut {
    covered_seconds: u64,
    levels: Vec<LevelOut>,
    time_at: Vec<TimeAtOut>,
    ended_sessions: u64,
    durations: Vec<DurationOut>,
    longest_seconds: Option<f64>,
}

#[derive(Debug, Serialize)]
struct LevelOut {
    percentile: f64,
    level: u32,
}

#[derive(Debug, Serialize)]
struct TimeAtOut {
    level: u32,
    seconds: u64,
}

#[derive(Debug, Serialize)]
struct DurationOut {
    percentile: f64,
    seconds: Option<f64>,
}

/// One history and its distribution.
pub fn one<'a>(
    project: &'a str,
    series: Option<&'a Series>,
    distribution: &GetDistributionResponse,
) -> HistoriesOut<'a> {
    let histories = series.into_iter().map(history).collect();
    HistoriesOut { project, histories, distribution: Some(of_distribution(distribution)) }
}

/// Several histories.
pub fn all<'a>(project: &'a str, series: &'a [Series]) -> HistoriesOut<'a> {
    HistoriesOut { project, histories: series.iter().map(history).collect(), distribution: None }
}

fn history(series: &Series) -> HistoryOut<'_> {
    let history = &series.history;
    let flags = history.flags.iter().copied().chain(std::iter::repeat(0));
    let peak = history.peak.iter().zip(flags).map(|(peak, flags)| (!Flags(flags).has(Flags::GAP)).then_some(*peak));
    HistoryOut {
        target: TargetOut::of(history.target.as_ref()),
        start_time: series.start.to_string(),
        step_seconds: series.step_seconds,
        peak: peak.collect(),
        flags: &history.flags,
        peak_second: &history.peak_second,
        opened: &history.opened,
        closed_ok: &history.closed_ok,
        closed_cancelled: &history.closed_cancelled,
        closed_error: &history.closed_error,
        lost: &history.lost,
        refused: &history.refused,
        diverted: &history.diverted,
        covered_seconds: &history.covered_seconds,
        limit: history.limit_plus_one.iter().map(|limit| limit.checked_sub(1)).collect(),
    }
}

fn of_distribution(distribution: &GetDistributionResponse) -> DistributionOut {
    let levels = distribution.levels.iter();
    let time_at = distribution.time_at.iter();
    let durations = distribution.durations.iter();
    DistributionOut {
        covered_seconds: distribution.covered_seconds,
        levels: levels.map(|l| LevelOut { percentile: l.percentile, level: l.level }).collect(),
        time_at: time_at.map(|t| TimeAtOut { level: t.level, seconds: t.seconds }).collect(),
        ended_sessions: distribution.ended_sessions,
        durations: durations
            .map(|d| DurationOut { percentile: d.percentile, seconds: output::seconds(d.duration.as_ref()) })
            .collect(),
        longest_seconds: output::seconds(distribution.longest.as_ref()),
    }
}
