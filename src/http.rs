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
//! - [`page`]: the page that browsers show.
//! - [`sign_in`]: browsers sign in and out.
//! - [`web`]: browsers' calls, as gRPC-Web.
//! - [`metrics`]: the page that Prometheus scrapes, made once a second at most.

pub mod accept;
pub mod connection;
mod ends;
pub mod livekit;
pub mod metrics;
mod page;
pub mod routes;
pub mod serve;
mod sign_in;
pub mod tls;
mod unsubscribe;
mod web;

use std::{io, net::SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel holds for us: all workers of a service that restarted may come in one second.
const BACKLOG: i32 = 8_192;
/// Where a browser finds the page of a service that listens on an address.
pub fn page_url(address: SocketAddr, is_tls: bool) -> String {
    let scheme = if is_tls { "https" } else { "http" };
    match address.ip().is_unspecified() {
        // All addresses of this machine: the name that it has for itself.
        true => format!("{scheme}://localhost:{}/", address.port()),
        false => format!("{scheme}://{address}/"),
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_where_it_can_be_opened() {
        let check = |address: &str, is_tls: bool, url: &str| {
            assert_eq!(page_url(address.parse().expect("an address"), is_tls), url);
        };
        check("127.0.0.1:7422", false, "http://127.0.0.1:7422/");
        check("[::1]:7422", false, "http://[::1]:7422/");
        check("0.0.0.0:7422", true, "https://localhost:7422/");
    }
}
