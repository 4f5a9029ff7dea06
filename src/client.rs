//! The worker client: reports the sessions of one worker over its stream, and keeps the service's count right whatever
//! happens to the stream. It never blocks and never fails its caller: what can't be sent now is told later.

use std::{
    collections::VecDeque,
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustc_hash::FxHashMap;
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::{Instant, timeout},
};
use tonic::transport::Channel;

use crate::{
    model::{Incarnation, Outcome, SessionId},
    proto::{Labels, Meter},
};

pub mod acquire;
pub mod backoff;
pub mod channel;
pub mod credential;
pub mod journal;
pub mod name;
pub mod routes;
mod stream;
mod wire;

pub use acquire::{Acquired, Wanted};
pub use channel::{ClientTls, channel, channel_with};
pub use credential::{Bearer, Credential, Known};
use journal::{Journal, JournalStats, Live};
pub use name::SessionName;

/// How long events gather before they are sent: 20 ms.
pub const FLUSH_AFTER: Duration = Duration::from_millis(20);
/// Events that are sent at once, without waiting for more: 512.
pub const FLUSH_EVENTS: usize = 512;
/// Waiting events from which on [`WorkerClient::ready`] waits: 1,024, a quarter of what is kept.
pub const READY_BELOW_EVENTS: usize = 1_024;

/// Who reports.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// 1 to 64 bytes of `[a-z0-9-]`.
    pub project: String,
    /// Name that people see, 1 to 128 bytes.
    pub worker_id: String,
    pub incarnation: Incarnation,
    /// The incarnation that this process takes the place of, if it knows it.
    pub replaces: Option<Incarnation>,
    /// Name and version of the program, for people; at most 128 bytes.
    pub program: String,
    /// What it is known by; `None` where nobody needs a key.
    pub credential: Option<Credential>,
}

/// A session that a worker holds already when its client begins: it was told of under the same incarnation.
#[derive(Clone, Debug)]
pub struct HeldSession {
    pub id: SessionId,
    pub meter: Meter,
    pub labels: Option<Arc<Labels>>,
    pub since: std::time::Instant,
}

/// A meter that a client reports on; good for that client alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MeterHandle(u32);

/// How a client stands with the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientStatus {
    /// Attaching for the first time.
    Connecting,
    /// Its stream is up, and its sessions are told.
    Attached,
    /// Its stream broke or could not be made; it tries again by itself.
    Reconnecting { attempt: u32, error: String },
    /// It said goodbye.
    Ended,
    /// It was refused for good, and tries no more.
    Failed { error: String },
}

/// What a client has done since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientStats {
    pub journal: JournalStats,
    /// Sessions live now.
    pub live: usize,
    /// Streams that were attached after the first.
    pub reconnects: u64,
    /// Snapshots that the service asked for in mid-stream; 0 unless something went wrong.
    pub resyncs: u64,
}

/// A session that was ended since somebody wanted its slot free. The client has told so already: what held it is to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleasedSession {
    pub id: SessionId,
    /// What they gave as the reason.
    pub reason: String,
}

/// Why a client could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("{0}")]
    Refused(String),
    #[error("the service did not take everything within {0:?}")]
    Late(Duration),
    #[error("{0}")]
    Tls(String),
    #[error("{url:?} is not the address of a service: {problem}")]
    Address { url: String, problem: String },
}

/// Reports the sessions of one worker. Dropping it without a goodbye breaks the stream, as a crash does.
pub struct WorkerClient {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// What the client's callers and its task share.
struct Shared {
    config: WorkerConfig,
    state: Mutex<State>,
    /// Wakes the task.
    wake: Notify,
    /// Tells waiting callers that something was acknowledged.
    progress: Notify,
    /// Tells waiting callers that a session was released.
    released: Notify,
    status: watch::Sender<ClientStatus>,
    /// The newest routes that were heard.
    routes: routes::Newest,
}

#[derive(Default)]
struct State {
    journal: Journal,
    meters: Vec<Meter>,
    handles: FxHashMap<Meter, u32>,
    unknown_models: Vec<String>,
    released: VecDeque<ReleasedSession>,
    /// Slots that are to be asked for, and those that were, by session.
    asks: VecDeque<acquire::Asking>,
    asked: FxHashMap<SessionId, acquire::Asking>,
    /// Streams that were begun.
    attach_seq: u64,
    /// Streams that were welcomed.
    attachments: u64,
    resyncs: u64,
    goodbye: Option<Outcome>,
    cut: bool,
}

impl WorkerConfig {
    /// A worker with a new random incarnation.
    pub fn new(project: &str, worker_id: &str) -> Self {
        Self {
            project: project.to_owned(),
            worker_id: worker_id.to_owned(),
            incarnation: Incarnation(rand::random()),
            replaces: None,
            program: concat!("highwater ", env!("CARGO_PKG_VERSION")).to_owned(),
            credential: None,
        }
    }
}

impl State {
    /// The handle of a meter, made when it is new.
    fn handle(&mut self, meter: Meter) -> u32 {
        let Self { meters, handles, .. } = self;
        *handles.entry(meter).or_insert_with_key(|meter| {
            meters.push(meter.clone());
            meters.len() as u32
        })
    }
}

impl Shared {
    /// The state. A panic elsewhere can't leave it half changed in a way that matters more than going on.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WorkerClient {
    /// Begins to attach, on the runtime that this is called in. Sessions can be opened at once.
    pub fn attach(channel: Channel, config: WorkerConfig) -> Self {
        Self::start(channel, config, State::default())
    }

    /// Begins to attach for an incarnation that was attached before, by another client, and holds these sessions still.
    pub fn resume(channel: Channel, config: WorkerConfig, held: Vec<HeldSession>) -> Self {
        let mut state = State::default();
        for HeldSession { id, meter, labels, since } in held {
            let handle = state.handle(meter);
            state.journal.hold(id, Live { handle, since, labels });
        }
        Self::start(channel, config, state)
    }

    fn start(channel: Channel, config: WorkerConfig, state: State) -> Self {
        let shared = Arc::new(Shared {
            config,
            state: Mutex::new(state),
            wake: Notify::new(),
            progress: Notify::new(),
            released: Notify::new(),
            status: watch::Sender::new(ClientStatus::Connecting),
            routes: routes::Newest::default(),
        });
        let task = tokio::spawn(stream::run(Arc::clone(&shared), channel));
        Self { shared, task }
    }

    /// The handle of a meter; the same one each time.
    pub fn meter(&self, meter: Meter) -> MeterHandle {
        MeterHandle(self.shared.state().handle(meter))
    }

    /// A session began now. False, and nothing changes, when one of that name is live already.
    pub fn open(&self, name: impl Into<SessionName>, meter: MeterHandle, labels: Option<Arc<Labels>>) -> bool {
        self.open_since(name, meter, labels, Instant::now().into_std())
    }

    /// A session began a while ago.
    pub fn open_since(
        &self,
        name: impl Into<SessionName>,
        meter: MeterHandle,
        labels: Option<Arc<Labels>>,
        since: std::time::Instant,
    ) -> bool {
        let session = Live { handle: meter.0, since, labels };
        self.change(|journal| journal.open(name.into(), session, Instant::now().into_std()))
    }

    /// A session ended now. False, and nothing changes, when none of that name is live.
    pub fn close(&self, name: impl Into<SessionName>, outcome: Outcome) -> bool {
        self.change(|journal| journal.close(name.into().id(), outcome, Instant::now().into_std()))
    }

    fn change(&self, change: impl FnOnce(&mut Journal) -> bool) -> bool {
        let mut state = self.shared.state();
        let before = state.journal.pending();
        let changed = change(&mut state.journal);
        let waiting = state.journal.pending();
        drop(state);
        if changed && (before == 0 || waiting == FLUSH_EVENTS) {
            self.shared.wake.notify_one();
        }
        changed
    }

    /// Waits until the stream is up and the sessions are told.
    ///
    /// # Errors
    /// When the service refused this worker for good.
    pub async fn attached(&self) -> Result<(), ClientError> {
        let mut status = self.shared.status.subscribe();
        loop {
            match &*status.borrow_and_update() {
                ClientStatus::Attached | ClientStatus::Ended => return Ok(()),
                ClientStatus::Failed { error } => return Err(ClientError::Refused(error.clone())),
                ClientStatus::Connecting | ClientStatus::Reconnecting { .. } => {}
            }
            // An error means that the sender is gone, which `self` holds.
            let _ = status.changed().await;
        }
    }

    /// Waits while too much waits to be sent, so that a fast caller does not outrun the service.
    ///
    /// # Errors
    /// When the service refused this worker for good.
    pub async fn ready(&self) -> Result<(), ClientError> {
        self.until(|journal| journal.pending() < READY_BELOW_EVENTS).await
    }

    /// Waits until the service has applied everything.
    ///
    /// # Errors
    /// When the service refused this worker for good.
    pub async fn flushed(&self) -> Result<(), ClientError> {
        self.until(|journal| journal.pending() == 0 && journal.in_flight() == 0).await
    }

    /// The same, for so long at most.
    ///
    /// # Errors
    /// When it took longer, or the service refused this worker for good.
    pub async fn flushed_within(&self, within: Duration) -> Result<(), ClientError> {
        timeout(within, self.flushed()).await.unwrap_or(Err(ClientError::Late(within)))
    }

    async fn until(&self, done: impl Fn(&Journal) -> bool) -> Result<(), ClientError> {
        loop {
            let progress = self.shared.progress.notified();
            if done(&self.shared.state().journal) {
                return Ok(());
            }
            if let ClientStatus::Failed { error } = &*self.shared.status.borrow() {
                return Err(ClientError::Refused(error.clone()));
            }
            progress.await;
        }
    }

    /// Tells what is still to be told, and ends the incarnation; sessions that are live end with this outcome.
    ///
    /// # Errors
    /// When that took longer than `within`, or the service refused this worker for good. The service then loses the
    /// sessions when the lease ends.
    pub async fn goodbye(mut self, outcome: Outcome, within: Duration) -> Result<(), ClientError> {
        self.shared.state().goodbye = Some(outcome);
        self.shared.wake.notify_one();
        // A panic of the task shows as an end: there is nothing more that can be told.
        let ended = timeout(within, &mut self.task).await;
        match &*self.shared.status.borrow() {
            ClientStatus::Failed { error } => Err(ClientError::Refused(error.clone())),
            _ if ended.is_err() => Err(ClientError::Late(within)),
            _ => Ok(()),
        }
    }

    /// Breaks the stream, as a lost network does; the client attaches again by itself.
    pub fn cut(&self) {
        self.shared.state().cut = true;
        self.shared.wake.notify_one();
    }

    pub fn status(&self) -> ClientStatus {
        self.shared.status.borrow().clone()
    }

    /// How the client stands, as it changes.
    pub fn watch_status(&self) -> watch::Receiver<ClientStatus> {
        self.shared.status.subscribe()
    }

    pub fn stats(&self) -> ClientStats {
        let state = self.shared.state();
        let (journal, live) = (state.journal.stats(), state.journal.live());
        let reconnects = state.attachments.saturating_sub(1);
        ClientStats { journal, live, reconnects, resyncs: state.resyncs }
    }

    /// Models that the service's catalogue does not know, as they are counted; each is given once.
    pub fn take_unknown_models(&self) -> Vec<String> {
        mem::take(&mut self.shared.state().unknown_models)
    }

    /// Waits for the next session that somebody released by hand; each is given once.
    pub async fn released(&self) -> ReleasedSession {
        loop {
            let more = self.shared.released.notified();
            if let Some(released) = self.shared.state().released.pop_front() {
                return released;
            }
            more.await;
        }
    }

    pub fn config(&self) -> &WorkerConfig {
        &self.shared.config
    }
}

impl Drop for WorkerClient {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for WorkerClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerClient").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
