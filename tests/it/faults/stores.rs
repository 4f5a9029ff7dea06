//! A store that is killed, cut off, hung or filled under load, again and again: the service counts on, and in the end
//! nothing is lost. Tells the six counts of "nothing lost", each as number of number.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use highwater::{
    access::Role,
    config::{RedisOptions, place::RedisAddress},
    model::{Frame, Key, Kind, Meter, Project, Target},
    service::{Actor, Author, Clock, access::decide::NewKey},
    store::{EmbeddedStore, RedisStore, Store},
};
use rand::{RngExt as _, rngs::StdRng};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};

use crate::{
    faults::{
        ask::{Ask, adds_up, target},
        course::Course,
        crew::{Member, truth},
        dice,
        kept::{Decided, folded, there},
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
/// Of one sort a step, all applied before the next: a second's peak is known then.
const EVENTS_A_STEP: usize = 25;
const STEP: Duration = Duration::from_millis(5);
/// How long it is well before it breaks, and how long it is broken, at most.
const WELL_FOR: Duration = Duration::from_millis(1_500);
const BROKEN_FOR: Duration = Duration::from_secs(4);
const LONG: Duration = Duration::from_secs(40);
/// The model of the meter on which sessions come and go.
const CHANGING: &str = "openai/gpt-4.1-mini";

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
    /// What the workers hold on the changing meter, by the service's clock.
    course: Course,
    changing: u32,
    /// Decisions that were acknowledged.
    decided: Vec<Decided>,
}

impl<B: Breakable> Scene<B> {
    async fn begin(store: B) -> Self {
        let serving = Serving::on(config(), store.open());
        let url = format!("http://{}", serving.address);
        let mut dice = dice();
        let changing = highwater::proto::Meter { kind: 1, model: CHANGING.to_owned(), ..Default::default() };
        let mut crew: Vec<_> =
            (0..WORKERS).map(|_| Member::new(&url, &[meter(MODEL), changing.clone()], None)).collect();
        for member in &mut crew {
            (0..HELD_THROUGHOUT).for_each(|_| member.open_on(0, &mut dice));
        }
        for member in &crew {
            member.client.flushed_within(LONG).await.unwrap();
        }
        let (course, durable, decided) = Default::default();
        Self { store, serving, crew, dice, durable, course, changing: 0, decided }
    }

    /// Sessions come and go for up to so long, and decisions are made.
    async fn load(&mut self, longest: Duration) {
        let until = Instant::now() + longest.mul_f64(self.dice.random_range(0.3..1.0));
        self.decide_limit();
        self.decide_key();
        while Instant::now() < until {
            self.step().await;
            sleep(STEP).await;
        }
    }

    /// Some sessions begin, or some end, and all of that is applied.
    async fn step(&mut self) {
        let opens = self.dice.random_range(0..=2 * USUAL * WORKERS) >= self.changing as usize;
        self.course.moves(self.serving.service.clock.now().wall);
        for _ in 0..EVENTS_A_STEP {
            let nth = self.dice.random_range(0..self.crew.len());
            let member = &mut self.crew[nth];
            if opens {
                member.open_on(1, &mut self.dice);
                self.changing += 1;
            } else if member.close_one(HELD_THROUGHOUT, &mut self.dice) {
                self.changing -= 1;
            }
        }
        for member in &self.crew {
            member.client.flushed_within(LONG).await.unwrap();
        }
        self.course.is_at(self.changing, self.serving.service.clock.now().wall);
    }

    /// A decision that a broken store may refuse: then it does not count.
    fn decide_limit(&mut self) {
        let (service, key) = (&self.serving.service, key("default", "a/decided"));
        let slots = self.dice.random_range(1..1_000);
        let reason = format!("decision {}", self.decided.len());
        let by = Author { set_by: "ops".to_owned(), reason, actor: Actor::service() };
        if let Ok(entry) = service.set_limit(&key, slots, None, by, service.clock.now()) {
            self.decided.push(Decided::Limit(key, entry));
        }
    }

    /// A key is made, and now and then one that was made is revoked.
    fn decide_key(&mut self) {
        let (access, actor) = (&self.serving.service.access, Actor::service());
        let name = format!("key {}", self.decided.len());
        let project = Project::new("default").unwrap();
        let new = NewKey { name, project, role: Role::Viewer, not_before: None, expires: None };
        if let Ok((record, _)) = access.create_key(new, &actor, Clock::wall()) {
            if self.dice.random_bool(0.5)
                && let Ok(revoked) = access.revoke_key(&record.id, &|_| true, &actor, Clock::wall())
            {
                self.decided.push(Decided::Revoked(revoked));
            }
            self.decided.push(Decided::Made(record));
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
        let mut ask = Ask::at(self.serving.address).await;
        let expected = truth(&self.crew);
        let held = until_quiet(async || ask.held().await, |held| *held == expected).await;
        let is_right = |quotas: &Vec<_>| !quotas.is_empty() && quotas.iter().all(adds_up);
        let quotas = until_quiet(async || ask.quotas().await, is_right).await;
        let distribution = ask.distribution(target(meter(MODEL)), vec![CONSTANT, CONSTANT + 1]).await;
        let covered = distribution.covered_seconds - begun;
        let right = distribution.time_at[0].seconds - distribution.time_at[1].seconds;
        self.course.moves(self.serving.service.clock.now().wall);
        // Until the last second that is compared is durable.
        let (live, last) = (&self.serving.service.live, self.course.seconds().end);
        soon("the last second", || live.durable().is_some_and(|durable| durable.0 >= last)).await;
        self.note_durable();

        // What is in the store when the service is gone, read by another.
        self.crew.clear();
        self.serving.stop();
        self.serving.stopped().await;
        let Self { store, serving, durable, decided, course, .. } = self;
        drop(serving);
        let store = store.open();
        let folded_until = store.folded_until().unwrap().map_or(0, |hour| hour.first_tick().0);
        let frames: BTreeMap<u64, Frame> =
            store.frames().unwrap().into_iter().map(|frame| (frame.tick, frame)).collect();
        let unfolded = durable.iter().filter(|(tick, _)| **tick >= folded_until);
        let kept = unfolded.clone().filter(|(tick, frame)| frames.get(tick) == Some(frame)).count();
        let unfolded = unfolded.count();
        let mut missing = 0;
        for (before, after) in frames.values().zip(frames.values().skip(1)) {
            missing += after.tick - (before.tick + before.repeat + 1);
        }
        let keys = store.keys().unwrap();
        let numbers: BTreeMap<_, _> = keys.iter().map(|(id, key)| (key.clone(), *id)).collect();
        let (mut seen, name) = (durable.clone(), Meter::new(Kind::Llm, CHANGING, "", None).unwrap());
        seen.extend(frames);
        let changing = Key { project: Project::new("default").unwrap(), target: Target::Meter(name) };
        let compared = course.compare(&seen, numbers[&changing].0);
        let (decisions, rows, chain) = there(&*store, &decided, &numbers);
        let (same, minutes) = folded(&store, &seen, keys.iter().map(|(id, _)| *id));

        let slots = held.intersection(&expected).count();
        let leaked = held.difference(&expected).count();
        let sums = quotas.iter().filter(|quota| adds_up(quota)).count();
        let known = compared.all - compared.flagged;
        println!(
            "a  slots that are held, of those that workers hold       {slots} of {}, {leaked} more",
            expected.len()
        );
        println!("b  covered seconds whose peak is that of the workers     {right} of {covered} where nothing moves");
        println!(
            "   within what was on its way, where sessions move       {} of {known}, {} exactly; {} flagged",
            compared.right, compared.exact, compared.flagged
        );
        println!("c  durable seconds that are there and as they were       {kept} of {unfolded}, {missing} missing");
        println!("   minutes of them that are so in history, all folded    {same} of {minutes}");
        println!("d  crossings, each told once                             counted by `alerts::killed`, with kills");
        println!("e  acknowledged decisions that are there                 {decisions} of {}", decided.len());
        println!("   and their rows in the audit log; its chain            {rows} of {}; {chain:?}", decided.len());
        println!("f  meters and pools whose opened less closed is held     {sums} of {}", quotas.len());
        assert_eq!((slots, leaked, sums), (expected.len(), 0, quotas.len()));
        assert_eq!((right, compared.right, kept, missing), (covered, known, unfolded, 0));
        assert_eq!((same, decisions, rows, chain), (minutes, decided.len(), decided.len(), Ok(())));
        assert!(covered > 0 && compared.exact > 0 && minutes > 0 && !durable.is_empty() && !decided.is_empty());
    }
}

/// What is found once it is as it should be, or after long: what is wrong then is counted.
async fn until_quiet<T>(mut find: impl AsyncFnMut() -> T, is_right: impl Fn(&T) -> bool) -> T {
    let started = Instant::now();
    loop {
        let found = find().await;
        if is_right(&found) || started.elapsed() > LONG {
            return found;
        }
        sleep(STEP).await;
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
