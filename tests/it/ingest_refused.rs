//! What is wrong with a message is said by field or by bound, ends only the stream it came on, and changes nothing.

use highwater::proto::{
    AttachRequest, ColumnBatch, Connect, Declare, Disconnect, Event, Hello, Labels, Meter, MeterDeclaration,
    SnapshotChunk, StreamGoodbye, attach_request::Message as Say, event::Event as What,
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::serving::{MODEL, Serving, Worker, batch, connect, declare, disconnect, hello, id, meter};

/// Each case on a stream of its own that has meter 1 and the session 1.
async fn refused(cases: Vec<(Say, Code, &str)>) {
    let serving = Serving::start();
    for (nth, (say, code, names)) in (1..).zip(cases) {
        let what = format!("{say:?}");
        let mut worker = Worker::ready(&serving, hello(nth, 1), &[1]).await;
        worker.say(say).await;
        check(&worker.end().await, code, names, &what[..what.len().min(200)]);
        assert_eq!(serving.level(), u32::from(nth), "{what} changed something");
    }
}

#[track_caller]
fn check(status: &Status, code: Code, names: &str, what: &str) {
    let details = status.get_error_details();
    let fields =
        details.bad_request().into_iter().flat_map(|bad| &bad.field_violations).map(|field| field.field.clone());
    let bounds =
        details.quota_failure().into_iter().flat_map(|quota| &quota.violations).map(|bound| bound.subject.clone());
    let orders = details
        .precondition_failure()
        .into_iter()
        .flat_map(|order| &order.violations)
        .map(|order| order.r#type.clone());
    let named: Vec<_> = fields.chain(bounds).chain(orders).collect();
    assert_eq!((status.code(), named), (code, vec![names.to_owned()]), "{what}: {}", status.message());
}

fn opened(connect: Connect) -> Event {
    Event { event: Some(What::Connect(connect)), age_us: 0 }
}

fn labelled(room: &str) -> Event {
    let labels = Some(Labels { room: room.into(), job: String::new() });
    opened(Connect { session_id: id(2), handle: 1, labels })
}

fn ended(session_id: &[u8], outcome: i32) -> Event {
    let disconnect = Disconnect { session_id: session_id.into(), outcome, handle: 0 };
    Event { event: Some(What::Disconnect(disconnect)), age_us: 0 }
}

#[tokio::test]
async fn batches() {
    let invalid = |events: Vec<Event>, field| (batch(1, events), Code::InvalidArgument, field);
    let unknown = opened(Connect { session_id: id(3), handle: 7, labels: None });
    let nameless = opened(Connect { handle: 1, ..Connect::default() });
    refused(vec![
        (batch(0, [connect(2)]), Code::InvalidArgument, "events.seq"),
        invalid(vec![], "events.events"),
        invalid(vec![connect(2), Event::default()], "events.events[1].event"),
        invalid(vec![connect(2), unknown], "events.events[1].connect.handle"),
        invalid(vec![connect(2), nameless], "events.events[1].connect.session_id"),
        invalid(vec![labelled(&"x".repeat(65))], "events.events[0].connect.labels.room"),
        invalid(vec![labelled("a\u{0}b")], "events.events[0].connect.labels.room"),
        invalid(vec![ended(&[b'x'; 129], 1)], "events.events[0].disconnect.session_id"),
        invalid(vec![disconnect(1), ended(&id(1), 10)], "events.events[1].disconnect.outcome"),
        invalid(vec![ended(&id(1), -3)], "events.events[0].disconnect.outcome"),
        (batch(1, vec![connect(2); 4_097]), Code::ResourceExhausted, "batch_events"),
    ])
    .await;
}

#[tokio::test]
async fn columns() {
    let good = || ColumnBatch {
        seq: 1,
        session_ids: [id(2), id(3)].concat().into(),
        outcomes: vec![0, 0].into(),
        handles: vec![1, 1],
        ..ColumnBatch::default()
    };
    let invalid = |columns, field| (Say::Columns(columns), Code::InvalidArgument, field);
    let labels = vec![Labels { room: "x".repeat(65), job: String::new() }];
    refused(vec![
        invalid(ColumnBatch { seq: 0, ..good() }, "columns.seq"),
        invalid(ColumnBatch { outcomes: vec![].into(), ..good() }, "columns.outcomes"),
        invalid(ColumnBatch { session_ids: vec![2; 31].into(), ..good() }, "columns.session_ids"),
        invalid(ColumnBatch { session_ids: vec![2; 48].into(), ..good() }, "columns.session_ids"),
        invalid(ColumnBatch { handles: vec![1], ..good() }, "columns.handles"),
        invalid(ColumnBatch { handles: vec![1, 9], ..good() }, "columns.handles[1]"),
        invalid(ColumnBatch { handles: vec![0, 1], ..good() }, "columns.handles[0]"),
        invalid(ColumnBatch { ages_us: vec![1], ..good() }, "columns.ages_us"),
        invalid(ColumnBatch { outcomes: vec![0, 10].into(), ..good() }, "columns.outcomes[1]"),
        invalid(ColumnBatch { outcomes: vec![0, 255].into(), ..good() }, "columns.outcomes[1]"),
        invalid(ColumnBatch { label_refs: vec![0, 1], ..good() }, "columns.label_refs[1]"),
        invalid(ColumnBatch { label_refs: vec![0], ..good() }, "columns.label_refs"),
        invalid(ColumnBatch { labels, ..good() }, "columns.labels[0].room"),
        invalid(ColumnBatch { labels: vec![Labels::default(); 3], ..good() }, "columns.labels"),
    ])
    .await;
}

#[tokio::test]
async fn declarations_and_the_rest() {
    let declared = |meter| Say::Declare(Declare { meters: vec![MeterDeclaration { handle: 2, meter }] });
    let invalid = |say, field| (say, Code::InvalidArgument, field);
    let many = (1..=1_025).map(|handle| MeterDeclaration { handle, meter: Some(meter(MODEL)) }).collect();
    let chunk = SnapshotChunk { session_ids: vec![1; 15].into(), handles: vec![1], last: true, ..Default::default() };
    refused(vec![
        invalid(declare(0, MODEL), "declare.meters[0].handle"),
        invalid(declare(1_048_576, MODEL), "declare.meters[0].handle"),
        invalid(declare(1, "cartesia/sonic-2"), "declare.meters[0].handle"),
        invalid(declare(2, "Cartesia/Sonic"), "declare.meters[0].meter.model"),
        invalid(declared(None), "declare.meters[0].meter"),
        invalid(declared(Some(Meter { kind: 10, ..meter(MODEL) })), "declare.meters[0].meter.kind"),
        invalid(declared(Some(Meter { kind: 5, ..meter(MODEL) })), "declare.meters[0].meter.model"),
        invalid(declared(Some(Meter { unit: 4, ..meter(MODEL) })), "declare.meters[0].meter.unit"),
        invalid(declared(Some(Meter { account: "A".into(), ..meter(MODEL) })), "declare.meters[0].meter.account"),
        (Say::Declare(Declare { meters: many }), Code::ResourceExhausted, "meters_per_stream"),
        invalid(Say::Snapshot(chunk), "snapshot.session_ids"),
        invalid(Say::Goodbye(StreamGoodbye { outcome: 10 }), "goodbye.outcome"),
        (Say::Hello(hello(1, 2)), Code::FailedPrecondition, "ORDER"),
    ])
    .await;
}

#[tokio::test]
async fn hellos() {
    let serving = Serving::start();
    let cases: Vec<(Say, Code, &str)> = [
        (Hello { protocol_version: 2, ..hello(1, 1) }, "hello.protocol_version"),
        (Hello { attach_seq: 0, ..hello(1, 1) }, "hello.attach_seq"),
        (Hello { incarnation: vec![1; 15], ..hello(1, 1) }, "hello.incarnation"),
        (Hello { replaces: vec![1; 17], ..hello(1, 1) }, "hello.replaces"),
        (Hello { worker_id: String::new(), ..hello(1, 1) }, "hello.worker_id"),
        (Hello { worker_id: "x".repeat(129), ..hello(1, 1) }, "hello.worker_id"),
        (Hello { client: "a\nb".into(), ..hello(1, 1) }, "hello.client"),
        (Hello { project: "-".into(), ..hello(1, 1) }, "hello.project"),
        (Hello { project: "Mine".into(), ..hello(1, 1) }, "hello.project"),
    ]
    .map(|(hello, field)| (Say::Hello(hello), Code::InvalidArgument, field))
    .into();
    let first = (batch(1, [connect(1)]), Code::FailedPrecondition, "ORDER");
    for (say, code, names) in cases.into_iter().chain([first]) {
        let mut worker = Worker::open(&serving).await;
        let what = format!("{say:?}");
        worker.say(say).await;
        check(&worker.end().await, code, names, &what);
    }
    assert!(serving.service.live.all_books().is_empty());
}

#[tokio::test]
async fn a_batch_before_the_snapshot() {
    let serving = Serving::start();
    let mut worker = Worker::attach(&serving, hello(1, 1)).await;
    worker.say(declare(1, MODEL)).await;
    worker.say(batch(1, [connect(1)])).await;
    check(&worker.end().await, Code::FailedPrecondition, "ORDER", "a batch before the snapshot");
    assert_eq!(serving.level(), 0);
}

#[tokio::test]
async fn a_stream_that_does_not_say_hello() {
    let serving = Serving::start();
    let mut worker = Worker::open(&serving).await;
    check(&worker.end().await, Code::FailedPrecondition, "ORDER", "silence");
}

#[tokio::test]
async fn a_message_that_is_too_large() {
    let serving = Serving::start();
    let mut worker = Worker::ready(&serving, hello(1, 1), &[1]).await;
    let mut other = Worker::ready(&serving, hello(2, 1), &[2]).await;
    let room = "x".repeat(262_144);
    worker.say(batch(1, [labelled(&room)])).await;
    check(&worker.end().await, Code::ResourceExhausted, "message_bytes", "a large message");
    let report = highwater::proto::ReportRequest { worker_id: room, ..Default::default() };
    let status = serving.ingest().await.report(report).await.unwrap_err();
    check(&status, Code::ResourceExhausted, "message_bytes", "a large report");
    other.say(batch(1, [connect(3)])).await;
    other.until_applied(1).await;
}

#[tokio::test]
async fn a_message_that_says_nothing() {
    let serving = Serving::start();
    let mut worker = Worker::ready(&serving, hello(1, 1), &[1]).await;
    worker.say_raw(AttachRequest { message: None }).await;
    check(&worker.end().await, Code::InvalidArgument, "message", "an empty message");
}

/// Sends bytes as they are.
#[derive(Default)]
struct Bytes;

impl tonic::codec::Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl tonic::codec::Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut tonic::codec::EncodeBuf<'_>) -> Result<(), Status> {
        prost::bytes::BufMut::put_slice(buffer, &item);
        Ok(())
    }
}

impl tonic::codec::Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut tonic::codec::DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(prost::bytes::Buf::copy_to_bytes(buffer, prost::bytes::Buf::remaining(buffer)).to_vec()))
    }
}

#[tokio::test]
async fn bytes_that_are_no_message() {
    let serving = Serving::start();
    let mut client = tonic::client::Grpc::new(serving.channel().await);
    let mut other = Worker::ready(&serving, hello(2, 1), &[2]).await;
    for bytes in [vec![0xff; 64], b"\x0a\xff\xff\xff\xff\x0f".to_vec(), vec![0x1a, 0x7f, 0x08]] {
        let path = "/highwater.v1.IngestService/Attach".parse().unwrap();
        client.ready().await.unwrap();
        let request = tonic::Request::new(tokio_stream::once(bytes));
        let mut answers = client.streaming(request, path, Bytes).await.unwrap().into_inner();
        assert_eq!(answers.message().await.unwrap_err().code(), Code::InvalidArgument);
    }
    other.say(batch(1, [connect(3)])).await;
    other.until_applied(1).await;
}
