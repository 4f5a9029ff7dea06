//! One connection: its socket and its place. It ends when no call came in time, or when a call says so.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};
use tonic::transport::server::Connected;

use crate::{
    api::peer::Peer,
    http::accept::{Accepted, Place},
};

/// How long a connection may be open before its first call.
const FIRST_CALL_WITHIN: Duration = Duration::from_secs(10);

/// A connection that is served.
#[derive(Debug)]
pub struct Connection {
    socket: TcpStream,
    peer: Arc<Peer>,
    /// Until the first call came.
    first_call: Option<Pin<Box<Sleep>>>,
    _place: Place,
}

impl Connection {
    /// Begins to serve it on this thread's runtime.
    ///
    /// # Errors
    /// When the runtime can't watch the socket.
    pub fn new(accepted: Accepted) -> io::Result<Self> {
        Ok(Self {
            socket: TcpStream::from_std(accepted.socket)?,
            peer: Arc::new(Peer::from_address(accepted.place.address())),
            first_call: Some(Box::pin(sleep(FIRST_CALL_WITHIN))),
            _place: accepted.place,
        })
    }

    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.peer.is_closed(context) {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "closed by a call"));
        }
        if let Some(too_long) = &mut self.first_call {
            if self.peer.has_called() {
                self.first_call = None;
            } else if too_long.as_mut().poll(context).is_ready() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "no call came in time"));
            }
        }
        Ok(())
    }
}

impl Connected for Connection {
    type ConnectInfo = Arc<Peer>;

    fn connect_info(&self) -> Arc<Peer> {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.socket).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
