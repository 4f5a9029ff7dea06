//! Chains as answers show them.

use std::sync::Arc;

use crate::{
    api::convert::{to_duration, to_meter, to_timestamp},
    error::Error,
    foresee::fallback::Need,
    model::{Chain, Now, Project, Target},
    proto::{self, r#override},
    query::{Queries, Told},
    route::{Action, ByHand},
    service::{Service, chains::SetBy},
};

/// A chain with what is said of it that is in force.
pub fn chain<'w>(
    service: &Service,
    chain: &Chain,
    set: &SetBy,
    said: impl IntoIterator<Item = &'w ByHand>,
    now: Now,
) -> proto::Chain {
    let in_force = said.into_iter().filter(|said| said.is_in_force(now.wall));
    let display_name = |model: &_| service.catalogue.display_name(&Target::Meter(Clone::clone(model)));
    proto::Chain {
        name: chain.name.to_string(),
        kind: chain.kind as i32,
        models: chain.models.iter().map(to_meter).collect(),
        fill_percent: chain.thresholds.map_or(0, |at| at.fill_percent),
        return_percent: chain.thresholds.map_or(0, |at| at.return_percent),
        thresholds_off: chain.thresholds.is_none(),
        dwell: Some(to_duration(chain.dwell)),
        set_by: set.set_by.clone(),
        set_by_name: name_of(service, &chain.project, &set.set_by),
        set_time: Some(to_timestamp(set.at)),
        reason: set.reason.clone(),
        display_names: chain.models.iter().map(display_name).collect(),
        overrides: in_force.map(|said| by_hand(service, &chain.project, said)).collect(),
        failures: Vec::new(),
    }
}

/// The same, with what the failure of each model would ask of the others. Reads the store.
pub fn with_failures<'w>(
    queries: &Queries,
    of: &Arc<Chain>,
    set: &SetBy,
    said: impl IntoIterator<Item = &'w ByHand>,
    now: Now,
) -> Result<proto::Chain, Error> {
    let failures = queries.fallbacks(of, now)?.iter().map(failure).collect();
    Ok(proto::Chain { failures, ..chain(queries.service(), of, set, said, now) })
}

pub fn by_hand(service: &Service, project: &Project, said: &ByHand) -> proto::Override {
    let action = match said.action {
        Action::Pin => r#override::Action::Pin,
        Action::Drain => r#override::Action::Drain,
    };
    proto::Override {
        chain: said.chain.to_string(),
        model: Some(to_meter(&said.model)),
        action: action as i32,
        reason: said.reason.clone(),
        set_by: said.set_by.clone(),
        set_by_name: name_of(service, project, &said.set_by),
        start_time: Some(to_timestamp(said.start)),
        end_time: Some(to_timestamp(said.end)),
    }
}

fn name_of(service: &Service, project: &Project, id: &str) -> String {
    service.access.name_of(id, project.as_str()).unwrap_or_default()
}

fn failure(told: &Told) -> proto::FailureNeed {
    let failure = &told.failure;
    proto::FailureNeed {
        failed: place(failure.failed),
        minute: Some(to_timestamp(failure.minute.first_tick().start())),
        moved: failure.moved,
        needs: failure.needs.iter().map(need).collect(),
        left_over: failure.left_over,
        sentence: told.sentence.clone(),
    }
}

fn need(need: &Need) -> proto::FallbackNeed {
    proto::FallbackNeed { place: place(need.place), slots: need.slots, limit: need.limit }
}

fn place(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}
