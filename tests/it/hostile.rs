//! Hostile clients beside a tenant that behaves: it must be served without an error, at about the latency that it has
//! beside a neighbour who takes as much of the machine and attacks nobody, and memory must stay within its cap. Latency is
//! told, not asserted: it is a measure of time.

mod floods;
mod floods_of_words;
mod raw;

use std::{future::Future, net::SocketAddr, thread, time::Duration};

use highwater::client::{ClientTls, channel_with};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tonic::transport::Channel;

use crate::{
    faults::{USUAL_ROUNDS, ask::Ask, process::Process, rounds},
    hostile::raw::Answered,
    serving::{MODEL, Worker, batch, channel, connect_of, declare, disconnect_of, hello, snapshot},
    tls::Scene,
};

/// How long an attack lasts, and the measure of the tenant alone; shorter when all tests run.
const ATTACK: Duration = Duration::from_secs(12);
const SHORT_ATTACK: Duration = Duration::from_millis(1_500);
/// Workers of the good tenant, and the pause between two events of one.
const WORKERS: u8 = 8;
const PAUSE: Duration = Duration::from_millis(4);
/// Sessions of a project here, so that a short attack reaches the bound.
const MOST_SESSIONS: &str = "2000";
/// What the service may use above what it used before the attacks: the evil project holds 2,000 sessions with labels of
/// 128 bytes at most, a snapshot of as many, 1,000 meters, and each of its connections its windows.
const MOST_BYTES_MORE: u64 = 96 * 1_024 * 1_024;
const LONG: Duration = Duration::from_secs(30);

fn attack_time() -> Duration {
    if rounds() > USUAL_ROUNDS { ATTACK } else { SHORT_ATTACK }
}

/// The tenant that behaves: workers whose sessions come and go, each event waited for.
struct Tenant {
    /// Each with its number and that of its last batch.
    workers: Vec<(Worker, u8, u64)>,
}

impl Tenant {
    async fn begin(connect: impl AsyncFn() -> Channel) -> Self {
        let mut workers = Vec::new();
        for nth in 1..=WORKERS {
            let mut worker = Worker::open_on(connect().await).await;
            worker.say(highwater::proto::attach_request::Message::Hello(hello(nth, 1))).await;
            worker.hear().await;
            worker.say(declare(1, MODEL)).await;
            worker.say(snapshot(&[])).await;
            worker.hear().await;
            worker.hear().await;
            workers.push((worker, nth, 0));
        }
        Self { workers }
    }

    /// Works for so long; returns its latencies, shortest first.
    async fn work(&mut self, length: Duration) -> Vec<Duration> {
        let mut working = JoinSet::new();
        for (mut worker, nth, mut seq) in self.workers.drain(..) {
            working.spawn(async move {
                let (until, mut latencies) = (Instant::now() + length, Vec::new());
                while Instant::now() < until {
                    // Each session begins with an odd batch and ends with the even one after it.
                    seq += 1;
                    let id = [seq.div_ceil(2).to_le_bytes(), u64::from(nth).to_le_bytes()].concat();
                    let event = if seq % 2 == 1 { connect_of(id) } else { disconnect_of(id, 1) };
                    let asked = Instant::now();
                    worker.say(batch(seq, [event])).await;
                    worker.until_applied(seq).await;
                    latencies.push(asked.elapsed());
                    sleep(PAUSE).await;
                }
                (worker, nth, seq, latencies)
            });
        }
        let mut all = Vec::new();
        while let Some(worked) = working.join_next().await {
            let (worker, nth, seq, latencies) = worked.unwrap();
            self.workers.push((worker, nth, seq));
            all.extend(latencies);
        }
        all.sort();
        all
    }

    /// Sessions that it holds.
    fn held(&self) -> usize {
        self.workers.iter().filter(|(.., seq)| seq % 2 == 1).count()
    }
}

/// What the tenant's latency is compared with.
#[derive(Clone, Copy)]
struct Usual {
    /// Its p99 with the machine to itself.
    alone: Duration,
    /// Its p99 beside a thread that is as busy as an attacker can be, and attacks nobody.
    beside_a_busy_one: Duration,
}

impl Usual {
    async fn of(tenant: &mut Tenant) -> Self {
        let alone = percentile(&tenant.work(attack_time()).await, 99);
        let until = Instant::now() + attack_time();
        let busy = thread::spawn(move || while Instant::now() < until {});
        let beside_a_busy_one = percentile(&tenant.work(attack_time()).await, 99);
        busy.join().unwrap();
        println!("tenant alone: p99 {alone:.2?}; beside a busy thread: p99 {beside_a_busy_one:.2?}");
        Self { alone, beside_a_busy_one }
    }
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// Runs an attack on a thread of its own, while the tenant works.
async fn beside<A: Future<Output = Answered> + 'static>(
    service: &Process,
    tenant: &mut Tenant,
    name: &str,
    usual: Usual,
    attack: impl FnOnce(SocketAddr, Instant) -> A + Send + 'static,
) -> Answered {
    let (address, length) = (service.address, attack_time());
    // Beside a long attack it is measured anew, since machines do not stay as they are.
    let usual = if length == ATTACK { Usual::of(tenant).await } else { usual };
    let attacker = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { attack(address, Instant::now() + length).await })
    });
    let latencies = tenant.work(length).await;
    let answered = tokio::task::spawn_blocking(|| attacker.join().unwrap()).await.unwrap();
    let (p50, p99) = (percentile(&latencies, 50), percentile(&latencies, 99));
    println!(
        "{name:16} tenant p50 {p50:>8.2?} p99 {p99:>8.2?} ({:.1} of beside a busy thread, goal 2; {:.1} of alone), {} \
         events; service {:>4} MiB; attacker: {} connections, {} closed ({} as too much), {} calls reset, {} answered, {} \
         MB",
        p99.as_secs_f64() / usual.beside_a_busy_one.as_secs_f64(),
        p99.as_secs_f64() / usual.alone.as_secs_f64(),
        latencies.len(),
        service.memory() >> 20,
        answered.connections,
        answered.closed,
        answered.calmed,
        answered.resets,
        answered.answers,
        answered.bytes / 1_000_000,
    );
    answered
}

#[tokio::test]
async fn heavy_hostile_clients_harm_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ["--bounds-sessions-per-project", MOST_SESSIONS];
    let service = Process::start(&folder.path().join("store.redb"), "127.0.0.1:0", &settings);
    let address = service.address;
    let mut tenant = Tenant::begin(async || channel(address).await.unwrap()).await;
    tenant.work(Duration::from_millis(500)).await;
    let (usual, before) = (Usual::of(&mut tenant).await, service.memory());
    let mut most = 0;
    macro_rules! beside {
        ($name:literal, $attack:expr) => {{
            let answered = beside(&service, &mut tenant, $name, usual, $attack).await;
            most = most.max(service.memory());
            answered
        }};
    }
    let calmed = [
        ("rapid reset", beside!("rapid reset", floods::rapid_reset)),
        ("made to reset", beside!("made to reset", floods::made_to_reset)),
        ("empty data", beside!("empty data", floods::empty_data)),
        ("continuation", beside!("continuation", floods::continuation)),
    ];
    for (name, answered) in calmed {
        assert!(answered.closed > 0, "{name}: its connections are ended: {answered:?}");
    }
    let refused = [
        ("header bomb", beside!("header bomb", floods::header_bomb)),
        ("stream flood", beside!("stream flood", floods::streams)),
        ("giant message", beside!("giant message", floods::giant_message)),
    ];
    for (name, answered) in refused {
        assert!(answered.refused() > 0, "{name} is refused: {answered:?}");
    }
    let refused_in_time = [
        ("model names", beside!("model names", floods_of_words::model_names)),
        ("giant snapshot", beside!("giant snapshot", floods_of_words::giant_snapshot)),
    ];
    for (name, answered) in refused_in_time {
        // A slow machine may not get as far as the bound in a short attack.
        assert!(answered.refused() > 0 || attack_time() == SHORT_ATTACK, "{name} is refused: {answered:?}");
    }
    // Sessions beyond the bound are left out, and end no stream; memory tells that they are.
    beside!("labels", floods_of_words::labels);
    beside!("events", floods_of_words::events);
    beside!("never reads", floods::never_reads);
    let slow = beside!("slow preface", |address, until| floods::slow(address, until, raw::PREFACE));
    if attack_time() == ATTACK {
        assert_eq!(slow.closed, slow.connections, "those that never call are closed after 10 s");
    }
    let mut ask = Ask::at(address).await;
    let started = Instant::now();
    while ask.held().await.len() != tenant.held() {
        assert!(started.elapsed() < LONG, "the tenant holds {}", tenant.held());
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(ask.status().await.audit_drift, 0);
    println!("service: {} MiB before, {} MiB at most", before >> 20, most >> 20);
    assert!(most - before <= MOST_BYTES_MORE, "{} MiB more", (most - before) >> 20);
}

#[tokio::test]
async fn heavy_a_slow_handshake_harms_nobody_else() {
    let scene = Scene::new();
    let (certificate, key) = (scene.path("service.crt"), scene.path("service.key"));
    let settings = ["--tls-certificate", certificate.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    let service = Process::start(&scene.path("store.redb"), "127.0.0.1:0", &settings);
    let tls = ClientTls { ca: Some(scene.authority_pem().into_bytes()), identity: None };
    let url = format!("https://{}", service.address);
    let mut tenant = Tenant::begin(async || channel_with(&url, &tls).unwrap()).await;
    let usual = Usual::of(&mut tenant).await;
    // How a hello of TLS begins, and then no more.
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abcdefghijklmnopqrstuvwxyz";
    let slow =
        beside(&service, &mut tenant, "slow handshake", usual, |address, until| floods::slow(address, until, hello));
    let slow = slow.await;
    if attack_time() == ATTACK {
        assert_eq!(slow.closed, slow.connections, "those that don't finish are closed after 5 s");
    }
}
