//! What it costs to know who calls, at the gate: where nobody needs a key, with a key that the thread has verified before,
//! and with none.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::http::Request;
use highwater::{
    access::Role,
    api::auth::{self, table},
    config::Config,
    model::Project,
    service::{Actor, Clock, Service, access::decide::NewKey},
    store::EmbeddedStore,
};

const CALLS: u32 = 200_000;
const PATH: &str = "/highwater.v1.IngestService/Report";

fn service(dev: bool) -> Arc<Service> {
    let mut config = Config::default();
    config.dev = dev;
    let store = EmbeddedStore::in_memory().expect("a store in memory can be made");
    Service::open(config, Arc::new(store), Clock::start()).expect("the service can be opened")
}

fn call(token: Option<&str>) -> Request<()> {
    let call = Request::builder().uri(PATH);
    let call = token.iter().fold(call, |call, token| call.header("authorization", format!("Bearer {token}")));
    call.body(()).expect("a path and a key are ASCII")
}

fn measure(what: &str, calls: u32, mut call: impl FnMut()) {
    let best = (0..5).map(|_| {
        let started = Instant::now();
        (0..calls).for_each(|_| call());
        started.elapsed() / calls
    });
    println!("{what:60} {:>8} ns", best.min().unwrap_or(Duration::ZERO).as_nanos());
}

fn main() {
    let (open, keyed) = (service(true), service(false));
    let project = Project::new("bench").expect("it is a name");
    let new = NewKey { name: String::new(), project, role: Role::Worker, not_before: None, expires: None };
    let made = keyed.access.create_key(new, &Actor::offline(), Clock::wall());
    let (_, token) = made.expect("a key can be made");
    let (with_key, without) = (call(Some(token.expose())), call(None));
    let peer = Arc::default();
    let rule = table::rule(PATH).expect("it is served");
    measure("the gate, where nobody needs a key", CALLS, || {
        black_box(auth::admit(&open, rule, &with_key, &peer).is_ok());
    });
    measure("the gate, a key that the thread has verified", CALLS, || {
        black_box(auth::admit(&keyed, rule, &with_key, &peer).is_ok());
    });
    measure("the gate, none", CALLS / 10, || {
        black_box(auth::admit(&keyed, rule, &without, &peer).is_err());
    });
}
