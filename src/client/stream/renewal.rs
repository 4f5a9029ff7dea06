//! When a stream's credential is to be replaced by another: before it ends, when a fifth of the time until then is left.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::{client::Credential, client::wire, proto::AttachRequest};

/// New credentials are asked for at most this often.
const EVERY: Duration = Duration::from_secs(1);
/// A credential that ends later than this is as good as one without an end.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3_600);

/// The renewals of one stream.
#[derive(Debug, Default)]
pub(super) struct Renewal {
    /// What another credential is taken from, if one can be.
    credential: Option<Credential>,
    /// When the next one is due.
    pub at: Option<Instant>,
}

impl Renewal {
    pub fn of(credential: Option<&Credential>) -> Self {
        Self { credential: credential.filter(|credential| credential.is_renewed()).cloned(), at: None }
    }

    /// The credential that is presented now ends then.
    pub fn before(&mut self, expires: Option<&prost_types::Timestamp>) {
        let left = expires.filter(|_| self.credential.is_some()).map(|expires| until(expires) * 4 / 5);
        self.at = left.map(|left| Instant::now() + left.max(EVERY));
    }

    /// What presents the next credential. When none can be had, it is tried again until the stream ends with the old one.
    pub fn due(&mut self) -> Option<AttachRequest> {
        self.at = None;
        match self.credential.as_ref()?.token() {
            Ok(token) => Some(wire::authenticate(&token)),
            Err(error) => {
                tracing::warn!(error, "no new credential could be had");
                self.at = Some(Instant::now() + EVERY);
                None
            }
        }
    }
}

/// How long it is until then, by the wall clock.
#[expect(clippy::disallowed_methods, reason = "the end of a credential is told as a time of day")]
fn until(expires: &prost_types::Timestamp) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_secs(u64::try_from(expires.seconds).unwrap_or(0)).saturating_sub(now).min(LONGEST)
}
