//! The service is killed under a load of acquires, and started again on the same store and port: what its workers hold and
//! what it grants is never more than the limit, and what is free is granted again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use highwater::{
    client::{self, Acquired, Wanted, WorkerClient, WorkerConfig},
    model::{Outcome, SessionId},
    proto::{Priority, SetEnforcementRequest, SetLimitRequest, limit_service_client::LimitServiceClient, target},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    faults::{dice, process::Process, rounds},
    serving::{MODEL, channel, meter},
};

const LIMIT: i64 = 24;
const WORKERS: usize = 16;
/// Sessions that a worker holds at most: together they want more than there is.
const HELD: usize = 4;
/// After a restart, what is free is granted within this.
const SETTLED_WITHIN: Duration = Duration::from_secs(20);

/// What is held by the workers' own account: up after a grant, down before a slot is given back.
#[derive(Default)]
struct Account {
    held: AtomicI64,
    most: AtomicI64,
    granted: AtomicU64,
    refused: AtomicU64,
    stop: AtomicBool,
}

impl Account {
    fn up(&self) {
        let held = self.held.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(held, Ordering::SeqCst);
        self.granted.fetch_add(1, Ordering::SeqCst);
        assert!(held <= LIMIT, "{held} of {LIMIT} are held");
    }
}

async fn limit(address: std::net::SocketAddr) {
    let mut limits = LimitServiceClient::new(channel(address).await.unwrap());
    let target = Some(highwater::proto::Target { target: Some(target::Target::Meter(meter(MODEL))) });
    let (slots, set_by) = (Some(LIMIT as u32), "kim".to_owned());
    let limit = SetLimitRequest { target, slots, set_by: set_by.clone(), ..Default::default() };
    limits.set_limit(limit).await.unwrap();
    limits.set_enforcement(SetEnforcementRequest { mode: 2, set_by, ..Default::default() }).await.unwrap();
}

/// One worker: asks, waits now and then, and gives back, whatever becomes of the service.
async fn work(url: String, account: Arc<Account>, seed: u64) {
    let mut dice = StdRng::seed_from_u64(seed);
    let client = WorkerClient::attach(client::channel(&url).unwrap(), WorkerConfig::new("default", "w"));
    let meter = client.meter(meter(MODEL));
    let mut held: Vec<SessionId> = Vec::new();
    while !account.stop.load(Ordering::SeqCst) {
        sleep(Duration::from_micros(dice.random_range(200..4_000))).await;
        if held.len() >= HELD || (!held.is_empty() && dice.random_bool(0.45)) {
            let id = held.swap_remove(dice.random_range(0..held.len()));
            account.held.fetch_sub(1, Ordering::SeqCst);
            assert!(client.close(id, Outcome::Ok));
            continue;
        }
        let id = SessionId(dice.random());
        let priority = [Priority::Priority, Priority::Standard, Priority::Low][dice.random_range(0..3)];
        let wait = Duration::from_millis(if dice.random_bool(0.3) { 300 } else { 0 });
        match client.acquire(id, Wanted { priority, wait, ..Wanted::of(&[meter]) }).await {
            Ok(Acquired::Granted(_)) => {
                account.up();
                held.push(id);
            }
            Ok(Acquired::Refused(_)) => {
                account.refused.fetch_add(1, Ordering::SeqCst);
            }
            // The service is away: this worker waits for it.
            Err(_) => {}
        }
    }
    account.held.fetch_sub(held.len() as i64, Ordering::SeqCst);
    client.goodbye(Outcome::Ok, Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn heavy_a_service_that_is_killed_under_acquires_never_grants_more_than_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store.redb");
    let mut dice = dice();
    let mut service = Process::start(&store, "127.0.0.1:0", &[]);
    let address = service.address;
    limit(address).await;
    let account = Arc::<Account>::default();
    let mut crew = JoinSet::new();
    for _ in 0..WORKERS {
        crew.spawn(work(format!("http://{address}"), account.clone(), dice.random()));
    }
    for round in 0..rounds() {
        let before = account.granted.load(Ordering::SeqCst);
        let began = Instant::now();
        while account.granted.load(Ordering::SeqCst) < before + 20 * LIMIT as u64 {
            assert!(began.elapsed() < SETTLED_WITHIN, "round {round}: what is free is not granted");
            assert!(crew.try_join_next().is_none_or(|ended| ended.is_ok()), "a worker saw more than the limit");
            sleep(Duration::from_millis(10)).await;
        }
        sleep(Duration::from_millis(dice.random_range(0..1_200))).await;
        service.kill();
        sleep(Duration::from_millis(dice.random_range(0..600))).await;
        service = Process::start(&store, &address.to_string(), &[]);
    }
    account.stop.store(true, Ordering::SeqCst);
    while let Some(ended) = crew.join_next().await {
        ended.unwrap();
    }
    let (most, granted) = (account.most.load(Ordering::SeqCst), account.granted.load(Ordering::SeqCst));
    let refused = account.refused.load(Ordering::SeqCst);
    println!("{granted} granted and {refused} refused over {} kills, {most} of {LIMIT} held at most", rounds());
    assert!(refused > 0, "the limit was reached, so that it could have been passed");
}
