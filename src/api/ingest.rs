//! What workers report: the stream that each keeps open, and unary calls under a lease for those that can't.
//!
//! - `attach` waits: for messages, for durable seconds, for the end of the service.
//! - [`conversation`] decides what a message does and is answered, without waiting.
//! - [`handles`], [`decode`]: from messages to events.
//! - `pace`: how fast a stream is read.
//! - [`seats`]: one stream an incarnation.
//! - [`unary`]: reports without a stream.

mod attach;
pub mod conversation;
pub mod decode;
pub mod handles;
mod pace;
pub mod seats;
pub mod unary;

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    api::{auth::Caller, ingest::seats::Seats, notices::Notices, peer::Peer},
    error::Error,
    live::{BoundReached, Gone, Refusal},
    proto::{
        AttachRequest, AttachResponse, GoodbyeRequest, GoodbyeResponse, HeartbeatRequest, HeartbeatResponse,
        ReportRequest, ReportResponse, ingest_service_server::IngestService,
    },
    service::Service,
};

/// Answers that wait for a worker to read them. More than a few wait only when it does not read at all.
const WAITING_ANSWERS: usize = 64;

/// The ingest service.
#[derive(Clone, Debug)]
pub struct Ingest {
    service: Arc<Service>,
    notices: Notices,
    seats: Seats,
}

impl Ingest {
    pub fn new(service: Arc<Service>, notices: Notices) -> Self {
        Self { service, notices, seats: Seats::default() }
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
        let stream = attach::Stream::new(self.service.clone(), notices, seats, (peer, caller), answers);
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
