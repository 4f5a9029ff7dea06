//! `highwater import`: runs a trace of sessions through the engine into a store.

use std::{
    fs::File,
    io::{Read, Write, stdout},
    path::Path,
    time::Duration,
};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    cli::{
        CliError,
        screen::{Line, Screen, Style},
        store::{Done, StoreArgs},
        table::{Column, Table},
    },
    config::{Config, Retention},
    import::{
        self, Gathered, ImportError, Options, Report,
        report::{self, time_text},
        trace::{Skipped, TraceError, TraceReader},
    },
    model::{Bounds, Project, Time},
    service::Clock,
};

/// Skipped rows that are shown in the terminal; JSON has all.
const MOST_SKIPPED_SHOWN: usize = 20;
/// Models that the catalogue does not know, likewise.
const MOST_UNKNOWN_SHOWN: usize = 20;

/// How a trace's times are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shift {
    /// By whole weeks, so that it ends in the last seven days
    Auto,
    /// Not at all
    None,
}

#[derive(Args, Debug)]
pub struct ImportArgs {
    /// The trace: CSV with the header session_id,worker_id,kind,model,connected_at,disconnected_at; - for standard input
    #[arg(value_name = "FILE")]
    pub file: std::path::PathBuf,
    #[command(flatten)]
    pub store: StoreArgs,
    /// Project that it goes into
    #[arg(long, env = "HIGHWATER_PROJECT", value_name = "NAME", default_value = "default")]
    pub project: String,
    /// Move its times: auto by whole weeks, so that it ends in the last seven days
    #[arg(long, value_enum, default_value_t = Shift::None)]
    pub shift: Shift,
    /// Replace history that the store already has of these hours
    #[arg(long)]
    pub replace: bool,
    /// Print one object
    #[arg(long)]
    pub json: bool,
}

/// Runs it.
///
/// # Errors
/// When the file is no trace, the store can't be used, or it has history in the trace's time that is not to be replaced.
pub fn run(args: ImportArgs) -> Result<(), CliError> {
    let project = Project::new(&args.project).map_err(|error| CliError::Usage(error.to_string()))?;
    if project.is_across() {
        return Err(CliError::Usage("project `-` stands for all projects; name one".to_owned()));
    }
    let mut trace = read(&args.file)?;
    let weeks = match args.shift {
        Shift::Auto => trace.shift_to(Clock::start().now().wall),
        Shift::None => 0,
    };
    if trace.window().is_none() {
        return nothing(trace.skipped, &args);
    }
    let is_new = args.store.is_new_file();
    let store = args.store.open()?;
    let bar = progress_bar();
    let options = Options { project, replace: args.replace };
    let mut tell = || done(&args, &trace).tell(&store);
    let report = import::run(&*store, &trace, &options, &mut tell, &mut |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    if report.is_err() && is_new {
        drop(store);
        args.store.remove_file();
    }
    let report = report.map_err(|error| refused(error, &trace.skipped))?;
    if args.json { Ok(writeln!(stdout().lock(), "{}", report.json()?)?) } else { print(&report, weeks, &args) }
}

/// What the audit log is told before anything is changed.
fn done(args: &ImportArgs, trace: &Gathered) -> Done {
    let [from, to] = trace.window().map_or_else(Default::default, |(from, to)| [from, to].map(time_text));
    let kept = if args.replace { "replaces history of that time" } else { "adds to what is there" };
    Done {
        action: "history.import",
        project: args.project.clone(),
        object: args.file.display().to_string(),
        before: String::new(),
        after: format!("{} sessions from {from} to {to}; {kept}", trace.sessions.len()),
    }
}

/// What was read and holds no session: which rows were skipped is all there is to say.
fn nothing(skipped: Vec<Skipped>, args: &ImportArgs) -> Result<(), CliError> {
    let message = format!("{}: {}", args.file.display(), ImportError::Empty);
    let message = with_skipped(message, &skipped);
    if args.json {
        writeln!(stdout().lock(), "{}", Report::of_nothing(skipped).json()?)?;
    }
    Err(CliError::Mistakes { message, hint: None })
}

fn refused(error: ImportError, skipped: &[Skipped]) -> CliError {
    match error {
        ImportError::Store(error) => CliError::from_store(error),
        other => CliError::Mistakes { message: with_skipped(other.to_string(), skipped), hint: None },
    }
}

fn with_skipped(message: String, skipped: &[Skipped]) -> String {
    if skipped.is_empty() { message } else { format!("{message}\n{}", skipped_rows(skipped).join("\n")) }
}

fn read(path: &Path) -> Result<Gathered, CliError> {
    let mistakes =
        |error: TraceError| CliError::Mistakes { message: format!("{}: {error}", path.display()), hint: None };
    let input: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        let file = File::open(path).map_err(|error| CliError::NotFound {
            message: format!("{} can't be opened: {error}", path.display()),
            hint: None,
        })?;
        Box::new(file)
    };
    let mut trace = Gathered::default();
    for item in TraceReader::new(input).map_err(mistakes)? {
        trace.take(item.map_err(mistakes)?);
    }
    Ok(trace)
}

/// On stderr, and only where somebody looks.
fn progress_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {human_pos} of {human_len} events  {eta} left");
    let bar = ProgressBar::new(0);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

const COLUMNS: [Column; 8] = [
    Column::left("KIND", Column::ALWAYS),
    Column::name("MODEL", Column::ALWAYS, 12),
    Column::right("SESSIONS", 3),
    Column::right("PEAK", Column::ALWAYS),
    Column::left("FIRST REACHED (UTC)", Column::ALWAYS),
    Column::right("P50", 2),
    Column::right("P95", 2),
    Column::right("P99", 2),
];

fn print(report: &Report, weeks: i64, args: &ImportArgs) -> Result<(), CliError> {
    let screen = Screen::of_stdout();
    let mut lines = headline(report, weeks, args);
    let mut table = Table::new(&COLUMNS);
    report.pools.iter().chain(&report.meters).for_each(|line| table.row(row(line)));
    lines.extend(table.lay_out(screen.width));
    lines.push(Line::default());
    lines.push(Line::of(
        Style::Dim,
        "P50, P95, P99: the slots that were enough for this share of all seconds of the trace",
    ));
    lines.extend(unknown_models(report));
    lines.extend(is_full(report));
    lines.extend(soon_dropped(report, Clock::start().now().wall));
    lines.extend(skipped(report));
    Ok(screen.write(&mut stdout().lock(), &lines)?)
}

fn headline(report: &Report, weeks: i64, args: &ImportArgs) -> Vec<Line> {
    let [from, to] = report.window.map_or_else(Default::default, |(from, to)| [from, to].map(time_text));
    let shifted = if weeks == 0 { String::new() } else { format!(" (shifted by {weeks} weeks)") };
    vec![
        Line::from(format!("{} into {}, project {}", args.file.display(), args.store.store, args.project)),
        Line::of(Style::Dim, format!("{from} to {to}{shifted}")),
        Line::default(),
    ]
}

fn row(line: &report::Line) -> [Line; 8] {
    let model = match (line.target.kind().has_model(), line.target.is_pool()) {
        (false, _) => "",
        (true, true) => "all models",
        (true, false) => line.target.model(),
    };
    let numbers = [line.p50, line.p95, line.p99].map(|slots| Line::from(slots.to_string()));
    let [p50, p95, p99] = numbers;
    [
        Line::from(line.target.kind().as_str()),
        Line::from(model),
        Line::from(line.sessions.to_string()),
        Line::from(line.peak.to_string()),
        Line::from(time_text(line.peak_at)),
        p50,
        p95,
        p99,
    ]
}

/// The models that the catalogue does not know: a typing mistake shows here.
fn unknown_models(report: &Report) -> Option<Line> {
    let names = &report.unknown_models;
    let more = names.len().saturating_sub(MOST_UNKNOWN_SHOWN);
    let and_more = if more == 0 { String::new() } else { format!(", and {more} more") };
    let shown = names[..names.len() - more].join(", ");
    let words = || format!("not in the catalogue, and counted all the same: {shown}{and_more}");
    (!names.is_empty()).then(|| Line::of(Style::Warning, words()))
}

/// A project with as many meters as a service takes: what a worker reports of another model is refused there.
fn is_full(report: &Report) -> Option<Line> {
    let (has, most) = (report.project_meters, Bounds::default().meters_per_project);
    let words = || {
        format!(
            "the project has {has} meters now: a service takes no new one from {most} on, unless its \
             bounds.meters_per_project says otherwise"
        )
    };
    (has >= most).then(|| Line::of(Style::Warning, words()))
}

/// A trace that ended before what a service keeps: the next one that opens the store drops its minutes, at least.
fn soon_dropped(report: &Report, now: Time) -> Option<Line> {
    let Retention { points_days, summaries_months } = Config::default().retention;
    let kept = Duration::from_secs(u64::from(points_days) * 24 * 3_600);
    let is_old = report.window.is_some_and(|(_, last)| now.since(last) > kept);
    is_old.then(|| {
        Line::of(
            Style::Warning,
            format!(
                "it ended before what a service keeps ({points_days} days of minutes, {summaries_months} months of hours), \
                 which drops the rest when it opens the store; --shift auto moves the trace to now"
            ),
        )
    })
}

fn skipped(report: &Report) -> Vec<Line> {
    if report.skipped.is_empty() {
        return vec![Line::of(Style::Dim, "no row was skipped")];
    }
    skipped_rows(&report.skipped).into_iter().map(Line::from).collect()
}

/// The first of the rows that were skipped, each with its line and why.
fn skipped_rows(skipped: &[Skipped]) -> Vec<String> {
    let mut lines = match skipped.len() {
        1 => vec!["1 row was skipped:".to_owned()],
        count => vec![format!("{count} rows were skipped:")],
    };
    let shown = skipped.iter().take(MOST_SKIPPED_SHOWN);
    lines.extend(shown.map(|row| format!("  line {}: {}", row.line, row.reason)));
    let more = skipped.len().saturating_sub(MOST_SKIPPED_SHOWN);
    if more > 0 {
        lines.push(format!("  and {more} more; --json lists all"));
    }
    lines
}
