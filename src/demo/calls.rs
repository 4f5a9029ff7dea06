//! One call live: a worker process with a stream of its own, which takes its steps one after the other. A session of a
//! chain is asked for by it; one whose provider fails ends, and goes on with the next model.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep},
};

use crate::{
    client::{
        HeldSession, WorkerClient,
        acquire::{Acquired, Wanted},
    },
    model::{Outcome, SessionId, chain::MOST_MODELS},
    proto::{Kind, Labels, Meter, Unit},
    sim::{Call, SimSession, agents::FAILING},
};

/// How long a session waits for a provider that fails, at the most.
const FAILS_WITHIN: Duration = Duration::from_millis(1_500);
/// Spells the session that begins without an answer of the service: one of its own name may still be given a slot.
const UNASKED: u8 = 0x80;

/// Until when the provider fails; `None` when it does not.
pub type Outage = Option<Instant>;

/// What a call is told to do.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    /// The session at this place of the call begins.
    Opens(usize),
    /// It ends.
    Closes(usize),
    /// The process says goodbye, within this time.
    Ends(Duration),
}

/// A call that a worker process takes.
#[derive(Debug)]
pub struct LiveCall {
    client: WorkerClient,
    call: Arc<Call>,
    outage: watch::Receiver<Outage>,
    /// Sessions that it holds, for who wants to know.
    held: Arc<AtomicUsize>,
    /// By their place in the call.
    open: HashMap<usize, Open>,
}

/// A session that is held.
#[derive(Debug)]
struct Open {
    id: SessionId,
    meter: Meter,
}

impl LiveCall {
    /// A call whose worker holds the sessions at these places already.
    pub fn new(
        client: WorkerClient,
        call: Arc<Call>,
        places: &[usize],
        outage: watch::Receiver<Outage>,
        held: Arc<AtomicUsize>,
    ) -> Self {
        let open = |place: &usize| {
            let session = &call.sessions[*place];
            (*place, Open { id: session.id, meter: meter(session) })
        };
        let open = places.iter().map(open).collect();
        held.store(places.len(), Ordering::Relaxed);
        Self { client, call, outage, held, open }
    }

    /// Does what it is told until it has said goodbye. Whoever drops this lets the process crash.
    pub async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Opens(place)) => self.open(place, Vec::new()).await,
                    Some(Order::Closes(place)) => self.close(place),
                    Some(Order::Ends(within)) => return goodbye(self.client, within).await,
                    None => return,
                },
                changed = self.outage.changed(), if self.outage.has_changed().is_ok() => {
                    if changed.is_ok() {
                        self.fail().await;
                    }
                }
            }
            self.held.store(self.client.stats().live, Ordering::Relaxed);
        }
    }

    fn close(&mut self, place: usize) {
        if let Some(open) = self.open.remove(&place) {
            self.client.close(open.id, self.call.sessions[place].outcome);
        }
    }

    /// What it holds of the provider that fails ends, and goes on with another model.
    async fn fail(&mut self) {
        if !self.outage.borrow_and_update().is_some_and(|until| Instant::now() < until) {
            return;
        }
        sleep(self.patience()).await;
        let failing: Vec<usize> =
            self.open.iter().filter(|(_, open)| is_failing(&open.meter)).map(|(place, _)| *place).collect();
        for place in failing {
            let Some(open) = self.open.remove(&place) else { continue };
            self.client.close(open.id, Outcome::Unavailable);
            if self.call.sessions[place].chain.is_some() {
                self.open(place, vec![open.meter]).await;
            }
        }
    }

    /// Begins a session; where its provider fails, on the next model of its chain.
    async fn open(&mut self, place: usize, mut failed: Vec<Meter>) {
        while failed.len() < MOST_MODELS {
            let Some(open) = self.begin(place, &failed).await else { return };
            if !self.is_out(&open.meter) {
                self.open.insert(place, open);
                return;
            }
            sleep(self.patience()).await;
            self.client.close(open.id, Outcome::Unavailable);
            if self.call.sessions[place].chain.is_none() {
                return;
            }
            failed.push(open.meter);
        }
    }

    /// Takes a slot: by chain, where there is one. Nothing when it was refused.
    async fn begin(&self, place: usize, failed: &[Meter]) -> Option<Open> {
        let session = &self.call.sessions[place];
        let labels = Some(labels(&self.call));
        // Each try is a session of its own.
        let mut id = session.id;
        id.0[15] ^= u8::try_from(failed.len()).unwrap_or(0);
        if let Some(chain) = session.chain {
            let wanted = Wanted { failed: failed.to_vec(), labels: labels.clone(), ..Wanted::by_chain(chain) };
            match self.client.acquire(id, wanted).await {
                Ok(Acquired::Granted(granted)) => {
                    return Some(Open { id, meter: granted.meter.unwrap_or_else(|| meter(session)) });
                }
                Ok(Acquired::Refused(_)) => return None,
                // It goes on as it would without the service, on the model that it would like best.
                Err(error) => tracing::debug!(%error, chain, "a simulated worker was not told a model"),
            }
            if !failed.is_empty() {
                return None;
            }
            id.0[15] ^= UNASKED;
        }
        let meter = meter(session);
        self.client.open(id, self.client.meter(meter.clone()), labels);
        Some(Open { id, meter })
    }

    fn is_out(&self, meter: &Meter) -> bool {
        is_failing(meter) && self.outage.borrow().is_some_and(|until| Instant::now() < until)
    }

    /// How long this call waits before it gives a provider up: not all at one instant.
    fn patience(&self) -> Duration {
        let last = self.call.job.bytes().last().unwrap_or_default();
        FAILS_WITHIN / 8 * (1 + u32::from(last) % 8)
    }
}

fn is_failing(meter: &Meter) -> bool {
    meter.model.starts_with(FAILING.0)
}

async fn goodbye(client: WorkerClient, within: Duration) {
    // A service that is gone has nothing to be told.
    if let Err(error) = client.goodbye(Outcome::Ok, within).await {
        tracing::debug!(%error, "a simulated worker left without a goodbye");
    }
}

/// A session that the worker of a call holds, since an instant of the client's clock.
pub fn held(call: &Call, session: &SimSession, since: std::time::Instant) -> HeldSession {
    HeldSession { id: session.id, meter: meter(session), labels: Some(labels(call)), since }
}

fn labels(call: &Call) -> Arc<Labels> {
    Arc::new(Labels { room: call.room.clone(), job: call.job.clone() })
}

fn meter(session: &SimSession) -> Meter {
    let meter = &session.meter;
    let kind = Kind::try_from(meter.kind as i32).unwrap_or_default();
    let unit = Unit::try_from(meter.unit as i32).unwrap_or_default();
    Meter { kind: kind.into(), model: meter.model.to_string(), account: meter.account.to_string(), unit: unit.into() }
}
