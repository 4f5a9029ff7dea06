//! `highwater status`: what the service is and how it fares.

use std::io::{Write, stdout};

use clap::Args;
use serde::Serialize;

use crate::{
    cli::{
        connect::ServerArgs,
        error::CliError,
        moment,
        output::{self, Rfc3339},
        screen::{Line, Screen, Style},
        text,
    },
    proto::{GetStatusRequest, GetStatusResponse},
};

#[derive(Args, Debug)]
pub struct StatusArgs {
    #[command(flatten)]
    pub server: ServerArgs,
    /// Print one object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Serialize)]
struct StatusOut {
    server: String,
    version: String,
    started_at: Option<Rfc3339>,
    settling: bool,
    attached_workers: u64,
    silent_workers: u64,
    live_sessions: u64,
    audit_drift: u64,
    durable_until: Option<Rfc3339>,
    degraded: Vec<String>,
    warnings: Vec<String>,
    simulation: bool,
}

/// Width of the names on the left.
const NAME_COLUMNS: usize = 18;

/// Prints the status.
///
/// # Errors
/// When the service can't be reached, or the output can't be written.
pub async fn run(args: StatusArgs) -> Result<(), CliError> {
    let server = args.server.connect()?;
    let status = server.answer(server.quotas().get_status(GetStatusRequest {})).await?;
    if args.json {
        return output::print(&json(&server.url, status), true);
    }
    let screen = Screen::of_stdout();
    let mut out = stdout().lock();
    screen.write(&mut out, &lines(&server.url, &status))?;
    Ok(out.flush()?)
}

fn lines(url: &str, status: &GetStatusResponse) -> Vec<Line> {
    let (now, zone) = (moment::now(), moment::zone());
    let named = |name: &str, value: Line| Line::of(Style::Dim, format!("{name:NAME_COLUMNS$}")).then(value);
    let mut title = Line::of(Style::Heading, format!("Highwater {} at {url}", status.version));
    if status.simulation {
        title = title.and(Style::Plain, "  ").and(Style::Warning, "SIMULATION");
    }
    let (word, style) = match (status.degraded.is_empty(), status.settling) {
        (false, _) => ("degraded", Style::Alarm),
        (true, true) => ("settling after a restart: levels are lower bounds", Style::Warning),
        (true, false) => ("ok", Style::Plain),
    };
    let mut lines = vec![title, named("state", Line::of(style, word))];
    lines.extend(status.degraded.iter().map(|wrong| named("", Line::of(Style::Alarm, wrong))));
    lines.extend(status.warnings.iter().map(|warning| named("", Line::of(Style::Warning, warning))));
    if let Some(started) = status.started_at.as_ref().and_then(moment::of_wire) {
        let up = u64::try_from(now.duration_since(started).as_secs()).unwrap_or(0);
        lines.push(named("up", moment::duration(up).into()));
    }
    let silent = match status.silent_workers {
        0 => Line::new(),
        silent => Line::of(Style::Warning, format!(", {} silent or cut off", text::number(silent))),
    };
    lines
        .push(named("workers", Line::from(format!("{} attached", text::number(status.attached_workers))).then(silent)));
    lines.push(named("sessions", format!("{} held", text::number(status.live_sessions)).into()));
    if let Some(durable) = status.durable_until.as_ref().and_then(moment::of_wire) {
        lines.push(named("durable until", moment::full(durable, &zone).into()));
    }
    let drift = if status.audit_drift == 0 { Style::Plain } else { Style::Alarm };
    lines.push(named("audit drift", Line::of(drift, text::number(status.audit_drift))));
    lines
}

fn json(url: &str, status: GetStatusResponse) -> StatusOut {
    StatusOut {
        server: url.to_owned(),
        version: status.version,
        started_at: output::time(status.started_at.as_ref()),
        settling: status.settling,
        attached_workers: status.attached_workers,
        silent_workers: status.silent_workers,
        live_sessions: status.live_sessions,
        audit_drift: status.audit_drift,
        durable_until: output::time(status.durable_until.as_ref()),
        degraded: status.degraded,
        warnings: status.warnings,
        simulation: status.simulation,
    }
}
