//! The port: one listener for gRPC and the plain pages, and a small server on each core. It knows nothing of what is
//! said on it.
//!
//! - [`accept`]: connections are taken, counted against their bounds, and dealt out to the cores.
//! - [`connection`]: one of them.
//! - [`livekit`]: LiveKit's webhooks.
//! - [`routes`]: who answers which path.
//! - [`metrics`]: the page that Prometheus scrapes, made once a second at most.

pub mod accept;
pub mod connection;
pub mod livekit;
pub mod metrics;
pub mod routes;

use std::{io, net::SocketAddr, time::Duration};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::mpsc;
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::{service::Routes, transport::Server};

use crate::{
    api::notices::Draining,
    config::ConnectionBounds,
    http::{accept::Accepted, connection::Connection},
};

/// Connections that the kernel holds for us: all workers of a service that restarted may come in one second.
const BACKLOG: i32 = 8_192;
/// Bytes that a client may send on one call before it must wait: two thirds of a second's worth at 100 kB/s, and what a
/// call that is not read can cost.
const STREAM_WINDOW_BYTES: u32 = 64 * 1_024;
/// The same for all calls of a connection: a full batch is on its way while another is read.
const CONNECTION_WINDOW_BYTES: u32 = 256 * 1_024;
/// The least that HTTP/2 allows: buffers are of this size.
const FRAME_BYTES: u32 = 16 * 1_024;
/// Headers of one call; calls have few.
const HEADER_BYTES: u32 = 8 * 1_024;
/// A connection that says nothing is asked whether it is there, and closed when it does not say so.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long calls may go on when the service goes away: workers have 2 s to leave, and some of that again.
const DRAIN_GRACE: Duration = Duration::from_millis(3_500);

/// Binds the port. From here on the kernel holds connections until they are taken.
///
/// # Errors
/// When the address is taken, or not there.
pub fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A service that is started again must not wait for the connections of the one before.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Serves the connections that it is dealt, on the thread that calls it, until the service goes away.
///
/// # Errors
/// When the runtime can't be started.
pub fn serve(
    connections: mpsc::Receiver<Accepted>,
    routes: Routes,
    bounds: &ConnectionBounds,
    mut draining: Draining,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let server = Server::builder()
        .accept_http1(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES)
        .http2_max_header_list_size(HEADER_BYTES)
        .max_concurrent_streams(bounds.streams_each)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .add_routes(routes);
    runtime.block_on(async {
        let connections = ReceiverStream::new(connections).map(Connection::new);
        let mut drained = draining.clone();
        let serving = server.serve_with_incoming_shutdown(connections, async move { drained.begun().await });
        let too_long = async {
            draining.begun().await;
            tokio::time::sleep(DRAIN_GRACE).await;
        };
        tokio::select! {
            served = serving => {
                if let Err(error) = served {
                    tracing::error!(%error, "a server ended");
                }
            }
            () = too_long => tracing::info!("calls that did not end in time are cut off"),
        }
    });
    Ok(())
}
