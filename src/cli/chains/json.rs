//! Chains, and what is said by hand of them, as one object.

use serde::Serialize;

use crate::{
    cli::{
        chains::Answer,
        output::{self, Rfc3339},
    },
    model::{Kind, Unit},
    proto::{Chain, FailureNeed, Meter, Override, r#override},
};

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum AnswerOut<'a> {
    Chains {
        project: &'a str,
        chains: Vec<ChainOut<'a>>,
    },
    Set {
        project: &'a str,
        chain: Option<ChainOut<'a>>,
        before: Option<ChainOut<'a>>,
        ended: Vec<OverrideOut<'a>>,
        /// As they were written.
        unknown_models: Vec<&'a str>,
    },
    Deleted {
        project: &'a str,
        deleted: Option<ChainOut<'a>>,
    },
    Said {
        project: &'a str,
        #[serde(rename = "override")]
        said: Option<OverrideOut<'a>>,
        before: Option<OverrideOut<'a>>,
    },
    Ended {
        project: &'a str,
        ended: Option<OverrideOut<'a>>,
    },
}

#[derive(Debug, Serialize)]
pub struct ChainOut<'a> {
    name: &'a str,
    kind: &'static str,
    models: Vec<ModelOut<'a>>,
    thresholds_off: bool,
    /// Both absent with `thresholds_off`.
    #[serde(skip_serializing_if = "Option::is_none")]
    fill_percent: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    return_percent: Option<u32>,
    dwell_seconds: Option<f64>,
    set_by: &'a str,
    set_by_name: &'a str,
    set_time: Option<Rfc3339>,
    reason: &'a str,
    overrides: Vec<OverrideOut<'a>>,
    failures: Vec<FailureOut<'a>>,
}

#[derive(Debug, Serialize)]
struct ModelOut<'a> {
    model: &'a str,
    account: &'a str,
    unit: &'static str,
    display_name: &'a str,
}

#[derive(Debug, Serialize)]
pub struct OverrideOut<'a> {
    chain: &'a str,
    model: &'a str,
    account: &'a str,
    action: &'static str,
    reason: &'a str,
    set_by: &'a str,
    set_by_name: &'a str,
    start_time: Option<Rfc3339>,
    end_time: Option<Rfc3339>,
}

/// What the failure of a model would ask of the others; models by their place in the chain, from 0.
#[derive(Debug, Serialize)]
struct FailureOut<'a> {
    failed: u32,
    minute: Option<Rfc3339>,
    moved: u32,
    needs: Vec<NeedOut>,
    left_over: u32,
    sentence: &'a str,
}

#[derive(Debug, Serialize)]
struct NeedOut {
    place: u32,
    slots: u32,
    limit: Option<u32>,
}

/// What was found or done.
pub fn answer<'a>(project: &'a str, answer: &'a Answer) -> AnswerOut<'a> {
    match answer {
        Answer::Listed(chains) => AnswerOut::Chains { project, chains: chains.iter().map(of_chain).collect() },
        Answer::Set(set) => {
            let chain = set.chain.as_ref();
            let models = chain.map(|chain| chain.models.as_slice()).unwrap_or_default();
            let model = |place: &u32| Some(&*models.get(usize::try_from(*place).ok()?)?.model);
            AnswerOut::Set {
                project,
                chain: chain.map(of_chain),
                before: set.before.as_ref().map(of_chain),
                ended: set.ended.iter().map(of_word).collect(),
                unknown_models: set.unknown_models.iter().filter_map(model).collect(),
            }
        }
        Answer::Deleted(chain) => AnswerOut::Deleted { project, deleted: chain.as_deref().map(of_chain) },
        Answer::Said(said) => AnswerOut::Said {
            project,
            said: said.r#override.as_ref().map(of_word),
            before: said.before.as_ref().map(of_word),
        },
        Answer::Ended(ended) => AnswerOut::Ended { project, ended: ended.as_ref().map(of_word) },
    }
}

fn number(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

fn of_model<'a>(meter: &'a Meter, display_name: &'a str) -> ModelOut<'a> {
    ModelOut {
        model: &meter.model,
        account: &meter.account,
        unit: Unit::from_number(number(meter.unit)).map_or("unknown", Unit::as_str),
        display_name,
    }
}

fn of_chain(chain: &Chain) -> ChainOut<'_> {
    let names = chain.display_names.iter().map(String::as_str).chain(std::iter::repeat(""));
    ChainOut {
        name: &chain.name,
        kind: Kind::from_number(number(chain.kind)).map_or("unknown", Kind::as_str),
        models: chain.models.iter().zip(names).map(|(meter, name)| of_model(meter, name)).collect(),
        thresholds_off: chain.thresholds_off,
        fill_percent: (!chain.thresholds_off).then_some(chain.fill_percent),
        return_percent: (!chain.thresholds_off).then_some(chain.return_percent),
        dwell_seconds: output::seconds(chain.dwell.as_ref()),
        set_by: &chain.set_by,
        set_by_name: &chain.set_by_name,
        set_time: output::time(chain.set_time.as_ref()),
        reason: &chain.reason,
        overrides: chain.overrides.iter().map(of_word).collect(),
        failures: chain.failures.iter().map(of_failure).collect(),
    }
}

/// The spelling of what is said of a model.
pub const fn action(action: r#override::Action) -> &'static str {
    match action {
        r#override::Action::Pin => "pin",
        r#override::Action::Drain => "drain",
        r#override::Action::Unspecified => "unknown",
    }
}

fn of_word(said: &Override) -> OverrideOut<'_> {
    let model = said.model.as_ref();
    OverrideOut {
        chain: &said.chain,
        model: model.map_or("", |model| &model.model),
        account: model.map_or("", |model| &model.account),
        action: action(said.action()),
        reason: &said.reason,
        set_by: &said.set_by,
        set_by_name: &said.set_by_name,
        start_time: output::time(said.start_time.as_ref()),
        end_time: output::time(said.end_time.as_ref()),
    }
}

fn of_failure(failure: &FailureNeed) -> FailureOut<'_> {
    let needs = failure.needs.iter().map(|need| NeedOut { place: need.place, slots: need.slots, limit: need.limit });
    FailureOut {
        failed: failure.failed,
        minute: output::time(failure.minute.as_ref()),
        moved: failure.moved,
        needs: needs.collect(),
        left_over: failure.left_over,
        sentence: &failure.sentence,
    }
}
