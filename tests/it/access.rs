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
    config::Rate,
    model::{Outcome, Project},
    proto::{
        AttachRequest, AttachResponse, Authenticate, GetStatusRequest, ListQuotasRequest, ReportRequest, ReportedEvent,
        RevokeApiKeyRequest, WatchQuotasRequest, admin_service_client::AdminServiceClient,
        attach_request::Message as Say, attach_response::Message as Heard, ingest_service_client::IngestServiceClient,
        quota_service_client::QuotaServiceClient,
    },
    service::{Actor, Clock, access::decide::NewKey},
};
use ring::hmac;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest,
};

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

pub async fn admin(serving: &Serving, token: &str) -> AdminServiceClient<Known> {
    AdminServiceClient::with_interceptor(serving.channel().await, bearer(token))
}

pub async fn ingest(serving: &Serving, token: &str) -> IngestServiceClient<Known> {
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
pub fn mint(issuer: &str, secret: &str, ahead: i64, more: &str) -> String {
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

pub const PERFORM: &str = r#","inference":{"perform":true}"#;

pub fn register_livekit(serving: &Serving, of: &str) {
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
    let (of, secret) = serving.service.access.secret_of(LIVEKIT_KEY).unwrap();
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
pub async fn attach(
    serving: &Serving,
    token: &str,
    attach_seq: u64,
) -> Result<(mpsc::Sender<AttachRequest>, tonic::Streaming<AttachResponse>), Status> {
    let (say, said) = mpsc::channel(16);
    say.send(message(Say::Hello(hello(3, attach_seq)))).await.unwrap();
    let heard = ingest(serving, token).await.attach(ReceiverStream::new(said)).await?;
    Ok((say, heard.into_inner()))
}

fn message(message: Say) -> AttachRequest {
    AttachRequest { message: Some(message) }
}

pub async fn end<T>(stream: &mut tonic::Streaming<T>, within: Duration) -> Status {
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
    let (_say, mut stream) = attach(&serving, &worker_token, 1).await.unwrap();
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
    assert_eq!(attach(&serving, &worker_token, 2).await.err().unwrap().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn reflection_ends_when_its_key_is_revoked_too() {
    let serving = keyed();
    let (worker, token) = key(&serving, new_key(Role::Worker, "acme"));
    let mut asking = ServerReflectionClient::with_interceptor(serving.channel().await, bearer(&token));
    let (ask, asked) = mpsc::channel(4);
    let services = || ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..ServerReflectionRequest::default()
    };
    ask.send(services()).await.unwrap();
    let mut answers = asking.server_reflection_info(ReceiverStream::new(asked)).await.unwrap().into_inner();
    assert!(answers.message().await.unwrap().is_some());
    let access = &serving.service.access;
    access.revoke_key(&worker, &|_| true, &Actor::offline(), Clock::wall()).unwrap();
    assert_eq!(end(&mut answers, REVOKED_WITHIN).await.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn each_key_reads_at_a_pace_of_its_own_however_it_is_spelled() {
    let mut config = config();
    config.dev = false;
    config.connections.reads = Rate { per_second: 1, burst: 3 };
    let serving = Serving::with(config);
    let (_, one) = key(&serving, new_key(Role::Viewer, "acme"));
    let (_, other) = key(&serving, new_key(Role::Viewer, "acme"));
    let mut plain = QuotaServiceClient::new(serving.channel().await);
    let mut read = async |spelling: String| {
        let mut request = tonic::Request::new(GetStatusRequest {});
        request.metadata_mut().insert("authorization", spelling.parse().unwrap());
        plain.get_status(request).await.map(drop)
    };
    for spaces in 0..3 {
        read(format!("Bearer {}{one}", " ".repeat(spaces))).await.unwrap();
    }
    let refused = read(format!("bearer    {one}")).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    read(format!("Bearer {other}")).await.unwrap();
}

#[tokio::test]
async fn a_stream_ends_with_its_token_unless_it_presents_another() {
    let serving = keyed();
    register_livekit(&serving, "acme");
    // The leeway of 10 s included, it is good for 2 s more.
    let short = || mint(LIVEKIT_KEY, LIVEKIT_SECRET, -8, PERFORM);
    let (_say, mut stream) = attach(&serving, &short(), 1).await.unwrap();
    let Some(Heard::Welcome(welcome)) = stream.message().await.unwrap().unwrap().message else {
        panic!("a welcome is due")
    };
    assert!(welcome.credential_expire_time.is_some());
    let status = end(&mut stream, SOON).await;
    assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "the credential has expired"));

    let (say, mut stream) = attach(&serving, &short(), 2).await.unwrap();
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
