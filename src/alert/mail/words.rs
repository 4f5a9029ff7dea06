//! What a mail says, before it is text or HTML: the same words in both. Nothing here is escaped.

use std::time::Duration;

use jiff::{Timestamp, Zoned, tz::TimeZone};

use crate::{
    alert::{
        Facts, Folded, Holder, HolderOf, NoticeKind, Severity, Trend,
        facts::{Stands, Then},
        mail::{days::days, kinds::trouble},
    },
    model::Time,
};

pub use crate::model::text::number;

/// From here on it is said that a mail comes late.
const LATE: Duration = Duration::from_secs(30 * 60);
const MINUTE: u64 = 60;
const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// How a mail looks: as bad as it is, and calm when it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Over,
    Info,
    Warning,
    Critical,
}

/// A fact in a line: what it is of, and what it is.
pub type Line = (&'static str, String);

pub fn is_over(facts: &Facts) -> bool {
    matches!(facts.notice, NoticeKind::Resolved | NoticeKind::FiredAndResolved)
}

pub fn tone(facts: &Facts) -> Tone {
    match facts.severity {
        _ if is_over(facts) || facts.notice == NoticeKind::Test => Tone::Over,
        Severity::Info => Tone::Info,
        Severity::Warning => Tone::Warning,
        Severity::Critical => Tone::Critical,
    }
}

/// `18 of 20 (90 %), rising`.
pub fn standing(facts: &Facts) -> String {
    let limit = facts.limit.map(|limit| format!(" of {}", number(limit))).unwrap_or_default();
    let percent = facts.percent().map(|percent| format!(" ({} %)", number(percent))).unwrap_or_default();
    format!("{}{limit}{percent}{}", number(facts.level), trend(facts))
}

fn trend(facts: &Facts) -> &'static str {
    match facts.trend {
        Trend::Rising => ", rising",
        Trend::Steady => "",
        Trend::Falling => ", falling",
    }
}

/// The end of the subject, behind what it is about.
pub fn state(facts: &Facts) -> String {
    let over = is_over(facts);
    match facts.notice {
        NoticeKind::Test => "test mail".to_owned(),
        _ if over && facts.deleted => "ended: the project was deleted".to_owned(),
        NoticeKind::FiredAndResolved if facts.kind.is_of_level() => format!("was at {}, and is resolved", peak(facts)),
        NoticeKind::Resolved if facts.kind.is_of_level() => format!("resolved: back to {}", standing(facts)),
        NoticeKind::Fired | NoticeKind::Repeated if facts.kind.is_of_level() && is_so_still(facts) => {
            format!("still at {}", standing(facts))
        }
        NoticeKind::Fired | NoticeKind::Repeated if facts.kind.is_of_level() && facts.then.is_some() => {
            let was = facts.then.map(stood).unwrap_or_default();
            match facts.level_known {
                true => format!("was at {was}, now at {}", standing(facts)),
                false => format!("was at {was}, not known now"),
            }
        }
        NoticeKind::Repeated if facts.kind.is_of_level() => format!("still at {}", standing(facts)),
        NoticeKind::Fired if facts.kind.is_of_level() => format!("at {}", standing(facts)),
        NoticeKind::Repeated => format!("still: {}", trouble(facts.kind, over)),
        NoticeKind::Fired | NoticeKind::Resolved | NoticeKind::FiredAndResolved => trouble(facts.kind, over).to_owned(),
    }
}

/// `20 of 20`.
fn of(level: u32, limit: Option<u32>) -> String {
    let limit = limit.map(|limit| format!(" of {}", number(limit))).unwrap_or_default();
    format!("{}{limit}", number(level))
}

fn peak(facts: &Facts) -> String {
    match facts.then {
        // Of which of the two it was is not known.
        Some(then) if then.limit != facts.limit => number(facts.peak),
        _ => of(facts.peak, facts.limit),
    }
}

/// Whether what was decided a while ago is as it was then.
fn is_so_still(facts: &Facts) -> bool {
    facts.level_known && facts.then.is_some_and(|then| (then.level, then.limit) == (facts.level, facts.limit))
}

fn stood(then: Then) -> String {
    of(then.level, then.limit)
}

/// What matters most, in a sentence or two: what a preview shows, and what is read first.
pub fn lead(facts: &Facts) -> Vec<String> {
    let mut said = Vec::new();
    match facts.notice {
        NoticeKind::Test => said.push("Mails arrive. Nothing is wrong.".to_owned()),
        NoticeKind::Resolved | NoticeKind::FiredAndResolved => {
            let reached =
                if facts.kind.is_of_level() { format!(", and reached {}", peak(facts)) } else { String::new() };
            said.extend(facts.resolved.map(|end| format!("It lasted {}{reached}.", span(end.since(facts.since)))));
            if facts.notice == NoticeKind::FiredAndResolved {
                said.push("It had ended before a mail could tell of it.".to_owned());
            }
        }
        NoticeKind::Fired | NoticeKind::Repeated => {
            if let Some(left) = facts.time_to_limit.filter(|_| facts.kind.is_of_level()) {
                said.push(format!("At this pace the limit is reached in about {}.", span(left)));
            }
            if facts.turned_away > 0 {
                let were = if facts.turned_away == 1 { "attempt was" } else { "attempts were" };
                said.push(format!("{} {were} turned away so far.", number(facts.turned_away)));
            }
            if !facts.level_known && facts.kind.is_of_level() {
                said.push("The level is not known now: this is the last that was.".to_owned());
            }
            if let Some(then) = facts.then {
                let (was, at) = (stood(then), clock(then.at, &facts.zone));
                let is = if is_so_still(facts) {
                    ", and still is".to_owned()
                } else if facts.level_known {
                    format!(", and is at {} now", of(facts.level, facts.limit))
                } else {
                    String::new()
                };
                said.insert(0, format!("It was at {was} {at}{is}."));
            } else if said.is_empty() {
                let for_long = facts.at.since(facts.since);
                let words = match for_long.as_secs() {
                    0..=9 => "It has just begun.".to_owned(),
                    _ => format!("It has been so for {}.", span(for_long)),
                };
                said.push(words);
            }
        }
    }
    if facts.delayed >= LATE && facts.notice != NoticeKind::Test {
        let at = clock(facts.then.map_or(facts.at, |then| then.at), &facts.zone);
        let late = match facts.held {
            true => format!("This was held back for {}: it tells of {at}.", span(facts.delayed)),
            false => format!("This mail is {} late: it tells of {at}.", span(facts.delayed)),
        };
        said.insert(0, late);
    }
    said
}

/// The facts, line by line.
pub fn lines(facts: &Facts) -> Vec<Line> {
    if facts.notice == NoticeKind::Test {
        return Vec::new();
    }
    let end = facts.resolved.filter(|_| is_over(facts)).unwrap_or(facts.at);
    let since = format!("{} ({})", when(facts.since, &facts.zone), span(end.since(facts.since)));
    let mut lines = vec![("Since", since)];
    lines.extend(facts.resolved.filter(|_| is_over(facts)).map(|at| ("Until", when(at, &facts.zone))));
    if facts.kind.is_of_level() {
        lines.push(("Highest", peak(facts)));
        let none = || "nothing so far".to_owned();
        let count = || format!("{} so far", number(facts.turned_away));
        lines.push(("Turned away", if facts.turned_away == 0 { none() } else { count() }));
    }
    if let Some(words) = &facts.week_in_words {
        lines.push(("Last seven days", words.clone()));
    }
    if let Some(wanted) = facts.wanted_slots {
        lines.push(("Limit to ask for", format!("{}, which covers the last seven days", number(wanted))));
    }
    lines
}

/// The word of the week where it says more than its sentence: `repeating`.
pub fn week(facts: &Facts) -> Option<&'static str> {
    facts.week.filter(|week| *week != crate::history::Week::Calm).map(crate::history::Week::as_str)
}

/// Who holds the most, workers first. Rooms with one slot are as good as all others: nobody is to be asked about them.
pub fn holders(facts: &Facts) -> Vec<&Holder> {
    let of = |of, least| facts.holders.iter().filter(move |holder| holder.of == of && holder.slots >= least);
    of(HolderOf::Worker, 1).chain(of(HolderOf::Room, 2)).collect()
}

/// What a notice is about, as people say it.
pub fn title(facts: &Facts) -> String {
    match (facts.notice, &facts.target) {
        (NoticeKind::Test, _) => "A test mail".to_owned(),
        (_, Some(_)) => one_line(&facts.name),
        (_, None) => capital(trouble(facts.kind, is_over(facts))),
    }
}

/// With a capital at its beginning.
pub fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// What another notice is about.
pub fn about(folded: &Folded) -> String {
    if folded.kind.is_of_service() { "The service".to_owned() } else { one_line(&folded.name) }
}

pub const fn of_holder(of: HolderOf) -> &'static str {
    match of {
        HolderOf::Worker => "Worker",
        HolderOf::Room => "Room",
    }
}

pub fn name_of_holder(holder: &Holder) -> &str {
    match holder.of {
        _ if !holder.name.is_empty() => &holder.name,
        HolderOf::Worker => "not named",
        HolderOf::Room => "no room named",
    }
}

/// Another notice in a line: `at 40 of 40`; `was at 40 of 40, now at 31 of 40`.
pub fn folded(folded: &Folded) -> String {
    said_of(folded, "")
}

/// The same with its time: `at 40 of 40, Tue 15:04`.
pub fn folded_at(folded: &Folded, zone: &TimeZone) -> String {
    let at = clock(folded.at, zone);
    match folded.now {
        Some(_) => said_of(folded, &format!(" ({at})")),
        None => format!("{}, {at}", said_of(folded, "")),
    }
}

fn said_of(folded: &Folded, at: &str) -> String {
    let over = matches!(folded.notice, NoticeKind::Resolved | NoticeKind::FiredAndResolved);
    if !folded.kind.is_of_level() {
        return format!("{}{at}", trouble(folded.kind, over));
    }
    let told = of(folded.level, folded.limit);
    match (folded.now, over) {
        (Some(Stands { level: Some(level), limit }), _) if (level, limit) == (folded.level, folded.limit) => {
            format!("still at {told}{at}")
        }
        (Some(Stands { level: Some(level), limit }), _) => format!("was at {told}{at}, now at {}", of(level, limit)),
        (Some(Stands { level: None, .. }), _) => format!("was at {told}{at}, not known now"),
        (None, true) => format!("resolved: back to {told}"),
        (None, false) => format!("at {told}"),
    }
}

/// What was held back, if anything was.
pub fn held_back(facts: &Facts) -> Option<String> {
    let (count, was) = match facts.held_back {
        0 => return None,
        1 => ("1".to_owned(), "notice"),
        more => (number(more), "notices"),
    };
    Some(format!("{count} {was} waited for this mail: quiet hours, a snooze, or ten mails an hour."))
}

/// What the picture shows, for those who do not see it.
pub fn picture(facts: &Facts) -> String {
    let days = days(&facts.curve, &facts.zone);
    let highest = days.iter().filter_map(|day| day.peak.map(|peak| (peak, day.date))).max();
    let Some((peak, date)) = highest else { return "The last seven days: nothing is known of them.".to_owned() };
    let limit = facts.curve.limits.iter().rev().flatten().next();
    let limit = limit.map(|limit| format!("; the limit is {}", number(*limit))).unwrap_or_default();
    format!("The last seven days: the highest was {} on {}{limit}.", number(peak), date.strftime("%A"))
}

/// `12 min`, as one says it: never more than two units.
pub fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let two = |large: u64, unit: &str, small: u64, less: &str| match small {
        0 => format!("{large} {unit}"),
        _ => format!("{large} {unit} {small} {less}"),
    };
    match seconds {
        0..90 => format!("{seconds} s"),
        90..HOUR => format!("{} min", (seconds + MINUTE / 2) / MINUTE),
        HOUR..DAY => two(seconds / HOUR, "h", seconds % HOUR / MINUTE, "min"),
        _ => two(seconds / DAY, "d", seconds % DAY / HOUR, "h"),
    }
}

pub fn zoned(at: Time, zone: &TimeZone) -> Zoned {
    let micros = i64::try_from(at.0).unwrap_or(i64::MAX);
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX).to_zoned(zone.clone())
}

/// A time as a calendar and a clock of the zone show it.
pub fn when(at: Time, zone: &TimeZone) -> String {
    zoned(at, zone).strftime("%a %-d %b %Y, %H:%M:%S %Z").to_string()
}

/// A time as a clock shows it.
pub fn clock(at: Time, zone: &TimeZone) -> String {
    zoned(at, zone).strftime("%a %H:%M").to_string()
}

/// On one line, without what hides or turns what it says: names are what users chose.
pub fn one_line(text: &str) -> String {
    let is_turning = |char: char| matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    let is_break = |char: char| char.is_control() || matches!(char, '\u{2028}' | '\u{2029}');
    text.chars().filter(|char| !is_turning(*char)).map(|char| if is_break(char) { ' ' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_in_two_units_at_most() {
        let said = |seconds| span(Duration::from_secs(seconds));
        assert_eq!([said(0), said(89), said(90), said(3_599)], ["0 s", "89 s", "2 min", "60 min"]);
        assert_eq!([said(3_600), said(5_400), said(86_400), said(100_000)], ["1 h", "1 h 30 min", "1 d", "1 d 3 h"]);
    }

    #[test]
    fn nothing_turns_what_is_read() {
        assert_eq!(one_line("a\r\nb\u{202e}c\u{2028}d\u{0}"), "a  bc d ");
    }
}
