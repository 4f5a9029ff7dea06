//! The chains of all projects and what is said by hand of their models. Each is in the store with its audit row before
//! anyone follows it. Which model is used now is not looked at here.

mod decide;
pub mod record;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

pub use decide::{ChainDeleted, ChainSet};
pub use record::chain_document;

use crate::{
    model::{Chain, Meter, Project, Time},
    route::ByHand,
    store::{Document, Shelf, Store, StoreError},
};

/// The chains of all projects, in memory.
#[derive(Debug, Default)]
pub struct Chains {
    by_project: RwLock<BTreeMap<Project, Arc<ProjectChains>>>,
    /// Grows with every change.
    version: AtomicU64,
    /// How many surprises of the ledger they know.
    surprises: AtomicU64,
}

/// The chains of one project, as they were at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectChains {
    /// By name.
    pub chains: Vec<Arc<Chain>>,
    /// By chain and model. One whose end has passed is removed within seconds: ask whether it is in force.
    pub by_hand: Vec<ByHand>,
    /// Who set each chain, by its name.
    set: BTreeMap<Arc<str>, SetBy>,
}

/// Who set a chain as it is, when, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetBy {
    /// Id of the key that it was set with.
    pub set_by: String,
    pub at: Time,
    pub reason: String,
}

impl ProjectChains {
    pub fn find(&self, name: &str) -> Option<&Arc<Chain>> {
        self.chains.binary_search_by(|chain| (*chain.name).cmp(name)).ok().map(|nth| &self.chains[nth])
    }

    /// Who set a chain.
    pub fn set_by(&self, name: &str) -> SetBy {
        self.set.get(name).cloned().unwrap_or_default()
    }

    /// What is said of the models of a chain, in force or not.
    pub fn said_of<'c>(&'c self, name: &'c str) -> impl Iterator<Item = &'c ByHand> {
        self.by_hand.iter().filter(move |said| &*said.chain == name)
    }

    fn put(&mut self, chain: Arc<Chain>, set_by: SetBy) {
        self.set.insert(chain.name.clone(), set_by);
        self.chains.retain(|other| other.name != chain.name);
        self.chains.push(chain);
        self.chains.sort_by(|one, other| one.name.cmp(&other.name));
    }

    fn remove(&mut self, name: &str) {
        self.set.remove(name);
        self.chains.retain(|chain| &*chain.name != name);
    }

    fn say(&mut self, said: ByHand) {
        self.unsay(&said.chain.clone(), &said.model.clone());
        self.by_hand.push(said);
        self.by_hand.sort_by(|one, other| (&one.chain, &one.model).cmp(&(&other.chain, &other.model)));
    }

    fn unsay(&mut self, chain: &str, model: &Meter) {
        self.by_hand.retain(|said| !(&*said.chain == chain && said.model == *model));
    }

    fn is_empty(&self) -> bool {
        self.chains.is_empty() && self.by_hand.is_empty()
    }
}

fn stored(store: &dyn Store) -> Result<BTreeMap<Project, Arc<ProjectChains>>, StoreError> {
    let mut by_project: BTreeMap<Project, ProjectChains> = BTreeMap::new();
    for (name, bytes) in store.documents(Shelf::Chains)? {
        let (chain, set_by) = record::decode_chain(&name, &bytes)?;
        by_project.entry(chain.project.clone()).or_default().put(Arc::new(chain), set_by);
    }
    for (name, bytes) in store.documents(Shelf::ByHand)? {
        let (project, said) = record::decode_by_hand(&name, &bytes)?;
        by_project.entry(project).or_default().say(said);
    }
    Ok(by_project.into_iter().map(|(project, chains)| (project, Arc::new(chains))).collect())
}

impl Chains {
    /// Those of a store.
    ///
    /// # Errors
    /// When they can't be read.
    pub fn load(store: &dyn Store) -> Result<Self, StoreError> {
        Ok(Self { by_project: RwLock::new(stored(store)?), ..Self::default() })
    }

    /// Takes over what the store holds when the ledger was surprised since.
    pub(super) fn catch_up(&self, surprises: u64, store: &dyn Store) -> Result<(), StoreError> {
        if !self.knows(surprises) {
            let stored = stored(store)?;
            self.change(|by_project| *by_project = stored);
            self.surprises.store(surprises, Ordering::Release);
        }
        Ok(())
    }

    pub(super) fn knows(&self, surprises: u64) -> bool {
        self.surprises.load(Ordering::Acquire) == surprises
    }

    /// The chains of a project; an empty list when it has none.
    pub fn of(&self, project: &Project) -> Arc<ProjectChains> {
        self.by_project.read().unwrap_or_else(PoisonError::into_inner).get(project).cloned().unwrap_or_default()
    }

    /// The projects that have chains.
    pub fn projects(&self) -> Vec<Project> {
        self.projects_with(|_| true)
    }

    fn projects_with(&self, is_so: impl Fn(&ProjectChains) -> bool) -> Vec<Project> {
        let by_project = self.by_project.read().unwrap_or_else(PoisonError::into_inner);
        by_project.iter().filter(|(_, chains)| is_so(chains)).map(|(project, _)| project.clone()).collect()
    }

    /// A number that grows with every change of any chain, or of what is said by hand.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<Project, Arc<ProjectChains>>)) {
        let mut by_project = self.by_project.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut by_project);
        by_project.retain(|_, chains| !chains.is_empty());
        // While it is locked: whoever sees the number sees what it is of.
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    fn change_of(&self, project: &Project, change: impl FnOnce(&mut ProjectChains)) {
        self.change(|by_project| change(Arc::make_mut(by_project.entry(project.clone()).or_default())));
    }

    /// What is kept of a project, as removed.
    pub(super) fn removed(&self, project: &Project) -> Vec<Document> {
        let of_project = self.of(project);
        let chains = of_project.chains.iter().map(|chain| record::chain_removed(project, &chain.name));
        let said = of_project.by_hand.iter().map(|said| record::by_hand_removed(project, said));
        chains.chain(said).collect()
    }

    /// Forgets a project, of which the store holds no more.
    pub(super) fn forget(&self, project: &Project) {
        if !self.of(project).is_empty() {
            self.change(|by_project| drop(by_project.remove(project)));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
