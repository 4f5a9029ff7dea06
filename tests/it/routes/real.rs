//! Routes over the two real traces: what routing avoids on a month of calls, and each decision beside a naive simulation's.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    sync::Arc,
};

use highwater::{
    import::trace::{TraceItem, TraceReader},
    model::{
        Catalogue, Chain, Kind, Minute, Now, Project, Time,
        chain::{Draft, DraftModel},
    },
    route::{Asked, Choice, Router, Scope, Standing, View, Why, choose, choose::hash},
};

use crate::oracle;

/// One session that is asked for: when, until when, on which model (its place), and for which job.
#[derive(Clone, Debug)]
struct Ask {
    from: Time,
    to: Time,
    model: usize,
    job: u64,
}

/// What came of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Told {
    granted: u32,
    diverted: u32,
    refused: u32,
    /// The highest level of each model in each minute with a session.
    peaks: BTreeMap<(usize, Minute), u32>,
}

/// The sessions of a kind in a trace, and their models in the order of the names given; `None` where there is no trace.
fn asks(name: &str, kind: Kind, models: &[&str]) -> Option<Vec<Ask>> {
    let items = TraceReader::new(oracle::data(name)?).unwrap();
    let mut asks = Vec::new();
    for item in items {
        let TraceItem::Row(row) = item.unwrap() else { panic!("a row was skipped") };
        if row.kind == kind {
            let model = models.iter().position(|model| **model == *row.model).unwrap();
            let job = row.session_id.split('-').next().unwrap();
            asks.push(Ask { from: row.connected, to: row.disconnected, model, job: hash(job.as_bytes()) });
        }
    }
    asks.sort_by_key(|ask| ask.from);
    Some(asks)
}

/// Levels by time: what ends at an instant is over before what begins at it.
#[derive(Debug, Default)]
struct Levels {
    now: Vec<u32>,
    /// Of each chain and model.
    held: Vec<Vec<u32>>,
    ends: BinaryHeap<Reverse<(Time, usize, usize)>>,
}

impl Levels {
    fn new(chains: usize, models: usize) -> Self {
        Self { now: vec![0; models], held: vec![vec![0; models]; chains], ..Self::default() }
    }

    fn end_until(&mut self, now: Time) {
        while let Some(Reverse((at, chain, model))) = self.ends.peek().copied().filter(|Reverse((at, ..))| *at <= now) {
            let _ = at;
            self.ends.pop();
            self.now[model] -= 1;
            self.held[chain][model] -= 1;
        }
    }

    fn begin(&mut self, ask: &Ask, chain: usize, model: usize) {
        self.now[model] += 1;
        self.held[chain][model] += 1;
        self.ends.push(Reverse((ask.to, chain, model)));
    }
}

/// The peaks of the minutes of granted sessions, by a sweep.
fn peaks(granted: &[(Time, Time, usize)]) -> BTreeMap<(usize, Minute), u32> {
    let mut ends: Vec<_> = granted
        .iter()
        .filter(|(from, to, _)| from < to)
        .flat_map(|(from, to, model)| [(*from, 1, *model), (*to, -1, *model)])
        .collect();
    ends.sort_unstable();
    let (mut levels, mut peaks) = (BTreeMap::<usize, i32>::new(), BTreeMap::new());
    for (at, by, model) in ends {
        let level = levels.entry(model).or_default();
        *level += by;
        if by > 0 {
            let peak = peaks.entry((model, at.tick().minute())).or_default();
            *peak = u32::try_from(*level).unwrap().max(*peak);
        }
    }
    peaks
}

/// All asks by their chains; `chains` gives the models of the chain of each model, as places.
fn along_chains(asks: &[Ask], chains: &[(Arc<Chain>, Vec<usize>)], limits: &[u32]) -> Told {
    let (mut levels, mut told, mut granted) = (Levels::new(chains.len(), limits.len()), Told::default(), Vec::new());
    let mut router = Router::default();
    router.set_chains(chains.iter().map(|(chain, _)| chain.clone()));
    let views = |levels: &Levels, nth: usize| -> Vec<View> {
        let view = |model: &usize| {
            let model_scope = Scope { level: levels.now[*model], limit: Some(limits[*model]) };
            let standing = Standing { model: model_scope, held: levels.held[nth][*model], ..Standing::default() };
            View { standing, ..View::default() }
        };
        chains[nth].1.iter().map(view).collect()
    };
    let mut stepped = None;
    for ask in asks {
        levels.end_until(ask.from);
        if stepped != Some(ask.from.tick()) {
            stepped = Some(ask.from.tick());
            let of = |chain: &Chain| {
                views(&levels, chains.iter().position(|(other, _)| *other.name == *chain.name).unwrap())
            };
            router.step(of, &[], Now { wall: ask.from, mono: ask.from });
        }
        let (chain, places) = &chains[ask.model];
        let route = &router.routes().chains.iter().find(|(other, _)| other.name == chain.name).unwrap().1;
        let asked = Asked { job: ask.job, ..Asked::default() };
        match choose(chain, route, &views(&levels, ask.model), &asked) {
            Choice::Grant { place, why } => {
                let model = places[place];
                assert!(levels.now[model] < limits[model], "no room");
                assert!(place == 0 || why != Why::Leads);
                levels.begin(ask, ask.model, model);
                granted.push((ask.from, ask.to, model));
                *(if place == 0 { &mut told.granted } else { &mut told.diverted }) += 1;
            }
            Choice::Refused(_) => told.refused += 1,
        }
    }
    Told { peaks: peaks(&granted), ..told }
}

/// The same without routes: the first of so many models of each chain that has room.
fn naively(asks: &[Ask], chains: &[Vec<usize>], limits: &[u32]) -> Told {
    let (mut levels, mut told, mut granted) = (Levels::new(chains.len(), limits.len()), Told::default(), Vec::new());
    for ask in asks {
        levels.end_until(ask.from);
        match chains[ask.model].iter().position(|model| levels.now[*model] < limits[*model]) {
            Some(place) => {
                let model = chains[ask.model][place];
                levels.begin(ask, ask.model, model);
                granted.push((ask.from, ask.to, model));
                *(if place == 0 { &mut told.granted } else { &mut told.diverted }) += 1;
            }
            None => told.refused += 1,
        }
    }
    Told { peaks: peaks(&granted), ..told }
}

fn chain(name: &str, kind: Kind, models: &[&str], thresholds_off: bool) -> Arc<Chain> {
    let models: Vec<_> = models.iter().map(|model| DraftModel { model, ..DraftModel::default() }).collect();
    let draft = Draft { name, models: &models, thresholds_off, ..Draft::default() };
    Arc::new(Chain::new(&Project::new("acme").unwrap(), kind, &draft, &Catalogue::builtin()).unwrap())
}

#[test]
fn every_decision_on_the_requests_is_that_of_the_naive_simulation() {
    let models = ["openai/gpt-4.1-mini", "google/gemini-3-flash"];
    let Some(asks) = asks("llm-conv-2023-11.csv", Kind::Llm, &models) else { return };
    let limits = [40, 10];
    let chains = [(chain("conv", Kind::Llm, &models, true), vec![0, 1])];
    let told = along_chains(&asks, &chains, &limits);
    println!("granted {}, diverted {}, refused {}", told.granted, told.diverted, told.refused);
    assert_eq!(told, naively(&asks, &[vec![0, 1]], &limits));
    assert_eq!(told.granted + told.diverted + told.refused, 19_366);
    assert_eq!(told.peaks.values().copied().max(), Some(40));
    assert!(told.diverted > 0 && told.refused > 0);
}

/// Each call's own model leads, the others help out, the largest first. Every limit is at 80 % of the model's own peak.
#[test]
fn routing_avoids_most_of_the_unmet_demand_of_the_calls() {
    let models = ["elevenlabs/eleven_turbo_v2_5", "cartesia/sonic-3", "inworld/inworld-tts-2", "rime/coda"];
    let Some(asks) = asks("calls-1999-01.csv", Kind::Tts, &models) else { return };
    let limits = [24_u32, 7, 4, 2].map(|peak| peak * 80 / 100);
    let order =
        |first: usize| -> Vec<usize> { [first].into_iter().chain((0..4).filter(|other| *other != first)).collect() };
    let orders: Vec<_> = (0..4).map(order).collect();
    let named = |order: &Vec<usize>| {
        let models: Vec<_> = order.iter().map(|place| models[*place]).collect();
        chain(models[0].split_once('/').unwrap().0, Kind::Tts, &models, false)
    };
    let chains: Vec<_> = orders.iter().map(|order| (named(order), order.clone())).collect();
    let routed = along_chains(&asks, &chains, &limits);
    let alone = naively(&asks, &[vec![0], vec![1], vec![2], vec![3]], &limits);
    println!(
        "limits {limits:?}: without routes {} of {} refused; with routes {} refused, {} diverted",
        alone.refused,
        asks.len(),
        routed.refused,
        routed.diverted
    );
    assert!(routed.refused < alone.refused);
    for ((model, minute), peak) in &routed.peaks {
        assert!(*peak <= limits[*model], "{minute:?}");
    }
}
