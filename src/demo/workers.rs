//! The fleet live: each call is a worker with a stream of its own over gRPC, which reports as an agent's process would.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
    vec,
};

use tokio::{
    sync::{mpsc, watch},
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep},
};

use crate::{
    client::{self, ClientError, WorkerClient, WorkerConfig},
    demo::{
        calls::{self, LiveCall, Order, Outage},
        history::{Process, incarnation},
        stage::SEED,
    },
    model::{Bounds, Incarnation, Time},
    service::{
        Clock,
        simulation::{Killed, Wish},
    },
    sim::{Call, Happening, Schedule, Step, agents::FAILING, busy_hour},
};

/// How long a worker may take to say goodbye when its call is over.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long all may take when the demo ends.
const LAST_GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest sleep, so that a machine that was asleep goes on with the calls of its new time.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// How long a provider fails.
const OUTAGE: Duration = Duration::from_secs(90);
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
    processes: HashMap<Incarnation, Running>,
    calls: JoinSet<()>,
    outage: watch::Sender<Outage>,
}

/// A process that takes a call.
#[derive(Debug)]
struct Running {
    worker: String,
    orders: mpsc::UnboundedSender<Order>,
    held: Arc<AtomicUsize>,
    task: AbortHandle,
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
        let (there, calls, outage) = (HashMap::new(), JoinSet::new(), watch::Sender::new(None));
        let mut workers = Self { url, project, clock, schedule, busy_hour, wishes, processes: there, calls, outage };
        for Process { call, open } in processes {
            let now = workers.clock.now().wall;
            let held = |place: &usize| {
                let session = &call.sessions[*place];
                calls::held(&call, session, since(now, session.connected))
            };
            let held = open.iter().map(held).collect();
            let client = WorkerClient::resume(client::channel(&workers.url)?, workers.config(&call), held);
            workers.start(client, call, &open);
        }
        Ok(workers)
    }

    fn start(&mut self, client: WorkerClient, call: Arc<Call>, open: &[usize]) {
        let (orders, told) = mpsc::unbounded_channel();
        let held = Arc::default();
        let worker = call.worker.clone();
        let incarnation = incarnation(&call);
        let live = LiveCall::new(client, call, open, self.outage.subscribe(), Arc::clone(&held));
        let task = self.calls.spawn(live.run(told));
        self.processes.insert(incarnation, Running { worker, orders, held, task });
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
            while self.calls.try_join_next().is_some() {}
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
            Wish::FailProvider(said) => drop(said.send(self.fail_provider())),
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

    /// Lets the provider fail. Calls come beside it, so that it is seen at any hour.
    fn fail_provider(&mut self) -> String {
        let there = self.busy_hour.calls_there();
        if self.busy_hour.peek().is_none() {
            self.busy_hour.renew(busy_hour::calls_while_failing(SEED, self.clock.now().wall, there));
        }
        self.outage.send_replace(Some(Instant::now() + OUTAGE));
        format!(
            "{} fails for {} seconds: its sessions end, and workers are told within moments to use the fallback. A few \
             sessions try it again, and all return when it is well.",
            FAILING.1,
            OUTAGE.as_secs()
        )
    }

    /// Lets the worker that holds most crash: the streams of all its processes end, and nothing is said.
    fn kill_worker(&mut self) -> Option<Killed> {
        let mut held = HashMap::<&str, usize>::new();
        for process in self.processes.values() {
            *held.entry(&process.worker).or_default() += process.held.load(Ordering::Relaxed);
        }
        let (worker, sessions) =
            held.into_iter().filter(|(_, held)| *held > 0).max_by_key(|(id, held)| (*held, *id))?;
        let worker = worker.to_owned();
        for (_, process) in self.processes.extract_if(|_, process| process.worker == worker) {
            process.task.abort();
        }
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
                self.start(client, Arc::clone(call), &[]);
            }
            Step::Opens(place) => self.order(incarnation, Order::Opens(*place)),
            Step::Closes(place) => self.order(incarnation, Order::Closes(*place)),
            Step::Ends => {
                self.order(incarnation, Order::Ends(GOODBYE_TIMEOUT));
                self.processes.remove(&incarnation);
            }
        }
        Ok(())
    }

    fn order(&self, incarnation: Incarnation, order: Order) {
        if let Some(process) = self.processes.get(&incarnation) {
            // One that has ended does nothing more.
            let _ = process.orders.send(order);
        }
    }

    /// Every worker ends its sessions and says goodbye.
    pub async fn end(mut self) {
        for process in self.processes.values() {
            let _ = process.orders.send(Order::Ends(LAST_GOODBYE_TIMEOUT));
        }
        // Those that were leaving already have had their time.
        let _ =
            tokio::time::timeout(LAST_GOODBYE_TIMEOUT, async { while self.calls.join_next().await.is_some() {} }).await;
    }

    fn config(&self, call: &Call) -> WorkerConfig {
        let config = WorkerConfig::new(&self.project, &call.worker);
        WorkerConfig { incarnation: incarnation(call), program: PROGRAM.to_owned(), ..config }
    }
}

/// An instant of the past as the client's clock has it; now, when the machine has not run that long.
fn since(now: Time, then: Time) -> std::time::Instant {
    let instant = Instant::now().into_std();
    instant.checked_sub(now.since(then)).unwrap_or(instant)
}
