//! Highwater beside what a team would use instead, on one machine in one run: a real redis-server that does the work in a
//! Lua function, and an empty tonic service as the floor of any call. Each is a process of its own; they take turns, for
//! some rounds, and what is compared is the processor time that each spent an event, by the kernel's count. Every call to
//! Highwater shows an API key, as on a network.
//!
//! `cargo bench --bench side_by_side`, set by variables:
//! - `HIGHWATER_BENCH_ROUNDS`: rounds, 5 unless said.
//! - `HIGHWATER_BENCH_ONLY`: `events`, `calls` or `slots`, to measure one of them.
//! - `HIGHWATER_BENCH_SERVE`: further flags for `highwater serve`, separated by spaces.
//! - `HIGHWATER_BENCH_MARKDOWN`: a file to which the tables are written too.

#[path = "side_by_side/fleet.rs"]
mod fleet;
#[path = "side_by_side/floor.rs"]
mod floor;
#[path = "side_by_side/process.rs"]
mod process;
#[path = "side_by_side/redis.rs"]
mod redis;
#[path = "side_by_side/slots.rs"]
mod slots;
#[path = "side_by_side/stream.rs"]
mod stream;
#[path = "side_by_side/table.rs"]
mod table;
#[path = "side_by_side/unary.rs"]
mod unary;

use std::time::Duration;

use crate::{
    process::Process,
    table::Cases,
    unary::{Call, Caller},
};

/// The same for the floor and the load as for the service.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long each case runs in a round.
const TURN: Duration = Duration::from_millis(1_000);
/// Connections that load comes on, the same for everyone.
const CONNECTIONS: usize = 10;
/// Batches, or pipelines, that each connection has unanswered.
const IN_FLIGHT: usize = 4;
/// When a process has all that it needs at its start, and what allocators keep for a moment is given back.
const SETTLED_AFTER: Duration = Duration::from_secs(2);
/// Who asks for slots at once: a call each on one connection; a connection each at Redis, which answers one call at a time.
const SLOT_CALLERS: usize = 50;
const PLAIN_EVENTS: usize = 100;
const COLUMN_EVENTS: usize = 1_000;
/// Calls a second at which latency is compared; a machine that can't carry them takes the next.
const RATES: [u32; 4] = [10_000, 5_000, 2_000, 1_000];

fn main() {
    if std::env::args().any(|argument| argument == floor::ARGUMENT) {
        floor::serve();
        return;
    }
    let rounds = std::env::var("HIGHWATER_BENCH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(5);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    let mut page = format!("{}; {rounds} rounds.\n\n", table::machine());
    println!("{page}");
    let mut tell = |cases: Cases| {
        let tables = cases.markdown();
        println!("{tables}");
        page.push_str(&tables);
    };
    let only = std::env::var("HIGHWATER_BENCH_ONLY").unwrap_or_default();
    let wants = |what: &str| only.is_empty() || only == what;
    if wants("events") {
        for live in [100_000, 1_000_000] {
            tell(runtime.block_on(events(live, rounds)));
        }
    }
    if wants("calls") {
        tell(runtime.block_on(calls(rounds)));
    }
    if wants("slots") {
        tell(runtime.block_on(acquires(rounds)));
    }
    if let Ok(path) = std::env::var("HIGHWATER_BENCH_MARKDOWN") {
        std::fs::write(path, page).expect("the file of the tables can be written");
    }
}

/// Connects and disconnects in batches, at so many live sessions.
async fn events(live: usize, rounds: usize) -> Cases {
    let mut cases = Cases::default();
    let group = format!("{} live sessions", table::thousands(live as f64));
    let server = Process::redis();
    let ours = Process::highwater();
    let mut redis = redis::connect(server.address, CONNECTIONS, live).await;
    tokio::time::sleep(SETTLED_AFTER).await;
    let empty = ours.memory();
    let mut streams = stream::attach(&ours, live).await;
    tokio::time::sleep(SETTLED_AFTER).await;
    let memory = ours.memory().saturating_sub(empty) as f64 / live as f64;
    cases.note(&group, &format!("Highwater holds {memory:.0} bytes of memory a live session, all told."));
    for round in 0..rounds {
        eprintln!("{group}: round {} of {rounds}", round + 1);
        let mut turn = |name: &'static str, spent: Duration, events: u64| {
            cases.add(&group, name, spent.as_nanos() as f64 / events as f64);
        };
        for (name, way) in redis::WAYS {
            let before = server.cpu();
            let events = redis::run(&mut redis, way, TURN).await;
            turn(name, server.cpu() - before, events);
        }
        for (name, way) in stream::WAYS {
            let before = ours.cpu();
            let events = stream::run(&mut streams, way, TURN).await;
            turn(name, ours.cpu() - before, events);
        }
    }
    cases
}

/// Unary calls.
async fn calls(rounds: usize) -> Cases {
    let mut cases = Cases::default();
    let (floor, ours) = (Process::floor(), Process::highwater());
    let mut sides = Vec::new();
    for (name, process, call) in [
        ("empty tonic call", &floor, Call::Empty),
        ("same message, nothing done", &floor, Call::Report),
        ("Highwater: Report", &ours, Call::Report),
    ] {
        sides.push(Side { name, process, callers: unary::connect(process, call).await });
    }
    saturated(&mut cases, "unary calls", &mut sides, rounds, async |_| {}).await;
    paced(&mut cases, "", &mut sides, rounds).await;
    cases
}

/// Slots of enforced limits: each caller has one, and gives it back.
async fn acquires(rounds: usize) -> Cases {
    let mut cases = Cases::default();
    let (floor, ours, server) = (Process::floor(), Process::highwater(), Process::redis());
    slots::enforce(&ours).await;
    let mut redis = redis::connect(server.address, SLOT_CALLERS, 0).await;
    let mut sides = Vec::new();
    for (name, process, call) in
        [("empty tonic call", &floor, Call::Empty), ("Highwater: Acquire, Release", &ours, Call::Acquire)]
    {
        sides.push(Side { name, process, callers: unary::connect_as(process, call, 1, SLOT_CALLERS).await });
    }
    let group = "slots, one connection with 50 in flight";
    saturated(&mut cases, group, &mut sides, rounds, async |cases: &mut Cases| {
        let before = server.cpu();
        let calls = redis::run(&mut redis, redis::Way::Semaphore, TURN).await;
        cases.add(group, redis::SEMAPHORE, (server.cpu() - before).as_nanos() as f64 / calls as f64);
    })
    .await;
    let mut sides = Vec::new();
    for (name, process, call) in
        [("empty tonic call", &floor, Call::Empty), ("Highwater: Acquire, Release", &ours, Call::Acquire)]
    {
        sides.push(Side { name, process, callers: unary::connect(process, call).await });
    }
    paced(&mut cases, "slots: ", &mut sides, rounds).await;
    cases
}

/// One that is compared, and those that call it.
struct Side<'p> {
    name: &'static str,
    process: &'p Process,
    callers: Vec<Caller>,
}

/// As many calls as go: what each costs. Another has its turn in each round.
async fn saturated(
    cases: &mut Cases,
    group: &str,
    sides: &mut [Side<'_>],
    rounds: usize,
    mut another: impl AsyncFnMut(&mut Cases),
) {
    for round in 0..rounds {
        eprintln!("{group}: round {} of {rounds}", round + 1);
        another(cases).await;
        for Side { name, process, callers } in &mut *sides {
            let before = process.cpu();
            let calls = unary::saturate(callers, TURN).await;
            cases.add(group, name, (process.cpu() - before).as_nanos() as f64 / calls as f64);
        }
    }
}

/// So many calls a second: how long each takes.
async fn paced(cases: &mut Cases, of: &str, sides: &mut [Side<'_>], rounds: usize) {
    for rate in RATES {
        let at = format!("at {} calls a second", table::thousands(f64::from(rate)));
        let (median, tail) = (format!("{of}p50 latency {at}"), format!("{of}p99 latency {at}"));
        let mut carried = true;
        for _ in 0..rounds {
            for Side { name, callers, .. } in &mut *sides {
                let paced = unary::paced(callers, rate, TURN).await;
                carried &= paced.kept_up;
                cases.add(&median, name, paced.median.as_nanos() as f64);
                cases.add(&tail, name, paced.tail.as_nanos() as f64);
            }
        }
        if carried {
            break;
        }
        cases.note(&median, "The machine did not carry this rate in every round.");
    }
}
