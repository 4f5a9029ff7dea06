//! Chains as lines for people.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::{
    cli::{
        chains::{Answer, json},
        moment, output,
        screen::{Line, Style},
        table::{Column, Table},
        target::Named,
    },
    model::{Kind, chain::DEFAULT_FILL_PERCENT, chain::DEFAULT_RETURN_PERCENT, key::DEFAULT_ACCOUNT},
    proto::{Chain, FailureNeed, Meter, Override, SetChainResponse, Target, r#override, target},
};

const COLUMNS: [Column; 3] =
    [Column::right("", Column::ALWAYS), Column::name("model", Column::ALWAYS, 20), Column::name("name", 60, 12)];

/// Days that a day of the week is told of: it is clear which one is meant.
const DAYS_BY_NAME: i64 = 6;

/// When and where it is read.
#[derive(Clone, Debug)]
pub struct At {
    pub now: Timestamp,
    pub zone: TimeZone,
}

impl At {
    /// `Fri 15:30`, or the date where it is further away.
    fn spelled(&self, time: Timestamp) -> String {
        match time.duration_since(self.now) <= SignedDuration::from_hours(DAYS_BY_NAME * 24) {
            true => moment::weekday(time, &self.zone),
            false => moment::full(time, &self.zone),
        }
    }
}

/// What was found or done.
pub fn lines(project: &str, answer: &Answer, width: usize, at: &At) -> Vec<Line> {
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
            lines.extend(table(chains, width, at));
            lines
        }
        Answer::Set(set) => of_set(set, width, at),
        Answer::Deleted(None) => vec!["deleted.".into()],
        Answer::Deleted(Some(chain)) => {
            let mut lines = vec![format!("deleted: {}", spelled(chain)).into()];
            lines.extend(chain.overrides.iter().map(|said| ended(said, "with it", at)));
            lines.push(take_back(chain));
            lines
        }
        Answer::Said(said) => {
            let mut lines: Vec<_> = said.r#override.iter().map(|said| now(said, at)).collect();
            lines
                .extend(said.before.iter().map(|before| Line::of(Style::Dim, format!("before: {}", word(before, at)))));
            lines
        }
        Answer::Ended(said) => said.iter().map(|said| ended(said, "", at)).collect(),
    }
}

fn of_set(set: &SetChainResponse, width: usize, at: &At) -> Vec<Line> {
    let Some(chain) = &set.chain else { return vec!["set.".into()] };
    let mut lines = vec![format!("{}: {}", if set.before.is_some() { "changed" } else { "set" }, chain.name).into()];
    lines.extend(table(std::slice::from_ref(chain), width, at).into_iter().skip(1));
    lines.extend(set.ended.iter().map(|said| ended(said, "with the change", at)));
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
fn table(chains: &[Chain], width: usize, at: &At) -> Vec<Line> {
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
            table.row([Line::of(Style::Dim, format!("  {}", place + 1)), aside(model), Line::of(Style::Dim, name)]);
            said.into_iter().for_each(|said| table.across(of_model(said, at)));
        }
        chain.failures.iter().for_each(|failure| table.across(of_failure(failure, at)));
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

/// `pinned until Tue 15:30 by kim: launch`, beneath its model.
fn of_model(said: &Override, at: &At) -> Line {
    let (done, style) = match said.action() {
        r#override::Action::Drain => ("drained", Style::Warning),
        r#override::Action::Pin | r#override::Action::Unspecified => ("pinned", Style::Bold),
    };
    let why = format!("{}: {}", by(said), said.reason);
    Line::of(style, format!("     {done}")).and(Style::Plain, until(said, at)).and(Style::Dim, why)
}

fn until(said: &Override, at: &At) -> String {
    let end = said.end_time.as_ref().and_then(moment::of_wire);
    end.map(|end| format!(" until {}", at.spelled(end))).unwrap_or_default()
}

/// Who said it, by the name of their key where it has one.
fn by(said: &Override) -> String {
    let by = if said.set_by_name.is_empty() { &said.set_by } else { &said.set_by_name };
    format!(" by {by}")
}

fn word(said: &Override, at: &At) -> String {
    let model = said.model.as_ref().map_or("", |model| &model.model);
    format!("{} of {model} in {}{}: {}", json::action(said.action()), said.chain, until(said, at), said.reason)
}

/// What holds from now on.
fn now(said: &Override, at: &At) -> Line {
    let model = said.model.as_ref().map_or("", |model| &model.model);
    let does = match said.action() {
        r#override::Action::Drain => "pass over",
        r#override::Action::Pin | r#override::Action::Unspecified => "use",
    };
    format!("new sessions of {} {does} {model}{}: {}", said.chain, until(said, at), said.reason).into()
}

fn ended(said: &Override, with: &str, at: &At) -> Line {
    let with = if with.is_empty() { String::new() } else { format!(" {with}") };
    format!("ended{with}: {}", word(said, at)).into()
}

/// What a failure would ask, with the minute that it is of; marked where a session would be left over.
fn of_failure(failure: &FailureNeed, at: &At) -> Line {
    let minute = failure.minute.as_ref().and_then(moment::of_wire);
    let when = minute.map(|minute| format!("{}  ", moment::weekday(minute, &at.zone))).unwrap_or_default();
    let (mark, style) = match failure.left_over {
        0 => ("     ", Style::Plain),
        _ => ("  !  ", Style::Warning),
    };
    Line::of(style, mark).and(Style::Dim, when).and(style, &failure.sentence)
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

    /// An hour before what is said ends.
    fn at() -> At {
        At { now: Timestamp::constant(1_699_996_400, 0), zone: TimeZone::UTC }
    }

    #[track_caller]
    fn check(answer: &Answer, width: usize, expected: &[&str]) {
        let lines = lines("acme", answer, width, &at());
        assert_eq!(lines.iter().map(|line| line.render(false)).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_chain_reads_from_its_primary_down() {
        check(
            &Answer::Listed(vec![chain()]),
            80,
            &[
                "Chains of acme",
                "",
                "     model                         name",
                "agents  tts, leaves at 90 %, returns at 70 %, stays 1 min 30 s",
                "  1  elevenlabs/eleven_turbo_v2_5  ElevenLabs Turbo v2.5",
                "     drained until Tue 22:13 by kim: the voice crackles",
                "  2  cartesia/sonic-3 (direct)     Cartesia Sonic 3",
                "  3  acme/one",
                "  !  Tue 22:00  If ElevenLabs fails at this peak, Cartesia needs 31 of 15.",
            ],
        );
    }

    #[test]
    fn what_was_deleted_can_be_taken_back() {
        check(
            &Answer::Deleted(Some(Box::new(chain()))),
            200,
            &[
                "deleted: agents (tts): elevenlabs/eleven_turbo_v2_5, cartesia/sonic-3, acme/one",
                "ended with it: drain of elevenlabs/eleven_turbo_v2_5 in agents until Tue 22:13: the voice crackles",
                "Take it back: highwater chains set agents --kind tts elevenlabs/eleven_turbo_v2_5 cartesia/sonic-3=direct \
                 acme/one --dwell 90s",
            ],
        );
    }
}
