//! Credentials as anyone may present them: any text is taken or refused without a panic; what is taken is the one key that
//! there is, or a token that a naive reading of its parts agrees with.

#![no_main]

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use highwater::{
    access::{Credentials, Kept, KeyRecord, Role, Secret, Vault, token},
    model::{Project, Time},
};
use libfuzzer_sys::fuzz_target;
use ring::hmac;
use serde_json::Value;

const NOW: u64 = 1_700_000_000;
/// By how much the clocks of those who mint may be off, in seconds.
const LEEWAY: f64 = 10.0;
const ISSUER: &str = "APIfuzz";
const SECRET: &[u8] = b"a secret as long as those of LiveKit are";

struct World {
    vault: Vault,
    credentials: Credentials,
    key: String,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let vault = Vault::new(&Secret::new([1; 32]));
    let (id, secret) = (token::id([2; 8]), token::secret(&Secret::new([3; 32])));
    let key = token::spell(Role::Viewer, &id, &secret).expose().clone();
    let digest = Kept::Digest(vault.digest(secret.expose().as_bytes()));
    let sealed = Kept::Sealed(vault.seal(ISSUER, &Secret::new(SECRET.to_vec()), [4; 12]));
    let records = [record(&id, digest, Role::Viewer), record(ISSUER, sealed, Role::Worker)];
    World { credentials: Credentials::load(records, &vault), vault, key }
});

fn record(id: &str, kept: Kept, role: Role) -> KeyRecord {
    KeyRecord {
        id: id.to_owned(),
        kept,
        name: String::new(),
        project: Project::new("fuzz").expect("it is a name"),
        role,
        created: Time(0),
        created_by: String::new(),
        not_before: None,
        expires: None,
        revoked: None,
        last_used: None,
        replaced_by: None,
    }
}

fn is_taken(text: &str) -> bool {
    WORLD.credentials.verify(&WORLD.vault, text, Time::from_secs(NOW)).is_ok()
}

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = str::from_utf8(data) {
        if let Ok(read) = token::read(text) {
            let secret = Secret::new(String::from_utf8(read.secret.0.to_vec()).expect("it was a part of a text"));
            assert_eq!(token::spell(read.role, read.id, &secret).expose(), text, "a key has one spelling");
        }
        if is_taken(text) {
            assert!(text == WORLD.key || is_signed(text), "{text} was made of nothing");
        }
    }
    // The bytes as header and claims, rightly signed: only what they say can be wrong.
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let (header, claims) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let body = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), body.as_bytes());
    if is_taken(&format!("{body}.{}", URL_SAFE_NO_PAD.encode(tag))) {
        let read = |part: &[u8]| serde_json::from_slice::<Value>(part).expect("what is taken is JSON");
        let (header, claims) = (read(header), read(claims));
        assert_eq!((&header["alg"], header.get("crit")), (&Value::from("HS256"), None));
        assert_eq!((&claims["iss"], &claims["inference"]["perform"]), (&Value::from(ISSUER), &Value::Bool(true)));
        let now = NOW as f64;
        assert!(claims["exp"].as_f64().expect("an end is a number") + LEEWAY > now);
        let begins = claims.get("nbf").map(|nbf| nbf.as_f64().expect("a beginning is a number"));
        // To the microsecond.
        assert!(begins.is_none_or(|begins| begins < now + LEEWAY + 1e-6));
    }
});

/// Whether a token's signature is that of the one secret.
fn is_signed(text: &str) -> bool {
    let Some((body, signature)) = text.rsplit_once('.') else { return false };
    let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), body.as_bytes(), &signature).is_ok()
}
