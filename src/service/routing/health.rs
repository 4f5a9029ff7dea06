//! How the providers of all models do, each project by its own sessions. Kept of models on which sessions ended of late or
//! that are not well; a model of which nothing is kept is up.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    live::{Meter, Tally, chained::Reserved, ends::Taken},
    model::{KeyId, Now, SessionId},
    route::{Condition, Health, choose::hash},
    service::{
        Service,
        routing::{Deciding, chain::Models},
    },
};

/// The health of all models.
#[derive(Debug, Default)]
pub struct Providers(Mutex<HashMap<KeyId, Watched>>);

#[derive(Debug)]
struct Watched {
    meter: Arc<Meter>,
    health: Health,
}

/// How the provider of one model does, for those who ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    pub condition: Condition,
    /// Slots that it seems to allow, where that is less than our limit.
    pub ceiling: Option<u32>,
    /// What that was learned from, in words; empty where there is none.
    pub source: String,
}

impl Providers {
    fn locked(&self) -> MutexGuard<'_, HashMap<KeyId, Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker as health tells them apart.
fn worker_hash(worker: &str) -> u64 {
    hash(worker.as_bytes())
}

impl Service {
    /// Hears how sessions ended: on the models of chains each time, on all others once a second.
    pub(super) fn hear_ends(&self, deciding: &Deciding, all: bool, now: Now) {
        let mut heard: Vec<(Arc<Meter>, Taken)> = Vec::new();
        let mut hear = |meter: &Arc<Meter>| heard.extend(meter.take_ends().map(|taken| (meter.clone(), taken)));
        if all {
            self.live.registry.meters().for_each(&mut hear);
        } else {
            let models = deciding.projects.values().flat_map(|decider| &decider.models);
            models.flat_map(|(_, models)| models.meters()).for_each(&mut hear);
        }
        let limit = |meter: &Meter| self.limits.slots_at(meter.tally.id, now.wall);
        let mut watched = self.routing.health.locked();
        for probed in self.routing.probes.take() {
            if let Some(watched) = watched.get_mut(&probed.meter) {
                watched.health.probe_ended(probed.session.digest(), probed.outcome, now.mono);
            }
        }
        for (meter, taken) in heard {
            let limit = limit(&meter);
            let watched = watched.entry(meter.tally.id).or_insert_with(|| {
                let health = Health::new(hash(meter.tally.key.to_string().as_bytes()));
                Watched { meter, health }
            });
            watched.health.seen(&taken, limit, now.mono);
        }
        watched.retain(|_, Watched { meter, health }| {
            health.step(now.mono);
            !meter.is_removed() && !(all && health.is_forgotten(limit(meter), now.mono))
        });
    }

    /// How the provider of each of these models does.
    pub fn providers(&self, meters: impl IntoIterator<Item = KeyId>, now: Now) -> Vec<Standing> {
        let watched = self.routing.health.locked();
        let standing = |meter: KeyId| {
            let Some(Watched { health, .. }) = watched.get(&meter) else { return Standing::default() };
            let ceiling = health.ceiling(self.limits.slots_at(meter, now.wall), now.mono);
            let source = health.learned().filter(|_| ceiling.is_some()).map(ToString::to_string).unwrap_or_default();
            Standing { condition: health.condition(), ceiling, source }
        };
        meters.into_iter().map(standing).collect()
    }

    /// Providers that are not up, or refuse below our limit.
    pub fn unwell_providers(&self, now: Now) -> Vec<(KeyId, Standing)> {
        let watched: Vec<_> = self.routing.health.locked().keys().copied().collect();
        let standings = self.providers(watched.iter().copied(), now);
        watched.into_iter().zip(standings).filter(|(_, standing)| *standing != Standing::default()).collect()
    }

    /// How the provider of a model does; `None` of pools, and of kinds without models.
    pub fn provider(&self, tally: &Tally, now: Now) -> Option<Standing> {
        let has_model = !tally.key.target.is_pool() && tally.key.target.kind().has_model();
        has_model.then(|| self.providers([tally.id], now).remove(0))
    }

    /// Condition and learned ceiling of each of the models of a chain.
    pub(super) fn conditions(&self, models: &Models, now: Now) -> Vec<(Condition, Option<u32>)> {
        let watched = self.routing.health.locked();
        let of = |meter: &Arc<Meter>| {
            let Some(Watched { health, .. }) = watched.get(&meter.tally.id) else { return (Condition::Up, None) };
            let limit = self.limits.slots_at(meter.tally.id, now.wall);
            (health.condition(), health.ceiling(limit, now.mono))
        };
        models.meters().iter().map(of).collect()
    }

    /// Which of these models, as bits, a worker may try though they were down.
    pub(super) fn may_probe(&self, meters: &[Arc<Meter>], worker: &str) -> u8 {
        let (watched, worker) = (self.routing.health.locked(), worker_hash(worker));
        let may = |meter: &Arc<Meter>| watched.get(&meter.tally.id).is_some_and(|w| w.health.may_probe(worker));
        (0..).zip(meters).filter(|(_, meter)| may(meter)).fold(0, |bits, (place, _)| bits | 1 << place)
    }

    /// A place to try a model that was down; `None` when others took the last one meanwhile.
    pub(super) fn reserve_probe(&self, meter: &Meter, worker: &str, session: SessionId, now: Now) -> Option<Reserved> {
        let (mut watched, worker) = (self.routing.health.locked(), worker_hash(worker));
        let watched = watched.get_mut(&meter.tally.id).filter(|watched| watched.health.may_probe(worker))?;
        watched.health.probe(session.digest(), worker, now.mono);
        Some(self.routing.probes.reserve(meter.tally.id, session))
    }
}
