//! Mails of every sort, as they are read; and names that would be more than names.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::*;
use crate::{
    alert::{
        AlertKind, Curve, Folded, Holder, HolderOf, NoticeKind, Severity, Trend,
        facts::{Stands, Then, tests},
    },
    history::Week,
    model::{Kind, Meter, Minute, Project, Target, Time},
};

fn target() -> Target {
    Target::Meter(Meter::new(Kind::Tts, "elevenlabs/eleven_turbo_v2_5", "", None).unwrap())
}

/// A week of busy afternoons, with a night of which nothing is known.
fn curve(limit: u32) -> Curve {
    let step = |nth: u32| {
        let (day, hour) = (nth / 48, (f64::from(nth) / 2.0 + 9.5) % 24.0);
        let busy = (-(hour - 15.0).powi(2) / 9.0).exp() * (11.0 + f64::from(day * 7 % 5) * 2.4);
        let level = (busy + 2.0 + f64::from(nth * 7919 % 5) * 0.6) as u32;
        (!(100..112).contains(&nth)).then_some(level.min(limit + 1))
    };
    Curve {
        first: Minute(28_333_440 + 17 * 30),
        step_minutes: 30,
        peaks: (0..336).map(step).collect(),
        limits: (0..336).map(|nth| Some(if nth < 150 { limit - 4 } else { limit })).collect(),
    }
}

/// At 18 of 20, on a busy afternoon.
pub fn busy() -> Facts {
    let mut facts = tests::facts(AlertKind::Approaching);
    facts.target = Some(target());
    facts.name = "ElevenLabs Turbo v2.5".to_owned();
    facts.stage_percent = 80;
    (facts.level, facts.limit, facts.peak, facts.trend) = (18, Some(20), 19, Trend::Rising);
    facts.zone = TimeZone::get("Europe/Berlin").unwrap();
    facts.curve = curve(20);
    facts.at = facts.curve.first.first_tick().start().after(Duration::from_secs(7 * 24 * 3_600));
    facts.since = Time(facts.at.0 - 12 * 60 * 1_000_000);
    facts.time_to_limit = Some(Duration::from_secs(6 * 60));
    facts.week = Some(Week::Repeating);
    facts.week_in_words = Some("Reached its limit on 4 of 7 days, around 15:00".to_owned());
    facts.wanted_slots = Some(25);
    let holder = |of, name: &str, slots| Holder { of, name: name.to_owned(), slots };
    facts.holders = vec![
        holder(HolderOf::Worker, "agent-fra-7c9", 9),
        holder(HolderOf::Worker, "agent-fra-2b1", 6),
        holder(HolderOf::Worker, "agent-iad-01f", 3),
        holder(HolderOf::Room, "support-4711", 2),
        holder(HolderOf::Room, "", 1),
    ];
    facts.link_base = Some("https://highwater.example.com".to_owned());
    facts.row_link = "/p/demo/quotas?select=tts/elevenlabs/eleven_turbo_v2_5".to_owned();
    facts.snooze_link = "/p/demo/alerts?open=level-17".to_owned();
    facts.request_link = "/p/demo/requests?select=tts/elevenlabs/eleven_turbo_v2_5".to_owned();
    let unsubscribe = "https://highwater.example.com/alerts/unsubscribe?project=demo&recipient=ops&token=4a1f";
    facts.unsubscribe_link = Some(unsubscribe.to_owned());
    facts.simulated = true;
    facts
}

/// A pool at its limit, told beside another.
pub fn folded(root: &str) -> Folded {
    Folded {
        notice: NoticeKind::Fired,
        kind: AlertKind::AtLimit,
        severity: Severity::Critical,
        name: "TTS".to_owned(),
        target: None,
        level: 40,
        limit: Some(40),
        since: Time::from_secs(1_700_000_000),
        resolved: None,
        at: Time::from_secs(1_700_000_000),
        now: None,
        row_link: "/p/demo/quotas?select=pool:tts".to_owned(),
        root: root.to_owned(),
    }
}

/// Over the limit, with others, after some that were held back.
fn over() -> Facts {
    let mut facts = Facts { kind: AlertKind::Over, severity: Severity::Critical, ..busy() };
    (facts.level, facts.peak, facts.stage_percent) = (22, 22, 100);
    (facts.turned_away, facts.time_to_limit, facts.held_back) = (1_412, None, 3);
    let now = Some(Stands { level: Some(31), limit: Some(40) });
    facts.also = vec![Folded { at: facts.at, now, ..folded("level-9.7@hw.example") }];
    facts.delayed = Duration::from_secs(45 * 60);
    facts
}

fn resolved() -> Facts {
    let mut facts = Facts { notice: NoticeKind::Resolved, ..busy() };
    (facts.level, facts.peak, facts.trend) = (12, 20, Trend::Falling);
    (facts.resolved, facts.time_to_limit, facts.holders) = (Some(facts.at), None, Vec::new());
    facts
}

fn of_service() -> Facts {
    let mut facts = tests::facts(AlertKind::StoreDegraded);
    facts.project = Project::across();
    (facts.severity, facts.detail) = (Severity::Critical, "store: no space left on the device".to_owned());
    facts.link_base = Some("https://highwater.example.com".to_owned());
    facts.row_link = "/operator".to_owned();
    facts
}

#[track_caller]
fn check_subject(facts: &Facts, expected: &str) {
    assert_eq!(subject(facts), expected);
}

#[test]
fn the_subject_says_it_all() {
    const NAME: &str = "[demo] elevenlabs/eleven_turbo_v2_5";
    check_subject(&busy(), &format!("{NAME} at 18 of 20 (90 %), rising"));
    check_subject(&over(), &format!("{NAME} at 22 of 20 (110 %), rising"));
    check_subject(&resolved(), &format!("{NAME} resolved: back to 12 of 20 (60 %), falling"));
    check_subject(
        &Facts { notice: NoticeKind::Repeated, ..busy() },
        &format!("{NAME} still at 18 of 20 (90 %), rising"),
    );
    check_subject(
        &Facts { notice: NoticeKind::FiredAndResolved, ..busy() },
        &format!("{NAME} was at 19 of 20, and is resolved"),
    );
    check_subject(
        &Facts { kind: AlertKind::WorkersSilent, ..busy() },
        &format!("{NAME}: its workers are silent: the level is not known"),
    );
    let way = |kind| Facts { kind, ..busy() };
    check_subject(&way(AlertKind::Refused), &format!("{NAME}: callers are turned away"));
    check_subject(&way(AlertKind::FallbackInUse), &format!("{NAME}: new sessions go to the fallback"));
    check_subject(&way(AlertKind::ProviderDown), &format!("{NAME}: the provider is down"));
    check_subject(&way(AlertKind::ProviderDisagrees), &format!("{NAME}: the provider refuses below our limit"));
    let up = Facts { kind: AlertKind::ProviderDown, ..resolved() };
    check_subject(&up, &format!("{NAME}: the provider is up again"));
    check_subject(&of_service(), "[highwater] the store does not take what is written");
    check_subject(&Facts { notice: NoticeKind::Test, target: None, ..busy() }, "[demo] test mail");
}

#[test]
fn mails_are_read_as_text() {
    let texts = [busy(), over(), resolved(), of_service()].map(|facts| format!("{}\n", text::text(&facts)));
    insta::assert_snapshot!(texts.join("---\n"));
}

#[test]
fn html_says_what_the_text_says_and_loads_nothing() {
    for facts in [busy(), over(), resolved(), of_service()] {
        let mail = render(&facts);
        let said = words::lead(&facts).into_iter().chain(words::lines(&facts).into_iter().map(|(_, what)| what));
        for words in said {
            assert!(mail.text.contains(&words), "{words}: {}", mail.text);
            assert!(mail.html.contains(&words.replace('\'', "&#39;")), "{words}: {}", mail.html);
        }
        assert_eq!(mail.html.matches("src=").count(), usize::from(!mail.png.is_empty()), "{}", mail.html);
        assert!(!mail.html.contains("<script") && !mail.html.contains("@import") && !mail.html.contains("url("));
        for tag in ["table", "tr", "td", "div", "span", "a"] {
            let (opened, closed) = (format!("<{tag} "), format!("</{tag}>"));
            let opened = mail.html.matches(&opened).count() + mail.html.matches(&format!("<{tag}>")).count();
            assert_eq!(opened, mail.html.matches(&closed).count(), "{tag}");
        }
        // Mail clients cut what is longer.
        assert!(mail.html.len() < 64 * 1024, "{}", mail.html.len());
    }
}

#[test]
fn no_name_is_more_than_a_name_in_any_field() {
    const EVIL: &str = "<img src=x onerror=alert(1)>\"'&\r\nBcc: all@x.example\r\n\r\n\u{202e}</td>";
    let mut facts = over();
    (facts.name, facts.detail) = (EVIL.to_owned(), EVIL.to_owned());
    facts.week_in_words = Some(EVIL.to_owned());
    (facts.row_link, facts.snooze_link, facts.request_link) = (EVIL.to_owned(), EVIL.to_owned(), EVIL.to_owned());
    facts.unsubscribe_link = Some(EVIL.to_owned());
    facts.link_base = Some(EVIL.to_owned());
    facts.holders.iter_mut().for_each(|holder| holder.name = EVIL.to_owned());
    facts.also.iter_mut().for_each(|also| also.name = EVIL.to_owned());
    let mail = render(&facts);
    assert!(!mail.html.contains("<img src=x") && !mail.html.contains("\u{202e}"), "{}", mail.html);
    assert!(!mail.html.contains("onerror=alert(1)>\"") && !mail.html.to_lowercase().contains("\"'&\r"));
    assert_eq!(mail.html.matches("</td>").count(), mail.html.matches("<td").count());
    assert!(!mail.text.lines().any(|line| line.starts_with("Bcc")), "{}", mail.text);
    assert!(!mail.subject.contains(['\r', '\n']));
    let of_service = Facts { target: None, kind: AlertKind::AuditDrift, ..facts };
    assert!(!subject(&of_service).contains(['\r', '\n', '\0']));
}

#[test]
fn what_is_not_known_is_not_said() {
    let mut facts = busy();
    (facts.limit, facts.week, facts.week_in_words, facts.wanted_slots) = (None, None, None, None);
    (facts.holders, facts.curve, facts.time_to_limit) = (Vec::new(), Curve::default(), None);
    (facts.link_base, facts.unsubscribe_link, facts.level_known) = (None, None, false);
    let mail = render(&facts);
    assert!(mail.png.is_empty());
    for absent in ["cid:week", "href", "None", " %", "Who holds", "unsubscribe"] {
        let body = mail.html.split("</head>").nth(1).unwrap();
        let body = if absent == " %" { &mail.text } else { body };
        assert!(!body.contains(absent), "{absent}: {body}");
    }
    assert!(mail.text.contains("The level is not known now"), "{}", mail.text);
}

#[test]
fn a_mail_that_waited_says_how_it_stands_now_beside_how_it_was() {
    let mut facts = busy();
    let decided = facts.at;
    facts.then = Some(Then { level: 5, limit: Some(4), at: decided });
    (facts.level, facts.limit, facts.at) = (0, Some(4), decided.after(Duration::from_secs(9 * 3_600)));
    (facts.delayed, facts.held, facts.trend) = (Duration::from_secs(9 * 3_600), true, Trend::Steady);
    (facts.time_to_limit, facts.turned_away) = (None, 0);
    let mail = render(&facts);
    assert!(mail.subject.ends_with("was at 5 of 4, now at 0 of 4 (0 %)"), "{}", mail.subject);
    for words in ["This was held back for 9 h", "It was at 5 of 4", "and is at 0 of 4 now"] {
        assert!(mail.text.contains(words) && mail.html.contains(words), "{words}: {}", mail.text);
    }
    assert!(!mail.text.contains("It has just begun"), "{}", mail.text);
    facts.level = 5;
    let mail = render(&facts);
    assert!(mail.subject.ends_with("still at 5 of 4 (125 %)"), "{}", mail.subject);
    assert!(mail.text.contains("It was at 5 of 4") && mail.text.contains(", and still is."), "{}", mail.text);
    facts.level_known = false;
    let subject = render(&facts).subject;
    assert!(subject.ends_with("was at 5 of 4, not known now"), "the same is not said twice: {subject}");
    (facts.level_known, facts.peak, facts.limit) = (true, 7, Some(9));
    let mail = render(&facts);
    assert!(mail.text.contains("Highest                 7\n"), "of which limit is not known: {}", mail.text);
}

#[test]
fn the_end_of_a_deleted_project_says_so_in_its_subject() {
    for notice in [NoticeKind::Resolved, NoticeKind::FiredAndResolved] {
        let mut facts = busy();
        (facts.notice, facts.deleted, facts.resolved) = (notice, true, Some(facts.at));
        let subject = render(&facts).subject;
        assert!(subject.ends_with("ended: the project was deleted") && !subject.contains("back to"), "{subject}");
    }
}

#[test]
fn what_is_told_beside_says_how_it_stood_and_stands_with_a_link() {
    let base = folded("r");
    let zone = TimeZone::UTC;
    let check = |folded: Folded, expected: &str| assert_eq!(words::folded_at(&folded, &zone), expected);
    let stands = |level| Some(Stands { level, limit: Some(40) });
    check(base.clone(), "at 40 of 40, Tue 22:13");
    check(Folded { now: stands(Some(31)), ..base.clone() }, "was at 40 of 40 (Tue 22:13), now at 31 of 40");
    check(Folded { now: stands(Some(40)), ..base.clone() }, "still at 40 of 40 (Tue 22:13)");
    check(Folded { now: stands(None), ..base.clone() }, "was at 40 of 40 (Tue 22:13), not known now");
    check(Folded { notice: NoticeKind::Resolved, level: 4, ..base }, "resolved: back to 4 of 40, Tue 22:13");
    let mail = render(&over());
    let link = "https://highwater.example.com/p/demo/quotas?select=pool:tts";
    assert!(mail.text.contains(link) && mail.html.contains(&format!("<a href=\"{link}\"")), "{}", mail.text);
}
