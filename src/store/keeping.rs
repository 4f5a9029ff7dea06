//! How safely a store keeps what is written: what it promises when it, or the machine that it is on, fails.

use std::fmt;

/// How much of what was durable may be lost when one thing fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// A failure may take all of it.
    None,
    /// Nobody says.
    Unknown,
    /// A failure may take what was written last.
    Bounded,
    /// A failure takes nothing that its disk or its replicas have.
    Strict,
}

/// What a store is set to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keeping {
    pub promise: Promise,
    /// Why, and what would make it better, in words.
    pub words: String,
    /// What puts at risk all that is stored, such as eviction: it wants looking after.
    pub danger: Option<String>,
    /// What of history was found to be gone since this was asked last; told once.
    pub lost: Option<String>,
}

impl Promise {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Bounded => "bounded",
            Self::None => "none",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Keeping {
    /// With nothing that is wrong.
    pub const fn of(promise: Promise, words: String) -> Self {
        Self { promise, words, danger: None, lost: None }
    }

    /// A file that is synced with each second.
    pub fn embedded() -> Self {
        let words = "a file on this machine, synced with each second".to_owned();
        Self::of(Promise::Strict, words)
    }
}

impl fmt::Display for Keeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.promise, self.words)
    }
}
