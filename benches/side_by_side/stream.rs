//! The work as workers report it to Highwater: batches on streams.

use std::time::Duration;

use highwater::proto::{
    AttachRequest, AttachResponse, ColumnBatch, Connect, Declare, Disconnect, Event, EventBatch, Hello, Outcome,
    SnapshotChunk, attach_request::Message, attach_response::Message as Answer, event,
};
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::{
    COLUMN_EVENTS, CONNECTIONS, IN_FLIGHT, PLAIN_EVENTS,
    fleet::{Fleet, Session, declarations, steps},
    process::Process,
    unary::{self, Client},
};

/// Sessions in a batch while the fleet is begun.
const FIRST_EVENTS: usize = 2_000;
/// Ages are spread below this, in microseconds: what a client gathers before it sends.
const AGES_US: usize = 50_000;

/// How events come.
#[derive(Clone, Copy)]
pub enum Way {
    Plain,
    Columns,
}

pub const WAYS: [(&str, Way); 2] =
    [("Highwater: plain batch of 100", Way::Plain), ("Highwater: columnar batch of 1,000", Way::Columns)];

pub struct Stream {
    messages: mpsc::Sender<AttachRequest>,
    answers: Streaming<AttachResponse>,
    fleet: Fleet,
    seq: u64,
    applied: u64,
}

/// Attaches a worker on each connection, and begins so many sessions.
pub async fn attach(process: &Process, live: usize) -> Vec<Stream> {
    let mut streams = Vec::new();
    for nth in 0..CONNECTIONS {
        let mut stream = Stream::open(unary::client(process).await, nth).await;
        for _ in 0..live / CONNECTIONS / FIRST_EVENTS {
            let sessions: Vec<_> = (0..FIRST_EVENTS).map(|_| (true, stream.fleet.begin())).collect();
            stream.seq += 1;
            stream.send(columns(stream.seq, &sessions)).await;
            stream.wait_for(stream.seq).await;
        }
        streams.push(stream);
    }
    streams
}

/// Works for so long on all streams; returns how many events there were.
pub async fn run(streams: &mut Vec<Stream>, way: Way, turn: Duration) -> u64 {
    let until = Instant::now() + turn;
    let tasks: Vec<_> = streams.drain(..).map(|stream| tokio::spawn(stream.work(way, until))).collect();
    let mut events = 0;
    for task in tasks {
        let (stream, done) = task.await.expect("no stream fails");
        events += done;
        streams.push(stream);
    }
    events
}

impl Stream {
    async fn open(mut client: Client, nth: usize) -> Self {
        let (messages, waiting) = mpsc::channel(IN_FLIGHT);
        let mut incarnation = vec![0; 16];
        incarnation[0] = nth as u8 + 1;
        let hello = Hello {
            protocol_version: 1,
            project: "bench".to_owned(),
            worker_id: format!("worker-{nth}"),
            incarnation,
            attach_seq: 1,
            ..Hello::default()
        };
        let first = [
            Message::Hello(hello),
            Message::Declare(Declare { meters: declarations() }),
            Message::Snapshot(SnapshotChunk { last: true, ..SnapshotChunk::default() }),
        ];
        for message in first {
            messages.send(AttachRequest { message: Some(message) }).await.expect("the channel has room");
        }
        let answers = client.attach(ReceiverStream::new(waiting)).await.expect("a worker may attach").into_inner();
        let mut stream = Self { messages, answers, fleet: Fleet::new(nth), seq: 0, applied: 0 };
        while !matches!(stream.answer().await, Answer::Ack(_)) {}
        stream
    }

    async fn answer(&mut self) -> Answer {
        let answer = self.answers.message().await.expect("the stream goes on").expect("the stream does not end");
        answer.message.expect("an answer says something")
    }

    async fn send(&mut self, message: Message) {
        self.messages.send(AttachRequest { message: Some(message) }).await.expect("the stream goes on");
    }

    async fn wait_for(&mut self, seq: u64) {
        while self.applied < seq {
            match self.answer().await {
                Answer::Ack(ack) => self.applied = ack.applied_seq,
                other => panic!("instead of an acknowledgement came {other:?}"),
            }
        }
    }

    async fn work(mut self, way: Way, until: Instant) -> (Self, u64) {
        let events = match way {
            Way::Plain => PLAIN_EVENTS,
            Way::Columns => COLUMN_EVENTS,
        };
        let began = self.seq;
        while Instant::now() < until {
            let steps: Vec<_> = steps(&mut self.fleet, events).collect();
            self.seq += 1;
            self.send(match way {
                Way::Plain => plain(self.seq, &steps),
                Way::Columns => columns(self.seq, &steps),
            })
            .await;
            self.wait_for(self.seq.saturating_sub(IN_FLIGHT as u64 - 1)).await;
        }
        self.wait_for(self.seq).await;
        let batches = self.seq - began;
        (self, batches * events as u64)
    }
}

fn age_us(nth: usize, events: usize) -> u64 {
    (AGES_US - AGES_US * nth / events) as u64
}

fn plain(seq: u64, steps: &[(bool, Session)]) -> Message {
    let event = |nth: usize, (begins, session): &(bool, Session)| {
        let (session_id, handle) = (session.id.to_vec(), session.meter);
        let event = if *begins {
            event::Event::Connect(Connect { session_id, handle, labels: None })
        } else {
            event::Event::Disconnect(Disconnect { session_id, outcome: Outcome::Ok as i32, handle })
        };
        Event { event: Some(event), age_us: age_us(nth, steps.len()) }
    };
    let events = steps.iter().enumerate().map(|(nth, step)| event(nth, step));
    Message::Events(EventBatch::new(seq, events))
}

fn columns(seq: u64, steps: &[(bool, Session)]) -> Message {
    let ids: Vec<u8> = steps.iter().flat_map(|(_, session)| session.id).collect();
    let outcomes: Vec<u8> = steps.iter().map(|(begins, _)| if *begins { 0 } else { Outcome::Ok as u8 }).collect();
    Message::Columns(ColumnBatch {
        seq,
        session_ids: ids.into(),
        outcomes: outcomes.into(),
        handles: steps.iter().map(|(_, session)| session.meter).collect(),
        ages_us: (0..steps.len()).map(|nth| age_us(nth, steps.len())).collect(),
        ..ColumnBatch::default()
    })
}
