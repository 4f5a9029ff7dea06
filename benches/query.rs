//! How quick reads are at the server while workers report: the peaks of a week of minutes for 20 keys, and a list of 200
//! keys. Prints the median and the slowest of many; needs nothing but the library.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use highwater::{
    api::{aside::Aside, auth::Caller, ingest::seats::Seats, notices::Notifier, quota::Quotas},
    config::Config,
    live::Event,
    model::{
        Flags, Hour, Incarnation, Key, KeyHour, KeyId, Kind, Meter, Outcome, Point, Project, SessionId, Target,
        limit::MAX_SLOTS,
    },
    proto::{GetHistoryRequest, ListQuotasRequest, quota_service_server::QuotaService},
    query::Queries,
    service::{Actor, Author, Clock, Service, record::Recorder},
    store::{Store, embedded::EmbeddedStore},
};
use prost::Message;
use tonic::Request;

const KEYS: u32 = 200;
const HISTORY_KEYS: usize = 20;
const HOURS: u32 = 7 * 24;
const ROUNDS: usize = 200;
/// Events a second of the ingest that runs meanwhile.
const EVENTS_A_SECOND: u32 = 2_000;

fn project() -> Project {
    Project::new("bench").expect("the name is one")
}

fn meter(nth: u32) -> Meter {
    Meter::new(Kind::Tts, &format!("bench/model-{nth:03}"), "", None).expect("the name is one")
}

fn key(nth: u32) -> Key {
    Key { project: project(), target: Target::Meter(meter(nth)) }
}

/// An hour as there are in a fleet: of ten keys six are idle, three are small and one is busy.
fn hour(key: u32, hour: u32) -> KeyHour {
    let mut made = KeyHour::gap();
    let scale = [0, 0, 0, 0, 0, 0, 4, 4, 4, 60][key as usize % 10];
    for (minute, point) in (0_u32..).zip(&mut made.points) {
        let noise = (key ^ hour).wrapping_mul(0x9e37_79b9).wrapping_add(minute.wrapping_mul(0x85eb_ca6b)) >> 16;
        let peak = if scale == 0 { 0 } else { scale / 2 + noise % scale };
        let mut closed = [0; Outcome::COUNT];
        closed[0] = peak;
        *point =
            Point { peak, last: peak / 2, opened: peak, closed, covered: 60, flags: Flags::default(), ..Point::GAP };
        made.levels.add(u64::from(peak), 60);
        made.durations.add(u64::from(1_000 + noise % 64 * 1_000), u64::from(peak));
    }
    made
}

fn service(directory: &std::path::Path) -> Arc<Service> {
    let store = EmbeddedStore::open(&directory.join("store.redb")).expect("the store can be made");
    let clock = Clock::start();
    let this_hour = clock.now().wall.tick().hour().0;
    for nth in 0..KEYS {
        let rows: Vec<_> = (this_hour - HOURS..this_hour).map(|at| (KeyId(nth), Hour(at), hour(nth, at))).collect();
        store.put_hours(&[(KeyId(nth), key(nth))], &rows).expect("the hours can be written");
    }
    Service::open(Config::default(), Arc::new(store), clock).expect("the service can be opened")
}

/// Reports and records until it is told to stop.
fn ingest(service: &Arc<Service>, stop: &Arc<AtomicBool>) -> [thread::JoinHandle<()>; 2] {
    let (service, stop) = (service.clone(), stop.clone());
    let recording = {
        let (service, stop) = (service.clone(), stop.clone());
        thread::spawn(move || {
            let mut recorder = Recorder::default();
            while !stop.load(Ordering::Acquire) {
                recorder.step(&service, service.clock.now());
                thread::sleep(Duration::from_secs(1));
            }
        })
    };
    let reporting = thread::spawn(move || {
        let worker = Incarnation([1; 16]);
        let meters: Vec<_> =
            (0..KEYS).map(|nth| service.live.meter(&project(), &meter(nth), service.clock.now())).collect();
        let meters: Vec<_> = meters.into_iter().map(|made| made.expect("there is room")).collect();
        let id = |nth: u32| SessionId(std::array::from_fn(|at| nth.to_le_bytes().get(at).copied().unwrap_or(1)));
        let batch = EVENTS_A_SECOND / 100;
        for round in 0_u32.. {
            if stop.load(Ordering::Acquire) {
                break;
            }
            let events = (0..batch).map(|nth| {
                let nth = round / 2 * batch + nth;
                let meter = meters[nth as usize % meters.len()].clone();
                match round % 2 {
                    0 => Event::Open { id: id(nth), meter, age: Duration::ZERO, labels: None },
                    _ => Event::Close { id: id(nth), outcome: Outcome::Ok, age: Duration::ZERO, meter: None },
                }
            });
            let lease = Duration::from_secs(60);
            let _ = service.live.report(&project(), "bench", worker, lease, events.collect(), service.clock.now());
            thread::sleep(Duration::from_millis(10));
        }
    });
    [recording, reporting]
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn measure(name: &str, goal: &str, mut work: impl FnMut() -> usize) -> String {
    let mut times: Vec<Duration> = Vec::with_capacity(ROUNDS);
    let mut bytes = 0;
    let first = Instant::now();
    bytes += work();
    let first = first.elapsed();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        bytes = work();
        times.push(start.elapsed());
        thread::sleep(Duration::from_millis(5));
    }
    times.sort_unstable();
    let (median, slow, slowest) = (times[ROUNDS / 2], times[ROUNDS * 99 / 100], times[ROUNDS - 1]);
    println!(
        "{name}: median {median:?} (goal {goal}), 99 % {slow:?}, slowest {slowest:?}, first {first:?}, {bytes} bytes"
    );
    format!("| {name} | {median:.1?} | {slowest:.1?} | {goal} |\n")
}

/// A call of someone who needs no key.
fn known<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(Caller::anyone(Arc::default(), ""));
    request
}

fn main() {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let service = service(directory.path());
    let author = || Author { set_by: "bench".to_owned(), reason: String::new(), actor: Actor::service() };
    for nth in 0..KEYS {
        let slots = if nth % 10 == 9 { 80 } else { MAX_SLOTS };
        service.set_limit(&key(nth), slots, None, author(), service.clock.now()).expect("the limit can be set");
    }
    let stop = Arc::new(AtomicBool::new(false));
    let ingest = ingest(&service, &stop);
    thread::sleep(Duration::from_millis(1_500));

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    let notifier = Notifier::default();
    let aside = Aside::new(Arc::new(Queries::new(service.clone())));
    let quotas = Quotas::new(aside, notifier.notices().draining, Seats::default());
    let targets: Vec<_> = (0..KEYS as usize)
        .step_by(KEYS as usize / HISTORY_KEYS - 1)
        .take(HISTORY_KEYS)
        .map(|nth| highwater::api::convert::to_target(&key(nth as u32).target))
        .collect();
    let project = project().to_string();
    let history = measure("peaks of a week of minutes, 20 meters", "2 ms", || {
        let request = GetHistoryRequest { project: project.clone(), targets: targets.clone(), ..Default::default() };
        let answer = runtime.block_on(quotas.get_history(known(request))).expect("there is a history");
        answer.get_ref().encode_to_vec().len()
    });
    let list = measure("list of 200 meters", "none", || {
        let request = ListQuotasRequest { project: project.clone(), page_size: 1_000, ..Default::default() };
        let answer = runtime.block_on(quotas.list_quotas(known(request))).expect("there is a list");
        answer.get_ref().encode_to_vec().len()
    });
    if let Some(path) = std::env::var_os("HIGHWATER_BENCH_MARKDOWN") {
        std::fs::write(path, history + &list).expect("the table can be written");
    }
    stop.store(true, Ordering::Release);
    for thread in ingest {
        thread.join().expect("it ends well");
    }
}
