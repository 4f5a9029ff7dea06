//! What the keys in Redis are called. A name is made of the prefix, a hash tag and numbers, never of a tenant's text.
//!
//! The hash tag is the number of a project, so that all keys of one lie on one node of a cluster; `{0}` is of what is
//! across projects: the frames, each of which speaks of all of them, and what must change in one step with the audit log.
//!
//! | key | type | what it is |
//! |---|---|---|
//! | `{0}:meta` | hash | format, id of the store, who writes it, how far it is folded, which numbers were given |
//! | `{0}:projects` | hash | numbers of projects by name |
//! | `{0}:keys` | hash | keys by number |
//! | `{0}:frames:HOUR` | hash | frames of an hour by second, each after the second that it ends with |
//! | `{0}:frames` | sorted set | the hours that have frames |
//! | `{0}:workers` | set | attached workers: incarnation and project |
//! | `{0}:limits` | list | decisions on limits, each after the number of its key |
//! | `{0}:shelf:N` | hash | documents of a shelf by name |
//! | `{0}:audit` | hash | rows of the audit log by number |
//! | `{0}:notes` | hash | words by name |
//! | `{P}:fence` | string | the mark of the project's history ([`super::owner`]): fence of the last writer, store, project |
//! | `{P}:peaks:KEY:WEEK` | string | peaks and flags of a key's hours, newest first ([`super::blob`]) |
//! | `{P}:rest:KEY:DAY` | string | what else its hours have |
//! | `{P}:sums:KEY:DAY` | string | summaries of its hours |
//! | `{P}:peaks`, `{P}:rest`, `{P}:sums` | sorted set | the weeks and days that have any |

use crate::{model::KeyId, store::Shelf};

/// One kind of strings with the hours of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Strand {
    Peaks,
    Rest,
    Sums,
}

impl Strand {
    pub const ALL: [Self; 3] = [Self::Peaks, Self::Rest, Self::Sums];

    /// Hours of one string. A week of peaks is what charts read, in one or two strings; the rest is several times larger,
    /// and a string is written whole each hour.
    pub const fn hours(self) -> u32 {
        match self {
            Self::Peaks => 7 * 24,
            Self::Rest | Self::Sums => 24,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Peaks => "peaks",
            Self::Rest => "rest",
            Self::Sums => "sums",
        }
    }
}

/// The number of a project in the names of its keys, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProjectNumber(pub u32);

/// Makes names.
#[derive(Clone, Debug)]
pub struct Names {
    prefix: String,
}

impl Names {
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    fn across(&self, what: &str) -> String {
        format!("{}{{0}}:{what}", self.prefix)
    }

    pub fn meta(&self) -> String {
        self.across("meta")
    }

    /// The meta row, and what is never there without it.
    pub fn with_meta(&self) -> Vec<String> {
        let rows = [self.meta(), self.keys(), self.projects(), self.limits(), self.audit(), self.notes()];
        rows.into_iter().chain(Shelf::ALL.map(|shelf| self.shelf(shelf))).collect()
    }

    pub fn projects(&self) -> String {
        self.across("projects")
    }

    pub fn keys(&self) -> String {
        self.across("keys")
    }

    pub fn frame_hours(&self) -> String {
        self.across("frames")
    }

    pub fn frames(&self, hour: u64) -> String {
        self.across(&format!("frames:{hour}"))
    }

    pub fn workers(&self) -> String {
        self.across("workers")
    }

    pub fn limits(&self) -> String {
        self.across("limits")
    }

    pub fn shelf(&self, shelf: Shelf) -> String {
        self.across(&format!("shelf:{}", shelf as u8))
    }

    pub fn audit(&self) -> String {
        self.across("audit")
    }

    pub fn notes(&self) -> String {
        self.across("notes")
    }

    pub fn fence(&self, project: ProjectNumber) -> String {
        format!("{}{{{}}}:fence", self.prefix, project.0)
    }

    /// The parts of a strand that a project has any of.
    pub fn parts(&self, project: ProjectNumber, strand: Strand) -> String {
        format!("{}{{{}}}:{}", self.prefix, project.0, strand.word())
    }

    /// A part of a strand of a key.
    pub fn part(&self, project: ProjectNumber, strand: Strand, key: KeyId, part: u32) -> String {
        format!("{}{{{}}}:{}:{}:{part}", self.prefix, project.0, strand.word(), key.0)
    }

    /// All names of a project, as a pattern.
    pub fn of_project(&self, project: ProjectNumber) -> String {
        format!("{}{{{}}}:*", self.prefix, project.0)
    }

    /// The number in a name; `None` when it is not of a store.
    pub fn number(&self, name: &str) -> Option<ProjectNumber> {
        let (number, _) = name.strip_prefix(&self.prefix)?.strip_prefix('{')?.split_once("}:")?;
        number.parse().ok().map(ProjectNumber)
    }

    /// What all names begin with, as a pattern.
    pub fn pattern(&self) -> String {
        format!("{}{{*", self.prefix)
    }
}
