//! LiveKit's tokens: JWT, HS256 and nothing else, signed with the secret of the API key that `iss` names: those that agents
//! mint already, those of its webhooks, and ours for its API. The header decides nothing: a token that says anything but
//! HS256 is none of these. Claims have types: an `exp` that is a text is refused, and not taken for one that is missing
//! (GHSA-h395-gr6q-cpjc).
//!
//! The MAC is a library's; the compact form around it (RFC 7515) is here, since the JWT crates bring RSA and elliptic curves
//! along or one crypto provider for the whole process.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};

use crate::model::{Time, time::MICROS_PER_SECOND};

/// Longest token, in bytes: those of agents and webhooks have some hundred.
pub const MAX_TOKEN_BYTES: usize = 4_096;
/// Longest name of a LiveKit API key, in bytes.
pub const MAX_ISSUER_BYTES: usize = 64;

/// The one algorithm that there is.
#[derive(Deserialize)]
enum Algorithm {
    HS256,
}

#[derive(Deserialize)]
struct Header {
    /// Read for its type alone.
    #[serde(rename = "alg")]
    _alg: Algorithm,
    typ: Option<String>,
    /// Extensions that must be understood; none is.
    crit: Option<serde::de::IgnoredAny>,
}

/// Claims that say who signed them.
pub trait Issued: DeserializeOwned {
    /// The API key.
    fn issuer(&self) -> &str;
}

/// What of an agent's claims is looked at. `sub`, the name, and grants for rooms say nothing of what may be done here.
#[derive(Debug, Deserialize)]
pub struct Claims {
    iss: String,
    /// When it ends; a token without an end is refused.
    #[serde(rename = "exp", deserialize_with = "numeric_date")]
    pub expires: Time,
    #[serde(rename = "nbf", default, deserialize_with = "optional_numeric_date")]
    pub not_before: Option<Time>,
    #[serde(default)]
    inference: Option<Inference>,
}

/// The grant that agents have: to perform inference.
#[derive(Debug, Deserialize)]
struct Inference {
    #[serde(default)]
    perform: bool,
}

/// A token that was read, and not verified yet.
#[derive(Debug)]
pub struct Unverified<'t, C = Claims> {
    signed: &'t [u8],
    signature: Vec<u8>,
    claims: C,
}

/// Reads what was presented.
///
/// # Errors
/// What is wrong with it, in words that hold nothing of it.
pub fn read<C: Issued>(text: &str) -> Result<Unverified<'_, C>, &'static str> {
    if text.len() > MAX_TOKEN_BYTES {
        return Err("it is longer than any access token");
    }
    let mut parts = text.split('.');
    let (Some(header), Some(claims), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("it is neither an API key (hwm_...) nor an access token (three parts)");
    };
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| "a part of it is not base64url");
    // Texts before they are JSON (RFC 7519, 7.2): serde_json does not look into the strings that it skips.
    let text_of = |part: &str| String::from_utf8(decode(part)?).map_err(|_| "a part of it is not UTF-8");
    let read: Header = serde_json::from_str(&text_of(header)?).map_err(|_| "its algorithm is not HS256")?;
    if read.crit.is_some() || read.typ.is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT")) {
        return Err("its header asks for more than an access token has");
    }
    let claims: C = serde_json::from_str(&text_of(claims)?)
        .map_err(|_| "its claims are not those of an access token: iss and exp are needed, exp and nbf as numbers")?;
    if claims.issuer().is_empty() || claims.issuer().len() > MAX_ISSUER_BYTES {
        return Err("its issuer is not an API key");
    }
    let signed = &text.as_bytes()[..text.len() - signature.len() - 1];
    Ok(Unverified { signed, signature: decode(signature)?, claims })
}

/// The token of claims, signed.
pub fn sign(claims: &[u8], secret: &[u8]) -> String {
    let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
}

impl<C: Issued> Unverified<'_, C> {
    /// The API key that it says it was signed for.
    pub fn issuer(&self) -> &str {
        self.claims.issuer()
    }

    /// The claims, if it was signed with this secret; takes the same time whether it was or not.
    pub fn verify(self, secret: &[u8]) -> Option<C> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        hmac::verify(&key, self.signed, &self.signature).ok().map(|()| self.claims)
    }
}

impl Issued for Claims {
    fn issuer(&self) -> &str {
        &self.iss
    }
}

impl Claims {
    /// Whether it may report: the grant `inference: {perform: true}`.
    pub fn may_report(&self) -> bool {
        self.inference.as_ref().is_some_and(|inference| inference.perform)
    }
}

/// Seconds since the Unix epoch, as a number. What is no such number is refused, never taken for absent.
fn numeric_date<'de, D: Deserializer<'de>>(from: D) -> Result<Time, D::Error> {
    let seconds = f64::deserialize(from)?;
    let micros = seconds * MICROS_PER_SECOND as f64;
    if !(0.0..=u64::MAX as f64 / 2.0).contains(&micros) {
        return Err(D::Error::custom("is no time"));
    }
    Ok(Time(micros as u64))
}

fn optional_numeric_date<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Time>, D::Error> {
    numeric_date(from).map(Some)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
    const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

    fn sign(header: &str, claims: &str, secret: &[u8]) -> String {
        let body = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), body.as_bytes());
        format!("{body}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    #[track_caller]
    fn check(header: &str, claims: &str, is_read: bool) {
        let token = sign(header, claims, SECRET);
        let read = read::<Claims>(&token);
        assert_eq!(read.is_ok(), is_read, "{header} {claims}: {read:?}");
    }

    #[test]
    fn an_agents_token_may_report() {
        let claims = r#"{"iss":"APIx","sub":"agent-7","nbf":1000,"exp":2000,"video":{"agent":true},"inference":{"perform":true}}"#;
        let token = sign(HEADER, claims, SECRET);
        let unverified = read::<Claims>(&token).unwrap();
        assert_eq!(unverified.issuer(), "APIx");
        let claims = unverified.verify(SECRET).unwrap();
        assert_eq!((claims.expires, claims.not_before), (Time::from_secs(2_000), Some(Time::from_secs(1_000))));
        assert!(claims.may_report());
        assert!(read::<Claims>(&token).unwrap().verify(b"another secret").is_none());
    }

    #[test]
    fn grants_for_rooms_give_nothing() {
        for grants in ["", r#","video":{"roomAdmin":true}"#, r#","inference":{"perform":false}"#, r#","inference":{}"#]
        {
            let token = sign(HEADER, &format!(r#"{{"iss":"APIx","exp":2000{grants}}}"#), SECRET);
            assert!(!read::<Claims>(&token).unwrap().verify(SECRET).unwrap().may_report(), "{grants}");
        }
    }

    #[test]
    fn the_header_decides_nothing() {
        let good = r#"{"iss":"APIx","exp":2000}"#;
        check(HEADER, good, true);
        check(r#"{"alg":"HS256"}"#, good, true);
        for alg in ["none", "None", "RS256", "HS512", "HS384", "ES256", "EdDSA", "hs256", ""] {
            check(&format!(r#"{{"alg":"{alg}","typ":"JWT"}}"#), good, false);
        }
        for header in ["{}", r#"{"typ":"JWT"}"#, r#"{"alg":["HS256"]}"#, r#"{"alg":"HS256","alg":"none"}"#, "[]", ""] {
            check(header, good, false);
        }
        check(r#"{"alg":"HS256","typ":"JOSE"}"#, good, false);
        check(r#"{"alg":"HS256","crit":["b64"],"b64":false}"#, good, false);
    }

    #[test]
    fn malformed_times_are_refused_and_not_taken_for_absent() {
        for (times, is_read) in [
            (r#""exp":2000"#, true),
            (r#""exp":2000.5,"nbf":0"#, true),
            (r#""nbf":1000"#, false),
            (r#""exp":"2000""#, false),
            (r#""exp":null"#, false),
            (r#""exp":-1"#, false),
            (r#""exp":1e300"#, false),
            (r#""exp":[2000]"#, false),
            (r#""exp":true"#, false),
            (r#""exp":2000,"exp":9000"#, false),
            (r#""exp":2000,"nbf":"1000""#, false),
            (r#""exp":2000,"nbf":null"#, false),
            (r#""exp":2000,"nbf":{}"#, false),
        ] {
            check(HEADER, &format!(r#"{{"iss":"APIx",{times}}}"#), is_read);
        }
        for issuer in [r#""""#, "7", "null", &format!("{:?}", "x".repeat(65))] {
            check(HEADER, &format!(r#"{{"iss":{issuer},"exp":2000}}"#), false);
        }
    }

    #[test]
    fn garbage_is_refused_whatever_it_is() {
        let good = sign(HEADER, r#"{"iss":"APIx","exp":2000}"#, SECRET);
        for cut in 0..good.len() {
            let verified = read::<Claims>(&good[..cut]).ok().and_then(|token| token.verify(SECRET));
            assert!(verified.is_none(), "cut at {cut}");
        }
        let unsigned = &good[..=good.rfind('.').unwrap()];
        assert!(read::<Claims>(unsigned).unwrap().verify(SECRET).is_none());
        for text in ["", "..", "...", "a.b.c", &format!("{good}.x"), &format!("{good}="), &"x".repeat(9_000)] {
            assert!(read::<Claims>(text).is_err(), "{text}");
        }
    }
}
