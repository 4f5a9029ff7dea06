//! Opens a service on a store: rolls again what was not folded, takes over keys and limits, and starts to learn what the
//! workers hold.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use crate::{
    access::ProjectRecord,
    config::{
        Config,
        files::{self, FileError},
    },
    live::Live,
    model::KeyId,
    rollup::Rollup,
    service::{
        Access, Alerts, Ceilings, Chains, Choices, Clock, Counts, Guard, Health, Leaving, Ledger, Limits, Outages,
        Requests, Routing, Service, Simulation, Turns, access::AccessError, livekit::livekit,
    },
    store::{Shelf, Store, StoreError, content::is_unfinished},
};

/// The note of a store that holds a simulation.
pub const SIMULATION_NOTE: &str = "simulation";

/// Why a service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error("the store is a copy that was interrupted; run the same `highwater migrate` again")]
    Unfinished,
    #[error(transparent)]
    File(#[from] FileError),
}

impl Service {
    /// Opens a service on a store.
    ///
    /// # Errors
    /// When the store can't be read, or the files of the catalogue or the plans have mistakes.
    pub fn open(config: Config, store: Arc<dyn Store>, clock: Clock) -> Result<Arc<Self>, StartError> {
        if is_unfinished(&*store)? {
            return Err(StartError::Unfinished);
        }
        let catalogue = files::catalogue(config.catalogue.as_deref())?;
        let plans = files::plans(config.plans.as_deref())?;
        let mut rollup = Rollup::new(config.bounds.late_until, store.folded_until()?);
        let frames = store.frames()?;
        frames.iter().for_each(|frame| rollup.apply(frame));
        // A clock that was set back while the service was down goes on where history ended.
        clock.not_before(rollup.next_tick().unwrap_or_default().start());
        let now = clock.now();
        let first = now.wall.tick();
        let live = Live::new(config.bounds.clone(), first);
        let keys = store.keys()?;
        // Frames of the last hour may still tell of keys that were removed with their project.
        let known: HashSet<KeyId> = keys.iter().map(|(key, _)| *key).collect();
        rollup.retain(|key| known.contains(&key));
        live.registry.begin_at(KeyId(store.keys_end()?));
        live.load(keys, &|key| rollup.coverage(key));
        let known = store.known_workers()?;
        if !known.is_empty() || rollup.any_left_open() {
            let down_from = rollup.next_tick().unwrap_or(first);
            let known = known.into_iter().map(|worker| (worker.project, worker.incarnation));
            live.start_learning(known, &|key| rollup.left_open(key), down_from, now);
        }
        let outages = Outages::load(&*store)?;
        if let Some(down_from) = rollup.next_tick() {
            outages.begin(down_from, first);
        }
        let ledger = Arc::new(Ledger::open(store.clone())?);
        let access = Arc::new(Access::open(store.clone(), ledger.clone(), config.access.key_file.clone())?);
        let leaving = Leaving::default();
        for (_, bytes) in store.documents(Shelf::Projects)? {
            if let Some(record) = ProjectRecord::decode(&bytes) {
                let _listed = live.registry.project(&record.project);
                if record.leaving {
                    leaving.add(record.project, None);
                }
            }
        }
        let requests = Requests::load(&*store)?;
        // Also when nothing but what was asked for is known of it.
        requests.list(None).iter().for_each(|request| drop(live.registry.project(&request.project)));
        let chains = Chains::load(&*store)?;
        chains.projects().iter().for_each(|project| drop(live.registry.project(project)));
        let simulation = config.simulation || store.note(SIMULATION_NOTE)?.is_some();
        let alerts = Alerts::load(&*store, &access, &config.alerts.recipients)?;
        let service = Arc::new(Self {
            clock,
            live,
            livekit: livekit(&config, &access, &*store)?,
            rollup: Mutex::new(rollup),
            limits: Limits::load(store.limits()?),
            choices: Choices::load(&*store)?,
            ceilings: Ceilings::load(&*store)?,
            chains,
            routing: Routing::after(Turns::load(&*store)?),
            requests,
            alerts,
            outages,
            ledger,
            access,
            leaving,
            catalogue,
            plans,
            store,
            health: Health::default(),
            counts: Counts::default(),
            guard: Arc::new(Guard::new(&config.connections)),
            started: now.wall,
            simulation,
            fleet: Simulation::default(),
            config,
        });
        service.follow_all(now);
        service.live.recall_starts(&frames, now);
        service.alerts.begin(&service, now);
        Ok(service)
    }
}
