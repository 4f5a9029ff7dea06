//! The table of quotas as lines: the pool of each kind first, then its meters. A plain function of the view, the width
//! and the time zone.

use jiff::tz::TimeZone;

use crate::{
    cli::{
        moment, output,
        quotas::{
            bar::{Bar, bar},
            view::{Link, View},
        },
        screen::{Line, Style},
        table::{Column, Table},
        target::Named,
        text,
    },
    proto::{Quota, Risk, Verdict, Week},
};

/// What to do first, where nothing was reported yet.
pub const FIRST_STEPS: &str = "\
A worker reports over one stream: hello, then a connect and a disconnect for each session (see the README's first
  worker). To see it work without one, replay a trace: `highwater replay FILE --speed 60`, or run `highwater demo`.";

/// Columns of the bar: on a wide screen, and on a narrow one.
const BAR_COLUMNS: (usize, usize) = (20, 10);
/// From this width on the bar is wide.
const WIDE: usize = 130;
/// How far meters stand in under their pool.
const INDENT: &str = "  ";

/// The columns, and in which order they give way when it gets narrow.
const COLUMNS: [Column; 12] = [
    Column::left("", Column::ALWAYS),
    Column::name("model", Column::ALWAYS, 18),
    Column::name("", 10, 14),
    Column::left("now", Column::ALWAYS),
    Column::left("status", 50),
    Column::right("left", 80),
    Column::right("limit", 30),
    Column::right("7d peak", 90),
    Column::left("when", 70),
    Column::left("week", 60),
    Column::right("near limit", 40),
    Column::right("silent", 55),
];

/// Everything that is shown.
pub fn lines(view: &View, width: usize, zone: &TimeZone) -> Vec<Line> {
    let mut lines = header(view, zone);
    lines.push(Line::new());
    if view.is_empty() {
        if view.as_of.is_some() {
            lines.push(format!("Nothing has been reported for the project `{}` yet.", view.project).into());
            lines.extend(FIRST_STEPS.lines().map(|line| Line::of(Style::Dim, line.trim())));
        }
        return lines;
    }
    let mut table = table(view, width, zone);
    if view.link != Link::Up {
        table.dim();
    }
    lines.extend(table.lay_out(width));
    lines
}

/// What it is of, as of when, and what is to be known before reading it.
fn header(view: &View, zone: &TimeZone) -> Vec<Line> {
    let mut title = Line::of(Style::Heading, format!("Quotas of {}", view.project));
    if let Some(as_of) = view.as_of {
        let zone_name = moment::zone_name(as_of, zone);
        title = title.and(Style::Dim, format!("  at {} {zone_name}", moment::clock(as_of, zone)));
    }
    let status = view.status.as_ref();
    if status.is_some_and(|status| status.simulation) {
        title = title.and(Style::Plain, "  ").and(Style::Warning, "SIMULATION");
    }
    let mut lines: Vec<Line> = view.verdict.iter().map(verdict).collect();
    lines.push(title);
    if let Link::Away { since, .. } = &view.link {
        let since = moment::clock(*since, zone);
        let words = format!("reconnecting: the service is away since {since}; this is what it last said");
        lines.push(Line::of(Style::Warning, words));
    }
    if view.settling {
        let words = "settling after a restart: levels are lower bounds until the workers are back";
        lines.push(Line::of(Style::Warning, words));
    }
    for wrong in status.map(|status| status.degraded.as_slice()).unwrap_or_default() {
        lines.push(Line::of(Style::Alarm, format!("degraded: {wrong}")));
    }
    lines
}

/// How the project stands, in the service's words.
fn verdict(verdict: &Verdict) -> Line {
    let (_, _, style) = look(verdict.risk());
    let style = if matches!(style, Style::Warning | Style::Alarm) { style } else { Style::Bold };
    Line::of(style, text::line(&verdict.sentence))
}

fn table(view: &View, width: usize, zone: &TimeZone) -> Table {
    let sorted = view.sorted();
    let bar_columns = match width {
        _ if sorted.iter().all(|quota| quota.limit.is_none()) => 0,
        WIDE.. => BAR_COLUMNS.0,
        _ => BAR_COLUMNS.1,
    };
    let mut table = Table::new(&COLUMNS);
    let mut before: Option<Named<'_>> = None;
    for quota in shown(&sorted) {
        let named = Named::of(quota.target.as_ref());
        let connections = |named: &Named<'_>| named.kind.is_some_and(|kind| !kind.has_model());
        let same_section = before.is_some_and(|before| {
            let both_connections = connections(&before) && connections(&named);
            both_connections || (before.kind == named.kind && before.account == named.account)
        });
        if before.is_some() && !same_section {
            table.across(Line::new());
        }
        if connections(&named) && !same_section {
            table.across(Line::of(Style::Heading, "Connections"));
        }
        table.row(row(quota, &named, (view.settling, view.is_at_least(quota)), bar_columns, zone));
        before = Some(named);
    }
    table
}

/// The rows that say something: a connection kind has no models, so that its meter would repeat its pool, or the pool
/// the meter when only that has a limit.
fn shown<'a>(sorted: &[&'a Quota]) -> Vec<&'a Quota> {
    let repeats = |quota: &Quota| {
        let named = Named::of(quota.target.as_ref());
        let twin = sorted.iter().find(|other| {
            let other = Named::of(other.target.as_ref());
            other.pool != named.pool && (other.kind, other.account) == (named.kind, named.account)
        });
        let Some(twin) = twin.filter(|_| named.kind.is_some_and(|kind| !kind.has_model())) else { return false };
        match (quota.limit.is_some(), twin.limit.is_some()) {
            (false, true) => true,
            (true, _) => false,
            (false, false) => !named.pool,
        }
    };
    sorted.iter().copied().filter(|quota| !repeats(quota)).collect()
}

fn row(
    quota: &Quota,
    named: &Named<'_>,
    (settling, at_least): (bool, bool),
    bar_columns: usize,
    zone: &TimeZone,
) -> Vec<Line> {
    let risk = quota.risk();
    let (sign, word, style) = look(risk);
    let known = quota.covered || settling;
    let limit = quota.limit.as_ref().map(|limit| limit.slots);
    let level = match (known, at_least) {
        (false, _) => "?".to_owned(),
        (true, true) => format!("≥{}", quota.level),
        (true, false) => quota.level.to_string(),
    };
    let peak = quota.peak.as_ref();
    let when = peak.and_then(|peak| peak.at.as_ref()).and_then(moment::of_wire);
    let when = when.map(|when| moment::weekday(when, zone)).unwrap_or_default();
    let silent = if quota.silent_level == 0 { String::new() } else { quota.silent_level.to_string() };
    vec![
        Line::of(style, sign),
        name(quota, named),
        id(quota, named),
        now(quota, (known, at_least), &level, bar_columns, style),
        Line::of(style, word),
        left(quota, known, at_least, style),
        limit.map(|limit| Line::from(limit.to_string())).unwrap_or_else(|| Line::of(Style::Dim, "–")),
        peak.map(|peak| Line::from(format!("{}{}", output::sign(quota.peak_bound()), peak.level)))
            .unwrap_or_else(|| Line::of(Style::Dim, "?")),
        Line::of(Style::Dim, when),
        week(quota.week()),
        near(quota),
        Line::of(Style::Warning, silent),
    ]
}

/// The name as people say it; bold for a pool, standing in for a meter, with account and unit where they are not usual.
fn name(quota: &Quota, named: &Named<'_>) -> Line {
    let name = if quota.display_name.is_empty() { named.spelled() } else { quota.display_name.clone() };
    let line = match named.pool || named.kind.is_some_and(|kind| !kind.has_model()) {
        true => Line::of(Style::Bold, name),
        false => Line::of(Style::Plain, INDENT).and(Style::Plain, name),
    };
    match named.aside() {
        Some(aside) => line.and(Style::Dim, format!(" ({aside})")),
        None => line,
    }
}

/// The model's id, where the name does not say it already.
fn id(quota: &Quota, named: &Named<'_>) -> Line {
    let told = quota.display_name.is_empty() || quota.display_name == named.model;
    Line::of(Style::Dim, if told { "" } else { named.model })
}

fn now(quota: &Quota, (known, at_least): (bool, bool), level: &str, bar_columns: usize, style: Style) -> Line {
    let style = if known { style } else { Style::Dim };
    let Some(limit) = &quota.limit else {
        return Line::from(" ".repeat(bar_columns + usize::from(bar_columns > 0))).and(style, level);
    };
    let peak = quota.peak.as_ref().map(|peak| peak.level);
    let level_known = known.then_some(quota.level);
    let shown = Bar { level: level_known, at_least, limit: limit.slots, peak };
    let bar_style = if style == Style::Plain { Style::Dim } else { style };
    bar(shown, bar_columns, bar_style)
        .and(Style::Plain, " ")
        .and(style, level)
        .and(Style::Dim, format!("/{}", limit.slots))
}

/// Slots that are left; fewer than none when the level is over the limit.
fn left(quota: &Quota, known: bool, at_least: bool, style: Style) -> Line {
    let Some(limit) = &quota.limit else { return Line::of(Style::Dim, "–") };
    if !known {
        return Line::of(Style::Dim, "?");
    }
    let left = i64::from(limit.slots) - i64::from(quota.level);
    Line::of(style, if at_least { format!("≤{left}") } else { left.to_string() })
}

/// Time of the last seven days at or above 90 % of the limit.
fn near(quota: &Quota) -> Line {
    match quota.minutes_near_limit {
        _ if quota.limit.is_none() || quota.minutes_covered == 0 => Line::new(),
        0 => Line::of(Style::Dim, "0 min"),
        minutes => moment::duration(u64::from(minutes) * 60).into(),
    }
}

fn week(week: Week) -> Line {
    let style = match week {
        Week::Repeating | Week::Constant => Style::Warning,
        Week::OneOff | Week::Scattered => Style::Plain,
        Week::Unspecified | Week::Calm => Style::Dim,
    };
    Line::of(style, output::week(week).unwrap_or_default())
}

/// Sign, word and style of a risk.
fn look(risk: Risk) -> (&'static str, &'static str, Style) {
    let word = output::risk(risk).unwrap_or("no limit");
    let (sign, style) = match risk {
        Risk::Unspecified => ("·", Style::Dim),
        Risk::Ok => ("●", Style::Dim),
        Risk::Approaching => ("▲", Style::Warning),
        Risk::AtLimit => ("■", Style::Alarm),
        Risk::Over => ("◆", Style::Alarm),
        Risk::Unknown => ("?", Style::Dim),
    };
    (sign, word, style)
}

/// One change, on one line: what a watch prints without a terminal.
pub fn change(quota: &Quota, view: &View, zone: &TimeZone) -> String {
    let named = Named::of(quota.target.as_ref());
    let at = view.as_of.map(|as_of| moment::clock(as_of, zone)).unwrap_or_default();
    let level = match (quota.covered || view.settling, view.is_at_least(quota)) {
        (false, _) => "?".to_owned(),
        (true, true) => format!("≥{}", quota.level),
        (true, false) => quota.level.to_string(),
    };
    let limit = quota.limit.as_ref().map(|limit| format!("/{}", limit.slots)).unwrap_or_default();
    let (_, word, _) = look(quota.risk());
    text::line(&format!("{at} {} {level}{limit} {word}", named.spelled()))
}

#[cfg(test)]
mod tests;
