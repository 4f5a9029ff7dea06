//! The port: one listener for gRPC and the plain pages, and a small server on each core. It knows nothing of what is
//! said on it.
//!
//! - [`accept`]: connections are taken, counted against their bounds, and dealt out to the cores.
//! - [`connection`]: one of them.
//! - [`ends`]: responses that end with a credential.
//! - [`livekit`]: LiveKit's webhooks.
//! - [`serve`]: the server of a core, and the bounds of HTTP.
//! - [`tls`]: certificates, and their change.
//! - [`routes`]: who answers which path.
//! - [`web`]: browsers' calls, as gRPC-Web.
//! - [`metrics`]: the page that Prometheus scrapes, made once a second at most.

pub mod accept;
pub mod connection;
mod ends;
pub mod livekit;
pub mod metrics;
pub mod routes;
pub mod serve;
pub mod tls;
mod web;

use std::{io, net::SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel holds for us: all workers of a service that restarted may come in one second.
const BACKLOG: i32 = 8_192;
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
