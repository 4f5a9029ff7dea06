//! Nothing leaks: whatever happened to workers and to the network, what is held afterwards is what the workers that
//! live hold, by id, and every session that was opened has ended or is held.

use std::time::Duration;

use highwater::{
    model::Outcome,
    proto::{Meter, Quota, Target, target::Target as Named},
};
use rand::{RngExt as _, rngs::StdRng};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    faults::{
        USUAL_ROUNDS,
        ask::Ask,
        crew::{Member, truth},
        dice,
        proxy::Proxy,
        rounds,
    },
    serving::{MODEL, Serving, config, meter},
};

const WORKERS: usize = 200;
/// Sessions of each: 20,000 in all.
const SESSIONS_EACH: usize = 100;
/// Connects and disconnects a step, and the pause after it: some thousands a second.
const EVENTS_A_STEP: usize = 40;
const STEP: Duration = Duration::from_millis(10);
/// Steps of a usual run: 15 s and more.
const STEPS: u64 = 1_500;
/// Workers that are killed at the end, when it is known exactly what they hold.
const KILLED_AT_THE_END: usize = 60;
/// Shorter than usual, so that leases end in mid-fault.
const LEASE: Duration = Duration::from_secs(5);
const BEAT: Duration = Duration::from_millis(500);
/// Longer than it takes a client to find that a connection is dead, and to attach again.
const LONG: Duration = Duration::from_secs(60);

fn meters() -> [Meter; 3] {
    let llm = Meter { kind: 1, model: "openai/gpt-4.1-mini".to_owned(), ..Meter::default() };
    let agent = Meter { kind: 5, ..Meter::default() };
    [meter(MODEL), llm, agent]
}

/// The crew, and the network that it is on.
struct Scene {
    proxy: Proxy,
    url: String,
    crew: Vec<Member>,
    dice: StdRng,
    faults: Faults,
}

/// What went wrong, in numbers.
#[derive(Debug, Default)]
struct Faults {
    killed: u32,
    replaced: u32,
    goodbyes: u32,
    streams_broken: u32,
    resets: u32,
    cut_in_a_message: u32,
    silenced: u32,
    storms: u32,
}

impl Scene {
    async fn begin(serving: &Serving) -> Self {
        let (proxy, dice) = (Proxy::to(serving.address).await, dice());
        let url = format!("http://{}", proxy.address);
        Self { proxy, url, crew: Vec::new(), dice, faults: Faults::default() }
    }

    fn hire(&mut self, instead_of: Option<&Member>) {
        let replaces = instead_of.map(Member::incarnation);
        let mut member = Member::new(&self.url, &meters(), replaces);
        (0..SESSIONS_EACH).for_each(|_| member.open(&mut self.dice));
        self.crew.push(member);
    }

    fn any(&mut self) -> usize {
        self.dice.random_range(0..self.crew.len())
    }

    /// Sessions come and go.
    fn events(&mut self) {
        for _ in 0..EVENTS_A_STEP {
            let nth = self.any();
            let member = &mut self.crew[nth];
            if member.opens_next(SESSIONS_EACH, &mut self.dice) {
                member.open(&mut self.dice);
            } else {
                member.close_one(0, &mut self.dice);
            }
        }
    }

    /// One thing goes wrong, or nothing.
    fn fault(&mut self) {
        let nth = self.any();
        match self.dice.random_range(0..1_000) {
            0..20 => {
                self.faults.killed += 1;
                self.crew.swap_remove(nth);
                self.hire(None);
            }
            20..35 => {
                self.faults.replaced += 1;
                let dead = self.crew.swap_remove(nth);
                self.hire(Some(&dead));
            }
            35..50 => {
                self.faults.goodbyes += 1;
                let leaving = self.crew.swap_remove(nth);
                // Whether it is heard or not: if not, its lease ends.
                tokio::spawn(leaving.client.goodbye(Outcome::Cancelled, LEASE));
                self.hire(None);
            }
            50..150 => {
                self.faults.streams_broken += 1;
                self.crew[nth].client.cut();
            }
            150..200 => {
                self.faults.resets += 1;
                self.proxy.reset_one(&mut self.dice);
            }
            200..280 => {
                self.faults.cut_in_a_message += 1;
                let bytes = self.dice.random_range(0..3_000);
                self.proxy.cut_one_after(bytes, &mut self.dice);
            }
            280..380 => {
                self.faults.silenced += 1;
                self.proxy.silence_one(&mut self.dice);
            }
            380..386 => {
                self.faults.storms += 1;
                self.proxy.reset_all();
            }
            386..390 => self.proxy.close(true),
            390..420 => self.proxy.close(false),
            420..424 => self.proxy.wake_all(),
            _ => {}
        }
    }

    /// The network is well again; returns when every worker is attached and has told everything.
    async fn heal(&mut self) {
        self.proxy.close(false);
        self.proxy.wake_all();
        let all_told = async {
            for member in &self.crew {
                member.client.attached().await.unwrap();
                member.client.flushed().await.unwrap();
            }
        };
        timeout(LONG, all_told).await.expect("every worker is heard again");
    }
}

/// Sessions that were lost, of all meters.
fn lost(quotas: &[Quota]) -> u64 {
    quotas.iter().filter(|quota| is_meter(quota)).map(|quota| quota.closed.unwrap_or_default().lost).sum()
}

/// Nothing is to be heard any more: what is held is what lives, the audit agrees, and all sums add up.
async fn at_rest(serving: &Serving, ask: &mut Ask, crew: &[Member]) -> Vec<Quota> {
    let truth = truth(crew);
    ask.until_held(&truth, LONG).await;
    // What is said late is said within a lease.
    sleep(LEASE + BEAT).await;
    assert!(ask.held().await == truth, "what is held stays what lives");
    assert_eq!(serving.service.live.audit(), []);
    let quotas = ask.until_sums_add_up(LONG).await;
    let levels: u64 = quotas.iter().filter(|quota| is_meter(quota)).map(|quota| u64::from(quota.level)).sum();
    assert_eq!(levels, truth.len() as u64);
    assert!(quotas.iter().all(|quota| quota.silent_level == 0));
    quotas
}

fn is_meter(quota: &Quota) -> bool {
    matches!(quota.target, Some(Target { target: Some(Named::Meter(_)) }))
}

#[tokio::test]
async fn heavy_nothing_leaks_whatever_workers_and_networks_do() {
    let mut config = config();
    config.threads = 2;
    (config.bounds.lease, config.bounds.beat) = (LEASE, BEAT);
    let serving = Serving::with(config);
    let mut scene = Scene::begin(&serving).await;
    let mut ask = Ask::at(serving.address).await;
    (0..WORKERS).for_each(|_| scene.hire(None));
    scene.heal().await;
    assert_eq!(ask.held().await.len(), WORKERS * SESSIONS_EACH);

    let started = Instant::now();
    for _ in 0..STEPS * rounds() / USUAL_ROUNDS {
        scene.events();
        scene.fault();
        sleep(STEP).await;
    }
    println!("{:.1?} of {:?}", started.elapsed(), scene.faults);
    scene.heal().await;
    println!("all are heard again after {:.1?}", started.elapsed());
    let before = at_rest(&serving, &mut ask, &scene.crew).await;

    let killed = scene.crew.split_off(WORKERS - KILLED_AT_THE_END);
    let lives_lost = truth(&killed).len() as u64;
    drop(killed);
    let after = at_rest(&serving, &mut ask, &scene.crew).await;
    assert_eq!(lost(&after) - lost(&before), lives_lost, "the sessions of those that were killed are lost, no others");
}
