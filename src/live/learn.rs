//! Learning after a restart: the truth about live sessions is in the workers, so levels settle until they have returned.

use std::collections::HashSet;

use crate::model::{Incarnation, Project, Tick, Time};

/// What the service waits for after a restart.
#[derive(Debug)]
pub struct Learning {
    /// First second that history does not hold durably.
    pub down_from: Tick,
    /// When it ends at the latest (monotonic).
    pub until: Time,
    /// Workers that were attached and have not returned.
    pub awaited: HashSet<(Project, Incarnation)>,
    /// Whether all of them returned, or are still expected to.
    pub any_missing: bool,
}

impl Learning {
    pub fn new(down_from: Tick, until: Time, awaited: HashSet<(Project, Incarnation)>) -> Self {
        Self { down_from, until, awaited, any_missing: false }
    }

    /// A worker returned, or said goodbye.
    pub fn returned(&mut self, project: &Project, incarnation: Incarnation) {
        self.awaited.remove(&(project.clone(), incarnation));
    }

    /// Whether it ends now.
    pub fn is_over(&mut self, now: Time) -> bool {
        self.any_missing = !self.awaited.is_empty();
        !self.any_missing || now >= self.until
    }
}
