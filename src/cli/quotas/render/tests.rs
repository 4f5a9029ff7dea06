//! The table as people see it, on terminals of three widths.

use super::*;
use crate::{
    model::Kind,
    proto::{Bound, GetStatusResponse, Limit, Meter, Moment, Pool, Target, target},
};

/// A Tuesday afternoon.
const AS_OF: i64 = 1_773_154_800;

fn at(seconds: i64) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds, nanos: 0 }
}

fn pool(kind: Kind) -> Target {
    Target { target: Some(target::Target::Pool(Pool { kind: kind as i32, ..Default::default() })) }
}

fn meter(kind: Kind, model: &str) -> Target {
    let meter = Meter { kind: kind as i32, model: model.to_owned(), account: "livekit".to_owned(), unit: 1 };
    Target { target: Some(target::Target::Meter(meter)) }
}

fn quota(target: Target, name: &str, level: u32, slots: Option<u32>, peak: u32, risk: Risk, week: Week) -> Quota {
    Quota {
        target: Some(target),
        display_name: name.to_owned(),
        level,
        limit: slots.map(|slots| Limit { slots, ..Default::default() }),
        risk: risk.into(),
        week: week.into(),
        minutes_near_limit: if week == Week::Calm { 0 } else { 72 },
        minutes_covered: 10_000,
        peak: Some(Moment { level: peak, at: Some(at(AS_OF - 86_400)) }),
        covered: true,
        ..Default::default()
    }
}

fn view() -> View {
    let mut lost =
        quota(meter(Kind::Llm, "openai/gpt-4.1-mini"), "GPT-4.1 mini", 0, Some(30), 22, Risk::Unknown, Week::Calm);
    lost.covered = false;
    let mut silent =
        quota(meter(Kind::Stt, "deepgram/nova-3"), "Nova-3", 31, Some(30), 31, Risk::Over, Week::Scattered);
    silent.silent_level = 4;
    let mut view = View::new("demo");
    let quotas = vec![
        quota(pool(Kind::Llm), "LLM", 9, None, 24, Risk::Unspecified, Week::Unspecified),
        lost,
        quota(pool(Kind::Tts), "TTS", 23, Some(30), 27, Risk::Ok, Week::Calm),
        quota(
            meter(Kind::Tts, "elevenlabs/eleven_turbo_v2_5"),
            "ElevenLabs Turbo v2.5",
            18,
            Some(20),
            20,
            Risk::Approaching,
            Week::Repeating,
        ),
        quota(meter(Kind::Tts, "acme/new"), "acme/new", 5, Some(5), 5, Risk::AtLimit, Week::OneOff),
        quota(pool(Kind::Stt), "STT", 31, None, 31, Risk::Unspecified, Week::Unspecified),
        silent,
        quota(pool(Kind::Agent), "Agent sessions", 12, Some(100), 40, Risk::Ok, Week::Calm),
        quota(meter(Kind::Agent, ""), "Agent sessions", 12, None, 40, Risk::Unspecified, Week::Unspecified),
    ];
    view.status = Some(GetStatusResponse { simulation: true, ..Default::default() });
    assert_eq!(view.take(quotas, Some(at(AS_OF)), false).len(), 9);
    view
}

fn shown(view: &View, width: usize) -> String {
    let lines = lines(view, width, &TimeZone::UTC);
    let text: Vec<_> = lines.iter().map(|line| line.clone().cut(width).render(false)).collect();
    assert!(text.iter().all(|line| text::width(line) <= width));
    text.join("\n")
}

#[test]
fn at_80_columns() {
    insta::assert_snapshot!(shown(&view(), 80), @r#"
Quotas of demo  at 15:00:00 UTC  SIMULATION

   model                  now                left  7d peak  when       week
●  TTS                    ████████┃░ 23/30      7       27  Mon 15:00  calm
■    acme/new             █████████┃ 5/5        0        5  Mon 15:00  one-off
▲    ElevenLabs Turbo v…  █████████┃ 18/20      2       20  Mon 15:00  repeating

·  STT                               31         –       31  Mon 15:00
◆    Nova-3               █████████┃ 31/30     -1       31  Mon 15:00  scattered

·  LLM                               9          –       24  Mon 15:00
?    GPT-4.1 mini         ╌╌╌╌╌╌┃╌╌╌ ?/30       ?       22  Mon 15:00  calm

Connections
●  Agent sessions         █░░┃░░░░░░ 12/100    88       40  Mon 15:00  calm
"#);
}

#[test]
fn at_120_columns() {
    insta::assert_snapshot!(shown(&view(), 120), @r#"
Quotas of demo  at 15:00:00 UTC  SIMULATION

   model                  now                status       left  limit  7d peak  when       week       near limit  silent
●  TTS                    ████████┃░ 23/30   ok              7     30       27  Mon 15:00  calm            0 min
■    acme/new             █████████┃ 5/5     at limit        0      5        5  Mon 15:00  one-off    1 h 12 min
▲    ElevenLabs Turbo v…  █████████┃ 18/20   approaching     2     20       20  Mon 15:00  repeating  1 h 12 min

·  STT                               31      no limit        –      –       31  Mon 15:00
◆    Nova-3               █████████┃ 31/30   over           -1     30       31  Mon 15:00  scattered  1 h 12 min       4

·  LLM                               9       no limit        –      –       24  Mon 15:00
?    GPT-4.1 mini         ╌╌╌╌╌╌┃╌╌╌ ?/30    unknown         ?     30       22  Mon 15:00  calm            0 min

Connections
●  Agent sessions         █░░┃░░░░░░ 12/100  ok             88    100       40  Mon 15:00  calm            0 min
"#);
}

#[test]
fn at_160_columns() {
    insta::assert_snapshot!(shown(&view(), 160), @r#"
Quotas of demo  at 15:00:00 UTC  SIMULATION

   model                                                now                          status       left  limit  7d peak  when       week       near limit  silent
●  TTS                                                  ███████████████░░┃░░ 23/30   ok              7     30       27  Mon 15:00  calm            0 min
■    acme/new                                           ███████████████████┃ 5/5     at limit        0      5        5  Mon 15:00  one-off    1 h 12 min
▲    ElevenLabs Turbo v2.5  elevenlabs/eleven_turbo_v…  ██████████████████░┃ 18/20   approaching     2     20       20  Mon 15:00  repeating  1 h 12 min

·  STT                                                                       31      no limit        –      –       31  Mon 15:00
◆    Nova-3                 deepgram/nova-3             ███████████████████┃ 31/30   over           -1     30       31  Mon 15:00  scattered  1 h 12 min       4

·  LLM                                                                       9       no limit        –      –       24  Mon 15:00
?    GPT-4.1 mini           openai/gpt-4.1-mini         ╌╌╌╌╌╌╌╌╌╌╌╌╌╌┃╌╌╌╌╌ ?/30    unknown         ?     30       22  Mon 15:00  calm            0 min

Connections
●  Agent sessions                                       ██░░░░░┃░░░░░░░░░░░░ 12/100  ok             88    100       40  Mon 15:00  calm            0 min
"#);
}

#[test]
fn a_peak_that_is_not_exact_says_so() {
    let mut view = View::new("demo");
    let with = |model: &str, bound: Bound| {
        let quota = quota(meter(Kind::Tts, model), model, 5, Some(80), 72, Risk::Ok, Week::Calm);
        Quota { peak_bound: bound.into(), ..quota }
    };
    let bounds = [Bound::Unspecified, Bound::Exact, Bound::AtLeast, Bound::AtMost, Bound::About];
    let quotas = bounds.iter().zip(["a/a", "a/b", "a/c", "a/d", "a/e"]).map(|(bound, model)| with(model, *bound));
    view.take(quotas.collect(), Some(at(AS_OF)), false);
    let text = shown(&view, 120);
    let peaks: Vec<_> = text.lines().filter_map(|line| line.split("  80 ").nth(1)?.split_whitespace().next()).collect();
    assert_eq!(peaks, ["72", "72", "≥72", "≤72", "≈72"], "{text}");
    let json = serde_json::to_value(super::super::json::quotas(&view)).unwrap();
    let words: Vec<_> = json["quotas"].as_array().unwrap().iter().map(|quota| quota["peak_bound"].as_str()).collect();
    assert_eq!(words, [None, Some("exact"), Some("at_least"), Some("at_most"), Some("about")]);
}

#[test]
fn the_verdict_comes_first() {
    let mut view = view();
    let sentence = "Deepgram Nova-3: 31 of 30, 1 over its limit.".to_owned();
    view.verdict = Some(Verdict { sentence, risk: Risk::Over.into(), ..Verdict::default() });
    let text = shown(&view, 80);
    let first: Vec<_> = text.lines().take(2).collect();
    let title = "Quotas of demo  at 15:00:00 UTC  SIMULATION";
    assert_eq!(first, ["Deepgram Nova-3: 31 of 30, 1 over its limit.", title]);
}

#[test]
fn settling_shows_lower_bounds() {
    let mut view = view();
    view.settling = true;
    insta::assert_snapshot!(shown(&view, 80), @r#"
Quotas of demo  at 15:00:00 UTC  SIMULATION
settling after a restart: levels are lower bounds until the workers are back

   model                 now                 left  7d peak  when       week
●  TTS                   ████████┃╌ ≥23/30     ≤7       27  Mon 15:00  calm
■    acme/new            █████████┃ ≥5/5       ≤0        5  Mon 15:00  one-off
▲    ElevenLabs Turbo …  █████████┃ ≥18/20     ≤2       20  Mon 15:00  repeating

·  STT                              ≥31         –       31  Mon 15:00
◆    Nova-3              █████████┃ ≥31/30    ≤-1       31  Mon 15:00  scattered

·  LLM                              ≥9          –       24  Mon 15:00
?    GPT-4.1 mini        ╌╌╌╌╌╌┃╌╌╌ ≥0/30     ≤30       22  Mon 15:00  calm

Connections
●  Agent sessions        █╌╌┃╌╌╌╌╌╌ ≥12/100   ≤88       40  Mon 15:00  calm
"#);
}

#[test]
fn a_service_that_is_away_is_said_to_be() {
    let mut view = view();
    let since = jiff::Timestamp::from_second(AS_OF + 60).unwrap_or_default();
    view.link = Link::Away { since, cause: "unavailable".to_owned() };
    let text = shown(&view, 120);
    let words = "reconnecting: the service is away since 15:01:00; this is what it last said";
    assert_eq!(text.lines().nth(1), Some(words));
}

#[test]
fn nothing_reported_says_how_to_begin() {
    let mut view = View::new("default");
    view.take(Vec::new(), Some(at(AS_OF)), false);
    let text = shown(&view, 120);
    assert!(text.contains("Nothing has been reported for the project `default` yet."));
    assert!(text.contains("highwater replay FILE"));
}

#[test]
fn a_change_is_a_plain_line() {
    let view = view();
    let changes: Vec<_> = view.sorted().iter().map(|quota| change(quota, &view, &TimeZone::UTC)).collect();
    assert_eq!(changes[2], "15:00:00 tts elevenlabs/eleven_turbo_v2_5 18/20 approaching");
    assert_eq!(changes[6], "15:00:00 llm openai/gpt-4.1-mini ?/30 unknown");
}

#[test]
fn only_what_is_of_interest_counts_as_a_change() {
    let mut view = view();
    let mut quota = view.sorted()[2].clone();
    quota.opened += 1;
    assert!(view.take(vec![quota.clone()], None, false).is_empty());
    quota.level += 1;
    assert_eq!(view.take(vec![quota], None, false).len(), 1);
}

#[test]
fn of_days_that_nobody_covered_no_time_near_the_limit_is_told() {
    let covered = quota(meter(Kind::Tts, "a/b"), "B", 1, Some(2), 1, Risk::Ok, Week::Calm);
    let told = |quota: &Quota| format!("{:?}", super::near(quota));
    assert!(told(&covered).contains("0 min"));
    assert!(!told(&Quota { minutes_covered: 0, ..covered }).contains("min"));
}
