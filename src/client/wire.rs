//! What a worker's journal looks like on the wire. Conversions only.

use std::{sync::Arc, time::Instant};

use prost::bytes::Bytes;

use crate::{
    access::Secret,
    client::{
        journal::{Batch, Event, Live, Snapshot},
        name::SessionName,
    },
    model::{Outcome, session::ID_BYTES},
    proto::{
        AttachRequest, Authenticate, Beat, ColumnBatch, Connect, Declare, Disconnect, Event as WireEvent, EventBatch,
        Hello, Labels, Meter, MeterDeclaration, SnapshotChunk, StreamAcquire, StreamGoodbye, attach_request::Message,
        event,
    },
};

/// Bytes of a snapshot chunk after which the next one begins: 64 KiB, a quarter of the largest message.
const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes that a session without labels takes in a chunk, at most: id, handle, age and label reference.
const SESSION_BYTES: usize = ID_BYTES + 4 + 8 + 4;
/// Bytes that labels take beside their text.
const LABELS_OVERHEAD_BYTES: usize = 6;

fn message(message: Message) -> AttachRequest {
    AttachRequest { message: Some(message) }
}

/// How long ago, in microseconds.
fn age_us(at: Instant, now: Instant) -> u64 {
    u64::try_from(now.saturating_duration_since(at).as_micros()).unwrap_or(u64::MAX)
}

/// The number of an outcome in a report: only the service says that a session was lost.
fn outcome_number(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Lost => Outcome::Other as u8,
        other => other as u8,
    }
}

pub fn hello(hello: Hello) -> AttachRequest {
    message(Message::Hello(hello))
}

/// Declares meters; the first has the handle `first`.
pub fn declare(first: u32, meters: &[Meter]) -> AttachRequest {
    let handles = first..;
    let meters = handles.zip(meters).map(|(handle, meter)| MeterDeclaration { handle, meter: Some(meter.clone()) });
    message(Message::Declare(Declare { meters: meters.collect() }))
}

/// A sign of life; with number, digest and batch number of what is live when they are known.
pub fn beat(digest: Option<(u64, u64, u64)>, grants_heard: u64) -> AttachRequest {
    let (live_count, live_digest, as_of_seq) = digest.unwrap_or_default();
    message(Message::Beat(Beat { has_digest: digest.is_some(), live_count, live_digest, as_of_seq, grants_heard }))
}

/// Asks for a slot.
pub fn acquire(acquire: StreamAcquire) -> AttachRequest {
    message(Message::Acquire(acquire))
}

pub fn authenticate(token: &Secret<String>) -> AttachRequest {
    message(Message::Authenticate(Authenticate { token: token.expose().clone() }))
}

pub fn goodbye(outcome: Outcome) -> AttachRequest {
    message(Message::Goodbye(StreamGoodbye { outcome: i32::from(outcome_number(outcome)) }))
}

/// A batch in columns, or one by one when a session in it is named by a text.
pub fn batch(batch: &Batch, now: Instant) -> AttachRequest {
    let opens_by_text = |event: &Event| event.ended.is_none() && matches!(event.name, SessionName::Text(_));
    if batch.events.iter().any(opens_by_text) {
        let events = batch.events.iter().map(|event| wire_event(event, now));
        return message(Message::Events(EventBatch::new(batch.seq, events)));
    }
    message(Message::Columns(columns(batch, now)))
}

fn wire_event(event: &Event, now: Instant) -> WireEvent {
    let handle = event.session.handle;
    let session_id = match &event.name {
        SessionName::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
        SessionName::Id(id) => Bytes::copy_from_slice(&id.0),
    };
    let told = match event.ended {
        None => {
            let labels = event.session.labels.as_deref().cloned();
            event::Event::Connect(Connect { session_id: session_id.into(), handle, labels })
        }
        Some(outcome) => {
            let outcome = i32::from(outcome_number(outcome));
            event::Event::Disconnect(Disconnect { session_id: session_id.into(), outcome, handle })
        }
    };
    WireEvent { event: Some(told), age_us: age_us(event.at, now) }
}

fn columns(batch: &Batch, now: Instant) -> ColumnBatch {
    let count = batch.events.len();
    let mut session_ids = Vec::with_capacity(count * ID_BYTES);
    let mut outcomes = Vec::with_capacity(count);
    let (mut handles, mut ages_us) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let mut labels = LabelTable::default();
    for event in &batch.events {
        session_ids.extend(event.name.id().0);
        outcomes.push(event.ended.map_or(0, outcome_number));
        handles.push(event.session.handle);
        ages_us.push(age_us(event.at, now));
        labels.push(if event.ended.is_none() { event.session.labels.as_ref() } else { None });
    }
    let (label_refs, labels) = labels.finish();
    let (session_ids, outcomes) = (session_ids.into(), outcomes.into());
    ColumnBatch { seq: batch.seq, session_ids, outcomes, handles, ages_us, label_refs, labels }
}

/// A snapshot in chunks; one empty chunk when nothing is live. So many slots were granted before it.
pub fn snapshot(sessions: &Snapshot, grants_heard: u64, now: Instant) -> Vec<AttachRequest> {
    let mut chunks = Vec::new();
    let mut builder = ChunkBuilder::default();
    for (id, session) in sessions {
        if builder.bytes >= CHUNK_BYTES {
            chunks.push(std::mem::take(&mut builder).finish());
        }
        builder.push(&id.0, session, now);
    }
    chunks.push(builder.finish());
    let last = chunks.len() - 1;
    for (index, chunk) in chunks.iter_mut().enumerate() {
        chunk.index = index as u32;
        chunk.last = index == last;
    }
    chunks[last].grants_heard = grants_heard;
    chunks[last].count = sessions.len() as u64;
    chunks[last].digest = sessions.iter().fold(0, |digest, (id, _)| digest ^ id.digest());
    chunks.into_iter().map(|chunk| message(Message::Snapshot(chunk))).collect()
}

#[derive(Default)]
struct ChunkBuilder {
    session_ids: Vec<u8>,
    handles: Vec<u32>,
    ages_us: Vec<u64>,
    labels: LabelTable,
    bytes: usize,
}

impl ChunkBuilder {
    fn push(&mut self, id: &[u8; ID_BYTES], session: &Live, now: Instant) {
        self.session_ids.extend(id);
        self.handles.push(session.handle);
        self.ages_us.push(age_us(session.since, now));
        self.bytes += SESSION_BYTES + self.labels.push(session.labels.as_ref());
    }

    fn finish(self) -> SnapshotChunk {
        let (label_refs, labels) = self.labels.finish();
        let session_ids = self.session_ids.into();
        SnapshotChunk {
            session_ids,
            handles: self.handles,
            ages_us: self.ages_us,
            label_refs,
            labels,
            ..Default::default()
        }
    }
}

/// The labels of a message; neighbours that share theirs share a place.
#[derive(Default)]
struct LabelTable {
    refs: Vec<u32>,
    labels: Vec<Arc<Labels>>,
}

impl LabelTable {
    /// Adds a session's labels; returns the bytes that it added.
    fn push(&mut self, labels: Option<&Arc<Labels>>) -> usize {
        let Some(labels) = labels else {
            self.refs.push(0);
            return 0;
        };
        let mut added = 0;
        if self.labels.last() != Some(labels) {
            added = labels.room.len() + labels.job.len() + LABELS_OVERHEAD_BYTES;
            self.labels.push(Arc::clone(labels));
        }
        self.refs.push(self.labels.len() as u32);
        added
    }

    /// The columns of references and labels; both empty when there are no labels.
    fn finish(self) -> (Vec<u32>, Vec<Labels>) {
        if self.labels.is_empty() {
            return (Vec::new(), Vec::new());
        }
        (self.refs, self.labels.iter().map(|labels| (**labels).clone()).collect())
    }
}
