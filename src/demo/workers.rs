//! The fleet live: each call is a worker with a stream of its own over gRPC, which reports as an agent's process would.

use std::{collections::HashMap, convert::Infallible, sync::Arc, time::Duration, vec};

use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    client::{self, ClientError, HeldSession, WorkerClient, WorkerConfig},
    demo::{
        history::{Process, incarnation},
        stage::SEED,
    },
    model::{Bounds, Incarnation, Outcome, Time},
    proto::{Kind, Labels, Meter, Unit},
    service::{
        Clock,
        simulation::{Killed, Wish},
    },
    sim::{Call, Happening, Schedule, SimSession, Step, busy_hour},
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
    busy_hour: Schedule<vec::IntoIter<Call>>,
    wishes: mpsc::Receiver<Wish>,
    /// By incarnation, each of which takes one call.
    clients: HashMap<Incarnation, WorkerClient>,
    leaving: JoinSet<()>,
}

impl Workers {
    /// The workers of a schedule, who do what is wished beside it; those of `processes` go on with what they hold. They
    /// begin to attach at once, on the runtime that this is called in.
    ///
    /// # Errors
    /// When the URL is not one.
    pub fn begin(
        url: &str,
        project: &str,
        schedule: Schedule,
        processes: Vec<Process>,
        wishes: mpsc::Receiver<Wish>,
    ) -> Result<Self, ClientError> {
        let clock = Clock::start();
        let (url, project) = (url.to_owned(), project.to_owned());
        let busy_hour = Schedule::of(Vec::new(), clock.now().wall);
        let (clients, leaving) = Default::default();
        let mut workers = Self { url, project, clock, schedule, busy_hour, wishes, clients, leaving };
        for process in processes {
            let held = process.open.iter().map(|place| workers.held(&process.call, &process.call.sessions[*place]));
            let held = held.collect();
            let client = WorkerClient::resume(client::channel(&workers.url)?, workers.config(&process.call), held);
            workers.clients.insert(incarnation(&process.call), client);
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
            while let Some(happening) = self.schedule.next_before(now).or_else(|| self.busy_hour.next_before(now)) {
                let missed = now.since(happening.at) > MISSED_AFTER;
                self.take(&happening, missed)?;
            }
            while self.leaving.try_join_next().is_some() {}
            let next = self.schedule.peek().into_iter().chain(self.busy_hour.peek()).min();
            let next = next.map_or(LONGEST_SLEEP, |at| at.since(self.clock.now().wall));
            // A microsecond more: what is due then is before that instant.
            let due = sleep(next.min(LONGEST_SLEEP) + Duration::from_micros(1));
            tokio::select! {
                () = due => {}
                Some(wish) = self.wishes.recv() => self.fulfil(wish),
            }
        }
    }

    /// Whoever wished and is gone does not hear of it.
    fn fulfil(&mut self, wish: Wish) {
        match wish {
            Wish::BusyHour(said) => drop(said.send(self.start_busy_hour())),
            Wish::KillWorker(said) => drop(said.send(self.kill_worker())),
        }
    }

    fn start_busy_hour(&mut self) -> String {
        let there = self.busy_hour.calls_there();
        self.busy_hour.renew(busy_hour::calls(SEED, self.clock.now().wall, there));
        format!(
            "About {} calls more are there at once for {} minutes: within 20 seconds models come to their limits, and \
             go beyond.",
            busy_hour::most_at_once(),
            busy_hour::LASTS.as_secs() / 60
        )
    }

    /// Lets the worker that holds most crash: the streams of all its processes end, and nothing is said.
    fn kill_worker(&mut self) -> Option<Killed> {
        let mut held = HashMap::<&str, usize>::new();
        for client in self.clients.values() {
            *held.entry(&client.config().worker_id).or_default() += client.stats().live;
        }
        let (worker, sessions) =
            held.into_iter().filter(|(_, held)| *held > 0).max_by_key(|(id, held)| (*held, *id))?;
        let worker = worker.to_owned();
        self.clients.retain(|_, client| client.config().worker_id != worker);
        let sentence = format!(
            "{worker} crashed with {sessions} sessions: they are silent now, and lost in {} seconds.",
            Bounds::default().lease.as_secs()
        );
        Some(Killed { worker, sessions, sentence })
    }

    fn take(&mut self, Happening { step, call, .. }: &Happening, missed: bool) -> Result<(), ClientError> {
        let incarnation = incarnation(call);
        match step {
            Step::Begins if missed => {}
            Step::Begins => {
                let client = WorkerClient::attach(client::channel(&self.url)?, self.config(call));
                self.clients.insert(incarnation, client);
            }
            Step::Opens(place) => {
                if let Some(client) = self.clients.get(&incarnation) {
                    let session = &call.sessions[*place];
                    client.open(session.id, client.meter(meter(session)), Some(labels(call)));
                }
            }
            Step::Closes(place) => {
                if let Some(client) = self.clients.get(&incarnation) {
                    let session = &call.sessions[*place];
                    client.close(session.id, session.outcome);
                }
            }
            Step::Ends => {
                if let Some(client) = self.clients.remove(&incarnation) {
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
