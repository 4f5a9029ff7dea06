//! A process a call: LiveKit Agents runs each call in a process, so that the service sees thousands of streams of a few
//! sessions each, coming and going. What a stream costs is asserted; how quick it all is, is told.

use std::{collections::VecDeque, env, fs, net::SocketAddr, process::Stdio, time::Duration};

use highwater::proto::{
    Beat, Declare, EventBatch, Hello, Meter, MeterDeclaration, SnapshotChunk, StreamGoodbye,
    attach_request::Message as Say, attach_response::Message as Heard,
};
use rand::{RngExt as _, rngs::StdRng};
use tokio::{
    sync::oneshot,
    task::{JoinHandle, JoinSet},
    time::{Instant, interval_at, sleep, sleep_until},
};

use crate::{
    faults::{
        USUAL_ROUNDS,
        ask::Ask,
        dice,
        process::{Process, with_most_files},
        rounds,
    },
    serving::{self, MODEL, Worker, digest},
};

const CALLS: u64 = 5_000;
/// Sessions of a call: speech in, a language model, speech out, and the agent itself.
const SESSIONS_EACH: u32 = 4;
/// What the service may use for each stream.
const MOST_BYTES_A_STREAM: u64 = 64 * 1_024;
/// How long a call lasts; shorter when all tests run.
const CALL: Duration = Duration::from_secs(120);
const SHORT_CALL: Duration = Duration::from_secs(20);
/// How often a call says that it is alive: what the service asks for.
const BEAT: Duration = Duration::from_secs(3);
/// Of so many calls, one dies without a goodbye.
const ONE_DIES_OF: u32 = 10;
/// Files that this process needs: a socket a call, and some.
const FILES: u64 = 2 * CALLS + 1_000;
/// Longer than a lease and than any machine takes to attach all calls.
const LONG: Duration = Duration::from_secs(60);
/// Set in the process that has enough files.
const HAS_FILES: &str = "HIGHWATER_TEST_HAS_FILES";

/// A call: an incarnation with the same four sessions for as long as it lives.
#[derive(Clone, Copy)]
struct Call {
    nth: u64,
    attach_seq: u64,
}

impl Call {
    fn id(self, session: u32) -> Vec<u8> {
        [self.nth.to_le_bytes(), u64::from(session).to_le_bytes()].concat()
    }

    /// Attaches on a connection of its own, and waits until its sessions are counted.
    async fn attach(self, address: SocketAddr) -> Worker {
        let mut worker = Worker::open_at(address).await;
        let incarnation = self.id(u32::MAX);
        let worker_id = format!("call-{}", self.nth);
        let hello =
            Hello { protocol_version: 1, worker_id, incarnation, attach_seq: self.attach_seq, ..Hello::default() };
        let kinds = [(1, "openai/gpt-4.1-mini"), (2, "deepgram/nova-3"), (3, MODEL), (5, "")];
        let meters = (1..).zip(kinds).map(|(handle, (kind, model))| {
            let meter = Meter { kind, model: model.to_owned(), ..Meter::default() };
            MeterDeclaration { handle, meter: Some(meter) }
        });
        let ids: Vec<_> = (1..=SESSIONS_EACH).map(|session| self.id(session)).collect();
        let snapshot = SnapshotChunk {
            last: true,
            count: ids.len() as u64,
            digest: digest(&ids),
            session_ids: ids.concat().into(),
            handles: (1..=SESSIONS_EACH).collect(),
            ..SnapshotChunk::default()
        };
        worker.say(Say::Hello(hello)).await;
        worker.say(Say::Declare(Declare { meters: meters.collect() })).await;
        worker.say(Say::Snapshot(snapshot)).await;
        while !matches!(worker.hear().await, Heard::Ack(_)) {}
        worker
    }

    /// Ends its sessions, and says goodbye.
    async fn hang_up(self, worker: &mut Worker) {
        let ends = (1..=SESSIONS_EACH).map(|session| serving::disconnect_of(self.id(session), session));
        worker.say(Say::Events(EventBatch::new(1, ends))).await;
        worker.say(Say::Goodbye(StreamGoodbye { outcome: 1 })).await;
        assert_eq!(worker.end().await.code(), tonic::Code::Ok);
    }
}

/// A call that is on: its task holds the stream.
struct OnAir {
    call: Call,
    hang_up: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl OnAir {
    /// Attaches; returns when its sessions are counted.
    async fn begin(call: Call, address: SocketAddr) -> Self {
        let mut worker = call.attach(address).await;
        let (hang_up, mut ended) = oneshot::channel();
        let task = tokio::spawn(async move {
            // Those that attached together don't beat together.
            let mut beats = interval_at(Instant::now() + BEAT.mul_f64(rand::random::<f64>()), BEAT);
            loop {
                tokio::select! {
                    _ = &mut ended => return call.hang_up(&mut worker).await,
                    heard = worker.next() => drop(heard.unwrap().expect("the stream goes on")),
                    _ = beats.tick() => worker.say(Say::Beat(Beat::default())).await,
                }
            }
        });
        Self { call, hang_up, task }
    }

    async fn end(self) {
        self.hang_up.send(()).unwrap();
        self.task.await.unwrap();
    }

    /// Cuts its connection, as the death of a process does.
    fn cut(&self) {
        self.task.abort();
    }
}

/// Calls that are on, the one that began first in front.
type Calls = VecDeque<OnAir>;

async fn begin_all(address: SocketAddr, calls: impl IntoIterator<Item = Call>) -> Calls {
    let mut beginning = JoinSet::new();
    for call in calls {
        beginning.spawn(OnAir::begin(call, address));
    }
    beginning.join_all().await.into()
}

/// Replaces every call once, at an even pace, and returns the most memory that the service used meanwhile.
async fn churn(service: &Process, calls: &mut Calls, dice: &mut StdRng) -> u64 {
    let length = if rounds() > USUAL_ROUNDS { CALL } else { SHORT_CALL };
    let (started, mut most) = (Instant::now(), service.memory());
    let mut changing = JoinSet::new();
    for nth in 0..CALLS {
        sleep_until(started + length.mul_f64(nth as f64 / CALLS as f64)).await;
        let ending = calls.pop_front().unwrap();
        let dies = dice.random_ratio(1, ONE_DIES_OF);
        let (call, address) = (Call { nth: CALLS + nth, attach_seq: 1 }, service.address);
        changing.spawn(async move {
            if dies {
                ending.cut();
            } else {
                ending.end().await;
            }
            OnAir::begin(call, address).await
        });
        while let Some(changed) = changing.try_join_next() {
            calls.push_back(changed.unwrap());
        }
        if nth.is_multiple_of(CALLS / 50) {
            most = most.max(service.memory());
        }
    }
    calls.extend(changing.join_all().await);
    println!("every call replaced once in {:.1?}", started.elapsed());
    most.max(service.memory())
}

/// Waits until all calls are heard, and every meter and pool counts each of them once.
async fn until_exact(ask: &mut Ask) {
    let started = Instant::now();
    loop {
        let (status, quotas) = (ask.status().await, ask.quotas().await);
        let all_heard = (status.attached_workers, status.silent_workers) == (CALLS, 0);
        let all_counted = status.live_sessions == CALLS * u64::from(SESSIONS_EACH)
            && quotas.iter().all(|quota| (u64::from(quota.level), quota.silent_level) == (CALLS, 0));
        if all_heard && all_counted && !quotas.is_empty() {
            assert_eq!(quotas.len(), 8, "four meters, and the pool of each kind");
            return;
        }
        assert!(started.elapsed() < LONG, "{status:?}: {quotas:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn five_thousand_calls() {
    let mut dice = dice();
    let folder = tempfile::tempdir().unwrap();
    let bounds = ["--bounds-connections-per-address", "20000"];
    let service = Process::start(&folder.path().join("store.redb"), "127.0.0.1:0", &bounds);
    let mut ask = Ask::at(service.address).await;
    ask.status().await;
    let alone = service.memory();
    let a_stream = |memory: u64| (memory.saturating_sub(alone)) as f64 / CALLS as f64 / 1_024.0;

    let started = Instant::now();
    let mut calls = begin_all(service.address, (0..CALLS).map(|nth| Call { nth, attach_seq: 1 })).await;
    until_exact(&mut ask).await;
    println!("{CALLS} calls attached in {:.1?}", started.elapsed());
    println!("at rest {:.1} KiB a stream", a_stream(service.memory()));

    let most = churn(&service, &mut calls, &mut dice).await;
    println!("at full churn at most {:.1} KiB a stream", a_stream(most));
    until_exact(&mut ask).await;
    assert!(most - alone <= CALLS * MOST_BYTES_A_STREAM, "{:.1} KiB a stream", a_stream(most));

    let (cut, cpu) = (Instant::now(), service.cpu());
    calls.iter().for_each(OnAir::cut);
    let again: Vec<_> = calls.drain(..).map(|on_air| Call { attach_seq: 2, ..on_air.call }).collect();
    let calls = begin_all(service.address, again).await;
    until_exact(&mut ask).await;
    let spent = service.cpu() - cpu;
    let back = cut.elapsed().as_secs_f64();
    println!(
        "5,000 workers were back, exact, after {back:.1} s (goal: 5 s; {spent:.1?} of the service's processor time)"
    );
    println!("then {:.1} KiB a stream", a_stream(service.memory()));
    ask.until_sums_add_up(LONG).await;
    assert!(calls.iter().all(|on_air| !on_air.task.is_finished()), "none was cut off since");
}

/// Files that this process may have open.
fn files() -> u64 {
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap_or(u64::MAX)
}

#[test]
fn heavy_five_thousand_calls_come_and_go_are_cut_off_and_return() {
    if files() >= FILES {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(five_thousand_calls());
    }
    // Nothing is shown by a test that did not run: a system that allows fewer files fails it, and says what to do.
    let had = env::var_os(HAS_FILES);
    assert!(had.is_none(), "{FILES} open files are needed and the hard limit is {}: raise it (ulimit -Hn)", files());
    // The same test, in a process that may have more open.
    let name = std::thread::current().name().unwrap().to_owned();
    let mut again = with_most_files(env::current_exe().unwrap());
    again.args(["--exact", &name, "--nocapture"]).env(HAS_FILES, "1").stdin(Stdio::null());
    assert!(again.status().unwrap().success());
}
