//! The whole: builds the service from its configuration, starts every thread that there is, and stops them in order.
//! Nothing else starts a thread.

pub mod serve;
mod threads;

use std::{
    future::{Future, poll_fn},
    io::{self, Write as _},
    net::TcpListener,
    pin::pin,
    sync::Arc,
    task::Poll,
    thread::{self, JoinHandle},
};

use tokio::sync::mpsc;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    api::notices::Notifier,
    app::threads::Routine,
    config::Config,
    http::{
        self,
        accept::{Accepted, Places, WAITING_CONNECTIONS},
        routes::{self, Routes},
        tls::{Certificates, TlsError},
    },
    service::{Clock, Service, access::key_file, start::StartError},
    store::{self, Store},
};

/// Why the service does not run.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("{what}: {error}")]
    Io { what: &'static str, error: io::Error },
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the contract's descriptors can't be read: {0}")]
    Descriptors(#[from] tonic_reflection::server::Error),
}

fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> AppError {
    move |error| AppError::Io { what, error }
}

/// A service that can be run.
#[derive(Debug)]
pub struct App {
    service: Arc<Service>,
}

impl App {
    /// Opens the store of the configuration, and a service on it.
    ///
    /// # Errors
    /// When the store, the catalogue or the plans can't be read.
    pub fn build(mut config: Config) -> Result<Self, AppError> {
        config.access.key_file = key_path(&config);
        let store = store::open(&config.store, &config.redis, &config.retention).map_err(StartError::from)?;
        Self::with_store(config, store)
    }

    /// Opens a service on a store.
    ///
    /// # Errors
    /// When the store, the catalogue or the plans can't be read.
    pub fn with_store(config: Config, store: Arc<dyn Store>) -> Result<Self, AppError> {
        Ok(Self { service: Service::open(config, store, Clock::start())? })
    }

    /// What every door shares.
    pub fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// Serves the listener until `shutdown` is there; then lets workers leave, makes the last seconds durable, and
    /// returns within 5 s. Prints `listening on ADDRESS` to stdout when connections are taken.
    ///
    /// # Errors
    /// When a thread, a runtime or the listener can't be used.
    pub fn run(self, listener: TcpListener, shutdown: impl Future<Output = ()>) -> Result<(), AppError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(io_error("the runtime can't be started"))?;
        let address = listener.local_addr().map_err(io_error("the listener has no address"))?;
        let (notifier, health) = (Arc::new(Notifier::default()), HealthReporter::new());
        let certificates = Certificates::load(&self.service.config.tls)?.map(Arc::new);
        let places = Places::new(&self.service.config.connections, self.service.guard.clone());
        let servers = Servers::start(&self.service, &notifier, &health, &places, certificates.as_ref())?;
        let recorder = Routine::recorder(self.service.clone(), notifier.clone())?;
        let raiser = Routine::raiser(self.service.clone())?;
        let auditor = Routine::auditor(self.service.clone())?;
        let router = Routine::router(self.service.clone())?;
        let keeper = Routine::keeper(self.service.clone())?;
        let livekit = Routine::livekit(self.service.clone(), notifier.notices().draining)?;
        let courier = Routine::courier(self.service.clone(), notifier.notices().draining)?;
        let renewer = certificates.map(|certificates| Routine::renewer(self.service.clone(), certificates));
        let renewer = renewer.transpose()?;
        let outcome = runtime.block_on(async {
            routes::set_health(&health, ServingStatus::Serving).await;
            let mut accepting = pin!(http::accept::accept(listener, &places, &servers.dealers));
            let mut shutdown = pin!(shutdown);
            // Polled before it is said that we listen: from then on a signal ends the service as it should.
            let is_over = poll_fn(|cx| Poll::Ready(shutdown.as_mut().poll(cx).is_ready())).await;
            announce(address);
            tracing::info!("Open {}", http::page_url(address, self.service.config.tls.certificate.is_some()));
            let outcome = tokio::select! {
                () = &mut shutdown, if !is_over => Ok(()),
                ended = &mut accepting, if !is_over => ended.map_err(io_error("no connections can be taken")),
                else => Ok(()),
            };
            tracing::info!("shutting down");
            routes::set_health(&health, ServingStatus::NotServing).await;
            notifier.drain();
            outcome
        });
        servers.join();
        livekit.stop();
        courier.stop();
        renewer.into_iter().for_each(Routine::stop);
        auditor.stop();
        router.stop();
        raiser.stop();
        keeper.stop();
        recorder.stop();
        outcome
    }
}

/// A server on each core.
struct Servers {
    /// What deals connections to each of them.
    dealers: Vec<mpsc::Sender<Accepted>>,
    threads: Vec<JoinHandle<()>>,
}

impl Servers {
    fn start(
        service: &Arc<Service>,
        notifier: &Notifier,
        health: &HealthReporter,
        places: &Arc<Places>,
        certificates: Option<&Arc<Certificates>>,
    ) -> Result<Self, AppError> {
        let notices = notifier.notices();
        let routes = Arc::new(Routes::new(service, &notices, health.clone(), places)?);
        let mut servers = Self { dealers: Vec::new(), threads: Vec::new() };
        for nth in 0..threads(service.config.threads) {
            let (dealer, connections) = mpsc::channel(WAITING_CONNECTIONS);
            let (routes, service, draining) = (routes.clone(), service.clone(), notices.draining.clone());
            let certificates = certificates.cloned();
            let thread = threads::start(&format!("serve-{nth}"), move || {
                if let Err(error) = http::serve::serve(connections, &routes, &service, certificates.as_ref(), draining)
                {
                    tracing::error!(%error, "a server could not be started");
                }
            })?;
            servers.dealers.push(dealer);
            servers.threads.push(thread);
        }
        Ok(servers)
    }

    /// Waits until all have ended; they do when the service goes away.
    fn join(self) {
        drop(self.dealers);
        self.threads.into_iter().for_each(threads::join);
    }
}

/// The file of the key that credentials are kept under: the one that is named, or the one beside the store. Where nobody
/// needs a key none is made.
fn key_path(config: &Config) -> Option<std::path::PathBuf> {
    let named = config.access.key_file.clone();
    named.or_else(|| key_file::beside(&config.store).filter(|path| !config.dev || path.exists()))
}

/// Threads that serve: as many as configured, or one a core.
fn threads(configured: usize) -> usize {
    match configured {
        0 => thread::available_parallelism().map_or(1, usize::from),
        configured => configured,
    }
}

/// The contract with whoever started the process: this line, and that nothing else is printed to stdout.
fn announce(address: std::net::SocketAddr) {
    let mut stdout = io::stdout().lock();
    // Whoever started us may have closed it: that is no reason not to serve.
    let _ = writeln!(stdout, "listening on {address}").and_then(|()| stdout.flush());
}
