//! What LiveKit's tokens say: those that its webhooks carry, and those that its API asks for.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    access::{
        Secret,
        jwt::{self, Issued},
    },
    model::{Project, Time, time::MICROS_PER_SECOND},
};

/// How far LiveKit's clock may be from ours: what its own libraries allow.
pub const LEEWAY: Duration = Duration::from_secs(60);
/// How long a token of ours is good for; one is made for each request.
const OURS_GOOD_FOR: Duration = Duration::from_secs(600);

/// Who knows the API secrets.
pub trait Secrets: fmt::Debug + Send + Sync {
    /// The project that an API key belongs to, and the key's secret.
    fn secret(&self, api_key: &str) -> Option<(Project, Secret<Vec<u8>>)>;
}

/// What a verified token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub project: Project,
    /// SHA-256 of the body, in base64.
    pub sha256: String,
    /// When it was made by the clock of who made it, in seconds since the Unix epoch.
    pub made: Option<u64>,
}

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token is not a JWT signed with HS256")]
    Malformed,
    /// Whether the key is known or not: nobody may find out which keys there are.
    #[error("the token is not signed by a known API key")]
    Signature,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYet,
    #[error("the token has no claim `sha256` of the body")]
    NoHash,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    exp: u64,
    nbf: Option<u64>,
    #[serde(default)]
    sha256: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ours<'a> {
    iss: &'a str,
    sub: &'a str,
    nbf: u64,
    exp: u64,
    video: Grants<'a>,
}

/// What a token of ours allows.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Grants<'a> {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub room_list: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub room_admin: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub room_record: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ingress_admin: bool,
}

impl Issued for Claims {
    fn issuer(&self) -> &str {
        &self.iss
    }
}

/// Checks the token of a webhook at the time `now` of our wall clock.
///
/// # Errors
/// When it is not one of a known key, or not valid now.
pub fn verify(token: &str, secrets: &dyn Secrets, now: Time) -> Result<Verified, TokenError> {
    /// What a token of an unknown key is verified with, so that it takes as long.
    const NOBODYS: &[u8] = b"a secret of nobody, as long as those that LiveKit makes";
    let token = jwt::read::<Claims>(token).map_err(|_| TokenError::Malformed)?;
    let known = secrets.secret(token.issuer());
    let claims = token.verify(known.as_ref().map_or(NOBODYS, |(_, secret)| secret.expose()));
    let (Some((project, _)), Some(claims)) = (known, claims) else { return Err(TokenError::Signature) };
    let (now, leeway) = (now.0 / MICROS_PER_SECOND, LEEWAY.as_secs());
    if claims.exp.saturating_add(leeway) <= now {
        return Err(TokenError::Expired);
    }
    if claims.nbf.is_some_and(|nbf| nbf > now + leeway) {
        return Err(TokenError::NotYet);
    }
    if claims.sha256.is_empty() {
        return Err(TokenError::NoHash);
    }
    Ok(Verified { project, sha256: claims.sha256, made: claims.nbf })
}

/// A token for a request to LiveKit's API, good from a minute ago on, since its clock may be behind ours.
pub fn mint(api_key: &str, secret: &Secret<Vec<u8>>, video: Grants<'_>, now: Time) -> String {
    let now = now.0 / MICROS_PER_SECOND;
    let (nbf, exp) = (now.saturating_sub(LEEWAY.as_secs()), now + OURS_GOOD_FOR.as_secs());
    let claims = serde_json::to_vec(&Ours { iss: api_key, sub: "highwater", nbf, exp, video })
        .expect("OK because texts, numbers and switches are always JSON");
    jwt::sign(&claims, secret.expose())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use ring::hmac;

    use super::*;

    const NOW: Time = Time::from_secs(1_000_000);

    #[derive(Debug)]
    struct One;

    impl Secrets for One {
        fn secret(&self, api_key: &str) -> Option<(Project, Secret<Vec<u8>>)> {
            (api_key == "key").then(|| (Project::new("demo").unwrap(), "secret".into()))
        }
    }

    fn token(header: &str, claims: &str, secret: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    #[track_caller]
    fn check(header: &str, claims: &str, secret: &str, expect: Result<Option<u64>, TokenError>) {
        assert_eq!(verify(&token(header, claims, secret), &One, NOW).map(|verified| verified.made), expect, "{claims}");
    }

    #[test]
    fn only_a_valid_token_of_a_known_key_is_taken() {
        let hs = r#"{"typ":"JWT","alg":"HS256"}"#;
        let claims = |times: &str| format!(r#"{{"iss":"key",{times}"sha256":"h","unknown":[1]}}"#);
        check(hs, &claims(r#""exp":1000100,"nbf":999990,"#), "secret", Ok(Some(999_990)));
        check(hs, &claims(r#""exp":1000100,"#), "secret", Ok(None));
        check(hs, &claims(r#""exp":999950,"#), "secret", Ok(None));
        check(hs, &claims(r#""exp":999940,"#), "secret", Err(TokenError::Expired));
        check(hs, &claims(r#""exp":1000100,"nbf":1000061,"#), "secret", Err(TokenError::NotYet));
        check(hs, &claims(r#""exp":1000100,"#), "other", Err(TokenError::Signature));
        check(hs, r#"{"iss":"other","exp":1000100,"sha256":"h"}"#, "secret", Err(TokenError::Signature));
        check(hs, r#"{"iss":"key","exp":1000100}"#, "secret", Err(TokenError::NoHash));
        // Malformed times are no missing times.
        for times in ["", r#""exp":"1000100","#, r#""exp":1e6,"#, r#""exp":1000100,"nbf":"999","#, r#""exp":-1,"#] {
            check(hs, &claims(times), "secret", Err(TokenError::Malformed));
        }
        for header in [r#"{"alg":"none"}"#, r#"{"alg":"HS512"}"#, r#"{"alg":"RS256"}"#, "{}", "[]", "x"] {
            check(header, &claims(r#""exp":1000100,"#), "secret", Err(TokenError::Malformed));
        }
    }

    #[test]
    fn what_is_no_token_is_malformed() {
        let good = token(r#"{"alg":"HS256"}"#, r#"{"iss":"key","exp":1000100,"sha256":"h"}"#, "secret");
        let unsigned = good.rsplit_once('.').unwrap().0;
        let none = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), unsigned.split_once('.').unwrap().1);
        for text in ["", ".", "..", "a.b", "a.b.c.d", &format!("Bearer {good}"), &"x".repeat(9_000), unsigned, &none] {
            assert_eq!(verify(text, &One, NOW), Err(TokenError::Malformed), "{text}");
        }
        assert_eq!(verify(&format!("{unsigned}."), &One, NOW), Err(TokenError::Signature));
    }

    #[test]
    fn what_is_minted_names_the_grants() {
        let secret: Secret<Vec<u8>> = "secret".into();
        let token = mint("key", &secret, Grants { room_admin: true, room: Some("a \"b\""), ..Grants::default() }, NOW);
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        let expected =
            r#"{"iss":"key","sub":"highwater","nbf":999940,"exp":1000600,"video":{"roomAdmin":true,"room":"a \"b\""}}"#;
        assert_eq!(String::from_utf8(claims).unwrap(), expected);
        assert_eq!(verify(&token, &One, NOW), Err(TokenError::NoHash));
    }
}
