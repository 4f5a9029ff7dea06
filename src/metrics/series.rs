//! Which meters and pools have series of their own, within the bounds. A place is given when a key is first told of, first
//! come, first served, and kept for as long as the process lives. A meter has all of its series or none: one without a
//! place is counted with the others of its kind in its project, or, when not even those have a place, of its kind in all
//! projects. So the sums over meters are right whatever is left out.

use std::collections::{HashMap, HashSet};

use rustc_hash::FxHashMap;

use crate::{
    config::SeriesBounds,
    model::{Key, KeyId, Kind, Outcome, Project},
};

/// Series of a meter: level, peak, limit, coverage, opened, and closed by each outcome. All outcomes are there from the
/// start, at 0, since a counter that begins with its first event hides that event from `rate` and `increase`.
pub const SERIES_A_METER: usize = 5 + Outcome::COUNT;
/// Series of a pool: level, peak, limit and coverage.
pub const SERIES_A_POOL: usize = 4;
/// Series of meters that are counted together: they have no peak and no limit.
pub const SERIES_OF_OTHERS: usize = 3 + Outcome::COUNT;
/// What a project keeps free for those without a place.
pub const SERIES_FOR_OTHERS: usize = SERIES_OF_OTHERS * Kind::ALL.len();
/// What the whole keeps free: for those again, and for the service and its process, which have some seventy.
pub const SERIES_FOR_ALL: usize = SERIES_FOR_OTHERS + 128;

/// Where a key is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In series of its own.
    Own,
    /// With the others of its kind in its project.
    WithProject,
    /// With the others of its kind in all projects.
    WithAll,
    /// Not at all: a pool. It can't be counted with others, since the peak of a sum is not the sum of peaks.
    Nowhere,
}

/// The places that were given.
#[derive(Debug)]
pub struct Series {
    bounds: SeriesBounds,
    places: FxHashMap<KeyId, Place>,
    by_project: HashMap<Project, usize>,
    in_all: usize,
    /// Kinds of projects that have series for those without a place.
    others: HashSet<(Project, Kind)>,
    dropped: u64,
}

impl Series {
    pub fn new(bounds: SeriesBounds) -> Self {
        let (places, by_project, others) = Default::default();
        Self { bounds, places, by_project, in_all: SERIES_FOR_ALL, others, dropped: 0 }
    }

    /// Series that found no place.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether the key was told of before.
    pub fn knows(&self, id: KeyId) -> bool {
        self.places.contains_key(&id)
    }

    /// Where a key is told of, from now on.
    pub fn place(&mut self, id: KeyId, key: &Key) -> Place {
        if let Some(place) = self.places.get(&id) {
            return *place;
        }
        let is_pool = key.target.is_pool();
        let wanted = if is_pool { SERIES_A_POOL } else { SERIES_A_METER };
        let place = if self.take(&key.project, wanted, SERIES_FOR_OTHERS) {
            Place::Own
        } else {
            self.dropped += wanted as u64;
            if is_pool { Place::Nowhere } else { self.with_others(key) }
        };
        self.places.insert(id, place);
        place
    }

    fn with_others(&mut self, key: &Key) -> Place {
        let group = (key.project.clone(), key.target.kind());
        if self.others.contains(&group) {
            return Place::WithProject;
        }
        if self.take(&key.project, SERIES_OF_OTHERS, 0) {
            self.others.insert(group);
            return Place::WithProject;
        }
        Place::WithAll
    }

    /// Takes room for so many series, if the project has it beside what it keeps, and the whole.
    fn take(&mut self, project: &Project, wanted: usize, kept: usize) -> bool {
        let used = self.by_project.get(project).copied().unwrap_or(0);
        if used + wanted + kept > self.bounds.per_project || self.in_all + wanted > self.bounds.in_all {
            return false;
        }
        self.by_project.insert(project.clone(), used + wanted);
        self.in_all += wanted;
        true
    }
}
