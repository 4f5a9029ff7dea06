//! One connection: its socket, in TLS or plain, and its place. It ends when no call came in time, or when a call says so.

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
    time::{Sleep, sleep, timeout},
};
use tokio_rustls::server::TlsStream;

use crate::{
    api::peer::Peer,
    http::{
        accept::{Accepted, Place},
        tls::{Certificates, certificate},
    },
    service::guard::{Guard, Why},
};

/// How long a connection may be open before its first call.
const FIRST_CALL_WITHIN: Duration = Duration::from_secs(10);
/// How long TLS may take to be agreed on.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);

/// Bytes that are read of a connection before others have their turn: some hundreds of small frames, about a millisecond.
/// What is there to be read at once could be megabytes, and a core has one thread for all of its connections.
const TURN_BYTES: usize = 32 * 1_024;

/// What bytes go through.
enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection that is served.
pub struct Connection {
    socket: Socket,
    peer: Arc<Peer>,
    guard: Arc<Guard>,
    /// Until the first call came.
    first_call: Option<Pin<Box<Sleep>>>,
    /// Bytes that were read in this turn.
    read_in_turn: usize,
    _place: Place,
}

impl Connection {
    /// Begins to serve it on this thread's runtime: agrees on TLS where that is spoken. `None`, and counted, when that
    /// was not done right or not in time.
    ///
    /// # Errors
    /// When the runtime can't watch the socket.
    pub async fn open(
        accepted: Accepted,
        certificates: Option<&Certificates>,
        guard: &Arc<Guard>,
    ) -> io::Result<Option<Self>> {
        let Accepted { socket, place } = accepted;
        let socket = TcpStream::from_std(socket)?;
        let address = place.address();
        let Some(certificates) = certificates else {
            return Ok(Some(Self::new(Socket::Plain(socket), Peer::new(address, None), guard, place)));
        };
        let agreed = timeout(HANDSHAKE_WITHIN, certificates.acceptor().accept(socket)).await;
        let stream = match agreed {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                guard.count(Why::Handshake);
                tracing::debug!(%address, %error, "no TLS could be agreed on");
                return Ok(None);
            }
            Err(_) => {
                guard.count(Why::HandshakeTime);
                tracing::debug!(%address, "TLS was not agreed on in time");
                return Ok(None);
            }
        };
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let peer = Peer::new(address, shown.and_then(certificate::identity));
        Ok(Some(Self::new(Socket::Tls(Box::new(stream)), peer, guard, place)))
    }

    fn new(socket: Socket, peer: Peer, guard: &Arc<Guard>, place: Place) -> Self {
        let first_call = Some(Box::pin(sleep(FIRST_CALL_WITHIN)));
        Self { socket, peer: Arc::new(peer), guard: guard.clone(), first_call, read_in_turn: 0, _place: place }
    }

    /// The connection as its calls see it.
    pub fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.peer.is_closed(context) {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "closed by a call"));
        }
        if let Some(too_long) = &mut self.first_call {
            if self.peer.has_called() {
                self.first_call = None;
            } else if too_long.as_mut().poll(context).is_ready() {
                self.guard.count(Why::FirstCall);
                self.peer.close();
                return Err(io::Error::new(io::ErrorKind::TimedOut, "no call came in time"));
            }
        }
        Ok(())
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        if self.read_in_turn >= TURN_BYTES {
            self.read_in_turn = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_read(cx, buffer),
            Socket::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        };
        match read {
            Poll::Ready(_) => self.read_in_turn += buffer.filled().len() - before,
            Poll::Pending => self.read_in_turn = 0,
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Socket::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, bytes),
            Socket::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bytes),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.socket {
            Socket::Plain(socket) => socket.is_write_vectored(),
            Socket::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Socket::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Socket::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
