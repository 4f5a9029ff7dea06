//! Requests for more capacity, over gRPC.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::{
    access::Role,
    api::{
        admin::check::{all_projects, id},
        aside::Aside,
        auth::Caller,
        convert::{self, to_target, to_timestamp},
        limit::end_time,
        pages::{Page, not_given},
        quota::{
            check::required_target,
            view::{bound, moment, week_of},
        },
    },
    error::FieldProblem,
    model::{
        IncreaseRequest, Key, Project, Time,
        request::{Decision, Evidence, Grant, MAX_TEXT_BYTES, Ruling},
    },
    proto::{
        self, CreateIncreaseRequestRequest, CreateIncreaseRequestResponse, DecideIncreaseRequestRequest,
        DecideIncreaseRequestResponse, ListIncreaseRequestsRequest, ListIncreaseRequestsResponse,
        WithdrawIncreaseRequestRequest, WithdrawIncreaseRequestResponse, increase_request::State,
        request_service_server::RequestService,
    },
    service::{Service, requests::Asked},
};

const DEFAULT_REQUESTS: usize = 100;

/// The request service.
#[derive(Clone, Debug)]
pub struct Requests {
    aside: Aside,
}

impl Requests {
    pub fn new(aside: Aside) -> Self {
        Self { aside }
    }

    fn service(&self) -> &Arc<Service> {
        self.aside.queries.service()
    }

    fn view(&self, request: &IncreaseRequest) -> Option<proto::IncreaseRequest> {
        Some(view(self.service(), request))
    }
}

#[tonic::async_trait]
impl RequestService for Requests {
    async fn create_increase_request(
        &self,
        request: Request<CreateIncreaseRequestRequest>,
    ) -> Result<Response<CreateIncreaseRequestResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        let service = self.service();
        let now = service.clock.now();
        let project = one_project(&request.project)?;
        let target = required_target(&service.catalogue, &project, request.target.as_ref())?;
        convert::text("reason", &request.reason, 1, MAX_TEXT_BYTES)?;
        let end = end_time(request.end_time, now.wall)?;
        let made = self.aside.run(move |queries| {
            let evidence = queries.evidence(&Key { project: project.clone(), target: target.clone() }, now)?;
            let (wanted, reason) = (request.wanted_slots, request.reason);
            let asked = Asked { project, target, wanted, reason, end, evidence };
            queries.service().ask_increase(asked, &caller.actor(), now)
        });
        Ok(Response::new(CreateIncreaseRequestResponse { request: self.view(&*made.await?) }))
    }

    async fn list_increase_requests(
        &self,
        request: Request<ListIncreaseRequestsRequest>,
    ) -> Result<Response<ListIncreaseRequestsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        all_projects(request.all_projects, &caller)?;
        let page = Page::take("requests", DEFAULT_REQUESTS, &mut request)?;
        let after = page.after.as_deref().map(place).transpose()?;
        let service = self.service();
        let project = convert::project(&request.project)?;
        let target = match &request.target {
            None => None,
            target => Some(required_target(&service.catalogue, &project, target.as_ref())?),
        };
        let listed = service.requests.list(Some(&project).filter(|_| !request.all_projects));
        let wanted = listed.iter().filter(|asked| {
            (!request.open || asked.is_open())
                && target.as_ref().is_none_or(|target| asked.target == *target)
                && after.as_ref().is_none_or(|after| (asked.created, &*asked.id) < (after.0, &*after.1))
        });
        let (requests, last) = page.cut(wanted);
        Ok(Response::new(ListIncreaseRequestsResponse {
            next_page_token: last.map(|last| page.token(&place_bytes(last))).unwrap_or_default(),
            requests: requests.into_iter().filter_map(|request| self.view(request)).collect(),
        }))
    }

    async fn decide_increase_request(
        &self,
        request: Request<DecideIncreaseRequestRequest>,
    ) -> Result<Response<DecideIncreaseRequestResponse>, Status> {
        let caller = Caller::of(&request)?;
        let DecideIncreaseRequestRequest { id: request_id, slots, end_time: end, word } = request.into_inner();
        id(&request_id)?;
        convert::text("word", &word, 0, MAX_TEXT_BYTES)?;
        let now = self.service().clock.now();
        let grant = Grant { slots, end: end_time(end, now.wall)?, word };
        let decided =
            self.aside.run(move |queries| queries.service().decide_increase(&request_id, grant, &caller.actor(), now));
        Ok(Response::new(DecideIncreaseRequestResponse { request: self.view(&*decided.await?) }))
    }

    async fn withdraw_increase_request(
        &self,
        request: Request<WithdrawIncreaseRequestRequest>,
    ) -> Result<Response<WithdrawIncreaseRequestResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request_id = request.into_inner().id;
        id(&request_id)?;
        let withdrawn = self.aside.run(move |queries| {
            let (service, actor) = (queries.service(), caller.actor());
            let sees = |asked: &IncreaseRequest| caller.is_operator() || asked.project == *caller.project();
            let may = |asked: &IncreaseRequest| caller.role() != Role::Viewer || asked.created_by == *actor.key;
            service.withdraw_increase(&request_id, (&sees, &may), &actor, service.clock.now())
        });
        Ok(Response::new(WithdrawIncreaseRequestResponse { request: self.view(&*withdrawn.await?) }))
    }
}

/// The project that more is asked for.
fn one_project(name: &str) -> Result<Project, FieldProblem> {
    let project = convert::project(name)?;
    match project.is_across() {
        true => Err(FieldProblem::new("project", "`-` stands for all projects; more is asked for one")),
        false => Ok(project),
    }
}

/// Where a request stands in the list, the newest first: when it was made, then its id.
fn place_bytes(request: &IncreaseRequest) -> Vec<u8> {
    [&request.created.0.to_be_bytes()[..], request.id.as_bytes()].concat()
}

fn place(bytes: &[u8]) -> Result<(Time, String), FieldProblem> {
    let (created, id) = bytes.split_first_chunk().ok_or_else(not_given)?;
    let id = String::from_utf8(id.to_vec()).map_err(|_| not_given())?;
    Ok((Time(u64::from_be_bytes(*created)), id))
}

fn view(service: &Service, request: &IncreaseRequest) -> proto::IncreaseRequest {
    let name_of = |id: &str| service.access.name_of(id, request.project.as_str()).unwrap_or_default();
    proto::IncreaseRequest {
        id: request.id.clone(),
        project: request.project.to_string(),
        target: Some(to_target(&request.target)),
        display_name: service.catalogue.display_name(&request.target),
        wanted_slots: request.wanted,
        reason: request.reason.clone(),
        end_time: request.end.map(to_timestamp),
        state: state(request.decision.as_ref()) as i32,
        create_time: Some(to_timestamp(request.created)),
        created_by: request.created_by.clone(),
        created_by_name: name_of(&request.created_by),
        evidence: Some(evidence(&request.evidence)),
        decision: request.decision.as_ref().map(|made| decision(made, name_of(&made.by))),
    }
}

const fn state(decision: Option<&Decision>) -> State {
    match decision {
        None => State::Open,
        Some(Decision { ruling: Ruling::Approved, .. }) => State::Approved,
        Some(Decision { ruling: Ruling::ApprovedInPart, .. }) => State::ApprovedInPart,
        Some(Decision { ruling: Ruling::Declined, .. }) => State::Declined,
        Some(Decision { ruling: Ruling::Withdrawn, .. }) => State::Withdrawn,
    }
}

fn evidence(evidence: &Evidence) -> proto::Evidence {
    proto::Evidence {
        limit_plus_one: evidence.limit.map_or(0, |limit| limit.saturating_add(1)),
        peak: evidence.peak.map(moment),
        peak_bound: bound(evidence.peak_bound).into(),
        minutes_near_limit: evidence.minutes_near,
        minutes_covered: evidence.minutes_covered,
        week: week_of(&evidence.week) as i32,
        turned_away: evidence.turned_away,
    }
}

fn decision(decision: &Decision, decided_by_name: String) -> proto::Decision {
    proto::Decision {
        slots: decision.slots,
        end_time: decision.end.map(to_timestamp),
        decided_by: decision.by.clone(),
        decided_by_name,
        decide_time: Some(to_timestamp(decision.at)),
        word: decision.word.clone(),
    }
}
