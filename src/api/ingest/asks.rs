//! What workers say when they ask for a slot or give one back, checked.

use std::{sync::Arc, time::Duration};

use crate::{
    api::{
        convert::{self, Checked},
        ingest::{acquire::Who, answer, conversation::worker, handles::Handles, unary},
    },
    error::{Error, FieldProblem},
    live::{Ask, Meter},
    model::{Now, Outcome, Priority, Project, SessionId, chain::MAX_NAME_BYTES},
    proto::{self, AcquireRequest, Refused, ReleaseRequest, StreamAcquire},
    service::{Service, routing::pick::Asker},
};

/// Models that one acquire may name.
const MOST_MODELS: usize = 8;
/// Longest that a caller may wait: within what proxies let a call be silent.
pub const MOST_WAIT: Duration = Duration::from_secs(60);

/// A caller, what it wants, and how long it waits for it.
pub type Asking = (Who, Wants, Duration);

/// What a caller wants, or what it is told at once.
pub enum Wants {
    Ask(Ask),
    Refused(Refused),
}

/// A model of a chain, as it is asked for.
struct ByChain<'a> {
    project: &'a Project,
    worker: &'a str,
    chain: &'a str,
    failed: &'a [proto::Meter],
}

/// What is the same however a slot is asked for: an ask that names no model yet, and how long it may wait.
fn ask(
    session_id: &[u8],
    labels: Option<&proto::Labels>,
    priority_said: i32,
    wait_said: Option<prost_types::Duration>,
) -> Checked<(Ask, Duration)> {
    let (id, text_id) = convert::session_id(session_id)?;
    let labels = convert::labels(labels).map_err(|problem| problem.within("labels"))?;
    let (priority, wait) = (priority(priority_said)?, wait(wait_said)?);
    let labels = convert::with_text_id(labels, text_id);
    let (wanted, waits) = (Arc::default(), !wait.is_zero());
    Ok((Ask { id, wanted, priority, labels, waits, of_chain: None, without_store: false }, wait))
}

/// Checks a call for a slot. Models that are new begin to be counted.
pub fn acquire(service: &Service, request: &AcquireRequest, now: Now) -> Result<Asking, Error> {
    let project = convert::reported_project(&request.project)?;
    let worker = worker(&request.worker_id)?.to_owned();
    let incarnation = convert::incarnation("incarnation", &request.incarnation)?;
    let lease = unary::lease(service, request.lease)?.unwrap_or(service.config.bounds.unary_lease.0);
    let (ask, wait) = ask(&request.session_id, request.labels.as_ref(), request.priority, request.wait)?;
    let by_chain = ByChain { project: &project, worker: &worker, chain: &request.chain, failed: &request.failed };
    if by_chain.is_asked("meters", request.meters.len())? {
        service.guard.reported(&project, 1, now.mono)?;
        let wants = by_chain.wants(service, ask, now)?;
        return Ok((Who::Unary { project, worker, incarnation, lease }, wants, wait));
    }
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
    let ask = Ask { wanted: meters?.into(), ..ask };
    Ok((Who::Unary { project, worker, incarnation, lease }, Wants::Ask(ask), wait))
}

/// Checks what was asked for on the stream of a worker.
pub fn on_stream(
    service: &Service,
    (project, worker): (&Project, &str),
    said: &StreamAcquire,
    handles: &Handles,
    now: Now,
) -> Result<(SessionId, Wants, Duration), Error> {
    let (ask, wait) = ask(&said.session_id, said.labels.as_ref(), said.priority, said.wait)?;
    let id = ask.id;
    let by_chain = ByChain { project, worker, chain: &said.chain, failed: &said.failed };
    if by_chain.is_asked("handles", said.handles.len())? {
        let wants = match by_chain.wants(service, ask, now) {
            // Somebody may have deleted it just now: no reason to end a stream.
            Err(error @ Error::NotFound { .. }) => Wants::Refused(answer::no_chain(&error)),
            wants => wants?,
        };
        return Ok((id, wants, wait));
    }
    some_models("handles", said.handles.len())?;
    let mut wanted: Vec<Arc<Meter>> = Vec::with_capacity(said.handles.len());
    for (nth, handle) in said.handles.iter().enumerate() {
        let named = handles.meter(*handle);
        let meter = named.map_err(|problem| FieldProblem::new(format!("handles[{nth}]"), problem.problem))?;
        if wanted.iter().any(|other| Arc::ptr_eq(other, meter)) {
            return Err(twice(&format!("handles[{nth}]")).into());
        }
        wanted.push(meter.clone());
    }
    Ok((id, Wants::Ask(Ask { wanted: wanted.into(), ..ask }), wait))
}

impl ByChain<'_> {
    /// Whether it is by chain, and nothing else beside it.
    fn is_asked(&self, beside: &'static str, models: usize) -> Checked<bool> {
        let wrong = |field: &str, problem: String| Err(FieldProblem::new(field, problem));
        if self.chain.is_empty() {
            return match self.failed.len() {
                0 => Ok(false),
                many => {
                    wrong("failed", format!("has {many} models without a chain; leave them out of {beside} instead"))
                }
            };
        }
        if models > 0 {
            return wrong("chain", format!("is there beside {beside}; name either a chain or the models"));
        }
        if self.chain.len() > MAX_NAME_BYTES {
            return wrong("chain", format!("has {} bytes; 1 to {MAX_NAME_BYTES} are allowed", self.chain.len()));
        }
        if self.failed.len() > MOST_MODELS {
            return wrong("failed", format!("has {} models; at most {MOST_MODELS} are allowed", self.failed.len()));
        }
        Ok(true)
    }

    /// The models that a session may have now.
    fn wants(&self, service: &Service, ask: Ask, now: Now) -> Result<Wants, Error> {
        let (version, at) = service.routed(self.project, self.chain, now)?;
        let routed = &version.chains[at];
        let places = self.failed.iter().filter_map(|meter| routed.chain.place(&meter.model, &meter.account));
        let asker = Asker {
            session: ask.id,
            job: ask.labels.as_ref().map_or("", |labels| &labels.job),
            worker: self.worker,
            priority: ask.priority,
            failed: places.fold(0, |bits, place| bits | 1 << place),
        };
        Ok(match service.pick(routed, &asker, now) {
            Some((wanted, of)) => Wants::Ask(Ask { wanted, of_chain: Some(Box::new(of)), ..ask }),
            None => {
                service.refuse_of(routed);
                Wants::Refused(answer::no_model(routed))
            }
        })
    }
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
