//! Who is told of routes, and when.

use std::sync::Arc;

use highwater::{
    client::{self, Acquired, Wanted, WorkerClient, WorkerConfig},
    model::Time,
    proto::{
        DeleteChainRequest, EndOverrideRequest, GetRoutesRequest, Override, SetOverrideRequest, WatchRoutesRequest,
        r#override::Action, route_service_client::RouteServiceClient,
    },
    store::{Store, embedded::EmbeddedStore},
};
use tokio::task::JoinSet;
use tonic::Streaming;

use super::*;

type Watching = Streaming<highwater::proto::WatchRoutesResponse>;

async fn watch(serving: &Serving) -> Watching {
    let mut client = RouteServiceClient::new(serving.channel().await);
    client.watch_routes(WatchRoutesRequest::default()).await.unwrap().into_inner()
}

async fn heard(watching: &mut Watching) -> Routes {
    let told = timeout(SOON, watching.message()).await.expect("something is heard soon");
    told.unwrap().unwrap().routes.unwrap()
}

pub async fn set_override(serving: &Serving, model: &str, action: Action) -> Override {
    let in_an_hour = serving.service.clock.now().wall.after(Duration::from_secs(3_600));
    let request = SetOverrideRequest {
        chain: CHAIN.into(),
        model: Some(meter(model)),
        action: action as i32,
        end_time: Some(highwater::api::convert::to_timestamp(in_an_hour)),
        reason: "the voice crackles".into(),
        ..Default::default()
    };
    let mut client = ChainServiceClient::new(serving.channel().await);
    client.set_override(request).await.unwrap().into_inner().r#override.unwrap()
}

pub async fn end_override(serving: &Serving, model: &str) {
    let (chain, model) = (CHAIN.into(), Some(meter(model)));
    let request = EndOverrideRequest { chain, model, reason: "it is well".into(), ..Default::default() };
    ChainServiceClient::new(serving.channel().await).end_override(request).await.unwrap();
}

#[tokio::test]
async fn who_watches_hears_of_chains_pins_and_drains_and_that_a_chain_is_gone() {
    let serving = Serving::start();
    let mut watching = watch(&serving).await;
    let none = heard(&mut watching).await;
    assert_eq!((none.version, none.chains.len()), (0, 0));
    set_chain(&serving, CHAIN, &[MODEL, OTHER]).await;
    let first = heard(&mut watching).await;
    assert_eq!(
        (stands(&first), first.chains[0].kind()),
        (vec![(Stand::Open, 100), (Stand::Open, 0)], highwater::proto::Kind::Tts)
    );
    set_override(&serving, OTHER, Action::Pin).await;
    let pinned = heard(&mut watching).await;
    assert_eq!((stands(&pinned), pinned.chains[0].leader), (vec![(Stand::Open, 0), (Stand::Pinned, 100)], 1));
    is_of(&granted(say(&serving, ask(1, "a")).await), OTHER, GrantReason::Leads);
    end_override(&serving, OTHER).await;
    set_override(&serving, OTHER, Action::Drain).await;
    let drained = until(&serving, "it is drained", |routes| routes.chains[0].models[1].stand() == Stand::Drained).await;
    assert_eq!(drained.chains[0].models[1].percent, 0);
    let failed = AcquireRequest { failed: vec![meter(MODEL)], ..ask(1, "b") };
    assert_eq!(refused(say(&serving, failed).await).cause(), RefusalCause::NoModel);
    let mut client = ChainServiceClient::new(serving.channel().await);
    client.delete_chain(DeleteChainRequest { name: CHAIN.into(), ..Default::default() }).await.unwrap();
    let mut last = pinned.version;
    let gone = loop {
        let routes = heard(&mut watching).await;
        assert!(routes.version > last);
        last = routes.version;
        if routes.chains.is_empty() {
            break routes;
        }
    };
    let mut client = RouteServiceClient::new(serving.channel().await);
    let now = client.get_routes(GetRoutesRequest::default()).await.unwrap().into_inner().routes.unwrap();
    assert_eq!(now, gone);
    let mut worker = Worker::attach(&serving, hello(1, 1)).await;
    worker.say(crate::serving::snapshot(&[])).await;
    assert!(matches!(worker.hear().await, Heard::Ack(_)), "a project without chains hears of none");
    set_chain(&serving, CHAIN, &[MODEL]).await;
    assert_eq!(hear_routes(&mut worker).await.chains.len(), 1);
}

#[tokio::test]
async fn a_flood_of_changes_is_no_storm_and_who_reads_slowly_gets_the_newest_alone() {
    let serving = with_chain(Mode::Enforce, [4, 4]).await;
    let mut slow = serving.service.listen_to_routes(&project(), serving.service.clock.now());
    let first = slow.newest().number;
    let mut worker = Worker::attach(&serving, hello(1, 1)).await;
    let began = serving.service.clock.now().mono;
    for round in 0..200_u32 {
        limit(&serving, MODEL, round % 2);
        let refill = AcquireRequest { chain: String::new(), meters: vec![meter(MODEL)], ..ask(9, "x") };
        say(&serving, refill).await;
        release(&serving, 9, "x", Outcome::Ok).await;
    }
    limit(&serving, MODEL, 0);
    until(&serving, "it is full", |routes| routes.chains[0].models[0].stand() == Stand::Full).await;
    let intervals = serving.service.clock.now().mono.since(began).as_millis() / 100 + 2;
    let newest = routes(&serving);
    assert_eq!(slow.newest().number, newest.version);
    assert!(timeout(Duration::from_millis(300), slow.changed()).await.is_err(), "nothing waits behind the newest");
    let mut versions = vec![hear_routes(&mut worker).await.version];
    while *versions.last().unwrap() < newest.version {
        versions.push(hear_routes(&mut worker).await.version);
    }
    assert!(versions.is_sorted() && versions[0] >= first);
    assert!(versions.len() as u128 <= intervals, "{} versions in {intervals} intervals", versions.len());
}

#[tokio::test]
async fn a_quiet_project_is_told_from_a_broken_line() {
    let serving = with_chain(Mode::Enforce, [4, 4]).await;
    let mut watching = watch(&serving).await;
    let first = heard(&mut watching).await;
    let again = timeout(Duration::from_secs(15), watching.message()).await.expect("one in any 15 s").unwrap();
    assert_eq!(again.unwrap().routes.unwrap(), first);
}

#[tokio::test]
async fn versions_grow_over_a_restart() {
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory().unwrap());
    let mut serving = Serving::on(crate::serving::config(), store.clone());
    set_chain(&serving, CHAIN, &[MODEL, OTHER]).await;
    let before = routes(&serving);
    serving.stop();
    serving.stopped().await;
    let serving = Serving::on(crate::serving::config(), store);
    let mut worker = Worker::attach(&serving, hello(1, 1)).await;
    let after = hear_routes(&mut worker).await;
    assert!(after.version > before.version && before.version > 0);
    assert_eq!(after.chains, before.chains);
}

#[tokio::test]
async fn the_client_asks_by_chain_and_knows_the_routes() {
    let serving = with_chain(Mode::Enforce, [1, 1]).await;
    let url = format!("http://{}", serving.address);
    let worker = WorkerClient::attach(client::channel(&url).unwrap(), WorkerConfig::new("default", "w"));
    let mut routes = worker.watch_routes();
    let wanted = || Wanted::by_chain(CHAIN);
    let Acquired::Granted(first) = worker.acquire("a", wanted()).await.unwrap() else { panic!() };
    is_of(&first, MODEL, GrantReason::Leads);
    let full = timeout(
        SOON,
        routes.wait_for(|routes| routes.chains.first().is_some_and(|chain| chain.models[0].stand() == Stand::Full)),
    );
    full.await.unwrap().unwrap();
    let Acquired::Granted(second) = worker.acquire("b", wanted()).await.unwrap() else { panic!() };
    is_of(&second, OTHER, GrantReason::Overflow);
    worker.cut();
    timeout(SOON, async {
        while worker.stats().reconnects < 1 {
            sleep(Duration::from_millis(5)).await
        }
    })
    .await
    .unwrap();
    worker.attached().await.unwrap();
    assert!(worker.close("a", highwater::model::Outcome::Ok) && worker.close("b", highwater::model::Outcome::Ok));
    worker.flushed().await.unwrap();
    serving.until_level(0).await;
    assert_eq!(worker.stats().resyncs, 0);
    assert_eq!(worker.routes().chains[0].chain, CHAIN);
}

/// How long it takes until the last of 2,000 workers has heard of a new version.
#[tokio::test]
async fn heavy_two_thousand_workers_hear_of_a_new_version() {
    const WORKERS: usize = 2_000;
    const ROUNDS: usize = 5;
    let serving = Serving::start();
    set_chain(&serving, CHAIN, &[MODEL, OTHER]).await;
    let mut workers = Vec::new();
    // Streams share connections, as those of a gateway do.
    for _ in 0..WORKERS / 50 {
        let channel = serving.channel().await;
        for _ in 0..50 {
            let mut worker = Worker::open_on(channel.clone()).await;
            let hello = highwater::proto::Hello { incarnation: rand::random::<[u8; 16]>().into(), ..hello(1, 1) };
            worker.say(Say::Hello(hello)).await;
            hear_routes(&mut worker).await;
            workers.push(worker);
        }
    }
    for round in 0..ROUNDS {
        let mut hearing = JoinSet::new();
        for mut worker in workers.drain(..) {
            let service = serving.service.clone();
            hearing.spawn(async move {
                let routes = hear_routes(&mut worker).await;
                (worker, service.clock.now().wall, routes.version)
            });
        }
        sleep(Duration::from_millis(50)).await;
        let asked = serving.service.clock.now().wall;
        match round % 2 {
            0 => drop(set_override(&serving, OTHER, Action::Pin).await),
            _ => end_override(&serving, OTHER).await,
        }
        let (mut last, mut made) = (asked, asked);
        while let Some(heard) = hearing.join_next().await {
            let (worker, at, version) = heard.unwrap();
            (last, made) = (last.max(at), made.max(Time(version)));
            workers.push(worker);
        }
        let [after_made, after_asked] = [made, asked].map(|since| last.since(since).as_secs_f64() * 1e3);
        println!(
            "round {round}: the last of {WORKERS} workers heard {after_made:.1} ms after the version was made, {after_asked:.1} ms \
             after it was asked for"
        );
    }
}
