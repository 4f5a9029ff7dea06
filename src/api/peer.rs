//! The connection that a call came on, as calls and the socket see it together: a call can end it when its client does
//! not read, the socket knows whether any call came, and both know who it is and when it is to be made anew.

use std::{
    net::IpAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Waker},
};

use tokio::sync::watch;

/// One connection.
#[derive(Debug, Default)]
pub struct Peer {
    /// Where it comes from, if that is known.
    address: Option<IpAddr>,
    identity: Option<Identity>,
    has_called: AtomicBool,
    is_closed: AtomicBool,
    /// It has lived long enough.
    is_old: watch::Sender<bool>,
    /// The task that reads the socket.
    reader: Mutex<Option<Waker>>,
}

/// Who a client is by the certificate that it showed, which one of `tls.client_ca` vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The subject's alternative names, each with its form: `dns:agents.example`, `uri:spiffe://example/agents`,
    /// `email:a@example`.
    pub names: Vec<String>,
    /// SHA-256 of the certificate.
    pub fingerprint: [u8; 32],
}

impl Peer {
    pub fn new(address: IpAddr, identity: Option<Identity>) -> Self {
        Self { address: Some(address), identity, ..Self::default() }
    }

    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Who it is by its certificate, if it showed one: what a project or role may be bound to.
    pub fn peer_identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// A call came.
    pub fn call(&self) {
        self.has_called.store(true, Ordering::Relaxed);
    }

    pub fn has_called(&self) -> bool {
        self.has_called.load(Ordering::Relaxed)
    }

    /// It has lived long enough: its streams are to move to another.
    pub fn age(&self) {
        self.is_old.send_replace(true);
    }

    /// Waits until it has.
    pub async fn is_old(&self) {
        // The sender is `self`'s own, and lives as long as this waits.
        let _ = self.is_old.subscribe().wait_for(|is_old| *is_old).await;
    }

    /// Ends the connection with all its calls.
    pub fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Whether it was ended; if not, the reading task is woken when it is.
    pub fn is_closed(&self, context: &Context<'_>) -> bool {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        if reader.as_ref().is_none_or(|reader| !reader.will_wake(context.waker())) {
            *reader = Some(context.waker().clone());
        }
        self.is_closed.load(Ordering::Acquire)
    }
}
