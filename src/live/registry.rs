//! Which meters and pools there are, and their numbers. They are made when they are first declared and stay: a model
//! that is no longer used drains to level 0 and keeps its history. Those of a project that is deleted are marked and left out
//! from then on: who still holds one counts what nobody reads.

use std::sync::Arc;

use dashmap::{DashMap, Entry};
use foldhash::fast::RandomState;

use crate::{
    live::{
        beyond::METERS_BOUND,
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
    /// Sessions that are not counted, since there was no room.
    pub left_out: AtomicU64,
    /// How often a model was named that is counted as another, since there are as many meters as there may be.
    pub others: AtomicU64,
    /// The second in which one was named last; 0 for never.
    pub other_named: AtomicU64,
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

/// A meter and the counts it is one of, which get it back when it is removed.
#[derive(Debug)]
struct Counted {
    meter: Arc<Meter>,
    counts: Arc<ProjectCounts>,
}

/// All meters and pools.
#[derive(Debug, Default)]
pub struct Registry {
    tallies: DashMap<Key, Arc<Tally>, RandomState>,
    meters: DashMap<Key, Counted, RandomState>,
    pub(super) projects: DashMap<Project, Arc<ProjectCounts>, RandomState>,
    /// The same as they were made, for who goes through all of them: nobody waits meanwhile. What was removed is passed over.
    all_tallies: boxcar::Vec<Arc<Tally>>,
    all_meters: boxcar::Vec<Arc<Meter>>,
    next_id: AtomicU32,
    removed: AtomicU64,
    /// Removed meters and pools that the roller has not been told of.
    gone: Mutex<Vec<KeyId>>,
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
                let counts = self.project(&key.project);
                counts.meters.fetch_add(1, Ordering::AcqRel);
                self.counted_meter(&key.project, name, counts, now);
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
        if let Some(there) = self.meters.get(&key) {
            return Ok(there.meter.clone());
        }
        if !self.projects.contains_key(project) && self.projects.len() >= bounds.projects {
            return Err(BoundReached { what: "projects", most: bounds.projects as u64 });
        }
        let counts = self.project(project);
        if counts.meters.fetch_add(1, Ordering::AcqRel) as usize >= bounds.meters_per_project {
            counts.meters.fetch_sub(1, Ordering::AcqRel);
            return Err(BoundReached { what: METERS_BOUND, most: bounds.meters_per_project as u64 });
        }
        Ok(self.counted_meter(project, name, counts, now))
    }

    /// The meter of this name; `counted` counts it already, and gets it back when another thread has made it meanwhile.
    pub(super) fn counted_meter(
        &self,
        project: &Project,
        name: &MeterName,
        counted: Arc<ProjectCounts>,
        now: Tick,
    ) -> Arc<Meter> {
        let key = Key { project: project.clone(), target: Target::Meter(name.clone()) };
        loop {
            let pools = name.pools(project).map(|key| self.tally(&key, now));
            let tally = self.tally(&key, now);
            match self.meters.entry(key.clone()) {
                Entry::Occupied(there) => {
                    counted.meters.fetch_sub(1, Ordering::AcqRel);
                    return there.get().meter.clone();
                }
                Entry::Vacant(free) => {
                    let meter = Arc::new(Meter::new(tally, pools));
                    // They were removed since they were found: `forget` may have passed here, and would not find it.
                    if meter.has_removed_key() {
                        continue;
                    }
                    // When the project was deleted before they were made, they are of the next project of its name, whose
                    // counts these are: who deletes removes the counts first.
                    let counts = self.project(project);
                    counts.meters.fetch_add(1, Ordering::AcqRel);
                    counted.meters.fetch_sub(1, Ordering::AcqRel);
                    self.all_meters.push(meter.clone());
                    free.insert(Counted { meter: meter.clone(), counts });
                    return meter;
                }
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
        self.meters.get(key).map(|there| there.meter.clone())
    }

    /// The levels of a project, in the order of lists.
    pub fn of_project(&self, project: &Project) -> Vec<Arc<Tally>> {
        let mut found: Vec<_> = self.tallies().filter(|tally| tally.key.project == *project).cloned().collect();
        found.retain(|tally| !tally.is_removed());
        found.sort_unstable_by(|a, b| list_order(&a.key.target).cmp(&list_order(&b.key.target)));
        found
    }

    /// All meters and pools there are now, in the order in which they were made.
    pub fn tallies(&self) -> impl Iterator<Item = &Arc<Tally>> {
        self.all_tallies.iter().map(|(_, tally)| tally).filter(|tally| !tally.is_removed())
    }

    /// All meters there are now, in the order in which they were made.
    pub fn meters(&self) -> impl Iterator<Item = &Arc<Meter>> {
        self.all_meters.iter().map(|(_, meter)| meter).filter(|meter| !meter.is_removed())
    }

    /// The same at one time. No key is there twice: what was removed while the list was made is taken out again, and only
    /// then may another of its name have come.
    pub fn all_tallies(&self) -> Vec<Arc<Tally>> {
        let mut tallies: Vec<_> = self.tallies().cloned().collect();
        tallies.retain(|tally| !tally.is_removed());
        tallies
    }

    pub fn all_meters(&self) -> Vec<Arc<Meter>> {
        let mut meters: Vec<_> = self.meters().cloned().collect();
        meters.retain(|meter| !meter.is_removed());
        meters
    }

    /// The meters that were removed since the process began, with what they had counted.
    pub fn removed_meters(&self) -> impl Iterator<Item = &Arc<Meter>> {
        self.all_meters.iter().map(|(_, meter)| meter).filter(|meter| meter.is_removed())
    }

    /// Grows with every meter and pool that is removed.
    pub fn removed(&self) -> u64 {
        self.removed.load(Ordering::Acquire)
    }

    /// The numbers that were removed since the last call; only the roller calls it.
    pub(super) fn take_gone(&self) -> Vec<KeyId> {
        std::mem::take(&mut *lock(&self.gone))
    }

    /// Number of meters and pools.
    pub fn len(&self) -> usize {
        self.tallies.len()
    }

    pub fn is_empty(&self) -> bool {
        self.tallies.is_empty()
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
        // In this order: who makes a meter meanwhile either puts it in before the meters are gone through, or sees the marks.
        self.projects.remove(project);
        let mut removed = Vec::new();
        self.tallies.retain(|key, tally| {
            let stays = key.project != *project;
            if !stays {
                tally.remove();
                removed.push(tally.id);
                self.removed.fetch_add(1, Ordering::AcqRel);
            }
            stays
        });
        self.meters.retain(|_, there| {
            let stays = !there.meter.has_removed_key();
            if !stays {
                there.meter.remove();
                // Also when they are the next project's already: its pool may have been made before they were removed here.
                there.counts.meters.fetch_sub(1, Ordering::AcqRel);
                self.removed.fetch_add(1, Ordering::AcqRel);
            }
            stays
        });
        lock(&self.new_keys).retain(|(id, _)| !removed.contains(id));
        lock(&self.gone).extend(&removed);
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

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{collections::HashSet, thread, time::Duration};

    use super::*;
    use crate::{
        live::{Event, Live, Roller},
        model::{Incarnation, Kind, Now, Outcome, SessionId, Time},
    };

    fn project() -> Project {
        Project::new("p").unwrap()
    }

    fn name() -> MeterName {
        MeterName::new(Kind::Tts, "a/b", "", None).unwrap()
    }

    fn at(second: u64) -> Now {
        Now::at(Time::from_secs(second))
    }

    #[test]
    fn what_was_removed_is_in_no_list_and_no_frame_whoever_still_holds_it() {
        let (live, mut roller) = (Live::new(Bounds::default(), Tick(60)), Roller::default());
        let who = Incarnation([7; 16]);
        let say = |events, second| {
            live.report(&project(), "w", who, Duration::from_secs(600), events, at(second)).unwrap();
        };
        let open = |nth: u8, meter: &Arc<Meter>| Event::Open {
            id: SessionId([nth; 16]),
            meter: meter.clone(),
            age: Duration::ZERO,
            labels: None,
        };
        let dead = live.meter(&project(), &name(), at(60)).unwrap();
        say(vec![open(1, &dead)], 60);
        roller.roll(&live, at(61));
        let removed: HashSet<u32> = live.registry.forget(&project()).iter().map(|key| key.0).collect();
        assert_eq!(removed.len(), 2, "the meter and the pool of its kind");
        let pool = dead.pools[1].clone();
        assert_eq!((live.registry.len(), live.registry.all_meters().len()), (1, 0));
        assert!(live.registry.of_project(&project()).is_empty());

        // Its session is still in a book, and so is the pool across projects told of it.
        let meter = live.meter(&project(), &name(), at(61)).unwrap();
        assert!(!Arc::ptr_eq(&meter, &dead) && !removed.contains(&meter.tally.id.0));
        say(vec![open(2, &meter), open(3, &dead)], 61);
        assert_eq!((meter.tally.word.level(), pool.word.level(), live.audit()), (1, 3, vec![]));
        let close =
            |nth| Event::Close { id: SessionId([nth; 16]), outcome: Outcome::Ok, age: Duration::ZERO, meter: None };
        say(vec![close(1), close(3)], 62);
        assert_eq!((meter.tally.word.level(), pool.word.level(), live.audit()), (1, 1, vec![]));
        assert_eq!((live.registry.len(), live.registry.all_meters().len()), (3, 1));
        assert_eq!(live.registry.project(&project()).meters.load(Ordering::Acquire), 1);
        for second in 62..190 {
            for frame in roller.roll(&live, at(second)) {
                let dead: Vec<_> = frame.entries.iter().filter(|entry| removed.contains(&entry.key)).collect();
                assert!(dead.is_empty(), "second {}: {dead:?}", frame.tick);
            }
        }
    }

    #[test]
    fn a_meter_made_while_its_project_is_removed_is_listed_or_made_anew() {
        let registry = Registry::default();
        let meter = || registry.meter(&project(), &name(), &Bounds::default(), Tick(0)).unwrap();
        thread::scope(|scope| {
            let makes = scope.spawn(|| (0..20_000).for_each(|_| drop(meter())));
            while !makes.is_finished() {
                registry.forget(&project());
            }
        });
        let last = meter();
        let listed: Vec<_> = registry.all_meters().iter().map(|meter| meter.tally.id).collect();
        assert_eq!((last.is_removed(), listed), (false, vec![last.tally.id]));
        assert_eq!(registry.of_project(&project()).len(), 2);
        assert_eq!(registry.project(&project()).meters.load(Ordering::Acquire), 1);
        let told: Vec<_> = registry.take_new_keys().iter().map(|(id, _)| *id).collect();
        assert!(registry.tallies().all(|tally| told.contains(&tally.id)), "the store is told of all there are");
    }
}
