//! The connection that a call came on, as calls and the socket see it together: a call can end it when its client does
//! not read, and the socket knows whether any call came.

use std::{
    net::IpAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Waker},
};

/// One connection.
#[derive(Debug, Default)]
pub struct Peer {
    /// Where it comes from, if that is known.
    address: Option<IpAddr>,
    has_called: AtomicBool,
    is_closed: AtomicBool,
    /// The task that reads the socket.
    reader: Mutex<Option<Waker>>,
}

impl Peer {
    /// A connection from there.
    pub fn from_address(address: IpAddr) -> Self {
        Self { address: Some(address), ..Self::default() }
    }

    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// A call came.
    pub fn call(&self) {
        self.has_called.store(true, Ordering::Relaxed);
    }

    pub fn has_called(&self) -> bool {
        self.has_called.load(Ordering::Relaxed)
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
