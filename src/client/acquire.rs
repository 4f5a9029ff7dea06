//! Slots that a worker asks for on its stream. A caller is told at once, or when its turn has come, or that the service can't
//! say: then it goes on as it would without the service, and reports.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use crate::{
    client::{ClientError, MeterHandle, SessionName, Shared, WorkerClient, journal::Live},
    model::{Outcome, SessionId, session::ID_BYTES},
    proto::{self, Granted, Labels, Meter, Priority, Refused, acquired},
};

/// How long the service may take to answer, beside the time that is waited for a slot.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// What a session wants.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The meters that it may count on, in the order of preference: 1 to 8, and none where it names a chain.
    pub meters: Vec<MeterHandle>,
    /// A chain, of which the service chooses the model; empty for none.
    pub chain: String,
    /// Models of the chain that failed the session already.
    pub failed: Vec<Meter>,
    pub labels: Option<Arc<Labels>>,
    pub priority: Priority,
    /// How long to wait for a slot, up to 60 s.
    pub wait: Duration,
}

impl Wanted {
    /// One of these meters, at once or not at all.
    pub fn of(meters: &[MeterHandle]) -> Self {
        Self { meters: meters.to_vec(), ..Self::by_chain("") }
    }

    /// A model of a chain, at once or not at all.
    pub fn by_chain(chain: &str) -> Self {
        let (meters, failed) = (Vec::new(), Vec::new());
        let (labels, priority, wait) = (None, Priority::Standard, Duration::ZERO);
        Self { meters, chain: chain.to_owned(), failed, labels, priority, wait }
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Acquired {
    /// The session is live: it is to be closed as one that was opened.
    Granted(Granted),
    Refused(Refused),
}

/// One that is asked for.
#[derive(Debug)]
pub(super) struct Asking {
    pub name: SessionName,
    pub meters: Vec<u32>,
    pub chain: String,
    pub failed: Vec<Meter>,
    pub labels: Option<Arc<Labels>>,
    pub priority: Priority,
    pub wait: Duration,
    tell: oneshot::Sender<Result<Acquired, String>>,
}

impl WorkerClient {
    /// Asks for a slot for a session. The session is live when it is granted; `close` gives the slot back. Whoever drops this
    /// before its answer has left the line, and what is granted after that is given back.
    ///
    /// # Errors
    /// `Late` when the service did not answer in time, `Refused` when the stream broke meanwhile or the service refused this
    /// worker: whether there is a slot is not known then.
    pub async fn acquire(&self, name: impl Into<SessionName>, wanted: Wanted) -> Result<Acquired, ClientError> {
        let (tell, told) = oneshot::channel();
        let Wanted { meters, chain, failed, labels, priority, wait } = wanted;
        let meters = meters.iter().map(|meter| meter.0).collect();
        let asking = Asking { name: name.into(), meters, chain, failed, labels, priority, wait, tell };
        self.shared.state().asks.push_back(asking);
        self.shared.wake.notify_one();
        let within = wait + ANSWER_WITHIN;
        match timeout(within, told).await {
            Err(_) => Err(ClientError::Late(within)),
            Ok(Ok(Ok(acquired))) => Ok(acquired),
            Ok(Ok(Err(error))) => Err(ClientError::Refused(error)),
            Ok(Err(_)) => Err(ClientError::Refused("the client has ended".to_owned())),
        }
    }
}

/// Takes what is to be asked for; what nobody waits for any more is dropped.
pub(super) fn take(shared: &Shared) -> Vec<proto::StreamAcquire> {
    let mut state = shared.state();
    let mut taken = Vec::new();
    while let Some(asking) = state.asks.pop_front() {
        if asking.tell.is_closed() {
            continue;
        }
        let session_id = match &asking.name {
            SessionName::Id(id) => id.0.to_vec(),
            SessionName::Text(text) => text.as_bytes().to_vec(),
        };
        taken.push(proto::StreamAcquire {
            session_id,
            handles: asking.meters.clone(),
            labels: asking.labels.as_deref().cloned(),
            priority: asking.priority as i32,
            wait: prost_types::Duration::try_from(asking.wait).ok().filter(|_| !asking.wait.is_zero()),
            chain: asking.chain.clone(),
            failed: asking.failed.clone(),
        });
        state.asked.insert(asking.name.id(), asking);
    }
    taken
}

/// Takes an answer; returns whether it was a new grant.
pub(super) fn answered(shared: &Shared, answer: proto::Acquired) -> bool {
    let Ok(id) = <[u8; ID_BYTES]>::try_from(&*answer.session_id).map(SessionId) else { return false };
    let now = Instant::now().into_std();
    let mut state = shared.state();
    let asking = state.asked.remove(&id);
    let (acquired, is_new) = match answer.result {
        Some(acquired::Result::Granted(granted)) => {
            let is_new = !granted.again;
            let handle = state.handle_of(&granted, asking.as_ref());
            let labels = asking.as_ref().and_then(|asking| asking.labels.clone());
            state.journal.hold(id, Live { handle, since: now, labels });
            (Acquired::Granted(granted), is_new)
        }
        Some(acquired::Result::Refused(refused)) => (Acquired::Refused(refused), false),
        None => return false,
    };
    let is_granted = matches!(acquired, Acquired::Granted(_));
    let is_heard = asking.is_some_and(|asking| asking.tell.send(Ok(acquired)).is_ok());
    if is_granted && !is_heard {
        // Its caller is gone: nobody would ever close it.
        state.journal.close(id, Outcome::Cancelled, now);
    }
    is_new
}

/// The stream broke: what was asked on it is not answered any more.
pub(super) fn broke(shared: &Shared) {
    let asked = std::mem::take(&mut shared.state().asked);
    for asking in asked.into_values() {
        // Whoever does not wait any more needs no answer.
        let _ = asking.tell.send(Err("the stream broke before it was answered".to_owned()));
    }
}

impl super::State {
    /// The handle of the meter that was granted: one of those that were asked for.
    fn handle_of(&mut self, granted: &Granted, asking: Option<&Asking>) -> u32 {
        let meter = granted.meter.clone().unwrap_or_default();
        let is_it = |handle: &&u32| {
            let named = self.meters.get(**handle as usize - 1);
            named.is_some_and(|named| named.kind == meter.kind && is_model(&named.model, &meter.model))
        };
        match asking.and_then(|asking| asking.meters.iter().find(is_it)) {
            Some(handle) => *handle,
            None => self.handle(meter),
        }
    }
}

/// Whether a model as it was named is the one that counts: a suffix after the last colon is stripped.
fn is_model(named: &str, counted: &str) -> bool {
    named == counted || named.rsplit_once(':').is_some_and(|(base, _)| base == counted)
}
