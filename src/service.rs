//! One service's state: what every door of it shares. It is made once, from a store, and lives as long as the process.

pub mod access;
pub mod alerts;
mod beyond;
pub mod ceilings;
pub mod chains;
pub mod clock;
pub mod counts;
pub mod decide;
pub mod enforcement;
pub mod guard;
pub mod health;
pub mod ledger;
pub mod limits;
mod livekit;
pub mod outages;
pub mod projects;
pub mod promised;
pub mod record;
pub mod release;
pub mod requests;
pub mod routing;
pub mod simulation;
pub mod start;
pub mod throttle;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use access::{Access, Actor};
pub use alerts::Alerts;
pub use ceilings::Ceilings;
pub use chains::Chains;
pub use clock::Clock;
pub use counts::Counts;
pub use decide::{Author, Ended, PlanApplied};
pub use enforcement::{Choice, Choices};
pub use guard::Guard;
pub use health::Health;
pub use ledger::Ledger;
pub use limits::Limits;
pub use outages::Outages;
pub use projects::Leaving;
pub use requests::Requests;
pub use routing::{Routing, Turns};
pub use simulation::Simulation;

use crate::{
    config::Config,
    error::Error,
    live::Live,
    livekit::LiveKit,
    model::{Time, catalogue::Catalogue, plan::Plans},
    rollup::Rollup,
    store::Store,
};

/// What every door of the service shares.
#[derive(Debug)]
pub struct Service {
    pub config: Config,
    pub clock: Clock,
    pub live: Live,
    pub livekit: LiveKit,
    /// The minutes that are not folded yet. Held for microseconds; never across a call to the store.
    rollup: Mutex<Rollup>,
    pub limits: Limits,
    /// What of them is enforced.
    pub choices: Choices,
    /// What the store knows may be held of those that are.
    pub ceilings: Ceilings,
    /// The chains of models, and what is said of them by hand.
    pub chains: Chains,
    /// Which model of each chain new sessions use, and how the providers of all models do.
    pub routing: Routing,
    pub requests: Requests,
    pub alerts: Alerts,
    pub outages: Outages,
    /// Writes every decision.
    pub ledger: Arc<Ledger>,
    pub access: Arc<Access>,
    /// Projects that are being deleted; the recorder does it.
    pub leaving: Leaving,
    pub catalogue: Catalogue,
    pub plans: Plans,
    pub store: Arc<dyn Store>,
    pub health: Health,
    pub counts: Counts,
    /// What is turned away so that others are served well.
    pub guard: Arc<Guard>,
    /// The simulated fleet, if this is a demo.
    pub fleet: Simulation,
    pub started: Time,
    /// The store holds a simulation, or the service was told that it is one.
    pub simulation: bool,
}

impl Service {
    /// The minutes that are not folded yet.
    pub fn rollup(&self) -> MutexGuard<'_, Rollup> {
        self.rollup.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a message that was larger than messages may be; what its sender is told.
    pub fn too_large(&self) -> Error {
        self.guard.count(guard::Why::MessageBytes);
        Error::Bound { name: "message_bytes", most: self.config.connections.message_bytes as u64 }
    }
}
