//! Decisions on limits: each is in the store before anyone sees it, and they come one after another.

use std::sync::{Arc, MutexGuard};

use crate::{
    access::audit::Entry,
    error::Error,
    live::Tally,
    model::{
        Key, KeyId, LimitEntry, LimitHistory, Now, Plan, Project, Target, Time, limit::MAX_REASON_BYTES,
        plan::SET_BY_PLAN,
    },
    service::{Actor, Service},
    store::{Change, StoreError},
};

/// Decisions on one key that are kept: a change an hour for 13 months. Each is some hundred bytes of memory.
const MOST_DECISIONS: usize = 10_000;
/// Kinds and accounts, or models across projects, that limits alone may name in a project, for each meter it may have.
const MOST_KEYS_A_METER: usize = 2;

/// Who decides, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    pub set_by: String,
    pub reason: String,
    /// By which key, and from where.
    pub actor: Actor,
}

/// What putting a project on a plan came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanApplied {
    /// The limits that the plan set, now or before.
    pub limits: Vec<(Target, LimitEntry)>,
    /// The limits of an earlier plan that ended.
    pub ended: Vec<(Target, Ended)>,
    /// The limits that were set by hand and stay.
    pub kept: Vec<(Target, LimitEntry)>,
}

/// A limit with its end, and the decision that ended it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub limit: LimitEntry,
    pub by: LimitEntry,
}

impl Ended {
    fn new(limit: LimitEntry, by: LimitEntry) -> Self {
        Self { limit: LimitEntry { end: Some(by.start), ..limit }, by }
    }
}

impl Service {
    /// Sets the limit of a key from now on; the key is made when it is new.
    ///
    /// # Errors
    /// `Bound` when the project has as many keys, or the key as many decisions, as it may; `Store` when the decision is
    /// not durable, and then it does not hold.
    pub fn set_limit(
        &self,
        key: &Key,
        slots: u32,
        end: Option<Time>,
        author: Author,
        now: Now,
    ) -> Result<LimitEntry, Error> {
        let _one_at_a_time = self.deciding()?;
        let tally = self.limited(key, now)?;
        let Author { set_by, reason, actor } = author;
        let entry = LimitEntry { slots: Some(slots), start: now.wall, end, set_by, reason };
        self.decide(vec![(tally, entry)], "limit.set", &actor, now)?.pop().ok_or_else(lost)
    }

    /// Ends the limit of a key now.
    ///
    /// # Errors
    /// `NotFound` when none is in force; else as [`set_limit`](Self::set_limit).
    pub fn end_limit(&self, key: &Key, author: Author, now: Now) -> Result<Ended, Error> {
        let _one_at_a_time = self.deciding()?;
        let found = self.live.registry.find(key).and_then(|tally| {
            let in_force = self.limits.of(tally.id).in_force(now.wall).cloned()?;
            Some((tally, in_force))
        });
        let Some((tally, in_force)) = found else {
            return Err(Error::NotFound { what: "limit in force of", name: key.target.to_string() });
        };
        let Author { set_by, reason, actor } = author;
        let entry = LimitEntry { slots: None, start: now.wall, end: None, set_by, reason };
        let by = self.decide(vec![(tally, entry)], "limit.end", &actor, now)?.pop().ok_or_else(lost)?;
        Ok(Ended::new(in_force, by))
    }

    /// Puts a project on a plan, in one durable step.
    ///
    /// # Errors
    /// As [`set_limit`](Self::set_limit).
    pub fn apply_plan(&self, project: &Project, plan: &Plan, author: &Author, now: Now) -> Result<PlanApplied, Error> {
        let _one_at_a_time = self.deciding()?;
        let tallies = self.live.registry.of_project(project);
        let histories: Vec<_> = tallies.iter().map(|tally| (&tally.key.target, self.limits.of(tally.id))).collect();
        let histories = histories.iter().map(|(target, history)| (*target, &**history));
        let decisions = plan.apply(histories, now.wall, &plan_reason(author));
        let key = |target: Target| Key { project: project.clone(), target };
        let mut applied = PlanApplied::default();
        let mut with_tallies = Vec::with_capacity(decisions.len());
        for (target, entry) in decisions {
            let tally = self.limited(&key(target.clone()), now)?;
            if entry.slots.is_none()
                && let Some(ended) = lasting(&self.limits.of(tally.id), now.wall)
            {
                applied.ended.push((target, Ended::new(ended.clone(), entry.clone())));
            }
            with_tallies.push((tally, entry));
        }
        self.decide(with_tallies, &format!("plan.apply {}", plan.id), &author.actor, now)?;
        for target in plan.limits.keys() {
            let Some(tally) = self.live.registry.find(&key(target.clone())) else { continue };
            let history = self.limits.of(tally.id);
            let of_plan = lasting(&history, now.wall).filter(|entry| entry.set_by == plan.set_by());
            applied.limits.extend(of_plan.map(|entry| (target.clone(), entry.clone())));
        }
        let is_by_hand = |entry: &&LimitEntry| entry.slots.is_some() && !entry.set_by.starts_with(SET_BY_PLAN);
        for tally in &tallies {
            let history = self.limits.of(tally.id);
            let by_hand = history.in_force(now.wall).filter(is_by_hand);
            applied.kept.extend(by_hand.map(|entry| (tally.key.target.clone(), entry.clone())));
        }
        Ok(applied)
    }

    /// Decisions come one after another, each on what the store holds.
    pub(super) fn deciding(&self) -> Result<MutexGuard<'_, ()>, StoreError> {
        let deciding = self.limits.deciding();
        let surprises = self.ledger.known_surprises()?;
        self.catch_up_decisions(surprises)?;
        Ok(deciding)
    }

    /// Takes over decisions that were not acknowledged here, if there are any.
    pub(super) fn refresh_decisions(&self) -> Result<(), StoreError> {
        let surprises = self.ledger.surprises()?;
        if !self.limits.knows(surprises) || !self.requests.knows(surprises) || !self.chains.knows(surprises) {
            let _one_at_a_time = self.limits.deciding();
            self.catch_up_decisions(surprises)?;
        }
        Ok(())
    }

    fn catch_up_decisions(&self, surprises: u64) -> Result<(), StoreError> {
        self.limits.catch_up(surprises, &*self.store)?;
        self.requests.catch_up(surprises, &*self.store)?;
        self.chains.catch_up(surprises, &*self.store)?;
        if self.choices.catch_up(surprises, &*self.store)? {
            self.follow_all(self.clock.now());
        }
        Ok(())
    }

    /// The key that a limit is set on, made when it is new.
    pub(super) fn limited(&self, key: &Key, now: Now) -> Result<Arc<Tally>, Error> {
        let registry = &self.live.registry;
        if let Some(tally) = registry.find(key) {
            return Ok(tally);
        }
        let bounds = &self.live.bounds;
        if !registry.has_project(&key.project) && registry.projects().len() >= bounds.projects {
            return Err(Error::Bound { name: "projects", most: bounds.projects as u64 });
        }
        let most = bounds.meters_per_project * MOST_KEYS_A_METER;
        if registry.of_project(&key.project).len() >= most {
            return Err(Error::Bound { name: "meters and pools per project", most: most as u64 });
        }
        let _made = registry.project(&key.project);
        Ok(registry.tally(key, self.live.tick(now)))
    }

    /// Makes decisions durable, and then seen. Returns them as they hold: none begins before the one before it.
    fn decide(
        &self,
        decisions: Vec<(Arc<Tally>, LimitEntry)>,
        action: &str,
        actor: &Actor,
        now: Now,
    ) -> Result<Vec<LimitEntry>, Error> {
        let (change, rows) = self.draft(decisions, action, actor, now)?;
        if change.limits.is_empty() {
            return Ok(Vec::new());
        }
        let change = self.write(change, &rows, now.wall)?;
        Ok(change.limits.into_iter().map(|(_, entry)| entry).collect())
    }

    /// The change that decisions on limits come to, and the rows that tell of it.
    pub(super) fn draft(
        &self,
        decisions: Vec<(Arc<Tally>, LimitEntry)>,
        action: &str,
        actor: &Actor,
        now: Now,
    ) -> Result<(Change, Vec<Entry>), Error> {
        let mut keys: Vec<(KeyId, Key)> = Vec::new();
        let mut entries: Vec<(KeyId, LimitEntry)> = Vec::with_capacity(decisions.len());
        let mut rows = Vec::with_capacity(decisions.len());
        for (tally, mut entry) in decisions {
            let history = self.limits.of(tally.id);
            if history.entries().len() >= MOST_DECISIONS {
                return Err(Error::Bound { name: "decisions on one limit", most: MOST_DECISIONS as u64 });
            }
            entry.start = history.entries().last().map_or(entry.start, |newest| newest.start.max(entry.start));
            rows.push(Entry {
                before: history.in_force(now.wall).map(describe).unwrap_or_default(),
                after: describe(&entry),
                ..actor.entry(action, tally.key.project.as_str(), tally.key.target.to_string())
            });
            keys.push((tally.id, tally.key.clone()));
            entries.push((tally.id, entry));
        }
        Ok((Change { new_keys: keys, limits: entries, ..Change::default() }, rows))
    }

    /// Makes a change durable, and then its limits seen. Returns it as it was written.
    pub(super) fn write(&self, change: Change, rows: &[Entry], now: Time) -> Result<Change, Error> {
        let written = self.ledger.write(change, rows, now);
        let change = written.map_err(|error| Error::Store { detail: error.to_string() })?;
        self.limits.add(&change.limits);
        let keys = change.new_keys.iter().filter_map(|(_, key)| self.live.registry.find(key));
        keys.for_each(|tally| self.follow(&tally, self.clock.now()));
        Ok(change)
    }
}

/// What the audit log says of a decision.
pub(super) fn describe(entry: &LimitEntry) -> String {
    let slots = entry.slots.map_or_else(|| "none".to_owned(), |slots| slots.to_string());
    let end = entry.end.map(|end| format!(" end_us={}", end.0)).unwrap_or_default();
    format!("slots={slots}{end} set_by={:?} reason={:?}", entry.set_by, entry.reason)
}

/// The limit that holds when all that end by themselves have ended.
fn lasting(history: &LimitHistory, at: Time) -> Option<&LimitEntry> {
    let lasting = history.entries().iter().rev().find(|entry| entry.end.is_none() && entry.covers(at));
    lasting.filter(|entry| entry.slots.is_some())
}

/// Why a plan set a limit, with who applied it; what does not fit is cut from the reason.
fn plan_reason(author: &Author) -> String {
    let by = format!("by {}", author.set_by);
    let room = MAX_REASON_BYTES.saturating_sub(by.len() + 2).min(author.reason.len());
    let reason = &author.reason[..author.reason.floor_char_boundary(room)];
    if reason.is_empty() { by } else { format!("{reason}, {by}") }
}

/// What `decide` returns has an entry for each that it was given.
pub(super) fn lost() -> Error {
    Error::Internal { detail: "a decision was lost".to_owned() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{
        config::{Config, RawConfig},
        model::{Kind, Meter},
        service::{Clock, Limits},
        store::EmbeddedStore,
    };

    fn service() -> Arc<Service> {
        let config = Config::build(&RawConfig::default(), None).unwrap();
        Service::open(config, Arc::new(EmbeddedStore::in_memory().unwrap()), Clock::start()).unwrap()
    }

    fn kim(reason: &str) -> Author {
        Author { set_by: "kim".to_owned(), reason: reason.to_owned(), actor: Actor::service() }
    }

    fn key(project: &str) -> Key {
        let meter = Meter::new(Kind::Tts, "cartesia/sonic-3", "", None).unwrap();
        Key { project: Project::new(project).unwrap(), target: Target::Meter(meter) }
    }

    fn at(seconds: u64) -> Now {
        Now::at(Time::from_secs(1_700_000_000 + seconds))
    }

    #[test]
    fn a_decision_is_in_the_store_with_its_key_before_anything_was_reported() {
        let service = service();
        service.set_limit(&key("new"), 20, None, kim("bought"), at(0)).unwrap();
        let raised = service.set_limit(&key("new"), 30, Some(at(60).wall), kim("launch"), at(10)).unwrap();
        assert_eq!((raised.slots, raised.end), (Some(30), Some(at(60).wall)));
        let (id, _) = service.store.keys().unwrap().into_iter().find(|(_, stored)| *stored == key("new")).unwrap();
        let stored = Limits::load(service.store.limits().unwrap());
        for (seconds, slots) in [(9, Some(20)), (10, Some(30)), (59, Some(30)), (60, Some(20))] {
            let limits = [&stored, &service.limits].map(|limits| limits.slots_at(id, at(seconds).wall));
            assert_eq!(limits, [slots; 2], "{seconds}");
        }
        let ended = service.end_limit(&key("new"), kim(""), at(70)).unwrap();
        assert_eq!((ended.limit.slots, ended.limit.end), (Some(20), Some(at(70).wall)));
        assert!(matches!(service.end_limit(&key("new"), kim(""), at(71)), Err(Error::NotFound { .. })));
        assert!(matches!(service.end_limit(&key("other"), kim(""), at(71)), Err(Error::NotFound { .. })));
    }

    #[test]
    fn a_project_of_which_only_limits_are_known_is_there_after_a_restart() {
        let before = service();
        let (project, across) = (Project::new("demo").unwrap(), Project::across());
        before.apply_plan(&project, before.plans.get("livekit-build").unwrap(), &kim(""), at(0)).unwrap();
        let pool = Target::ModelPool(Meter::new(Kind::Tts, "cartesia/sonic-3", "", None).unwrap());
        before.set_limit(&Key { project: across.clone(), target: pool }, 40, None, kim(""), at(0)).unwrap();
        let after = Service::open(before.config.clone(), before.store.clone(), Clock::start()).unwrap();
        let registry = &after.live.registry;
        assert!(registry.has_project(&project) && registry.has_project(&across));
        assert_eq!(registry.of_project(&project).len(), 6);
    }

    #[test]
    fn a_plan_twice_is_a_plan_once() {
        let service = service();
        let project = Project::new("demo").unwrap();
        let build = service.plans.get("livekit-build").unwrap();
        let first = service.apply_plan(&project, build, &kim("trial"), at(0)).unwrap();
        let again = service.apply_plan(&project, build, &kim("again"), at(5)).unwrap();
        assert_eq!((first.limits.len(), &first.limits, &first.ended), (6, &again.limits, &again.ended));
        assert_eq!(first.limits[0].1.reason, "trial, by kim");
        let smaller = Plan::read("id='one'\nname='One'\n[[limits]]\nkind='stt'\nslots=1\n").unwrap();
        let moved = service.apply_plan(&project, &smaller, &kim(""), at(9)).unwrap();
        assert_eq!((moved.limits.len(), moved.ended.len()), (1, 5));
        assert!(moved.ended.iter().all(|(_, ended)| ended.limit.end == Some(at(9).wall)));
    }

    #[test]
    fn names_that_only_limits_know_are_bounded() {
        let service = service();
        let most = service.live.bounds.meters_per_project * MOST_KEYS_A_METER;
        let pool = |n: usize| Key {
            target: Target::KindPool { kind: Kind::Tts, account: format!("a{n}").into() },
            ..key("x")
        };
        let now = service.live.tick(at(0));
        service.live.registry.project(&key("x").project);
        (0..most).for_each(|n| drop(service.live.registry.tally(&pool(n), now)));
        let refused = service.set_limit(&pool(most), 1, None, kim(""), at(0));
        assert!(matches!(refused, Err(Error::Bound { .. })), "{refused:?}");
        assert!(service.set_limit(&pool(0), 1, None, kim(""), at(0)).is_ok());
    }
}
