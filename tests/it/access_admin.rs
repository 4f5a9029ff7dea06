//! Keys, projects and the audit log as those who manage them see them.

use std::{collections::HashSet, sync::Arc, time::Duration};

use highwater::{
    access::{AuditRow, Role},
    model::{Key, Kind, Meter, Target, Time},
    proto::{
        self, AdminServiceListProjectsRequest, CreateApiKeyRequest, CreateProjectRequest, DeleteProjectRequest,
        GetCallerRequest, ListApiKeysRequest, ListAuditRowsRequest, ListQuotasRequest, RevokeApiKeyRequest,
        RotateApiKeyRequest, SetLimitRequest, UpdateApiKeyRequest, VerifyAuditRequest,
        admin_service_client::AdminServiceClient, limit_service_client::LimitServiceClient,
    },
    service::{Access, Actor, Author, Clock, Ledger, access::keep::Keeper, requests::Asked},
    store::{Change, Shelf, Store},
};
use tokio::time::timeout;
use tonic::Code;

use crate::{
    access::{admin, attach, bearer, end, ingest, key, keyed, new_key, project, quotas, report},
    redis_server::Redis,
    serving::{MODEL, SOON, Serving, config, meter},
    store_faults::Disk,
};

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
    let target = proto::Target { target: Some(proto::target::Target::Meter(meter(MODEL))) };
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
    let row = AuditRow::after(end, serving.service.ledger.head().1, Time(1), Default::default());
    let change = Change { audit_from: end, audit: vec![row.encode()], ..Default::default() };
    store.change(&change).unwrap();
    key(&serving, new_key(Role::Viewer, "acme"));
    let keys = store.documents(Shelf::ApiKeys).unwrap().len() as u64;
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

/// What of the model across all projects is held.
fn level_across(serving: &Serving) -> u32 {
    let pool = Target::ModelPool(Meter::new(Kind::Tts, MODEL, "", None).unwrap());
    let key = Key { project: project("-"), target: pool };
    serving.service.live.registry.find(&key).map_or(0, |tally| tally.word.level())
}

#[test]
fn the_last_use_of_a_key_is_not_written_over_what_another_process_decided() {
    let store: Arc<dyn Store> = Arc::new(Disk::default().open().unwrap());
    let open = || Access::open(store.clone(), Arc::new(Ledger::open(store.clone()).unwrap()), None).unwrap();
    let one = open();
    let (offline, now) = (Actor::offline(), Clock::wall());
    let (record, token) = one.create_key(new_key(Role::Viewer, "acme"), &offline, now).unwrap();
    one.verify(token.expose(), now).unwrap();
    open().revoke_key(&record.id, &|_| true, &offline, now).unwrap();
    one.keep_uses().unwrap();
    let kept = open().record(&record.id).unwrap();
    assert!(kept.revoked.is_some() && kept.last_used.is_some(), "{kept:?}");
    assert!(one.verify(token.expose(), now).is_err(), "it is not good here either");
}

#[tokio::test]
async fn credentials_that_failed_at_the_admin_service_are_told_to_the_audit_log() {
    let serving = keyed();
    let (_, viewer) = key(&serving, new_key(Role::Viewer, "acme"));
    let forged = viewer.replace("viewer", "editor");
    let refused = admin(&serving, &forged).await.get_caller(GetCallerRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let now = serving.service.clock.now();
    Keeper::new(now).last_step(&serving.service, now);
    let end = serving.service.store.audit_end().unwrap();
    let rows = serving.service.store.audit(end - 1..end, 1).unwrap();
    let told = AuditRow::decode(&rows[0].1).unwrap().entry;
    assert_eq!((&*told.action, &*told.object, &*told.address), ("auth.failed", "GetCaller", "127.0.0.1"));
    assert!(!told.after.contains(viewer.split('_').nth(3).unwrap()));
}

#[tokio::test]
async fn what_a_good_key_may_not_do_at_the_admin_service_is_told_to_the_audit_log_as_often_as_it_may_fail() {
    let serving = keyed();
    let (viewer, token) = key(&serving, new_key(Role::Viewer, "acme"));
    let (editor, editor_token) = key(&serving, new_key(Role::Editor, "acme"));
    let before = serving.service.store.audit_end().unwrap();
    let mut client = admin(&serving, &token).await;
    for _ in 0..40 {
        let refused = client.list_api_keys(ListApiKeysRequest::default()).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "it is told why, however often");
    }
    let mut client = admin(&serving, &editor_token).await;
    let operator = CreateApiKeyRequest { role: 4, ..CreateApiKeyRequest::default() };
    assert_eq!(client.create_api_key(operator).await.unwrap_err().code(), Code::PermissionDenied);
    let all = ListAuditRowsRequest { all_projects: true, ..ListAuditRowsRequest::default() };
    assert_eq!(client.list_audit_rows(all).await.unwrap_err().code(), Code::PermissionDenied);
    let now = serving.service.clock.now();
    Keeper::new(now).last_step(&serving.service, now);

    let rows = client.list_audit_rows(ListAuditRowsRequest::default()).await.unwrap().into_inner().rows;
    let told = |key: &str, call: &str| {
        let is_told = |row: &&proto::AuditRow| row.action == "auth.forbidden" && row.actor == key && row.object == call;
        rows.iter().filter(is_told).count()
    };
    assert!((20..30).contains(&told(&viewer, "ListApiKeys")), "{}", told(&viewer, "ListApiKeys"));
    assert_eq!((told(&editor, "CreateApiKey"), told(&editor, "ListAuditRows")), (1, 1));
    assert!(rows[0].seq - before < 40 && rows[0].role == "editor" && rows[0].address == "127.0.0.1", "{:?}", rows[0]);
}

#[tokio::test]
async fn an_operator_ends_neither_the_own_key_nor_the_last_of_an_operator() {
    let serving = keyed();
    let (own, token) = key(&serving, new_key(Role::Operator, "default"));
    let mut client = admin(&serving, &token).await;
    let make = |role, project: &str| {
        let project = project.to_owned();
        CreateApiKeyRequest { role, project, ..CreateApiKeyRequest::default() }
    };
    client.create_project(CreateProjectRequest { project: "default".to_owned() }).await.unwrap();
    let past = UpdateApiKeyRequest {
        api_key: Some(proto::ApiKey {
            id: own.clone(),
            expire_time: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["expire_time".to_owned()] }),
    };
    let revoke = |id: &str| RevokeApiKeyRequest { id: id.to_owned() };
    let delete = DeleteProjectRequest { project: "default".to_owned() };
    let refused = [
        client.revoke_api_key(revoke(&own)).await.unwrap_err(),
        client.update_api_key(past).await.unwrap_err(),
        client.delete_project(delete.clone()).await.unwrap_err(),
    ];
    for refused in refused {
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
        assert!(refused.message().contains("keys create --role operator"), "{refused}");
    }

    // Each ends the other's: the second of two at once would leave nobody.
    let other = client.create_api_key(make(4, "ops")).await.unwrap().into_inner();
    let (other, other_token) = (other.api_key.unwrap().id, other.token);
    let access = &serving.service.access;
    let one = Actor { key: "gone".into(), role: Some(Role::Operator), address: None, request_id: "".into() };
    access.revoke_key(&other, &|_| true, &one, Clock::wall()).unwrap();
    let refused = access.revoke_key(&own, &|_| true, &one, Clock::wall()).unwrap_err();
    assert!(refused.to_string().contains("the last key of an operator"), "{refused}");
    assert_eq!(admin_of(&serving, &other_token).await, Code::Unauthenticated);

    // With another operator's key in a project that stays, all of it is done.
    let other = client.create_api_key(make(4, "ops")).await.unwrap().into_inner();
    let mut client = admin(&serving, &other.token).await;
    client.revoke_api_key(revoke(&own)).await.unwrap();
    client.delete_project(delete).await.unwrap();
    assert_eq!(admin_of(&serving, &other.token).await, Code::Ok);
    // An editor's own key locks nobody out.
    let (editor, editor_token) = key(&serving, new_key(Role::Editor, "acme"));
    admin(&serving, &editor_token).await.revoke_api_key(revoke(&editor)).await.unwrap();
}

/// What who holds a token is told of themselves.
async fn admin_of(serving: &Serving, token: &str) -> Code {
    let caller = admin(serving, token).await.get_caller(GetCallerRequest {}).await;
    caller.map_or_else(|refused| refused.code(), |_| Code::Ok)
}

#[tokio::test]
async fn a_load_balancer_is_told_no_words_that_may_name_a_file() {
    let serving = keyed();
    serving.service.health.trouble("store", "/var/lib/highwater/store.redb: no space left");
    let page = crate::doors::page(serving.address, "/readyz").await;
    assert!(page.starts_with("HTTP/1.1 200") && page.ends_with("ready\ndegraded: store\n"), "{page}");
    let (_, viewer) = key(&serving, new_key(Role::Viewer, "acme"));
    let mut client = quotas(&serving, &viewer).await;
    let status = client.get_status(proto::GetStatusRequest {}).await.unwrap().into_inner();
    assert_eq!(status.degraded, ["store: operators are told more"]);
}

#[tokio::test]
async fn a_deleted_project_leaves_nothing_behind() {
    check_deletion(keyed()).await;
}

#[tokio::test]
async fn a_deleted_project_leaves_nothing_behind_in_redis() {
    let redis = Redis::start();
    let mut config = config();
    config.dev = false;
    check_deletion(Serving::on(config, Arc::new(redis.open("hw:").unwrap()))).await;
}

/// Asks for more at the service itself.
fn ask(serving: &Serving, of: &str) {
    let target = Target::Meter(Meter::new(Kind::Tts, MODEL, "", None).unwrap());
    let (reason, evidence) = ("launch".into(), Default::default());
    let asked = Asked { project: project(of), target, wanted: 30, reason, end: None, evidence };
    serving.service.ask_increase(asked, &Actor::service(), serving.service.clock.now()).unwrap();
}

async fn check_deletion(serving: Serving) {
    let (_, operator) = key(&serving, new_key(Role::Operator, "default"));
    let (_, worker) = key(&serving, new_key(Role::Worker, "acme"));
    ingest(&serving, &worker).await.report(report("")).await.unwrap();
    ingest(&serving, &operator).await.report(report("beside")).await.unwrap();
    let (_say, mut stream) = attach(&serving, &worker, 1).await.unwrap();
    assert!(stream.message().await.unwrap().is_some());
    let target = Target::Meter(Meter::new(Kind::Tts, MODEL, "", None).unwrap());
    let author = Author { set_by: "kim".into(), reason: String::new(), actor: Actor::service() };
    let limited = Key { project: project("acme"), target };
    serving.service.set_limit(&limited, 9, None, author, serving.service.clock.now()).unwrap();
    for of in ["acme", "beside"] {
        ask(&serving, of);
        crate::access_matrix::asks::chain(&serving, of);
    }
    assert_eq!(level_across(&serving), 2);
    let highest = serving.service.store.keys_end().unwrap();

    let mut client = admin(&serving, &operator).await;
    let missing = client.delete_project(DeleteProjectRequest { project: "nobody".into() }).await.unwrap_err();
    assert_eq!((missing.code(), missing.message()), (Code::NotFound, "there is no project nobody"));
    let deleted = client.delete_project(DeleteProjectRequest { project: "acme".into() }).await.unwrap().into_inner();
    assert_eq!((deleted.api_keys, deleted.keys), (1, 2), "its key; its meter and the pool of the kind");
    assert_eq!(end(&mut stream, SOON).await.code(), Code::Unauthenticated);
    assert_eq!(level_across(&serving), 1, "the pool across projects knows that its session ended");
    let asked = ListQuotasRequest { project: "acme".into(), ..ListQuotasRequest::default() };
    let gone = quotas(&serving, &operator).await.list_quotas(asked).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
    let store = &serving.service.store;
    assert!(store.keys().unwrap().iter().all(|(_, key)| key.project != project("acme")));
    assert!(store.limits().unwrap().is_empty() && store.documents(Shelf::Projects).unwrap().is_empty());
    assert_eq!(store.documents(Shelf::ApiKeys).unwrap().len(), 1, "the operator's");
    for shelf in [Shelf::Requests, Shelf::Chains, Shelf::ByHand] {
        assert_eq!(store.documents(shelf).unwrap().len(), 1, "the other project's");
    }
    assert_eq!(serving.service.chains.projects(), [project("beside")]);
    let all = ListAuditRowsRequest { all_projects: true, ..ListAuditRowsRequest::default() };
    let rows = client.list_audit_rows(all).await.unwrap().into_inner().rows;
    assert_eq!((&*rows[0].action, &*rows[1].action), ("project.deleted", "project.delete"));
    assert_eq!(client.verify_audit(VerifyAuditRequest {}).await.unwrap().into_inner().problem, "");

    // One of the same name is another one: no number is used again.
    ingest(&serving, &operator).await.report(report("acme")).await.unwrap();
    let again = serving.service.live.registry.find(&limited).unwrap();
    assert!(again.id.0 >= highest && serving.service.limits.slots_at(again.id, Time(u64::MAX)).is_none());
    assert_eq!(level_across(&serving), 2);
    let projects =
        client.list_projects(AdminServiceListProjectsRequest::default()).await.unwrap().into_inner().projects;
    let counted: Vec<_> = projects.iter().map(|project| (&*project.name, project.key_count)).collect();
    assert!(counted.contains(&("acme", 2)) && counted.contains(&("beside", 2)), "{counted:?}");
    let page = crate::doors::page(serving.address, "/metrics").await;
    let mut series = HashSet::new();
    for line in page.lines().filter(|line| line.starts_with("highwater_")) {
        assert!(series.insert(line.rsplit_once(' ').unwrap().0), "twice: {line}");
    }
    let active = "highwater_sessions_active{project=\"acme\",kind=\"tts\",model=\"cartesia/sonic-3\"} 1";
    assert!(page.lines().any(|line| line == active), "{page}");
}
