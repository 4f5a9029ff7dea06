//! The whole: builds the service from its configuration, starts every thread that there is, and stops them in order.
//! Nothing else starts a thread.

pub mod serve;

use std::{
    future::{Future, poll_fn},
    io::{self, Write as _},
    net::TcpListener,
    pin::pin,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    task::Poll,
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::sync::mpsc;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    api::notices::Notifier,
    config::Config,
    http::{
        self,
        accept::{Places, WAITING_CONNECTIONS},
        routes,
    },
    model::time::MICROS_PER_SECOND,
    service::{Clock, Service, record::Recorder, start::StartError},
    store::{Store, embedded::EmbeddedStore},
};

/// How often levels are compared with the records that they stand for.
const AUDIT_INTERVAL: Duration = Duration::from_secs(10);
/// The recorder never sleeps longer, so that a clock that jumps is noticed within a second.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// Why the service does not run.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("{what}: {error}")]
    Io { what: &'static str, error: io::Error },
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
    pub fn build(config: Config) -> Result<Self, AppError> {
        let store = EmbeddedStore::open(&config.store).map_err(StartError::from)?;
        Self::with_store(config, Arc::new(store))
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
        let (dealers, servers) = self.start_servers(&notifier, &health)?;
        let recorder = start_recorder(self.service.clone(), notifier.clone())?;
        let auditor = start_auditor(self.service.clone())?;
        let outcome = runtime.block_on(async {
            routes::set_health(&health, ServingStatus::Serving).await;
            let places = Places::new(&self.service.config.connections);
            let mut accepting = pin!(http::accept::accept(listener, &places, &dealers));
            let mut shutdown = pin!(shutdown);
            // Polled before it is said that we listen: from then on a signal ends the service as it should.
            let is_over = poll_fn(|cx| Poll::Ready(shutdown.as_mut().poll(cx).is_ready())).await;
            announce(address);
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
        drop(dealers);
        for server in servers {
            join(server);
        }
        auditor.stop();
        recorder.stop();
        outcome
    }

    /// A server on each core.
    fn start_servers(
        &self,
        notifier: &Notifier,
        health: &HealthReporter,
    ) -> Result<(Vec<mpsc::Sender<http::accept::Accepted>>, Vec<JoinHandle<()>>), AppError> {
        let notices = notifier.notices();
        let routes = routes::routes(&self.service, &notices, health.clone())?;
        let bounds = self.service.config.connections;
        let (mut dealers, mut servers) = (Vec::new(), Vec::new());
        for nth in 0..threads(self.service.config.threads) {
            let (dealer, connections) = mpsc::channel(WAITING_CONNECTIONS);
            let (routes, draining) = (routes.clone(), notices.draining.clone());
            let server = start(&format!("serve-{nth}"), move || {
                if let Err(error) = http::serve(connections, routes, &bounds, draining) {
                    tracing::error!(%error, "a server could not be started");
                }
            })?;
            dealers.push(dealer);
            servers.push(server);
        }
        Ok((dealers, servers))
    }
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

/// A thread that does its work at intervals, and ends when it is told to.
struct Worker {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Worker {
    fn stop(self) {
        drop(self.stop);
        join(self.thread);
    }
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, AppError> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.map_err(io_error("a thread can't be started"))
}

fn join(thread: JoinHandle<()>) {
    let name = thread.thread().name().unwrap_or_default().to_owned();
    if thread.join().is_err() {
        tracing::error!(thread = name, "a thread panicked");
    }
}

/// Whether to go on after this time.
fn goes_on(stop: &Receiver<()>, after: Duration) -> bool {
    matches!(stop.recv_timeout(after), Err(RecvTimeoutError::Timeout))
}

/// Makes each second durable just after it ended, and the last one when it is stopped.
fn start_recorder(service: Arc<Service>, notifier: Arc<Notifier>) -> Result<Worker, AppError> {
    let (stop, stopped) = channel();
    let thread = start("record", move || {
        let mut recorder = Recorder::default();
        while goes_on(&stopped, until_next_second(service.clock.now().wall.0)) {
            recorder.step(&service, service.clock.now());
            notifier.set_durable(service.live.durable());
        }
        recorder.step(&service, service.clock.now());
    })?;
    Ok(Worker { stop, thread })
}

/// Time until the second after `wall` (µs) begins.
fn until_next_second(wall: u64) -> Duration {
    Duration::from_micros(MICROS_PER_SECOND - wall % MICROS_PER_SECOND).min(LONGEST_SLEEP)
}

/// Compares levels with records.
fn start_auditor(service: Arc<Service>) -> Result<Worker, AppError> {
    let (stop, stopped) = channel();
    let thread = start("audit", move || {
        while goes_on(&stopped, AUDIT_INTERVAL) {
            for drift in service.live.audit() {
                tracing::error!(key = drift.key.0, drift.level, drift.records, "a level differs from its records");
            }
        }
    })?;
    Ok(Worker { stop, thread })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorder_wakes_as_a_second_begins() {
        assert_eq!(until_next_second(5_250_000), Duration::from_micros(750_000));
        assert_eq!(until_next_second(5_999_999), Duration::from_micros(1));
        assert_eq!(until_next_second(6_000_000), LONGEST_SLEEP);
    }
}
