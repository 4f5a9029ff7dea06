//! The port: health, reflection, the pages of a load balancer, and the bounds on connections.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::{
    v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    },
    v1alpha,
};

use highwater::{
    client::{self, WorkerClient, WorkerConfig},
    config::Rate,
    model::SessionId,
    proto::{GetStatusRequest, ReportRequest, quota_service_client::QuotaServiceClient},
    service::guard::Why,
};
use tonic_types::StatusExt as _;

use crate::serving::{MODEL, SOON, Serving, Worker, batch, config, connect_of, hello, meter};

/// What is answered at a path, its head with it.
pub async fn page(address: SocketAddr, path: &str) -> String {
    try_page(address, path).await.unwrap()
}

/// The same where the connection may be closed before it is answered.
async fn try_page(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut socket = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: highwater\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Waits until the service closes the connection.
async fn closed(mut socket: TcpStream, within: Duration) -> bool {
    let mut rest = Vec::new();
    timeout(within, socket.read_to_end(&mut rest)).await.is_ok()
}

#[tokio::test]
async fn the_pages_of_a_load_balancer() {
    let serving = Serving::start();
    assert!(page(serving.address, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(page(serving.address, "/readyz").await.ends_with("ready\n"));
    serving.service.health.trouble("store", "no space left");
    let degraded = page(serving.address, "/readyz").await;
    // It counts on: workers stay.
    assert!(degraded.starts_with("HTTP/1.1 200") && degraded.ends_with("\r\nready\ndegraded: store: no space left\n"));
    serving.service.health.warn("keeping", Some("it may drop what it holds".to_owned()));
    let warned = page(serving.address, "/readyz").await;
    assert!(
        warned.starts_with("HTTP/1.1 200") && warned.ends_with("left\nwarning: keeping: it may drop what it holds\n")
    );
    serving.service.health.trouble("recorder", "it stopped");
    let stopped = page(serving.address, "/readyz").await;
    assert!(stopped.starts_with("HTTP/1.1 503") && stopped.contains("\r\nnot ready\ndegraded: recorder: it stopped\n"));
}

#[tokio::test]
async fn health_is_told_by_service() {
    let serving = Serving::start();
    let mut client = HealthClient::new(serving.channel().await);
    for service in ["", "highwater.v1.IngestService"] {
        let request = HealthCheckRequest { service: service.into() };
        let status = client.check(request).await.unwrap().into_inner().status;
        assert_eq!(status, 1, "{service:?} is serving");
    }
}

#[tokio::test]
async fn the_contract_can_be_asked_for() {
    let serving = Serving::start();
    let request = || ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..Default::default()
    };
    let mut client = ServerReflectionClient::new(serving.channel().await);
    let mut answers = client.server_reflection_info(tokio_stream::once(request())).await.unwrap().into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) = answers.message().await.unwrap().unwrap().message_response
    else {
        panic!("a list is due")
    };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    for name in ["highwater.v1.IngestService", "highwater.v1.QuotaService", "grpc.health.v1.Health"] {
        assert!(names.contains(&name), "{names:?}");
    }

    let mut older = v1alpha::server_reflection_client::ServerReflectionClient::new(serving.channel().await);
    let request = v1alpha::ServerReflectionRequest {
        message_request: Some(v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(
            "highwater.v1.Meter".into(),
        )),
        ..Default::default()
    };
    let mut answers = older.server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner();
    assert!(answers.message().await.unwrap().is_some());
}

#[tokio::test]
async fn a_connection_without_a_place_is_closed_at_once() {
    let mut config = config();
    config.connections.per_address = 2;
    let serving = Serving::with(config);
    let one = TcpStream::connect(serving.address).await.unwrap();
    let _two = TcpStream::connect(serving.address).await.unwrap();
    let three = TcpStream::connect(serving.address).await.unwrap();
    assert!(closed(three, SOON).await);
    drop(one);
    // The place is free again as soon as the service has seen that.
    let again = async {
        while !try_page(serving.address, "/healthz").await.is_ok_and(|page| page.starts_with("HTTP/1.1 200")) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, again).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_never_calls_is_closed() {
    let serving = Serving::start();
    let silent = TcpStream::connect(serving.address).await.unwrap();
    let mut half = TcpStream::connect(serving.address).await.unwrap();
    half.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let (silent, half) = tokio::join!(closed(silent, Duration::from_secs(15)), closed(half, Duration::from_secs(15)));
    assert!(silent && half);
}

#[tokio::test]
async fn a_connection_that_is_old_is_left_without_a_loss() {
    let mut config = config();
    config.connections.age = Duration::from_millis(300);
    let serving = Serving::with(config);
    let url = format!("http://{}", serving.address);
    let worker = WorkerClient::attach(client::channel(&url).unwrap(), WorkerConfig::new("default", "w"));
    let handle = worker.meter(meter(MODEL));
    let (mut opened, started) = (0_u128, Instant::now());
    // Each time at most 0.4 s until it is old, 2 s in which it is to leave, and a first backoff of 2 s.
    while worker.stats().reconnects < 3 {
        assert!(started.elapsed() < 3 * Duration::from_secs(5), "{:?}, {:?}", worker.status(), worker.stats());
        worker.open(SessionId((opened + 1).to_be_bytes()), handle, None);
        opened += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    timeout(SOON, worker.flushed()).await.unwrap().unwrap();
    serving.until_level(u32::try_from(opened).unwrap()).await;
    assert_eq!((worker.stats().resyncs, worker.stats().journal.dropped_events), (0, 0));
    assert_eq!(serving.service.guard.counted(Why::Age), 0, "none had to be cut off");
}

#[tokio::test]
async fn a_caller_that_reads_too_often_is_told_when_to_come_again() {
    let mut config = config();
    config.connections.reads = Rate { per_second: 1, burst: 3 };
    let serving = Serving::with(config);
    let mut reads = QuotaServiceClient::new(serving.channel().await);
    for _ in 0..3 {
        reads.get_status(GetStatusRequest {}).await.unwrap();
    }
    let refused = reads.get_status(GetStatusRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    assert!(refused.message().starts_with("reads_per_second: at most 1 a second"), "{}", refused.message());
    assert!(refused.get_details_retry_info().unwrap().retry_delay.unwrap() <= Duration::from_secs(1));
    assert!(refused.metadata().contains_key("grpc-retry-pushback-ms"));
    // Workers have none of this.
    Worker::ready(&serving, hello(1, 1), &[1]).await;
    assert_eq!(serving.service.guard.counted(Why::Reads), 1);
}

#[tokio::test]
async fn a_stream_that_sends_too_much_waits_and_loses_nothing() {
    let mut config = config();
    config.connections.stream_events = Rate { per_second: 1_000, burst: 500 };
    let serving = Serving::with(config);
    let mut worker = Worker::ready(&serving, hello(1, 1), &[]).await;
    let started = Instant::now();
    for seq in 1..=20_u64 {
        let ids = (0..100).map(|nth| [seq.to_le_bytes(), u64::to_le_bytes(nth)].concat());
        worker.say(batch(seq, ids.map(connect_of).collect::<Vec<_>>())).await;
    }
    worker.until_applied(20).await;
    assert_eq!(serving.level(), 2_000);
    assert!(started.elapsed() >= Duration::from_millis(1_400), "2,000 events, 500 at once: {:?}", started.elapsed());
    assert!(serving.service.guard.counted(Why::HeldBack) > 0);
}

#[tokio::test]
async fn a_project_that_reports_too_much_is_told_when_to_come_again() {
    let mut config = config();
    config.connections.project_events = Rate { per_second: 1, burst: 2 };
    let serving = Serving::with(config);
    let mut ingest = serving.ingest().await;
    let report = |project: &str| ReportRequest {
        project: project.to_owned(),
        worker_id: "w".into(),
        incarnation: vec![1; 16],
        ..Default::default()
    };
    for _ in 0..2 {
        ingest.report(report("noisy")).await.unwrap();
    }
    let refused = ingest.report(report("noisy")).await.unwrap_err();
    assert!(refused.message().starts_with("project_events_per_second: at most 1 a second"), "{}", refused.message());
    ingest.report(report("quiet")).await.unwrap();
    assert_eq!(serving.service.guard.counted(Why::Events), 1);
}
