//! Reports without a stream.

use std::time::Duration;

use highwater::proto::{
    GoodbyeRequest, HeartbeatRequest, Labels, Meter, ReportRequest, ReportedEvent,
    ingest_service_client::IngestServiceClient,
};
use tonic::{Code, transport::Channel};
use tonic_types::StatusExt as _;

use crate::serving::{MODEL, Serving, config, id, meter};

const LEASE: prost_types::Duration = prost_types::Duration { seconds: 60, nanos: 0 };

fn opened(session_id: &[u8]) -> ReportedEvent {
    ReportedEvent { session_id: session_id.into(), meter: Some(meter(MODEL)), ..ReportedEvent::default() }
}

fn ended(session_id: &[u8], outcome: i32) -> ReportedEvent {
    ReportedEvent { session_id: session_id.into(), outcome, ..ReportedEvent::default() }
}

fn report(events: Vec<ReportedEvent>) -> ReportRequest {
    ReportRequest { worker_id: "cron".into(), incarnation: id(7), events, ..ReportRequest::default() }
}

#[tokio::test]
async fn reports_live_under_a_lease_until_goodbye() {
    let serving = Serving::start();
    let mut client = serving.ingest().await;
    let unknown = Meter { model: "acme/new-1:voice".into(), ..meter("") };
    let labels = Some(Labels { room: "lobby".into(), job: "job-1".into() });
    let events = vec![
        opened(b"call-1"),
        ReportedEvent { labels, ..opened(b"call-2") },
        opened(b"call-1"),
        ReportedEvent { meter: Some(unknown), ..opened(b"call-3") },
        ended(b"call-2", 2),
    ];
    let answer = client.report(ReportRequest { lease: Some(LEASE), ..report(events) }).await.unwrap().into_inner();
    assert_eq!((answer.applied, answer.duplicates), (4, 1));
    assert_eq!(answer.unknown_models, ["acme/new-1"]);
    assert!(answer.lease_is_new);
    assert_eq!(serving.level(), 1);
    let again = ReportRequest { lease: Some(LEASE), ..report(Vec::new()) };
    let answer = client.report(again).await.unwrap().into_inner();
    assert!(!answer.lease_is_new);
    let until = answer.lease_until.unwrap().seconds - serving.service.clock.now().wall.tick().0 as i64;
    assert!((55..=60).contains(&until), "{until} s");

    let beat = HeartbeatRequest { incarnation: id(7), ..HeartbeatRequest::default() };
    let answer = client.heartbeat(beat).await.unwrap().into_inner();
    assert_eq!(answer.live_count, 2);
    let bye = GoodbyeRequest { incarnation: id(7), outcome: 1, ..GoodbyeRequest::default() };
    assert_eq!(client.goodbye(bye.clone()).await.unwrap().into_inner().closed_count, 2);
    assert_eq!(client.goodbye(bye).await.unwrap().into_inner().closed_count, 0);
    assert_eq!(serving.level(), 0);
}

#[tokio::test]
async fn a_lease_that_is_not_renewed_ends() {
    let mut config = config();
    config.bounds.unary_lease.0 = Duration::from_secs(1);
    let serving = Serving::with(config);
    let mut client = serving.ingest().await;
    client.report(report(vec![opened(b"call-1")])).await.unwrap();
    assert_eq!(serving.level(), 1);
    serving.until_level(0).await;
    let beat = HeartbeatRequest { incarnation: id(7), ..HeartbeatRequest::default() };
    assert_eq!(client.heartbeat(beat).await.unwrap_err().code(), Code::NotFound);
}

async fn refused(client: &mut IngestServiceClient<Channel>, request: ReportRequest, field: &str) {
    let status = client.report(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{field}: {}", status.message());
    assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, field);
}

#[tokio::test]
async fn what_is_wrong_with_a_report_is_named() {
    let serving = Serving::start();
    let client = &mut serving.ingest().await;
    let lease = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    let meterless = ReportedEvent { meter: None, ..opened(b"b") };
    let labels = Some(Labels { room: String::new(), job: "x".repeat(65) });
    let labelled = ReportedEvent { labels, ..opened(b"b") };
    refused(client, ReportRequest { incarnation: vec![], ..report(vec![]) }, "incarnation").await;
    refused(client, ReportRequest { worker_id: String::new(), ..report(vec![]) }, "worker_id").await;
    refused(client, ReportRequest { project: "-".into(), ..report(vec![]) }, "project").await;
    refused(client, ReportRequest { lease: lease(9), ..report(vec![]) }, "lease").await;
    refused(client, ReportRequest { lease: lease(301), ..report(vec![]) }, "lease").await;
    refused(client, ReportRequest { lease: lease(-1), ..report(vec![]) }, "lease").await;
    refused(client, report(vec![opened(b"a"), meterless]), "events[1].meter").await;
    refused(client, report(vec![opened(b"a"), opened(b"")]), "events[1].session_id").await;
    refused(client, report(vec![opened(b"a"), ended(b"b", 10)]), "events[1].outcome").await;
    refused(client, report(vec![opened(b"a"), labelled]), "events[1].labels.job").await;
    let many = client.report(report(vec![opened(b"a"); 4_097])).await.unwrap_err();
    assert_eq!(many.get_details_quota_failure().unwrap().violations[0].subject, "batch_events");
    assert_eq!(serving.level(), 0);
}
