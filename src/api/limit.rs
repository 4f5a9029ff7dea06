//! Limits, plans and the catalogue, over gRPC.

mod enforcement;

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::{
    api::{
        aside::Aside,
        auth::Caller,
        convert::{self, Checked, to_target, to_timestamp},
        pages::Page,
        quota::check::{kinds, required_target},
    },
    error::{Error, FieldProblem},
    model::{
        Catalogue, CatalogueModel, Key, KeyId, LimitEntry, LimitHistory, Plan, Project, Target, Time,
        catalogue::Measure,
        enforce::Mode,
        limit::{MAX_REASON_BYTES, MAX_SET_BY_BYTES, MAX_SLOTS},
        plan::SET_BY_PLAN,
    },
    proto::{
        self, ApplyPlanRequest, ApplyPlanResponse, EndLimitRequest, EndLimitResponse, ListCatalogueRequest,
        ListCatalogueResponse, ListEnforcementRequest, ListEnforcementResponse, ListLimitsRequest, ListLimitsResponse,
        ListPlansRequest, ListPlansResponse, SetEnforcementRequest, SetEnforcementResponse, SetLimitRequest,
        SetLimitResponse, limit_service_server::LimitService,
    },
    query::listing::in_catalogue,
    service::{Author, Choice, Ended, Service},
};

const DEFAULT_LIMITS: usize = 200;
const DEFAULT_PLANS: usize = 100;
const DEFAULT_CHOICES: usize = 200;
/// In the place of a limit of starts in the list: after those of slots.
const OF_STARTS: u32 = 1 << 31;
const DEFAULT_MODELS: usize = 200;

/// The limit service.
#[derive(Clone, Debug)]
pub struct Limits {
    aside: Aside,
}

impl Limits {
    pub fn new(aside: Aside) -> Self {
        Self { aside }
    }

    fn service(&self) -> &Arc<Service> {
        self.aside.queries.service()
    }
}

#[tonic::async_trait]
impl LimitService for Limits {
    async fn list_limits(&self, request: Request<ListLimitsRequest>) -> Result<Response<ListLimitsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        let page = Page::take("limits", DEFAULT_LIMITS, &mut request)?;
        let after = page.place_of()?.map(Place::of);
        let service = self.service();
        let project = convert::project(&request.project)?;
        self.aside.queries.seen(&project)?;
        let tallies = match &request.target {
            None => service.live.registry.of_project(&project),
            target => {
                let target = required_target(&service.catalogue, &project, target.as_ref())?;
                vec![self.aside.queries.tally(&Key { project: project.clone(), target })?]
            }
        };
        // Keys never go, so that the one a token names is there.
        let begun = after.and_then(|after| tallies.iter().position(|tally| tally.id == after.key)).unwrap_or(0);
        let now = service.clock.now().wall;
        let mut limits = Vec::new();
        let mut last = None;
        for tally in &tallies[begun..] {
            let after = after.filter(|after| after.key == tally.id).map(|after| after.nth);
            let enforced = service.choices.counts_for(&tally.key).mode == Mode::Enforce;
            let (of_slots, of_starts) = (service.limits.of(tally.id), service.choices.starts_of(tally.id));
            // Those of slots are done where one of starts was listed last.
            let slots_after = after.map(|after| if after & OF_STARTS == 0 { after } else { 0 });
            let starts_after = after.filter(|after| after & OF_STARTS != 0).map(|after| after & !OF_STARTS);
            let slots = listed(&of_slots, request.history, now, slots_after).into_iter().map(|row| (row, &of_slots, 0));
            let starts = listed(&of_starts, request.history, now, starts_after);
            let starts = starts.into_iter().map(|row| (row, &of_starts, OF_STARTS));
            for ((nth, entry), history, measure) in slots.chain(starts) {
                if limits.len() == page.size {
                    let next_page_token = last.map(|last: Place| page.token(&last.bytes())).unwrap_or_default();
                    return Ok(Response::new(ListLimitsResponse { limits, next_page_token }));
                }
                let end = if request.history { history.end_of(nth) } else { entry.end };
                let by = history.ended_by(nth).filter(|_| request.history);
                let limit = with_ender(to_limit(&tally.key.target, entry, end), by);
                let limit = if measure == 0 { limit } else { of_starts_a_minute(limit) };
                limits.push(named(service, &project, proto::Limit { enforced, ..limit }));
                last = Some(Place { key: tally.id, nth: u32::try_from(nth).unwrap_or(u32::MAX) | measure });
            }
        }
        Ok(Response::new(ListLimitsResponse { limits, next_page_token: String::new() }))
    }

    async fn set_limit(&self, request: Request<SetLimitRequest>) -> Result<Response<SetLimitResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        let service = self.service();
        let now = service.clock.now();
        let project = convert::project(&request.project)?;
        let target = required_target(&service.catalogue, &project, request.target.as_ref())?;
        let most = most(&request)?;
        let end = end_time(request.end_time, now.wall)?;
        let author = author(request.set_by, request.reason, &caller)?;
        let key = Key { project, target };
        let unknown_model = !in_catalogue(&key.target, &service.catalogue);
        let limit = self.aside.run(move |queries| {
            let service = queries.service();
            let limit = match most {
                Most::Slots(slots) => {
                    let entry = service.set_limit(&key, slots, end, author, now)?;
                    to_limit(&key.target, &entry, entry.end)
                }
                Most::Starts(starts) => {
                    let entry = service.set_starts(&key, Some(starts), end, author, now)?;
                    of_starts_a_minute(to_limit(&key.target, &entry, entry.end))
                }
            };
            let enforced = service.choices.counts_for(&key).mode == Mode::Enforce;
            Ok(named(service, &key.project, proto::Limit { enforced, ..limit }))
        });
        Ok(Response::new(SetLimitResponse { limit: Some(limit.await?), unknown_model }))
    }

    async fn end_limit(&self, request: Request<EndLimitRequest>) -> Result<Response<EndLimitResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        let service = self.service();
        let now = service.clock.now();
        let project = convert::project(&request.project)?;
        let target = required_target(&service.catalogue, &project, request.target.as_ref())?;
        let author = author(request.set_by, request.reason, &caller)?;
        let key = Key { project, target };
        let starts = request.starts;
        let limit = self.aside.run(move |queries| {
            if starts {
                let entry = queries.service().set_starts(&key, None, None, author, now)?;
                return Ok(of_starts_a_minute(to_limit(&key.target, &entry, entry.end)));
            }
            let ended = queries.service().end_limit(&key, author, now)?;
            Ok(named(queries.service(), &key.project, to_ended(&key.target, &ended)))
        });
        Ok(Response::new(EndLimitResponse { limit: Some(limit.await?) }))
    }

    async fn set_enforcement(
        &self,
        request: Request<SetEnforcementRequest>,
    ) -> Result<Response<SetEnforcementResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        let service = self.service();
        let now = service.clock.now();
        let (place, enforcement, author) = enforcement::chosen(&service.catalogue, request, &caller)?;
        let target = place.1.clone();
        let chosen =
            self.aside.run(move |queries| queries.service().choose_enforcement(&place, enforcement, author, now));
        let enforcement = chosen.await?.map(|choice| enforcement::view(target.as_ref(), &choice));
        Ok(Response::new(SetEnforcementResponse { enforcement }))
    }

    async fn list_enforcement(
        &self,
        request: Request<ListEnforcementRequest>,
    ) -> Result<Response<ListEnforcementResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        let page = Page::take("enforcement", DEFAULT_CHOICES, &mut request)?;
        let after = page.place_of()?.map_or(0, |place| u32::from_be_bytes(place) as usize + 1);
        let project = convert::project(&request.project)?;
        self.aside.queries.seen(&project)?;
        let choices = self.service().choices.list(&project);
        let (listed, last) = page.cut(choices.iter().enumerate().skip(after));
        let token = |(nth, _): (usize, _)| page.token(&u32::try_from(nth).unwrap_or(u32::MAX).to_be_bytes());
        let view =
            |(_, (target, choice)): (usize, &(Option<Target>, Choice))| enforcement::view(target.as_ref(), choice);
        Ok(Response::new(ListEnforcementResponse {
            next_page_token: last.map(token).unwrap_or_default(),
            enforcements: listed.into_iter().map(view).collect(),
        }))
    }

    async fn list_plans(&self, request: Request<ListPlansRequest>) -> Result<Response<ListPlansResponse>, Status> {
        let page = Page::take("plans", DEFAULT_PLANS, &mut request.into_inner())?;
        let after = |plan: &&Plan| page.after.as_ref().is_none_or(|after| plan.id.as_bytes() > &after[..]);
        let (plans, last) = page.cut(self.service().plans.list().filter(after));
        let next_page_token = last.map(|last| page.token(last.id.as_bytes())).unwrap_or_default();
        Ok(Response::new(ListPlansResponse { plans: plans.into_iter().map(to_plan).collect(), next_page_token }))
    }

    async fn apply_plan(&self, request: Request<ApplyPlanRequest>) -> Result<Response<ApplyPlanResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        let service = self.service();
        let now = service.clock.now();
        let project = convert::project(&request.project)?;
        if project.is_across() {
            return Err(Error::invalid("project", "`-` stands for all projects; a plan is for one").into());
        }
        let Some(plan) = service.plans.get(&request.plan_id).cloned() else {
            convert::text("plan_id", &request.plan_id, 1, MAX_SET_BY_BYTES)?;
            return Err(Error::NotFound { what: "plan", name: request.plan_id }.into());
        };
        let author = author(request.set_by, request.reason, &caller)?;
        let applied =
            self.aside.run(move |queries| queries.service().apply_plan(&project, &plan, &author, now)).await?;
        let limits = applied.limits.iter().map(|(target, entry)| to_limit(target, entry, entry.end)).collect();
        let ended = applied.ended.iter().map(|(target, ended)| to_ended(target, ended)).collect();
        let kept = applied.kept.iter().map(|(target, entry)| to_limit(target, entry, entry.end)).collect();
        Ok(Response::new(ApplyPlanResponse { limits, ended, kept }))
    }

    async fn list_catalogue(
        &self,
        request: Request<ListCatalogueRequest>,
    ) -> Result<Response<ListCatalogueResponse>, Status> {
        let mut request = request.into_inner();
        let page = Page::take("catalogue", DEFAULT_MODELS, &mut request)?;
        let kinds = kinds(&request.kinds)?;
        let catalogue = &self.service().catalogue;
        let after = |model: &&CatalogueModel| page.after.as_ref().is_none_or(|after| model_place(model) > *after);
        let of_kind = |model: &&CatalogueModel| kinds.is_empty() || kinds.contains(&model.kind);
        let (models, last) = page.cut(catalogue.models().filter(of_kind).filter(after));
        let next_page_token = last.map(|last| page.token(&model_place(last))).unwrap_or_default();
        let models = models.into_iter().map(|model| to_model(catalogue, model)).collect();
        Ok(Response::new(ListCatalogueResponse { models, next_page_token }))
    }
}

/// Where a limit stands in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    key: KeyId,
    /// Place in the key's history, from the oldest.
    nth: u32,
}

impl Place {
    fn of(bytes: [u8; 8]) -> Self {
        let place = u64::from_be_bytes(bytes);
        Self { key: KeyId((place >> 32) as u32), nth: place as u32 }
    }

    fn bytes(self) -> [u8; 8] {
        (u64::from(self.key.0) << 32 | u64::from(self.nth)).to_be_bytes()
    }
}

/// What is listed of a history, the newest first: all limits that there were, or the one in force. After `after`, only
/// what is older: where a limit in force was listed, nothing is left of its key.
fn listed(history: &LimitHistory, all: bool, now: Time, after: Option<u32>) -> Vec<(usize, &LimitEntry)> {
    let limits = history.entries().iter().enumerate().rev().filter(|(_, entry)| entry.slots.is_some());
    match (all, after) {
        (true, after) => limits.filter(|(nth, _)| after.is_none_or(|after| *nth < after as usize)).collect(),
        (false, Some(_)) => Vec::new(),
        (false, None) => {
            let in_force = history.in_force(now);
            limits.filter(|(_, entry)| in_force.is_some_and(|in_force| std::ptr::eq(*entry, in_force))).collect()
        }
    }
}

/// What a limit is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Most {
    Slots(u32),
    /// In a minute.
    Starts(u32),
}

fn most(request: &SetLimitRequest) -> Checked<Most> {
    let (field, number, most): (_, _, fn(u32) -> Most) = match (request.slots, request.starts_per_minute) {
        (Some(slots), None) => ("slots", slots, Most::Slots),
        (None, Some(starts)) => ("starts_per_minute", starts, Most::Starts),
        (Some(_), Some(_)) => {
            let problem = "and slots are both set: a limit is of one of them, and a meter may have one of each";
            return Err(FieldProblem::new("starts_per_minute", problem));
        }
        (None, None) => {
            return Err(FieldProblem::new("slots", "is needed, or starts_per_minute; 0 is a limit of none"));
        }
    };
    let problem = || FieldProblem::new(field, format!("is {number}; 0 to {MAX_SLOTS} are allowed"));
    (number <= MAX_SLOTS).then_some(most(number)).ok_or_else(problem)
}

pub fn end_time(end: Option<prost_types::Timestamp>, now: Time) -> Checked<Option<Time>> {
    let Some(end) = end else { return Ok(None) };
    let end = convert::time("end_time", end)?;
    if end > now { Ok(Some(end)) } else { Err(FieldProblem::new("end_time", "is not in the future")) }
}

fn author(set_by: String, reason: String, caller: &Caller) -> Checked<Author> {
    convert::text("set_by", &set_by, 1, MAX_SET_BY_BYTES)?;
    if set_by.starts_with(SET_BY_PLAN) {
        let problem = format!("begins with `{SET_BY_PLAN}`, which is for limits that a plan set: apply the plan");
        return Err(FieldProblem::new("set_by", problem));
    }
    convert::text("reason", &reason, 0, MAX_REASON_BYTES)?;
    Ok(Author { set_by, reason, actor: caller.actor() })
}

/// A limit with the end that is to be told of it.
pub fn to_limit(target: &Target, entry: &LimitEntry, end: Option<Time>) -> proto::Limit {
    proto::Limit {
        target: Some(to_target(target)),
        slots: entry.slots.unwrap_or(0),
        start_time: Some(to_timestamp(entry.start)),
        end_time: end.map(to_timestamp),
        set_by: entry.set_by.clone(),
        reason: entry.reason.clone(),
        ended_by: String::new(),
        end_reason: String::new(),
        starts_per_minute: None,
        enforced: false,
        set_by_name: String::new(),
        ended_by_name: String::new(),
    }
}

/// The limit with what the keys are called that it names by their ids.
fn named(service: &Service, project: &Project, limit: proto::Limit) -> proto::Limit {
    let name_of = |id: &str| service.access.name_of(id, project.as_str()).unwrap_or_default();
    proto::Limit { set_by_name: name_of(&limit.set_by), ended_by_name: name_of(&limit.ended_by), ..limit }
}

/// A limit of starts, made of one of slots.
fn of_starts_a_minute(limit: proto::Limit) -> proto::Limit {
    proto::Limit { starts_per_minute: Some(limit.slots), slots: 0, ..limit }
}

fn to_ended(target: &Target, ended: &Ended) -> proto::Limit {
    with_ender(to_limit(target, &ended.limit, ended.limit.end), Some(&ended.by))
}

/// The limit with who ended it, and why.
fn with_ender(limit: proto::Limit, by: Option<&LimitEntry>) -> proto::Limit {
    let Some(by) = by else { return limit };
    proto::Limit { ended_by: by.set_by.clone(), end_reason: by.reason.clone(), ..limit }
}

fn to_plan(plan: &Plan) -> proto::Plan {
    let limit = |(target, slots): (&Target, &u32)| proto::PlanLimit { target: Some(to_target(target)), slots: *slots };
    proto::Plan {
        id: plan.id.clone(),
        display_name: plan.name.clone(),
        source_url: plan.source.clone(),
        limits: plan.limits.iter().map(limit).collect(),
    }
}

fn model_place(model: &CatalogueModel) -> Vec<u8> {
    [&[model.kind as u8], model.model.as_bytes()].concat()
}

fn to_model(catalogue: &Catalogue, model: &CatalogueModel) -> proto::CatalogueModel {
    let provider = catalogue.provider_of(&model.model);
    // What a provider limits otherwise, such as starts a minute, is no number of slots.
    let slots = catalogue.tiers(model.kind, &model.model).filter(|set| set.measure == Measure::Slots);
    let tiers = slots.flat_map(|set| &set.limits);
    proto::CatalogueModel {
        kind: model.kind as i32,
        model: model.model.to_string(),
        display_name: model.name.clone(),
        provider: provider.map(|provider| provider.name.clone()).unwrap_or_default(),
        unit: catalogue.provider_unit(model.kind, &model.model) as i32,
        limit_url: provider.map(|provider| provider.limit_url.clone()).unwrap_or_default(),
        tiers: tiers.map(|(name, slots)| proto::Tier { name: name.clone(), slots: *slots }).collect(),
    }
}
