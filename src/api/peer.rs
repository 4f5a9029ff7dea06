//! The connection that a call came on, as calls and the socket see it together: a call can end it when its client does
//! not read, the socket knows whether any call came, and both know who it is and when it is to be made anew.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Waker},
};

use axum::http::Extensions;
use tokio::sync::watch;

use crate::{
    access::{Pass, Role},
    error::Error,
};

/// What stands before a project's name in a client certificate that speaks for it: a URI among the subject's alternative
/// names.
const FOR_PROJECT: &str = "uri:highwater://project/";

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

impl Identity {
    /// The projects that it names, if it names any.
    fn projects(&self) -> impl Iterator<Item = &str> {
        self.names.iter().filter_map(|name| name.strip_prefix(FOR_PROJECT))
    }
}

impl Peer {
    pub fn new(address: IpAddr, identity: Option<Identity>) -> Self {
        Self { address: Some(address), identity, ..Self::default() }
    }

    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// The one that a call came on.
    pub fn of(extensions: &Extensions) -> Arc<Self> {
        extensions.get::<Arc<Self>>().cloned().unwrap_or_default()
    }

    /// Whether a credential may be used on it: one whose client certificate names projects
    /// (`highwater://project/NAME`) is for credentials of those alone, and for none that is for all projects.
    ///
    /// # Errors
    /// `Forbidden` when it may not.
    pub fn may_use(&self, pass: &Pass) -> Result<(), Error> {
        let mut projects = self.identity.iter().flat_map(Identity::projects).peekable();
        if projects.peek().is_none() {
            return Ok(());
        }
        let is_for_all = matches!(pass.role(), Role::Operator | Role::Metrics);
        if !is_for_all && projects.any(|project| project == pass.project().as_str()) {
            return Ok(());
        }
        // What the certificate names, its holder knows; of what the credential is for nothing is told.
        let named = self.identity.iter().flat_map(Identity::projects).collect::<Vec<_>>().join(", ");
        Err(Error::Forbidden(
            format!("the client certificate is for credentials of the project {named}, and this is none").into(),
        ))
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
