//! The task that holds a worker's stream: attaches, sends what the journal gives, reads acknowledgements, and attaches
//! again whenever the stream ends before the goodbye.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming, transport::Channel};

use crate::{
    client::{
        Bearer, ClientStatus, Credential, FLUSH_AFTER, FLUSH_EVENTS, Shared, acquire, backoff, journal::Snapshot, wire,
    },
    proto::{
        Ack, AttachRequest, AttachResponse, Declared, Welcome, attach_response::Message,
        ingest_service_client::IngestServiceClient,
    },
};

mod opening;
mod release;
mod renewal;

use opening::{hello, welcome};
use renewal::Renewal;

/// Messages between this task and the connection: 8, since each may be large.
const OUTGOING_MESSAGES: usize = 8;
/// How long the connection and the answer to a hello may take together, also when thousands attach at once.
const WELCOME_TIMEOUT: Duration = Duration::from_secs(10);
/// How long what was sent may stay unacknowledged before the stream is taken for dead.
const ACK_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the service may take to end the stream after a goodbye.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a beat carries the digest of what is live.
const DIGEST_EVERY: Duration = Duration::from_secs(30);
/// Beats come at least and at most this often, whatever the service says.
const BEAT_BOUNDS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));
/// Models kept that the catalogue does not know.
const MAX_UNKNOWN_MODELS: usize = 64;

/// Why a stream ended.
enum Ended {
    Goodbye,
    /// The service went away, or the stream broke: attach again.
    Broken(String),
    /// The service asked for it: attach again, without haste or fault.
    Drained,
    /// Attaching again would be refused too.
    Refused(String),
}

/// Holds the stream until the goodbye.
pub(super) async fn run(shared: Arc<Shared>, channel: Channel) {
    let mut attempt = 0;
    loop {
        let mut welcomed = false;
        let ended = attach(&shared, channel.clone(), &mut welcomed).await;
        if welcomed {
            attempt = 0;
        }
        match ended {
            Ended::Goodbye => return finish(&shared, ClientStatus::Ended),
            Ended::Refused(error) => return finish(&shared, ClientStatus::Failed { error }),
            Ended::Drained => {}
            Ended::Broken(error) => {
                attempt += 1;
                shared.status.send_replace(ClientStatus::Reconnecting { attempt, error });
                sleep(backoff::jitter(backoff::ceiling(attempt))).await;
            }
        }
    }
}

fn finish(shared: &Shared, status: ClientStatus) {
    shared.status.send_replace(status);
    shared.progress.notify_waiters();
}

/// Whether a status is final: the same hello would be refused again.
fn ended_by(status: &Status) -> Ended {
    let error = format!("{:?}: {}", status.code(), status.message());
    match status.code() {
        Code::InvalidArgument
        | Code::Aborted
        | Code::Unauthenticated
        | Code::PermissionDenied
        | Code::Unimplemented => Ended::Refused(error),
        _ => Ended::Broken(error),
    }
}

/// One stream, from hello to its end.
async fn attach(shared: &Shared, channel: Channel, welcomed: &mut bool) -> Ended {
    let (outgoing, receiver) = mpsc::channel(OUTGOING_MESSAGES);
    let credential = shared.config.credential.clone();
    let is_renewed = credential.as_ref().is_some_and(Credential::is_renewed);
    let mut client = IngestServiceClient::with_interceptor(channel, Bearer(credential));
    let hello = hello(shared);
    let opening = async {
        // The channel is new and has room for it.
        let _ = outgoing.send(hello).await;
        let mut incoming = client.attach(ReceiverStream::new(receiver)).await?.into_inner();
        let welcome = welcome(&mut incoming).await?;
        Ok::<_, Status>((incoming, welcome))
    };
    let (mut incoming, welcome) = match timeout(WELCOME_TIMEOUT, opening).await {
        Ok(Ok(opened)) => opened,
        // Another token may be taken.
        Ok(Err(status)) if is_renewed && status.code() == Code::Unauthenticated => {
            return Ended::Broken(format!("Unauthenticated: {}", status.message()));
        }
        Ok(Err(status)) => return ended_by(&status),
        Err(_) => return Ended::Broken("the service did not answer the hello".to_owned()),
    };
    *welcomed = true;
    let mut stream = Stream::new(shared, outgoing, &welcome);
    shared.status.send_replace(ClientStatus::Attached);
    let ended = stream.run(&mut incoming).await;
    acquire::broke(shared);
    ended
}

/// A stream that was welcomed.
struct Stream<'a> {
    shared: &'a Shared,
    /// `None` once the goodbye is sent.
    outgoing: Option<mpsc::Sender<AttachRequest>>,
    /// What waits for room in `outgoing`.
    outbox: VecDeque<AttachRequest>,
    /// Meters that are declared on this stream.
    declared: usize,
    /// Slots that were granted on this stream.
    grants: u64,
    batch_events: usize,
    beat_every: Duration,
    /// When what is pending is to be sent.
    flush_at: Option<Instant>,
    beat_at: Instant,
    digest_at: Instant,
    /// When what is in flight should have been acknowledged.
    ack_by: Option<Instant>,
    drain_at: Option<Instant>,
    goodbye_by: Option<Instant>,
    renewal: Renewal,
}

impl<'a> Stream<'a> {
    /// Takes up where the service left off: declarations, snapshot, then what was not applied.
    fn new(shared: &'a Shared, outgoing: mpsc::Sender<AttachRequest>, welcome: &Welcome) -> Self {
        let now = Instant::now();
        let beat = welcome.beat_interval.and_then(|beat| Duration::try_from(beat).ok()).unwrap_or(BEAT_BOUNDS.1);
        let beat_every = beat.clamp(BEAT_BOUNDS.0, BEAT_BOUNDS.1);
        let mut stream = Self {
            shared,
            outgoing: Some(outgoing),
            outbox: VecDeque::new(),
            declared: 0,
            grants: 0,
            batch_events: FLUSH_EVENTS.min(welcome.max_batch_events as usize).max(1),
            beat_every,
            flush_at: Some(now),
            beat_at: now + beat_every,
            digest_at: now + backoff::jitter(DIGEST_EVERY),
            ack_by: None,
            drain_at: None,
            goodbye_by: None,
            renewal: Renewal::of(shared.config.credential.as_ref()),
        };
        stream.renewal.before(welcome.credential_expire_time.as_ref());
        let mut state = shared.state();
        state.attachments += 1;
        let snapshot = state.journal.resume(welcome.applied_seq, welcome.durable_seq);
        drop(state);
        stream.tell(&snapshot);
        stream
    }

    /// Puts declarations, a snapshot and the unapplied batches into the outbox.
    fn tell(&mut self, snapshot: &Snapshot) {
        let now = Instant::now().into_std();
        self.declare();
        self.outbox.extend(wire::snapshot(snapshot, self.grants, now));
        let state = self.shared.state();
        self.outbox.extend(state.journal.unapplied().map(|batch| wire::batch(batch, now)));
        if state.journal.in_flight() > 0 {
            self.ack_by = Some(Instant::now() + ACK_TIMEOUT);
        }
    }

    fn declare(&mut self) {
        let state = self.shared.state();
        let new = &state.meters[self.declared..];
        if !new.is_empty() {
            self.outbox.push_back(wire::declare(self.declared as u32 + 1, new));
            self.declared = state.meters.len();
        }
    }

    async fn run(&mut self, incoming: &mut Streaming<AttachResponse>) -> Ended {
        loop {
            if let Some(ended) = self.due(Instant::now()) {
                return ended;
            }
            let wake_at = self.wake_at();
            let (outgoing, waiting) = (self.outgoing.clone(), !self.outbox.is_empty());
            tokio::select! {
                permit = reserve(outgoing), if waiting => match (permit, self.outbox.pop_front()) {
                    (Some(permit), Some(message)) => {
                        permit.send(message);
                        if self.goodbye_by.is_some() && self.outbox.is_empty() {
                            self.outgoing = None;
                        }
                    }
                    // The connection has dropped its end: what it says of it comes from the other side.
                    _ => return ended_by(&incoming.message().await.err().unwrap_or_else(closed)),
                },
                message = incoming.message() => match message {
                    Ok(Some(response)) => if let Some(message) = response.message { self.take(message) },
                    // After the goodbye, however the stream ends: attaching again would bring the sessions back.
                    Ok(None) | Err(_) if self.outgoing.is_none() => return Ended::Goodbye,
                    Ok(None) => return ended_by(&closed()),
                    // It was good when the stream was opened: whether it still is, the next one tells.
                    Err(status) if status.code() == Code::Unauthenticated => {
                        return Ended::Broken(format!("Unauthenticated: {}", status.message()));
                    }
                    Err(status) => return ended_by(&status),
                },
                () = self.shared.wake.notified() => {}
                () = sleep_until(wake_at) => {}
            }
        }
    }

    /// Does what is due, and says when the stream is to end.
    fn due(&mut self, now: Instant) -> Option<Ended> {
        let state = self.shared.state();
        let (pending, can_send) = (state.journal.pending(), state.journal.can_send());
        let (cut, gap, goodbye) = (state.cut, state.journal.has_gap(), state.goodbye);
        let idle = pending == 0 && state.journal.in_flight() == 0;
        drop(state);
        let passed = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if cut {
            return Some(Ended::Broken("cut".to_owned()));
        }
        if gap {
            return Some(Ended::Broken("more was to be told than is kept".to_owned()));
        }
        if passed(self.ack_by) {
            return Some(Ended::Broken("the service acknowledges nothing".to_owned()));
        }
        if passed(self.goodbye_by) {
            return Some(Ended::Goodbye);
        }
        if passed(self.drain_at) {
            return Some(Ended::Drained);
        }
        if self.outgoing.is_none() || !self.outbox.is_empty() {
            return None;
        }
        if passed(self.renewal.at) {
            self.outbox.extend(self.renewal.due());
            return None;
        }
        self.ask();
        self.flush_at = can_send.then(|| self.flush_at.unwrap_or(now + FLUSH_AFTER));
        if can_send && (passed(self.flush_at) || pending >= FLUSH_EVENTS || goodbye.is_some()) {
            self.flush(now);
        } else if let (Some(outcome), true) = (goodbye, idle) {
            self.outbox.push_back(wire::goodbye(outcome));
            self.goodbye_by = Some(now + GOODBYE_TIMEOUT);
        } else if self.beat_at <= now || self.digest_at <= now {
            self.beat(now);
        }
        if !self.outbox.is_empty() {
            self.beat_at = now + self.beat_every;
        }
        None
    }

    /// Sends what is to be asked for.
    fn ask(&mut self) {
        let asks = acquire::take(self.shared);
        if !asks.is_empty() {
            self.declare();
            self.outbox.extend(asks.into_iter().map(wire::acquire));
        }
    }

    /// Sends the next batch.
    fn flush(&mut self, now: Instant) {
        self.declare();
        let mut state = self.shared.state();
        if let Some(batch) = state.journal.next_batch(self.batch_events) {
            self.outbox.push_back(wire::batch(batch, now.into_std()));
            self.ack_by.get_or_insert(now + ACK_TIMEOUT);
        }
        self.flush_at = state.journal.can_send().then_some(now + FLUSH_AFTER);
        drop(state);
        self.shared.progress.notify_waiters();
    }

    fn beat(&mut self, now: Instant) {
        let mut digest = None;
        if self.digest_at <= now {
            digest = self.shared.state().journal.digest();
            self.digest_at = now + DIGEST_EVERY;
        }
        self.outbox.push_back(wire::beat(digest, self.grants));
    }

    /// When something is due next, if nothing happens before.
    fn wake_at(&self) -> Instant {
        let ends = [self.ack_by, self.drain_at, self.goodbye_by];
        // While something waits for room, and after the goodbye, nothing more is sent: its time must not wake us then.
        let may_send = self.outgoing.is_some() && self.outbox.is_empty();
        let sends = may_send.then_some([self.flush_at, Some(self.beat_at), Some(self.digest_at), self.renewal.at]);
        let times = ends.into_iter().chain(sends.into_iter().flatten()).flatten();
        times.min().unwrap_or_else(|| Instant::now() + self.beat_every)
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Ack(ack) => self.acknowledged(ack),
            Message::Declared(declared) => self.declared(declared),
            Message::SnapshotNeeded(needed) => self.resync(Some(needed.applied_seq)),
            Message::LeaseExpired(_) => self.resync(None),
            Message::Drain(drain) => {
                let within = drain.within.and_then(|within| Duration::try_from(within).ok()).unwrap_or_default();
                self.drain_at = Some(Instant::now() + backoff::jitter(within.min(BEAT_BOUNDS.1)));
            }
            Message::Authenticated(taken) => self.renewal.before(taken.expire_time.as_ref()),
            Message::Release(asked) => release::close(self.shared, asked),
            Message::Routes(routes) => self.shared.routes.heard(routes),
            Message::Acquired(answer) => self.grants += u64::from(acquire::answered(self.shared, answer)),
            // A slot is given back by a disconnect in a batch, which is not answered by this.
            Message::Released(_) | Message::Welcome(_) => {}
        }
    }

    fn acknowledged(&mut self, ack: Ack) {
        let mut state = self.shared.state();
        state.journal.ack(ack.applied_seq, ack.durable_seq);
        let in_flight = state.journal.in_flight() > 0;
        drop(state);
        self.ack_by = in_flight.then(|| Instant::now() + ACK_TIMEOUT);
        self.shared.progress.notify_waiters();
    }

    fn declared(&mut self, declared: Declared) {
        let unknown = declared.meters.into_iter().filter(|meter| !meter.in_catalogue);
        let mut state = self.shared.state();
        for model in unknown.filter_map(|declared| declared.meter).map(|meter| meter.model) {
            let known = model.is_empty() || state.unknown_models.contains(&model);
            if !known && state.unknown_models.len() < MAX_UNKNOWN_MODELS {
                state.unknown_models.push(model);
            }
        }
    }

    /// Sends a snapshot in mid-stream, and again what is not applied; `None` stands for what was acknowledged last.
    fn resync(&mut self, applied: Option<u64>) {
        if self.outgoing.is_none() {
            return;
        }
        let mut state = self.shared.state();
        state.resyncs += 1;
        let applied = applied.unwrap_or_else(|| state.journal.applied());
        let snapshot = state.journal.resync(applied);
        drop(state);
        self.outbox.clear();
        self.goodbye_by = None;
        self.declared = 0;
        self.tell(&snapshot);
    }
}

fn closed() -> Status {
    Status::unavailable("the service closed the stream")
}

/// Waits for room for one message; `None` when the stream is closed.
async fn reserve(outgoing: Option<mpsc::Sender<AttachRequest>>) -> Option<mpsc::OwnedPermit<AttachRequest>> {
    outgoing?.reserve_owned().await.ok()
}

#[cfg(test)]
mod tests;
