//! The demo: a service on a store with seven days of a simulated fleet, and then the same fleet live, as workers that
//! report over gRPC. It touches no store but its own, which is marked as a simulation. The mails of its alerts go to a mail
//! server of its own, and nowhere else.

pub mod calls;
pub mod history;
pub mod inbox;
pub mod letter;
pub mod stage;
pub mod workers;

use std::{
    future::Future,
    io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
};

use jiff::tz::TimeZone;
use tokio::sync::mpsc;

pub use stage::StageError;

use crate::{
    app::{App, AppError},
    client::ClientError,
    config::{Config, Smtp, SmtpSecurity, StorePlace},
    demo::{history::Process, inbox::Inbox, stage::Stage, workers::Workers},
    service::{Service, simulation::Wish},
    sim::Schedule,
};

/// The project that the fleet belongs to.
pub const PROJECT: &str = "demo";
/// Who is told of its alerts.
pub const ON_CALL: &str = "on-call@demo.example";
const FROM: &str = "highwater@demo.example";
/// Mails a minute: more than the fleet gives reason for.
const MAILS_A_MINUTE: u32 = 1_000;

/// What a demo runs with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where its store is kept.
    pub dir: PathBuf,
    /// Whose hours and weekdays the fleet follows.
    pub zone: TimeZone,
    /// Seconds of history before now.
    pub seconds: u64,
    /// Where the page will be: what links in mails begin with.
    pub address: SocketAddr,
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
    Address(io::Error),
    #[error("its mail server can't listen: {0}")]
    Inbox(io::Error),
}

/// A service with a simulated fleet that can be run.
#[derive(Debug)]
pub struct Demo {
    app: App,
    inbox: Inbox,
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
        let inbox = Inbox::bind().map_err(DemoError::Inbox)?;
        config.alerts.link = Some(format!("http://{}", options.address));
        config.alerts.recipients = vec![ON_CALL.to_owned()];
        config.alerts.smtp = Some(mail_server(inbox.port().map_err(DemoError::Inbox)?));
        let app = App::with_store(config, Arc::new(store))?;
        Ok(Self { app, inbox, schedule, processes })
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
        let Self { app, inbox, schedule, processes } = self;
        let address = listener.local_addr().map_err(DemoError::Address)?;
        let url = format!("http://{address}");
        let service = app.service().clone();
        let wishes = service.fleet.drive();
        let mut outcome = Ok(());
        app.run(listener, async {
            tokio::select! {
                worked = work(&url, schedule, processes, wishes, until) => outcome = worked.map_err(DemoError::from),
                failed = inbox.serve(service) => outcome = failed.map(|never| match never {}).map_err(DemoError::Inbox),
            }
        })?;
        outcome
    }
}

/// The demo's own, in plain text on loopback.
fn mail_server(port: u16) -> Smtp {
    Smtp {
        host: "127.0.0.1".to_owned(),
        port,
        security: SmtpSecurity::Plain,
        user: None,
        password: None,
        from: FROM.to_owned(),
        ca_file: None,
        per_minute: MAILS_A_MINUTE,
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
