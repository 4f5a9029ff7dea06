//! What calls that stay open listen to: that seconds became durable, and that the service goes away.

use tokio::sync::watch;

use crate::model::Tick;

/// The listener's side; each call has a clone of its own.
#[derive(Clone, Debug)]
pub struct Notices {
    pub durable: Durable,
    pub draining: Draining,
}

/// Tells when more seconds are durable.
#[derive(Clone, Debug)]
pub struct Durable(watch::Receiver<Option<Tick>>);

/// Tells when the service goes away.
#[derive(Clone, Debug)]
pub struct Draining(watch::Receiver<bool>);

/// The side of the one who knows.
#[derive(Debug)]
pub struct Notifier {
    durable: watch::Sender<Option<Tick>>,
    draining: watch::Sender<bool>,
}

impl Default for Notifier {
    fn default() -> Self {
        Self { durable: watch::Sender::new(None), draining: watch::Sender::new(false) }
    }
}

impl Notifier {
    pub fn notices(&self) -> Notices {
        Notices { durable: Durable(self.durable.subscribe()), draining: Draining(self.draining.subscribe()) }
    }

    /// The seconds up to and with this one are durable.
    pub fn set_durable(&self, tick: Option<Tick>) {
        self.durable.send_if_modified(|before| std::mem::replace(before, tick) != tick);
    }

    /// The service goes away.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }
}

impl Durable {
    /// Waits until more seconds are durable than at the last call; for ever when nobody is left who would say so.
    pub async fn more(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Draining {
    /// Waits until the service goes away.
    pub async fn begun(&mut self) {
        // When nobody is left who would say so, it is gone already.
        let _ = self.0.wait_for(|draining| *draining).await;
    }

    pub fn has_begun(&self) -> bool {
        *self.0.borrow()
    }
}
