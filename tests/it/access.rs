//! Credentials against a service that needs them: what is taken, what is refused, and what ends with them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use highwater::{
    access::{Role, Secret},
    client::{self, Bearer, ClientStatus, Credential, Known, WorkerClient, WorkerConfig},
    model::{Outcome, Project, Time},
    proto::{
        Authenticate, CreateApiKeyRequest, GetCallerRequest, ListAuditRowsRequest, ListQuotasRequest, ReportRequest,
        ReportedEvent, RevokeApiKeyRequest, RotateApiKeyRequest, SetLimitRequest, VerifyAuditRequest,
        WatchQuotasRequest, admin_service_client::AdminServiceClient, attach_request::Message as Say,
        attach_response::Message as Heard, ingest_service_client::IngestServiceClient,
        limit_service_client::LimitServiceClient, quota_service_client::QuotaServiceClient,
    },
    service::{Actor, Clock, access::decide::NewKey},
};
use ring::hmac;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use crate::serving::{MODEL, SOON, Serving, config, hello, id, meter};

/// A revocation is to hold within this.
const REVOKED_WITHIN: Duration = Duration::from_secs(5);
pub const LIVEKIT_KEY: &str = "APIhighwater";
pub const LIVEKIT_SECRET: &str = "a secret as long as those of LiveKit are";

/// A service that needs keys.
pub fn keyed() -> Serving {
    let mut config = config();
    config.dev = false;
    Serving::with(config)
}

pub fn project(name: &str) -> Project {
    Project::new(name).unwrap()
}

pub fn new_key(role: Role, of: &str) -> NewKey {
    NewKey { name: format!("{role} of {of}"), project: project(of), role, not_before: None, expires: None }
}

/// Makes a key at the service itself; returns its id and its one spelling.
pub fn key(serving: &Serving, new: NewKey) -> (String, String) {
    let (record, token) = serving.service.access.create_key(new, &Actor::offline(), Clock::wall()).unwrap();
    (record.id, token.expose().clone())
}

pub fn bearer(token: &str) -> Bearer {
    Bearer(Some(Credential::fixed(Secret::new(token.to_owned()))))
}

pub async fn quotas(serving: &Serving, token: &str) -> QuotaServiceClient<Known> {
    QuotaServiceClient::with_interceptor(serving.channel().await, bearer(token))
}

async fn admin(serving: &Serving, token: &str) -> AdminServiceClient<Known> {
    AdminServiceClient::with_interceptor(serving.channel().await, bearer(token))
}

async fn ingest(serving: &Serving, token: &str) -> IngestServiceClient<Known> {
    IngestServiceClient::with_interceptor(serving.channel().await, bearer(token))
}

pub fn report(project: &str) -> ReportRequest {
    let event = ReportedEvent { session_id: id(1), meter: Some(meter(MODEL)), ..ReportedEvent::default() };
    ReportRequest {
        project: project.into(),
        worker_id: "w".into(),
        incarnation: id(7),
        events: vec![event],
        ..ReportRequest::default()
    }
}

/// Seconds since the epoch, `ahead` from now.
fn seconds(ahead: i64) -> i64 {
    (Clock::wall().0 / 1_000_000) as i64 + ahead
}

/// A LiveKit access token that ends `ahead` seconds from now, with what else its claims say.
fn mint(issuer: &str, secret: &str, ahead: i64, more: &str) -> String {
    sign(
        r#"{"alg":"HS256","typ":"JWT"}"#,
        &format!(r#"{{"iss":"{issuer}","sub":"agent","exp":{}{more}}}"#, seconds(ahead)),
        secret,
    )
}

fn sign(header: &str, claims: &str, secret: &str) -> String {
    let body = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body.as_bytes());
    format!("{body}.{}", URL_SAFE_NO_PAD.encode(tag))
}

const PERFORM: &str = r#","inference":{"perform":true}"#;

fn register_livekit(serving: &Serving, of: &str) {
    let secret = Secret::new(LIVEKIT_SECRET.as_bytes().to_vec());
    let access = &serving.service.access;
    access.register_livekit(LIVEKIT_KEY, secret, new_key(Role::Worker, of), &Actor::offline(), Clock::wall()).unwrap();
}

#[tokio::test]
async fn a_key_reports_for_its_project_and_for_no_other() {
    let serving = keyed();
    let (_, token) = key(&serving, new_key(Role::Worker, "acme"));
    let mut client = ingest(&serving, &token).await;
    assert_eq!(client.report(report("")).await.unwrap().into_inner().applied, 1);
    assert_eq!(client.report(report("acme")).await.unwrap().into_inner().duplicates, 1);
    for other in ["beside", "never-seen", "-"] {
        let refused = client.report(report(other)).await.unwrap_err();
        assert_eq!((refused.code(), refused.message()), (Code::NotFound, &*format!("there is no project {other}")));
    }
    assert!(!serving.service.live.registry.has_project(&project("beside")), "nothing is made for who may not");
    let mut none = IngestServiceClient::new(serving.channel().await);
    let refused = none.report(report("")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(refused.message().contains("authorization: Bearer"), "{refused}");
}

#[tokio::test]
async fn an_agents_own_token_reports_and_no_other_does() {
    let serving = keyed();
    register_livekit(&serving, "acme");
    let good = mint(LIVEKIT_KEY, LIVEKIT_SECRET, 60, PERFORM);
    assert_eq!(ingest(&serving, &good).await.report(report("")).await.unwrap().into_inner().applied, 1);
    assert!(serving.service.live.registry.has_project(&project("acme")));
    let claims = format!(r#"{{"iss":"{LIVEKIT_KEY}","exp":{}{PERFORM}}}"#, seconds(60));
    let unsigned = |header: &str| format!("{}.{}.", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(&claims));
    let cases = [
        ("alg none", unsigned(r#"{"alg":"none"}"#), Code::Unauthenticated),
        ("alg none, signed", sign(r#"{"alg":"none"}"#, &claims, LIVEKIT_SECRET), Code::Unauthenticated),
        ("RS256 in the header", sign(r#"{"alg":"RS256","typ":"JWT"}"#, &claims, LIVEKIT_SECRET), Code::Unauthenticated),
        ("no signature", unsigned(r#"{"alg":"HS256"}"#), Code::Unauthenticated),
        ("another issuer", mint("APInobody", LIVEKIT_SECRET, 60, PERFORM), Code::Unauthenticated),
        (
            "another secret",
            mint(LIVEKIT_KEY, "another secret of the same length as it", 60, PERFORM),
            Code::Unauthenticated,
        ),
        ("expired", mint(LIVEKIT_KEY, LIVEKIT_SECRET, -60, PERFORM), Code::Unauthenticated),
        (
            "not yet",
            mint(LIVEKIT_KEY, LIVEKIT_SECRET, 600, &format!(r#","nbf":{}{PERFORM}"#, seconds(300))),
            Code::Unauthenticated,
        ),
        (
            "nbf as a text",
            mint(LIVEKIT_KEY, LIVEKIT_SECRET, 60, &format!(r#","nbf":"0"{PERFORM}"#)),
            Code::Unauthenticated,
        ),
        ("no grant", mint(LIVEKIT_KEY, LIVEKIT_SECRET, 60, ""), Code::PermissionDenied),
        (
            "a room's admin",
            mint(LIVEKIT_KEY, LIVEKIT_SECRET, 60, r#","video":{"roomAdmin":true}"#),
            Code::PermissionDenied,
        ),
        ("garbage", "a.b.c".to_owned(), Code::Unauthenticated),
    ];
    for (what, token, code) in cases {
        let refused = ingest(&serving, &token).await.report(report("")).await.unwrap_err();
        assert_eq!(refused.code(), code, "{what}: {refused}");
        assert!(!refused.message().contains(LIVEKIT_SECRET));
    }
    // It may report, and nothing else.
    let refused = quotas(&serving, &good).await.list_quotas(ListQuotasRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let (of, secret) = serving.service.access.secret_of(LIVEKIT_KEY, Clock::wall()).unwrap();
    assert_eq!((of.as_str(), secret.expose().as_slice()), ("acme", LIVEKIT_SECRET.as_bytes()));
}

#[tokio::test]
async fn too_many_failures_are_told_no_more_and_lock_nobody_out() {
    let serving = keyed();
    let (_, good) = key(&serving, new_key(Role::Viewer, "acme"));
    let wrong = good.replace("viewer", "editor");
    let mut client = quotas(&serving, &wrong).await;
    let mut codes = Vec::new();
    for _ in 0..40 {
        codes.push(client.list_quotas(ListQuotasRequest::default()).await.unwrap_err().code());
    }
    assert_eq!(codes[0], Code::Unauthenticated);
    assert_eq!(*codes.last().unwrap(), Code::ResourceExhausted);
    let (refused, throttled) = serving.service.access.failures.counts();
    assert!(refused == 40 && throttled >= 10, "{refused} {throttled}");
    let mut beside = quotas(&serving, &good).await;
    assert_eq!(
        beside.list_quotas(ListQuotasRequest::default()).await.unwrap_err().code(),
        Code::NotFound,
        "it is let in"
    );
}

/// Opens a worker's stream with a token, and says hello.
async fn attach(
    serving: &Serving,
    token: &str,
) -> Result<(mpsc::Sender<highwater::proto::AttachRequest>, tonic::Streaming<highwater::proto::AttachResponse>), Status>
{
    let (say, said) = mpsc::channel(16);
    say.send(message(Say::Hello(hello(3, 1)))).await.unwrap();
    let heard = ingest(serving, token).await.attach(ReceiverStream::new(said)).await?;
    Ok((say, heard.into_inner()))
}

fn message(message: Say) -> highwater::proto::AttachRequest {
    highwater::proto::AttachRequest { message: Some(message) }
}

async fn end<T>(stream: &mut tonic::Streaming<T>, within: Duration) -> Status {
    let ended = timeout(within, async {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => return Status::ok(""),
                Err(status) => return status,
            }
        }
    });
    ended.await.expect("the stream ends in time")
}

#[tokio::test]
async fn streams_end_when_their_key_is_revoked() {
    let serving = keyed();
    let (worker, worker_token) = key(&serving, new_key(Role::Worker, "acme"));
    let (viewer, viewer_token) = key(&serving, new_key(Role::Viewer, "acme"));
    let (_, operator) = key(&serving, new_key(Role::Operator, "default"));
    let (_say, mut stream) = attach(&serving, &worker_token).await.unwrap();
    assert!(matches!(stream.message().await.unwrap().unwrap().message, Some(Heard::Welcome(_))));
    ingest(&serving, &worker_token).await.report(report("")).await.unwrap();
    let mut viewing = quotas(&serving, &viewer_token).await;
    let mut watch = viewing.watch_quotas(WatchQuotasRequest::default()).await.unwrap().into_inner();
    assert!(watch.message().await.unwrap().is_some());
    let mut admin = admin(&serving, &operator).await;
    for id in [&worker, &viewer] {
        let revoked = admin.revoke_api_key(RevokeApiKeyRequest { id: id.clone() }).await.unwrap().into_inner();
        assert!(revoked.api_key.unwrap().revoke_time.is_some());
    }
    for status in [end(&mut stream, REVOKED_WITHIN).await, end(&mut watch, REVOKED_WITHIN).await] {
        assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "the credential was revoked"));
    }
    assert_eq!(attach(&serving, &worker_token).await.err().unwrap().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_stream_ends_with_its_token_unless_it_presents_another() {
    let serving = keyed();
    register_livekit(&serving, "acme");
    // The leeway of 10 s included, it is good for 2 s more.
    let short = || mint(LIVEKIT_KEY, LIVEKIT_SECRET, -8, PERFORM);
    let (_say, mut stream) = attach(&serving, &short()).await.unwrap();
    let Some(Heard::Welcome(welcome)) = stream.message().await.unwrap().unwrap().message else {
        panic!("a welcome is due")
    };
    assert!(welcome.credential_expire_time.is_some());
    let status = end(&mut stream, SOON).await;
    assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "the credential has expired"));

    let (say, mut stream) = attach(&serving, &short()).await.unwrap();
    assert!(matches!(stream.message().await.unwrap().unwrap().message, Some(Heard::Welcome(_))));
    let token = mint(LIVEKIT_KEY, LIVEKIT_SECRET, 600, PERFORM);
    say.send(message(Say::Authenticate(Authenticate { token }))).await.unwrap();
    let answer = stream.message().await.unwrap().unwrap().message;
    assert!(matches!(answer, Some(Heard::Authenticated(taken)) if taken.expire_time.unwrap().seconds >= seconds(600)));
    let later = timeout(Duration::from_secs(4), stream.message()).await;
    assert!(later.is_err(), "it goes on: {later:?}");

    // One of another project ends it.
    let (_, other) = key(&serving, new_key(Role::Worker, "beside"));
    say.send(message(Say::Authenticate(Authenticate { token: other }))).await.unwrap();
    assert_eq!(end(&mut stream, SOON).await.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn the_worker_client_mints_anew_before_its_token_ends() {
    let serving = keyed();
    register_livekit(&serving, "acme");
    let minted = Arc::new(AtomicUsize::new(0));
    let count = minted.clone();
    let credential = Credential::minted(move || {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(Secret::new(mint(LIVEKIT_KEY, LIVEKIT_SECRET, -7, PERFORM)))
    });
    let config = WorkerConfig { credential: Some(credential), ..WorkerConfig::new("", "agent") };
    let channel = client::channel(&format!("http://{}", serving.address)).unwrap();
    let worker = WorkerClient::attach(channel, config);
    worker.attached().await.unwrap();
    let renewed = timeout(SOON, async {
        while minted.load(Ordering::Relaxed) < 4 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    renewed.await.expect("it asks for another before each ends");
    assert_eq!((worker.stats().reconnects, worker.status()), (0, ClientStatus::Attached), "on one stream");
    worker.goodbye(Outcome::Ok, SOON).await.unwrap();
}

#[tokio::test]
async fn a_worker_without_a_good_key_is_told_and_does_not_try_for_ever() {
    let serving = keyed();
    let config = WorkerConfig { credential: bearer("hwm_nonsense").0, ..WorkerConfig::new("", "agent") };
    let channel = client::channel(&format!("http://{}", serving.address)).unwrap();
    let worker = WorkerClient::attach(channel, config);
    let refused = timeout(SOON, worker.attached()).await.unwrap().unwrap_err().to_string();
    assert!(refused.contains("Unauthenticated"), "{refused}");
}

#[tokio::test]
async fn a_rotated_key_overlaps_with_the_one_it_replaces() {
    let serving = keyed();
    let (_, operator) = key(&serving, new_key(Role::Operator, "default"));
    let (old, old_token) = key(&serving, new_key(Role::Viewer, "acme"));
    let mut admin = admin(&serving, &operator).await;
    let request =
        RotateApiKeyRequest { id: old.clone(), overlap: Some(prost_types::Duration { seconds: 2, nanos: 0 }) };
    let rotated = admin.rotate_api_key(request).await.unwrap().into_inner();
    let (new, replaced) = (rotated.api_key.unwrap(), rotated.replaced.unwrap());
    assert_eq!((new.role, new.project.as_str(), &replaced.replaced_by), (2, "acme", &new.id));
    let caller = async |token: &str| {
        let mut client = AdminServiceClient::with_interceptor(serving.channel().await, bearer(token));
        client.get_caller(GetCallerRequest {}).await.map(|caller| caller.into_inner().key_id)
    };
    assert_eq!(caller(&old_token).await.unwrap(), old);
    assert_eq!(caller(&rotated.token).await.unwrap(), new.id);
    let ended = timeout(SOON, async {
        while caller(&old_token).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    ended.await.expect("the old one ends");
    assert_eq!(caller(&rotated.token).await.unwrap(), new.id);
}

#[tokio::test]
async fn an_editor_manages_keys_up_to_its_own_role() {
    let serving = keyed();
    let (_, editor) = key(&serving, new_key(Role::Editor, "acme"));
    let mut client = admin(&serving, &editor).await;
    let make = |role: i32| CreateApiKeyRequest { role, ..CreateApiKeyRequest::default() };
    for role in [1, 2, 3] {
        let made = client.create_api_key(make(role)).await.unwrap().into_inner();
        assert_eq!(made.api_key.unwrap().project, "acme");
    }
    for role in [4, 5] {
        assert_eq!(client.create_api_key(make(role)).await.unwrap_err().code(), Code::PermissionDenied);
    }
    assert_eq!(client.create_api_key(make(0)).await.unwrap_err().code(), Code::InvalidArgument);
    let (operator, _) = key(&serving, new_key(Role::Operator, "acme"));
    let refused = client.revoke_api_key(RevokeApiKeyRequest { id: operator.clone() }).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::NotFound, &*format!("there is no key {operator}")));
}

#[tokio::test]
async fn every_change_is_told_with_who_made_it_in_a_chain() {
    let serving = keyed();
    let (operator, token) = key(&serving, new_key(Role::Operator, "acme"));
    let channel = serving.channel().await;
    let mut limits = LimitServiceClient::with_interceptor(channel.clone(), bearer(&token));
    let target = highwater::proto::Target { target: Some(highwater::proto::target::Target::Meter(meter(MODEL))) };
    for slots in [5, 7] {
        let set_by = "kim".to_owned();
        let request =
            SetLimitRequest { target: Some(target.clone()), slots: Some(slots), set_by, ..Default::default() };
        let mut request = tonic::Request::new(request);
        request.metadata_mut().insert("x-request-id", format!("change-{slots}").parse().unwrap());
        limits.set_limit(request).await.unwrap();
    }
    let mut admin = AdminServiceClient::with_interceptor(channel, bearer(&token));
    let rows = admin.list_audit_rows(ListAuditRowsRequest::default()).await.unwrap().into_inner().rows;
    let told: Vec<_> = rows.iter().map(|row| (&*row.action, &*row.actor)).collect();
    assert_eq!(told, [("limit.set", &*operator), ("limit.set", &*operator), ("key.create", "offline")]);
    let newest = &rows[0];
    assert_eq!((&*newest.role, &*newest.address, &*newest.request_id), ("operator", "127.0.0.1", "change-7"));
    assert!(newest.before.contains("slots=5") && newest.after.contains("slots=7"), "{newest:?}");
    assert_eq!(newest.previous_hash, rows[1].hash);
    let page = ListAuditRowsRequest { page_size: 2, ..Default::default() };
    let first = admin.list_audit_rows(page.clone()).await.unwrap().into_inner();
    let second = ListAuditRowsRequest { page_token: first.next_page_token, ..page };
    let second = admin.list_audit_rows(second).await.unwrap().into_inner();
    assert_eq!((first.rows.len(), second.rows.len(), second.next_page_token.is_empty()), (2, 1, true));
    let verified = admin.verify_audit(VerifyAuditRequest {}).await.unwrap().into_inner();
    assert_eq!((verified.rows, &*verified.problem, &verified.head_hash), (3, "", &newest.hash));
}

#[tokio::test]
async fn a_key_is_in_the_store_with_its_audit_row_or_not_at_all() {
    let serving = keyed();
    key(&serving, new_key(Role::Viewer, "acme"));
    let store = &serving.service.store;
    let end = store.audit_end().unwrap();
    // Another writer adds a row: the next decision takes it over, in one step again.
    let row = highwater::access::AuditRow::after(end, serving.service.ledger.head().1, Time(1), Default::default());
    let change = highwater::store::Change { audit_from: end, audit: vec![row.encode()], ..Default::default() };
    store.change(&change).unwrap();
    key(&serving, new_key(Role::Viewer, "acme"));
    let keys = store.documents(highwater::store::Shelf::ApiKeys).unwrap().len() as u64;
    assert_eq!((keys, store.audit_end().unwrap()), (2, 3));
    let (_, operator) = key(&serving, new_key(Role::Operator, "acme"));
    let verified = admin(&serving, &operator).await.verify_audit(VerifyAuditRequest {}).await.unwrap().into_inner();
    assert_eq!((verified.rows, &*verified.problem), (4, ""));
}

#[tokio::test]
async fn in_development_nobody_needs_a_key_and_none_is_looked_at() {
    let serving = Serving::start();
    let mut client = ingest(&serving, "hwm_nonsense").await;
    client.report(report("acme")).await.unwrap();
    let mut admin = AdminServiceClient::new(serving.channel().await);
    let caller = admin.get_caller(GetCallerRequest {}).await.unwrap().into_inner();
    assert_eq!((caller.key_id.as_str(), caller.role, caller.project.as_str()), ("", 4, "default"));
    let refused = admin.create_api_key(CreateApiKeyRequest { role: 1, ..Default::default() }).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "it would end with the process");
}
