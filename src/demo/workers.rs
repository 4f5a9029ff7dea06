//! The fleet live: each call is a worker with a stream of its own over gRPC, which reports as an agent's process would.

use std::{collections::HashMap, convert::Infallible, sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    client::{self, ClientError, HeldSession, WorkerClient, WorkerConfig},
    demo::history::{Process, incarnation},
    model::{Outcome, Time},
    proto::{Kind, Labels, Meter, Unit},
    service::Clock,
    sim::{Call, Happening, Schedule, SimSession, Step},
};

/// How long a worker may take to say goodbye when its call is over.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long all may take when the demo ends.
const LAST_GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest sleep, so that a machine that was asleep goes on with the calls of its new time.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// A fleet that is later than this leaves out what it missed.
const MISSED_AFTER: Duration = Duration::from_secs(60);
/// What the workers are, for people who ask the service.
const PROGRAM: &str = concat!("highwater demo ", env!("CARGO_PKG_VERSION"), " (simulation)");

/// The workers of a simulated fleet.
#[derive(Debug)]
pub struct Workers {
    url: String,
    project: String,
    clock: Clock,
    schedule: Schedule,
    clients: HashMap<u64, WorkerClient>,
    leaving: JoinSet<()>,
}

impl Workers {
    /// The workers of a schedule; those of `processes` go on with what they hold. They begin to attach at once, on the
    /// runtime that this is called in.
    ///
    /// # Errors
    /// When the URL is not one.
    pub fn begin(url: &str, project: &str, schedule: Schedule, processes: Vec<Process>) -> Result<Self, ClientError> {
        let clock = Clock::start();
        let (url, project) = (url.to_owned(), project.to_owned());
        let mut workers = Self { url, project, clock, schedule, clients: HashMap::new(), leaving: JoinSet::new() };
        for process in processes {
            let held = process.open.iter().map(|place| workers.held(&process.call, &process.call.sessions[*place]));
            let held = held.collect();
            let client = WorkerClient::resume(client::channel(&workers.url)?, workers.config(&process.call), held);
            workers.clients.insert(process.nth, client);
        }
        Ok(workers)
    }

    /// Reports what the schedule says, for as long as it is polled. It may be dropped and called again.
    ///
    /// # Errors
    /// When the URL is not one.
    pub async fn run(&mut self) -> Result<Infallible, ClientError> {
        loop {
            let now = self.clock.now().wall;
            while let Some(happening) = self.schedule.next_before(now) {
                let missed = now.since(happening.at) > MISSED_AFTER;
                self.take(&happening, missed)?;
            }
            while self.leaving.try_join_next().is_some() {}
            let next = self.schedule.peek().map_or(LONGEST_SLEEP, |at| at.since(self.clock.now().wall));
            // A microsecond more: what is due then is before that instant.
            sleep(next.min(LONGEST_SLEEP) + Duration::from_micros(1)).await;
        }
    }

    fn take(&mut self, Happening { step, nth, call, .. }: &Happening, missed: bool) -> Result<(), ClientError> {
        match step {
            Step::Begins if missed => {}
            Step::Begins => {
                let client = WorkerClient::attach(client::channel(&self.url)?, self.config(call));
                self.clients.insert(*nth, client);
            }
            Step::Opens(place) => {
                if let Some(client) = self.clients.get(nth) {
                    let session = &call.sessions[*place];
                    client.open(session.id, client.meter(meter(session)), Some(labels(call)));
                }
            }
            Step::Closes(place) => {
                if let Some(client) = self.clients.get(nth) {
                    let session = &call.sessions[*place];
                    client.close(session.id, session.outcome);
                }
            }
            Step::Ends => {
                if let Some(client) = self.clients.remove(nth) {
                    self.leaving.spawn(goodbye(client, GOODBYE_TIMEOUT));
                }
            }
        }
        Ok(())
    }

    /// Every worker ends its sessions and says goodbye.
    pub async fn end(mut self) {
        for (_, client) in self.clients.drain() {
            self.leaving.spawn(goodbye(client, LAST_GOODBYE_TIMEOUT));
        }
        // Those that were leaving already have had their time.
        let _ = tokio::time::timeout(LAST_GOODBYE_TIMEOUT, async { while self.leaving.join_next().await.is_some() {} })
            .await;
    }

    fn config(&self, call: &Call) -> WorkerConfig {
        let config = WorkerConfig::new(&self.project, &call.worker);
        WorkerConfig { incarnation: incarnation(call), program: PROGRAM.to_owned(), ..config }
    }

    fn held(&self, call: &Call, session: &SimSession) -> HeldSession {
        let since = since(self.clock.now().wall, session.connected);
        HeldSession { id: session.id, meter: meter(session), labels: Some(labels(call)), since }
    }
}

/// An instant of the past as the client's clock has it; now, when the machine has not run that long.
fn since(now: Time, then: Time) -> std::time::Instant {
    let instant = Instant::now().into_std();
    instant.checked_sub(now.since(then)).unwrap_or(instant)
}

async fn goodbye(client: WorkerClient, within: Duration) {
    // A service that is gone has nothing to be told.
    if let Err(error) = client.goodbye(Outcome::Ok, within).await {
        tracing::debug!(%error, "a simulated worker left without a goodbye");
    }
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
