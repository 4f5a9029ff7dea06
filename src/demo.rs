//! The demo: a service on a store with seven days of a simulated fleet, and then the same fleet live, as workers that
//! report over gRPC. It touches no store but its own, which is marked as a simulation.

pub mod history;
pub mod stage;
pub mod workers;

use std::{future::Future, net::TcpListener, path::PathBuf, sync::Arc};

use jiff::tz::TimeZone;
use tokio::sync::mpsc;

pub use stage::StageError;

use crate::{
    app::{App, AppError},
    client::ClientError,
    config::{Config, StorePlace},
    demo::{history::Process, stage::Stage, workers::Workers},
    service::{Service, simulation::Wish},
    sim::Schedule,
};

/// The project that the fleet belongs to.
pub const PROJECT: &str = "demo";

/// What a demo runs with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where its store is kept.
    pub dir: PathBuf,
    /// Whose hours and weekdays the fleet follows.
    pub zone: TimeZone,
    /// Seconds of history before now.
    pub seconds: u64,
}

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error(transparent)]
    Stage(#[from] StageError),
    #[error(transparent)]
    App(#[from] AppError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the listener has no address: {0}")]
    Address(std::io::Error),
}

/// A service with a simulated fleet that can be run.
#[derive(Debug)]
pub struct Demo {
    app: App,
    schedule: Schedule,
    processes: Vec<Process>,
}

impl Demo {
    /// Makes the history, or takes up the one that is there when it is fresh, and opens the service on it.
    ///
    /// # Errors
    /// When the store can't be used, or is not a simulation's.
    pub fn prepare(options: &Options) -> Result<Self, DemoError> {
        let Stage { store, schedule, processes } = Stage::set(options)?;
        let mut config = Config::default();
        config.store = StorePlace::File(options.dir.join(stage::FILE));
        config.time_zone = options.zone.clone();
        config.simulation = true;
        config.dev = true;
        let app = App::with_store(config, Arc::new(store))?;
        Ok(Self { app, schedule, processes })
    }

    /// What every door of the service shares.
    pub fn service(&self) -> &Arc<Service> {
        self.app.service()
    }

    /// Serves the listener, with the fleet at work, until `until` is there; then the fleet and the service leave, within
    /// 5 s.
    ///
    /// # Errors
    /// When the service can't be run.
    pub fn run(self, listener: TcpListener, until: impl Future<Output = ()>) -> Result<(), DemoError> {
        let Self { app, schedule, processes } = self;
        let address = listener.local_addr().map_err(DemoError::Address)?;
        let url = format!("http://{address}");
        let wishes = app.service().fleet.drive();
        let mut outcome = Ok(());
        app.run(listener, async {
            outcome = work(&url, schedule, processes, wishes, until).await;
        })?;
        Ok(outcome?)
    }
}

/// Lets the fleet work until it is told to leave.
async fn work(
    url: &str,
    schedule: Schedule,
    processes: Vec<Process>,
    wishes: mpsc::Receiver<Wish>,
    until: impl Future<Output = ()>,
) -> Result<(), ClientError> {
    let mut workers = Workers::begin(url, PROJECT, schedule, processes, wishes)?;
    let failed = tokio::select! {
        never = workers.run() => never.err(),
        () = until => None,
    };
    workers.end().await;
    failed.map_or(Ok(()), Err)
}
