//! What the key file protects. Secrets of API keys are kept as their HMAC under a pepper: they are random, so that no slow
//! hash is needed. Secrets of LiveKit keys must be read again to verify with, so that they are encrypted instead.

use std::fmt;

use ring::{aead, hmac};

use crate::access::{Secret, SignIn};

/// Bytes of the key file's content.
pub const MASTER_BYTES: usize = 32;
/// Random bytes that each sealing takes.
pub const NONCE_BYTES: usize = aead::NONCE_LEN;
/// Bytes of a kept digest.
pub const DIGEST_BYTES: usize = 32;

/// The keys that are derived from the key file.
pub struct Vault {
    pepper: hmac::Key,
    sealing: aead::LessSafeKey,
    /// Of cookies: they are many, and each takes a random nonce of its key.
    cookies: aead::LessSafeKey,
    check: [u8; DIGEST_BYTES],
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[vault]")
    }
}

impl Vault {
    pub fn new(master: &Secret<[u8; MASTER_BYTES]>) -> Self {
        // A key of its own for each use, so that none says anything of another.
        let derived = |purpose: &str| {
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, master.expose()), purpose.as_bytes());
            Secret::new(bytes_of(&tag))
        };
        let sealing = |purpose: &str| {
            let key = aead::UnboundKey::new(&aead::AES_256_GCM, derived(purpose).expose());
            aead::LessSafeKey::new(key.expect("OK because the derived key is as long as AES-256 wants it"))
        };
        Self {
            pepper: hmac::Key::new(hmac::HMAC_SHA256, derived("highwater pepper 1").expose()),
            sealing: sealing("highwater sealing 1"),
            cookies: sealing("highwater cookies 1"),
            check: *derived("highwater check 1").expose(),
        }
    }

    /// What tells this key file from another, and nothing of it.
    pub fn check(&self) -> String {
        self.check[..DIGEST_BYTES / 2].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What is kept of an API key's secret.
    pub fn digest(&self, secret: &[u8]) -> [u8; DIGEST_BYTES] {
        bytes_of(&hmac::sign(&self.pepper, secret))
    }

    /// Whether this is the secret that the digest was made of; takes the same time whether it is or not.
    pub fn matches(&self, secret: &[u8], digest: &[u8; DIGEST_BYTES]) -> bool {
        hmac::verify(&self.pepper, secret, digest).is_ok()
    }

    /// A secret encrypted, bound to the name of its key. `nonce` must be random, and never the same again.
    pub fn seal(&self, name: &str, secret: &Secret<Vec<u8>>, nonce: [u8; NONCE_BYTES]) -> Vec<u8> {
        seal(&self.sealing, name, secret.expose().clone(), nonce)
    }

    /// The secret of a key of this name; `None` when it was not sealed by this vault for this name.
    pub fn open(&self, name: &str, sealed: &[u8]) -> Option<Secret<Vec<u8>>> {
        open(&self.sealing, name, sealed)
    }

    /// A sign-in encrypted, for a browser to keep. `nonce` must be random, and never the same again.
    pub fn seal_sign_in(&self, sign_in: &SignIn, nonce: [u8; NONCE_BYTES]) -> Vec<u8> {
        seal(&self.cookies, "", sign_in.encode(), nonce)
    }

    /// What a browser has kept; `None` when it was not sealed by this vault.
    pub fn open_sign_in(&self, sealed: &[u8]) -> Option<SignIn> {
        SignIn::decode(open(&self.cookies, "", sealed)?.expose())
    }
}

fn seal(key: &aead::LessSafeKey, name: &str, mut sealed: Vec<u8>, nonce: [u8; NONCE_BYTES]) -> Vec<u8> {
    let unique = aead::Nonce::assume_unique_for_key(nonce);
    let done = key.seal_in_place_append_tag(unique, aead::Aad::from(name), &mut sealed);
    done.expect("OK because secrets are far shorter than what AES-GCM can encrypt");
    [&nonce[..], &sealed].concat()
}

fn open(key: &aead::LessSafeKey, name: &str, sealed: &[u8]) -> Option<Secret<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let mut secret = Secret::new(sealed.to_vec());
    let nonce = aead::Nonce::assume_unique_for_key(*nonce);
    let length = key.open_in_place(nonce, aead::Aad::from(name), &mut secret.0).ok()?.len();
    secret.0.truncate(length);
    Some(secret)
}

fn bytes_of(tag: &hmac::Tag) -> [u8; DIGEST_BYTES] {
    tag.as_ref().try_into().expect("OK because the tag of HMAC-SHA256 is 32 bytes")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_file_knows_its_secrets() {
        let (ours, other) = (Vault::new(&Secret::new([1; 32])), Vault::new(&Secret::new([2; 32])));
        let digest = ours.digest(b"secret");
        assert!(ours.matches(b"secret", &digest) && !ours.matches(b"Secret", &digest));
        assert!(!other.matches(b"secret", &digest));
        let sealed = ours.seal("APIx", &Secret::new(b"secret".to_vec()), [3; NONCE_BYTES]);
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        assert_eq!(ours.open("APIx", &sealed).unwrap().expose(), b"secret");
        assert!(ours.open("APIy", &sealed).is_none(), "it is bound to its name");
        assert!(other.open("APIx", &sealed).is_none());
        assert!(ours.open("APIx", &sealed[..NONCE_BYTES]).is_none() && ours.open("APIx", b"").is_none());
        let sign_in = SignIn { number: [4; 16], until: crate::model::Time(5), key: "AbCdEfGhIj".into() };
        let cookie = ours.seal_sign_in(&sign_in, [6; NONCE_BYTES]);
        assert!(!cookie.windows(10).any(|part| part == b"AbCdEfGhIj"));
        assert_eq!(ours.open_sign_in(&cookie), Some(sign_in));
        assert!(other.open_sign_in(&cookie).is_none() && ours.open("", &cookie).is_none());
        assert_ne!(ours.check(), other.check());
        assert_eq!(format!("{ours:?}"), "[vault]");
    }
}
