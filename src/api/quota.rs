//! What anyone may ask, over gRPC.
//!
//! - [`check`]: what requests say.
//! - [`view`]: answers as messages.
//! - [`watch`]: the live list.

pub mod check;
pub mod view;
mod watch;

use tonic::{Request, Response, Status};

use crate::{
    api::{
        aside::Aside,
        auth::{Caller, standing::Standing},
        convert,
        ingest::seats::{Ask, Seats},
        notices::Draining,
        pages::Page,
        peer::Peer,
    },
    error::Error,
    live::{Link, Released},
    model::{Key, KeyId, Project},
    proto::{
        GetDistributionRequest, GetDistributionResponse, GetHeatMapRequest, GetHeatMapResponse, GetHistoryRequest,
        GetHistoryResponse, GetStatusRequest, GetStatusResponse, ListAnnotationsRequest, ListAnnotationsResponse,
        ListProjectsRequest, ListProjectsResponse, ListQuotasRequest, ListQuotasResponse, ListSessionsRequest,
        ListSessionsResponse, ReleaseSessionRequest, ReleaseSessionResponse, WatchQuotasRequest,
        quota_service_server::QuotaService,
    },
    query::{Part, Queries},
};

const DEFAULT_PROJECTS: usize = 100;
const DEFAULT_QUOTAS: usize = 200;
const DEFAULT_SESSIONS: usize = 100;

/// The quota service.
#[derive(Clone, Debug)]
pub struct Quotas {
    aside: Aside,
    draining: Draining,
    /// The streams that workers are asked on.
    seats: Seats,
}

impl Quotas {
    pub fn new(aside: Aside, draining: Draining, seats: Seats) -> Self {
        Self { aside, draining, seats }
    }

    fn queries(&self) -> &Queries {
        &self.aside.queries
    }
}

#[tonic::async_trait]
impl QuotaService for Quotas {
    type WatchQuotasStream = watch::Heard;

    async fn get_status(&self, request: Request<GetStatusRequest>) -> Result<Response<GetStatusResponse>, Status> {
        let caller = Caller::of(&request)?;
        let status = self.aside.run(move |queries| {
            Ok(if caller.is_operator() { queries.status() } else { queries.status_for(caller.project()) })
        });
        let status = status.await?;
        Ok(Response::new(view::status(status)))
    }

    async fn list_projects(
        &self,
        request: Request<ListProjectsRequest>,
    ) -> Result<Response<ListProjectsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let page = Page::take("projects", DEFAULT_PROJECTS, &mut request.into_inner())?;
        let mut projects = self.queries().projects();
        projects.retain(|project| caller.is_operator() || project == caller.project());
        let after = |name: &&str| page.after.as_ref().is_none_or(|after| name.as_bytes() > &after[..]);
        let (names, last) = page.cut(projects.iter().map(Project::as_str).filter(after));
        let next_page_token = last.map(|last| page.token(last.as_bytes())).unwrap_or_default();
        Ok(Response::new(ListProjectsResponse {
            projects: names.into_iter().map(str::to_owned).collect(),
            next_page_token,
        }))
    }

    async fn list_quotas(&self, request: Request<ListQuotasRequest>) -> Result<Response<ListQuotasResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        let page = Page::take("quotas", DEFAULT_QUOTAS, &mut request)?;
        let (project, kinds) = check::kinds_of_project(&request.project, &request.kinds)?;
        let zone = convert::time_zone(&request.time_zone)?;
        let after = page.place_of()?.map(|place| KeyId(u32::from_be_bytes(place)));
        let part = Part { kinds, after, most: Some(page.size) };
        let now = self.queries().service().clock.now();
        let of_verdict = project.clone();
        let answer = move |queries: &Queries| -> Result<_, Error> {
            let list = queries.list(&project, &part, now)?;
            let is_all = part.kinds.is_empty() && part.after.is_none() && !list.more;
            let verdict = match is_all {
                true => view::verdict(&list, &zone),
                false => view::verdict(&*queries.shared_list(&project, now)?, &zone),
            };
            Ok((list, verdict))
        };
        let (list, verdict) = match self.queries().is_at_hand(&of_verdict, &Part::default(), now) {
            true => answer(self.queries())?,
            false => self.aside.run(answer).await?,
        };
        let last = list.quotas.last().filter(|_| list.more);
        Ok(Response::new(ListQuotasResponse {
            next_page_token: last.map(|last| page.token(&last.id.0.to_be_bytes())).unwrap_or_default(),
            quotas: list.quotas.iter().map(view::quota).collect(),
            as_of: Some(view::second(list.as_of)),
            settling: list.settling,
            verdict: Some(verdict),
        }))
    }

    async fn watch_quotas(
        &self,
        request: Request<WatchQuotasRequest>,
    ) -> Result<Response<Self::WatchQuotasStream>, Status> {
        let caller = Caller::of(&request)?;
        let peer = Peer::of(request.extensions());
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        let (project, kinds) = check::kinds_of_project(&request.project, &request.kinds)?;
        let zone = convert::time_zone(&request.time_zone)?;
        self.queries().seen(&project)?;
        let standing = Standing::new(self.queries().service(), &caller);
        Ok(Response::new(watch::start(self.clone(), peer, watch::Watched { project, kinds, zone }, standing)))
    }

    async fn get_history(&self, request: Request<GetHistoryRequest>) -> Result<Response<GetHistoryResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        let service = self.queries().service();
        let tick = service.live.tick(service.clock.now());
        let (project, targets) = check::targets(&service.catalogue, &request)?;
        let columns = check::columns(&request.columns)?;
        let window = check::window(&request, tick)?;
        let answer = self.aside.run(move |queries| {
            let histories = targets.into_iter().map(|target| {
                let tally = queries.tally(&Key { project: project.clone(), target })?;
                let mut history = queries.history(tally.id, &window, columns.detail())?;
                if columns.lowest_peak {
                    queries.add_lowest(tally.id, &window, &mut history)?;
                }
                let limits = if columns.limit { queries.limits_of(tally.id, &window) } else { Vec::new() };
                Ok(view::history(&tally.key.target, history, limits, &columns))
            });
            let histories = histories.collect::<Result<_, Error>>()?;
            Ok(view::histories(&window, histories))
        });
        Ok(Response::new(answer.await?))
    }

    async fn get_distribution(
        &self,
        request: Request<GetDistributionRequest>,
    ) -> Result<Response<GetDistributionResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        let service = self.queries().service();
        let tick = service.live.tick(service.clock.now());
        let (key, hours, wanted) = check::distribution(&service.catalogue, request, tick)?;
        let distributions = self.aside.run(move |queries| {
            let tally = queries.tally(&key)?;
            queries.distribution(tally.id, hours, &wanted)
        });
        Ok(Response::new(view::distributions(distributions.await?)))
    }

    async fn get_heat_map(&self, request: Request<GetHeatMapRequest>) -> Result<Response<GetHeatMapResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        let service = self.queries().service();
        let now = service.clock.now();
        let (key, minutes, zone) = check::heat_map(&service.catalogue, &request, service.live.tick(now))?;
        let found = self.aside.run(move |queries| queries.heat_map(&key, &minutes, &zone, now));
        Ok(Response::new(view::heat_map(found.await?)))
    }

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        let page = Page::take("sessions", DEFAULT_SESSIONS, &mut request)?;
        let service = self.queries().service();
        let (project, filter) = check::sessions(&service.catalogue, request)?;
        let after = page.place_of()?.map(check::place);
        let size = page.size;
        let found = self.aside.run(move |queries| queries.sessions(&project, &filter, after, size)).await?;
        Ok(Response::new(view::sessions(found, &page, service.clock.now().wall)))
    }

    async fn list_annotations(
        &self,
        request: Request<ListAnnotationsRequest>,
    ) -> Result<Response<ListAnnotationsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        let service = self.queries().service();
        let now = service.clock.now();
        let (project, targets, window) = check::annotations(&service.catalogue, &request, now.wall)?;
        let found = self.aside.run(move |queries| queries.annotations(&project, &targets, &window, now)).await?;
        Ok(Response::new(ListAnnotationsResponse { annotations: found.iter().map(view::annotation).collect() }))
    }

    async fn release_session(
        &self,
        request: Request<ReleaseSessionRequest>,
    ) -> Result<Response<ReleaseSessionResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        let (project, incarnation, named) = check::release(&request)?;
        let ReleaseSessionRequest { session_id, reason, .. } = request;
        let not_found = || Error::NotFound { what: "session", name: session_id.clone() };
        let (id, link) =
            self.queries().service().live.find_session(&project, incarnation, named).ok_or_else(not_found)?;
        let worker = (project.clone(), incarnation);
        let nobody_to_ask = || Error::OutOfOrder("its worker can't be asked now: try again, or end it there".into());
        if link == Link::Stream && !self.seats.is_taken(&worker) {
            return Err(nobody_to_ask().into());
        }
        let (told_id, told_reason) = (session_id.clone(), reason.clone());
        let released = self.aside.run(move |queries| {
            let (service, session) = (queries.service(), (&project, incarnation, id));
            service.release_session(session, &told_id, &told_reason, &caller.actor(), service.clock.now())
        });
        match released.await? {
            // It ended by itself meanwhile, or by hand: either way it holds nothing any more.
            Released::Freed | Released::Unknown => Ok(Response::new(ReleaseSessionResponse { released: true })),
            Released::Held if self.seats.ask(&worker, Ask { session: id, reason }) => {
                Ok(Response::new(ReleaseSessionResponse { released: false }))
            }
            Released::Held => Err(nobody_to_ask().into()),
        }
    }
}
