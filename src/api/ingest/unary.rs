//! Reports without a stream: functions of the service, the request and now.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    api::{
        convert::{self, Checked},
        ingest::{conversation::worker, handles},
    },
    error::{Error, FieldProblem},
    live::Event,
    model::{Catalogue, Labels, Meter, Now, Outcome, Project, SessionId},
    proto::{
        GoodbyeRequest, GoodbyeResponse, HeartbeatRequest, HeartbeatResponse, ReportRequest, ReportResponse,
        ReportedEvent,
    },
    service::{Service, counts::Form},
};

/// An event that was checked; its meter may be new.
struct Reported {
    id: SessionId,
    meter: Option<Meter>,
    age: Duration,
    what: What,
}

enum What {
    Connect(Option<Box<Labels>>),
    Disconnect(Outcome),
}

/// Applies a report and renews the lease.
pub fn report(service: &Service, request: &ReportRequest, now: Now) -> Result<ReportResponse, Error> {
    let project = convert::reported_project(&request.project)?;
    let worker = worker(&request.worker_id)?;
    let incarnation = convert::incarnation("incarnation", &request.incarnation)?;
    let bounds = &service.config.bounds;
    let lease = lease(service, request.lease)?.unwrap_or(bounds.unary_lease.0);
    if request.events.len() > bounds.batch_events {
        return Err(Error::Bound { name: "batch_events", most: bounds.batch_events as u64 });
    }
    // A report without events renews a lease, and is work too.
    let events = u32::try_from(request.events.len()).unwrap_or(u32::MAX).max(1);
    service.guard.reported(&project, events, now.mono)?;
    let mut reported = Vec::with_capacity(request.events.len());
    for (nth, event) in request.events.iter().enumerate() {
        let event = check(&service.catalogue, event);
        reported.push(event.map_err(|problem| problem.within(format_args!("events[{nth}]")))?);
    }
    let named = reported.iter().filter_map(|event| event.meter.as_ref());
    let unknown = named.filter(|meter| !is_known(&service.catalogue, meter)).map(|meter| meter.model.to_string());
    let unknown_models: BTreeSet<_> = unknown.collect();
    let mut events = Vec::with_capacity(reported.len());
    for event in reported {
        events.push(metered(service, &project, event, now)?);
    }
    let (applied, lease_end) = service.live.report(&project, worker, incarnation, lease, events, now)?;
    service.counts.ingest.batch(Form::Report, &applied);
    if applied.left_out > 0 {
        return Err(Error::Bound { name: "sessions_per_project", most: bounds.sessions_per_project as u64 });
    }
    Ok(ReportResponse {
        applied: applied.changed,
        duplicates: applied.duplicates,
        lease_until: Some(convert::to_timestamp(now.wall.after(lease_end.since(now.mono)))),
        unknown_models: unknown_models.into_iter().collect(),
        lease_is_new: applied.new_lease,
    })
}

fn check(catalogue: &Catalogue, event: &ReportedEvent) -> Checked<Reported> {
    let (id, text_id) = convert::session_id(&event.session_id)?;
    let age = convert::age("age_us", event.age_us)?;
    if event.outcome == 0 {
        let labels = convert::labels(event.labels.as_ref()).map_err(|problem| problem.within("labels"))?;
        let meter = Some(convert::required_meter(catalogue, event.meter.as_ref())?);
        return Ok(Reported { id, meter, age, what: What::Connect(convert::with_text_id(labels, text_id)) });
    }
    let meter = event.meter.as_ref().map(|meter| convert::required_meter(catalogue, Some(meter))).transpose()?;
    Ok(Reported { id, meter, age, what: What::Disconnect(convert::outcome(event.outcome)?) })
}

fn is_known(catalogue: &Catalogue, meter: &Meter) -> bool {
    !meter.kind.has_model() || catalogue.find(meter.kind, &meter.model).is_some()
}

fn metered(service: &Service, project: &Project, event: Reported, now: Now) -> Result<Event, Error> {
    let Reported { id, meter, age, what } = event;
    let meter = meter.map(|name| handles::metered(service, project, &name, now)).transpose()?;
    Ok(match (what, meter) {
        (What::Disconnect(outcome), meter) => Event::Close { id, outcome, age, meter },
        (What::Connect(labels), Some(meter)) => Event::Open { id, meter, age, labels },
        (What::Connect(_), None) => return Err(FieldProblem::new("meter", "is needed").into()),
    })
}

/// The lease asked for, if one is.
pub(super) fn lease(service: &Service, asked: Option<prost_types::Duration>) -> Checked<Option<Duration>> {
    let Some(asked) = asked else { return Ok(None) };
    let asked = convert::duration("lease", asked)?;
    let (least, most) = service.config.bounds.unary_lease;
    if asked < least || asked > most {
        return Err(FieldProblem::new("lease", format!("is {asked:?}; {least:?} to {most:?} are allowed")));
    }
    Ok(Some(asked))
}

/// Renews the lease of an incarnation that uses the unary calls.
pub fn heartbeat(service: &Service, request: &HeartbeatRequest, now: Now) -> Result<HeartbeatResponse, Error> {
    let project = convert::reported_project(&request.project)?;
    let incarnation = convert::incarnation("incarnation", &request.incarnation)?;
    let lease = lease(service, request.lease)?;
    let not_found = || Error::NotFound { what: "lease of incarnation", name: incarnation.to_string() };
    let (lease, live_count) = service.live.heartbeat(&project, incarnation, lease, now).ok_or_else(not_found)?;
    Ok(HeartbeatResponse { lease_until: Some(convert::to_timestamp(now.wall.after(lease))), live_count })
}

/// Ends an incarnation and all its sessions.
pub fn goodbye(service: &Service, request: &GoodbyeRequest, now: Now) -> Result<GoodbyeResponse, Error> {
    let project = convert::reported_project(&request.project)?;
    let incarnation = convert::incarnation("incarnation", &request.incarnation)?;
    let outcome = convert::outcome(request.outcome)?;
    Ok(GoodbyeResponse { closed_count: service.live.goodbye(&project, incarnation, outcome, now) })
}
