//! What workers report: the stream that each keeps open, and unary calls under a lease for those that can't.
//!
//! - `attach` waits: for messages, for durable seconds, for the end of the service.
//! - [`conversation`] decides what a message does and is answered, without waiting.
//! - [`handles`], [`decode`]: from messages to events.
//! - `pace`: how fast a stream is read.
//! - [`seats`]: one stream an incarnation.
//! - [`unary`]: reports without a stream.
//! - [`asks`], [`acquire`], [`answer`]: slots that are asked for: what is said, what is waited for, what is told.

pub mod acquire;
pub mod answer;
pub mod asks;
mod attach;
pub mod conversation;
pub mod decode;
pub mod handles;
mod pace;
pub mod seats;
pub mod unary;

use std::sync::Arc;

use tokio::{sync::mpsc, time::Instant};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    api::{
        aside::Aside,
        auth::Caller,
        convert,
        ingest::{
            acquire::{Asked, Told},
            asks::Wants,
            seats::Seats,
        },
        notices::Notices,
        peer::Peer,
    },
    error::Error,
    live::{BoundReached, Gone, Refusal},
    proto::{
        AcquireRequest, AcquireResponse, AttachRequest, AttachResponse, GoodbyeRequest, GoodbyeResponse,
        HeartbeatRequest, HeartbeatResponse, ReleaseRequest, ReleaseResponse, ReportRequest, ReportResponse,
        acquire_response::Result as Outcome, ingest_service_server::IngestService,
    },
    service::Service,
};

/// Answers that wait for a worker to read them. More than a few wait only when it does not read at all.
const WAITING_ANSWERS: usize = 64;

/// The ingest service.
#[derive(Clone, Debug)]
pub struct Ingest {
    service: Arc<Service>,
    aside: Aside,
    notices: Notices,
    seats: Seats,
}

impl Ingest {
    pub fn new(service: Arc<Service>, aside: Aside, notices: Notices) -> Self {
        Self { service, aside, notices, seats: Seats::default() }
    }

    /// The seats of its streams, for those who have something to ask of a worker.
    pub fn seats(&self) -> &Seats {
        &self.seats
    }
}

#[tonic::async_trait]
impl IngestService for Ingest {
    type AttachStream = ReceiverStream<Result<AttachResponse, Status>>;

    async fn attach(&self, request: Request<Streaming<AttachRequest>>) -> Result<Response<Self::AttachStream>, Status> {
        let peer = Peer::of(request.extensions());
        let (answers, waiting) = mpsc::channel(WAITING_ANSWERS);
        let (notices, seats) = (self.notices.clone(), self.seats.clone());
        let caller = Caller::of(&request)?;
        let service = (self.service.clone(), self.aside.clone());
        let stream = attach::Stream::new(service, notices, seats, (peer, caller), answers);
        // Not a task beside the stream but the stream itself: it ends with it, and drops what it holds.
        tokio::spawn(stream.run(request.into_inner()));
        Ok(Response::new(ReceiverStream::new(waiting)))
    }

    async fn report(&self, request: Request<ReportRequest>) -> Result<Response<ReportResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        let reported = unary::report(&self.service, &request, self.service.clock.now());
        Ok(Response::new(reported.inspect_err(|error| self.service.counts.ingest.refused(error))?))
    }

    async fn heartbeat(&self, request: Request<HeartbeatRequest>) -> Result<Response<HeartbeatResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        Ok(Response::new(unary::heartbeat(&self.service, &request, self.service.clock.now())?))
    }

    async fn goodbye(&self, request: Request<GoodbyeRequest>) -> Result<Response<GoodbyeResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        Ok(Response::new(unary::goodbye(&self.service, &request, self.service.clock.now())?))
    }

    async fn acquire(&self, request: Request<AcquireRequest>) -> Result<Response<AcquireResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        let service = &self.service;
        let now = service.clock.now();
        let (who, wants, wait) = asks::acquire(service, &request, now)?;
        let ask = match wants {
            Wants::Ask(ask) => ask,
            Wants::Refused(refused) => {
                let result = Some(Outcome::Refused(refused));
                return Ok(Response::new(AcquireResponse { result, lease_until: None }));
            }
        };
        let asked = acquire::ask(service, &who, &ask, now).inspect_err(|error| service.counts.ingest.refused(error))?;
        let (told, lease_end) = match asked {
            Asked::Told(told, lease_end) => (told, lease_end),
            Asked::Pending(pending) => {
                // In a box, since few calls ever wait and all would have to keep room for it.
                Box::pin(acquire::wait(&self.aside, &who, &ask, pending, Instant::now() + wait)).await?
            }
        };
        let result = match told {
            Told::Granted(granted) => Outcome::Granted(granted),
            Told::Refused(refused) => Outcome::Refused(refused),
        };
        let now = service.clock.now();
        let lease_until = Some(convert::to_timestamp(now.wall.after(lease_end.since(now.mono))));
        Ok(Response::new(AcquireResponse { result: Some(result), lease_until }))
    }

    async fn release(&self, request: Request<ReleaseRequest>) -> Result<Response<ReleaseResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        let (who, id, outcome) = asks::release(&self.service, &request)?;
        let result = acquire::give_back(&self.service, &who, id, outcome, self.service.clock.now())?;
        Ok(Response::new(ReleaseResponse { result: result as i32 }))
    }
}

impl From<BoundReached> for Error {
    fn from(bound: BoundReached) -> Self {
        Self::Bound { name: bound.what, most: bound.most }
    }
}

impl From<Gone> for Error {
    fn from(gone: Gone) -> Self {
        match gone {
            Gone::Superseded => Self::Superseded,
            Gone::Ended => Self::OutOfOrder("this incarnation has said goodbye: a new one is needed".into()),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Bound(bound) => bound.into(),
            Refusal::Gone(gone) => gone.into(),
        }
    }
}
