//! What a certificate says: whose it is, until when, and who a client is by it.

use std::fmt;

use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _};

use crate::{
    api::peer::Identity,
    model::{Time, time::MICROS_PER_SECOND},
};

/// From how many days before its end a certificate is told of, and from how many as a matter of haste.
const TOLD_DAYS: u64 = 30;
const HASTE_DAYS: u64 = 7;
const SECONDS_PER_DAY: u64 = 86_400;
/// Names of a certificate that are kept; more are none of ours.
const MOST_NAMES: usize = 64;

/// What the service's own certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    names: Vec<String>,
    /// Seconds since the epoch.
    ends: u64,
}

impl Facts {
    /// Reads them.
    ///
    /// # Errors
    /// When it is no certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, String> {
        let certificate = parse(certificate)?;
        let ends = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or(0);
        Ok(Self { names: names(&certificate), ends })
    }

    /// What is to be told of its end, when that is near.
    pub fn ends_soon(&self, now: Time) -> Option<String> {
        let now = now.0 / MICROS_PER_SECOND;
        let Some(left) = self.ends.checked_sub(now) else {
            return Some("has ended: no client trusts it any more; put a new one in its place".to_owned());
        };
        match left / SECONDS_PER_DAY {
            0 => Some("ends within a day: put a new one in its place now".to_owned()),
            days @ ..HASTE_DAYS => Some(format!("ends in {days} days: put a new one in its place")),
            days @ ..TOLD_DAYS => Some(format!("ends in {days} days")),
            _ => None,
        }
    }
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names.join(", "))
    }
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, String> {
    let parsed = X509Certificate::from_der(certificate);
    parsed.map(|(_, certificate)| certificate).map_err(|error| format!("is no X.509 certificate: {error}"))
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let names = alternatives.iter().flat_map(|extension| &extension.value.general_names);
    let spelled = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(format!("dns:{}", name.to_ascii_lowercase())),
        GeneralName::URI(uri) => Some(format!("uri:{uri}")),
        GeneralName::RFC822Name(address) => Some(format!("email:{address}")),
        _ => None,
    });
    spelled.take(MOST_NAMES).collect()
}

/// Who a client is by the certificate that it showed, once TLS has found it to be right.
pub fn identity(certificate: &CertificateDer<'_>) -> Option<Identity> {
    let parsed = parse(certificate).ok()?;
    Some(Identity { names: names(&parsed), fingerprint: Sha256::digest(certificate).into() })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    #[test]
    fn a_client_is_who_its_certificate_names() {
        let mut params = CertificateParams::new(["Agents.example".to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::URI("spiffe://example/agents".try_into().unwrap()));
        params.subject_alt_names.push(SanType::Rfc822Name("a@example.org".try_into().unwrap()));
        let shown = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let identity = identity(shown.der()).unwrap();
        assert_eq!(identity.names, ["dns:agents.example", "uri:spiffe://example/agents", "email:a@example.org"]);
        assert_eq!(identity.fingerprint[..], Sha256::digest(shown.der())[..]);
        assert_eq!(super::identity(&CertificateDer::from(vec![1, 2, 3])), None);
    }

    #[test]
    fn the_end_is_told_thirty_and_seven_days_before() {
        let facts = Facts { names: Vec::new(), ends: 100 * SECONDS_PER_DAY };
        let check = |day: u64, expected: Option<&str>| {
            let told = facts.ends_soon(Time::from_secs(day * SECONDS_PER_DAY + 1));
            assert_eq!(told.as_deref().map(|told| &told[..told.len().min(15)]), expected, "day {day}");
        };
        check(10, None);
        check(69, None);
        check(70, Some("ends in 29 days"));
        check(94, Some("ends in 5 days:"));
        check(99, Some("ends within a d"));
        check(100, Some("has ended: no c"));
    }
}
