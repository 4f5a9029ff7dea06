//! Unary calls: as many as go, and so many a second.

use std::time::Duration;

use highwater::proto::{
    AcquireRequest, HeartbeatRequest, Kind, Meter, Outcome, ReleaseRequest, ReportRequest, ReportedEvent,
    acquire_response::Result as Acquired, ingest_service_client::IngestServiceClient,
};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use crate::{
    CONNECTIONS,
    fleet::{METERS, meter},
    process::Process,
};

/// One that the catalogue knows.
const MODEL: &str = "openai/gpt-4.1-mini";
/// Calls that each connection has unanswered.
const CALLS_EACH: usize = 8;
/// How often calls are begun when so many a second are.
const BEAT: Duration = Duration::from_millis(1);
/// Share of the calls of a rate that must be answered for it to count as carried.
const CARRIED: f64 = 0.98;

/// Shows the token, if there is one.
#[derive(Clone)]
pub struct Token(Option<MetadataValue<Ascii>>);

pub type Client = IngestServiceClient<InterceptedService<Channel, Token>>;

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// Which call is made.
#[derive(Clone, Copy)]
pub enum Call {
    /// Without a byte, either way.
    Empty,
    /// A connect, then its disconnect.
    Report,
    /// A slot, then its release.
    Acquire,
}

/// One of those that call: a worker with one session.
pub struct Caller {
    client: Client,
    call: Call,
    number: u32,
    /// The session that it holds, or held last: an id is not used again.
    session: u64,
    ends: bool,
}

/// What came of calls at a rate.
pub struct Paced {
    pub median: Duration,
    /// The 99th of a hundred.
    pub tail: Duration,
    pub kept_up: bool,
}

/// Connects to a service.
pub async fn client(process: &Process) -> Client {
    let endpoint = Endpoint::from_shared(format!("http://{}", process.address)).expect("the address is one");
    let channel = endpoint.tcp_nodelay(true).connect().await.expect("the service takes connections");
    let token = process
        .token
        .as_ref()
        .map(|token| format!("Bearer {token}").parse().expect("a token has no other bytes than a header"));
    IngestServiceClient::with_interceptor(channel, Token(token))
}

pub async fn connect(process: &Process, call: Call) -> Vec<Caller> {
    connect_as(process, call, CONNECTIONS, CALLS_EACH).await
}

/// So many connections, with so many callers each.
pub async fn connect_as(process: &Process, call: Call, connections: usize, callers_each: usize) -> Vec<Caller> {
    let mut callers = Vec::new();
    for _ in 0..connections {
        let client = client(process).await;
        for _ in 0..callers_each {
            let number = callers.len() as u32;
            // Others that called before may have had the same number: no id comes twice.
            let session = u64::from(rand::random::<u32>()) << 32;
            callers.push(Caller { client: client.clone(), call, number, session, ends: false });
        }
    }
    callers
}

/// Each calls again as soon as it is answered; returns how many calls there were.
pub async fn saturate(callers: &mut Vec<Caller>, turn: Duration) -> u64 {
    let until = Instant::now() + turn;
    let mut tasks = JoinSet::new();
    for mut caller in callers.drain(..) {
        tasks.spawn(async move {
            let mut calls = 0;
            while Instant::now() < until {
                caller.call().await;
                calls += 1;
            }
            (caller, calls)
        });
    }
    let mut calls = 0;
    for (caller, made) in tasks.join_all().await {
        callers.push(caller);
        calls += made;
    }
    calls
}

/// Calls come at this rate, whether earlier ones are answered or not, as long as a caller is free.
pub async fn paced(callers: &mut Vec<Caller>, rate: u32, turn: Duration) -> Paced {
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (began, mut begun) = (Instant::now(), 0_u32);
    let mut tasks = JoinSet::new();
    let mut latencies = Vec::new();
    while began.elapsed() < turn {
        beats.tick().await;
        while let Some(done) = tasks.try_join_next() {
            let (caller, latency) = done.expect("no call fails");
            callers.push(caller);
            latencies.push(latency);
        }
        let due = (began.elapsed().as_secs_f64() * f64::from(rate)) as u32;
        while begun < due {
            let Some(mut caller) = callers.pop() else { break };
            begun += 1;
            tasks.spawn(async move {
                let start = Instant::now();
                caller.call().await;
                (caller, start.elapsed())
            });
        }
    }
    for (caller, latency) in tasks.join_all().await {
        callers.push(caller);
        latencies.push(latency);
    }
    latencies.sort_unstable();
    let kept_up = latencies.len() as f64 >= f64::from(rate) * turn.as_secs_f64() * CARRIED;
    Paced { median: latencies[latencies.len() / 2], tail: latencies[latencies.len() * 99 / 100], kept_up }
}

impl Caller {
    async fn call(&mut self) {
        match self.call {
            Call::Empty => drop(self.client.heartbeat(HeartbeatRequest::default()).await.expect("it is answered")),
            Call::Report => {
                let request = self.report();
                drop(self.client.report(request).await.expect("it is answered"));
            }
            Call::Acquire => self.acquire().await,
        }
    }

    async fn acquire(&mut self) {
        let ReportRequest { project, worker_id, incarnation, lease, events } = self.report();
        let event = events.into_iter().next().expect("a report has its event");
        let (session_id, outcome) = (event.session_id, event.outcome);
        if outcome == 0 {
            let meters = vec![meter(self.number % METERS + 1)];
            let request =
                AcquireRequest { project, worker_id, incarnation, lease, session_id, meters, ..Default::default() };
            let answer = self.client.acquire(request).await.expect("it is answered").into_inner();
            assert!(!matches!(answer.result, Some(Acquired::Refused(_))), "{answer:?}");
        } else {
            let request = ReleaseRequest { project, worker_id, incarnation, lease, session_id, outcome };
            drop(self.client.release(request).await.expect("it is answered"));
        }
    }

    fn report(&mut self) -> ReportRequest {
        let outcome = if self.ends { Outcome::Ok as i32 } else { 0 };
        self.session += u64::from(!self.ends);
        self.ends = !self.ends;
        let mut id = vec![0; 16];
        id[..8].copy_from_slice(&self.session.to_le_bytes());
        id[8..12].copy_from_slice(&self.number.to_le_bytes());
        let event = ReportedEvent {
            session_id: id,
            meter: Some(Meter { kind: Kind::Llm as i32, model: MODEL.to_owned(), ..Meter::default() }),
            outcome,
            ..ReportedEvent::default()
        };
        let mut incarnation = vec![1; 16];
        incarnation[..4].copy_from_slice(&self.number.to_le_bytes());
        ReportRequest {
            project: "bench".to_owned(),
            worker_id: "bench".to_owned(),
            incarnation,
            lease: Some(prost_types::Duration { seconds: 300, nanos: 0 }),
            events: vec![event],
        }
    }
}
