//! Slots that are asked for by chain, routes and their signals, over a real connection to a real service.

mod told;
mod turns;
mod well;

use std::time::Duration;

use highwater::{
    live::sync::Ordering,
    model::{Enforcement, Key, Kind, Meter as Name, Mode, Now, Project, Target},
    proto::{
        AcquireRequest, AcquireResponse, Condition, GrantReason, Granted, Labels, Outcome, RefusalCause,
        ReleaseRequest, Routes, SetChainRequest, Stand, StreamAcquire, acquired, attach_request::Message as Say,
        attach_response::Message as Heard, chain_service_client::ChainServiceClient,
    },
    service::{Actor, Author},
};
use tokio::time::{sleep, timeout};
use tonic::Code;

use crate::{
    acquire::{granted, refused},
    serving::{MODEL, SOON, Serving, Worker, hello, id, meter, wrong},
};

const OTHER: &str = "elevenlabs/eleven_turbo_v2_5";
const CHAIN: &str = "agents";

fn author() -> Author {
    Author { set_by: "kim".into(), reason: String::new(), actor: Actor::service() }
}

fn project() -> Project {
    Project::new("").unwrap()
}

fn key(model: &str) -> Key {
    Key { project: project(), target: Target::Meter(Name::new(Kind::Tts, model, "", None).unwrap()) }
}

fn limit(serving: &Serving, model: &str, slots: u32) {
    let now = serving.service.clock.now();
    serving.service.set_limit(&key(model), slots, None, author(), now).unwrap();
}

/// A service with a chain of two models, and limits that are enforced or observed.
async fn with_chain(mode: Mode, limits: [u32; 2]) -> Serving {
    let serving = Serving::start();
    limit(&serving, MODEL, limits[0]);
    limit(&serving, OTHER, limits[1]);
    let enforcement = Some(Enforcement { mode, kept_percent: 0 });
    serving.service.choose_enforcement(&(project(), None), enforcement, author(), serving.service.clock.now()).unwrap();
    set_chain(&serving, CHAIN, &[MODEL, OTHER]).await;
    serving
}

async fn set_chain(serving: &Serving, name: &str, models: &[&str]) {
    let request = SetChainRequest {
        name: name.into(),
        kind: Kind::Tts as i32,
        models: models.iter().map(|model| meter(model)).collect(),
        ..Default::default()
    };
    ChainServiceClient::new(serving.channel().await).set_chain(request).await.unwrap();
}

fn ask(worker: u8, session: &str) -> AcquireRequest {
    AcquireRequest {
        worker_id: format!("w{worker}"),
        incarnation: id(worker),
        session_id: session.into(),
        chain: CHAIN.into(),
        ..AcquireRequest::default()
    }
}

fn of_job(worker: u8, session: &str, job: &str) -> AcquireRequest {
    AcquireRequest { labels: Some(Labels { job: job.into(), room: String::new() }), ..ask(worker, session) }
}

async fn say(serving: &Serving, request: AcquireRequest) -> AcquireResponse {
    serving.ingest().await.acquire(request).await.unwrap().into_inner()
}

#[track_caller]
fn is_of(granted: &Granted, model: &str, reason: GrantReason) {
    assert_eq!((granted.meter.as_ref().unwrap().model.as_str(), granted.reason()), (model, reason), "{granted:?}");
    assert_eq!((granted.diverted, granted.chain.as_str()), (model != MODEL, CHAIN));
}

async fn release(serving: &Serving, worker: u8, session: &str, outcome: Outcome) {
    let request = ReleaseRequest {
        worker_id: format!("w{worker}"),
        incarnation: id(worker),
        session_id: session.into(),
        outcome: outcome as i32,
        ..Default::default()
    };
    serving.ingest().await.release(request).await.unwrap();
}

fn routes(serving: &Serving) -> Routes {
    highwater::api::routed::to_routes(&serving.service.routes_of(&project(), serving.service.clock.now()))
}

/// Waits until the routes are as they should be.
async fn until(serving: &Serving, what: &str, is: impl Fn(&Routes) -> bool) -> Routes {
    let found = timeout(SOON, async {
        loop {
            let routes = routes(serving);
            if is(&routes) {
                return routes;
            }
            sleep(Duration::from_millis(10)).await;
        }
    });
    found.await.unwrap_or_else(|_| panic!("{what}: {:#?}", routes(serving)))
}

/// Steps as if so much time had passed.
fn later(serving: &Serving, by: Duration) {
    let now = serving.service.clock.now();
    serving.service.step_routes(Now { mono: now.mono.after(by), ..now });
}

fn stands(routes: &Routes) -> Vec<(Stand, u32)> {
    routes.chains[0].models.iter().map(|model| (model.stand(), model.percent)).collect()
}

async fn hear_routes(worker: &mut Worker) -> Routes {
    loop {
        if let Heard::Routes(routes) = worker.hear().await {
            return routes;
        }
    }
}

async fn acquire_on_stream(worker: &mut Worker, session: u8, request: StreamAcquire) -> acquired::Result {
    worker.say(Say::Acquire(StreamAcquire { session_id: id(session), ..request })).await;
    loop {
        if let Heard::Acquired(acquired) = worker.hear().await {
            assert_eq!(acquired.session_id, id(session));
            return acquired.result.unwrap();
        }
    }
}

#[tokio::test]
async fn others_fill_the_primary_and_a_stream_hears_of_it_and_is_given_the_fallback() {
    let serving = with_chain(Mode::Enforce, [4, 4]).await;
    let mut worker = Worker::attach(&serving, hello(1, 1)).await;
    let first = hear_routes(&mut worker).await;
    assert_eq!((first.chains[0].chain.as_str(), first.chains[0].leader), (CHAIN, 0));
    assert_eq!(stands(&first), [(Stand::Open, 100), (Stand::Open, 0)]);
    worker.say(crate::serving::snapshot(&[])).await;
    let by_chain = || StreamAcquire { chain: CHAIN.into(), ..Default::default() };
    let acquired::Result::Granted(leads) = acquire_on_stream(&mut worker, 1, by_chain()).await else { panic!() };
    is_of(&leads, MODEL, GrantReason::Leads);

    // Others fill it, and ask for it by name.
    for session in ["a", "b", "c"] {
        let by_model = AcquireRequest { chain: String::new(), meters: vec![meter(MODEL)], ..ask(9, session) };
        granted(say(&serving, by_model).await);
    }
    let full = hear_routes(&mut worker).await;
    assert!(full.version > first.version);
    assert_eq!(stands(&full), [(Stand::Full, 0), (Stand::Open, 100)]);
    let acquired::Result::Granted(fallback) = acquire_on_stream(&mut worker, 2, by_chain()).await else { panic!() };
    is_of(&fallback, OTHER, GrantReason::Overflow);
    assert_eq!(fallback.passed_over[0].message, "model limit: 4 of 4 held (most by w9 3, worker-1 1)");

    // A chain that is not there is no reason to end a stream.
    let unknown = StreamAcquire { chain: "voices".into(), ..Default::default() };
    let acquired::Result::Refused(none) = acquire_on_stream(&mut worker, 3, unknown).await else { panic!() };
    assert_eq!(none.cause(), RefusalCause::NoChain);
    assert_eq!(none.message, "there is no chain voices; the project has agents");
    let both = StreamAcquire { handles: vec![1], ..by_chain() };
    worker.say(Say::Acquire(StreamAcquire { session_id: id(4), ..both })).await;
    assert_eq!(worker.end().await.code(), Code::InvalidArgument);

    // What was diverted is unmet demand on the primary.
    let primary = serving.service.live.registry.find_meter(&key(MODEL)).unwrap();
    assert_eq!((primary.totals().diverted, primary.totals().refused), (1, 0));
}

#[tokio::test]
async fn a_call_by_chain_is_answered_the_same_twice_and_what_is_wrong_with_it_is_said() {
    let serving = with_chain(Mode::Enforce, [1, 1]).await;
    is_of(&granted(say(&serving, ask(1, "a")).await), MODEL, GrantReason::Leads);
    let again = granted(say(&serving, ask(1, "a")).await);
    assert!(again.again);
    is_of(&again, MODEL, GrantReason::Leads);
    is_of(&granted(say(&serving, ask(1, "b")).await), OTHER, GrantReason::Overflow);
    is_of(&granted(say(&serving, ask(1, "b")).await), OTHER, GrantReason::Overflow);
    let full = refused(say(&serving, ask(1, "c")).await);
    let models: Vec<_> = full.refusals.iter().map(|refusal| refusal.meter.clone().unwrap().model).collect();
    assert_eq!((full.cause(), models), (RefusalCause::ModelLimit, vec![MODEL.to_owned(), OTHER.to_owned()]));

    // What failed is passed over.
    release(&serving, 1, "a", Outcome::Other).await;
    release(&serving, 1, "b", Outcome::Other).await;
    let failed = AcquireRequest { failed: vec![meter(MODEL)], ..ask(1, "d") };
    is_of(&granted(say(&serving, failed).await), OTHER, GrantReason::Overflow);
    let all = AcquireRequest { failed: vec![meter(MODEL), meter(OTHER)], ..ask(1, "e") };
    assert_eq!(refused(say(&serving, all).await).cause(), RefusalCause::NoModel);

    let mut client = serving.ingest().await;
    let unknown = client.acquire(AcquireRequest { chain: "nope".into(), ..ask(1, "f") }).await.unwrap_err();
    assert_eq!((unknown.code(), unknown.message()), (Code::NotFound, "there is no chain nope; the project has agents"));
    let both = AcquireRequest { meters: vec![meter(MODEL)], ..ask(1, "f") };
    wrong(client.acquire(both).await, "chain", "name either a chain or the models");
    let no_chain = AcquireRequest { chain: String::new(), failed: vec![meter(MODEL)], ..ask(1, "f") };
    wrong(client.acquire(no_chain).await, "failed", "without a chain");
    let many = AcquireRequest { failed: vec![meter(MODEL); 9], ..ask(1, "f") };
    wrong(client.acquire(many).await, "failed", "at most 8");
    let long = AcquireRequest { chain: "x".repeat(65), ..ask(1, "f") };
    wrong(client.acquire(long).await, "chain", "65 bytes");
}

#[tokio::test]
async fn later_sessions_of_a_job_stay_and_who_waits_waits_for_any_model_of_the_chain() {
    let serving = with_chain(Mode::Enforce, [1, 3]).await;
    is_of(&granted(say(&serving, ask(1, "a")).await), MODEL, GrantReason::Leads);
    is_of(&granted(say(&serving, of_job(2, "b", "job-7")).await), OTHER, GrantReason::Overflow);
    release(&serving, 1, "a", Outcome::Ok).await;
    until(&serving, "the primary has room", |routes| routes.chains[0].models[0].stand() == Stand::Open).await;
    is_of(&granted(say(&serving, of_job(3, "c", "job-7")).await), OTHER, GrantReason::Stays);
    is_of(&granted(say(&serving, of_job(3, "d", "job-8")).await), MODEL, GrantReason::Leads);
    is_of(&granted(say(&serving, of_job(3, "e", "job-9")).await), OTHER, GrantReason::Overflow);

    let held: Vec<_> = serving.service.routes_of(&project(), serving.service.clock.now()).chains[0]
        .models
        .meters()
        .iter()
        .map(|meter| meter.tally.word.level())
        .collect();
    assert_eq!(held, [1, 3]);
    let waits = AcquireRequest { wait: Some(prost_types::Duration { seconds: 20, nanos: 0 }), ..ask(4, "f") };
    let frees = async {
        sleep(Duration::from_millis(50)).await;
        release(&serving, 3, "c", Outcome::Ok).await;
    };
    let (waited, ()) = tokio::join!(say(&serving, waits), frees);
    is_of(&granted(waited), OTHER, GrantReason::Overflow);
    // The job has ended where all its sessions have.
    release(&serving, 2, "b", Outcome::Ok).await;
    release(&serving, 3, "d", Outcome::Ok).await;
    until(&serving, "the primary has room", |routes| routes.chains[0].models[0].stand() == Stand::Open).await;
    is_of(&granted(say(&serving, of_job(3, "g", "job-7")).await), MODEL, GrantReason::Leads);
    assert_eq!(serving.service.live.drift(), 0);
}

#[tokio::test]
async fn a_limit_that_is_only_observed_moves_sessions_and_refuses_none() {
    let serving = with_chain(Mode::Observe, [1, 1]).await;
    is_of(&granted(say(&serving, ask(1, "a")).await), MODEL, GrantReason::Leads);
    is_of(&granted(say(&serving, ask(1, "b")).await), OTHER, GrantReason::Overflow);
    is_of(&granted(say(&serving, ask(1, "c")).await), MODEL, GrantReason::LastResort);
    let full = until(&serving, "both are full", |routes| routes.chains[0].models[1].stand() == Stand::Full).await;
    assert_eq!(full.chains[0].models[0].stand(), Stand::Full);
}

#[tokio::test]
async fn a_provider_that_fails_two_workers_is_left_tried_by_a_few_and_returned_to() {
    let serving = with_chain(Mode::Enforce, [20, 20]).await;
    let condition = |condition: Condition| move |routes: &Routes| routes.chains[0].models[0].condition() == condition;
    for nth in 0..4 {
        let session = format!("one-{nth}");
        granted(say(&serving, ask(1, &session)).await);
        release(&serving, 1, &session, Outcome::Unavailable).await;
    }
    sleep(Duration::from_millis(250)).await;
    assert!(condition(Condition::Up)(&routes(&serving)), "one worker's network is no provider");
    granted(say(&serving, ask(2, "two")).await);
    release(&serving, 2, "two", Outcome::Timeout).await;
    let down = until(&serving, "it is down", condition(Condition::Down)).await;
    assert_eq!((stands(&down), down.chains[0].leader), (vec![(Stand::Down, 0), (Stand::Open, 100)], 1));
    let fallback = granted(say(&serving, ask(1, "a")).await);
    is_of(&fallback, OTHER, GrantReason::Leads);
    let why: Vec<_> = fallback.passed_over.iter().map(|model| (model.cause(), &*model.message)).collect();
    assert_eq!(why, [(RefusalCause::ProviderDown, "its provider is down")]);

    later(&serving, Duration::from_secs(19));
    until(&serving, "it is tried", condition(Condition::Probing)).await;
    is_of(&granted(say(&serving, ask(1, "p1")).await), MODEL, GrantReason::Probe);
    is_of(&granted(say(&serving, ask(1, "b")).await), OTHER, GrantReason::Leads);
    is_of(&granted(say(&serving, ask(1, "p1")).await), MODEL, GrantReason::Probe);
    is_of(&granted(say(&serving, ask(2, "p2")).await), MODEL, GrantReason::Probe);
    is_of(&granted(say(&serving, ask(3, "p3")).await), MODEL, GrantReason::Probe);
    is_of(&granted(say(&serving, ask(4, "c")).await), OTHER, GrantReason::Leads);
    // One that was given up proves nothing, and another may try.
    release(&serving, 3, "p3", Outcome::Cancelled).await;
    sleep(Duration::from_millis(250)).await;
    is_of(&granted(say(&serving, ask(4, "p4")).await), MODEL, GrantReason::Probe);
    for (worker, session) in [(1, "p1"), (2, "p2"), (4, "p4")] {
        release(&serving, worker, session, Outcome::Ok).await;
    }
    until(&serving, "it is up", condition(Condition::Up)).await;
    later(&serving, Duration::from_secs(60));
    later(&serving, Duration::from_secs(180));
    let back = until(&serving, "it leads again", |routes| routes.chains[0].leader == 0).await;
    assert_eq!(stands(&back), [(Stand::Open, 100), (Stand::Open, 0)]);
    is_of(&granted(say(&serving, ask(1, "d")).await), MODEL, GrantReason::Leads);
}

#[tokio::test]
async fn a_probe_that_fails_closes_the_door_again() {
    let serving = with_chain(Mode::Enforce, [20, 20]).await;
    for worker in 1..=5 {
        granted(say(&serving, ask(worker, "a")).await);
    }
    for worker in 1..=5 {
        release(&serving, worker, "a", Outcome::Unavailable).await;
    }
    let condition = |condition: Condition| move |routes: &Routes| routes.chains[0].models[0].condition() == condition;
    until(&serving, "it is down", condition(Condition::Down)).await;
    later(&serving, Duration::from_secs(19));
    is_of(&granted(say(&serving, ask(1, "p")).await), MODEL, GrantReason::Probe);
    release(&serving, 1, "p", Outcome::Unavailable).await;
    until(&serving, "it is down again", condition(Condition::Down)).await;
    is_of(&granted(say(&serving, ask(1, "b")).await), OTHER, GrantReason::Leads);
}

#[tokio::test]
async fn a_provider_that_refuses_below_our_limit_teaches_a_ceiling() {
    let serving = with_chain(Mode::Enforce, [20, 20]).await;
    for session in ["a", "b", "c", "d", "e", "f"] {
        is_of(&granted(say(&serving, ask(1, session)).await), MODEL, GrantReason::Leads);
    }
    release(&serving, 1, "f", Outcome::Concurrency).await;
    let learned =
        until(&serving, "it is learned", |routes| routes.chains[0].models[0].learned_ceiling == Some(5)).await;
    assert_eq!(learned.chains[0].models[0].condition(), Condition::Up);
    is_of(&granted(say(&serving, ask(1, "g")).await), OTHER, GrantReason::Overflow);
    // It refuses nobody: where the fallback has no room, it is tried.
    limit(&serving, OTHER, 1);
    is_of(&granted(say(&serving, ask(1, "h")).await), MODEL, GrantReason::LastResort);
    let meter = serving.service.live.registry.find_meter(&key(MODEL)).unwrap();
    let standing = serving.service.providers([meter.tally.id], serving.service.clock.now()).remove(0);
    assert_eq!(standing.source, "learned: the provider refused at 6, of a limit of 20");
    assert!(serving.service.live.registry.projects().len() == 1 && meter.tally.word.level() == 6);
    let sessions = &serving.service.live.registry.project(&project()).sessions;
    assert_eq!(sessions.load(Ordering::Acquire), 7);
}
