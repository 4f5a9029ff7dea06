//! `highwater replay`: reports a trace to a running service as its workers would, each over a stream of its own, in the
//! trace's order and at a multiple of its pace.

use std::{
    fs::File,
    io::{self, Read, Write, stdout},
    num::NonZeroUsize,
    path::PathBuf,
    time::Duration,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::{
    task::yield_now,
    time::{Instant, sleep_until},
};

use crate::{
    app::serve::signalled,
    cli::{
        connect::ProjectArgs,
        error::CliError,
        moment, output,
        replay::{
            fleet::Fleet,
            plan::{Plan, Step},
        },
        text,
    },
    model::Time,
    proto::GetCallerRequest,
};

mod fleet;
mod plan;

/// Events after which the workers' own tasks get their turn at least.
const EVENTS_A_TURN: usize = 128;
/// Rows that were skipped and are told one by one; the rest is counted.
const SKIPPED_TOLD: usize = 20;
/// How long the service may take at the end to take what is still to be told.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often the progress is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(200);

#[derive(Args, Debug)]
pub struct ReplayArgs {
    #[command(flatten)]
    pub project: ProjectArgs,
    /// The trace: CSV with the header session_id,worker_id,kind,model,connected_at,disconnected_at; - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// How many times faster than the trace, or max
    #[arg(long, value_name = "N", default_value = "1", value_parser = speed)]
    pub speed: Speed,
    /// Report as so many workers instead of the trace's own
    #[arg(long, value_name = "COUNT")]
    pub workers: Option<NonZeroUsize>,
    /// Whose quota it counts on: livekit (when nothing is said), direct, or a name of your own
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub account: String,
    /// Print the summary as one object
    #[arg(long)]
    pub json: bool,
}

/// How fast a trace runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// So many times its own pace.
    Times(f64),
    /// As fast as the service takes it.
    Max,
}

fn speed(typed: &str) -> Result<Speed, String> {
    if typed == "max" {
        return Ok(Speed::Max);
    }
    let times: Option<f64> = typed.parse().ok().filter(|times: &f64| times.is_finite() && *times > 0.0);
    times.map(Speed::Times).ok_or_else(|| "write a number above 0, such as 60, or max".to_owned())
}

/// What was done.
#[derive(Debug, Serialize)]
struct Summary {
    sessions: u64,
    /// Rows that could not be read.
    skipped: usize,
    /// Sessions left out since another of the same id was live in the same worker.
    repeated: u64,
    workers: usize,
    events: u64,
    batches: u64,
    seconds: f64,
    events_per_second: f64,
    reconnects: u64,
    /// Snapshots that the service asked for in mid-stream.
    resyncs: u64,
    /// Events that the service was away too long for: lost to history, not to levels.
    dropped_events: u64,
    unknown_models: Vec<String>,
    /// False when it was interrupted.
    complete: bool,
}

/// Replays a trace.
///
/// # Errors
/// When the trace can't be read, the service can't be reached at first, or refuses a worker.
pub async fn run(mut args: ReplayArgs) -> Result<(), CliError> {
    let plan = plan::read(open(&args.file)?, args.workers, &args.account)?;
    tell_skipped(&plan);
    let server = args.project.connect().await?;
    // Whether it is there and knows the key, before anything is counted: what a worker may ask.
    server.answer(server.admin().get_caller(GetCallerRequest {})).await?;
    let mut fleet = Fleet::attach(&server, &args.project.project, &plan).await?;
    let bar = progress(plan.steps.len());
    let started = Instant::now();
    let complete = tokio::select! {
        done = play(&plan, &mut fleet, args.speed, &bar) => done.map(|()| true),
        () = signalled() => Ok(false),
    };
    // A worker that was refused takes no other with it.
    let left = fleet.goodbye(GOODBYE_TIMEOUT).await;
    bar.finish_and_clear();
    let (complete, (stats, unknown_models)) = (complete?, left?);
    let seconds = started.elapsed().as_secs_f64();
    let summary = Summary {
        sessions: stats.sessions,
        skipped: plan.skipped.len(),
        repeated: stats.repeated,
        workers: plan.workers.len(),
        events: stats.events,
        batches: stats.batches,
        seconds,
        events_per_second: stats.events as f64 / seconds.max(f64::EPSILON),
        reconnects: stats.reconnects,
        resyncs: stats.resyncs,
        dropped_events: stats.dropped_events,
        unknown_models,
        complete,
    };
    if args.json {
        return output::print(&summary, true);
    }
    let mut out = stdout().lock();
    writeln!(out, "{}", summary.words())?;
    Ok(out.flush()?)
}

fn open(path: &PathBuf) -> Result<Box<dyn Read>, CliError> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(io::stdin()));
    }
    let file = File::open(path);
    let file = file.map_err(|error| CliError::Mistakes {
        message: format!("{} can't be read: {error}", path.display()),
        hint: None,
    })?;
    Ok(Box::new(file))
}

fn tell_skipped(plan: &Plan) {
    for skipped in plan.skipped.iter().take(SKIPPED_TOLD) {
        eprintln!("highwater: line {} is skipped: {}", skipped.line, text::line(&skipped.reason));
    }
    if plan.skipped.len() > SKIPPED_TOLD {
        eprintln!("highwater: {} more lines are skipped", plan.skipped.len() - SKIPPED_TOLD);
    }
}

fn progress(events: usize) -> ProgressBar {
    let bar = ProgressBar::new(events as u64);
    let template = "{bar:30} {percent:>3} %  {human_pos} of {human_len} events  {msg}";
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Plays every step when it is due.
async fn play(plan: &Plan, fleet: &mut Fleet, speed: Speed, bar: &ProgressBar) -> Result<(), CliError> {
    let Some(first) = plan.steps.first() else { return Ok(()) };
    let (started, zone) = (Instant::now(), moment::zone());
    let mut drawn = started;
    for (place, step) in plan.steps.iter().enumerate() {
        if let Speed::Times(times) = speed {
            let due = started + step.at.since(first.at).div_f64(times);
            if due > Instant::now() {
                sleep_until(due).await;
            }
        }
        if place % EVENTS_A_TURN == 0 {
            yield_now().await;
        }
        fleet.play(plan, step).await?;
        if drawn.elapsed() >= DRAW_EVERY {
            drawn = Instant::now();
            bar.set_position(place as u64 + 1);
            bar.set_message(format!("{}  {}", trace_time(step, &zone), fleet.words()));
        }
    }
    Ok(())
}

/// The trace's own time of a step.
fn trace_time(step: &Step, zone: &jiff::tz::TimeZone) -> String {
    let Time(micros) = step.at;
    let time = i64::try_from(micros).ok().and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok());
    time.map(|time| moment::full(time, zone)).unwrap_or_default()
}

impl Summary {
    fn words(&self) -> String {
        let number = text::number;
        let mut lines = vec![format!(
            "{}: {} sessions by {} workers, {} events in {} batches, {:.1} s, {} events/s",
            if self.complete { "replayed" } else { "interrupted" },
            number(self.sessions),
            self.workers,
            number(self.events),
            number(self.batches),
            self.seconds,
            number(self.events_per_second as u64),
        )];
        let counts = [
            (self.skipped as u64, "lines skipped"),
            (self.repeated, "sessions left out: one of the same id was live"),
            (self.reconnects, "reconnects"),
            (self.resyncs, "snapshots asked for in mid-stream"),
            (self.dropped_events, "events lost to history: the service was away too long"),
        ];
        lines.extend(counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", number(*n))));
        if !self.unknown_models.is_empty() {
            lines.push(format!("not in the catalogue, counted all the same: {}", self.unknown_models.join(", ")));
        }
        text::lines(&lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_above_zero_or_max() {
        assert_eq!(
            (speed("60"), speed("0.5"), speed("max")),
            (Ok(Speed::Times(60.0)), Ok(Speed::Times(0.5)), Ok(Speed::Max))
        );
        for typed in ["0", "-1", "NaN", "inf", "fast"] {
            assert!(speed(typed).is_err(), "{typed}");
        }
    }
}
