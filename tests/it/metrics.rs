//! What Prometheus scrapes: the page of a busy service, over its port.

mod prometheus;
mod tools;

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};

use highwater::proto::{
    Meter, ReportRequest, ReportedEvent, SetLimitRequest, Target, limit_service_client::LimitServiceClient,
    target::Target as Named,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep},
};

use crate::{
    metrics::tools::promtool,
    serving::{MODEL, SOON, Serving, Worker, batch, config, connect, declare, disconnect, hello, meter},
    store_faults::Disk,
};

/// How often to look again.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Asks a path of an HTTP server: status line with headers, and body.
async fn get(address: SocketAddr, path: &str) -> Option<(String, String)> {
    let mut socket = TcpStream::connect(address).await.ok()?;
    // In this version a body is never in chunks.
    let request = format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n");
    socket.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.to_owned(), body.to_owned()))
}

async fn page(serving: &Serving) -> String {
    let (head, body) = get(serving.address, "/metrics").await.unwrap();
    assert!(head.starts_with("HTTP/1.0 200"), "{head}");
    assert!(head.to_lowercase().contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    body
}

/// The value of a series on a page.
fn value(page: &str, series: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// Waits until a series has a value.
async fn until(serving: &Serving, series: &str, is_right: impl Fn(f64) -> bool) {
    let started = Instant::now();
    loop {
        let page = page(serving).await;
        if value(&page, series).is_some_and(&is_right) {
            return;
        }
        assert!(started.elapsed() < 2 * SOON, "{series} is {:?} in\n{page}", value(&page, series));
        sleep(LOOK_EVERY).await;
    }
}

fn reported(session: &[u8], kind: i32, model: &str, account: &str, outcome: i32) -> ReportedEvent {
    let meter = Meter { kind, model: model.into(), account: account.into(), ..Meter::default() };
    ReportedEvent { session_id: session.into(), meter: Some(meter), outcome, ..ReportedEvent::default() }
}

#[tokio::test]
async fn promtool_has_nothing_to_say_of_a_busy_service() {
    let serving = Serving::start();
    let mut worker = Worker::ready(&serving, hello(1, 1), &[1, 2]).await;
    worker.say(batch(1, [connect(3), disconnect(1), connect(2)])).await;
    worker.until_applied(1).await;
    let mut client = serving.ingest().await;
    for (project, account) in [("shop", ""), ("bank", "direct")] {
        let events = vec![
            reported(b"a", 1, "openai/gpt-4.1-mini", account, 0),
            reported(b"b", 3, "elevenlabs/eleven_turbo_v2_5", account, 0),
            reported(b"b", 3, "elevenlabs/eleven_turbo_v2_5", account, 4),
            reported(b"c", 5, "", "", 0),
        ];
        let incarnation = vec![9; 16];
        let request = ReportRequest { worker_id: "w".into(), incarnation, events, ..ReportRequest::default() };
        client.report(ReportRequest { project: project.into(), ..request }).await.unwrap();
    }
    let mut limits = LimitServiceClient::new(serving.channel().await);
    let target = Some(Target { target: Some(Named::Meter(meter(MODEL))) });
    let limit = SetLimitRequest { target, slots: Some(20), set_by: "kim".into(), ..SetLimitRequest::default() };
    limits.set_limit(limit).await.unwrap();
    until(&serving, "highwater_store_commit_seconds_count", |commits| commits > 0.0).await;

    let page = page(&serving).await;
    assert_eq!(promtool(&["check", "metrics"], &page), "", "promtool has to be silent of\n{page}");
    let labels = "{project=\"default\",kind=\"tts\",model=\"cartesia/sonic-3\"}";
    for (name, expect) in [("active", 2.0), ("limit", 20.0), ("coverage", 1.0), ("opened_total", 3.0)] {
        assert_eq!(value(&page, &format!("highwater_sessions_{name}{labels}")), Some(expect), "{name}");
    }
    for (series, expect) in [
        ("highwater_ingest_batches_total{form=\"events\"}", 1.0),
        ("highwater_ingest_batches_total{form=\"report\"}", 2.0),
        ("highwater_ingest_batches_total{form=\"snapshot\"}", 1.0),
        ("highwater_ingest_events_total{result=\"changed\"}", 2.0 + 2.0 + 8.0),
        ("highwater_ingest_events_total{result=\"duplicate\"}", 1.0),
        ("highwater_ingest_streams_total", 1.0),
        ("highwater_workers{link=\"stream\"}", 1.0),
        ("highwater_workers{link=\"unary\"}", 2.0),
        ("highwater_audit_drift", 0.0),
        ("highwater_store_up", 1.0),
        ("highwater_degraded{part=\"recorder\"}", 0.0),
        ("highwater_meters", 7.0),
    ] {
        assert_eq!(value(&page, series), Some(expect), "{series}");
    }
    assert!(value(&page, "process_resident_memory_bytes").is_some_and(|bytes| bytes > 1e6));
    assert!(value(&page, "process_cpu_seconds_total").is_some());
}

#[tokio::test]
async fn what_is_refused_is_counted_by_its_bound() {
    let mut config = config();
    config.bounds.batch_events = 2;
    config.bounds.meters_per_project = 2;
    config.connections.message_bytes = 65_536;
    config.connections.per_address = 8;
    let serving = Serving::with(config);
    let mut client = serving.ingest().await;
    let events = |sessions: &[&[u8]]| sessions.iter().map(|id| reported(id, 3, MODEL, "", 0)).collect::<Vec<_>>();
    let report =
        |events| ReportRequest { worker_id: "w".into(), incarnation: vec![9; 16], events, ..ReportRequest::default() };
    client.report(report(events(&[b"1", b"2", b"3"]))).await.unwrap_err();
    client.report(report(vec![reported(&[b'x'; 70_000], 3, MODEL, "", 0)])).await.unwrap_err();
    let mut worker = Worker::ready(&serving, hello(1, 1), &[]).await;
    worker.say(batch(1, [connect(1), connect(2), connect(3)])).await;
    worker.end().await;
    let mut worker = Worker::ready(&serving, hello(2, 1), &[]).await;
    for (handle, model) in [(2, "a/b"), (3, "a/c")] {
        worker.say(declare(handle, model)).await;
        worker.hear().await;
    }
    drop(worker);
    let mut worker = Worker::ready(&serving, hello(3, 1), &[]).await;
    worker.say(declare(4, &"x".repeat(70_000))).await;
    worker.end().await;
    let page_now = page(&serving).await;
    for (bound, expect) in [("batch_events", 2.0), ("meters_per_project", 1.0), ("other", 0.0)] {
        let series = format!("highwater_ingest_refused_total{{bound=\"{bound}\"}}");
        assert_eq!(value(&page_now, &series), Some(expect), "{bound}");
    }
    // A message that is too large is no report yet: of the unary call and of the stream, each is counted once, there.
    let too_large = "highwater_turned_away_total{reason=\"message_bytes\"}";
    assert_eq!(value(&page_now, too_large), Some(2.0));
    assert_eq!(value(&page_now, "highwater_ingest_refused_total{bound=\"message_bytes\"}"), None);
    // All places are taken, and one more wants in.
    let mut sockets = Vec::new();
    for _ in 0..12 {
        sockets.push(TcpStream::connect(serving.address).await.unwrap());
    }
    let started = Instant::now();
    while serving_refused(&serving, &mut sockets).await.is_none_or(|refused| refused < 1.0) {
        assert!(started.elapsed() < SOON, "nobody was turned away");
        sleep(LOOK_EVERY).await;
    }
}

/// Frees a place and asks how many connections were turned away.
async fn serving_refused(serving: &Serving, sockets: &mut Vec<TcpStream>) -> Option<f64> {
    drop(sockets.pop());
    let (_, page) = get(serving.address, "/metrics").await?;
    value(&page, "highwater_turned_away_total{reason=\"connections_per_address\"}")
}

#[tokio::test]
async fn many_scrapes_in_a_second_cost_one() {
    let serving = Serving::start();
    let _worker = Worker::ready(&serving, hello(1, 1), &[1]).await;
    let started = Instant::now();
    let scrapes: Vec<_> = (0..64).map(|_| tokio::spawn(get(serving.address, "/metrics"))).collect();
    let mut pages = BTreeSet::new();
    for scrape in scrapes {
        let (head, page) = scrape.await.unwrap().unwrap();
        assert!(head.starts_with("HTTP/1.0 200"), "{head}");
        pages.insert(page);
    }
    // Each page tells the CPU time and the age of the last second: no two that were made are the same.
    let seconds = started.elapsed().as_secs() as usize + 2;
    assert!(pages.len() <= seconds, "{} pages in {seconds} s", pages.len());
}

#[tokio::test]
async fn the_page_is_there_when_the_store_is_not() {
    let disk = Disk::default();
    let serving = Serving::on(config(), Arc::new(disk.open().unwrap()));
    let _worker = Worker::ready(&serving, hello(1, 1), &[1]).await;
    until(&serving, "highwater_store_commit_seconds_count", |commits| commits > 0.0).await;
    disk.fail_from(Some(0));
    until(&serving, "highwater_store_up", |up| up == 0.0).await;
    until(&serving, "highwater_frames_waiting", |frames| frames >= 2.0).await;
    until(&serving, "highwater_durable_age_seconds", |age| age > 2.0).await;
    let degraded = page(&serving).await;
    assert_eq!(value(&degraded, "highwater_degraded{part=\"store\"}"), Some(1.0));
    assert!(value(&degraded, "highwater_store_errors_total").is_some_and(|errors| errors >= 1.0));
    let labels = "{project=\"default\",kind=\"tts\",model=\"cartesia/sonic-3\"}";
    assert_eq!(value(&degraded, &format!("highwater_sessions_active{labels}")), Some(1.0));
    disk.fail_from(None);
    until(&serving, "highwater_store_up", |up| up == 1.0).await;
    until(&serving, "highwater_frames_waiting", |frames| frames == 0.0).await;
    until(&serving, "highwater_durable_age_seconds", |age| age < 2.0).await;
    assert_eq!(value(&page(&serving).await, "highwater_frames_dropped_total"), Some(0.0));
}

#[tokio::test]
async fn only_reads_are_answered() {
    let serving = Serving::start();
    let mut socket = TcpStream::connect(serving.address).await.unwrap();
    socket.write_all(b"POST /metrics HTTP/1.0\r\nhost: highwater\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.0 405"), "{answer}");
}
