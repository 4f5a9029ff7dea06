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
}

impl Learning {
    pub fn new(down_from: Tick, until: Time, awaited: HashSet<(Project, Incarnation)>) -> Self {
        Self { down_from, until, awaited }
    }

    /// A worker returned, or said goodbye; returns whether it was waited for.
    pub fn returned(&mut self, project: &Project, incarnation: Incarnation) -> bool {
        self.awaited.remove(&(project.clone(), incarnation))
    }

    /// Whether it ends now.
    pub fn is_over(&self, now: Time) -> bool {
        self.awaited.is_empty() || now >= self.until
    }
}
