//! What a level is of: a meter or a pool, and the project it belongs to.

use std::{fmt, sync::Arc};

use crate::model::kind::{Kind, Unit};

/// Longest project name, in bytes.
pub const MAX_PROJECT_BYTES: usize = 64;
/// Longest model name, in bytes.
pub const MAX_MODEL_BYTES: usize = 128;
/// Longest suffix of a model (a voice, a language) with its colon, in bytes; it is stripped, whatever it is.
pub const MAX_SUFFIX_BYTES: usize = 128;
/// Longest account name, in bytes.
pub const MAX_ACCOUNT_BYTES: usize = 64;
/// The gateway's account: whose quota a meter counts against when nothing is said.
pub const DEFAULT_ACCOUNT: &str = "livekit";
/// The project when nothing is said.
pub const DEFAULT_PROJECT: &str = "default";
/// The name that stands for all projects: the pools that count a model across them belong to it.
pub const ACROSS_PROJECTS: &str = "-";

/// Number of a key in one store, given when it is first seen and never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u32);

/// Name of a project: 1 to 64 bytes of `[a-z0-9-]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Project(Arc<str>);

/// One counted thing of a project.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Meter {
    pub kind: Kind,
    /// `provider/model`; empty for the connection kinds.
    pub model: Arc<str>,
    pub account: Arc<str>,
    pub unit: Unit,
}

/// What a level, a history or a limit is of. The order is that of lists: a kind's pool before its meters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// All meters of one kind and account in a project.
    KindPool {
        kind: Kind,
        account: Arc<str>,
    },
    /// One model across all projects (in the project [`ACROSS_PROJECTS`] only).
    ModelPool(Meter),
    Meter(Meter),
}

/// A target and its project.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub project: Project,
    pub target: Target,
}

/// Why a name is not taken: which field, what is wrong with it, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct KeyError {
    pub field: &'static str,
    pub problem: String,
}

impl KeyError {
    fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}

/// Checks the length and bytes of a name.
pub(super) fn checked(
    field: &'static str,
    text: &str,
    most: usize,
    allowed: &str,
    ok: fn(u8) -> bool,
) -> Result<(), KeyError> {
    if text.is_empty() || text.len() > most {
        return Err(KeyError::new(field, format!("has {} bytes; 1 to {most} are allowed", text.len())));
    }
    match text.bytes().position(|byte| !ok(byte)) {
        None => Ok(()),
        Some(at) => Err(KeyError::new(field, format!("byte {at} of {text:?} is not one of {allowed}"))),
    }
}

impl Project {
    /// # Errors
    /// When the name is not 1 to 64 bytes of `[a-z0-9-]`.
    pub fn new(name: &str) -> Result<Self, KeyError> {
        let name = if name.is_empty() { DEFAULT_PROJECT } else { name };
        let ok = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        checked("project", name, MAX_PROJECT_BYTES, "[a-z0-9-]", ok)?;
        Ok(Self(name.into()))
    }

    /// The project that stands for all projects.
    pub fn across() -> Self {
        Self(ACROSS_PROJECTS.into())
    }

    /// Whether this stands for all projects: such a project can be read, and nothing can be reported for it.
    pub fn is_across(&self) -> bool {
        &*self.0 == ACROSS_PROJECTS
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Project {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The account as it is counted: `livekit` when nothing is said.
///
/// # Errors
/// When it is longer than 64 bytes or not of `[a-z0-9._-]`.
pub fn account(text: &str) -> Result<Arc<str>, KeyError> {
    let text = if text.is_empty() { DEFAULT_ACCOUNT } else { text };
    let ok = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    checked("account", text, MAX_ACCOUNT_BYTES, "[a-z0-9._-]", ok)?;
    Ok(text.into())
}

impl Meter {
    /// A meter as it is counted: the model's suffix after the last colon (a voice, a language) is stripped, the account
    /// filled in, and the unit `stream` when `unit` is `None`.
    ///
    /// # Errors
    /// When the model is not `provider/model` of 3 to 128 bytes of `[a-z0-9._:/@+-]`, is missing for a model kind or
    /// given for a connection kind, or the account is not a name.
    pub fn new(kind: Kind, model: &str, account_name: &str, unit: Option<Unit>) -> Result<Self, KeyError> {
        let account = account(account_name)?;
        let unit = unit.unwrap_or(Unit::Stream);
        if !kind.has_model() {
            if !model.is_empty() {
                return Err(KeyError::new("model", format!("is {model:?}; kind {kind} has no model, leave it empty")));
            }
            return Ok(Self { kind, model: "".into(), account, unit });
        }
        let base = model.rsplit_once(':').map_or(model, |(base, _suffix)| base);
        if model.len() - base.len() > MAX_SUFFIX_BYTES {
            return Err(KeyError::new("model", format!("has a suffix of more than {MAX_SUFFIX_BYTES} bytes")));
        }
        let ok = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._:/@+-".contains(&byte);
        checked("model", base, MAX_MODEL_BYTES, "[a-z0-9._:/@+-] (lower case)", ok)?;
        match base.split_once('/') {
            Some((provider, name)) if !provider.is_empty() && !name.is_empty() => {}
            _ => {
                return Err(KeyError::new("model", format!("{model:?} is not provider/model")));
            }
        }
        Ok(Self { kind, model: base.into(), account, unit })
    }

    /// The provider: what stands before the first slash of the model; empty for the connection kinds.
    pub fn provider(&self) -> &str {
        self.model.split_once('/').map_or("", |(provider, _)| provider)
    }

    /// The pools that count this meter's sessions too: its kind in the project, and the model across all projects.
    pub fn pools(&self, project: &Project) -> [Key; 2] {
        let in_project = Target::KindPool { kind: self.kind, account: self.account.clone() };
        let across = Target::ModelPool(self.clone());
        [Key { project: project.clone(), target: in_project }, Key { project: Project::across(), target: across }]
    }
}

impl Target {
    pub fn kind(&self) -> Kind {
        match self {
            Self::KindPool { kind, .. } => *kind,
            Self::ModelPool(meter) | Self::Meter(meter) => meter.kind,
        }
    }

    pub fn account(&self) -> &Arc<str> {
        match self {
            Self::KindPool { account, .. } => account,
            Self::ModelPool(meter) | Self::Meter(meter) => &meter.account,
        }
    }

    /// The model; empty for the pool of a kind and for the connection kinds.
    pub fn model(&self) -> &str {
        match self {
            Self::KindPool { .. } => "",
            Self::ModelPool(meter) | Self::Meter(meter) => &meter.model,
        }
    }

    pub const fn is_pool(&self) -> bool {
        !matches!(self, Self::Meter(_))
    }
}

/// `tts elevenlabs/eleven_turbo_v2_5`, `tts` for a pool; account and unit only where they are not the default.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind())?;
        if !self.model().is_empty() {
            write!(f, " {}", self.model())?;
        }
        if let Self::Meter(meter) | Self::ModelPool(meter) = self
            && meter.unit != Unit::Stream
        {
            write!(f, " unit={}", meter.unit)?;
        }
        if &**self.account() != DEFAULT_ACCOUNT {
            write!(f, " account={}", self.account())?;
        }
        Ok(())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.project, self.target)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(model: &str, words: &str) {
        let error = Meter::new(Kind::Tts, model, "", None).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }

    #[test]
    fn a_suffix_is_stripped_and_defaults_are_filled_in() {
        let meter = Meter::new(Kind::Tts, "cartesia/sonic-3:EXAVITQu4vr4", "", None).unwrap();
        assert_eq!((&*meter.model, &*meter.account, meter.unit), ("cartesia/sonic-3", "livekit", Unit::Stream));
        assert_eq!(meter.provider(), "cartesia");
    }

    #[test]
    fn what_is_wrong_with_a_model_is_said() {
        refused("", "0 bytes");
        refused("Cartesia/sonic", "lower case");
        refused("sonic-3", "not provider/model");
        refused("/sonic:x", "not provider/model");
        refused(&format!("a/{}", "x".repeat(127)), "129 bytes");
        assert!(Meter::new(Kind::Agent, "a/b", "", None).is_err());
    }
}
