//! Reads and limits over gRPC, against a real service.

use std::time::Duration;

use highwater::proto::{
    ApplyPlanRequest, EndLimitRequest, GetDistributionRequest, GetHistoryRequest, GetStatusRequest,
    ListCatalogueRequest, ListLimitsRequest, ListPlansRequest, ListProjectsRequest, ListQuotasRequest,
    ListSessionsRequest, Pool, Quota, Risk, SetLimitRequest, Target, WatchQuotasRequest, WatchQuotasResponse,
    get_history_request::Column, limit_service_client::LimitServiceClient, quota_service_client::QuotaServiceClient,
    target::Target as Named,
};
use tokio::time::timeout;
use tonic::{Code, Streaming, transport::Channel};

use crate::serving::{
    MODEL, SOON, Serving, Worker, batch, config, connect, disconnect, hello, id, is_meter_of, meter, wrong,
};

const TTS: i32 = 3;

fn of_meter() -> Option<Target> {
    Some(Target { target: Some(Named::Meter(meter(MODEL))) })
}

fn of_pool(kind: i32) -> Option<Target> {
    Some(Target { target: Some(Named::Pool(Pool { kind, ..Pool::default() })) })
}

fn limit(slots: u32) -> SetLimitRequest {
    let (slots, set_by) = (Some(slots), "kim".to_owned());
    SetLimitRequest { target: of_meter(), slots, set_by, ..SetLimitRequest::default() }
}

async fn quotas(serving: &Serving) -> QuotaServiceClient<Channel> {
    QuotaServiceClient::new(serving.channel().await)
}

async fn limits(serving: &Serving) -> LimitServiceClient<Channel> {
    LimitServiceClient::new(serving.channel().await)
}

fn level_of(quotas: &[Quota]) -> Vec<(&str, u32)> {
    quotas.iter().map(|quota| (&*quota.display_name, quota.level)).collect()
}

async fn next(watch: &mut Streaming<WatchQuotasResponse>) -> WatchQuotasResponse {
    timeout(SOON, watch.message()).await.unwrap().unwrap().unwrap()
}

#[tokio::test]
async fn what_a_worker_reports_is_listed_with_its_limit() {
    let serving = Serving::start();
    let mut worker = Worker::ready(&serving, hello(1, 1), &[]).await;
    worker.say(batch(1, [connect(1), connect(2), connect(3)])).await;
    worker.until_applied(1).await;
    let set = limits(&serving).await.set_limit(limit(3)).await.unwrap().into_inner();
    assert_eq!((set.limit.unwrap().slots, set.unknown_model), (3, false));

    let mut client = quotas(&serving).await;
    let list = client.list_quotas(ListQuotasRequest::default()).await.unwrap().into_inner();
    assert_eq!(level_of(&list.quotas), [("TTS", 3), ("Cartesia Sonic 3", 3)]);
    let quota = &list.quotas[1];
    assert_eq!((quota.risk(), quota.covered, quota.recent_peak), (Risk::AtLimit, true, 3));
    assert_eq!(quota.peak.as_ref().map(|peak| peak.level), Some(3));
    assert_eq!(quota.limit.as_ref().map(|limit| (limit.slots, &*limit.set_by)), Some((3, "kim")));
    assert!(!list.settling && list.next_page_token.is_empty());
    let verdict = list.verdict.unwrap();
    assert!(verdict.sentence.starts_with("Cartesia Sonic 3: 3 of 3."), "{}", verdict.sentence);
    assert_eq!((&verdict.target, verdict.level, verdict.limit_plus_one), (&quota.target, 3, 4));
    assert_eq!(verdict.wanted_slots, 4);
    // The limit was not in force when the minute began.
    assert_eq!((verdict.risk, verdict.days_at_limit), (Risk::AtLimit.into(), 0));

    let across = ListQuotasRequest { project: "-".to_owned(), ..ListQuotasRequest::default() };
    let across = client.list_quotas(across).await.unwrap().into_inner();
    assert_eq!(level_of(&across.quotas), [("Cartesia Sonic 3, all projects", 3)]);
    let projects = client.list_projects(ListProjectsRequest::default()).await.unwrap().into_inner();
    assert_eq!(projects.projects, ["default"]);
    let status = client.get_status(GetStatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.attached_workers, status.live_sessions, status.audit_drift), (1, 3, 0));
}

#[tokio::test]
async fn lists_come_in_pages() {
    let serving = Serving::start();
    let mut worker = Worker::ready(&serving, hello(1, 1), &[]).await;
    worker.say(batch(1, (1..=5).map(connect).collect::<Vec<_>>())).await;
    worker.until_applied(1).await;
    let mut client = quotas(&serving).await;

    let first = ListQuotasRequest { page_size: 1, ..ListQuotasRequest::default() };
    let page = client.list_quotas(first.clone()).await.unwrap().into_inner();
    let words = "No model has a limit yet. Highest of the last seven days: Cartesia Sonic 3, 5,";
    let sentence = page.verdict.unwrap().sentence;
    assert!(sentence.starts_with(words), "it is of the whole project: {sentence}");
    assert_eq!(level_of(&page.quotas), [("TTS", 5)]);
    let second = ListQuotasRequest { page_token: page.next_page_token, ..first };
    let page = client.list_quotas(second.clone()).await.unwrap().into_inner();
    assert_eq!((level_of(&page.quotas), &*page.next_page_token), (vec![("Cartesia Sonic 3", 5)], ""));
    wrong(client.list_quotas(ListQuotasRequest { kinds: vec![TTS], ..second }).await, "page_token", "given for");

    let mut request = ListSessionsRequest { page_size: 2, target: of_pool(TTS), ..ListSessionsRequest::default() };
    let mut ids = Vec::new();
    loop {
        let page = client.list_sessions(request.clone()).await.unwrap().into_inner();
        assert_eq!(page.total_size, 5);
        ids.extend(page.sessions.into_iter().map(|session| (session.id, session.worker_id)));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    ids.sort();
    let hex = |id: Vec<u8>| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let expected: Vec<_> = (1..=5).map(|nth| (hex(id(nth)), "worker-1".to_owned())).collect();
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn a_watcher_is_told_all_and_then_what_changed() {
    let mut serving = Serving::start();
    let mut worker = Worker::ready(&serving, hello(1, 1), &[]).await;
    worker.say(batch(1, [connect(1)])).await;
    worker.until_applied(1).await;
    limits(&serving).await.set_limit(SetLimitRequest { target: of_pool(2), ..limit(5) }).await.unwrap();

    let mut client = quotas(&serving).await;
    let mut watch = client.watch_quotas(WatchQuotasRequest::default()).await.unwrap().into_inner();
    let all = next(&mut watch).await;
    assert_eq!(level_of(&all.quotas), [("STT", 0), ("TTS", 1), ("Cartesia Sonic 3", 1)]);
    assert!(all.verdict.unwrap().sentence.starts_with("No model in use has a limit yet."));
    let stt = WatchQuotasRequest { kinds: vec![2], ..WatchQuotasRequest::default() };
    let mut of_stt = client.watch_quotas(stt).await.unwrap().into_inner();
    assert!(next(&mut of_stt).await.verdict.is_some());
    worker.say(batch(2, [connect(2), disconnect(1)])).await;
    worker.until_applied(2).await;
    worker.say(batch(3, [connect(3)])).await;
    worker.until_applied(3).await;
    loop {
        let changed = next(&mut watch).await;
        assert!(changed.quotas.iter().all(|quota| quota.display_name != "STT"), "nothing of it changed");
        if level_of(&changed.quotas) == [("TTS", 2), ("Cartesia Sonic 3", 2)] {
            break;
        }
    }
    // The verdict is of the whole project: it is told also when nothing else that is watched changed.
    limits(&serving).await.set_limit(limit(2)).await.unwrap();
    loop {
        let changed = next(&mut of_stt).await;
        assert!(changed.quotas.is_empty(), "{changed:?}");
        if changed.verdict.unwrap().sentence.starts_with("Cartesia Sonic 3: 2 of 2.") {
            break;
        }
    }
    serving.stop();
    let status = loop {
        match timeout(SOON, watch.message()).await.unwrap() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended without a word"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::Unavailable);
    drop(worker);
    serving.stopped().await;
}

#[tokio::test]
async fn a_watch_of_what_does_not_change_is_heard_within_15_seconds() {
    let serving = Serving::start();
    let mut worker = Worker::ready(&serving, hello(1, 1), &[]).await;
    worker.say(batch(1, [connect(1)])).await;
    worker.until_applied(1).await;
    let of_llm = WatchQuotasRequest { kinds: vec![1], ..WatchQuotasRequest::default() };
    let mut watch = quotas(&serving).await.watch_quotas(of_llm).await.unwrap().into_inner();
    let mut as_of = next(&mut watch).await.as_of.unwrap();
    for _ in 0..2 {
        let beat = timeout(Duration::from_secs(15), watch.message()).await.unwrap().unwrap().unwrap();
        assert!(beat.quotas.is_empty() && beat.as_of.unwrap().seconds > as_of.seconds, "{beat:?}");
        as_of = beat.as_of.unwrap();
    }
    drop(worker);
}

#[tokio::test]
async fn a_history_has_the_columns_that_were_asked_for() {
    let serving = Serving::start();
    let mut worker = Worker::ready(&serving, hello(1, 1), &[]).await;
    worker.say(batch(1, [connect(1), connect(2), disconnect(1)])).await;
    worker.until_applied(1).await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let mut client = quotas(&serving).await;
    let week = GetHistoryRequest { targets: vec![of_meter().unwrap(), of_pool(TTS).unwrap()], ..Default::default() };
    let answer = client.get_history(week.clone()).await.unwrap().into_inner();
    assert_eq!(answer.step.unwrap().seconds, 60);
    for history in &answer.histories {
        assert_eq!((history.peak.len(), history.flags.len()), (10_080, 10_080));
        assert!(history.opened.is_empty() && history.limit_plus_one.is_empty());
        let (covered, gaps): (Vec<_>, Vec<_>) = history.peak.iter().zip(&history.flags).partition(|(_, f)| *f & 1 == 0);
        assert!((1..=2).contains(&covered.len()), "{covered:?}");
        assert_eq!(covered.iter().map(|(peak, _)| **peak).max(), Some(2));
        assert!(gaps.iter().all(|(peak, _)| **peak == 0));
    }
    let columns = vec![Column::Sessions.into(), Column::Limit.into(), Column::Covered.into()];
    let hours = GetHistoryRequest { step: Some(prost_types::Duration { seconds: 3_600, nanos: 0 }), columns, ..week };
    let history = client.get_history(hours).await.unwrap().into_inner().histories.remove(0);
    assert!((168..=169).contains(&history.peak.len()));
    assert_eq!((history.opened.iter().sum::<u32>(), history.closed_ok.iter().sum::<u32>()), (2, 1));
    assert!(history.covered_seconds.iter().sum::<u32>() >= 1);
    assert!(history.limit_plus_one.iter().all(|limit| *limit == 0) && history.last.is_empty());

    let all = GetDistributionRequest { target: of_meter(), ..GetDistributionRequest::default() };
    let found = client.get_distribution(all).await.unwrap().into_inner();
    assert_eq!((found.levels.last().map(|level| level.level), found.ended_sessions), (Some(2), 1));
    assert!(found.covered_seconds >= 1 && found.time_at.iter().any(|time| time.level == 2));
}

#[tokio::test]
async fn limits_have_a_history_and_outlive_the_service() {
    let store = std::sync::Arc::new(highwater::store::embedded::EmbeddedStore::in_memory().unwrap());
    let mut serving = Serving::on(config(), store.clone());
    let mut client = limits(&serving).await;
    for slots in [10, 20, 30] {
        client.set_limit(limit(slots)).await.unwrap();
    }
    let (set_by, reason) = ("lee".to_owned(), "contract over".to_owned());
    let ended = EndLimitRequest { target: of_meter(), set_by, reason, ..EndLimitRequest::default() };
    let limit_ended = client.end_limit(ended.clone()).await.unwrap().into_inner().limit.unwrap();
    assert!(limit_ended.slots == 30 && limit_ended.end_time.is_some());
    assert_eq!((&*limit_ended.ended_by, &*limit_ended.end_reason), ("lee", "contract over"));
    assert_eq!(client.end_limit(ended).await.unwrap_err().code(), Code::NotFound);
    let plan = ApplyPlanRequest { plan_id: "livekit-build".into(), set_by: "kim".into(), ..Default::default() };
    let applied = client.apply_plan(plan.clone()).await.unwrap().into_inner();
    assert_eq!((applied.limits.len(), applied.ended.len()), (6, 0));
    assert_eq!(client.apply_plan(plan.clone()).await.unwrap().into_inner(), applied);
    assert_eq!(applied.kept, []);
    client.set_limit(limit(5)).await.unwrap();
    let kept = client.apply_plan(plan).await.unwrap().into_inner().kept;
    let [kept] = &kept[..] else { panic!("{kept:?}") };
    assert!(is_meter_of(&kept.target, MODEL) && kept.slots == 5, "{kept:?}");
    serving.stop();
    serving.stopped().await;

    let serving = Serving::on(config(), store);
    let mut client = limits(&serving).await;
    let now = client.list_limits(ListLimitsRequest::default()).await.unwrap().into_inner();
    let slots: Vec<_> = now.limits.iter().map(|limit| (limit.slots, limit.end_time.is_some())).collect();
    assert_eq!(slots, [(5, false), (5, false), (5, false), (5, false), (100, false), (2, false), (2, false)]);
    let mut request = ListLimitsRequest { target: of_meter(), history: true, page_size: 3, ..Default::default() };
    let first = client.list_limits(request.clone()).await.unwrap().into_inner();
    request.page_token = first.next_page_token;
    let second = client.list_limits(request).await.unwrap().into_inner();
    let all: Vec<_> = first.limits.iter().chain(&second.limits).map(|l| (l.slots, l.end_time.is_some())).collect();
    assert_eq!(all, [(5, false), (30, true), (20, true), (10, true)]);
    let enders: Vec<_> = first.limits.iter().chain(&second.limits).map(|l| (&*l.ended_by, &*l.end_reason)).collect();
    assert_eq!(enders, [("", ""), ("lee", "contract over"), ("", ""), ("", "")], "others were replaced");
    assert!(second.next_page_token.is_empty());
}

#[tokio::test]
async fn plans_and_catalogue_are_there() {
    let serving = Serving::start();
    let mut client = limits(&serving).await;
    let plans = client.list_plans(ListPlansRequest::default()).await.unwrap().into_inner().plans;
    assert!(plans.iter().any(|plan| plan.id == "livekit-build" && plan.limits.len() == 6));
    let mut request = ListCatalogueRequest { kinds: vec![TTS], page_size: 5, ..ListCatalogueRequest::default() };
    let mut names = Vec::new();
    loop {
        let page = client.list_catalogue(request.clone()).await.unwrap().into_inner();
        names.extend(page.models.into_iter().map(|model| model.model));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert!(names.is_sorted() && names.len() > 5 && names.iter().any(|name| name == MODEL));
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let serving = Serving::start();
    let _worker = Worker::ready(&serving, hello(1, 1), &[]).await;
    let mut client = quotas(&serving).await;
    let list = |project: &str| ListQuotasRequest { project: project.to_owned(), ..ListQuotasRequest::default() };
    wrong(client.list_quotas(list("No Such")).await, "project", "[a-z0-9-]");
    wrong(client.list_quotas(ListQuotasRequest { page_size: -1, ..list("") }).await, "page_size", "-1");
    wrong(
        client.list_quotas(ListQuotasRequest { page_token: "x".into(), ..list("") }).await,
        "page_token",
        "first page",
    );
    wrong(client.list_quotas(ListQuotasRequest { kinds: vec![3, 0], ..list("") }).await, "kinds[1]", "is 0");
    let zone = "Mars/Olympus";
    wrong(client.list_quotas(ListQuotasRequest { time_zone: zone.into(), ..list("") }).await, "time_zone", zone);
    let watch = WatchQuotasRequest { time_zone: zone.into(), ..WatchQuotasRequest::default() };
    wrong(client.watch_quotas(watch).await, "time_zone", zone);
    assert_eq!(client.list_quotas(list("nobody")).await.unwrap_err().code(), Code::NotFound);
    let watch = WatchQuotasRequest { project: "nobody".into(), ..WatchQuotasRequest::default() };
    assert_eq!(client.watch_quotas(watch).await.unwrap_err().code(), Code::NotFound);

    let history = || GetHistoryRequest { targets: vec![of_meter().unwrap()], ..GetHistoryRequest::default() };
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let step = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    wrong(client.get_history(GetHistoryRequest { targets: vec![], ..history() }).await, "targets", "are 0");
    wrong(client.get_history(GetHistoryRequest { step: step(90), ..history() }).await, "step", "whole minutes");
    wrong(client.get_history(GetHistoryRequest { step: step(420), ..history() }).await, "step", "divide");
    wrong(client.get_history(GetHistoryRequest { start_time: at(0), ..history() }).await, "start_time", "steps");
    wrong(client.get_history(GetHistoryRequest { end_time: at(i64::MAX), ..history() }).await, "end_time", "no time");
    wrong(client.get_history(GetHistoryRequest { end_time: at(1 << 42), ..history() }).await, "end_time", "9999");
    let (start_time, end_time) = (at(120), at(60));
    wrong(client.get_history(GetHistoryRequest { start_time, end_time, ..history() }).await, "start_time", "before");
    wrong(client.get_history(GetHistoryRequest { columns: vec![9], ..history() }).await, "columns[0]", "is 9");
    let target = Target { target: Some(Named::Meter(meter("sonic"))) };
    let named = GetHistoryRequest { targets: vec![of_meter().unwrap(), target], ..history() };
    wrong(client.get_history(named).await, "targets[1].meter.model", "provider/model");
    let strange = Target { target: Some(Named::Meter(meter("a/b"))) };
    let strange = GetHistoryRequest { targets: vec![strange], ..history() };
    assert_eq!(client.get_history(strange).await.unwrap_err().code(), Code::NotFound);

    let distribution = || GetDistributionRequest { target: of_meter(), ..GetDistributionRequest::default() };
    for percentile in [0.0, 100.1, f64::NAN] {
        let request = GetDistributionRequest { percentiles: vec![50.0, percentile], ..distribution() };
        wrong(client.get_distribution(request).await, "percentiles[1]", "above 0");
    }
    wrong(client.get_distribution(GetDistributionRequest { target: None, ..distribution() }).await, "target", "needed");

    let mut client = limits(&serving).await;
    wrong(client.set_limit(SetLimitRequest { slots: None, ..limit(1) }).await, "slots", "needed");
    wrong(client.set_limit(limit(1 << 24)).await, "slots", "16777215");
    wrong(client.set_limit(SetLimitRequest { end_time: at(5), ..limit(1) }).await, "end_time", "future");
    wrong(client.set_limit(SetLimitRequest { set_by: String::new(), ..limit(1) }).await, "set_by", "0 bytes");
    wrong(client.set_limit(SetLimitRequest { set_by: "plan:x".into(), ..limit(1) }).await, "set_by", "plan");
    wrong(client.set_limit(SetLimitRequest { reason: "a\u{7}".into(), ..limit(1) }).await, "reason", "control");
    wrong(client.set_limit(SetLimitRequest { project: "-".into(), ..limit(1) }).await, "target.meter", "no meters");
    let plan = ApplyPlanRequest { plan_id: "none".into(), set_by: "kim".into(), ..ApplyPlanRequest::default() };
    assert_eq!(client.apply_plan(plan).await.unwrap_err().code(), Code::NotFound);
}
