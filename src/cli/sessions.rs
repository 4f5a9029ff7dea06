//! `highwater sessions`: who holds the slots now, the oldest first, those of silent workers before them if asked for; and
//! freeing one by hand.

mod release;

use std::io::{Write, stdout};

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::{
    cli::{
        connect::{PAGE_SIZE, ProjectArgs, Server},
        error::CliError,
        moment,
        output::{self, Rfc3339, TargetOut},
        screen::{Line, Screen, Style},
        table::{Column, Table},
        target::{Named, TargetArgs},
        text,
    },
    proto::{ListSessionsRequest, Session, Target, target},
};

/// Sessions that are listed when nothing is said.
const USUAL_COUNT: u32 = 100;

#[derive(Args, Debug)]
pub struct SessionsArgs {
    #[command(flatten)]
    pub project: ProjectArgs,
    #[command(flatten)]
    pub target: TargetArgs,
    /// Only those of one worker
    #[arg(long, value_name = "WORKER")]
    pub worker: Option<String>,
    /// List those of silent workers first
    #[arg(long)]
    pub silent_first: bool,
    /// List at most so many
    #[arg(long, value_name = "COUNT", default_value_t = USUAL_COUNT)]
    pub max: u32,
    /// Print one object
    #[arg(long, global = true)]
    pub json: bool,
    /// List, when nothing is said
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Free a slot: at once when its worker is silent or reports by single calls, else its worker is asked to
    Release(release::ReleaseArgs),
}

/// What is listed, and of how many.
struct Listed {
    sessions: Vec<Session>,
    total: u32,
}

#[derive(Debug, Serialize)]
struct SessionsOut {
    project: String,
    /// Sessions that match, those that are not listed too.
    total_size: u32,
    sessions: Vec<SessionOut>,
}

#[derive(Debug, Serialize)]
struct SessionOut {
    id: String,
    worker_id: String,
    incarnation: String,
    #[serde(flatten)]
    target: TargetOut,
    room: String,
    job: String,
    since: Option<Rfc3339>,
    age_seconds: Option<f64>,
    last_beat: Option<Rfc3339>,
    silent: bool,
}

/// The columns, and in which order they give way.
const COLUMNS: [Column; 8] = [
    Column::name("session", 60, 10),
    Column::name("model", Column::ALWAYS, 16),
    Column::name("worker", Column::ALWAYS, 10),
    Column::name("room", 80, 8),
    Column::name("job", 50, 8),
    Column::left("since", 40),
    Column::right("held", 90),
    Column::right("last beat", 70),
];

/// Lists sessions.
///
/// # Errors
/// When the service can't be reached, the project or target is not known, or the output can't be written.
pub async fn run(mut args: SessionsArgs) -> Result<(), CliError> {
    let server = args.project.connect().await?;
    if let Some(Action::Release(release_args)) = args.action.take() {
        args.max = u32::MAX;
        // Only who does not name the incarnation needs it looked up.
        let held = match release_args.incarnation {
            Some(_) => Vec::new(),
            None => fetch(&args, None, &server).await?.sessions,
        };
        return release::run(&server, &args.project.project, release_args, held, args.json).await;
    }
    let target = args.target.target()?;
    let listed = fetch(&args, target, &server).await?;
    if args.json {
        return output::print(&json(&args.project.project, &listed), true);
    }
    let screen = Screen::of_stdout();
    let mut out = stdout().lock();
    screen.write(&mut out, &lines(&args.project.project, &listed, screen.width))?;
    Ok(out.flush()?)
}

async fn fetch(args: &SessionsArgs, target: Option<Target>, server: &Server) -> Result<Listed, CliError> {
    let mut listed = Listed { sessions: Vec::new(), total: 0 };
    let most = args.max as usize;
    let mut request = ListSessionsRequest {
        project: args.project.project.clone(),
        target,
        worker_id: args.worker.clone().unwrap_or_default(),
        silent_first: args.silent_first,
        ..Default::default()
    };
    loop {
        let wanted = most.saturating_sub(listed.sessions.len()).clamp(1, PAGE_SIZE as usize);
        request.page_size = i32::try_from(wanted).unwrap_or(PAGE_SIZE);
        let page = server.answer(server.quotas().list_sessions(request.clone())).await?;
        listed.total = u32::try_from(page.total_size).unwrap_or(0);
        listed.sessions.extend(page.sessions);
        if page.next_page_token.is_empty() || listed.sessions.len() >= most {
            listed.sessions.truncate(most);
            return Ok(listed);
        }
        request.page_token = page.next_page_token;
    }
}

fn lines(project: &str, listed: &Listed, width: usize) -> Vec<Line> {
    let count = text::number(u64::from(listed.total));
    let noun = if listed.total == 1 { "session" } else { "sessions" };
    let mut title = Line::of(Style::Heading, format!("{count} {noun} held in {project}"));
    if listed.sessions.len() < listed.total as usize {
        title = title.and(Style::Dim, format!("  the first {} are listed; --max lists more", listed.sessions.len()));
    }
    let mut lines = vec![title];
    if !listed.sessions.is_empty() {
        let mut table = Table::new(&COLUMNS);
        listed.sessions.iter().for_each(|session| table.row(row(session)));
        lines.push(Line::new());
        lines.extend(table.lay_out(width));
    }
    lines
}

fn row(session: &Session) -> Vec<Line> {
    let target = target_of(session);
    let zone = moment::zone();
    let labels = session.labels.as_ref();
    let since = session.since.as_ref().and_then(moment::of_wire);
    let since_text = since.map(|since| moment::weekday(since, &zone)).unwrap_or_default();
    let held = output::seconds(session.age.as_ref()).map(|age| moment::duration(age as u64)).unwrap_or_default();
    let beat = session.last_beat.as_ref().and_then(moment::of_wire).map(|beat| moment::clock(beat, &zone));
    let beat = beat.unwrap_or_default();
    let beat = match session.silent {
        true => Line::of(Style::Warning, format!("silent, {beat}")),
        false => Line::of(Style::Dim, beat),
    };
    vec![
        Line::of(Style::Dim, &session.id),
        Named::of(Some(&target)).spelled().into(),
        session.worker_id.as_str().into(),
        labels.map(|labels| labels.room.as_str()).unwrap_or_default().into(),
        labels.map(|labels| labels.job.as_str()).unwrap_or_default().into(),
        Line::of(Style::Dim, since_text),
        held.into(),
        beat,
    ]
}

fn target_of(session: &Session) -> Target {
    Target { target: session.meter.clone().map(target::Target::Meter) }
}

fn json(project: &str, listed: &Listed) -> SessionsOut {
    let sessions = listed.sessions.iter().map(|session| {
        let labels = session.labels.clone().unwrap_or_default();
        SessionOut {
            id: session.id.clone(),
            worker_id: session.worker_id.clone(),
            incarnation: session.incarnation.clone(),
            target: TargetOut::of(Some(&target_of(session))),
            room: labels.room,
            job: labels.job,
            since: output::time(session.since.as_ref()),
            age_seconds: output::seconds(session.age.as_ref()),
            last_beat: output::time(session.last_beat.as_ref()),
            silent: session.silent,
        }
    });
    SessionsOut { project: project.to_owned(), total_size: listed.total, sessions: sessions.collect() }
}
