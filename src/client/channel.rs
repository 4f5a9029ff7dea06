//! The way to a service, in plain text or in TLS: whom a client trusts, and who it says that it is.

use std::{fs, path::Path, time::Duration};

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::client::ClientError;

/// How long a connection may take to be made: 3 s.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection on which nothing comes for 20 s is asked for a sign of life, and given up 10 s after.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));

/// Whom a client trusts and who it is. By default it trusts those that the machine does, and shows no certificate.
#[derive(Clone, Default)]
pub struct ClientTls {
    /// PEM of the certificates that vouch for the service, in place of those of the machine.
    pub ca: Option<Vec<u8>>,
    /// PEM of the client's own certificate and of its key.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl ClientTls {
    /// Reads PEM files.
    ///
    /// # Errors
    /// When one can't be read, or a certificate comes without its key.
    pub fn read(ca: Option<&Path>, certificate: Option<&Path>, key: Option<&Path>) -> Result<Self, ClientError> {
        let read = |path: &Path| {
            fs::read(path).map_err(|error| ClientError::Tls(format!("{} can't be read: {error}", path.display())))
        };
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((read(certificate)?, read(key)?)),
            (None, None) => None,
            _ => return Err(ClientError::Tls("a client's certificate and its key are needed together".to_owned())),
        };
        Ok(Self { ca: ca.map(read).transpose()?, identity })
    }

    fn config(&self) -> ClientTlsConfig {
        let config = match &self.ca {
            Some(ca) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        match &self.identity {
            Some((certificate, key)) => config.identity(Identity::from_pem(certificate, key)),
            None => config,
        }
    }
}

impl std::fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientTls").field("ca", &self.ca.is_some()).field("identity", &self.identity.is_some()).finish()
    }
}

/// A channel to a service, such as `http://127.0.0.1:7422`, that connects on first use and again whenever it must.
/// Clients may share one, as the workers of one process do, or have one each. Must be called within a tokio runtime.
///
/// # Errors
/// When the URL is not one.
pub fn channel(url: &str) -> Result<Channel, ClientError> {
    channel_with(url, &ClientTls::default())
}

/// The same, where it is said whom to trust with an `https://` address.
///
/// # Errors
/// When the URL is not one, or the certificates are none.
pub fn channel_with(url: &str, tls: &ClientTls) -> Result<Channel, ClientError> {
    let address = |problem: String| ClientError::Address { url: url.to_owned(), problem };
    let speaks_tls = url.starts_with("https://");
    if !speaks_tls && !url.starts_with("http://") {
        return Err(address("it must begin with http:// or https://".to_owned()));
    }
    let mut endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| address(error.to_string()))?;
    if speaks_tls {
        endpoint = endpoint.tls_config(tls.config()).map_err(|error| ClientError::Tls(causes(&error)))?;
    }
    let (interval, grace) = KEEPALIVE;
    Ok(endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(interval)
        .keep_alive_timeout(grace)
        .keep_alive_while_idle(true)
        .connect_lazy())
}

/// What went wrong, down to what it came of.
fn causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
