//! The threads beside the servers: one makes each second durable, one has the store know what those who wait may hold, one
//! audits, one decides routes, one keeps credentials, one reads LiveKit's lists, one sends what is to be told of alerts. They end when they are told to, their last work done.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{
    api::notices::{Draining, Notifier},
    app::{AppError, io_error},
    http::tls::{Certificates, REFRESH_INTERVAL},
    livekit_lists::reader::Reader,
    model::time::MICROS_PER_SECOND,
    notify::Courier,
    service::{
        Service,
        access::{REFRESH_EVERY, keep::Keeper},
        health::RECORDER,
        record::Recorder,
        routing,
    },
};

/// How often levels are compared with the records that they stand for.
const AUDIT_INTERVAL: Duration = Duration::from_secs(10);
/// How often it is looked at what is due of LiveKit.
const LIVEKIT_INTERVAL: Duration = Duration::from_secs(1);
/// Who raises ceilings looks that often whether it is to end; it is woken when there is work.
const RAISER_SLEEP: Duration = Duration::from_millis(250);
/// The recorder never sleeps longer, so that a clock that jumps is noticed within a second.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// A thread that works at intervals until it is stopped.
pub struct Routine {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Routine {
    /// Makes each second durable just after it ended, and the last one when it is stopped.
    ///
    /// # Errors
    /// When the thread can't be started.
    pub fn recorder(service: Arc<Service>, notifier: Arc<Notifier>) -> Result<Self, AppError> {
        Self::start("record", move |stop| {
            let _witness = Witness(&service);
            let mut recorder = Recorder::default();
            while goes_on(stop, until_next_second(service.clock.now().wall.0)) {
                recorder.step(&service, service.clock.now());
                notifier.set_durable(service.live.durable());
            }
            recorder.step(&service, service.clock.now());
        })
    }

    /// Has the store know more where somebody waits for it, as soon as that is so.
    ///
    /// # Errors
    /// When the thread can't be started.
    pub fn raiser(service: Arc<Service>) -> Result<Self, AppError> {
        Self::start("ceiling", move |stop| {
            service.live.waiting_room().set_raiser(thread::current());
            while goes_on(stop, Duration::ZERO) {
                thread::park_timeout(RAISER_SLEEP);
                if let Err(error) = service.raise_for_waiting(service.clock.now()) {
                    tracing::warn!(%error, "the store does not let those who wait have what is free");
                    if goes_on(stop, LONGEST_SLEEP) {
                        service.live.serve_waiting(service.clock.now());
                    }
                }
            }
        })
    }

    /// Compares levels with records.
    ///
    /// # Errors
    /// When the thread can't be started.
    pub fn auditor(service: Arc<Service>) -> Result<Self, AppError> {
        Self::start("audit", move |stop| {
            while goes_on(stop, AUDIT_INTERVAL) {
                for drift in service.live.audit() {
                    tracing::error!(key = drift.key.0, drift.level, drift.records, "a level differs from its records");
                }
            }
        })
    }

    /// Decides routes, and tells them.
    ///
    /// # Errors
    /// When the thread can't be started.
    pub fn router(service: Arc<Service>) -> Result<Self, AppError> {
        Self::start("route", move |stop| {
            while goes_on(stop, routing::INTERVAL) {
                service.step_routes(service.clock.now());
            }
        })
    }

    /// Takes over decisions on credentials that other processes made, and keeps the audit log.
    ///
    /// # Errors
    /// When the thread can't be started.
    pub fn keeper(service: Arc<Service>) -> Result<Self, AppError> {
        Self::start("access", move |stop| {
            let mut keeper = Keeper::new(service.clock.now());
            while goes_on(stop, REFRESH_EVERY) {
                keeper.step(&service, service.clock.now());
            }
            keeper.last_step(&service, service.clock.now());
        })
    }

    /// Reads LiveKit's lists, and does what is due without them.
    ///
    /// # Errors
    /// When the thread or its runtime can't be started.
    pub fn livekit(service: Arc<Service>, mut draining: Draining) -> Result<Self, AppError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(io_error("the runtime can't be started"))?;
        Self::start("livekit", move |stop| {
            let mut reader = Reader::new(service.config.livekit.as_ref());
            while !draining.has_begun() {
                runtime.block_on(async {
                    tokio::select! {
                        () = reader.step(&service) => {}
                        () = draining.begun() => {}
                    }
                });
                if !goes_on(stop, LIVEKIT_INTERVAL) {
                    break;
                }
            }
        })
    }

    /// Sends what is to be told of alerts.
    ///
    /// # Errors
    /// When the thread or its runtime can't be started.
    pub fn courier(service: Arc<Service>, mut draining: Draining) -> Result<Self, AppError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(io_error("the runtime can't be started"))?;
        Self::start("notify", move |_| runtime.block_on(Courier::new(&service).run(draining.begun())))
    }

    /// Reads certificates again when they change, and tells when they end.
    ///
    /// # Errors
    /// When the thread can't be started.
    pub fn renewer(service: Arc<Service>, certificates: Arc<Certificates>) -> Result<Self, AppError> {
        Self::start("renew", move |stop| {
            certificates.refresh(&service.health, service.clock.now().wall);
            while goes_on(stop, REFRESH_INTERVAL) {
                certificates.refresh(&service.health, service.clock.now().wall);
            }
        })
    }

    fn start(name: &str, work: impl FnOnce(&Receiver<()>) + Send + 'static) -> Result<Self, AppError> {
        let (stop, stopped) = channel();
        Ok(Self { stop, thread: start(name, move || work(&stopped))? })
    }

    /// Lets it do its last work, and waits for that.
    pub fn stop(self) {
        drop(self.stop);
        join(self.thread);
    }
}

/// Tells of a recorder that panicked: from then on nothing is made durable any more.
struct Witness<'s>(&'s Service);

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.health.trouble(RECORDER, "it stopped by a mistake of the service: restart it");
        }
    }
}

/// Starts a thread.
///
/// # Errors
/// When the system has none to give.
pub fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, AppError> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.map_err(io_error("a thread can't be started"))
}

/// Waits for a thread's end.
pub fn join(thread: JoinHandle<()>) {
    let name = thread.thread().name().unwrap_or_default().to_owned();
    if thread.join().is_err() {
        tracing::error!(thread = name, "a thread panicked");
    }
}

/// Whether to go on after this time.
fn goes_on(stop: &Receiver<()>, after: Duration) -> bool {
    matches!(stop.recv_timeout(after), Err(RecvTimeoutError::Timeout))
}

/// Time until the second after `wall` (µs) begins.
fn until_next_second(wall: u64) -> Duration {
    Duration::from_micros(MICROS_PER_SECOND - wall % MICROS_PER_SECOND).min(LONGEST_SLEEP)
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
