//! Slots that are freed by hand: who is asked, what ends at once, and who may.

use std::time::Duration;

use highwater::{
    access::{AuditRow, Role},
    client::{WorkerClient, WorkerConfig},
    live::Hello,
    model::{Incarnation, Project},
    proto::{
        ListSessionsRequest, ReleaseSessionRequest, Session, attach_response::Message as Heard,
        quota_service_client::QuotaServiceClient,
    },
};
use tokio::time::timeout;
use tonic::{Code, transport::Channel};

use crate::{
    access::{ingest, key, keyed, new_key, quotas, report},
    serving::{MODEL, SOON, Serving, Worker, batch, connect, connect_of, disconnect, hello, id, meter},
};

async fn client(serving: &Serving) -> QuotaServiceClient<Channel> {
    QuotaServiceClient::new(serving.channel().await)
}

async fn listed(client: &mut QuotaServiceClient<Channel>) -> Vec<Session> {
    client.list_sessions(ListSessionsRequest::default()).await.unwrap().into_inner().sessions
}

fn of(session: &Session) -> ReleaseSessionRequest {
    ReleaseSessionRequest {
        session_id: session.id.clone(),
        incarnation: session.incarnation.clone(),
        reason: "it hangs".to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_live_worker_is_asked_on_its_stream() {
    let serving = Serving::start();
    let mut worker = Worker::ready(&serving, hello(1, 1), &[]).await;
    worker.say(batch(1, [connect(1), connect_of(b"call-17/tts".to_vec())])).await;
    serving.until_level(2).await;
    let mut client = client(&serving).await;
    for session in listed(&mut client).await {
        let answer = client.release_session(of(&session)).await.unwrap().into_inner();
        assert!(!answer.released, "its worker is the one that knows");
        let asked = loop {
            match worker.hear().await {
                Heard::Release(release) => break release,
                other => assert!(matches!(other, Heard::Ack(_)), "{other:?}"),
            }
        };
        assert_eq!((asked.session_id.len(), &*asked.reason), (16, "it hangs"));
    }
    assert_eq!(serving.level(), 2, "it has not closed them");
    worker.say(batch(2, [disconnect(1)])).await;
    serving.until_level(1).await;
}

#[tokio::test]
async fn a_ghost_and_a_session_under_a_lease_end_at_once() {
    let serving = Serving::start();
    let mut worker = Worker::ready(&serving, hello(1, 1), &[]).await;
    worker.say(batch(1, [connect_of(b"call-17/tts".to_vec()), connect(2)])).await;
    worker.until_applied(1).await;
    serving.ingest().await.report(report("")).await.unwrap();
    serving.until_level(3).await;
    drop(worker);
    let mut client = client(&serving).await;
    let silent = timeout(SOON, async {
        while listed(&mut client).await.iter().filter(|session| session.silent).count() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    silent.await.unwrap();
    let sessions = listed(&mut client).await;
    assert!(sessions.iter().any(|session| session.id == "call-17/tts"));
    for (nth, session) in sessions.iter().enumerate() {
        assert!(client.release_session(of(session)).await.unwrap().into_inner().released);
        assert_eq!(serving.level(), 2 - nth as u32);
        let again = client.release_session(of(session)).await.unwrap_err();
        assert_eq!((again.code(), again.message()), (Code::NotFound, &*format!("there is no session {}", session.id)));
    }
    let end = serving.service.store.audit_end().unwrap();
    let rows = serving.service.store.audit(end - 3..end, 3).unwrap();
    for ((_, row), session) in rows.iter().zip(&sessions) {
        let entry = AuditRow::decode(row).unwrap().entry;
        assert_eq!((&*entry.action, &*entry.project, &entry.object), ("session.release", "default", &session.id));
        assert!(entry.after.contains("reason=\"it hangs\""), "{}", entry.after);
    }
    // They were given up by hand, and not lost.
    let quota = client.list_quotas(highwater::proto::ListQuotasRequest::default()).await.unwrap().into_inner();
    let closed: Vec<_> = quota.quotas.iter().map(|quota| quota.closed.as_ref().unwrap().lost).collect();
    assert_eq!(closed, [0, 0]);
}

#[tokio::test]
async fn the_client_closes_what_is_released_and_says_so() {
    let serving = Serving::start();
    let worker = WorkerClient::attach(serving.channel().await, WorkerConfig::new("default", "w"));
    let tts = worker.meter(meter(MODEL));
    assert!(worker.open("call-17/tts", tts, None) && worker.open("call-18/tts", tts, None));
    serving.until_level(2).await;
    let mut client = client(&serving).await;
    let sessions = listed(&mut client).await;
    let session = sessions.iter().find(|session| session.id == "call-17/tts").unwrap();
    assert!(!client.release_session(of(session)).await.unwrap().into_inner().released);
    let released = timeout(SOON, worker.released()).await.unwrap();
    assert_eq!((released.id, &*released.reason), (highwater::model::SessionId::of_text(b"call-17/tts"), "it hangs"));
    serving.until_level(1).await;
    assert_eq!(worker.stats().live, 1);
    assert!(!worker.close("call-17/tts", highwater::model::Outcome::Ok), "it is closed already");
}

#[tokio::test]
async fn nobody_but_those_who_may_releases_and_what_is_anothers_is_not_there() {
    let serving = keyed();
    let (_, worker) = key(&serving, new_key(Role::Worker, "acme"));
    ingest(&serving, &worker).await.report(report("")).await.unwrap();
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    let request = ReleaseSessionRequest {
        session_id: hex(&id(1)),
        incarnation: hex(&id(7)),
        reason: "it hangs".to_owned(),
        ..Default::default()
    };
    let release = async |role, project, request: ReleaseSessionRequest| {
        let (_, token) = key(&serving, new_key(role, project));
        quotas(&serving, &token).await.release_session(request).await.map(|answer| answer.into_inner().released)
    };
    let refused = release(Role::Viewer, "acme", request.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let foreign = release(Role::Editor, "other", request.clone()).await.unwrap_err();
    let missing = ReleaseSessionRequest { incarnation: hex(&id(8)), ..request.clone() };
    let missing = release(Role::Editor, "other", missing).await.unwrap_err();
    assert_eq!((foreign.code(), foreign.message()), (Code::NotFound, missing.message()));
    let wrong = |request| release(Role::Editor, "acme", request);
    for (request, field) in [
        (ReleaseSessionRequest { reason: String::new(), ..request.clone() }, "reason: "),
        (ReleaseSessionRequest { session_id: String::new(), ..request.clone() }, "session_id: "),
        (ReleaseSessionRequest { incarnation: "+".repeat(32), ..request.clone() }, "incarnation: "),
    ] {
        let refused = wrong(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().starts_with(field), "{refused}");
    }
    assert!(release(Role::Editor, "acme", request).await.unwrap());
}

#[tokio::test]
async fn what_no_worker_could_be_asked_to_close_is_refused() {
    let serving = Serving::start();
    let (service, project) = (&serving.service, Project::new("default").unwrap());
    let now = service.clock.now();
    // As LiveKit's lists are: held by a stream that is none of a worker.
    let hello = Hello { project, worker: "w".into(), incarnation: Incarnation([7; 16]), replaces: None, attach_seq: 1 };
    let stream = service.live.attach(&hello, now).unwrap();
    let name = highwater::model::Meter::new(highwater::model::Kind::Tts, MODEL, "", None).unwrap();
    let meter = service.live.meter(&hello.project, &name, now).unwrap();
    let held = highwater::model::SessionId([9; 16]);
    let session = highwater::live::snapshot::Live { id: held, meter, age: Duration::ZERO, labels: None };
    let _applied = service.live.snapshot(&stream, 0, vec![session], Some((1, held.digest())), now).unwrap();
    let mut client = client(&serving).await;
    let session = listed(&mut client).await.remove(0);
    let refused = client.release_session(of(&session)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(service.store.audit_end().unwrap(), 0, "nothing was done");
}
