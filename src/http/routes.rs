//! Who answers which path: the gRPC services with health and reflection, the pages that a load balancer asks for, the one
//! that Prometheus does, and to everything else the page that people look at.

use std::{
    convert::Infallible,
    future::ready as at_once,
    hash::BuildHasher as _,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    extract::{Request as Asked, State},
    http::{Request, Response, StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use hyper::body::Incoming;
use rustc_hash::FxBuildHasher;
use tokio::time::{Sleep, sleep};
use tonic::{Code, Status, body::Body, server::NamedService};
use tonic_health::{
    ServingStatus,
    pb::{FILE_DESCRIPTOR_SET, health_server::HealthServer},
    server::{HealthReporter, HealthService},
};
use tonic_reflection::server::{Builder as Reflection, Error as ReflectionError};
use tower::Service as _;

use crate::{
    api::{
        admin::Admin,
        alert::Alerts,
        aside::Aside,
        auth::{self, standing::Standing, table},
        chain::Chains,
        demo::Demo,
        forecast::Forecasts,
        ingest::{Ingest, asks::MOST_WAIT},
        limit::Limits,
        notices::{Draining, Notices},
        peer::Peer,
        quota::Quotas,
        request::Requests,
        routed::RouteSignals,
    },
    error::Error,
    http::{
        accept::Places,
        ends::EndsWithCredential,
        livekit,
        metrics::{self, Scrapes},
        page::Page,
        sign_in, unsubscribe,
        web::{self, Sent},
    },
    proto::{
        self, admin_service_server::AdminServiceServer, alert_service_server::AlertServiceServer,
        chain_service_server::ChainServiceServer, demo_service_server::DemoServiceServer,
        forecast_service_server::ForecastServiceServer, ingest_service_server::IngestServiceServer,
        limit_service_server::LimitServiceServer, quota_service_server::QuotaServiceServer,
        request_service_server::RequestServiceServer, route_service_server::RouteServiceServer,
    },
    query::Queries,
    service::{
        Service,
        guard::{Caller, Why},
    },
};

/// Reflection, in all its versions.
const REFLECTION: &str = "/grpc.reflection.";
/// How long a call may take to be whole and to have its first answer; workers' streams are answered at once.
const CALL_WITHIN: Duration = Duration::from_secs(30);
/// The call that may wait for a slot before it is answered.
const ACQUIRE: &str = "/highwater.v1.IngestService/Acquire";

/// How long that may take.
const WAITING_CALL_WITHIN: Duration = CALL_WITHIN.saturating_add(MOST_WAIT);

/// The services whose health is told, beside that of the whole.
const SERVICES: &[&str] = &[
    IngestServiceServer::<Ingest>::NAME,
    QuotaServiceServer::<Quotas>::NAME,
    LimitServiceServer::<Limits>::NAME,
    ForecastServiceServer::<Forecasts>::NAME,
    ChainServiceServer::<Chains>::NAME,
    RequestServiceServer::<Requests>::NAME,
    AlertServiceServer::<Alerts>::NAME,
    AdminServiceServer::<Admin>::NAME,
    RouteServiceServer::<RouteSignals>::NAME,
];

/// What the plain pages are made of.
#[derive(Clone)]
struct Pages {
    service: Arc<Service>,
    draining: Draining,
}

/// Who answers which path. What workers and dashboards call is found by a look at its path; what is asked seldom lies in
/// a router.
pub struct Routes {
    service: Arc<Service>,
    ingest: IngestServiceServer<Ingest>,
    quotas: QuotaServiceServer<Quotas>,
    limits: LimitServiceServer<Limits>,
    forecasts: ForecastServiceServer<Forecasts>,
    chains: ChainServiceServer<Chains>,
    requests: RequestServiceServer<Requests>,
    alerts: AlertServiceServer<Alerts>,
    admin: AdminServiceServer<Admin>,
    /// Health, reflection and the plain pages.
    others: Router,
}

/// A call that is answered in time, or told that it is not. As small as can be: it is moved into a task of its own.
pub struct Answer {
    call: Call,
    late: Option<Pin<Box<Sleep>>>,
    /// How long it may take.
    within: Duration,
    service: Arc<Service>,
}

pub(super) type Call = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl Routes {
    /// All routes.
    ///
    /// # Errors
    /// When the descriptors of the contract can't be read.
    pub fn new(
        service: &Arc<Service>,
        notices: &Notices,
        health: HealthReporter,
        places: &Arc<Places>,
    ) -> Result<Self, ReflectionError> {
        let message_bytes = service.config.connections.message_bytes;
        let aside = Aside::new(Arc::new(Queries::new(service.clone())));
        let ingest = Ingest::new(service.clone(), aside.clone(), notices.clone());
        let admin = Admin::new(aside.clone());
        let forecasts = Forecasts::new(aside.clone());
        let quotas = Quotas::new(aside.clone(), notices.draining.clone(), ingest.seats().clone());
        let chains = Chains::new(aside.clone());
        let requests = Requests::new(aside.clone());
        let alerts = Alerts::new(aside.clone());
        let signals = RouteSignals::new(service.clone(), notices.draining.clone());
        let reflection = || {
            Reflection::configure()
                .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
                .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        };
        let of_all = tonic::service::Routes::new(HealthServer::new(HealthService::from_health_reporter(health)))
            .add_service(DemoServiceServer::new(Demo::new(service.clone())).max_decoding_message_size(message_bytes))
            .add_service(RouteServiceServer::new(signals).max_decoding_message_size(message_bytes))
            .add_service(reflection().build_v1()?)
            .add_service(reflection().build_v1alpha()?);
        let pages = Router::new()
            .route("/healthz", get(alive))
            .route("/readyz", get(ready))
            .with_state(Pages { service: service.clone(), draining: notices.draining.clone() });
        let scrapes = Scrapes::new(service.clone(), places.clone());
        let metrics = Router::new().route("/metrics", get(metrics::page)).with_state(scrapes);
        let livekit = Router::new().route("/livekit/webhook", post(livekit::webhook)).with_state(service.clone());
        let unsubscribing = Router::new()
            .route("/alerts/unsubscribe", get(unsubscribe::ask).post(unsubscribe::end))
            .with_state(service.clone());
        let signing_in = Router::new()
            .route(auth::browser::SIGN_IN, post(sign_in::sign_in).delete(sign_in::sign_out))
            .with_state(service.clone());
        let page = Arc::new(Page::built());
        let others = of_all
            .into_axum_router()
            .fallback(move |request: Asked| at_once(otherwise(&page, &request)))
            .merge(pages)
            .merge(metrics)
            .merge(livekit)
            .merge(unsubscribing)
            .merge(signing_in);
        Ok(Self {
            service: service.clone(),
            ingest: IngestServiceServer::new(ingest).max_decoding_message_size(message_bytes),
            quotas: QuotaServiceServer::new(quotas).max_decoding_message_size(message_bytes),
            limits: LimitServiceServer::new(Limits::new(aside)).max_decoding_message_size(message_bytes),
            forecasts: ForecastServiceServer::new(forecasts).max_decoding_message_size(message_bytes),
            chains: ChainServiceServer::new(chains).max_decoding_message_size(message_bytes),
            requests: RequestServiceServer::new(requests).max_decoding_message_size(message_bytes),
            alerts: AlertServiceServer::new(alerts).max_decoding_message_size(message_bytes),
            admin: AdminServiceServer::new(admin).max_decoding_message_size(message_bytes),
            others,
        })
    }

    /// Begins to answer a call, and notes on its connection that it came.
    pub fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Answer {
        if let Some(peer) = request.extensions().get::<Arc<Peer>>() {
            peer.call();
        }
        if web::is_grpc_web(request.headers()) {
            let routes = self.clone();
            // It is timed and checked inside, where its answer is still one of gRPC.
            let call = web::answer(request, move |request| routes.begin(request));
            return Answer { call, late: None, within: WAITING_CALL_WITHIN, service: self.service.clone() };
        }
        self.begin(request)
    }

    fn begin(&self, request: Request<impl Sent>) -> Answer {
        let within = within(request.uri().path());
        Answer { call: self.gated(request), late: None, within, service: self.service.clone() }
    }

    /// Lets a call in with who makes it, or answers why not; and holds reads to their pace. The pages are open, and
    /// metrics and webhooks look for themselves.
    fn gated(&self, mut request: Request<impl Sent>) -> Call {
        let Some(rule) = table::rule(request.uri().path()) else { return self.other(request) };
        let peer = Peer::of(request.extensions());
        let admitted = auth::admit(&self.service, rule, &request, &peer);
        let admitted = admitted.and_then(|caller| {
            let reads = is_read(request.uri().path()).then(|| reader(caller.as_deref(), peer.address())).flatten();
            let now = self.service.clock.now().mono;
            reads.map_or(Ok(()), |reader| self.service.guard.read(reader, now)).map(|()| caller)
        });
        let caller = match admitted {
            Ok(caller) => caller,
            Err(error) => return Box::pin(at_once(Ok(Status::from(error).into_http()))),
        };
        // What it was let in by is not for the services to see.
        request.headers_mut().remove(header::AUTHORIZATION);
        request.headers_mut().remove(header::COOKIE);
        let Some(caller) = caller else { return self.other(request) };
        // The streams of our services look for themselves.
        let standing = request.uri().path().starts_with(REFLECTION).then(|| Standing::new(&self.service, &caller));
        request.extensions_mut().insert(caller);
        let Some(standing) = standing else { return self.called(request) };
        let answer = self.other(request);
        Box::pin(async { Ok(answer.await?.map(|body| Body::new(EndsWithCredential::new(body, standing)))) })
    }

    /// The answer of one of our services.
    fn called(&self, request: Request<impl Sent>) -> Call {
        let of = |name: &str| request.uri().path().strip_prefix('/').is_some_and(|path| path.starts_with(name));
        match () {
            () if of(IngestServiceServer::<Ingest>::NAME) => self.ingest.clone().call(request),
            () if of(QuotaServiceServer::<Quotas>::NAME) => self.quotas.clone().call(request),
            () if of(LimitServiceServer::<Limits>::NAME) => self.limits.clone().call(request),
            () if of(ForecastServiceServer::<Forecasts>::NAME) => self.forecasts.clone().call(request),
            () if of(ChainServiceServer::<Chains>::NAME) => self.chains.clone().call(request),
            () if of(RequestServiceServer::<Requests>::NAME) => self.requests.clone().call(request),
            () if of(AlertServiceServer::<Alerts>::NAME) => self.alerts.clone().call(request),
            () if of(AdminServiceServer::<Admin>::NAME) => self.admin.clone().call(request),
            () => self.other(request),
        }
    }

    fn other(&self, request: Request<impl Sent>) -> Call {
        let answer = self.others.clone().call(request);
        Box::pin(async { Ok(answer.await?.map(Body::new)) })
    }
}

impl Answer {
    /// A message that is too large gets the status that names its bound.
    fn checked(&self, response: Response<Body>) -> Response<Body> {
        match response.extensions().get::<Status>() {
            // tonic's word for it; no service here uses this code for anything else.
            Some(status) if status.code() == Code::OutOfRange => Status::from(self.service.too_large()).into_http(),
            _ => response,
        }
    }
}

impl Future for Answer {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(response) = self.call.as_mut().poll(context) {
            return Poll::Ready(response.map(|response| self.checked(response)));
        }
        let within = self.within;
        // Most are answered at once, and need no timer.
        let late = self.late.get_or_insert_with(|| Box::pin(sleep(within)));
        late.as_mut().poll(context).map(|()| {
            self.service.guard.count(Why::CallTime);
            let late = format!("the call was not whole, or not answered, within {} s", within.as_secs());
            Ok(Status::deadline_exceeded(late).into_http())
        })
    }
}

/// How long the call of a path may take.
fn within(path: &str) -> Duration {
    if path == ACQUIRE { WAITING_CALL_WITHIN } else { CALL_WITHIN }
}

/// Tells those who ask for the health of the services.
pub async fn set_health(health: &HealthReporter, status: ServingStatus) {
    for name in SERVICES.iter().chain(&[""]) {
        health.set_service_status(name, status).await;
    }
}

/// The process is there.
async fn alive() -> &'static str {
    "ok\n"
}

/// Whether workers should come here, and what is wrong. A service that still learns what its workers hold is ready: it
/// needs them. So is one whose store is away: it counts on.
async fn ready(State(pages): State<Pages>) -> axum::response::Response {
    let (service, plain) = (&pages.service, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")]);
    // Anyone may ask, and words of troubles may name a file: operators are told them by `highwater status`.
    let whole = service.config.dev;
    let said = |word: &str, lines: Vec<String>| -> String {
        let part = |line: &String| if whole { line.len() } else { line.find(':').unwrap_or(line.len()) };
        lines.iter().map(|line| format!("{word}: {}\n", &line[..part(line)])).collect()
    };
    let is_draining = pages.draining.has_begun();
    let (status, word) = match (is_draining || service.health.no_use().is_some(), service.live.is_settling()) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
        (false, true) => (StatusCode::OK, "ready, settling"),
        (false, false) => (StatusCode::OK, "ready"),
    };
    let draining = if is_draining { "service: shutting down\n" } else { "" };
    let degraded = said("degraded", service.health.degraded());
    let warnings = said("warning", service.health.warnings());
    (status, plain, format!("{word}\n{draining}{degraded}{warnings}")).into_response()
}

/// What nobody else answers: an address of the page, or a call that there is not.
fn otherwise(page: &Page, request: &Asked) -> Response<Body> {
    let of_page = page.answer(request.method(), request.uri().path(), request.headers());
    of_page.unwrap_or_else(|| Status::from(Error::Unserved).into_http())
}

/// Whether a path is a person's or a program's question or decision, and no worker's report or stream, health or page.
fn is_read(path: &str) -> bool {
    let service = path.strip_prefix("/highwater.v1.").and_then(|path| path.split_once('/'));
    service
        .is_some_and(|(service, call)| service != "IngestService" && (service, call) != ("RouteService", "WatchRoutes"))
}

/// Who reads: the key that they were let in by, so that those behind one proxy don't pay for each other; else their address.
fn reader(caller: Option<&auth::Caller>, address: Option<IpAddr>) -> Option<Caller> {
    match caller.and_then(auth::Caller::pass) {
        Some(pass) => Some(Caller::Credential(FxBuildHasher.hash_one(pass.id()))),
        None => address.map(Caller::Address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_waits_for_a_slot_is_not_cut_off_before_its_time() {
        let path = |call: &str| format!("/{}/{call}", IngestServiceServer::<Ingest>::NAME);
        assert!(within(&path("Acquire")) > MOST_WAIT + Duration::from_secs(10));
        assert_eq!(within(&path("Report")), CALL_WITHIN);
    }
}
