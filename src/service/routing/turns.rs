//! When the new sessions of chains began to go elsewhere, and why: what a chart marks, for as long as it shows. A share that
//! grows or shrinks is no turn; that a fallback takes over, another one does, or that the first model has all of it again, is.
//!
//! The router notes turns in memory; the recorder has the store know them within a second, and drops what is too old.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    model::{Meter, Now, Project, Target, Time},
    route::{Action, ByHand, decide::Stand},
    service::{
        Service,
        routing::{Routed, record},
    },
    store::{Change, Document, Shelf, Store, StoreError},
};

/// Turns of a chain that are kept; the oldest go first. One that turns as often as it may does so once in its dwell time.
const MOST_KEPT: usize = 200;
/// How long they are kept: as long as a chart shows, and a day.
const KEPT_FOR: Duration = Duration::from_secs(8 * 24 * 3_600);

/// New sessions of a chain went elsewhere from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    pub at: Time,
    /// Where they go to.
    pub to: Meter,
    /// The first model of the chain, and the fallback that came in use or did until then.
    pub concerns: [Meter; 2],
    /// What happened, and why, in words.
    pub text: String,
}

/// A project and its chain.
pub type OfChain = (Project, Arc<str>);

/// The turns of all chains.
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<OfChain, Kept>>);

#[derive(Debug, Default)]
struct Kept {
    list: VecDeque<Turn>,
    is_stored: bool,
}

impl Turns {
    /// Those of a store.
    ///
    /// # Errors
    /// When they can't be read.
    pub fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let mut all = HashMap::new();
        for (name, bytes) in store.documents(Shelf::Turns)? {
            let (of, list) = record::decode_turns(&name, &bytes)?;
            all.insert(of, Kept { list: list.into(), is_stored: true });
        }
        Ok(Self(Mutex::new(all)))
    }

    /// Those of a project, of each chain the oldest first.
    pub fn of(&self, project: &Project) -> Vec<Turn> {
        let all = self.locked();
        let of_project = all.iter().filter(|((of, _), _)| of == project);
        of_project.flat_map(|(_, kept)| kept.list.iter().cloned()).collect()
    }

    /// Those of a project that is removed, as removed.
    pub(in crate::service) fn removed(&self, project: &Project) -> Vec<Document> {
        let all = self.locked();
        all.keys().filter(|(of, _)| of == project).map(|of| record::turns_document(of, None)).collect()
    }

    pub(in crate::service) fn forget(&self, project: &Project) {
        self.locked().retain(|(of, _), _| of != project);
    }

    /// Where new sessions of a chain went to last.
    fn last(&self, of: &OfChain) -> Option<Meter> {
        self.locked().get(of)?.list.back().map(|turn| turn.to.clone())
    }

    fn note(&self, of: OfChain, turn: Turn) {
        let mut all = self.locked();
        let kept = all.entry(of).or_default();
        if kept.list.len() >= MOST_KEPT {
            kept.list.pop_front();
        }
        kept.list.push_back(turn);
        kept.is_stored = false;
    }

    fn drop_before(&self, at: Time) {
        for kept in self.locked().values_mut() {
            let old = kept.list.partition_point(|turn| turn.at < at);
            kept.list.drain(..old);
            kept.is_stored &= old == 0;
        }
    }

    /// What the store does not know yet, with how many turns each had then.
    fn news(&self) -> Vec<(OfChain, Vec<Turn>)> {
        let all = self.locked();
        let news = all.iter().filter(|(_, kept)| !kept.is_stored);
        news.map(|(of, kept)| (of.clone(), kept.list.iter().cloned().collect())).collect()
    }

    /// The store knows these. What was noted meanwhile is told next time.
    fn are_stored(&self, told: &[(OfChain, Vec<Turn>)]) {
        let mut all = self.locked();
        for (of, turns) in told {
            if let Some(kept) = all.get_mut(of) {
                kept.is_stored = kept.list.iter().eq(turns);
            }
        }
        all.retain(|_, kept| !kept.is_stored || !kept.list.is_empty());
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<OfChain, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    /// Notes where new sessions of chains go to now and did not before. After a start that is known when workers have told
    /// what they hold.
    pub(super) fn note_turns(&self, project: &Project, chains: &[Routed], by_hand: &[ByHand], now: Now) {
        if self.live.is_settling() {
            return;
        }
        for routed in chains {
            let of = (project.clone(), routed.chain.name.clone());
            if let Some(turn) = self.turn(routed, self.routing.turns.last(&of), by_hand, now) {
                self.routing.turns.note(of, turn);
            }
        }
    }

    fn turn(&self, routed: &Routed, last: Option<Meter>, by_hand: &[ByHand], now: Now) -> Option<Turn> {
        let (models, shares) = (&routed.chain.models, &routed.route.models);
        let before = last.and_then(|last| models.iter().position(|model| *model == last)).unwrap_or(0);
        // The fallback that takes most, if any does; of equals the first.
        let fallbacks = (1..models.len()).filter(|place| shares[*place].percent > 0).rev();
        let to = fallbacks.max_by_key(|place| shares[*place].percent).unwrap_or(0);
        if to == before {
            return None;
        }
        let called = |place: usize| self.catalogue.display_name(&Target::Meter(models[place].clone()));
        let said = |action: Action, place: usize| {
            let mut said = by_hand.iter().filter(|said| said.chain == routed.chain.name && said.model == models[place]);
            let said = said.find(|said| said.action == action && said.is_in_force(now.wall));
            said.map(|said| format!(": {}", said.reason)).unwrap_or_default()
        };
        let (left, taken) = (called(before), called(to));
        let go = format!("new sessions go to {taken}");
        let words = match (shares[to].stand, shares[before].stand) {
            (Stand::Pinned, _) => format!("{taken} is pinned{}", said(Action::Pin, to)),
            (_, Stand::Drained) => format!("{left} is drained{}; {go}", said(Action::Drain, before)),
            (_, Stand::Down) => format!("the provider of {left} is down, {go}"),
            (_, Stand::Full) => format!("{left} is full, {go}"),
            (_, Stand::Filling) => format!("{left} fills, more and more {go}"),
            _ if to == 0 => format!("{go} again"),
            _ => format!("{go} instead of {left}"),
        };
        let text = format!("Chain {}: {words}", routed.chain.name);
        let fallback = if to > 0 { to } else { before };
        let concerns = [models[0].clone(), models[fallback].clone()];
        Some(Turn { at: now.wall, to: models[to].clone(), concerns, text })
    }

    /// Has the store know turns, and drops old ones. Called each second, by the recorder alone.
    pub(in crate::service) fn keep_turns(&self, now: Now) -> Result<(), StoreError> {
        let turns = &self.routing.turns;
        turns.drop_before(now.wall.before(KEPT_FOR));
        let news = turns.news();
        if news.is_empty() {
            return Ok(());
        }
        let document = |(of, turns): &(OfChain, Vec<Turn>)| record::turns_document(of, Some(turns));
        self.store.change(&Change { documents: news.iter().map(document).collect(), ..Change::default() })?;
        turns.are_stored(&news);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::Kind;

    fn turn(at: u64) -> Turn {
        let [one, two] = ["a/one", "a/two"].map(|model| Meter::new(Kind::Tts, model, "", None).unwrap());
        Turn { at: Time(at), to: two.clone(), concerns: [one, two], text: String::new() }
    }

    #[test]
    fn a_chain_that_flaps_keeps_its_newest_turns_and_the_store_is_told_what_it_does_not_know() {
        let (turns, project) = (Turns::default(), Project::new("acme").unwrap());
        let of = |name: &str| (project.clone(), Arc::from(name));
        turns.note(of("calm"), turn(3));
        (0..1_000).for_each(|at| turns.note(of("flaps"), turn(at)));
        let kept = |name: &str| turns.locked()[&of(name)].list.iter().map(|turn| turn.at.0).collect::<Vec<_>>();
        assert_eq!((kept("calm"), kept("flaps")), (vec![3], (800..1_000).collect()));
        let mut news = turns.news();
        news.sort_by_key(|(of, _)| of.clone());
        assert_eq!(news.iter().map(|(_, turns)| turns.len()).collect::<Vec<_>>(), [1, 200]);
        // What comes while the store is told is told next time.
        turns.note(of("calm"), turn(4));
        turns.are_stored(&news);
        assert_eq!(turns.news(), [(of("calm"), vec![turn(3), turn(4)])]);
        turns.are_stored(&turns.news());
        turns.drop_before(Time(4));
        assert_eq!(turns.news(), [(of("calm"), vec![turn(4)])]);
        turns.drop_before(Time(1_000));
        let news = turns.news();
        assert_eq!(news.iter().map(|(_, turns)| turns.len()).collect::<Vec<_>>(), [0, 0]);
        turns.are_stored(&news);
        assert!(turns.locked().is_empty(), "nothing is left of chains that have been calm for long");
    }
}
