//! Random days: calls that come in bursts, providers that fail and flap, small fallbacks. The same seed gives the same day.

use std::time::Duration;

use highwater::{
    model::{
        Catalogue, Chain, Kind, Project, Time,
        chain::{Draft, DraftModel},
    },
    sim::random::Random,
};

const MODELS: [&str; 4] = ["a/primary", "b/first", "c/second", "d/third"];
/// Calls of a day, about: what is quiet is left out, so that a day is what is busy of it.
const CALLS: f64 = 900.0;
/// How many share of the days have each trouble, in percent.
const TROUBLE: u64 = 30;

/// One call: a session that is asked for, held, and asked for again when its provider fails it.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub at: Time,
    pub lasts: Duration,
    pub job: u64,
    pub worker: u64,
}

/// A time in which a provider fails.
#[derive(Clone, Copy, Debug)]
pub struct Outage {
    pub from: Time,
    pub to: Time,
    /// How many of the sessions that begin in it fail, in percent.
    pub percent: u64,
    /// Whether running sessions are cut at its start.
    pub cuts: bool,
}

/// One model of a day.
#[derive(Clone, Debug, Default)]
pub struct Provider {
    pub limit: u32,
    /// What the provider allows, where that is less.
    pub allows: Option<u32>,
    pub outages: Vec<Outage>,
    /// Sessions that others report on it: facts, which nothing refuses.
    pub others: Vec<(Time, Time)>,
}

#[derive(Clone, Debug)]
pub struct Day {
    pub seed: u64,
    pub chain: Chain,
    pub providers: Vec<Provider>,
    /// In order.
    pub calls: Vec<Call>,
    /// A worker whose network is broken: whatever it opens fails.
    pub broken: Option<u64>,
}

/// A chain of so many models; without thresholds where they are 0.
pub fn chain(models: usize, fill: u32, back: u32) -> Chain {
    let models: Vec<_> = MODELS[..models].iter().map(|model| DraftModel { model, ..DraftModel::default() }).collect();
    let draft = Draft {
        name: "agents",
        models: &models,
        fill_percent: fill,
        return_percent: back,
        thresholds_off: fill == 0,
        dwell: Duration::ZERO,
    };
    Chain::new(&Project::new("acme").unwrap(), Kind::Tts, &draft, &Catalogue::default()).unwrap()
}

impl Day {
    pub fn random(seed: u64) -> Self {
        let mut random = Random::of(seed, 1, 0);
        let models = 2 + random.below(3) as usize;
        let fill = if random.below(4) == 0 { 0 } else { 60 + random.below(41) as u32 };
        let back = if fill == 0 { 0 } else { fill - 5 - random.below(u64::from(fill) - 10) as u32 };
        let limit = 2 + random.below(39) as u32;
        let mean = random.between(15.0, 300.0);
        let (calls, end) = calls(&mut random, f64::from(limit), mean);
        // On half of the days the primary does well, and only what would help it out fails.
        let does_well = random.below(2) == 0;
        let provider = |place: usize, random: &mut Random| {
            let limit = if place == 0 { limit } else { 1 + random.below(u64::from(limit)) as u32 };
            let spared = does_well && place == 0;
            let troubled = |random: &mut Random, percent: u64| random.below(100) < percent && !spared;
            Provider {
                limit,
                allows: troubled(random, TROUBLE).then(|| limit - random.below(u64::from(limit)) as u32 / 2),
                outages: if troubled(random, 50) { outages(random, end) } else { Vec::new() },
                others: if place > 0 && troubled(random, TROUBLE) { others(random, limit, end) } else { Vec::new() },
            }
        };
        Self {
            seed,
            chain: chain(models, fill, back),
            providers: (0..models).map(|place| provider(place, &mut random)).collect(),
            calls,
            broken: (!does_well && random.below(5) == 0).then(|| random.below(6)),
        }
    }

    /// The same day with providers that never fail nor refuse, and fallbacks that nobody else uses.
    pub fn without_troubles(mut self) -> Self {
        for provider in &mut self.providers {
            *provider = Provider { limit: provider.limit, ..Provider::default() };
        }
        Self { broken: None, ..self }
    }
}

/// Calls about a load that is steady but for bursts, in Erlangs of a limit.
fn calls(random: &mut Random, limit: f64, mean: f64) -> (Vec<Call>, f64) {
    let base = limit * random.between(0.2, 1.0);
    let height = if random.below(2) == 0 { 1.2 } else { 2.0 };
    let end = (CALLS * mean / base).min(86_400.0);
    let bursts: Vec<_> = (0..random.below(4))
        .map(|_| {
            let from = random.between(0.0, end);
            (from, from + random.between(60.0, 1_800.0), limit * random.between(0.7, height))
        })
        .collect();
    let spread = random.between(0.1, 1.2);
    let workers = 1 + random.below(8);
    let (mut calls, mut at, mut job, mut job_ends): (Vec<Call>, f64, u64, f64) = (Vec::new(), 0.0, 0, 0.0);
    loop {
        let load =
            bursts.iter().filter(|(from, to, _)| (*from..*to).contains(&at)).map(|burst| burst.2).fold(base, f64::max);
        at += random.wait(mean / load);
        if at > end {
            return (calls, end);
        }
        let lasts = random.log_normal(mean, spread).clamp(0.5, 7_200.0);
        if at > job_ends || random.below(5) > 0 {
            (job, job_ends) = (random.number(), at + lasts);
        }
        let lasts = Duration::from_millis((lasts * 1_000.0) as u64);
        calls.push(Call { at: time(at), lasts, job, worker: random.below(workers) });
    }
}

/// A day's second, in milliseconds; days begin a day after the epoch.
fn time(seconds: f64) -> Time {
    Time::from_millis(86_400_000 + (seconds * 1_000.0) as u64)
}

/// A few outages, or a provider that flaps.
fn outages(random: &mut Random, end: f64) -> Vec<Outage> {
    let flaps = random.below(3) == 0;
    let (mut at, mut outages) = (random.between(0.0, end), Vec::new());
    let (number, lasts) = if flaps { (5 + random.below(20), 90.0) } else { (1 + random.below(3), 1_800.0) };
    for _ in 0..number {
        let to = at + random.between(5.0, lasts);
        let percent = if random.below(2) == 0 { 100 } else { 20 + random.below(80) };
        outages.push(Outage { from: time(at), to: time(to), percent, cuts: random.below(3) == 0 });
        at = if flaps { to + random.between(5.0, 90.0) } else { to + random.between(0.0, end / 3.0) };
    }
    outages
}

/// What others hold of a model.
fn others(random: &mut Random, limit: u32, end: f64) -> Vec<(Time, Time)> {
    let mean = random.between(30.0, 600.0);
    let load = f64::from(limit) * random.between(0.1, 1.2);
    let (mut at, mut others) = (0.0, Vec::new());
    while others.len() < 500 {
        at += random.wait(mean / load);
        if at > end {
            break;
        }
        others.push((time(at), time(at + random.wait(mean))));
    }
    others
}
