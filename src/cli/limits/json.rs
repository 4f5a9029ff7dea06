//! Limits, plans and catalogue as one object.

use serde::Serialize;

use crate::{
    cli::{
        limits::Answer,
        output::{LimitOut, TargetOut},
    },
    model::{Kind, Unit},
    proto::{CatalogueModel, Enforcement, EnforcementMode, Limit, Plan},
};

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum AnswerOut<'a> {
    Limits {
        project: &'a str,
        limits: Vec<TargetLimitOut>,
    },
    Set {
        project: &'a str,
        limit: Option<TargetLimitOut>,
        unknown_model: bool,
    },
    Ended {
        project: &'a str,
        limit: Option<TargetLimitOut>,
    },
    Chosen {
        project: &'a str,
        enforcement: Option<EnforcementOut<'a>>,
    },
    Choices {
        project: &'a str,
        enforcement: Vec<EnforcementOut<'a>>,
    },
    Applied {
        project: &'a str,
        plan: &'a str,
        limits: Vec<TargetLimitOut>,
        ended: Vec<TargetLimitOut>,
        kept: Vec<TargetLimitOut>,
    },
    Plans {
        plans: Vec<PlanOut<'a>>,
    },
    Catalogue {
        models: Vec<ModelOut<'a>>,
    },
}

#[derive(Debug, Serialize)]
pub struct TargetLimitOut {
    #[serde(flatten)]
    target: TargetOut,
    #[serde(flatten)]
    limit: LimitOut,
}

/// A choice; without a target, for the whole project.
#[derive(Debug, Serialize)]
pub struct EnforcementOut<'a> {
    target: Option<TargetOut>,
    mode: &'static str,
    kept_percent: u32,
    set_by: &'a str,
    reason: &'a str,
}

#[derive(Debug, Serialize)]
pub struct PlanOut<'a> {
    id: &'a str,
    display_name: &'a str,
    source_url: &'a str,
    limits: Vec<PlanLimitOut>,
}

#[derive(Debug, Serialize)]
struct PlanLimitOut {
    #[serde(flatten)]
    target: TargetOut,
    slots: u32,
}

#[derive(Debug, Serialize)]
pub struct ModelOut<'a> {
    kind: &'static str,
    model: &'a str,
    display_name: &'a str,
    provider: &'a str,
    unit: &'static str,
    limit_url: &'a str,
    tiers: Vec<TierOut<'a>>,
}

#[derive(Debug, Serialize)]
struct TierOut<'a> {
    name: &'a str,
    slots: u32,
}

/// What was found or done.
pub fn answer<'a>(project: &'a str, answer: &'a Answer) -> AnswerOut<'a> {
    match answer {
        Answer::Limits { limits, .. } => AnswerOut::Limits { project, limits: all(limits) },
        Answer::Set { limit, unknown_model } => {
            AnswerOut::Set { project, limit: limit.as_ref().map(one), unknown_model: *unknown_model }
        }
        Answer::Ended(limit) => AnswerOut::Ended { project, limit: limit.as_ref().map(one) },
        Answer::Chosen(choice) => AnswerOut::Chosen { project, enforcement: choice.as_ref().map(chosen) },
        Answer::Choices(choices) => AnswerOut::Choices { project, enforcement: choices.iter().map(chosen).collect() },
        Answer::Applied { plan, limits, ended, kept } => {
            AnswerOut::Applied { project, plan, limits: all(limits), ended: all(ended), kept: all(kept) }
        }
        Answer::Plans(plans) => AnswerOut::Plans { plans: plans.iter().map(of_plan).collect() },
        Answer::Catalogue(models) => AnswerOut::Catalogue { models: models.iter().map(of_model).collect() },
    }
}

fn chosen(choice: &Enforcement) -> EnforcementOut<'_> {
    EnforcementOut {
        target: choice.target.as_ref().map(|target| TargetOut::of(Some(target))),
        mode: if choice.mode() == EnforcementMode::Enforce { "enforce" } else { "observe" },
        kept_percent: choice.kept_percent,
        set_by: &choice.set_by,
        reason: &choice.reason,
    }
}

fn all(limits: &[Limit]) -> Vec<TargetLimitOut> {
    limits.iter().map(one).collect()
}

fn one(limit: &Limit) -> TargetLimitOut {
    TargetLimitOut { target: TargetOut::of(limit.target.as_ref()), limit: limit.into() }
}

fn of_plan(plan: &Plan) -> PlanOut<'_> {
    let limits = plan.limits.iter();
    PlanOut {
        id: &plan.id,
        display_name: &plan.display_name,
        source_url: &plan.source_url,
        limits: limits
            .map(|limit| PlanLimitOut { target: TargetOut::of(limit.target.as_ref()), slots: limit.slots })
            .collect(),
    }
}

fn of_model(model: &CatalogueModel) -> ModelOut<'_> {
    let number = |number: i32| u32::try_from(number).unwrap_or(0);
    ModelOut {
        kind: Kind::from_number(number(model.kind)).map_or("unknown", Kind::as_str),
        model: &model.model,
        display_name: &model.display_name,
        provider: &model.provider,
        unit: Unit::from_number(number(model.unit)).map_or("unknown", Unit::as_str),
        limit_url: &model.limit_url,
        tiers: model.tiers.iter().map(|tier| TierOut { name: &tier.name, slots: tier.slots }).collect(),
    }
}
