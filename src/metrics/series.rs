//! Which meters and pools have series of their own, within the bounds. A place is given when a key is first told of, first
//! come, first served, and kept for as long as the process lives, or until its project is deleted. A meter has all of its series or none: one without a
//! place is counted with the others of its kind in its project, or, when not even those have a place, of its kind in all
//! projects. So the sums over meters are right whatever is left out.

use std::collections::{BTreeMap, HashMap, HashSet, hash_map::Entry};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::{
    config::SeriesBounds,
    live::{Registry, sums::Totals},
    model::{Key, KeyId, Kind, Outcome, Project},
};

/// Series of a meter: level, peak, limit, coverage, opened, refused, diverted, its provider and what that seems to allow, and closed by
/// each outcome. All outcomes are there from the
/// start, at 0, since a counter that begins with its first event hides that event from `rate` and `increase`.
pub const SERIES_A_METER: usize = 9 + Outcome::COUNT;
/// Series of a pool: level, peak, limit and coverage.
pub const SERIES_A_POOL: usize = 4;
/// Series of meters that are counted together: they have no peak and no limit.
pub const SERIES_OF_OTHERS: usize = 5 + Outcome::COUNT;
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
    places: FxHashMap<KeyId, Placed>,
    by_project: HashMap<Project, usize>,
    in_all: usize,
    /// Kinds of projects that have series for those without a place.
    others: HashSet<(Project, Kind)>,
    dropped: u64,
    /// What the registry had removed when places were last given back.
    removed: u64,
    /// What was counted with all others by meters that are no more, by [`Kind`]: a sum that fell would look like a restart.
    gone: BTreeMap<Kind, Totals>,
    /// The same of events that were too late, of all of them.
    pub(super) late_dropped: u64,
}

/// A place that was given.
#[derive(Debug)]
struct Placed {
    place: Place,
    project: Project,
    kind: Kind,
    /// Series of its own.
    own: usize,
}

impl Series {
    pub fn new(bounds: SeriesBounds) -> Self {
        Self {
            bounds,
            places: FxHashMap::default(),
            by_project: HashMap::new(),
            in_all: SERIES_FOR_ALL,
            others: HashSet::new(),
            dropped: 0,
            removed: 0,
            gone: BTreeMap::new(),
            late_dropped: 0,
        }
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
        if let Some(placed) = self.places.get(&id) {
            return placed.place;
        }
        let is_pool = key.target.is_pool();
        let wanted = if is_pool { SERIES_A_POOL } else { SERIES_A_METER };
        let place = if self.take(&key.project, wanted, SERIES_FOR_OTHERS) {
            Place::Own
        } else {
            self.dropped += wanted as u64;
            if is_pool { Place::Nowhere } else { self.with_others(key) }
        };
        let own = if place == Place::Own { wanted } else { 0 };
        self.places.insert(id, Placed { place, project: key.project.clone(), kind: key.target.kind(), own });
        place
    }

    /// Gives back the places of what was removed since the last call. Call it before the keys of a page are listed.
    pub fn forget_removed(&mut self, registry: &Registry) {
        let removed = registry.removed();
        if removed == self.removed {
            return;
        }
        self.removed = removed;
        self.late_dropped = registry.removed_meters().map(|meter| meter.totals().late_dropped).sum();
        let stay: FxHashSet<KeyId> = registry.all_tallies().iter().map(|tally| tally.id).collect();
        for meter in registry.removed_meters().filter(|meter| !stay.contains(&meter.tally.id)) {
            let placed = self.places.get(&meter.tally.id);
            if let Some(placed) = placed.filter(|placed| placed.place == Place::WithAll) {
                self.gone.entry(placed.kind).or_default().add(&meter.totals());
            }
        }
        self.forget(|id| !stay.contains(&id));
    }

    /// Whether nothing was removed since the last call of [`Self::forget_removed`].
    pub fn knows_removed(&self, registry: &Registry) -> bool {
        self.removed == registry.removed()
    }

    /// What meters that are no more had counted with all others of their kind.
    pub fn gone(&self) -> impl Iterator<Item = (Kind, &Totals)> {
        self.gone.iter().map(|(kind, totals)| (*kind, totals))
    }

    fn forget(&mut self, is_gone: impl Fn(KeyId) -> bool) {
        let mut groups = HashSet::new();
        let mut given_back = Vec::new();
        self.places.retain(|id, placed| {
            let stays = !is_gone(*id);
            if !stays {
                given_back.push((placed.project.clone(), placed.own));
            } else if placed.place == Place::WithProject {
                groups.insert((placed.project.clone(), placed.kind));
            }
            stays
        });
        let empty = self.others.extract_if(|group| !groups.contains(group));
        given_back.extend(empty.map(|(project, _)| (project, SERIES_OF_OTHERS)));
        for (project, series) in given_back {
            self.in_all -= series;
            if let Entry::Occupied(mut used) = self.by_project.entry(project) {
                *used.get_mut() -= series;
                if *used.get() == 0 {
                    used.remove();
                }
            }
        }
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
