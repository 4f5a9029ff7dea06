//! What is kept of a credential: who made it, for what, until when, and what it is checked against; never the secret of an
//! API key itself.

use prost::Message;

use crate::{
    access::{Role, vault::DIGEST_BYTES},
    model::{Project, Time},
};

/// Longest name of a key that people see, in bytes.
pub const MAX_NAME_BYTES: usize = 128;

/// What a credential is checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// HMAC of an API key's secret.
    Digest([u8; DIGEST_BYTES]),
    /// The secret of a LiveKit API key, encrypted: tokens are verified with it.
    Sealed(Vec<u8>),
}

/// One credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Id of an API key, or the name of a LiveKit API key.
    pub id: String,
    pub kept: Kept,
    /// What people call it.
    pub name: String,
    pub project: Project,
    pub role: Role,
    pub created: Time,
    /// Id of the key that it was made with; `dev` or `offline` where there was none.
    pub created_by: String,
    pub not_before: Option<Time>,
    /// Until when, exclusive.
    pub expires: Option<Time>,
    /// When it was revoked.
    pub revoked: Option<Time>,
    /// When it was used last, to some minutes.
    pub last_used: Option<Time>,
    /// Id of the key that it is replaced by, while both are good.
    pub replaced_by: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Row {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(bytes = "vec", tag = "2")]
    digest: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    sealed: Vec<u8>,
    #[prost(string, tag = "4")]
    name: String,
    #[prost(string, tag = "5")]
    project: String,
    #[prost(uint32, tag = "6")]
    role: u32,
    /// Times are in microseconds since the Unix epoch.
    #[prost(uint64, tag = "7")]
    created: u64,
    #[prost(string, tag = "8")]
    created_by: String,
    #[prost(uint64, optional, tag = "9")]
    not_before: Option<u64>,
    #[prost(uint64, optional, tag = "10")]
    expires: Option<u64>,
    #[prost(uint64, optional, tag = "11")]
    revoked: Option<u64>,
    #[prost(uint64, optional, tag = "12")]
    last_used: Option<u64>,
    #[prost(string, optional, tag = "13")]
    replaced_by: Option<String>,
}

impl KeyRecord {
    pub fn is_livekit(&self) -> bool {
        matches!(self.kept, Kept::Sealed(_))
    }

    /// Its name, for those who read a project that it may act in; `None` where it has none.
    pub fn name_in(&self, project: &str) -> Option<String> {
        let acts = self.role == Role::Operator || self.project.as_str() == project;
        Some(self.name.clone()).filter(|name| acts && !name.is_empty())
    }

    /// Whether it opens anything at this time.
    pub fn is_good(&self, now: Time) -> bool {
        let has_begun = self.not_before.is_none_or(|not_before| not_before <= now);
        has_begun && self.revoked.is_none() && self.expires.is_none_or(|expires| expires > now)
    }

    pub fn encode(&self) -> Vec<u8> {
        let (digest, sealed) = match &self.kept {
            Kept::Digest(digest) => (digest.to_vec(), Vec::new()),
            Kept::Sealed(sealed) => (Vec::new(), sealed.clone()),
        };
        let micros = |time: Option<Time>| time.map(|time| time.0);
        Row {
            id: self.id.clone(),
            digest,
            sealed,
            name: self.name.clone(),
            project: self.project.to_string(),
            role: self.role as u32,
            created: self.created.0,
            created_by: self.created_by.clone(),
            not_before: micros(self.not_before),
            expires: micros(self.expires),
            revoked: micros(self.revoked),
            last_used: micros(self.last_used),
            replaced_by: self.replaced_by.clone(),
        }
        .encode_to_vec()
    }

    /// `None` when the bytes are no credential.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let row = Row::decode(bytes).ok()?;
        let kept = match row.sealed.is_empty() {
            true => Kept::Digest(row.digest.try_into().ok()?),
            false => Kept::Sealed(row.sealed),
        };
        Some(Self {
            id: row.id,
            kept,
            name: row.name,
            project: Project::new(&row.project).ok()?,
            role: Role::from_number(row.role)?,
            created: Time(row.created),
            created_by: row.created_by,
            not_before: row.not_before.map(Time),
            expires: row.expires.map(Time),
            revoked: row.revoked.map(Time),
            last_used: row.last_used.map(Time),
            replaced_by: row.replaced_by,
        })
    }

    /// What the audit log says of it.
    pub fn describe(&self) -> String {
        let time = |name: &str, time: Option<Time>| time.map(|time| format!(" {name}={}", time.0)).unwrap_or_default();
        let kind = if self.is_livekit() { "livekit" } else { "api" };
        format!(
            "kind={kind} name={:?} project={} role={}{}{}{}{}",
            self.name,
            self.project,
            self.role,
            time("not_before_us", self.not_before),
            time("expires_us", self.expires),
            time("revoked_us", self.revoked),
            self.replaced_by.as_ref().map(|id| format!(" replaced_by={id}")).unwrap_or_default(),
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_was() {
        let api = KeyRecord {
            id: "0123456789".to_owned(),
            kept: Kept::Digest([7; DIGEST_BYTES]),
            name: "the agents".to_owned(),
            project: Project::new("acme").unwrap(),
            role: Role::Worker,
            created: Time(5),
            created_by: "offline".to_owned(),
            not_before: None,
            expires: Some(Time(9)),
            revoked: None,
            last_used: Some(Time(8)),
            replaced_by: Some("another".to_owned()),
        };
        let livekit = KeyRecord { kept: Kept::Sealed(vec![1; 40]), not_before: Some(Time(6)), ..api.clone() };
        for record in [api, livekit] {
            assert_eq!(KeyRecord::decode(&record.encode()), Some(record));
        }
        assert_eq!(KeyRecord::decode(b"\xff"), None);
        assert_eq!(KeyRecord::decode(b""), None);
    }
}
