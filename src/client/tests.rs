//! The client against a naive service over real sockets: whatever the streams do, its book equals the client's.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{net::TcpListener, sync::mpsc, time::timeout};
use tokio_stream::{
    Stream, StreamExt,
    wrappers::{ReceiverStream, TcpListenerStream},
};
use tonic::{Request, Response, Status, Streaming, transport::Server};

use super::*;
use crate::{
    model::{SessionId, session::ID_BYTES},
    proto::{
        Ack, AcquireRequest, AcquireResponse, AttachRequest, AttachResponse, GoodbyeRequest, GoodbyeResponse,
        HeartbeatRequest, HeartbeatResponse, Kind, ReleaseRequest, ReleaseResponse, ReportRequest, ReportResponse,
        SnapshotNeeded, Welcome, attach_request,
        attach_response::Message,
        event,
        ingest_service_server::{IngestService, IngestServiceServer},
    },
};

/// What the naive service knows of its one worker.
#[derive(Default)]
struct Book {
    live: BTreeMap<SessionId, u32>,
    closed: BTreeMap<SessionId, u32>,
    applied: u64,
    snapshot: BTreeMap<SessionId, u32>,
    goodbye: bool,
    streams: u64,
    /// Ends the stream after so many batches.
    break_after: u64,
    /// Asks for a snapshot at the next batch.
    doubt: bool,
}

#[derive(Clone, Default)]
struct Naive(Arc<Mutex<Book>>);

impl Naive {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap()
    }

    /// Applies a message; gives the answer, or why the stream ends.
    fn take(&self, message: attach_request::Message) -> Result<Option<Message>, Status> {
        let mut book = self.book();
        let events: Vec<(SessionId, u32, u32)> = match message {
            attach_request::Message::Hello(hello) => {
                book.streams += 1;
                assert_eq!(hello.attach_seq, book.streams, "each stream has its number");
                let welcome = Welcome { applied_seq: book.applied, max_batch_events: 64, ..Default::default() };
                return Ok(Some(Message::Welcome(welcome)));
            }
            attach_request::Message::Snapshot(chunk) => {
                let ids = chunk.session_ids.chunks(ID_BYTES).map(|id| SessionId(id.try_into().unwrap()));
                book.snapshot.extend(ids.zip(chunk.handles));
                if chunk.last {
                    assert_eq!(chunk.count as usize, book.snapshot.len());
                    assert_eq!(chunk.digest, book.snapshot.keys().fold(0, |digest, id| digest ^ id.digest()));
                    book.live = mem::take(&mut book.snapshot);
                }
                return Ok(None);
            }
            attach_request::Message::Acquire(_) | attach_request::Message::Release(_) => return Ok(None),
            attach_request::Message::Goodbye(_) => {
                book.goodbye = true;
                return Ok(None);
            }
            attach_request::Message::Declare(_)
            | attach_request::Message::Beat(_)
            | attach_request::Message::Authenticate(_) => return Ok(None),
            attach_request::Message::Events(batch) => {
                let Some(()) = book.expect(batch.seq)? else { return Ok(book.needed()) };
                let events = batch.to_events().unwrap().into_iter().map(|event| match event.event.unwrap() {
                    event::Event::Connect(connect) => {
                        let raw = <[u8; ID_BYTES]>::try_from(&*connect.session_id);
                        (raw.map_or_else(|_| SessionId::of_text(&connect.session_id), SessionId), 0, connect.handle)
                    }
                    event::Event::Disconnect(end) => {
                        (SessionId(end.session_id.try_into().unwrap()), end.outcome as u32, end.handle)
                    }
                });
                events.collect()
            }
            attach_request::Message::Columns(batch) => {
                let Some(()) = book.expect(batch.seq)? else { return Ok(book.needed()) };
                let ids = batch.session_ids.chunks(ID_BYTES).map(|id| SessionId(id.try_into().unwrap()));
                let told = batch.outcomes.iter().zip(batch.handles);
                ids.zip(told).map(|(id, (outcome, handle))| (id, u32::from(*outcome), handle)).collect()
            }
        };
        for (id, outcome, handle) in events {
            if outcome == 0 {
                book.live.insert(id, handle);
            } else {
                assert_eq!(book.live.remove(&id), Some(handle), "an end without a beginning");
                assert_eq!(book.closed.insert(id, outcome), None);
            }
        }
        Ok(Some(Message::Ack(Ack { applied_seq: book.applied, durable_seq: book.applied })))
    }
}

impl Book {
    /// Whether the batch of this number is to be applied now.
    fn expect(&mut self, seq: u64) -> Result<Option<()>, Status> {
        if self.break_after > 0 {
            self.break_after -= 1;
            if self.break_after == 0 {
                return Err(Status::unavailable("broken"));
            }
        }
        if mem::take(&mut self.doubt) {
            return Ok(None);
        }
        assert!(self.applied == 0 || seq == self.applied + 1, "{seq} after {}", self.applied);
        self.applied = seq;
        Ok(Some(()))
    }

    fn needed(&self) -> Option<Message> {
        Some(Message::SnapshotNeeded(SnapshotNeeded { applied_seq: self.applied, reason: 2 }))
    }
}

#[tonic::async_trait]
impl IngestService for Naive {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<AttachResponse, Status>> + Send>>;

    async fn attach(&self, request: Request<Streaming<AttachRequest>>) -> Result<Response<Self::AttachStream>, Status> {
        let (naive, mut incoming) = (self.clone(), request.into_inner());
        let (answers, receiver) = mpsc::channel(16);
        tokio::spawn(async move {
            while let Some(Ok(request)) = incoming.next().await {
                let answer = naive.take(request.message.unwrap());
                let ended = answer.is_err();
                let Some(answer) = answer.transpose() else { continue };
                let answer = answer.map(|message| AttachResponse { message: Some(message) });
                if answers.send(answer).await.is_err() || ended {
                    break;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn report(&self, _: Request<ReportRequest>) -> Result<Response<ReportResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn heartbeat(&self, _: Request<HeartbeatRequest>) -> Result<Response<HeartbeatResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn goodbye(&self, _: Request<GoodbyeRequest>) -> Result<Response<GoodbyeResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn acquire(&self, _: Request<AcquireRequest>) -> Result<Response<AcquireResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn release(&self, _: Request<ReleaseRequest>) -> Result<Response<ReleaseResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

async fn start() -> (Naive, WorkerClient, MeterHandle) {
    let naive = Naive::default();
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = IngestServiceServer::new(naive.clone());
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener)));
    let client = WorkerClient::attach(channel(&url).unwrap(), WorkerConfig::new("default", "w"));
    let meter = client.meter(Meter { kind: Kind::Tts.into(), model: "a/b".to_owned(), ..Default::default() });
    (naive, client, meter)
}

/// Opens sessions `from..to`, named by text or by id, and closes every other one.
async fn churn(client: &WorkerClient, meter: MeterHandle, from: u32, to: u32) {
    let labels = Some(Arc::new(Labels { room: "r".to_owned(), job: "j".to_owned() }));
    for n in from..to {
        let text = format!("session-{n}");
        let id = SessionName::from(&*text).id();
        let name = if n % 3 == 0 { SessionName::from(id) } else { SessionName::from(&*text) };
        assert!(client.open(name, meter, labels.clone()));
        assert!(n % 2 == 0 || client.close(id, Outcome::Timeout));
        client.ready().await.unwrap();
    }
}

#[track_caller]
fn check(book: &Book, sessions: u32) {
    let live: Vec<_> = (0..sessions).step_by(2).map(|n| SessionName::from(&*format!("session-{n}")).id()).collect();
    assert_eq!(book.live.len(), live.len());
    assert!(live.iter().all(|id| book.live.get(id) == Some(&1)));
    assert_eq!(book.closed.len() as u32, sessions / 2);
    assert!(book.closed.values().all(|outcome| *outcome == Outcome::Timeout as u32));
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn what_is_told_is_what_happened() {
    let (naive, client, meter) = start().await;
    churn(&client, meter, 0, 3_000).await;
    timeout(LONG, client.flushed()).await.unwrap().unwrap();
    check(&naive.book(), 3_000);
    assert_eq!((client.stats().live, client.stats().reconnects, client.status()), (1_500, 0, ClientStatus::Attached));
    client.goodbye(Outcome::Ok, LONG).await.unwrap();
    assert!(naive.book().goodbye);
}

#[tokio::test]
async fn streams_that_break_lose_and_repeat_nothing() {
    let (naive, client, meter) = start().await;
    for round in 0..3 {
        naive.book().break_after = 3 + round;
        churn(&client, meter, round as u32 * 400, (round as u32 + 1) * 400).await;
        client.cut();
    }
    timeout(LONG, client.flushed()).await.unwrap().unwrap();
    check(&naive.book(), 1_200);
    assert!(client.stats().reconnects >= 1 && client.stats().journal.dropped_events == 0);
}

#[tokio::test]
async fn a_doubt_in_mid_stream_is_answered_by_a_snapshot() {
    let (naive, client, meter) = start().await;
    churn(&client, meter, 0, 100).await;
    timeout(LONG, client.flushed()).await.unwrap().unwrap();
    naive.book().doubt = true;
    assert!(client.open("later", meter, None));
    timeout(LONG, client.flushed()).await.unwrap().unwrap();
    assert_eq!(naive.book().live.len(), 51);
    assert_eq!(client.stats().resyncs, 1);
}

#[tokio::test]
async fn an_address_that_nobody_listens_on_is_tried_again() {
    let client = WorkerClient::attach(channel("http://127.0.0.1:9").unwrap(), WorkerConfig::new("default", "w"));
    let mut status = client.watch_status();
    status.changed().await.unwrap();
    assert!(matches!(&*status.borrow(), ClientStatus::Reconnecting { attempt: 1, .. }));
    assert!(client.goodbye(Outcome::Ok, Duration::from_millis(50)).await.is_err());
    assert!(channel("127.0.0.1:7422").is_err());
}
