//! Routes, live: every 100 ms it is decided anew which model of each chain new sessions use, from how full the models are,
//! how their providers do and what is said by hand; who listens is told the newest. How providers do is read off the ends of
//! sessions, which reports count on their meters without a lock.
//!
//! - [`health`]: how the providers of all models do.
//! - [`chain`]: a chain and its models, as full as they are at this moment.
//! - [`pick`]: the model of one session.
//! - [`turns`]: when new sessions began to go elsewhere, and why.

pub mod chain;
pub mod health;
pub mod pick;
mod record;
pub mod turns;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

pub use chain::Routed;
pub use health::Standing;
pub use turns::{Turn, Turns};

use crate::{
    error::Error,
    live::Probes,
    model::{Chain, KeyId, Now, Project, Target, Tick, Time},
    route::{ChainRoute, Router, View},
    service::{Service, chains::ProjectChains, routing::chain::Models},
};

/// How often routes are decided.
pub const INTERVAL: Duration = Duration::from_millis(100);
/// Chains that are named to who asks for one that is not there.
const MOST_NAMED: usize = 8;

/// The routes of one version of a project.
#[derive(Debug, Default)]
pub struct Version {
    /// Grows with every change, also over restarts; 0 before the first.
    pub number: u64,
    pub made_at: Time,
    /// By name.
    pub chains: Vec<Routed>,
}

/// Tells of new routes of a project; whoever listens late hears the newest alone.
#[derive(Debug)]
pub struct Listener(watch::Receiver<Arc<Version>>);

/// All routes of the service.
#[derive(Debug, Default)]
pub struct Routing {
    told: RwLock<HashMap<Project, watch::Sender<Arc<Version>>>>,
    deciding: Mutex<Deciding>,
    health: health::Providers,
    pub turns: Turns,
    probes: Probes,
    versions: AtomicU64,
}

/// What is decided from.
#[derive(Debug, Default)]
struct Deciding {
    /// The chains as of this number.
    chains: Option<u64>,
    projects: HashMap<Project, Decider>,
    /// The second in which the ends on all models were looked at last.
    second: Tick,
}

/// Decides the routes of one project.
#[derive(Debug)]
struct Decider {
    router: Router,
    of: Arc<ProjectChains>,
    /// By name of the chain.
    models: Vec<(Arc<str>, Arc<Models>)>,
}

impl Listener {
    /// The newest routes, which have been heard then.
    pub fn newest(&mut self) -> Arc<Version> {
        self.0.borrow_and_update().clone()
    }

    /// Waits until there are newer ones than were heard; for ever when nobody is left who would make some.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Routing {
    /// The routes of a service that begins, with what is known of earlier ones.
    pub fn after(turns: Turns) -> Self {
        Self { turns, ..Self::default() }
    }

    /// Listens to the routes of a project; also of one without chains, which may have some later.
    pub fn listen(&self, project: &Project) -> Listener {
        let read = self.told.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(told) = read.get(project) {
            return Listener(told.subscribe());
        }
        drop(read);
        let mut told = self.told.write().unwrap_or_else(PoisonError::into_inner);
        Listener(told.entry(project.clone()).or_default().subscribe())
    }

    fn newest(&self, project: &Project) -> Option<Arc<Version>> {
        let told = self.told.read().unwrap_or_else(PoisonError::into_inner);
        told.get(project).map(|told| told.borrow().clone())
    }

    /// Versions that were made.
    pub fn versions(&self) -> u64 {
        self.versions.load(Ordering::Relaxed)
    }

    fn tell(&self, project: &Project, version: Version) {
        self.versions.fetch_add(1, Ordering::Relaxed);
        let mut told = self.told.write().unwrap_or_else(PoisonError::into_inner);
        told.entry(project.clone()).or_default().send_replace(Arc::new(version));
    }

    /// Forgets projects that have no chains and to which nobody listens.
    fn forget_unheard(&self) {
        let is_heard =
            |told: &watch::Sender<Arc<Version>>| told.receiver_count() > 0 || !told.borrow().chains.is_empty();
        self.told.write().unwrap_or_else(PoisonError::into_inner).retain(|_, told| is_heard(told));
    }

    fn deciding(&self) -> MutexGuard<'_, Deciding> {
        self.deciding.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    /// Decides the routes of all projects, and tells those that changed. Called every [`INTERVAL`].
    pub fn step_routes(&self, now: Now) {
        let mut deciding = self.routing.deciding();
        let second = now.wall.tick();
        let is_new_second = std::mem::replace(&mut deciding.second, second) != second;
        self.hear_ends(&deciding, is_new_second, now);
        self.follow_chains(&mut deciding, now);
        for (project, decider) in &mut deciding.projects {
            self.decide_routes(project, decider, now);
        }
        deciding.projects.retain(|_, decider| !decider.of.chains.is_empty());
        if is_new_second {
            self.routing.forget_unheard();
        }
    }

    /// The routes of a project as of now.
    pub fn routes_of(&self, project: &Project, now: Now) -> Arc<Version> {
        let mut deciding = self.routing.deciding();
        self.follow_chains(&mut deciding, now);
        drop(deciding);
        self.routing.newest(project).unwrap_or_default()
    }

    /// The primaries of chains whose new sessions go elsewhere, with where they go in words.
    pub fn fallbacks_in_use(&self) -> Vec<(KeyId, String)> {
        let told = self.routing.told.read().unwrap_or_else(PoisonError::into_inner);
        let versions: Vec<_> = told.values().map(|told| told.borrow().clone()).collect();
        drop(told);
        let mut in_use: BTreeMap<KeyId, String> = BTreeMap::new();
        for routed in versions.iter().flat_map(|version| &version.chains) {
            let shares = routed.chain.models.iter().zip(&routed.route.models).skip(1);
            let elsewhere = shares.filter(|(_, model)| model.percent > 0);
            let elsewhere: Vec<_> = elsewhere
                .map(|(meter, model)| {
                    format!("{} % to {}", model.percent, self.catalogue.display_name(&Target::Meter(meter.clone())))
                })
                .collect();
            if !elsewhere.is_empty() {
                let words = in_use.entry(routed.models.meters()[0].tally.id).or_default();
                let chain = format!("Of chain {}: {}.", routed.chain.name, elsewhere.join(", "));
                *words = if words.is_empty() { chain } else { format!("{words} {chain}") };
            }
        }
        in_use.into_iter().collect()
    }

    /// A chain of a project with its route of now.
    ///
    /// # Errors
    /// `NotFound` when there is none of that name; it names those that there are.
    pub fn routed(&self, project: &Project, name: &str, now: Now) -> Result<(Arc<Version>, usize), Error> {
        let find = |version: Arc<Version>| {
            let at = version.chains.binary_search_by(|routed| (*routed.chain.name).cmp(name)).ok()?;
            Some((version, at))
        };
        let is_as_told = |routed: &(Arc<Version>, usize)| {
            let chain = &routed.0.chains[routed.1].chain;
            self.chains.of(project).find(name).is_some_and(|newest| newest == chain)
        };
        if let Some(found) = self.routing.newest(project).and_then(find).filter(is_as_told) {
            return Ok(found);
        }
        // It was set, changed or deleted since the last step.
        find(self.routes_of(project, now)).ok_or_else(|| self.no_chain(project, name))
    }

    /// Listens to the routes of a project, as of now.
    pub fn listen_to_routes(&self, project: &Project, now: Now) -> Listener {
        let _as_of_now = self.routes_of(project, now);
        self.routing.listen(project)
    }

    fn no_chain(&self, project: &Project, name: &str) -> Error {
        let of_project = self.chains.of(project);
        let mut names: Vec<&str> = of_project.chains.iter().take(MOST_NAMED).map(|chain| &*chain.name).collect();
        if of_project.chains.len() > MOST_NAMED {
            names.push("…");
        }
        let others = match names.is_empty() {
            true => "; the project has none".to_owned(),
            false => format!("; the project has {}", names.join(", ")),
        };
        Error::NotFound { what: "chain", name: format!("{name}{others}") }
    }

    /// Takes over chains that were set, changed or deleted, and what is said by hand.
    fn follow_chains(&self, deciding: &mut Deciding, now: Now) {
        let version = self.chains.version();
        if deciding.chains.replace(version) == Some(version) {
            return;
        }
        let mut projects = self.chains.projects();
        projects
            .extend(deciding.projects.keys().filter(|known| !projects.contains(known)).cloned().collect::<Vec<_>>());
        for project in projects {
            let of = self.chains.of(&project);
            if deciding.projects.get(&project).is_some_and(|decider| Arc::ptr_eq(&decider.of, &of)) {
                continue;
            }
            let last = || self.routing.newest(&project).map_or(0, |version| version.number);
            let decider = deciding.projects.entry(project.clone()).or_insert_with(|| Decider {
                router: Router::after(last()),
                of: Arc::default(),
                models: Vec::new(),
            });
            decider.models = of.chains.iter().filter_map(|chain| self.models_of(chain, &decider.models, now)).collect();
            let with_models = |chain: &&Arc<Chain>| decider.models.iter().any(|(name, _)| *name == chain.name);
            decider.router.set_chains(of.chains.iter().filter(with_models).cloned());
            decider.of = of.clone();
            self.decide_routes(&project, decider, now);
        }
    }

    fn decide_routes(&self, project: &Project, decider: &mut Decider, now: Now) {
        let models = &decider.models;
        let of = |name: &str| models.binary_search_by(|(other, _)| (**other).cmp(name)).ok().map(|at| &models[at].1);
        let views =
            |chain: &Chain| -> Vec<View> { of(&chain.name).map_or_else(Vec::new, |models| models.seen(self, now)) };
        let Some(routes) = decider.router.step(views, &decider.of.by_hand, now) else { return };
        let routed = |(chain, route): &(Arc<Chain>, ChainRoute)| Routed::new(chain, of(&chain.name)?, route);
        let chains: Vec<_> = routes.chains.iter().filter_map(routed).collect();
        self.note_turns(project, &chains, &decider.of.by_hand, now);
        self.routing.tell(project, Version { number: routes.version, made_at: routes.made_at, chains });
    }
}
