//! The routes of a project: always all of them, with a version that only grows. A worker that missed some needs the newest
//! alone.

use std::sync::Arc;

use crate::{
    model::{Chain, Now, Time},
    route::{
        by_hand::ByHand,
        decide::{ChainRoute, State, View},
    },
};

/// The routes of a project's chains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    /// Grows with every change, also over restarts: it is the time it was made at, in microseconds, or one more than the
    /// last where that is more. 0 before the first.
    pub version: u64,
    pub made_at: Time,
    /// By name of the chain.
    pub chains: Vec<(Arc<Chain>, ChainRoute)>,
}

/// Decides the routes of a project.
#[derive(Clone, Debug, Default)]
pub struct Router {
    chains: Vec<(Arc<Chain>, State)>,
    routes: Arc<Routes>,
}

impl Router {
    /// Goes on after a version that was told before.
    pub fn after(version: u64) -> Self {
        Self { routes: Arc::new(Routes { version, ..Routes::default() }), ..Self::default() }
    }

    /// The chains from now on. One whose models are as before stays where it stood.
    pub fn set_chains(&mut self, chains: impl IntoIterator<Item = Arc<Chain>>) {
        let stood = |chain: &Chain| {
            let same = |(old, _): &&(Arc<Chain>, State)| old.name == chain.name && old.models == chain.models;
            self.chains.iter().find(same).map(|(_, state)| state.clone())
        };
        let with_state = |chain: Arc<Chain>| {
            let state = stood(&chain).unwrap_or_else(|| State::new(chain.models.len()));
            (chain, state)
        };
        let mut chains: Vec<_> = chains.into_iter().map(with_state).collect();
        chains.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
        self.chains = chains;
    }

    /// Decides at `now`: the new routes where anything changed. `views` gives those of a chain's models, in order.
    pub fn step(
        &mut self,
        mut views: impl FnMut(&Chain) -> Vec<View>,
        by_hand: &[ByHand],
        now: Now,
    ) -> Option<Arc<Routes>> {
        let mut decide = |(chain, state): &mut (Arc<Chain>, State)| {
            let route = state.step(chain, &views(chain), by_hand, now);
            (chain.clone(), route)
        };
        let chains: Vec<_> = self.chains.iter_mut().map(&mut decide).collect();
        if chains == self.routes.chains {
            return None;
        }
        let version = now.wall.0.max(self.routes.version.saturating_add(1));
        self.routes = Arc::new(Routes { version, made_at: now.wall, chains });
        Some(self.routes.clone())
    }

    /// The newest routes.
    pub const fn routes(&self) -> &Arc<Routes> {
        &self.routes
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{
        model::{
            Catalogue, Kind, Project,
            chain::{Draft, DraftModel},
        },
        route::standing::{Scope, Standing},
    };

    fn chain(name: &str) -> Arc<Chain> {
        let models = ["a/one", "a/two"].map(|model| DraftModel { model, ..DraftModel::default() });
        let draft = Draft { name, models: &models, ..Draft::default() };
        Arc::new(Chain::new(&Project::new("acme").unwrap(), Kind::Tts, &draft, &Catalogue::default()).unwrap())
    }

    fn views(level: u32) -> Vec<View> {
        let model = Scope { level, limit: Some(20) };
        let primary = View { standing: Standing { model, held: level, ..Standing::default() }, ..View::default() };
        vec![primary, View::default()]
    }

    fn now(second: u64) -> Now {
        Now { wall: Time::from_secs(second), mono: Time::from_secs(second) }
    }

    #[test]
    fn a_version_is_made_when_something_changed_and_only_grows() {
        let mut router = Router::after(Time::from_secs(150).0);
        router.set_chains([chain("b"), chain("a")]);
        let first = router.step(|_| views(0), &[], now(100)).unwrap();
        assert_eq!(first.version, Time::from_secs(150).0 + 1, "the clock went back, the version does not");
        assert_eq!(first.chains.iter().map(|(chain, _)| &*chain.name).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(router.step(|_| views(1), &[], now(101)), None);
        let full = router.step(|_| views(20), &[], now(200)).unwrap();
        assert_eq!((full.version, full.made_at), (Time::from_secs(200).0, Time::from_secs(200)));
        assert_eq!(router.routes(), &full);
        router.set_chains([]);
        assert!(router.step(|_| views(20), &[], now(201)).unwrap().chains.is_empty());
    }

    #[test]
    fn a_chain_that_is_set_again_stays_where_it_stood() {
        let mut router = Router::default();
        router.set_chains([chain("a")]);
        (0..20).for_each(|second| drop(router.step(|_| views(19), &[], now(second))));
        let before = router.routes().clone();
        router.set_chains([chain("a")]);
        assert_eq!(router.step(|_| views(19), &[], now(20)), None);
        assert!(before.chains[0].1.models[0].percent < 100);
    }
}
