//! The sessions that were asked for by chain: how many of a chain each of its models holds, and where those of a job are. A
//! session's claim lies in its book beside its record and ends with it. What was only reported has none, nor has what a
//! snapshot brought after a restart.

use std::{collections::HashMap, sync::Arc};

use rustc_hash::FxHashMap;

use crate::{
    live::{
        book::Book,
        meter::Meter,
        sync::{Mutex, lock},
    },
    model::{KeyId, Outcome, SessionId},
};

/// The sessions of one chain.
#[derive(Debug, Default)]
pub struct Chained {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    held: FxHashMap<KeyId, u32>,
    /// The meters of the live sessions of each job, the one that was given last at the end.
    jobs: HashMap<u64, Vec<(KeyId, u32)>>,
}

/// What is asked for, where that is a chain.
#[derive(Clone, Debug)]
pub struct OfChain {
    /// Its name.
    pub name: Arc<str>,
    pub chained: Arc<Chained>,
    /// Hash of the job; `None` for a session without one.
    pub job: Option<u64>,
    /// The first model of the chain: what it does not give is unmet demand there.
    pub primary: Arc<Meter>,
    /// For each of the models that are wanted its place in the chain, and why it would be this one, as its caller is told.
    pub places: Box<[(u8, u8)]>,
    /// The first of the models is down, and this session tries it.
    pub probe: Option<Arc<Reserved>>,
    /// Places of the models that failed the session, as bits.
    pub failed: u8,
    /// Its number among all who wait, where it has waited for other models of the chain: it keeps its turn.
    pub turn: Option<u64>,
}

/// A session of a chain that holds a slot.
#[derive(Debug)]
pub(super) struct Claim {
    chained: Arc<Chained>,
    meter: KeyId,
    job: Option<u64>,
    /// Why it was this model, as its caller was told.
    pub why: u8,
    probe: Option<Arc<Reserved>>,
}

/// Sessions that tried a provider and are over, until they are taken.
#[derive(Clone, Debug, Default)]
pub struct Probes(Arc<Mutex<Vec<Probed>>>);

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probed {
    pub meter: KeyId,
    pub session: SessionId,
    /// `None` where it never was held.
    pub outcome: Option<Outcome>,
}

/// The place of a session that is to try a provider. It is over with the session, or when that is not let in.
#[derive(Debug)]
pub struct Reserved {
    probes: Probes,
    meter: KeyId,
    session: SessionId,
    /// How it ended; `None` once that was told.
    ended: Mutex<Option<Option<Outcome>>>,
}

impl Probes {
    pub fn reserve(&self, meter: KeyId, session: SessionId) -> Reserved {
        Reserved { probes: self.clone(), meter, session, ended: Mutex::new(Some(None)) }
    }

    /// Takes those that are over.
    pub fn take(&self) -> Vec<Probed> {
        std::mem::take(&mut *lock(&self.0))
    }
}

impl Reserved {
    fn end(&self, outcome: Option<Outcome>) {
        if let Some(ended) = &mut *lock(&self.ended) {
            *ended = outcome;
        }
    }

    /// It is over: whoever had it does something else.
    pub(super) fn give_up(&self) {
        if let Some(outcome) = lock(&self.ended).take() {
            lock(&self.probes.0).push(Probed { meter: self.meter, session: self.session, outcome });
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl Chained {
    /// How many sessions of the chain each of these meters holds, and the meter of the live session of a job that came last.
    pub fn look(&self, meters: &[Arc<Meter>], job: Option<u64>) -> (Vec<u32>, Option<KeyId>) {
        let counts = lock(&self.counts);
        let held = meters.iter().map(|meter| counts.held.get(&meter.tally.id).copied().unwrap_or(0)).collect();
        let stays = job.and_then(|job| counts.jobs.get(&job)?.last());
        (held, stays.map(|(meter, _)| *meter))
    }

    fn add(&self, meter: KeyId, job: Option<u64>) {
        let mut counts = lock(&self.counts);
        *counts.held.entry(meter).or_default() += 1;
        if let Some(job) = job {
            let meters = counts.jobs.entry(job).or_default();
            let at = meters.iter().position(|(other, _)| *other == meter);
            let (_, sessions) = at.map_or((meter, 0), |at| meters.remove(at));
            meters.push((meter, sessions + 1));
        }
    }

    fn remove(&self, meter: KeyId, job: Option<u64>) {
        let mut counts = lock(&self.counts);
        if let Some(held) = counts.held.get_mut(&meter) {
            *held -= 1;
            if *held == 0 {
                counts.held.remove(&meter);
            }
        }
        let Some(job) = job else { return };
        if let Some(meters) = counts.jobs.get_mut(&job) {
            meters.iter_mut().filter(|(other, _)| *other == meter).for_each(|(_, sessions)| *sessions -= 1);
            meters.retain(|(_, sessions)| *sessions > 0);
            if meters.is_empty() {
                counts.jobs.remove(&job);
            }
        }
    }
}

impl OfChain {
    /// The claim of a session that is given the nth of the models that are wanted.
    pub(super) fn claim(&self, nth: usize, meter: &Meter) -> Claim {
        let (meter, job) = (meter.tally.id, self.job);
        self.chained.add(meter, job);
        let probe = self.probe.clone().filter(|_| nth == 0);
        Claim { chained: self.chained.clone(), meter, job, why: self.places.get(nth).map_or(0, |place| place.1), probe }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.chained.remove(self.meter, self.job);
    }
}

impl Book {
    /// A session is in the book no more: it ended so, or nobody says how.
    pub(super) fn unclaim(&mut self, id: &SessionId, outcome: Option<Outcome>) {
        if self.claims.is_empty() {
            return;
        }
        if let Some(claim) = self.claims.remove(id)
            && let Some(probe) = &claim.probe
        {
            probe.end(outcome);
        }
    }
}
