//! Whom a client trusts, and who it says that it is, where the service speaks TLS.

use std::{fs, path::Path};

use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use crate::client::ClientError;

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

    pub(super) fn config(&self) -> ClientTlsConfig {
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
