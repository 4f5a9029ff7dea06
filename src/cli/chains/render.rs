//! Chains as lines for people.

use jiff::tz::TimeZone;

use crate::{
    cli::{
        chains::{Answer, json},
        moment, output,
        screen::{Line, Style},
        table::{Column, Table},
        target::Named,
        text,
    },
    model::{Kind, chain::DEFAULT_FILL_PERCENT, chain::DEFAULT_RETURN_PERCENT, key::DEFAULT_ACCOUNT},
    proto::{Chain, FailureNeed, Meter, Override, SetChainResponse, Target, r#override, target},
};

const COLUMNS: [Column; 4] = [
    Column::right("", Column::ALWAYS),
    Column::name("model", Column::ALWAYS, 20),
    Column::name("name", 60, 12),
    Column::name("by hand", 90, 24),
];

/// What was found or done.
pub fn lines(project: &str, answer: &Answer, width: usize, zone: &TimeZone) -> Vec<Line> {
    match answer {
        Answer::Listed(chains) if chains.is_empty() => vec![
            format!("{project} has no chains: no model takes another's sessions.").into(),
            Line::of(
                Style::Dim,
                "Set one, the primary first: highwater chains set agents --kind tts elevenlabs/eleven_turbo_v2_5 \
                 cartesia/sonic-3",
            ),
        ],
        Answer::Listed(chains) => {
            let mut lines = vec![Line::of(Style::Heading, format!("Chains of {project}")), Line::new()];
            lines.extend(table(chains, width, zone));
            lines
        }
        Answer::Set(set) => of_set(set, width, zone),
        Answer::Deleted(None) => vec!["deleted.".into()],
        Answer::Deleted(Some(chain)) => {
            let mut lines = vec![format!("deleted: {}", spelled(chain)).into()];
            lines.extend(chain.overrides.iter().map(|said| ended(said, "with it", zone)));
            lines.push(take_back(chain));
            lines
        }
        Answer::Said { said, before } => {
            let mut lines: Vec<_> = said.iter().map(|said| now(said, zone)).collect();
            lines.extend(before.iter().map(|before| Line::of(Style::Dim, format!("before: {}", word(before, zone)))));
            lines
        }
        Answer::Ended(said) => said.iter().map(|said| ended(said, "", zone)).collect(),
    }
}

fn of_set(set: &SetChainResponse, width: usize, zone: &TimeZone) -> Vec<Line> {
    let Some(chain) = &set.chain else { return vec!["set.".into()] };
    let mut lines =
        vec![format!("{}: {}", if set.before.is_some() { "changed" } else { "set" }, spelled(chain)).into()];
    lines.extend(table(std::slice::from_ref(chain), width, zone).into_iter().skip(1));
    lines.extend(set.ended.iter().map(|said| ended(said, "with the change", zone)));
    for place in &set.unknown_models {
        let model = usize::try_from(*place).ok().and_then(|place| chain.models.get(place));
        let model = model.map_or("", |model| &model.model);
        let words = format!("the catalogue does not know {model}; it is counted as written all the same");
        lines.push(Line::of(Style::Warning, words));
    }
    lines.extend(set.before.as_ref().map(take_back));
    lines
}

/// All chains under the same columns.
fn table(chains: &[Chain], width: usize, zone: &TimeZone) -> Vec<Line> {
    let mut table = Table::new(&COLUMNS);
    for (nth, chain) in chains.iter().enumerate() {
        if nth > 0 {
            table.across(Line::new());
        }
        table.across(heading(chain));
        let names = chain.display_names.iter().map(String::as_str).chain(std::iter::repeat(""));
        for (place, (model, name)) in chain.models.iter().zip(names).enumerate() {
            // Where the catalogue does not know a model, its name is the same again.
            let name = if name == model.model { "" } else { name };
            let said = chain.overrides.iter().find(|said| said.model.as_ref() == Some(model));
            table.row([
                Line::of(Style::Dim, format!("  {}", place + 1)),
                aside(model),
                Line::of(Style::Dim, name),
                said.map(|said| of_model(said, zone)).unwrap_or_default(),
            ]);
        }
        chain.failures.iter().for_each(|failure| table.across(of_failure(failure, zone)));
    }
    table.lay_out(width)
}

/// `agents  tts, leaves at 90 %, returns at 70 %, stays 30 s`.
fn heading(chain: &Chain) -> Line {
    let leaves = match chain.thresholds_off {
        true => "leaves when full or down".to_owned(),
        false => format!("leaves at {} %, returns at {} %", chain.fill_percent, chain.return_percent),
    };
    let dwell = output::seconds(chain.dwell.as_ref()).unwrap_or(0.0).round() as u64;
    let rest = format!("  {}, {leaves}, stays {}", kind(chain), moment::duration(dwell));
    Line::of(Style::Bold, &chain.name).and(Style::Dim, rest)
}

fn kind(chain: &Chain) -> &'static str {
    u32::try_from(chain.kind).ok().and_then(Kind::from_number).map_or("unknown", Kind::as_str)
}

/// A model, and what is not as usual of it.
fn aside(model: &Meter) -> Line {
    let target = Target { target: Some(target::Target::Meter(model.clone())) };
    let line = Line::from(model.model.as_str());
    match Named::of(Some(&target)).aside() {
        Some(aside) => line.and(Style::Dim, format!(" ({aside})")),
        None => line,
    }
}

/// `pinned until Tue 15:30 by kim: launch`.
fn of_model(said: &Override, zone: &TimeZone) -> Line {
    let (done, style) = match said.action() {
        r#override::Action::Drain => ("drained", Style::Warning),
        r#override::Action::Pin | r#override::Action::Unspecified => ("pinned", Style::Bold),
    };
    Line::of(style, done).and(Style::Plain, until(said, zone)).and(Style::Dim, format!("{}: {}", by(said), said.reason))
}

fn until(said: &Override, zone: &TimeZone) -> String {
    let end = said.end_time.as_ref().and_then(moment::of_wire);
    end.map(|end| format!(" until {}", moment::full(end, zone))).unwrap_or_default()
}

/// Who said it, by the name of their key where it has one.
fn by(said: &Override) -> String {
    let by = if said.set_by_name.is_empty() { &said.set_by } else { &said.set_by_name };
    format!(" by {by}")
}

fn word(said: &Override, zone: &TimeZone) -> String {
    let model = said.model.as_ref().map_or("", |model| &model.model);
    format!("{} of {model} in {}{}: {}", json::action(said.action()), said.chain, until(said, zone), said.reason)
}

/// What holds from now on.
fn now(said: &Override, zone: &TimeZone) -> Line {
    let model = said.model.as_ref().map_or("", |model| &model.model);
    let does = match said.action() {
        r#override::Action::Drain => "pass over",
        r#override::Action::Pin | r#override::Action::Unspecified => "use",
    };
    format!("new sessions of {} {does} {model}{}: {}", said.chain, until(said, zone), said.reason).into()
}

fn ended(said: &Override, with: &str, zone: &TimeZone) -> Line {
    let with = if with.is_empty() { String::new() } else { format!(" {with}") };
    format!("ended{with}: {}", word(said, zone)).into()
}

/// What a failure would ask, and what of it nobody has room for.
fn of_failure(failure: &FailureNeed, zone: &TimeZone) -> Line {
    let minute = failure.minute.as_ref().and_then(moment::of_wire);
    let when = minute.map(|minute| format!("  {}", moment::weekday(minute, zone))).unwrap_or_default();
    let left_over = text::number(u64::from(failure.left_over));
    let (style, rest) = match failure.left_over {
        0 => (Style::Plain, String::new()),
        1 => (Style::Warning, ", 1 session too many".to_owned()),
        _ => (Style::Warning, format!(", {left_over} sessions too many")),
    };
    Line::of(style, format!("     {}", failure.sentence)).and(Style::Dim, when).and(style, rest)
}

/// `agents (tts): a/one, a/two`.
fn spelled(chain: &Chain) -> String {
    let models: Vec<_> = chain.models.iter().map(|model| model.model.as_str()).collect();
    format!("{} ({}): {}", chain.name, kind(chain), models.join(", "))
}

/// The command that sets a chain as it was.
fn take_back(chain: &Chain) -> Line {
    let model = |model: &Meter| match &*model.account {
        "" | DEFAULT_ACCOUNT => model.model.clone(),
        account => format!("{}={account}", model.model),
    };
    let mut words = vec!["highwater chains set".to_owned(), chain.name.clone(), format!("--kind {}", kind(chain))];
    words.extend(chain.models.iter().map(model));
    match chain.thresholds_off {
        true => words.push("--no-thresholds".to_owned()),
        false if (chain.fill_percent, chain.return_percent) == (DEFAULT_FILL_PERCENT, DEFAULT_RETURN_PERCENT) => {}
        false => words.push(format!("--fill {} --return {}", chain.fill_percent, chain.return_percent)),
    }
    let dwell = output::seconds(chain.dwell.as_ref()).unwrap_or(0.0);
    if dwell > crate::model::chain::MIN_DWELL.as_secs_f64() {
        words.push(format!("--dwell {dwell}s"));
    }
    Line::of(Style::Dim, format!("Take it back: {}", words.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{FallbackNeed, Unit};

    fn model(model: &str, account: &str) -> Meter {
        Meter { kind: 3, model: model.to_owned(), account: account.to_owned(), unit: Unit::Stream as i32 }
    }

    fn chain() -> Chain {
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let turbo = model("elevenlabs/eleven_turbo_v2_5", "livekit");
        Chain {
            name: "agents".to_owned(),
            kind: 3,
            models: vec![turbo.clone(), model("cartesia/sonic-3", "direct"), model("acme/one", "livekit")],
            display_names: vec!["ElevenLabs Turbo v2.5".into(), "Cartesia Sonic 3".into(), "acme/one".into()],
            fill_percent: 90,
            return_percent: 70,
            dwell: Some(prost_types::Duration { seconds: 90, nanos: 0 }),
            overrides: vec![Override {
                chain: "agents".to_owned(),
                model: Some(turbo),
                action: r#override::Action::Drain as i32,
                reason: "the voice crackles".to_owned(),
                set_by: "k1".to_owned(),
                set_by_name: "kim".to_owned(),
                start_time: at(0),
                end_time: at(1_700_000_000),
            }],
            failures: vec![FailureNeed {
                failed: 0,
                minute: at(1_699_999_200),
                moved: 24,
                needs: vec![FallbackNeed { place: 1, slots: 31, limit: Some(15) }],
                left_over: 16,
                sentence: "If ElevenLabs fails at this peak, Cartesia needs 31 of 15.".to_owned(),
            }],
            ..Default::default()
        }
    }

    #[track_caller]
    fn check(answer: &Answer, width: usize, expected: &[&str]) {
        let lines = lines("acme", answer, width, &TimeZone::UTC);
        assert_eq!(lines.iter().map(|line| line.render(false)).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_chain_reads_from_its_primary_down() {
        check(
            &Answer::Listed(vec![chain()]),
            140,
            &[
                "Chains of acme",
                "",
                "     model                         name                   by hand",
                "agents  tts, leaves at 90 %, returns at 70 %, stays 1 min 30 s",
                "  1  elevenlabs/eleven_turbo_v2_5  ElevenLabs Turbo v2.5  drained until 2023-11-14 22:13:20 by kim: the voice \
                 crackles",
                "  2  cartesia/sonic-3 (direct)     Cartesia Sonic 3",
                "  3  acme/one",
                "     If ElevenLabs fails at this peak, Cartesia needs 31 of 15.  Tue 22:00, 16 sessions too many",
            ],
        );
    }

    #[test]
    fn what_is_narrow_keeps_the_models_and_what_is_said_of_them() {
        let lines = lines("acme", &Answer::Listed(vec![chain()]), 60, &TimeZone::UTC);
        let row = lines[4].render(false);
        assert!(row.starts_with("  1  elevenlabs/eleven_") && row.contains("drained until"), "{row}");
        assert!(lines[4].width() <= 60, "{row}");
    }

    #[test]
    fn what_was_deleted_can_be_taken_back() {
        check(
            &Answer::Deleted(Some(Box::new(chain()))),
            200,
            &[
                "deleted: agents (tts): elevenlabs/eleven_turbo_v2_5, cartesia/sonic-3, acme/one",
                "ended with it: drain of elevenlabs/eleven_turbo_v2_5 in agents until 2023-11-14 22:13:20: the voice crackles",
                "Take it back: highwater chains set agents --kind tts elevenlabs/eleven_turbo_v2_5 cartesia/sonic-3=direct \
                 acme/one --dwell 90s",
            ],
        );
    }
}
