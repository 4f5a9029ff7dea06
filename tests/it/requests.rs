//! Requests for more, from the asking to the limit, by those who may.

use std::sync::Arc;

use highwater::{
    access::Role,
    client::Known,
    proto::{
        Bound, CreateIncreaseRequestRequest, DecideIncreaseRequestRequest, DecideIncreaseRequestResponse,
        GetCallerRequest, IncreaseRequest, ListAnnotationsRequest, ListAuditRowsRequest, ListIncreaseRequestsRequest,
        ListLimitsRequest, SetLimitRequest, Target, WithdrawIncreaseRequestRequest, increase_request::State,
        limit_service_client::LimitServiceClient, quota_service_client::QuotaServiceClient,
        request_service_client::RequestServiceClient, target::Target as Named,
    },
    store::{EmbeddedStore, Store},
};
use tonic::{Code, Status};

use crate::{
    access::{admin, bearer, ingest, key, keyed, new_key, report},
    redis_server::Redis,
    serving::{MODEL, Serving, config, meter, wrong},
};

type Client = RequestServiceClient<Known>;

async fn client(serving: &Serving, token: &str) -> Client {
    RequestServiceClient::with_interceptor(serving.channel().await, bearer(token))
}

fn of(model: &str) -> Option<Target> {
    Some(Target { target: Some(Named::Meter(meter(model))) })
}

fn want(slots: u32) -> CreateIncreaseRequestRequest {
    CreateIncreaseRequestRequest {
        target: of(MODEL),
        wanted_slots: slots,
        reason: "the launch".to_owned(),
        ..Default::default()
    }
}

async fn ask(client: &mut Client, request: CreateIncreaseRequestRequest) -> Result<IncreaseRequest, Status> {
    client.create_increase_request(request).await.map(|made| made.into_inner().request.unwrap())
}

async fn decide(client: &mut Client, id: &str, slots: u32, word: &str) -> Result<IncreaseRequest, Status> {
    let (id, word) = (id.to_owned(), word.to_owned());
    let request = DecideIncreaseRequestRequest { id, slots, end_time: None, word };
    let decided = client.decide_increase_request(request).await?;
    let DecideIncreaseRequestResponse { request } = decided.into_inner();
    Ok(request.unwrap())
}

async fn withdraw(client: &mut Client, id: &str) -> Result<IncreaseRequest, Status> {
    let withdrawn = client.withdraw_increase_request(WithdrawIncreaseRequestRequest { id: id.to_owned() }).await?;
    Ok(withdrawn.into_inner().request.unwrap())
}

async fn list(client: &mut Client, request: ListIncreaseRequestsRequest) -> Vec<String> {
    let listed = client.list_increase_requests(request).await.unwrap().into_inner();
    listed.requests.into_iter().map(|request| request.id).collect()
}

/// A service that needs keys, on a store.
fn on(store: Arc<dyn Store>) -> Serving {
    let mut config = config();
    config.dev = false;
    Serving::on(config, store)
}

#[tokio::test]
async fn what_is_asked_for_and_granted_is_in_force() {
    check_grant(Arc::new(EmbeddedStore::in_memory().unwrap())).await;
}

#[tokio::test]
async fn what_is_asked_for_and_granted_is_in_force_in_redis() {
    let redis = Redis::start();
    check_grant(Arc::new(redis.open("hw:").unwrap())).await;
}

async fn check_grant(store: Arc<dyn Store>) {
    let serving = on(store);
    let (operator_id, operator) = key(&serving, new_key(Role::Operator, "default"));
    let (viewer_id, viewer) = key(&serving, new_key(Role::Viewer, "acme"));
    let (_, worker) = key(&serving, new_key(Role::Worker, "acme"));
    ingest(&serving, &worker).await.report(report("")).await.unwrap();
    let mut limits = LimitServiceClient::with_interceptor(serving.channel().await, bearer(&operator));
    let (project, set_by) = ("acme".to_owned(), "kim".to_owned());
    let limit = SetLimitRequest { project, target: of(MODEL), slots: Some(1), set_by, ..Default::default() };
    limits.set_limit(limit).await.unwrap();

    let mut asks = client(&serving, &viewer).await;
    let asked = ask(&mut asks, want(26)).await.unwrap();
    assert_eq!((&*asked.project, &*asked.created_by, asked.state()), ("acme", &*viewer_id, State::Open));
    assert_eq!((&*asked.display_name, asked.decision.is_none()), ("Cartesia Sonic 3", true));
    assert_eq!(asked.created_by_name, "viewer of acme");
    let evidence = asked.evidence.as_ref().unwrap();
    assert_eq!((evidence.limit_plus_one, evidence.peak.as_ref().unwrap().level), (2, 1));
    assert_ne!(evidence.peak_bound(), Bound::Unspecified);
    let listed = asks.list_increase_requests(ListIncreaseRequestsRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.requests, std::slice::from_ref(&asked));

    let mut decides = client(&serving, &operator).await;
    let refused = decide(&mut asks, &asked.id, 26, "").await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    wrong(decide(&mut decides, &asked.id, 20, "").await, "word", "less is granted");
    let decided = decide(&mut decides, &asked.id, 20, "what there is").await.unwrap();
    let decision = decided.decision.clone().unwrap();
    assert_eq!((decided.state(), decision.slots, &*decision.decided_by), (State::ApprovedInPart, 20, &*operator_id));
    assert_eq!(decision.decided_by_name, "operator of default", "also to who may not list its key");
    let asked_limits = ListLimitsRequest { project: "acme".into(), target: of(MODEL), ..Default::default() };
    let in_force = limits.list_limits(asked_limits).await.unwrap().into_inner().limits.remove(0);
    assert_eq!((in_force.slots, &*in_force.set_by, &*in_force.set_by_name), (20, &*operator_id, "operator of default"));
    assert_eq!(in_force.reason, format!("request {}: the launch", asked.id));
    let over = decide(&mut decides, &asked.id, 26, "").await.unwrap_err();
    assert_eq!((over.code(), over.message()), (Code::FailedPrecondition, "the request is approved in part: ask anew"));
    let all = ListAuditRowsRequest { project: "acme".into(), page_size: 3, ..Default::default() };
    let rows = admin(&serving, &operator).await.list_audit_rows(all).await.unwrap().into_inner().rows;
    let told: Vec<_> = rows.iter().map(|row| (&*row.action, &*row.actor)).collect();
    let named: Vec<_> = rows.iter().map(|row| &*row.actor_name).collect();
    assert_eq!(named, ["operator of default", "operator of default", "viewer of acme"]);
    let by = (&*operator_id, &*viewer_id);
    assert_eq!(told, [("limit.set", by.0), ("request.decide", by.0), ("request.create", by.1)]);
    assert!(rows[1].before.starts_with("open tts cartesia/sonic-3 wanted=26"), "{}", rows[1].before);
    assert!(rows[1].after.contains("slots=20 word=\"what there is\""), "{}", rows[1].after);

    // A start on the same store finds it as it was.
    let kept = serving.service.requests.list(None);
    let again = highwater::service::Requests::load(&*serving.service.store).unwrap();
    assert_eq!((again.list(None), kept.len()), (kept, 1));
}

#[tokio::test]
async fn what_a_key_is_called_is_not_told_to_who_guesses_its_id() {
    let serving = keyed();
    let (own_id, editor) = key(&serving, new_key(Role::Editor, "acme"));
    let (foreign_id, _) = key(&serving, new_key(Role::Editor, "other"));
    let mut limits = LimitServiceClient::with_interceptor(serving.channel().await, bearer(&editor));
    for (set_by, name) in [(own_id.clone(), "editor of acme"), (foreign_id, ""), ("kim".to_owned(), "")] {
        let limit = SetLimitRequest { target: of(MODEL), slots: Some(1), set_by, ..Default::default() };
        let set = limits.set_limit(limit).await.unwrap().into_inner().limit.unwrap();
        assert_eq!(set.set_by_name, name);
    }
    let caller = admin(&serving, &editor).await.get_caller(GetCallerRequest {}).await.unwrap().into_inner();
    assert_eq!((caller.key_id, &*caller.display_name), (own_id, "editor of acme"));
    let mut viewing = client(&serving, &key(&serving, new_key(Role::Viewer, "acme")).1).await;
    let asked = ask(&mut viewing, want(26)).await.unwrap();
    let marked = QuotaServiceClient::with_interceptor(serving.channel().await, bearer(&editor))
        .list_annotations(ListAnnotationsRequest::default())
        .await
        .unwrap()
        .into_inner()
        .annotations;
    let words: Vec<_> = marked.iter().map(|mark| &*mark.text).collect();
    assert!(words.contains(&"26 asked for by viewer of acme: the launch"), "{words:?}, {}", asked.id);
}

#[tokio::test]
async fn who_made_a_request_an_editor_or_an_operator_takes_it_back() {
    let serving = keyed();
    let mut clients = Vec::new();
    for (role, of) in [(Role::Viewer, "acme"), (Role::Viewer, "acme"), (Role::Editor, "acme"), (Role::Editor, "other")]
    {
        let (_, token) = key(&serving, new_key(role, of));
        clients.push(client(&serving, &token).await);
    }
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(ask(&mut clients[0], want(26)).await.unwrap().id);
    }
    assert_eq!(withdraw(&mut clients[1], &ids[0]).await.unwrap_err().code(), Code::PermissionDenied);
    let foreign = withdraw(&mut clients[3], &ids[0]).await.unwrap_err();
    let missing = withdraw(&mut clients[3], "Missing000").await.unwrap_err();
    assert_eq!((foreign.code(), foreign.message()), (Code::NotFound, &*format!("there is no request {}", ids[0])));
    assert_eq!((missing.code(), missing.message()), (Code::NotFound, "there is no request Missing000"));
    assert_eq!(withdraw(&mut clients[0], &ids[0]).await.unwrap().state(), State::Withdrawn);
    assert_eq!(withdraw(&mut clients[2], &ids[1]).await.unwrap().state(), State::Withdrawn);
    assert_eq!(withdraw(&mut clients[2], &ids[1]).await.unwrap_err().code(), Code::FailedPrecondition);
    let open = ListIncreaseRequestsRequest { open: true, ..Default::default() };
    assert_eq!(list(&mut clients[1], open.clone()).await, [&*ids[2]]);
    assert_eq!(list(&mut clients[3], open).await, [""; 0]);
}

#[tokio::test]
async fn requests_come_in_pages_the_newest_first_of_one_project_or_of_all() {
    let serving = Serving::start();
    let mut client = RequestServiceClient::new(serving.channel().await);
    let mut ids = Vec::new();
    for (nth, project) in ["default", "acme", "default", "default", "acme"].into_iter().enumerate() {
        let model = if nth == 0 { "nobody/knows-this" } else { MODEL };
        let request = CreateIncreaseRequestRequest { project: project.to_owned(), target: of(model), ..want(26) };
        ids.insert(0, client.create_increase_request(request).await.unwrap().into_inner().request.unwrap().id);
    }
    let page = ListIncreaseRequestsRequest { page_size: 2, ..Default::default() };
    let first = client.list_increase_requests(page.clone()).await.unwrap().into_inner();
    let second = ListIncreaseRequestsRequest { page_token: first.next_page_token.clone(), ..page };
    let second = client.list_increase_requests(second).await.unwrap().into_inner();
    let named: Vec<_> = first.requests.iter().chain(&second.requests).map(|request| &*request.id).collect();
    assert_eq!(named, [&*ids[1], &ids[2], &ids[4]]);
    assert_eq!((first.requests.len(), &*second.next_page_token), (2, ""));
    let mut listed = async |request| -> Vec<String> {
        let listed = client.list_increase_requests(request).await.unwrap().into_inner().requests;
        listed.into_iter().map(|request| request.id).collect()
    };
    let all = ListIncreaseRequestsRequest { all_projects: true, ..Default::default() };
    assert_eq!(listed(all).await, ids);
    let custom = ListIncreaseRequestsRequest { target: of("nobody/knows-this"), ..Default::default() };
    assert_eq!(listed(custom).await, [&*ids[4]], "a model that the catalogue does not know");
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_named() {
    let serving = keyed();
    let (_, viewer) = key(&serving, new_key(Role::Viewer, "acme"));
    let mut client = client(&serving, &viewer).await;
    let text = |reason: &str| CreateIncreaseRequestRequest { reason: reason.to_owned(), ..want(26) };
    wrong(ask(&mut client, text("")).await, "reason", "0 bytes");
    wrong(ask(&mut client, text(&"x".repeat(501))).await, "reason", "501 bytes");
    wrong(ask(&mut client, text("a\u{202e}b")).await, "reason", "control character");
    wrong(ask(&mut client, want(0)).await, "wanted_slots", "1 to 16777215");
    wrong(ask(&mut client, CreateIncreaseRequestRequest { target: None, ..want(26) }).await, "target", "is needed");
    let odd = CreateIncreaseRequestRequest { target: of("sonic"), ..want(26) };
    wrong(ask(&mut client, odd).await, "target.meter.model", "provider/model");
    let past = prost_types::Timestamp { seconds: 1_000, nanos: 0 };
    wrong(
        ask(&mut client, CreateIncreaseRequestRequest { end_time: Some(past), ..want(26) }).await,
        "end_time",
        "future",
    );
    let all = ListIncreaseRequestsRequest { all_projects: true, ..Default::default() };
    assert_eq!(client.list_increase_requests(all).await.unwrap_err().code(), Code::PermissionDenied);
    let page = ListIncreaseRequestsRequest { page_token: "00".into(), ..Default::default() };
    wrong(client.list_increase_requests(page).await, "page_token", "first page");
    for _ in 0..20 {
        ask(&mut client, want(26)).await.unwrap();
    }
    let full = ask(&mut client, want(26)).await.unwrap_err();
    assert_eq!(full.code(), Code::ResourceExhausted);
    assert!(full.message().contains("at most 20"), "{full}");

    let (_, operator) = key(&serving, new_key(Role::Operator, "acme"));
    let mut operator = self::client(&serving, &operator).await;
    wrong(ask(&mut operator, CreateIncreaseRequestRequest { project: "-".into(), ..want(26) }).await, "project", "one");
    wrong(decide(&mut operator, "", 26, "").await, "id", "");
    let missing = decide(&mut operator, "Missing000", 26, "").await.unwrap_err();
    assert_eq!((missing.code(), missing.message()), (Code::NotFound, "there is no request Missing000"));
}
