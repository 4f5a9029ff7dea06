//! What was presented, and what it is good for.

#![allow(clippy::unwrap_used)]

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;

use super::*;

const LIVEKIT_SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

fn at(seconds: u64) -> Time {
    Time::from_secs(seconds)
}

fn vault() -> Vault {
    Vault::new(&Secret::new([5; 32]))
}

fn record(id: &str, kept: Kept, project: &str, role: Role) -> KeyRecord {
    KeyRecord {
        id: id.to_owned(),
        kept,
        name: String::new(),
        project: Project::new(project).unwrap(),
        role,
        created: at(0),
        created_by: "test".to_owned(),
        not_before: None,
        expires: None,
        revoked: None,
        last_used: None,
        replaced_by: None,
    }
}

/// An API key and what is kept of it.
fn api_key(role: Role, project: &str) -> (String, KeyRecord) {
    let (id, secret) = (token::id([1; 8]), token::secret(&Secret::new([2; 32])));
    let digest = vault().digest(secret.expose().as_bytes());
    (token::spell(role, &id, &secret).expose().clone(), record(&id, Kept::Digest(digest), project, role))
}

fn livekit_key(id: &str) -> KeyRecord {
    let sealed = vault().seal(id, &Secret::new(LIVEKIT_SECRET.to_vec()), [9; 12]);
    record(id, Kept::Sealed(sealed), "acme", Role::Worker)
}

fn mint(issuer: &str, times: &str, secret: &[u8]) -> String {
    let claims = format!(r#"{{"iss":{issuer:?},{times},"inference":{{"perform":true}}}}"#);
    let body = format!("{}.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#), URL_SAFE_NO_PAD.encode(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), body.as_bytes());
    format!("{body}.{}", URL_SAFE_NO_PAD.encode(tag))
}

#[track_caller]
fn refused(credentials: &Credentials, text: &str, now: Time, expected: &Refused) {
    assert_eq!(&credentials.verify(&vault(), text, now).unwrap_err().0, expected);
}

#[test]
fn an_api_key_is_good_between_its_beginning_and_its_end() {
    let (text, record) = api_key(Role::Viewer, "acme");
    let record = KeyRecord { not_before: Some(at(10)), expires: Some(at(20)), ..record };
    let credentials = Credentials::load([record], &vault());
    let pass = credentials.verify(&vault(), &text, at(10)).unwrap();
    assert_eq!((pass.role(), pass.project().as_str(), pass.until()), (Role::Viewer, "acme", Some(at(20))));
    refused(&credentials, &text, at(9), &Refused::NotYet);
    refused(&credentials, &text, at(20), &Refused::Expired);
    assert_eq!((pass.check(at(19)), pass.check(at(20))), (Ok(()), Err(Refused::Expired)));
}

#[test]
fn an_unknown_key_and_a_wrong_secret_are_told_alike() {
    let (text, record) = api_key(Role::Worker, "acme");
    let id = record.id.clone();
    let credentials = Credentials::load([record], &vault());
    let other = token::secret(&Secret::new([3; 32]));
    refused(&credentials, token::spell(Role::Worker, &id, &other).expose(), at(1), &Refused::Unknown);
    // Another role in front of the right secret.
    let secret = token::secret(&Secret::new([2; 32]));
    refused(&credentials, token::spell(Role::Operator, &id, &secret).expose(), at(1), &Refused::Unknown);
    refused(&Credentials::default(), &text, at(1), &Refused::Unknown);
    let elsewhere = Vault::new(&Secret::new([6; 32]));
    assert_eq!(credentials.verify(&elsewhere, &text, at(1)).unwrap_err().0, Refused::Unknown);
}

#[test]
fn what_is_open_sees_that_a_key_is_revoked_or_forgotten() {
    let (text, record) = api_key(Role::Worker, "acme");
    let mut credentials = Credentials::load([record.clone()], &vault());
    let pass = credentials.verify(&vault(), &text, at(1)).unwrap();
    credentials.put(KeyRecord { expires: Some(at(5)), ..record.clone() }, &vault());
    assert_eq!((pass.check(at(4)), pass.check(at(5))), (Ok(()), Err(Refused::Expired)));
    credentials.put(KeyRecord { revoked: Some(at(3)), ..record.clone() }, &vault());
    assert_eq!(pass.check(at(4)), Err(Refused::Revoked));
    refused(&credentials, &text, at(4), &Refused::Revoked);

    credentials.put(record, &vault());
    let pass = credentials.verify(&vault(), &text, at(5)).unwrap();
    credentials.retain(|_| false);
    assert_eq!(pass.check(at(6)), Err(Refused::Revoked));
    refused(&credentials, &text, at(6), &Refused::Unknown);
}

#[test]
fn a_livekit_token_is_good_for_its_keys_project_until_it_ends() {
    let mut credentials = Credentials::load([livekit_key("APIx")], &vault());
    let token = mint("APIx", r#""nbf":100,"exp":200"#, LIVEKIT_SECRET);
    let pass = credentials.verify(&vault(), &token, at(100)).unwrap();
    assert_eq!((pass.role(), pass.project().as_str()), (Role::Worker, "acme"));
    // The clocks of those who mint may be off by the leeway.
    assert_eq!(pass.until(), Some(at(200).after(LEEWAY)));
    assert!(credentials.verify(&vault(), &token, at(90)).is_ok());
    refused(&credentials, &token, at(89), &Refused::NotYet);
    refused(&credentials, &token, at(210), &Refused::Expired);
    refused(&credentials, &mint("APIy", r#""exp":200"#, LIVEKIT_SECRET), at(100), &Refused::Unknown);
    refused(&credentials, &mint("APIx", r#""exp":200"#, b"another secret"), at(100), &Refused::Unknown);
    let revoked = KeyRecord { revoked: Some(at(150)), ..livekit_key("APIx") };
    credentials.put(revoked, &vault());
    refused(&credentials, &token, at(160), &Refused::Revoked);
}

#[test]
fn a_token_signed_with_what_stands_in_for_a_secret_is_none() {
    // An API key's id as the issuer, and a LiveKit key sealed under another key file, are keys without a secret.
    let (_, api) = api_key(Role::Operator, "acme");
    let lost = KeyRecord { kept: Kept::Sealed(vec![0; 60]), ..livekit_key("APIlost") };
    let credentials = Credentials::load([api.clone(), lost], &vault());
    let stand_in = b"a secret of nobody, as long as those that LiveKit makes";
    for issuer in [api.id.as_str(), "APIlost", "nobody"] {
        refused(&credentials, &mint(issuer, r#""exp":200"#, stand_in), at(100), &Refused::Unknown);
        refused(&credentials, &mint(issuer, r#""exp":200"#, b""), at(100), &Refused::Unknown);
    }
}

#[test]
fn forms_are_checked_before_anything_is_looked_up() {
    let credentials = Credentials::default();
    for text in ["", "hwm_", "hwm_worker_x_y_z", "Bearer x", "a.b", "a.b.c"] {
        let (why, id) = credentials.verify(&vault(), text, at(1)).unwrap_err();
        assert!(matches!(why, Refused::Malformed(_)) && id.is_none(), "{text}: {why:?}");
    }
}
