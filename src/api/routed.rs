//! Routes over gRPC: as messages, and to those who watch them without a worker's stream.

use std::{pin::Pin, sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::sleep};
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::{Request, Response, Status};

use crate::{
    api::{
        auth::{Caller, standing::Standing},
        convert,
        notices::Draining,
        peer::Peer,
    },
    error::Error,
    proto::{
        self, GetRoutesRequest, GetRoutesResponse, WatchRoutesRequest, WatchRoutesResponse,
        route_service_server::RouteService,
    },
    route::{Condition, decide::Stand},
    service::{
        Service,
        routing::{Listener, Routed, Version},
    },
};

/// After so long without a new version the last is told again, so that there is one in any 15 s: a reader must know a quiet
/// project from a broken line.
const BEAT: Duration = Duration::from_secs(14);
/// Messages that wait for the reader: the next one is made when this one is taken.
const WAITING: usize = 1;

/// The route service.
#[derive(Clone, Debug)]
pub struct RouteSignals {
    service: Arc<Service>,
    draining: Draining,
}

/// What a reader hears.
pub type Heard = Pin<Box<dyn Stream<Item = Result<WatchRoutesResponse, Status>> + Send>>;

impl RouteSignals {
    pub fn new(service: Arc<Service>, draining: Draining) -> Self {
        Self { service, draining }
    }
}

#[tonic::async_trait]
impl RouteService for RouteSignals {
    type WatchRoutesStream = Heard;

    async fn get_routes(&self, request: Request<GetRoutesRequest>) -> Result<Response<GetRoutesResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        let project = convert::reported_project(&request.project)?;
        let version = self.service.routes_of(&project, self.service.clock.now());
        Ok(Response::new(GetRoutesResponse { routes: Some(to_routes(&version)) }))
    }

    async fn watch_routes(
        &self,
        request: Request<WatchRoutesRequest>,
    ) -> Result<Response<Self::WatchRoutesStream>, Status> {
        let caller = Caller::of(&request)?;
        let peer = Peer::of(request.extensions());
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        let project = convert::reported_project(&request.project)?;
        let routes = self.service.listen_to_routes(&project, self.service.clock.now());
        let standing = Standing::new(&self.service, &caller);
        let (told, waiting) = mpsc::channel(WAITING);
        // Why it ends has a place of its own: a reader that is behind hears it after what waits.
        let (last, end) = mpsc::channel(1);
        let draining = self.draining.clone();
        tokio::spawn(async move {
            if let Some(error) = watch(routes, standing, draining, peer, told).await {
                // An error means that the reader has gone.
                let _ = last.try_send(Err(error.into()));
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(waiting).chain(ReceiverStream::new(end)))))
    }
}

/// Tells the newest until it ends, and why it does; nothing when its reader has gone.
async fn watch(
    mut routes: Listener,
    mut standing: Standing,
    mut draining: Draining,
    peer: Arc<Peer>,
    told: mpsc::Sender<Result<WatchRoutesResponse, Status>>,
) -> Option<Error> {
    let mut is_first = true;
    loop {
        // The newest is taken only when there is room for it: what came meanwhile is skipped.
        let room = tokio::select! {
            room = told.reserve() => room,
            () = draining.begun() => return Some(Error::ShuttingDown),
            error = standing.lost() => return Some(error),
            () = peer.is_old() => return Some(Error::ShuttingDown),
        };
        let Ok(room) = room else { return None };
        if !std::mem::take(&mut is_first) {
            tokio::select! {
                () = routes.changed() => {}
                () = sleep(BEAT) => {}
                () = draining.begun() => return Some(Error::ShuttingDown),
                error = standing.lost() => return Some(error),
                () = peer.is_old() => return Some(Error::ShuttingDown),
                () = told.closed() => return None,
            }
        }
        room.send(Ok(WatchRoutesResponse { routes: Some(to_routes(&routes.newest())) }));
    }
}

pub fn to_routes(version: &Version) -> proto::Routes {
    proto::Routes {
        version: version.number,
        make_time: (version.number > 0).then(|| convert::to_timestamp(version.made_at)),
        chains: version.chains.iter().map(to_chain).collect(),
    }
}

fn to_chain(routed: &Routed) -> proto::ChainRoute {
    let Routed { chain, route, held, .. } = routed;
    let models = chain.models.iter().zip(&route.models).zip(held).map(|((meter, model), held)| proto::ModelRoute {
        meter: Some(convert::to_meter(meter)),
        percent: model.percent,
        stand: to_stand(model.stand) as i32,
        condition: to_condition(model.condition) as i32,
        learned_ceiling: model.ceiling,
        held: *held,
    });
    proto::ChainRoute {
        chain: chain.name.to_string(),
        kind: chain.kind as i32,
        leader: u32::try_from(route.leader).unwrap_or(0),
        models: models.collect(),
    }
}

const fn to_stand(stand: Stand) -> proto::Stand {
    match stand {
        Stand::Open => proto::Stand::Open,
        Stand::Filling => proto::Stand::Filling,
        Stand::Full => proto::Stand::Full,
        Stand::Down => proto::Stand::Down,
        Stand::Probing => proto::Stand::Probing,
        Stand::Drained => proto::Stand::Drained,
        Stand::Pinned => proto::Stand::Pinned,
    }
}

pub const fn to_condition(condition: Condition) -> proto::Condition {
    match condition {
        Condition::Up => proto::Condition::Up,
        Condition::Down => proto::Condition::Down,
        Condition::Probing => proto::Condition::Probing,
    }
}
