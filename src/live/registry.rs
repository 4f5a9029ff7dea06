//! Which meters and pools there are, and their numbers. They are made when they are first declared and stay: a model
//! that is no longer used drains to level 0 and keeps its history.

use std::sync::Arc;

use dashmap::{DashMap, Entry};
use foldhash::fast::RandomState;

use crate::{
    live::{
        meter::{Meter, Tally},
        sync::{AtomicU32, AtomicU64, Mutex, Ordering, lock},
    },
    model::{Bounds, Key, KeyId, Meter as MeterName, Project, Target, Tick},
};

use super::BoundReached;

/// What is counted of a project against the bounds.
#[derive(Debug, Default)]
pub struct ProjectCounts {
    pub meters: AtomicU32,
    pub sessions: AtomicU64,
    /// Sessions in snapshots of which the last chunk has not come.
    pub gathering: AtomicU64,
    pub workers: AtomicU32,
}

impl ProjectCounts {
    /// So many sessions were opened, less those that were closed.
    pub(super) fn grow(&self, by: i64) {
        if by >= 0 {
            self.sessions.fetch_add(by.unsigned_abs(), Ordering::AcqRel);
        } else {
            self.sessions.fetch_sub(by.unsigned_abs(), Ordering::AcqRel);
        }
    }
}

/// All meters and pools.
#[derive(Debug, Default)]
pub struct Registry {
    tallies: DashMap<Key, Arc<Tally>, RandomState>,
    meters: DashMap<Key, Arc<Meter>, RandomState>,
    projects: DashMap<Project, Arc<ProjectCounts>, RandomState>,
    /// The same in the order in which they were made, for those who go through all of them: nobody waits meanwhile.
    all_tallies: boxcar::Vec<Arc<Tally>>,
    all_meters: boxcar::Vec<Arc<Meter>>,
    next_id: AtomicU32,
    /// Meters and pools that were removed.
    removed: AtomicU64,
    /// Keys that the store has not been told of.
    new_keys: Mutex<Vec<(KeyId, Key)>>,
}

impl Registry {
    /// Takes over the keys of the store.
    pub fn load(&self, keys: impl IntoIterator<Item = (KeyId, Key)>, now: Tick) {
        for (id, key) in keys {
            self.next_id.fetch_max(id.0 + 1, Ordering::AcqRel);
            let tally = Arc::new(Tally::new(id, key.clone(), now));
            // Also when nothing but limits is known of it. What stands for all projects is none.
            if !key.project.is_across() {
                self.project(&key.project);
            }
            self.all_tallies.push(tally.clone());
            self.tallies.insert(key, tally);
        }
        let tallies = self.tallies().filter(|tally| !tally.key.target.is_pool());
        let meters: Vec<_> = tallies.map(|tally| tally.key.clone()).collect();
        for key in meters {
            if let Target::Meter(name) = &key.target {
                self.project(&key.project).meters.fetch_add(1, Ordering::AcqRel);
                self.meter_unbounded(&key.project, name, now);
            }
        }
    }

    /// The counts of a project, made when it is new.
    pub fn project(&self, project: &Project) -> Arc<ProjectCounts> {
        if let Some(counts) = self.projects.get(project) {
            return counts.clone();
        }
        self.projects.entry(project.clone()).or_default().clone()
    }

    /// The names of all projects, in order.
    pub fn projects(&self) -> Vec<Project> {
        let mut names: Vec<_> = self.projects.iter().map(|project| project.key().clone()).collect();
        names.sort_unstable();
        names
    }

    pub fn has_project(&self, project: &Project) -> bool {
        self.projects.contains_key(project) || (project.is_across() && !self.tallies.is_empty())
    }

    /// The meter of this name, made when it is new.
    ///
    /// # Errors
    /// When it is new and the project, or the service, has as many as it may.
    pub fn meter(
        &self,
        project: &Project,
        name: &MeterName,
        bounds: &Bounds,
        now: Tick,
    ) -> Result<Arc<Meter>, BoundReached> {
        let key = Key { project: project.clone(), target: Target::Meter(name.clone()) };
        if let Some(meter) = self.meters.get(&key) {
            return Ok(meter.clone());
        }
        if !self.projects.contains_key(project) && self.projects.len() >= bounds.projects {
            return Err(BoundReached { what: "projects", most: bounds.projects as u64 });
        }
        let counts = self.project(project);
        if counts.meters.fetch_add(1, Ordering::AcqRel) as usize >= bounds.meters_per_project {
            counts.meters.fetch_sub(1, Ordering::AcqRel);
            return Err(BoundReached { what: "meters_per_project", most: bounds.meters_per_project as u64 });
        }
        let (meter, is_new) = self.meter_unbounded(project, name, now);
        if !is_new {
            // Another thread made it meanwhile, and counted it.
            counts.meters.fetch_sub(1, Ordering::AcqRel);
        }
        Ok(meter)
    }

    /// The meter of this name, and whether it is new.
    fn meter_unbounded(&self, project: &Project, name: &MeterName, now: Tick) -> (Arc<Meter>, bool) {
        let pools = name.pools(project).map(|key| self.tally(&key, now));
        let key = Key { project: project.clone(), target: Target::Meter(name.clone()) };
        let tally = self.tally(&key, now);
        match self.meters.entry(key) {
            Entry::Occupied(there) => (there.get().clone(), false),
            Entry::Vacant(free) => {
                let meter = Arc::new(Meter::new(tally, pools));
                self.all_meters.push(meter.clone());
                free.insert(meter.clone());
                (meter, true)
            }
        }
    }

    /// The level and number of a key, made when it is new: a limit may be set before anything is reported.
    pub fn tally(&self, key: &Key, now: Tick) -> Arc<Tally> {
        if let Some(tally) = self.tallies.get(key) {
            return tally.clone();
        }
        match self.tallies.entry(key.clone()) {
            Entry::Occupied(there) => there.get().clone(),
            Entry::Vacant(free) => {
                let id = KeyId(self.next_id.fetch_add(1, Ordering::AcqRel));
                lock(&self.new_keys).push((id, key.clone()));
                let tally = Arc::new(Tally::new(id, key.clone(), now));
                self.all_tallies.push(tally.clone());
                free.insert(tally.clone());
                tally
            }
        }
    }

    /// The level of a key, if it is known.
    pub fn find(&self, key: &Key) -> Option<Arc<Tally>> {
        self.tallies.get(key).map(|tally| tally.clone())
    }

    pub fn find_meter(&self, key: &Key) -> Option<Arc<Meter>> {
        self.meters.get(key).map(|meter| meter.clone())
    }

    /// The levels of a project, in the order of lists.
    pub fn of_project(&self, project: &Project) -> Vec<Arc<Tally>> {
        let mut found: Vec<_> = self.tallies().filter(|tally| tally.key.project == *project).cloned().collect();
        found.sort_unstable_by(|a, b| list_order(&a.key.target).cmp(&list_order(&b.key.target)));
        found
    }

    /// All meters and pools there are now, in the order in which they were made.
    pub fn tallies(&self) -> impl Iterator<Item = &Arc<Tally>> {
        self.all_tallies.iter().map(|(_, tally)| tally)
    }

    /// All meters there are now, in the order in which they were made.
    pub fn meters(&self) -> impl Iterator<Item = &Arc<Meter>> {
        self.all_meters.iter().map(|(_, meter)| meter)
    }

    pub fn all_tallies(&self) -> Vec<Arc<Tally>> {
        self.tallies().cloned().collect()
    }

    pub fn all_meters(&self) -> Vec<Arc<Meter>> {
        self.meters().cloned().collect()
    }

    /// Number of meters and pools.
    pub fn len(&self) -> usize {
        self.all_tallies.count()
    }

    pub fn is_empty(&self) -> bool {
        self.all_tallies.is_empty()
    }

    /// Grows with every meter and pool; what was listed at one growth is all there is while it stays.
    pub fn growth(&self) -> usize {
        // Twice, since what is removed is no part of the other numbers any more.
        self.tallies.len() + self.meters.len() + 2 * self.removed.load(Ordering::Acquire) as usize
    }

    /// No key is given a number below this: those were used.
    pub fn begin_at(&self, id: KeyId) {
        self.next_id.fetch_max(id.0, Ordering::AcqRel);
    }

    /// Removes a project with its meters and pools, whose sessions have ended and whose last sums were taken; returns their
    /// numbers. What is still open on them elsewhere, by the part of a second, is counted no more.
    pub fn forget(&self, project: &Project) -> Vec<KeyId> {
        let mut removed = Vec::new();
        self.meters.retain(|key, _| {
            let stays = key.project != *project;
            self.removed.fetch_add(u64::from(!stays), Ordering::AcqRel);
            stays
        });
        self.tallies.retain(|key, tally| {
            let stays = key.project != *project;
            if !stays {
                removed.push(tally.id);
                self.removed.fetch_add(1, Ordering::AcqRel);
            }
            stays
        });
        lock(&self.new_keys).retain(|(_, key)| key.project != *project);
        self.projects.remove(project);
        removed
    }

    /// Takes the keys that the store has not been told of.
    pub fn take_new_keys(&self) -> Vec<(KeyId, Key)> {
        std::mem::take(&mut *lock(&self.new_keys))
    }

    /// Puts them back when the store did not take them.
    pub fn put_back_new_keys(&self, keys: Vec<(KeyId, Key)>) {
        lock(&self.new_keys).extend(keys);
    }
}

/// By kind, a kind's pool before its meters, these by name.
fn list_order(target: &Target) -> (u8, &Target) {
    (target.kind() as u8, target)
}
