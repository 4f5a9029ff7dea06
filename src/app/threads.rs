//! The threads beside the servers: one makes each second durable, one audits. They end when they are told to, their last
//! work done.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{
    api::notices::Notifier,
    app::{AppError, io_error},
    http::tls::{Certificates, REFRESH_INTERVAL},
    model::time::MICROS_PER_SECOND,
    service::{Service, record::Recorder},
};

/// How often levels are compared with the records that they stand for.
const AUDIT_INTERVAL: Duration = Duration::from_secs(10);
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
            self.0.health.trouble("recorder", "it stopped by a mistake of the service: restart it");
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
