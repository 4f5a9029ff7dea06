//! What workers say when they ask for a slot or give one back, checked.

use std::{sync::Arc, time::Duration};

use crate::{
    api::{
        convert::{self, Checked},
        ingest::{acquire::Who, conversation::worker, handles::Handles, unary},
    },
    error::{Error, FieldProblem},
    live::{Ask, Meter},
    model::{Now, Outcome, Priority, SessionId},
    proto::{self, AcquireRequest, ReleaseRequest, StreamAcquire},
    service::Service,
};

/// Models that one acquire may name.
const MOST_MODELS: usize = 8;
/// Longest that a caller may wait: within what proxies let a call be silent.
const MOST_WAIT: Duration = Duration::from_secs(60);

/// A caller, what it wants, and how long it waits for it.
pub type Asking = (Who, Ask, Duration);

/// Checks a call for a slot. Models that are new begin to be counted.
pub fn acquire(service: &Service, request: &AcquireRequest, now: Now) -> Result<Asking, Error> {
    let project = convert::reported_project(&request.project)?;
    let worker = worker(&request.worker_id)?.to_owned();
    let incarnation = convert::incarnation("incarnation", &request.incarnation)?;
    let lease = unary::lease(service, request.lease)?.unwrap_or(service.config.bounds.unary_lease.0);
    let (id, text_id) = convert::session_id(&request.session_id)?;
    let labels = convert::labels(request.labels.as_ref()).map_err(|problem| problem.within("labels"))?;
    let (priority, wait) = (priority(request.priority)?, wait(request.wait)?);
    some_models("meters", request.meters.len())?;
    let mut names = Vec::with_capacity(request.meters.len());
    for (nth, meter) in request.meters.iter().enumerate() {
        let name = convert::required_meter(&service.catalogue, Some(meter));
        let name = name.map_err(|problem| FieldProblem {
            field: problem.field.replacen("meter", &format!("meters[{nth}]"), 1),
            ..problem
        })?;
        if names.contains(&name) {
            return Err(twice(&format!("meters[{nth}]")).into());
        }
        names.push(name);
    }
    service.guard.reported(&project, 1, now.mono)?;
    let meters: Result<Vec<_>, _> = names.iter().map(|name| service.live.meter(&project, name, now)).collect();
    let labels = convert::with_text_id(labels, text_id);
    let ask = Ask { id, wanted: meters?.into(), priority, labels, waits: !wait.is_zero() };
    Ok((Who::Unary { project, worker, incarnation, lease }, ask, wait))
}

/// Checks what was asked for on a stream.
pub fn on_stream(said: &StreamAcquire, handles: &Handles) -> Result<(Ask, Duration), FieldProblem> {
    let (id, text_id) = convert::session_id(&said.session_id)?;
    let labels = convert::labels(said.labels.as_ref()).map_err(|problem| problem.within("labels"))?;
    let (priority, wait) = (priority(said.priority)?, wait(said.wait)?);
    some_models("handles", said.handles.len())?;
    let mut wanted: Vec<Arc<Meter>> = Vec::with_capacity(said.handles.len());
    for (nth, handle) in said.handles.iter().enumerate() {
        let named = handles.meter(*handle);
        let meter = named.map_err(|problem| FieldProblem::new(format!("handles[{nth}]"), problem.problem))?;
        if wanted.iter().any(|other| Arc::ptr_eq(other, meter)) {
            return Err(twice(&format!("handles[{nth}]")));
        }
        wanted.push(meter.clone());
    }
    let labels = convert::with_text_id(labels, text_id);
    Ok((Ask { id, wanted: wanted.into(), priority, labels, waits: !wait.is_zero() }, wait))
}

/// Checks a call that gives a slot back.
pub fn release(service: &Service, request: &ReleaseRequest) -> Result<(Who, SessionId, Outcome), Error> {
    let project = convert::reported_project(&request.project)?;
    let worker = worker(&request.worker_id)?.to_owned();
    let incarnation = convert::incarnation("incarnation", &request.incarnation)?;
    let lease = unary::lease(service, request.lease)?.unwrap_or(service.config.bounds.unary_lease.0);
    let (id, _) = convert::session_id(&request.session_id)?;
    let outcome = convert::outcome(request.outcome)?;
    Ok((Who::Unary { project, worker, incarnation, lease }, id, outcome))
}

fn some_models(field: &'static str, models: usize) -> Checked<()> {
    match models {
        1..=MOST_MODELS => Ok(()),
        _ => Err(FieldProblem::new(field, format!("has {models} models; 1 to {MOST_MODELS} are needed"))),
    }
}

fn twice(field: &str) -> FieldProblem {
    FieldProblem::new(field, "is there twice: each model may stand once in the order of preference")
}

fn priority(number: i32) -> Checked<Priority> {
    match proto::Priority::try_from(number) {
        Ok(proto::Priority::Priority) => Ok(Priority::Priority),
        Ok(proto::Priority::Unspecified | proto::Priority::Standard) => Ok(Priority::Standard),
        Ok(proto::Priority::Low) => Ok(Priority::Low),
        Err(_) => Err(FieldProblem::new("priority", format!("is {number}; 0 to 3 are known"))),
    }
}

fn wait(asked: Option<prost_types::Duration>) -> Checked<Duration> {
    let Some(asked) = asked else { return Ok(Duration::ZERO) };
    let asked = convert::duration("wait", asked)?;
    if asked > MOST_WAIT {
        return Err(FieldProblem::new("wait", format!("is {asked:?}; at most {MOST_WAIT:?} are allowed")));
    }
    Ok(asked)
}
