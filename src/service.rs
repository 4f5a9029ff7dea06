//! One service's state: what every door of it shares. It is made once, from a store, and lives as long as the process.

pub mod clock;
pub mod decide;
pub mod guard;
pub mod health;
pub mod limits;
pub mod record;
pub mod start;
pub mod throttle;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use clock::Clock;
pub use decide::{Author, PlanApplied};
pub use guard::Guard;
pub use health::Health;
pub use limits::Limits;

use crate::{
    config::Config,
    live::Live,
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
    /// The minutes that are not folded yet. Held for microseconds; never across a call to the store.
    rollup: Mutex<Rollup>,
    pub limits: Limits,
    pub catalogue: Catalogue,
    pub plans: Plans,
    pub store: Arc<dyn Store>,
    pub health: Health,
    /// What is turned away so that others are served well.
    pub guard: Arc<Guard>,
    pub started: Time,
    /// The store holds a simulation, or the service was told that it is one.
    pub simulation: bool,
}

impl Service {
    /// The minutes that are not folded yet.
    pub fn rollup(&self) -> MutexGuard<'_, Rollup> {
        self.rollup.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
