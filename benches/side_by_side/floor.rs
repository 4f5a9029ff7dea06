//! The floor: a tonic service that does nothing, served as Highwater serves (a current-thread runtime a core, the same
//! codec and allocator). What it spends is what any call costs.

use std::{io::Write as _, net::SocketAddr, pin::Pin, thread};

use highwater::proto::{
    AcquireRequest, AcquireResponse, AttachRequest, AttachResponse, GoodbyeRequest, GoodbyeResponse, HeartbeatRequest,
    HeartbeatResponse, ReleaseRequest, ReleaseResponse, ReportRequest, ReportResponse,
    ingest_service_server::{IngestService, IngestServiceServer},
};
use tokio::{net::TcpStream, sync::mpsc};
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming, transport::Server};

/// What makes this program the empty service.
pub const ARGUMENT: &str = "--floor";

struct Empty;

#[tonic::async_trait]
impl IngestService for Empty {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<AttachResponse, Status>> + Send>>;

    async fn attach(&self, _: Request<Streaming<AttachRequest>>) -> Result<Response<Self::AttachStream>, Status> {
        Err(Status::unimplemented("the floor has no streams"))
    }

    async fn report(&self, _: Request<ReportRequest>) -> Result<Response<ReportResponse>, Status> {
        Ok(Response::new(ReportResponse::default()))
    }

    async fn heartbeat(&self, _: Request<HeartbeatRequest>) -> Result<Response<HeartbeatResponse>, Status> {
        Ok(Response::new(HeartbeatResponse::default()))
    }

    async fn goodbye(&self, _: Request<GoodbyeRequest>) -> Result<Response<GoodbyeResponse>, Status> {
        Ok(Response::new(GoodbyeResponse::default()))
    }

    async fn acquire(&self, _: Request<AcquireRequest>) -> Result<Response<AcquireResponse>, Status> {
        Ok(Response::new(AcquireResponse::default()))
    }

    async fn release(&self, _: Request<ReleaseRequest>) -> Result<Response<ReleaseResponse>, Status> {
        Ok(Response::new(ReleaseResponse::default()))
    }
}

/// Serves until the process is ended.
pub fn serve() {
    let listener = std::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port is free");
    println!("listening on {}", listener.local_addr().expect("it is bound"));
    std::io::stdout().flush().expect("whoever started it reads");
    let servers: Vec<_> = (0..thread::available_parallelism().map_or(1, usize::from))
        .map(|_| {
            let (dealer, connections) = mpsc::channel::<std::net::TcpStream>(16);
            thread::spawn(move || serve_dealt(connections));
            dealer
        })
        .collect();
    for (socket, server) in listener.incoming().zip(servers.iter().cycle()) {
        server.blocking_send(socket.expect("connections can be taken")).expect("a server goes on");
    }
}

fn serve_dealt(connections: mpsc::Receiver<std::net::TcpStream>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    let sockets = ReceiverStream::new(connections).map(|socket| {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        TcpStream::from_std(socket)
    });
    let server = Server::builder().add_service(IngestServiceServer::new(Empty));
    runtime.block_on(server.serve_with_incoming(sockets)).expect("the server goes on");
}
