//! Whether the fallbacks of a chain would have held its peaks of the last seven days, had one of its models failed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    foresee::fallback::{Failure, Held, failures, sentence},
    model::{Catalogue, Chain, Flags, Key, Meter, Minute, Now, Project, Target, key, time::MINUTES_PER_WEEK},
    query::{Queries, Result, list::minute_in_progress},
};

/// Chains whose answer is kept: those of a project that has as many as it may, ten times.
const MOST_KEPT: usize = 1_000;

/// What the failure of a model would come to, and how that is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub failure: Failure,
    pub sentence: String,
}

/// The answers of the minute in progress: ten thousand minutes of each model are looked at for one.
#[derive(Debug, Default)]
pub struct Fallbacks(Mutex<HashMap<(Project, Arc<str>), Kept>>);

#[derive(Debug)]
struct Kept {
    chain: Arc<Chain>,
    minute: Minute,
    limits: Vec<Option<u32>>,
    told: Arc<[Told]>,
}

impl Queries {
    /// What the failure of each model of a chain would ask of the others, by the last seven days up to the minute in
    /// progress and by the limits now. Reads the store.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn fallbacks(&self, chain: &Arc<Chain>, now: Now) -> Result<Arc<[Told]>> {
        let minute = minute_in_progress(&self.service, self.service.live.tick(now));
        let limits: Vec<_> = chain.models.iter().map(|model| self.tightest_limit(&chain.project, model, now)).collect();
        let at = (chain.project.clone(), chain.name.clone());
        let is_same = |kept: &&Kept| kept.chain == *chain && kept.minute == minute && kept.limits == limits;
        if let Some(kept) = self.fallbacks.locked().get(&at).filter(is_same) {
            return Ok(kept.told.clone());
        }
        let names = names(chain, &self.service.catalogue);
        let mut held = Vec::with_capacity(chain.models.len());
        for ((model, name), limit) in chain.models.iter().zip(names).zip(&limits) {
            held.push(Held { name, limit: *limit, peaks: self.week_of(&chain.project, model, minute)? });
        }
        let told = |failure: Failure| Told { sentence: sentence(&held, &failure), failure };
        let told: Arc<[Told]> = failures(&held).into_iter().map(told).collect();
        let mut kept = self.fallbacks.locked();
        if kept.len() >= MOST_KEPT && !kept.contains_key(&at) {
            kept.clear();
        }
        kept.insert(at, Kept { chain: chain.clone(), minute, limits, told: told.clone() });
        Ok(told)
    }

    /// The peaks of the covered minutes of seven days.
    fn week_of(&self, project: &Project, model: &Meter, end: Minute) -> Result<BTreeMap<Minute, u32>> {
        let key = Key { project: project.clone(), target: Target::Meter(model.clone()) };
        let Some(tally) = self.service.live.registry.find(&key) else { return Ok(BTreeMap::new()) };
        let range = Minute(end.0.saturating_sub(MINUTES_PER_WEEK))..end;
        let minutes = self.minute_peaks(tally.id, &range)?;
        let of_minute = (range.start.0..).map(Minute).zip(minutes.peaks.iter().zip(&minutes.flags));
        let covered = of_minute.filter(|(_, (_, flags))| !Flags(**flags).has(Flags::GAP));
        Ok(covered.map(|(minute, (peak, _))| (minute, *peak)).collect())
    }

    /// The lower one of a model's limits in its project and across projects. That of its kind is left out: who moves leaves as
    /// much room in it as it takes.
    fn tightest_limit(&self, project: &Project, model: &Meter, now: Now) -> Option<u32> {
        let [_, across] = model.pools(project);
        let own = Key { project: project.clone(), target: Target::Meter(model.clone()) };
        let limit = |key: &Key| {
            let tally = self.service.live.registry.find(key)?;
            self.service.limits.slots_at(tally.id, now.wall)
        };
        [limit(&own), limit(&across)].into_iter().flatten().min()
    }
}

impl Fallbacks {
    fn locked(&self) -> std::sync::MutexGuard<'_, HashMap<(Project, Arc<str>), Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the models of a chain are called in a sentence: by their provider where each has another, else by their names, and
/// the account beside those where that alone tells them apart.
fn names(chain: &Chain, catalogue: &Catalogue) -> Vec<String> {
    let provider = |model: &Meter| {
        let id = model.provider();
        catalogue.provider(id).map_or_else(|| id.to_owned(), |provider| provider.name.clone())
    };
    let in_full = |model: &Meter| catalogue.display_name(&Target::Meter(model.clone()));
    let with_account = |model: &Meter| match &*model.account {
        key::DEFAULT_ACCOUNT => in_full(model),
        account => format!("{} ({account})", in_full(model)),
    };
    let of = |name: &dyn Fn(&Meter) -> String| chain.models.iter().map(name).collect::<Vec<_>>();
    let distinct = |names: &Vec<String>| (1..names.len()).all(|nth| !names[..nth].contains(&names[nth]));
    [of(&provider), of(&in_full)].into_iter().find(distinct).unwrap_or_else(|| of(&with_account))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::{
        Kind,
        chain::{Draft, DraftModel},
    };

    #[track_caller]
    fn check(models: &[(&str, &str)], words: &[&str]) {
        let catalogue = Catalogue::builtin();
        let models: Vec<_> = models.iter().map(|(model, account)| DraftModel { model, account, kind: None }).collect();
        let draft = Draft { name: "agents", models: &models, ..Draft::default() };
        let chain = Chain::new(&Project::new("acme").unwrap(), Kind::Tts, &draft, &catalogue).unwrap();
        assert_eq!(names(&chain, &catalogue), words);
    }

    #[test]
    fn models_are_called_by_what_tells_them_apart() {
        check(&[("elevenlabs/eleven_turbo_v2_5", ""), ("cartesia/sonic-3", "")], &["ElevenLabs", "Cartesia"]);
        check(&[("acme/one", ""), ("cartesia/sonic-3", "")], &["acme", "Cartesia"]);
        check(
            &[("cartesia/sonic-3", ""), ("cartesia/sonic-x", ""), ("rime/coda", "")],
            &["Cartesia Sonic 3", "cartesia/sonic-x", "Rime Coda"],
        );
        check(
            &[("cartesia/sonic-3", ""), ("cartesia/sonic-3", "direct")],
            &["Cartesia Sonic 3", "Cartesia Sonic 3 (direct)"],
        );
    }
}
