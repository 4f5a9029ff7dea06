//! Histories as lines for people.

use jiff::tz::TimeZone;

use crate::{
    cli::{
        history::{
            chart,
            series::{Bin, Series},
        },
        moment, output,
        screen::{Line, Style},
        table::{Column, Table},
        target::Named,
        text,
    },
    proto::{GetDistributionResponse, Quota},
};

/// Columns beside a chart's own: levels and axis, at most.
const AXIS_COLUMNS: usize = 10;
/// Widest chart: wider ones are no easier to read.
const MAX_CHART_COLUMNS: usize = 168;
/// Columns beside a line of the overview: name, peak, when.
const BESIDE_SPARK_COLUMNS: usize = 56;

const DAY_COLUMNS: [Column; 9] = [
    Column::left("day", Column::ALWAYS),
    Column::right("peak", Column::ALWAYS),
    Column::left("at", 90),
    Column::right("limit", 80),
    Column::right("opened", 60),
    Column::right("errors", 50),
    Column::right("lost", 40),
    Column::right("unmet", 45),
    Column::right("covered", 70),
];

/// One meter or pool: chart, percentiles, days.
pub fn one(
    project: &str,
    series: &Series,
    distribution: &GetDistributionResponse,
    width: usize,
    zone: &TimeZone,
) -> Vec<Line> {
    let named = Named::of(series.history.target.as_ref());
    let (from, to) = (moment::full(series.start, zone), moment::full(series.end(), zone));
    let zone_name = moment::zone_name(series.end(), zone);
    let mut lines = vec![
        Line::of(Style::Heading, format!("History of {} in {project}", named.spelled()))
            .and(Style::Dim, format!("  {from} to {to} {zone_name}")),
        highest(series, zone),
        Line::new(),
    ];
    let columns = series.columns(width.saturating_sub(AXIS_COLUMNS).min(MAX_CHART_COLUMNS));
    lines.extend(chart::chart(&columns, zone));
    let has_gaps = columns.iter().any(|(_, bin)| bin.peak.is_none());
    let legend = if has_gaps { "┄ limit   · no data, which is not zero" } else { "┄ limit" };
    lines.push(Line::of(Style::Dim, legend));
    lines.push(Line::new());
    lines.extend(percentiles(distribution));
    lines.push(Line::new());
    let mut table = Table::new(&DAY_COLUMNS);
    for (day, bin) in series.days(zone) {
        table.row(day_row(&day.strftime("%a %Y-%m-%d").to_string(), &bin, series.step_seconds, zone));
    }
    lines.extend(table.lay_out(width));
    lines
}

fn highest(series: &Series, zone: &TimeZone) -> Line {
    match series.highest() {
        None => Line::of(Style::Dim, "nothing of this window is covered: its levels are not known"),
        Some(peak) => {
            let limit = peak.limit.map(|limit| format!(" of {limit}")).unwrap_or_default();
            Line::of(Style::Dim, "peak ")
                .and(chart::style(peak.level, peak.limit), peak.level_text())
                .and(Style::Plain, limit)
                .and(Style::Dim, format!(", first at {}", moment::full(peak.at, zone)))
        }
    }
}

fn percentiles(distribution: &GetDistributionResponse) -> Vec<Line> {
    if distribution.covered_seconds == 0 {
        return vec![Line::of(Style::Dim, "no second of these hours is covered: there are no percentiles")];
    }
    let levels = distribution.levels.iter().map(|l| format!("{} % {}", l.percentile, l.level));
    let enough = format!("enough for this share of the seconds: {}", levels.collect::<Vec<_>>().join(" · "));
    let mut lines = vec![enough.into()];
    if distribution.ended_sessions > 0 {
        let durations = distribution.durations.iter().filter_map(|duration| {
            let seconds = output::seconds(duration.duration.as_ref())?;
            Some(format!("{} % {}", duration.percentile, short(seconds)))
        });
        let durations = durations.collect::<Vec<_>>().join(" · ");
        let ended = text::number(distribution.ended_sessions);
        lines.push(Line::of(Style::Dim, format!("how long the {ended} sessions lasted: {durations}")));
    }
    lines
}

/// A duration, finer where it is short.
fn short(seconds: f64) -> String {
    match seconds {
        0.0..1.0 => format!("{:.0} ms", seconds * 1_000.0),
        1.0..10.0 => format!("{seconds:.1} s"),
        _ => moment::duration(seconds as u64),
    }
}

fn day_row(day: &str, bin: &Bin, step_seconds: i64, zone: &TimeZone) -> Vec<Line> {
    let seconds = u64::from(bin.points) * u64::try_from(step_seconds).unwrap_or(0);
    let covered = match seconds {
        0 => String::new(),
        // Rounded down, so that 100 % means all of it.
        seconds => format!("{} %", bin.covered_seconds.min(seconds) * 100 / seconds),
    };
    let count = |n: u64, style: Style| Line::of(if n == 0 { Style::Dim } else { style }, text::number(n));
    let (peak, at, limit) = match bin.peak {
        None => (Line::of(Style::Dim, "no data"), String::new(), bin.limit),
        Some(peak) => {
            let style = chart::style(peak.level, peak.limit);
            let at = if peak.level == 0 { String::new() } else { moment::clock(peak.at, zone) };
            (Line::of(style, peak.level_text()), at, peak.limit)
        }
    };
    vec![
        day.into(),
        peak,
        Line::of(Style::Dim, at),
        limit.map(|limit| Line::from(limit.to_string())).unwrap_or_else(|| Line::of(Style::Dim, "–")),
        count(bin.opened, Style::Plain),
        count(bin.errors, Style::Warning),
        count(bin.lost, Style::Warning),
        count(bin.unmet, Style::Warning),
        Line::of(Style::Dim, covered),
    ]
}

/// A line for each meter and pool.
pub fn all(project: &str, quotas: &[Quota], series: &[Series], width: usize, zone: &TimeZone) -> Vec<Line> {
    let mut lines = vec![Line::of(Style::Heading, format!("History of {project}"))];
    if let Some(first) = series.first() {
        let (from, to) = (moment::full(first.start, zone), moment::full(first.end(), zone));
        lines[0] = lines[0].clone().and(Style::Dim, format!("  {from} to {to}; each line has its own height"));
    }
    lines.push(Line::new());
    let spark_columns = width.saturating_sub(BESIDE_SPARK_COLUMNS).clamp(8, MAX_CHART_COLUMNS);
    let columns = [
        Column::name("model", Column::ALWAYS, 12),
        Column::left("peaks", Column::ALWAYS),
        Column::right("peak", Column::ALWAYS),
        Column::right("limit", 80),
        Column::left("when", 70),
    ];
    let mut table = Table::new(&columns);
    for (quota, series) in quotas.iter().zip(series) {
        let named = Named::of(quota.target.as_ref());
        let name = if quota.display_name.is_empty() { named.spelled() } else { quota.display_name.clone() };
        let name = if named.pool { Line::of(Style::Bold, name) } else { Line::from(format!("  {name}")) };
        let peak = series.highest();
        let when = peak.map(|peak| moment::weekday(peak.at, zone)).unwrap_or_default();
        let limit = quota.limit.as_ref().map(|limit| limit.slots.to_string());
        table.row([
            name,
            chart::spark(&series.columns(spark_columns)),
            peak.map(|peak| Line::of(chart::style(peak.level, peak.limit), peak.level_text()))
                .unwrap_or_else(|| Line::of(Style::Dim, "?")),
            limit.map(Line::from).unwrap_or_else(|| Line::of(Style::Dim, "–")),
            Line::of(Style::Dim, when),
        ]);
    }
    lines.extend(table.lay_out(width));
    lines
}
