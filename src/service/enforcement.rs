//! What is enforced: choices for a project, a kind or a model, and limits of starts a minute. Each is in the store with its
//! audit row before anyone is bound by it, and the live state follows what holds.

pub mod record;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    access::audit::Entry,
    error::Error,
    live::{Rules, Tally},
    model::{Enforcement, Key, KeyId, LimitEntry, LimitHistory, Mode, Now, Project, Target, Time, enforce::nearest},
    service::{Author, Service},
    store::{Change, Document, Shelf, Store, StoreError},
};

/// Decisions on the starts of one key that are kept: each is written anew with every change.
const MOST_STARTS_DECISIONS: usize = 200;
/// Choices of one project: as many as it may have meters, and some.
const MOST_CHOICES: usize = 2_000;

/// What a choice is for: a project, or a kind or model of it.
pub type Place = (Project, Option<Target>);

/// A choice, who made it and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub enforcement: Enforcement,
    pub since: Time,
    pub set_by: String,
    pub reason: String,
}

/// What is enforced of all projects, in memory.
#[derive(Debug, Default)]
pub struct Choices {
    held: RwLock<Held>,
    /// How many surprises of the ledger they know.
    surprises: AtomicU64,
}

#[derive(Debug, Default)]
struct Held {
    choices: BTreeMap<Place, Choice>,
    starts: HashMap<KeyId, Arc<LimitHistory>>,
}

fn stored(store: &dyn Store) -> Result<Held, StoreError> {
    let mut held = Held::default();
    for (name, bytes) in store.documents(Shelf::Enforcement)? {
        let (place, choice) = record::decode_choice(&name, &bytes)?;
        held.choices.insert(place, choice);
    }
    for (name, bytes) in store.documents(Shelf::Starts)? {
        let (key, history) = record::decode_starts(&name, &bytes)?;
        held.starts.insert(key, Arc::new(history));
    }
    Ok(held)
}

impl Choices {
    /// Those of a store.
    ///
    /// # Errors
    /// When they can't be read.
    pub fn load(store: &dyn Store) -> Result<Self, StoreError> {
        Ok(Self { held: RwLock::new(stored(store)?), ..Self::default() })
    }

    /// Takes over what the store holds when the ledger was surprised since; returns whether it was.
    pub(super) fn catch_up(&self, surprises: u64, store: &dyn Store) -> Result<bool, StoreError> {
        if self.knows(surprises) {
            return Ok(false);
        }
        let stored = stored(store)?;
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = stored;
        self.surprises.store(surprises, Ordering::Release);
        Ok(true)
    }

    pub(super) fn knows(&self, surprises: u64) -> bool {
        self.surprises.load(Ordering::Acquire) == surprises
    }

    fn read<T>(&self, read: impl FnOnce(&Held) -> T) -> T {
        read(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Held) -> T) -> T {
        change(&mut self.held.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// The choice that was made for just this, if one was.
    pub fn of(&self, place: &Place) -> Option<Choice> {
        self.read(|held| held.choices.get(place).cloned())
    }

    /// What counts for a key: the nearest choice, else to observe.
    pub fn counts_for(&self, key: &Key) -> Enforcement {
        let places = nearest(&key.target).into_iter();
        let found = |held: &Held| {
            places.into_iter().find_map(|target| held.choices.get(&(key.project.clone(), target)).cloned())
        };
        self.read(found).map(|choice| choice.enforcement).unwrap_or_default()
    }

    /// The choices of a project, that for all of it first.
    pub fn list(&self, project: &Project) -> Vec<(Option<Target>, Choice)> {
        let of_project =
            |((of, target), choice): (&Place, &Choice)| (of == project).then(|| (target.clone(), choice.clone()));
        self.read(|held| held.choices.iter().filter_map(of_project).collect())
    }

    /// The limits of a key's starts, with their history; empty when there never was one.
    pub fn starts_of(&self, key: KeyId) -> Arc<LimitHistory> {
        self.read(|held| held.starts.get(&key).cloned()).unwrap_or_default()
    }

    /// What is kept of a project, as removed; with the numbers of its keys.
    pub(super) fn removed(&self, project: &Project, keys: &[KeyId]) -> Vec<Document> {
        self.read(|held| {
            let places = held.choices.keys().filter(|(of, _)| of == project);
            let choices = places.map(|place| record::choice_document(place, None));
            let starts = keys.iter().filter(|key| held.starts.contains_key(key));
            choices.chain(starts.map(|key| record::starts_document(*key, None))).collect()
        })
    }

    /// Forgets a project, of which the store holds no more.
    pub(super) fn forget(&self, project: &Project, keys: &[KeyId]) {
        self.change(|held| {
            held.choices.retain(|(of, _), _| of != project);
            held.starts.retain(|key, _| !keys.contains(key));
        });
    }
}

impl Service {
    /// Chooses for a project, or a kind or model of it; `None` takes the choice back, so that the one above it counts.
    ///
    /// # Errors
    /// `NotFound` when there is none to take back, `Bound` when the project has as many as it may, `Store` when it is not
    /// durable, and then it does not hold.
    pub fn choose_enforcement(
        &self,
        place: &Place,
        enforcement: Option<Enforcement>,
        author: Author,
        now: Now,
    ) -> Result<Option<Choice>, Error> {
        let _one_at_a_time = self.deciding()?;
        let (project, target) = place;
        let before = self.choices.of(place);
        let object = target.as_ref().map_or_else(|| project.to_string(), ToString::to_string);
        if enforcement.is_none() && before.is_none() {
            return Err(Error::NotFound { what: "choice for", name: object });
        }
        if before.is_none() && self.choices.list(project).len() >= MOST_CHOICES {
            return Err(Error::Bound { name: "choices of enforcement per project", most: MOST_CHOICES as u64 });
        }
        let registry = &self.live.registry;
        if !project.is_across() && !registry.has_project(project) {
            if registry.projects().len() >= self.live.bounds.projects {
                return Err(Error::Bound { name: "projects", most: self.live.bounds.projects as u64 });
            }
            let _made = registry.project(project);
        }
        let Author { set_by, reason, actor } = author;
        let choice = enforcement.map(|enforcement| Choice { enforcement, since: now.wall, set_by, reason });
        let entry = Entry {
            before: before.as_ref().map(describe).unwrap_or_default(),
            after: choice.as_ref().map(describe).unwrap_or_default(),
            ..actor.entry("limit.enforcement", project.as_str(), object)
        };
        let documents = vec![record::choice_document(place, choice.as_ref())];
        self.ledger.write(Change { documents, ..Change::default() }, &[entry], now.wall)?;
        self.choices.change(|held| match &choice {
            Some(choice) => held.choices.insert(place.clone(), choice.clone()),
            None => held.choices.remove(place),
        });
        self.follow_project(project, now);
        Ok(choice)
    }

    /// Sets the most sessions that may be started in a minute of a key, from now on; `None` ends that limit.
    ///
    /// # Errors
    /// As [`Service::set_limit`] and [`Service::end_limit`].
    pub fn set_starts(
        &self,
        key: &Key,
        most: Option<u32>,
        end: Option<Time>,
        author: Author,
        now: Now,
    ) -> Result<LimitEntry, Error> {
        let _one_at_a_time = self.deciding()?;
        let tally = self.limited(key, now)?;
        let mut history = LimitHistory::clone(&self.choices.starts_of(tally.id));
        let before = history.in_force(now.wall).cloned();
        if most.is_none() && before.is_none() {
            return Err(Error::NotFound { what: "limit of starts in force of", name: key.target.to_string() });
        }
        if history.entries().len() >= MOST_STARTS_DECISIONS {
            return Err(Error::Bound { name: "decisions on one limit", most: MOST_STARTS_DECISIONS as u64 });
        }
        let Author { set_by, reason, actor } = author;
        history.push(LimitEntry { slots: most, start: now.wall, end, set_by, reason });
        let pushed = history.entries().last().cloned().ok_or_else(super::decide::lost)?;
        let entry = Entry {
            before: before.as_ref().map(super::decide::describe).unwrap_or_default(),
            after: super::decide::describe(&pushed),
            ..actor.entry("limit.starts", key.project.as_str(), key.target.to_string())
        };
        let documents = vec![record::starts_document(tally.id, Some(&history))];
        let new_keys = vec![(tally.id, key.clone())];
        self.ledger.write(Change { documents, new_keys, ..Change::default() }, &[entry], now.wall)?;
        self.choices.change(|held| held.starts.insert(tally.id, Arc::new(history)));
        self.follow(&tally, now);
        // What ended is told as it was.
        Ok(before.filter(|_| most.is_none()).map_or(pushed, |before| LimitEntry { end: Some(now.wall), ..before }))
    }

    /// What the live state is to hold of a key.
    fn rules_of(&self, tally: &Tally) -> Rules {
        Rules {
            slots: self.limits.of(tally.id),
            starts: self.choices.starts_of(tally.id),
            enforcement: self.choices.counts_for(&tally.key),
        }
    }

    /// Binds who asks from now on by what holds for a key.
    pub(super) fn follow(&self, tally: &Tally, now: Now) {
        let rules = self.rules_of(tally);
        let is_limited = rules.enforcement.mode == Mode::Enforce && !rules.slots.entries().is_empty();
        if is_limited && tally.scope().is_none_or(|scope| scope.ceiling().is_none()) {
            // Before anyone is bound: nobody may be let in of whom a restart would not know.
            self.live.inherit_ceiling(tally, self.ceilings.of(tally.id));
        }
        self.live.set_rules(tally, rules, now);
    }

    pub(super) fn follow_project(&self, project: &Project, now: Now) {
        self.live.registry.of_project(project).iter().for_each(|tally| self.follow(tally, now));
    }

    pub(super) fn follow_all(&self, now: Now) {
        self.live.registry.all_tallies().iter().for_each(|tally| self.follow(tally, now));
    }
}

/// What the audit log says of a choice.
fn describe(choice: &Choice) -> String {
    let mode = match choice.enforcement.mode {
        Mode::Observe => "observe",
        Mode::Enforce => "enforce",
    };
    let kept = choice.enforcement.kept_percent;
    format!("{mode} kept_percent={kept} set_by={:?} reason={:?}", choice.set_by, choice.reason)
}
