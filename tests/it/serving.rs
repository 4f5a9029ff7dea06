//! A real service on a port of its own, in this process, and workers that speak to it.

use std::{net::SocketAddr, sync::Arc, thread::JoinHandle, time::Duration};

use highwater::{
    app::{App, AppError},
    config::Config,
    http,
    model::{Key, Kind, Meter, Project, Target},
    proto::{
        AttachRequest, AttachResponse, Connect, Declare, Disconnect, Event, EventBatch, Hello, MeterDeclaration,
        SnapshotChunk, attach_request::Message as Say, attach_response::Message as Heard, event::Event as What,
        ingest_service_client::IngestServiceClient,
    },
    service::Service,
    store::{Store, embedded::EmbeddedStore},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming, transport::Channel};
use tonic_types::StatusExt as _;

/// Longer than anything here takes, so that a test that hangs fails.
pub const SOON: Duration = Duration::from_secs(10);
pub const MODEL: &str = "cartesia/sonic-3";

/// The defaults, on one core; tests look more often than people may.
pub fn config() -> Config {
    let mut config = Config::default();
    config.threads = 1;
    config.dev = true;
    config.connections.reads.per_second = 0;
    config
}

/// A service that runs until it is told to stop, or dropped.
pub struct Serving {
    pub address: SocketAddr,
    pub service: Arc<Service>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), AppError>>>,
}

impl Serving {
    pub fn start() -> Self {
        Self::with(config())
    }

    pub fn with(config: Config) -> Self {
        Self::on(config, Arc::new(EmbeddedStore::in_memory().unwrap()))
    }

    pub fn on(config: Config, store: Arc<dyn Store>) -> Self {
        let app = App::with_store(config, store).unwrap();
        let service = app.service().clone();
        let listener = http::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            app.run(listener, async {
                let _ = stopped.await;
            })
        });
        Self { address, service, stop: Some(stop), thread: Some(thread) }
    }

    /// Asks it to stop.
    pub fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until it has stopped. Clients go on meanwhile.
    pub async fn stopped(&mut self) {
        let thread = self.thread.take().unwrap();
        tokio::task::spawn_blocking(|| thread.join().unwrap().unwrap()).await.unwrap();
    }

    pub async fn channel(&self) -> Channel {
        channel(self.address).await.unwrap()
    }

    pub async fn ingest(&self) -> IngestServiceClient<Channel> {
        IngestServiceClient::new(self.channel().await)
    }

    /// The level of the model that workers here report.
    pub fn level(&self) -> u32 {
        let target = Target::Meter(Meter::new(Kind::Tts, MODEL, "", None).unwrap());
        let key = Key { project: Project::new("default").unwrap(), target };
        self.service.live.registry.find(&key).map_or(0, |tally| tally.word.level())
    }

    /// Waits until the level is this.
    pub async fn until_level(&self, level: u32) {
        let waited = timeout(SOON, async {
            while self.level() != level {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(waited.await.is_ok(), "level {} instead of {level}", self.level());
    }
}

/// A connection of its own.
pub async fn channel(address: SocketAddr) -> Result<Channel, tonic::transport::Error> {
    Channel::from_shared(format!("http://{address}")).unwrap().connect().await
}

/// A worker with an open stream.
pub struct Worker {
    say: mpsc::Sender<AttachRequest>,
    hear: Streaming<AttachResponse>,
}

pub fn hello(incarnation: u8, attach_seq: u64) -> Hello {
    Hello {
        protocol_version: 1,
        worker_id: format!("worker-{incarnation}"),
        incarnation: vec![incarnation; 16],
        attach_seq,
        ..Hello::default()
    }
}

pub fn meter(model: &str) -> highwater::proto::Meter {
    highwater::proto::Meter { kind: 3, model: model.into(), ..Default::default() }
}

/// Whether a target is the meter of a model.
pub fn is_meter_of(target: &Option<highwater::proto::Target>, model: &str) -> bool {
    let target = target.as_ref().and_then(|target| target.target.as_ref());
    matches!(target, Some(highwater::proto::target::Target::Meter(meter)) if meter.model == model)
}

/// Both halves differ, or digests would all be 0.
pub fn id(nth: u8) -> Vec<u8> {
    [[nth; 8], [0; 8]].concat()
}

/// XOR of both halves of the ids.
pub fn digest(ids: &[Vec<u8>]) -> u64 {
    let half = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
    ids.iter().fold(0, |digest, id| digest ^ half(&id[..8]) ^ half(&id[8..]))
}

pub fn connect(session: u8) -> Event {
    connect_of(id(session))
}

pub fn connect_of(session_id: Vec<u8>) -> Event {
    let connect = Connect { session_id, handle: 1, labels: None };
    Event { event: Some(What::Connect(connect)), age_us: 0 }
}

pub fn disconnect(session: u8) -> Event {
    disconnect_of(id(session), 1)
}

pub fn disconnect_of(session_id: Vec<u8>, handle: u32) -> Event {
    let disconnect = Disconnect { session_id, outcome: 1, handle };
    Event { event: Some(What::Disconnect(disconnect)), age_us: 0 }
}

pub fn batch(seq: u64, events: impl Into<Vec<Event>>) -> Say {
    Say::Events(EventBatch::new(seq, events.into()))
}

pub fn snapshot(sessions: &[u8]) -> Say {
    let ids: Vec<_> = sessions.iter().map(|session| id(*session)).collect();
    Say::Snapshot(SnapshotChunk {
        last: true,
        count: ids.len() as u64,
        digest: digest(&ids),
        session_ids: ids.concat().into(),
        handles: vec![1; ids.len()],
        ..SnapshotChunk::default()
    })
}

pub fn declare(handle: u32, model: &str) -> Say {
    Say::Declare(Declare { meters: vec![MeterDeclaration { handle, meter: Some(meter(model)) }] })
}

impl Worker {
    /// Opens a stream and says nothing.
    pub async fn open(serving: &Serving) -> Self {
        Self::open_at(serving.address).await
    }

    /// The same, at an address.
    pub async fn open_at(address: SocketAddr) -> Self {
        Self::open_on(channel(address).await.unwrap()).await
    }

    /// The same, on a connection.
    pub async fn open_on(channel: Channel) -> Self {
        let (say, said) = mpsc::channel(256);
        let mut client = IngestServiceClient::new(channel);
        let hear = client.attach(ReceiverStream::new(said)).await.unwrap().into_inner();
        Self { say, hear }
    }

    /// Says hello, and hears welcome.
    pub async fn attach(serving: &Serving, hello: Hello) -> Self {
        let mut worker = Self::open(serving).await;
        worker.say(Say::Hello(hello)).await;
        let heard = worker.hear().await;
        assert!(matches!(heard, Heard::Welcome(_)), "{heard:?}");
        worker
    }

    /// Attaches with meter 1 declared and these sessions live.
    pub async fn ready(serving: &Serving, hello: Hello, sessions: &[u8]) -> Self {
        let mut worker = Self::attach(serving, hello).await;
        worker.say(declare(1, MODEL)).await;
        worker.say(snapshot(sessions)).await;
        assert!(matches!(worker.hear().await, Heard::Declared(_)));
        assert!(matches!(worker.hear().await, Heard::Ack(_)));
        worker
    }

    pub async fn say(&self, message: Say) {
        self.say_raw(AttachRequest { message: Some(message) }).await;
    }

    /// The same to a stream that may have ended; returns whether it goes on.
    pub async fn try_say(&self, message: Say) -> bool {
        self.say.send(AttachRequest { message: Some(message) }).await.is_ok()
    }

    /// The same, as a task that may be given up: it holds on to nothing of the worker.
    pub fn say_slowly(&self, message: Say) -> impl Future<Output = bool> + use<> {
        let say = self.say.clone();
        async move { say.send(AttachRequest { message: Some(message) }).await.is_ok() }
    }

    pub async fn say_raw(&self, request: AttachRequest) {
        self.say.send(request).await.unwrap();
    }

    /// What the service says next.
    pub async fn hear(&mut self) -> Heard {
        let heard = self.next().await.unwrap_or_else(|status| panic!("the stream ended: {status}"));
        heard.and_then(|response| response.message).expect("the stream goes on")
    }

    /// What is next on the stream; `None` when it ended well.
    pub async fn next(&mut self) -> Result<Option<AttachResponse>, Status> {
        timeout(SOON, self.hear.message()).await.expect("something is heard soon")
    }

    /// The status that ends the stream, after whatever is said before.
    pub async fn end(&mut self) -> Status {
        loop {
            match self.next().await {
                Ok(Some(_)) => {}
                Ok(None) => return Status::ok(""),
                Err(status) => return status,
            }
        }
    }

    /// Hears acknowledgements until this batch is applied.
    pub async fn until_applied(&mut self, seq: u64) {
        loop {
            match self.hear().await {
                Heard::Ack(ack) if ack.applied_seq == seq => return,
                Heard::Ack(_) => {}
                other => panic!("{other:?} instead of an acknowledgement"),
            }
        }
    }
}

/// A request was refused for a field of it, in words that have these.
#[track_caller]
pub fn wrong<T: std::fmt::Debug>(answer: Result<T, Status>, field: &str, words: &str) {
    let status = answer.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let violation = status.get_details_bad_request().unwrap().field_violations.remove(0);
    assert_eq!(violation.field, field);
    assert!(violation.description.contains(words), "{}", violation.description);
}
