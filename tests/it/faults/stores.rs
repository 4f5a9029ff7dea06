//! A store that is killed, cut off, hung or filled under load, again and again: the service counts on, and in the end
//! nothing is lost. Tells the six counts of "nothing lost", each as number of number.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use highwater::{
    config::{RedisOptions, place::RedisAddress},
    model::{Frame, Key, LimitEntry},
    service::{Actor, Author},
    store::{EmbeddedStore, RedisStore, Store},
};
use rand::{RngExt as _, rngs::StdRng};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};

use crate::{
    faults::{
        ask::{Ask, target},
        crew::{Member, truth},
        dice,
        proxy::Proxy,
        variable,
    },
    redis_server::{RETENTION, Redis, address, options, soon},
    serving::{MODEL, Serving, config, meter},
    store_contract::key,
    store_faults::Disk,
};

/// Rounds of all tests, and of `make faults` for each 50 that it is asked for.
const USUAL_ROUNDS: u64 = 2;
const ROUNDS_OF_FIFTY: u64 = 20;
const WORKERS: usize = 12;
/// Sessions that each holds throughout on a meter where nothing else happens, and those that come and go beside them.
const HELD_THROUGHOUT: usize = 10;
const CONSTANT: u32 = (WORKERS * HELD_THROUGHOUT) as u32;
const USUAL: usize = 10;
const EVENTS_A_STEP: usize = 5;
const STEP: Duration = Duration::from_millis(5);
/// How long it is well before it breaks, and how long it is broken, at most.
const WELL_FOR: Duration = Duration::from_millis(1_500);
const BROKEN_FOR: Duration = Duration::from_secs(4);
const LONG: Duration = Duration::from_secs(40);

/// A store that can be broken in some ways, and mended.
trait Breakable {
    fn open(&self) -> Arc<dyn Store>;
    fn ways(&self) -> &'static [&'static str];
    fn breaks(&mut self, way: &str);
    fn mends(&mut self, way: &str);
}

/// The embedded store on a disk that fails.
struct OnDisk(Disk);

impl Breakable for OnDisk {
    fn open(&self) -> Arc<dyn Store> {
        let disk = self.0.clone();
        Arc::new(EmbeddedStore::with_backend("disk", move || disk.clone()).unwrap())
    }

    fn ways(&self) -> &'static [&'static str] {
        &["filled", "filled in the middle of a write"]
    }

    fn breaks(&mut self, way: &str) {
        let later = if way == "filled" { 0 } else { 3 };
        self.0.fail_from(Some(self.0.writes() + later));
    }

    fn mends(&mut self, _: &str) {
        self.0.fail_from(None);
    }
}

/// A Redis behind a network that fails.
struct InRedis {
    redis: Redis,
    proxy: Proxy,
    address: RedisAddress,
    options: RedisOptions,
    /// The network is carried until this is dropped.
    _carries: oneshot::Sender<()>,
}

impl InRedis {
    fn new() -> Self {
        let redis = Redis::start();
        let server = ([127, 0, 0, 1], redis.port).into();
        let (give, proxy) = std::sync::mpsc::channel();
        let (carries, ended) = oneshot::channel();
        // On a thread of its own: the store waits for it without letting others on.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                give.send(Proxy::to(server).await).unwrap();
                let _ = ended.await;
            });
        });
        let proxy: Proxy = proxy.recv().unwrap();
        let address = address(&format!("redis://{}", proxy.address));
        Self { redis, proxy, address, options: options("hw:"), _carries: carries }
    }
}

impl Breakable for InRedis {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(RedisStore::open(&self.address, &self.options, &RETENTION).unwrap())
    }

    fn ways(&self) -> &'static [&'static str] {
        &["killed", "cut off", "filled", "hung"]
    }

    fn breaks(&mut self, way: &str) {
        match way {
            "killed" => self.redis.kill(),
            "cut off" => {
                self.proxy.close(true);
                self.proxy.reset_all();
            }
            "filled" => drop(self.redis.ask::<String>(&["CONFIG", "SET", "maxmemory", "1"]).unwrap()),
            _ => self.redis.pause(true),
        }
    }

    fn mends(&mut self, way: &str) {
        match way {
            "killed" => self.redis.start_again(),
            "cut off" => self.proxy.close(false),
            "filled" => drop(self.redis.ask::<String>(&["CONFIG", "SET", "maxmemory", "0"]).unwrap()),
            _ => self.redis.pause(false),
        }
    }
}

fn rounds() -> u64 {
    variable::<u64>("HIGHWATER_FAULT_ROUNDS")
        .map_or(USUAL_ROUNDS, |asked| (asked * ROUNDS_OF_FIFTY / 50).max(USUAL_ROUNDS))
}

/// The service on a store that breaks, its workers, and what was acknowledged.
struct Scene<B> {
    store: B,
    serving: Serving,
    crew: Vec<Member>,
    dice: StdRng,
    /// Frames that were durable, as they were read then.
    durable: BTreeMap<u64, Frame>,
    /// Decisions that were acknowledged.
    decided: Vec<(Key, LimitEntry)>,
}

impl<B: Breakable> Scene<B> {
    async fn begin(store: B) -> Self {
        let serving = Serving::on(config(), store.open());
        let url = format!("http://{}", serving.address);
        let mut dice = dice();
        let changing =
            highwater::proto::Meter { kind: 1, model: "openai/gpt-4.1-mini".to_owned(), ..Default::default() };
        let mut crew: Vec<_> =
            (0..WORKERS).map(|_| Member::new(&url, &[meter(MODEL), changing.clone()], None)).collect();
        for member in &mut crew {
            (0..HELD_THROUGHOUT).for_each(|_| member.open_on(0, &mut dice));
        }
        for member in &crew {
            member.client.flushed_within(LONG).await.unwrap();
        }
        Self { store, serving, crew, dice, durable: BTreeMap::new(), decided: Vec::new() }
    }

    /// Sessions come and go for up to so long, and a limit is decided on.
    async fn load(&mut self, longest: Duration) {
        let until = Instant::now() + longest.mul_f64(self.dice.random_range(0.3..1.0));
        self.decide();
        while Instant::now() < until {
            for _ in 0..EVENTS_A_STEP {
                let nth = self.dice.random_range(0..self.crew.len());
                let member = &mut self.crew[nth];
                if member.opens_next(HELD_THROUGHOUT + USUAL, &mut self.dice) {
                    member.open_on(1, &mut self.dice);
                } else {
                    member.close_one(HELD_THROUGHOUT, &mut self.dice);
                }
            }
            sleep(STEP).await;
        }
    }

    /// A decision that a broken store may refuse: then it does not count.
    fn decide(&mut self) {
        let (service, key) = (&self.serving.service, key("default", "a/decided"));
        let slots = self.dice.random_range(1..1_000);
        let by = Author { set_by: "ops".to_owned(), reason: format!("decision {slots}"), actor: Actor::service() };
        if let Ok(entry) = service.set_limit(&key, slots, None, by, service.clock.now()) {
            self.decided.push((key, entry));
        }
    }

    async fn round(&mut self, round: usize) {
        let ways = self.store.ways();
        let way = ways[round % ways.len()];
        self.load(WELL_FOR).await;
        self.note_durable();
        self.store.breaks(way);
        self.load(BROKEN_FOR).await;
        self.store.mends(way);
        let health = &self.serving.service.health;
        let mended = Instant::now();
        let durable = self.serving.service.live.durable();
        soon("a store that is well again", || health.degraded().is_empty()).await;
        soon("a durable second", || self.serving.service.live.durable() > durable).await;
        println!("{way}: well {:.1?} after it was mended", mended.elapsed());
    }

    /// What is durable now must stay as it is.
    fn note_durable(&mut self) {
        let until = self.serving.service.live.durable().unwrap().0;
        for frame in self.serving.service.store.frames().unwrap() {
            if frame.tick + frame.repeat <= until {
                self.durable.entry(frame.tick).or_insert(frame);
            }
        }
    }

    /// The six counts, each as number of number; the rest of each pair was lost.
    async fn end(mut self, begun: u64) {
        self.note_durable();
        let mut ask = Ask::at(self.serving.address).await;
        let expected = truth(&self.crew);
        ask.until_held(&expected, LONG).await;
        let quotas = ask.until_sums_add_up(LONG).await;
        let distribution = ask.distribution(target(meter(MODEL)), vec![CONSTANT, CONSTANT + 1]).await;
        let covered = distribution.covered_seconds - begun;
        let right = distribution.time_at[0].seconds - distribution.time_at[1].seconds;

        // What is in the store when the service is gone, read by another.
        self.crew.clear();
        self.serving.stop();
        self.serving.stopped().await;
        let Self { store, serving, durable, decided, .. } = self;
        drop(serving);
        let store = store.open();
        let folded_until = store.folded_until().unwrap().map_or(0, |hour| hour.first_tick().0);
        let frames: BTreeMap<u64, Frame> =
            store.frames().unwrap().into_iter().map(|frame| (frame.tick, frame)).collect();
        let kept = durable.iter().filter(|(tick, frame)| **tick < folded_until || frames.get(tick) == Some(frame));
        let kept = kept.count();
        let mut missing = 0;
        for (before, after) in frames.values().zip(frames.values().skip(1)) {
            missing += after.tick - (before.tick + before.repeat + 1);
        }
        let limits = store.limits().unwrap();
        let numbers: BTreeMap<_, _> = store.keys().unwrap().into_iter().map(|(id, key)| (key, id)).collect();
        let there = decided
            .iter()
            .filter(|(key, entry)| limits.iter().any(|(id, stored)| numbers.get(key) == Some(id) && stored == entry));
        let there = there.count();
        println!("a  slots that are held, of those that workers hold       {0} of {0}", expected.len());
        println!("b  covered seconds whose peak is that of the workers     {right} of {covered}");
        println!(
            "c  durable seconds that are there and as they were       {kept} of {}, {missing} missing",
            durable.len()
        );
        println!("d  alerts                                                 0 of 0 (there are none yet)");
        println!("e  acknowledged decisions that are there                 {there} of {}", decided.len());
        println!("f  meters and pools whose opened less closed is held     {0} of {0}", quotas.len());
        assert_eq!((right, kept, there, missing), (covered, durable.len(), decided.len(), 0));
        assert!(covered > 0 && !durable.is_empty() && !decided.is_empty());
    }
}

async fn breaks_under_load(store: impl Breakable) {
    let mut scene = Scene::begin(store).await;
    let mut ask = Ask::at(scene.serving.address).await;
    ask.until_held(&truth(&scene.crew), LONG).await;
    // The next second is the first that begins with all of them.
    sleep(Duration::from_secs(2)).await;
    let before = ask.distribution(target(meter(MODEL)), vec![CONSTANT]).await;
    let begun = before.covered_seconds - before.time_at[0].seconds;
    // Two rounds do not see all ways: which they see is for the dice to say.
    let first = scene.dice.random_range(0..scene.store.ways().len());
    for round in 0..rounds() as usize {
        scene.round(first + round).await;
    }
    scene.load(WELL_FOR).await;
    scene.end(begun).await;
}

#[tokio::test]
async fn heavy_an_embedded_store_that_fails_under_load_loses_nothing() {
    breaks_under_load(OnDisk(Disk::default())).await;
}

#[tokio::test]
async fn heavy_a_redis_that_fails_under_load_loses_nothing() {
    breaks_under_load(InRedis::new()).await;
}
