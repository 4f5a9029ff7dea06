//! `highwater history`: how high it went, and when. Of one meter or pool a chart, its days and its percentiles; without
//! one, a line for each of the project.

use std::io::{Write, stdout};

use clap::Args;
use jiff::Timestamp;

use crate::{
    cli::{
        connect::{PAGE_SIZE, ProjectArgs, Server},
        error::CliError,
        moment, output,
        screen::Screen,
        target::TargetArgs,
    },
    proto::{
        GetDistributionRequest, GetDistributionResponse, GetHistoryRequest, GetHistoryResponse, ListQuotasRequest,
        Quota, Target, get_history_request::Column,
    },
};

mod chart;
mod json;
mod render;
mod series;

use series::Series;

/// Steps that divide a day, in minutes.
const STEPS: [u64; 15] = [1, 2, 3, 5, 10, 15, 30, 60, 120, 180, 240, 360, 480, 720, 1_440];
/// Points that an answer holds at most.
const MAX_POINTS: u64 = 10_080;
/// Minutes of an hour: from this step on history reaches back for 13 months.
const HOUR: u64 = 60;
/// Histories that one request may ask for.
const MAX_TARGETS: usize = 100;
/// How far back a history reaches when nothing is said.
const USUAL_SPAN_HOURS: i64 = 7 * 24;

#[derive(Args, Debug)]
pub struct HistoryArgs {
    #[command(flatten)]
    pub project: ProjectArgs,
    #[command(flatten)]
    pub target: TargetArgs,
    /// Start: a time, a date, or how long ago (7d, 36h)
    #[arg(long, value_name = "TIME", default_value = "7d", allow_hyphen_values = true)]
    pub from: String,
    /// End, exclusive
    #[arg(long, value_name = "TIME", default_value = "now", allow_hyphen_values = true)]
    pub to: String,
    /// Width of a point, such as 1min, 15min or 1h; the finest that there is when nothing is said
    #[arg(long, value_name = "DURATION")]
    pub step: Option<String>,
    /// Print one object
    #[arg(long)]
    pub json: bool,
}

/// A history's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    from: Timestamp,
    to: Timestamp,
    step_minutes: u64,
}

/// Prints histories.
///
/// # Errors
/// When the window makes no sense, the service can't be reached, or the project or target is not known.
pub async fn run(mut args: HistoryArgs) -> Result<(), CliError> {
    let window = window(&args, moment::now())?;
    let server = args.project.connect().await?;
    match args.target.target()? {
        Some(target) => one(&args, &server, target, window).await,
        None => all(&args, &server, window).await,
    }
}

fn window(args: &HistoryArgs, now: Timestamp) -> Result<Window, CliError> {
    let zone = moment::zone();
    let named = |flag: &str, typed: &str| {
        moment::parse(typed, now, &zone).map_err(|problem| CliError::Usage(format!("--{flag}: {problem}")))
    };
    let (from, to) = (named("from", &args.from)?, named("to", &args.to)?);
    let span = u64::try_from(to.duration_since(from).as_secs()).ok().filter(|span| *span > 0);
    let span = span.ok_or_else(|| CliError::Usage("--from must be before --to".to_owned()))?;
    let step_minutes = match &args.step {
        Some(typed) => step(typed)?,
        None => finest(span, now.duration_since(from).as_secs()),
    };
    Ok(Window { from: within_answer(from, to, step_minutes), to, step_minutes })
}

/// The start, a step later where rounding both ends to steps would make one point more than an answer holds.
fn within_answer(from: Timestamp, to: Timestamp, step_minutes: u64) -> Timestamp {
    let step = i64::try_from(step_minutes * 60).unwrap_or(i64::MAX);
    let (first, last) = (from.as_second().div_euclid(step), (to.as_second() - 1).div_euclid(step));
    let one_too_many = u64::try_from(last - first).ok() == Some(MAX_POINTS);
    let later = Timestamp::from_second((first + 1).saturating_mul(step)).ok();
    later.filter(|_| one_too_many).unwrap_or(from)
}

/// The finest step that history has so far back, and that an answer has room for.
fn finest(span_seconds: u64, back_seconds: i64) -> u64 {
    let kept_by_minute = back_seconds <= USUAL_SPAN_HOURS * 3_600 + 60;
    let fits = |step: &u64| span_seconds.div_ceil(step * 60) <= MAX_POINTS && (kept_by_minute || *step >= HOUR);
    STEPS.into_iter().find(fits).unwrap_or(STEPS[STEPS.len() - 1])
}

fn step(typed: &str) -> Result<u64, CliError> {
    let duration: Option<jiff::SignedDuration> = typed.parse().ok();
    let seconds = duration.and_then(|duration| u64::try_from(duration.as_secs()).ok());
    seconds
        .filter(|seconds| seconds % 60 == 0)
        .map(|seconds| seconds / 60)
        .filter(|step| STEPS.contains(step))
        .ok_or_else(|| {
            CliError::Usage(format!(
                "--step: {typed:?} is not a whole number of minutes that divides a day: 1min to 24h"
            ))
        })
}

fn request(args: &HistoryArgs, window: Window, targets: Vec<Target>, columns: &[Column]) -> GetHistoryRequest {
    let seconds = i64::try_from(window.step_minutes * 60).unwrap_or(i64::MAX);
    GetHistoryRequest {
        project: args.project.project.clone(),
        targets,
        start_time: Some(moment::to_wire(window.from)),
        end_time: Some(moment::to_wire(window.to)),
        step: Some(prost_types::Duration { seconds, nanos: 0 }),
        columns: columns.iter().map(|column| *column as i32).collect(),
    }
}

async fn one(args: &HistoryArgs, server: &Server, target: Target, window: Window) -> Result<(), CliError> {
    let columns = [Column::PeakSecond, Column::Sessions, Column::Unmet, Column::Covered, Column::Limit];
    let request = request(args, window, vec![target.clone()], &columns);
    let histories = server.answer(server.quotas().get_history(request)).await?;
    let distribution = distribution(args, server, target, window).await?;
    let series = series_of(histories);
    if args.json {
        return output::print(&json::one(&args.project.project, series.first(), &distribution), true);
    }
    let series = series.first().ok_or_else(|| CliError::failed("the service sent no history"))?;
    let screen = Screen::of_stdout();
    let mut out = stdout().lock();
    screen
        .write(&mut out, &render::one(&args.project.project, series, &distribution, screen.width, &moment::zone()))?;
    Ok(out.flush()?)
}

async fn distribution(
    args: &HistoryArgs,
    server: &Server,
    target: Target,
    window: Window,
) -> Result<GetDistributionResponse, CliError> {
    let request = GetDistributionRequest {
        project: args.project.project.clone(),
        target: Some(target),
        start_time: Some(moment::to_wire(window.from)),
        end_time: Some(moment::to_wire(window.to)),
        ..Default::default()
    };
    server.answer(server.quotas().get_distribution(request)).await
}

/// A line for each meter and pool of the project.
async fn all(args: &HistoryArgs, server: &Server, window: Window) -> Result<(), CliError> {
    let window = Window { step_minutes: args.step.as_ref().map_or(coarse(window), |_| window.step_minutes), ..window };
    let list = ListQuotasRequest { project: args.project.project.clone(), page_size: PAGE_SIZE, ..Default::default() };
    let mut quotas: Vec<Quota> = server.answer(server.quotas().list_quotas(list)).await?.quotas;
    quotas.sort_by_key(|quota| crate::cli::target::Named::of(quota.target.as_ref()).rank());
    let mut series = Vec::new();
    for some in quotas.chunks(MAX_TARGETS) {
        let targets = some.iter().filter_map(|quota| quota.target.clone()).collect();
        let request = request(args, window, targets, &[Column::PeakSecond, Column::Limit]);
        series.extend(series_of(server.answer(server.quotas().get_history(request)).await?));
    }
    if args.json {
        return output::print(&json::all(&args.project.project, &series), true);
    }
    let screen = Screen::of_stdout();
    let mut out = stdout().lock();
    screen.write(&mut out, &render::all(&args.project.project, &quotas, &series, screen.width, &moment::zone()))?;
    Ok(out.flush()?)
}

/// A step for lines of a few dozen columns.
fn coarse(window: Window) -> u64 {
    let days = window.to.duration_since(window.from).as_hours() / 24;
    if days >= 2 { window.step_minutes.max(HOUR) } else { window.step_minutes }
}

fn series_of(histories: GetHistoryResponse) -> Vec<Series> {
    let start = histories.start_time.as_ref().and_then(moment::of_wire).unwrap_or(Timestamp::UNIX_EPOCH);
    let step = histories.step.map_or(60, |step| step.seconds.max(1));
    histories.histories.into_iter().map(|history| Series { start, step_seconds: step, history }).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_finest_step_that_there_is_and_fits_is_taken() {
        let day = 86_400;
        assert_eq!(finest(7 * day, 7 * 86_400), 1);
        assert_eq!(finest(day, 20 * 86_400), 60);
        assert_eq!(finest(400 * day, 400 * 86_400), 60);
        assert_eq!(finest(600 * day, 600 * 86_400), 120);
    }

    #[test]
    fn a_week_fits_wherever_it_begins_in_its_minute() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let week = 7 * 86_400;
        assert_eq!(within_answer(at(30), at(week + 30), 1), at(60));
        assert_eq!(within_answer(at(0), at(week), 1), at(0));
        assert_eq!(within_answer(at(30), at(3_630), 1), at(30));
    }

    #[test]
    fn steps_divide_a_day() {
        assert_eq!(["1min", "15m", "1h", "24h"].map(|typed| step(typed).unwrap()), [1, 15, 60, 1_440]);
        for typed in ["90s", "7min", "2d", "", "-1h"] {
            assert!(step(typed).is_err(), "{typed}");
        }
    }
}
