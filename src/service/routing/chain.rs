//! A chain and its models, as full as they are at this moment.
//!
//! Limits that are only observed move sessions and refuse none: they fill a model for its route, and a model that has as many
//! as one allows is chosen only when every other one has, too. That of a kind is the same for all models of a chain and no
//! reason to choose between them; it counts where it is enforced.

use std::sync::Arc;

use crate::{
    live::{
        Chained, Meter, Tally,
        gate::NONE,
        sync::{AtomicU32, Ordering},
    },
    model::{Chain, Meter as MeterName, Now, Priority},
    route::{ChainRoute, Scope, Standing, View},
    service::Service,
};

/// The places of the levels of a meter.
const OF_MODEL: usize = 0;
const OF_KIND: usize = 1;
const ACROSS: usize = 2;
/// Levels whose observed limits count: of the model here, and across projects.
const OBSERVED: [usize; 2] = [OF_MODEL, ACROSS];

/// What stands behind the models of a chain.
#[derive(Debug)]
pub struct Models {
    names: Vec<MeterName>,
    meters: Vec<Arc<Meter>>,
    pub chained: Arc<Chained>,
    /// The limits of each as of the last step, of [`OBSERVED`].
    limits: Vec<[AtomicU32; 2]>,
}

/// A chain with its route.
#[derive(Clone, Debug)]
pub struct Routed {
    pub chain: Arc<Chain>,
    pub models: Arc<Models>,
    pub route: ChainRoute,
    /// Sessions of the chain that each model held when the route was made.
    pub held: Vec<u32>,
}

fn stored(limit: Option<u32>) -> u32 {
    limit.unwrap_or(NONE)
}

fn known(limit: u32) -> Option<u32> {
    Some(limit).filter(|limit| *limit != NONE)
}

/// What may be held of a level by one of this priority, where that is enforced.
fn enforced(tally: &Tally, priority: Priority) -> Option<u32> {
    tally.scope().and_then(|scope| scope.most(priority))
}

impl Models {
    pub fn meters(&self) -> &[Arc<Meter>] {
        &self.meters
    }

    /// As a route sees them.
    pub(super) fn seen(&self, service: &Service, now: Now) -> Vec<View> {
        for (meter, limits) in self.meters.iter().zip(&self.limits) {
            for (scope, limit) in OBSERVED.into_iter().zip(limits) {
                let tally = meter.scopes()[scope];
                limit.store(stored(service.limits.slots_at(tally.id, now.wall)), Ordering::Relaxed);
            }
        }
        let conditions = service.conditions(self, now);
        let (held, _) = self.chained.look(&self.meters, None);
        let views = conditions.into_iter().zip(held).enumerate().map(|(place, ((condition, ceiling), held))| View {
            standing: Standing { ceiling, held, ..self.standing(place, Priority::Priority) },
            condition,
        });
        views.collect()
    }

    /// Whether no limit that is enforced stands in the way of one of this priority.
    pub(super) fn is_open(&self, place: usize, priority: Priority) -> bool {
        let has_room = |tally: &Arc<Tally>| enforced(tally, priority).is_none_or(|most| tally.word.level() < most);
        self.meters[place].scopes().into_iter().all(has_room)
    }

    /// How full a model is at this moment, for one of this priority.
    pub(super) fn standing(&self, place: usize, priority: Priority) -> Standing {
        let [of_model, across] = &self.limits[place];
        let scopes = self.meters[place].scopes();
        let scope = |nth: usize, observed: Option<u32>| {
            let tally = scopes[nth];
            Scope { level: tally.word.level(), limit: enforced(tally, priority).or(observed) }
        };
        Standing {
            model: scope(OF_MODEL, known(of_model.load(Ordering::Relaxed))),
            across: scope(ACROSS, known(across.load(Ordering::Relaxed))),
            kind: scope(OF_KIND, None),
            ceiling: None,
            held: 0,
        }
    }
}

impl Routed {
    pub(super) fn new(chain: &Arc<Chain>, models: &Arc<Models>, route: &ChainRoute) -> Option<Self> {
        let (held, _) = models.chained.look(&models.meters, None);
        (route.models.len() == models.meters.len()).then(|| Self {
            chain: chain.clone(),
            models: models.clone(),
            route: route.clone(),
            held,
        })
    }
}

impl Service {
    /// What stands behind the models of a chain: as before where they are the same, and its sessions in any case. `None` when
    /// one of them can't be counted.
    pub(super) fn models_of(
        &self,
        chain: &Chain,
        before: &[(Arc<str>, Arc<Models>)],
        now: Now,
    ) -> Option<(Arc<str>, Arc<Models>)> {
        let before = before.iter().find(|(name, _)| *name == chain.name).map(|(_, models)| models);
        if let Some(same) = before.filter(|models| models.names == chain.models) {
            return Some((chain.name.clone(), same.clone()));
        }
        let meters: Result<Vec<_>, _> =
            chain.models.iter().map(|name| self.live.meter_or_other(&chain.project, name, now)).collect();
        let meters = meters
            .inspect_err(|error| tracing::warn!(chain = &*chain.name, %error, "a chain has no route: its models can't be counted"))
            .ok()?;
        let models = Models {
            names: chain.models.clone(),
            limits: meters.iter().map(|_| [AtomicU32::new(NONE), AtomicU32::new(NONE)]).collect(),
            meters,
            chained: before.map(|models| models.chained.clone()).unwrap_or_default(),
        };
        Some((chain.name.clone(), Arc::new(models)))
    }
}
