//! The steps that Redis takes whole or not at all. Each checks before it writes, and what it writes first is what a full
//! Redis refuses, so that none is taken by half.

use std::sync::OnceLock;

use redis::Script;

/// A script, and what Redis knows it by once it has seen it.
pub struct Step {
    pub code: &'static str,
    hash: OnceLock<String>,
}

impl Step {
    const fn new(code: &'static str) -> Self {
        Self { code, hash: OnceLock::new() }
    }

    pub fn hash(&self) -> &str {
        self.hash.get_or_init(|| Script::new(self.code).get_hash().to_owned())
    }
}

pub static OPEN: Step = Step::new(include_str!("scripts/open.lua"));
pub static CLOSE: Step = Step::new(include_str!("scripts/close.lua"));

/// A step on what is across projects, after the guard that only the writer of the store passes.
macro_rules! guarded {
    ($file:literal) => {
        Step::new(concat!(include_str!("scripts/guard.lua"), include_str!($file)))
    };
}

pub static COMMIT: Step = guarded!("scripts/commit.lua");
pub static FOLD: Step = guarded!("scripts/fold.lua");
pub static CHANGE: Step = guarded!("scripts/change.lua");
pub static STEP: Step = guarded!("scripts/step.lua");

/// A step on the hours of projects, which may lie on another node than the rest.
macro_rules! of_hours {
    ($file:literal) => {
        Step::new(concat!(include_str!("scripts/hours.lua"), include_str!($file)))
    };
}

pub static CLAIM: Step = Step::new(include_str!("scripts/claim.lua"));
pub static EMPTY: Step = Step::new(include_str!("scripts/empty.lua"));

pub static PUT: Step = of_hours!("scripts/put.lua");
pub static TRIM: Step = of_hours!("scripts/trim.lua");
pub static UNLIST: Step = of_hours!("scripts/unlist.lua");
pub static DROP: Step = of_hours!("scripts/drop.lua");
