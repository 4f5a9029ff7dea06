//! `highwater status`: what the service is and how it fares.

use std::io::{Write, stdout};

use clap::Args;
use jiff::Timestamp;
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
    proto::{GetStatusRequest, GetStatusResponse, LiveKitStatus},
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
    store: String,
    warnings: Vec<String>,
    simulation: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    livekit: Option<LiveKitOut>,
}

/// Counts are since the service started.
#[derive(Debug, Serialize)]
struct LiveKitOut {
    has_lists: bool,
    lists_read_at: Option<Rfc3339>,
    lists_read: u64,
    lists_failed: u64,
    missed_begins: u64,
    missed_ends: u64,
    events: u64,
    repeated: u64,
    passed_over: u64,
    stale: u64,
    given_up: u64,
    ends_first: u64,
    unsigned: u64,
    unreadable: u64,
    refused: u64,
    expired: u64,
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
    if !status.store.is_empty() {
        lines.push(named("store", Line::from(status.store.as_str())));
    }
    let drift = if status.audit_drift == 0 { Style::Plain } else { Style::Alarm };
    lines.push(named("audit drift", Line::of(drift, text::number(status.audit_drift))));
    if let Some(livekit) = &status.livekit {
        let words = livekit_lines(livekit, now, status.degraded.iter().any(|wrong| wrong.starts_with("livekit:")));
        let first = ["livekit", "", ""].into_iter();
        lines.extend(first.zip(words).map(|(name, line)| named(name, line)));
    }
    lines
}

/// What of LiveKit is known from what, and how often its lists had to put it right.
fn livekit_lines(livekit: &LiveKitStatus, now: Timestamp, is_degraded: bool) -> [Line; 3] {
    let n = text::number;
    let read = livekit.lists_read_at.as_ref().and_then(moment::of_wire).map(|read| {
        format!("lists read {} ago", moment::duration(u64::try_from(now.duration_since(read).as_secs()).unwrap_or(0)))
    });
    let lists = match (livekit.has_lists, read) {
        (false, _) => {
            Line::of(Style::Warning, "webhooks alone count: set livekit.url to check them by LiveKit's lists")
        }
        (true, None) => Line::of(Style::Warning, "lists not read yet"),
        (true, Some(read)) => Line::of(if is_degraded { Style::Alarm } else { Style::Plain }, read),
    };
    let missed = format!("{} beginnings and {} ends put right", n(livekit.missed_begins), n(livekit.missed_ends));
    let events = format!("{} events, {} repeated, {} stale", n(livekit.events), n(livekit.repeated), n(livekit.stale));
    // In the words of the metric `highwater_livekit_events_total`.
    let turned_away =
        [(livekit.unsigned, "unsigned"), (livekit.unreadable, "unreadable"), (livekit.refused, "refused")];
    let words: String =
        turned_away.iter().filter(|(sum, _)| *sum > 0).map(|(sum, why)| format!(", {} {why}", n(*sum))).collect();
    [lists, missed.into(), Line::from(events).then(Line::of(Style::Warning, words))]
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
        store: status.store,
        warnings: status.warnings,
        simulation: status.simulation,
        livekit: status.livekit.map(|livekit| LiveKitOut {
            has_lists: livekit.has_lists,
            lists_read_at: output::time(livekit.lists_read_at.as_ref()),
            lists_read: livekit.lists_read,
            lists_failed: livekit.lists_failed,
            missed_begins: livekit.missed_begins,
            missed_ends: livekit.missed_ends,
            events: livekit.events,
            repeated: livekit.repeated,
            passed_over: livekit.passed_over,
            stale: livekit.stale,
            given_up: livekit.given_up,
            ends_first: livekit.ends_first,
            unsigned: livekit.unsigned,
            unreadable: livekit.unreadable,
            refused: livekit.refused,
            expired: livekit.expired,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_livekits_events_is_said_in_the_words_of_the_metric() {
        let said = |livekit: &LiveKitStatus| livekit_lines(livekit, moment::now(), false)[2].render(false);
        let well = LiveKitStatus { events: 1_204, repeated: 3, ..LiveKitStatus::default() };
        assert_eq!(said(&well), "1,204 events, 3 repeated, 0 stale");
        let unsigned = LiveKitStatus { unsigned: 9, unreadable: 2, ..well };
        assert_eq!(said(&unsigned), "1,204 events, 3 repeated, 0 stale, 9 unsigned, 2 unreadable");
        let refused = LiveKitStatus { refused: 1, ..LiveKitStatus::default() };
        assert_eq!(said(&refused), "0 events, 0 repeated, 0 stale, 1 refused");
    }
}
