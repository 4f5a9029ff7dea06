//! `highwater serve`: from what was typed to a service that runs until a signal ends it.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

use crate::{
    app::{App, AppError, key_path},
    config::{self, Config, Mistakes, RawConfig},
    http::{
        self,
        tls::{Certificates, TlsError},
    },
    service::access::key_file::{self, KeyFileError},
    telemetry::{self, TelemetryError},
};

/// Why it does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Config(#[from] Mistakes),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error("{address} can't be listened on: {error}")]
    Listen { address: std::net::SocketAddr, error: io::Error },
    #[error(transparent)]
    App(#[from] AppError),
}

/// The configuration of what was typed, when the files that it names are what they are for.
///
/// # Errors
/// Every mistake of what was typed; a certificate or a key file that can't be used.
pub fn configured(raw: &RawConfig) -> Result<Config, ServeError> {
    let config = config::load(raw)?;
    Certificates::load(&config.tls)?;
    key_path(&config).as_deref().map_or(Ok(()), key_file::check)?;
    Ok(config)
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// When the configuration has mistakes, the address is taken, or the store can't be opened.
pub fn serve(raw: &RawConfig) -> Result<(), ServeError> {
    let config = configured(raw)?;
    telemetry::start(&config)?;
    let address = config.listen;
    // First of all: workers that come while the store is opened wait in the kernel.
    let listener = http::bind(address).map_err(|error| ServeError::Listen { address, error })?;
    let (dev, store) = (config.dev, config.store.clone());
    let app = App::build(config)?;
    if dev {
        tracing::warn!("nobody needs a key (--dev): for development alone");
    } else if app.service().access.is_empty() {
        tracing::warn!(
            "nobody can be let in: there is no key yet. Stop the service, make the first one with `highwater keys create \
             --store '{}' --role operator`, and start it again; or use --dev on your own machine",
            store
        );
    }
    app.run(listener, signalled())?;
    Ok(())
}

/// Waits for a signal that ends the process.
pub async fn signalled() {
    let (Ok(mut terminated), Ok(mut interrupted)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals can't be heard: the service ends only when it is killed");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
}
