//! What a scrape costs: the page of 20,000 busy meters in 20 projects, within the bounds as they are, and with room for
//! each. Prints the median and the slowest of many; needs nothing but the library.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use highwater::{
    config::{Config, SeriesBounds},
    live::Event,
    metrics::Metrics,
    model::{Incarnation, Kind, Meter, Outcome, Project, SessionId},
    service::{Clock, Service},
    store::embedded::EmbeddedStore,
};

const PROJECTS: u32 = 20;
const METERS: u32 = 1_000;
const ROUNDS: usize = 20;

fn service(series: SeriesBounds) -> Arc<Service> {
    let mut config = Config::default();
    config.series = series;
    let store = EmbeddedStore::in_memory().expect("a store in memory can be made");
    let service = Service::open(config, Arc::new(store), Clock::start()).expect("the service can be opened");
    let now = service.clock.now();
    for nth in 0..PROJECTS {
        let project = Project::new(&format!("project-{nth}")).expect("the name is one");
        for model in 0..METERS {
            let meter = Meter::new(Kind::Tts, &format!("provider/model-{model}"), "", None).expect("the name is one");
            let meter = service.live.meter(&project, &meter, now).expect("there is room");
            let id = SessionId(u128::from(model).to_le_bytes());
            let open = Event::Open { id, meter: meter.clone(), age: Duration::ZERO, labels: None };
            let held = SessionId((u128::from(model) << 32).to_le_bytes());
            let hold = Event::Open { id: held, meter, age: Duration::ZERO, labels: None };
            let close = Event::Close { id, outcome: Outcome::Ok, age: Duration::ZERO, meter: None };
            let worker = Incarnation(u128::from(nth).to_le_bytes());
            let lease = Duration::from_secs(3_600);
            let done = service.live.report(&project, "bench", worker, lease, vec![open, hold, close], now);
            done.expect("there is room");
        }
    }
    service
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn measure(name: &str, series: SeriesBounds) {
    let service = service(series);
    let metrics = Metrics::new(service.clone());
    let mut times = Vec::with_capacity(ROUNDS);
    let (mut lines, mut bytes) = (0, 0);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let page = metrics.page(0, service.clock.now()).expect("there is a page");
        times.push(start.elapsed());
        (lines, bytes) = (page.lines().count(), page.len());
    }
    times.sort_unstable();
    let (median, slowest) = (times[ROUNDS / 2], times[ROUNDS - 1]);
    println!("{name}: median {median:?}, slowest {slowest:?}, {lines} lines, {bytes} bytes");
}

fn main() {
    let bounds = Config::default().series;
    measure("page, 20,000 meters, 50,000 series at most", bounds);
    measure("page, 20,000 meters, room for each", SeriesBounds { in_all: 1_000_000, per_project: 1_000_000 });
}
