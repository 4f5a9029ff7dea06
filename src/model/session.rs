//! Sessions: one held slot each, named by the worker that holds it.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use sha2::{Digest, Sha256};

/// Bytes of a session id and of an incarnation.
pub const ID_BYTES: usize = 16;
/// Longest text id of a session, in bytes.
pub const MAX_TEXT_ID_BYTES: usize = 128;
/// Longest label, in bytes.
pub const MAX_LABEL_BYTES: usize = 64;

/// Id of a session, unique in its incarnation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId(pub [u8; ID_BYTES]);

/// Random id of a worker's process, made when it starts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub [u8; ID_BYTES]);

/// What a session is for, and the text that it was named by. Kept with the session and then dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    pub room: Box<str>,
    pub job: Box<str>,
    /// The text id, when the worker named the session by one.
    pub text_id: Box<str>,
}

/// As one number: hashed in one step, where a row of bytes would take a loop.
impl Hash for SessionId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from_le_bytes(self.0));
    }
}

impl SessionId {
    /// The id of a session that is named by a text: the first 16 bytes of its SHA-256.
    pub fn of_text(text: &[u8]) -> Self {
        let hash = Sha256::digest(text);
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(&hash[..ID_BYTES]);
        Self(id)
    }

    /// What this id adds to a digest of live sessions: both halves, little endian, XORed.
    pub fn digest(self) -> u64 {
        let n = u128::from_le_bytes(self.0);
        (n as u64) ^ ((n >> 64) as u64)
    }
}

impl Labels {
    pub fn is_empty(&self) -> bool {
        self.room.is_empty() && self.job.is_empty() && self.text_id.is_empty()
    }
}

fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}
