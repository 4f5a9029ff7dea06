//! Slots that are asked for, over a real connection to a real service: on streams, by calls, and by the client.

mod oracle;
mod program;
mod waits;

use std::time::Duration;

use highwater::{
    client::{self, Acquired, Wanted, WorkerClient, WorkerConfig},
    model::{Enforcement, Key, Kind, Meter as Name, Mode, Outcome, Project, Target},
    proto::{
        AcquireRequest, AcquireResponse, Beat, Granted, ListLimitsRequest, Priority, RefusalCause, Refused,
        ReleaseRequest, ReleaseResult, ReportRequest, ReportedEvent, SetEnforcementRequest, SetLimitRequest,
        StreamAcquire, StreamRelease, acquire_response::Result as Answer, acquired, attach_request::Message as Say,
        attach_response::Message as Heard, limit_service_client::LimitServiceClient,
    },
    service::{Actor, Author},
};
use tokio::time::{sleep, timeout};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::serving::{MODEL, SOON, Serving, Worker, digest, hello, id, meter};

const OTHER: &str = "elevenlabs/eleven_turbo_v2_5";

fn author() -> Author {
    Author { set_by: "kim".into(), reason: String::new(), actor: Actor::service() }
}

fn key(model: &str) -> Key {
    let target = Target::Meter(Name::new(Kind::Tts, model, "", None).unwrap());
    Key { project: Project::new("").unwrap(), target }
}

/// A service that enforces these limits of models.
fn enforcing(limits: &[(&str, u32)]) -> Serving {
    let serving = Serving::start();
    let now = serving.service.clock.now();
    for (model, slots) in limits {
        serving.service.set_limit(&key(model), *slots, None, author(), now).unwrap();
    }
    enforce(&serving, None, Mode::Enforce);
    serving
}

fn enforce(serving: &Serving, target: Option<Target>, mode: Mode) {
    let place = (Project::new("").unwrap(), target);
    let enforcement = Some(Enforcement { mode, kept_percent: 0 });
    serving.service.choose_enforcement(&place, enforcement, author(), serving.service.clock.now()).unwrap();
}

fn ask(worker: u8, session: &str, models: &[&str]) -> AcquireRequest {
    AcquireRequest {
        worker_id: format!("w{worker}"),
        incarnation: id(worker),
        session_id: session.into(),
        meters: models.iter().map(|model| meter(model)).collect(),
        ..AcquireRequest::default()
    }
}

fn release(worker: u8, session: &str) -> ReleaseRequest {
    ReleaseRequest {
        worker_id: format!("w{worker}"),
        incarnation: id(worker),
        session_id: session.into(),
        ..Default::default()
    }
}

#[track_caller]
pub fn granted(answer: AcquireResponse) -> Granted {
    match answer.result {
        Some(Answer::Granted(granted)) => granted,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub fn refused(answer: AcquireResponse) -> Refused {
    match answer.result {
        Some(Answer::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_slot_is_granted_diverted_or_refused_with_its_reason_and_the_same_twice() {
    let serving = enforcing(&[(MODEL, 2), (OTHER, 1)]);
    let mut client = serving.ingest().await;
    let mut say = async |worker, session, models: &[&str]| {
        client.acquire(ask(worker, session, models)).await.unwrap().into_inner()
    };
    let first = granted(say(1, "a", &[MODEL, OTHER]).await);
    assert_eq!((first.meter.unwrap().model.as_str(), first.diverted, first.again), (MODEL, false, false));
    assert!(granted(say(1, "a", &[MODEL, OTHER]).await).again);
    granted(say(1, "b", &[MODEL]).await);
    let diverted = granted(say(2, "c", &[MODEL, OTHER]).await);
    assert_eq!((diverted.meter.unwrap().model.as_str(), diverted.diverted), (OTHER, true));
    let passed = &diverted.passed_over[0];
    assert_eq!((passed.cause(), passed.held, passed.limit), (RefusalCause::ModelLimit, 2, 2));
    assert_eq!(passed.message, "model limit: 2 of 2 held (most by w1 2)");
    let none = refused(say(2, "d", &[MODEL, OTHER]).await);
    assert_eq!((none.cause(), none.refusals.len()), (RefusalCause::ModelLimit, 2));
    assert_eq!(none.refusals[1].holders[0].worker_id, "w2");
    assert_eq!(serving.level(), 2);

    let mut back =
        async |worker, session| client.release(release(worker, session)).await.unwrap().into_inner().result();
    assert_eq!([back(1, "a").await, back(1, "a").await], [ReleaseResult::Free, ReleaseResult::AlreadyEnded]);
    assert_eq!([back(1, "z").await, back(2, "b").await], [ReleaseResult::NotHeld; 2]);
    let mut say = async |worker, session, models: &[&str]| {
        client.acquire(ask(worker, session, models)).await.unwrap().into_inner()
    };
    assert_eq!(refused(say(1, "a", &[MODEL]).await).cause(), RefusalCause::Ended);
    assert_eq!(refused(say(1, "z", &[MODEL]).await).cause(), RefusalCause::Ended, "its release came before it");
    granted(say(1, "e", &[MODEL]).await);

    // What was turned away and diverted is in history and metrics, and in no peak.
    let meter = serving.service.live.registry.find_meter(&key(MODEL)).unwrap();
    assert_eq!((meter.totals().refused, meter.totals().diverted), (1, 1));
    assert_eq!(meter.tally.word.peak().max(2), 2);
    let page = crate::doors::page(serving.address, "/metrics").await;
    let line = format!("highwater_sessions_refused_total{{project=\"default\",kind=\"tts\",model=\"{MODEL}\"}} 1");
    assert!(page.contains(&line), "{page}");
}

#[tokio::test]
async fn nobody_is_refused_where_limits_are_observed_and_what_is_reported_counts_where_they_are_not() {
    let serving = enforcing(&[(MODEL, 1)]);
    enforce(&serving, Some(key(MODEL).target), Mode::Observe);
    let mut client = serving.ingest().await;
    for session in ["a", "b", "c"] {
        granted(client.acquire(ask(1, session, &[MODEL])).await.unwrap().into_inner());
    }
    enforce(&serving, Some(key(MODEL).target), Mode::Enforce);
    assert_eq!(refused(client.acquire(ask(1, "d", &[MODEL])).await.unwrap().into_inner()).refusals[0].held, 3);
    let event = ReportedEvent { session_id: b"fact".to_vec(), meter: Some(meter(MODEL)), ..Default::default() };
    let report =
        ReportRequest { worker_id: "w9".into(), incarnation: id(9), events: vec![event], ..Default::default() };
    assert_eq!(client.report(report).await.unwrap().into_inner().applied, 1);
    assert_eq!(serving.level(), 4);
}

#[tokio::test]
async fn who_waits_is_served_by_priority_and_leaves_when_the_call_ends() {
    let serving = enforcing(&[(MODEL, 1)]);
    let mut client = serving.ingest().await;
    granted(client.acquire(ask(1, "a", &[MODEL])).await.unwrap().into_inner());
    let asks = client.clone();
    let wait = |worker: u8, session: &str, priority: Priority, seconds: i64| {
        let wait = Some(prost_types::Duration { seconds, nanos: 0 });
        let request = AcquireRequest { wait, priority: priority as i32, ..ask(worker, session, &[MODEL]) };
        let mut client = asks.clone();
        tokio::spawn(async move { client.acquire(request).await.unwrap().into_inner() })
    };
    let waiting = async |count: usize| {
        let all = || serving.service.live.waiting_room().waiting().iter().map(|(_, waiting)| *waiting).sum::<usize>();
        timeout(SOON, async {
            while all() != count {
                sleep(Duration::from_millis(5)).await
            }
        })
        .await
        .unwrap();
    };
    let low = wait(2, "low", Priority::Low, 30);
    waiting(1).await;
    let first = wait(3, "first", Priority::Standard, 30);
    waiting(2).await;
    let left = wait(4, "left", Priority::Priority, 30);
    waiting(3).await;
    left.abort();
    waiting(2).await;
    // Whoever asks without waiting does not overtake.
    assert_eq!(
        refused(client.acquire(ask(5, "x", &[MODEL])).await.unwrap().into_inner()).cause(),
        RefusalCause::ModelLimit
    );
    let mut back =
        async |worker, session| client.release(release(worker, session)).await.unwrap().into_inner().result();
    assert_eq!(back(1, "a").await, ReleaseResult::Free);
    granted(timeout(SOON, first).await.unwrap().unwrap());
    assert!(!low.is_finished());
    back(3, "first").await;
    granted(timeout(SOON, low).await.unwrap().unwrap());
    let late = wait(6, "late", Priority::Standard, 0);
    assert_eq!(refused(late.await.unwrap()).cause(), RefusalCause::ModelLimit);
    assert_eq!(serving.level(), 1);
}

#[tokio::test]
async fn what_is_wrong_with_an_acquire_is_named() {
    let serving = enforcing(&[(MODEL, 2)]);
    let client = &mut serving.ingest().await;
    let mut wrong = async |request: AcquireRequest, field: &str| {
        let status = client.acquire(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{field}: {}", status.message());
        assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, field);
    };
    let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    wrong(ask(1, "", &[MODEL]), "session_id").await;
    wrong(ask(1, "a", &[]), "meters").await;
    wrong(ask(1, "a", &[MODEL; 9]), "meters").await;
    wrong(ask(1, "a", &[MODEL, OTHER, MODEL]), "meters[2]").await;
    wrong(ask(1, "a", &["Nothing"]), "meters[0].model").await;
    wrong(AcquireRequest { incarnation: vec![1], ..ask(1, "a", &[MODEL]) }, "incarnation").await;
    wrong(AcquireRequest { priority: 9, ..ask(1, "a", &[MODEL]) }, "priority").await;
    wrong(AcquireRequest { wait: seconds(61), ..ask(1, "a", &[MODEL]) }, "wait").await;
    wrong(AcquireRequest { wait: seconds(-1), ..ask(1, "a", &[MODEL]) }, "wait").await;
    wrong(AcquireRequest { lease: seconds(9), ..ask(1, "a", &[MODEL]) }, "lease").await;
    wrong(AcquireRequest { project: "-".into(), ..ask(1, "a", &[MODEL]) }, "project").await;
    assert_eq!(serving.level(), 0);
}

async fn hear_acquired(worker: &mut Worker) -> acquired::Result {
    loop {
        if let Heard::Acquired(acquired) = worker.hear().await {
            return acquired.result.unwrap();
        }
    }
}

#[tokio::test]
async fn a_stream_asks_waits_and_gives_back_and_its_snapshot_ends_nothing_that_it_had_not_heard_of() {
    let serving = enforcing(&[(MODEL, 1)]);
    let mut worker = Worker::ready(&serving, hello(1, 1), &[]).await;
    let acquire = |session: u8, seconds: i64| {
        let wait = (seconds > 0).then_some(prost_types::Duration { seconds, nanos: 0 });
        Say::Acquire(StreamAcquire { session_id: id(session), handles: vec![1], wait, ..Default::default() })
    };
    worker.say(acquire(1, 0)).await;
    assert!(matches!(hear_acquired(&mut worker).await, acquired::Result::Granted(_)));
    // It says that nothing is live, as of before it heard of the grant: it is not asked for a snapshot.
    worker.say(Say::Beat(Beat { has_digest: true, ..Default::default() })).await;
    worker.say(acquire(2, 0)).await;
    let acquired::Result::Refused(full) = hear_acquired(&mut worker).await else { panic!() };
    assert_eq!((full.cause(), serving.level()), (RefusalCause::ModelLimit, 1));
    let heard =
        Beat { has_digest: true, live_count: 1, live_digest: digest(&[id(1)]), grants_heard: 1, ..Default::default() };
    worker.say(Say::Beat(heard)).await;
    worker.say(acquire(3, 30)).await;
    worker.say(Say::Release(StreamRelease { session_id: id(1), outcome: 1 })).await;
    loop {
        match worker.hear().await {
            Heard::Released(released) => assert_eq!(released.result(), ReleaseResult::Free),
            Heard::Acquired(acquired) => {
                assert_eq!(acquired.session_id, id(3));
                assert!(matches!(acquired.result, Some(acquired::Result::Granted(_))));
                break;
            }
            Heard::Ack(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(serving.level(), 1);
    worker.say(Say::Release(StreamRelease { session_id: id(9), outcome: 0 })).await;
    let Heard::Released(unknown) = worker.hear().await else { panic!() };
    assert_eq!(unknown.result(), ReleaseResult::NotHeld);
    worker.say(Say::Acquire(StreamAcquire { session_id: id(4), handles: vec![7], ..Default::default() })).await;
    assert_eq!(worker.end().await.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn the_client_holds_what_it_was_granted_also_over_a_new_stream() {
    let serving = enforcing(&[(MODEL, 1), (OTHER, 1)]);
    let url = format!("http://{}", serving.address);
    let worker = WorkerClient::attach(client::channel(&url).unwrap(), WorkerConfig::new("default", "w"));
    let meters = [MODEL, OTHER].map(|model| worker.meter(meter(model)));
    let mut got = Vec::new();
    for name in ["a", "b", "c"] {
        got.push(worker.acquire(name, Wanted::of(&meters)).await.unwrap());
    }
    let diverted = |acquired: &Acquired| matches!(acquired, Acquired::Granted(granted) if granted.diverted);
    assert!(matches!(&got[0], Acquired::Granted(granted) if !granted.diverted) && diverted(&got[1]), "{got:?}");
    assert!(matches!(got[2], Acquired::Refused(_)));
    worker.cut();
    timeout(SOON, async {
        while worker.stats().reconnects < 1 {
            sleep(Duration::from_millis(5)).await
        }
    })
    .await
    .unwrap();
    worker.attached().await.unwrap();
    // What leaves the line is in it no more, and what is freed goes to who waits.
    let waits = || worker.acquire("d", Wanted { wait: Duration::from_secs(20), ..Wanted::of(&meters[..1]) });
    assert!(timeout(Duration::from_millis(100), waits()).await.is_err());
    assert_eq!((serving.level(), worker.stats().live, worker.stats().resyncs), (1, 2, 0));
    let waiting = worker.acquire("e", Wanted { wait: Duration::from_secs(20), ..Wanted::of(&meters[..1]) });
    let closes = async {
        sleep(Duration::from_millis(50)).await;
        assert!(worker.close("a", Outcome::Ok));
    };
    let (acquired, ()) = tokio::join!(waiting, closes);
    // The one whose caller left may have been first in the line: then it was given back, and this one is served after it.
    assert!(matches!(acquired.unwrap(), Acquired::Granted(_)));
    worker.flushed().await.unwrap();
    serving.until_level(1).await;
}

#[tokio::test]
async fn enforcement_is_chosen_told_of_and_audited_and_outlasts_a_restart() {
    let serving = Serving::start();
    let mut limits = LimitServiceClient::new(serving.channel().await);
    let target = |model: &str| {
        Some(highwater::proto::Target { target: Some(highwater::proto::target::Target::Meter(meter(model))) })
    };
    let set = SetLimitRequest { target: target(MODEL), slots: Some(5), set_by: "kim".into(), ..Default::default() };
    assert!(!limits.set_limit(set.clone()).await.unwrap().into_inner().limit.unwrap().enforced);
    let starts = SetLimitRequest { slots: None, starts_per_minute: Some(1), ..set.clone() };
    limits.set_limit(starts.clone()).await.unwrap();
    let wrong = limits.set_limit(SetLimitRequest { slots: Some(1), ..starts.clone() }).await.unwrap_err();
    assert_eq!(wrong.get_details_bad_request().unwrap().field_violations[0].field, "starts_per_minute");
    let choose = SetEnforcementRequest {
        target: target(MODEL),
        mode: 2,
        kept_percent: 20,
        set_by: "kim".into(),
        ..Default::default()
    };
    limits.set_enforcement(choose.clone()).await.unwrap();
    for (wrong, field) in [
        (SetEnforcementRequest { kept_percent: 46, ..choose.clone() }, "kept_percent"),
        (SetEnforcementRequest { mode: 3, ..choose.clone() }, "mode"),
        (SetEnforcementRequest { set_by: String::new(), ..choose.clone() }, "set_by"),
    ] {
        let status = limits.set_enforcement(wrong).await.unwrap_err();
        assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, field);
    }
    let listed = limits.list_limits(ListLimitsRequest::default()).await.unwrap().into_inner().limits;
    let told: Vec<_> = listed.iter().map(|limit| (limit.slots, limit.starts_per_minute, limit.enforced)).collect();
    assert_eq!(told, [(5, None, true), (0, Some(1), true)]);
    let choices =
        limits.list_enforcement(highwater::proto::ListEnforcementRequest::default()).await.unwrap().into_inner();
    assert_eq!(
        choices.enforcements.iter().map(|choice| (choice.mode, choice.kept_percent)).collect::<Vec<_>>(),
        [(2, 20)]
    );

    let store = serving.service.store.clone();
    let rows = store.audit(0..u64::MAX, 100).unwrap();
    let actions: Vec<_> =
        rows.iter().map(|(_, row)| highwater::access::AuditRow::decode(row).unwrap().entry.action).collect();
    assert_eq!(actions, ["limit.set", "limit.starts", "limit.enforcement"]);
    drop(serving);
    let serving = Serving::on(crate::serving::config(), store);
    let mut client = serving.ingest().await;
    granted(client.acquire(ask(1, "a", &[MODEL])).await.unwrap().into_inner());
    let full = refused(client.acquire(ask(1, "b", &[MODEL])).await.unwrap().into_inner());
    assert_eq!((full.cause(), full.refusals[0].limit), (RefusalCause::Starts, 1));
    let mut limits = LimitServiceClient::new(serving.channel().await);
    let end = |starts| highwater::proto::EndLimitRequest {
        target: target(MODEL),
        set_by: "kim".into(),
        starts,
        ..Default::default()
    };
    let ended = limits.end_limit(end(true)).await.unwrap().into_inner().limit.unwrap();
    assert_eq!((ended.starts_per_minute, ended.slots), (Some(1), 0));
    assert_eq!(limits.end_limit(end(true)).await.unwrap_err().code(), Code::NotFound);
    // 5 slots, of which 20 % are kept for whoever is more urgent.
    for session in ["c", "d", "e"] {
        granted(client.acquire(ask(1, session, &[MODEL])).await.unwrap().into_inner());
    }
    let kept = refused(client.acquire(ask(1, "f", &[MODEL])).await.unwrap().into_inner());
    assert_eq!((kept.refusals[0].held, kept.refusals[0].limit, kept.refusals[0].kept), (4, 5, 1));
    let urgent = AcquireRequest { priority: Priority::Priority as i32, ..ask(1, "g", &[MODEL]) };
    granted(client.acquire(urgent).await.unwrap().into_inner());
    let back = SetEnforcementRequest { mode: 0, ..choose };
    assert!(limits.set_enforcement(back.clone()).await.unwrap().into_inner().enforcement.is_none());
    assert_eq!(limits.set_enforcement(back).await.unwrap_err().code(), Code::NotFound);
    granted(client.acquire(ask(1, "h", &[MODEL])).await.unwrap().into_inner());
}
