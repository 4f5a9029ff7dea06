//! How a worker names a session: by 16 bytes of its own, or by a text that people can find again.

use crate::model::{
    SessionId,
    session::{ID_BYTES, MAX_TEXT_ID_BYTES},
};

/// Name of a session, unique in its worker's incarnation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionName {
    Id(SessionId),
    /// 1 to 128 bytes, not 16.
    Text(Box<str>),
}

impl SessionName {
    /// The id that the service counts it by.
    pub fn id(&self) -> SessionId {
        match self {
            Self::Id(id) => *id,
            Self::Text(text) => SessionId::of_text(text.as_bytes()),
        }
    }
}

impl From<SessionId> for SessionName {
    fn from(id: SessionId) -> Self {
        Self::Id(id)
    }
}

/// A text of exactly 16 bytes is an id as it stands, as the contract has it; one that is empty or too long is hashed.
impl From<&str> for SessionName {
    fn from(text: &str) -> Self {
        if let Ok(id) = <[u8; ID_BYTES]>::try_from(text.as_bytes()) {
            return Self::Id(SessionId(id));
        }
        if text.is_empty() || text.len() > MAX_TEXT_ID_BYTES {
            return Self::Id(SessionId::of_text(text.as_bytes()));
        }
        Self::Text(text.into())
    }
}
