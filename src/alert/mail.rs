//! A notice as a mail: a pure function of its facts. It never reads a clock or a store, and what it returns holds no
//! header of its own: subject and bodies alone.

use jiff::Timestamp;

use crate::{
    alert::{Facts, NoticeKind, Trend},
    model::Time,
};

/// What a mail says. The subject is one line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mail {
    pub subject: String,
    pub text: String,
    /// Empty when there is none.
    pub html: String,
    /// The picture that `html` shows as `cid:week`; empty when there is none.
    pub png: Vec<u8>,
}

/// The mail of a notice.
pub fn render(facts: &Facts) -> Mail {
    Mail { subject: subject(facts), text: text(facts), html: String::new(), png: Vec::new() }
}

/// `[demo] elevenlabs/eleven_turbo_v2_5 at 18 of 20 (90 %), rising`.
pub fn subject(facts: &Facts) -> String {
    let state = match facts.notice {
        NoticeKind::Fired | NoticeKind::Repeated if facts.kind.is_of_level() => standing(facts),
        NoticeKind::Fired => facts.kind.to_string(),
        NoticeKind::Repeated => format!("still {}", facts.kind),
        NoticeKind::Resolved => format!("resolved: no longer {}", facts.kind),
        NoticeKind::FiredAndResolved => format!("was {}, and is no longer", facts.kind),
        NoticeKind::Test => "test mail".to_owned(),
    };
    one_line(&format!("[{}] {} {state}", facts.project, facts.spelled()))
}

/// `at 18 of 20 (90 %), rising`.
fn standing(facts: &Facts) -> String {
    let limit = facts.limit.map(|limit| format!(" of {limit}")).unwrap_or_default();
    let percent = facts.percent().map(|percent| format!(" ({percent} %)")).unwrap_or_default();
    let trend = match facts.trend {
        Trend::Rising => ", rising",
        Trend::Steady => "",
        Trend::Falling => ", falling",
    };
    format!("at {}{limit}{percent}{trend}", facts.level)
}

fn text(facts: &Facts) -> String {
    let mut lines =
        vec![format!("{}: {}", facts.name, standing(facts)), format!("Since {}.", when(facts, facts.since))];
    lines.extend(facts.resolved.map(|at| format!("Ended {}.", when(facts, at))));
    lines.extend(facts.week_in_words.as_ref().map(|words| format!("{words}.")));
    lines.extend((!facts.detail.is_empty()).then(|| facts.detail.clone()));
    for folded in &facts.also {
        lines.push(format!("Also: {} {} {}.", folded.name, folded.kind, folded.notice));
    }
    if facts.held_back > 0 {
        lines.push(format!("{} notices were held back since the last mail.", facts.held_back));
    }
    lines.extend(facts.link_base.as_ref().map(|base| format!("{base}{}", facts.row_link)));
    lines.push(String::new());
    lines.join("\n")
}

/// A time as a clock of the zone shows it.
fn when(facts: &Facts, at: Time) -> String {
    let micros = i64::try_from(at.0).unwrap_or(i64::MAX);
    let at = Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX).to_zoned(facts.zone.clone());
    at.strftime("%a %Y-%m-%d %H:%M:%S %Z").to_string()
}

/// Without anything that ends a header's line or hides what it says.
pub fn one_line(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{
        alert::{AlertKind, facts::tests::facts},
        model::{Kind, Meter, Target},
    };

    #[test]
    fn the_subject_says_it_all() {
        let mut facts = facts(AlertKind::Approaching);
        let meter = Meter::new(Kind::Tts, "elevenlabs/eleven_turbo_v2_5", "", None).unwrap();
        facts.target = Some(Target::Meter(meter));
        (facts.level, facts.limit, facts.trend) = (18, Some(20), Trend::Rising);
        assert_eq!(subject(&facts), "[demo] elevenlabs/eleven_turbo_v2_5 at 18 of 20 (90 %), rising");
        facts.notice = NoticeKind::Resolved;
        assert_eq!(subject(&facts), "[demo] elevenlabs/eleven_turbo_v2_5 resolved: no longer approaching");
    }

    #[test]
    fn a_name_can_not_end_a_header() {
        let mut facts = facts(AlertKind::StoreDegraded);
        facts.name = "a\r\nBcc: all@example.com\u{0}".to_owned();
        assert!(!subject(&facts).contains(['\r', '\n', '\0']));
    }
}
