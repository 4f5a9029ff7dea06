//! What a browser was signed in with: its cookie holds this, sealed under the key file, and no credential. So it outlives
//! a restart of the service, and is worth nothing once its key is revoked.

use crate::model::Time;

/// Bytes of the number that tells one sign-in from all others.
pub const NUMBER_BYTES: usize = 16;
const TIME_BYTES: usize = 8;

/// One sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    pub number: [u8; NUMBER_BYTES],
    /// When it ends, exclusive, also when its key does not.
    pub until: Time,
    /// Id of the API key that was presented.
    pub key: Box<str>,
}

impl SignIn {
    pub fn encode(&self) -> Vec<u8> {
        [&self.number[..], &self.until.0.to_le_bytes(), self.key.as_bytes()].concat()
    }

    /// Reads what was sealed; `None` when it can't be one.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (number, rest) = bytes.split_first_chunk::<NUMBER_BYTES>()?;
        let (until, key) = rest.split_first_chunk::<TIME_BYTES>()?;
        let key = str::from_utf8(key).ok()?.into();
        Some(Self { number: *number, until: Time(u64::from_le_bytes(*until)), key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_is_read_as_it_was_written() {
        let sign_in = SignIn { number: [7; NUMBER_BYTES], until: Time(1_234_567), key: "AbCdEfGhIj".into() };
        assert_eq!(SignIn::decode(&sign_in.encode()), Some(sign_in));
        assert_eq!(SignIn::decode(&[0; NUMBER_BYTES + TIME_BYTES - 1]), None);
        assert_eq!(SignIn::decode(&[0xff; NUMBER_BYTES + TIME_BYTES + 1]), None);
    }
}
