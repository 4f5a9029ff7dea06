//! TLS: the certificates that are in use, read again when their files change. A pair that is wrong is told of and leaves
//! the one before in use.
//!
//! - [`certificate`]: what a certificate says.

pub mod certificate;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    config::{ClientCertificates, Tls},
    http::tls::certificate::Facts,
    model::Time,
    service::Health,
};

/// How often the files are looked at.
pub const REFRESH_INTERVAL: Duration = Duration::from_secs(2);
/// What is spoken inside, the first that a client knows too.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// The largest file that is taken for certificates or a key: 1 MiB.
const MOST_FILE_BYTES: u64 = 1_024 * 1_024;
/// Parts of the service as its health names them.
const FILES: &str = "tls";
const END: &str = "certificate";

/// Why a pair can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{} can't be read: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{}: {problem}", path.display())]
    Content { path: PathBuf, problem: String },
    #[error("{} and {} do not go together: {problem}", certificate.display(), key.display())]
    Pair { certificate: PathBuf, key: PathBuf, problem: String },
}

/// The files as they are on disk.
#[derive(PartialEq, Eq)]
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Vec<u8>,
}

/// What is in use.
struct InUse {
    config: Arc<ServerConfig>,
    facts: Facts,
    /// What was read last, whether it could be used or not.
    files: Files,
}

/// The certificates of a service that speaks TLS.
pub struct Certificates {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
    clients: ClientCertificates,
    in_use: Mutex<InUse>,
}

impl Certificates {
    /// Reads what the configuration names; none when it names nothing.
    ///
    /// # Errors
    /// When a file can't be read, or holds something else.
    pub fn load(tls: &Tls) -> Result<Option<Self>, TlsError> {
        let (Some(certificate), Some(key)) = (tls.certificate.clone(), tls.key.clone()) else { return Ok(None) };
        let (client_ca, clients) = (tls.client_ca.clone(), tls.client_certificates);
        let files = Files::read(&certificate, &key, client_ca.as_deref())?;
        let (config, facts) = build(&files, &certificate, &key, client_ca.as_deref(), clients)?;
        let in_use = Mutex::new(InUse { config, facts, files });
        Ok(Some(Self { certificate, key, client_ca, clients, in_use }))
    }

    /// Agrees on TLS with what is in use now.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.in_use.lock().unwrap_or_else(PoisonError::into_inner).config.clone())
    }

    /// Reads the files again if they changed, and tells of what wants looking after.
    pub fn refresh(&self, health: &Health, now: Time) {
        let problem = self.reread().err().map(|error| format!("{error}; the certificate from before is in use"));
        if health.warn(FILES, problem.clone())
            && let Some(problem) = problem
        {
            tracing::warn!(problem, "the new certificate can't be used");
        }
        let facts = self.in_use.lock().unwrap_or_else(PoisonError::into_inner).facts.clone();
        let soon = facts.ends_soon(now);
        if health.warn(END, soon.clone())
            && let Some(soon) = soon
        {
            tracing::warn!(certificate = %facts, "the certificate {soon}");
        }
    }

    fn reread(&self) -> Result<(), TlsError> {
        let files = Files::read(&self.certificate, &self.key, self.client_ca.as_deref())?;
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        if in_use.files == files {
            return Ok(());
        }
        // What is wrong stays different from what is in use, and so is tried, and told of, each time.
        let (config, facts) = build(&files, &self.certificate, &self.key, self.client_ca.as_deref(), self.clients)?;
        tracing::info!(certificate = %facts, "a new certificate is in use");
        *in_use = InUse { config, facts, files };
        Ok(())
    }
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl Files {
    fn read(certificate: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Self, TlsError> {
        Ok(Self {
            certificate: read(certificate)?,
            key: read(key)?,
            client_ca: client_ca.map(read).transpose()?.unwrap_or_default(),
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |error| TlsError::File { path: path.to_owned(), error };
    let bytes = fs::metadata(path).map_err(failed)?.len();
    if bytes > MOST_FILE_BYTES {
        let problem = format!("has {bytes} bytes; certificates and keys have at most {MOST_FILE_BYTES}");
        return Err(TlsError::Content { path: path.to_owned(), problem });
    }
    fs::read(path).map_err(failed)
}

/// The certificates of a PEM file; at least one.
fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |problem: String| TlsError::Content { path: path.to_owned(), problem };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| wrong(format!("is no PEM file of certificates: {error}")))?;
    if found.is_empty() {
        return Err(wrong("holds no certificate; a PEM file with BEGIN CERTIFICATE is needed".to_owned()));
    }
    Ok(found)
}

fn build(
    files: &Files,
    certificate: &Path,
    key: &Path,
    client_ca: Option<&Path>,
    clients: ClientCertificates,
) -> Result<(Arc<ServerConfig>, Facts), TlsError> {
    let content = |path: &Path, problem: String| TlsError::Content { path: path.to_owned(), problem };
    let pair = |error: rustls::Error| TlsError::Pair {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        problem: error.to_string(),
    };
    let chain = certificates(certificate, &files.certificate)?;
    let facts = Facts::of(&chain[0]).map_err(|problem| content(certificate, problem))?;
    let private = PrivateKeyDer::from_pem_slice(&files.key)
        .map_err(|error| content(key, format!("is no PEM file of a private key: {error}")))?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().map_err(pair)?;
    let builder = match (clients, client_ca) {
        (ClientCertificates::Off, _) | (_, None) => builder.with_no_client_auth(),
        (wanted, Some(path)) => {
            let mut roots = RootCertStore::empty();
            for root in certificates(path, &files.client_ca)? {
                roots.add(root).map_err(|error| content(path, error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = match wanted {
                ClientCertificates::Required => verifier,
                _ => verifier.allow_unauthenticated(),
            };
            let verifier = verifier.build().map_err(|error| content(path, error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, private).map_err(pair)?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    // Workers that come back do not pay for a whole handshake. Its keys are this configuration's own, so that with a new
    // certificate, or other roots for clients, everyone shows anew who they are.
    config.ticketer = ring::Ticketer::new().map_err(pair)?;
    Ok((Arc::new(config), facts))
}
