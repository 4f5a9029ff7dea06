//! A soak: the real service under a fleet for as long as is asked, with a fault a minute: killed, cut off, frozen. After
//! each it is compared with what its workers truly hold, and with what it said before. `make soak` runs it.

use std::{
    env,
    process::{Command, Stdio},
    time::Duration,
};

use highwater::proto::{
    History, ListLimitsRequest, Meter, Quota, SetLimitRequest, limit_service_client::LimitServiceClient,
    target::Target as Named,
};
use rand::{RngExt as _, rngs::StdRng};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::{
    faults::{
        ask::{Ask, target},
        crew::{Member, truth},
        dice,
        process::{PROGRAM, Process, with_most_files},
        proxy::Proxy,
        variable,
    },
    serving::{MODEL, channel, meter},
};

/// Minutes, workers, and events a second, unless the variables say otherwise.
const MINUTES: u64 = 120;
const WORKERS: usize = 2_000;
const EVENTS_A_SECOND: u64 = 2_000;
/// A fault begins so often.
const FAULT_EVERY: Duration = Duration::from_secs(60);
/// How long the service is frozen.
const FROZEN_FOR: Duration = Duration::from_secs(5);
/// A step of the load.
const STEP: Duration = Duration::from_millis(10);
/// Sessions that each worker holds on a meter where nothing else happens, and about how many in all.
const HELD_THROUGHOUT: usize = 1;
const USUAL: usize = 5;
/// After a fault, what is held must be right within this: leases, backoff and the learning time.
const RIGHT_WITHIN: Duration = Duration::from_secs(60);
/// Memory is compared from so long after the start: caches are full by then.
const WARM_AFTER: Duration = Duration::from_secs(20 * 60);
/// Measures that make a slope.
const LEAST_MEASURES: usize = 10;
const HAS_FILES: &str = "HIGHWATER_TEST_HAS_FILES";

/// What RELIABILITY asks of a report: of how many, how many were right.
#[derive(Default)]
struct Counts {
    /// (a) After quiet, the live set by id.
    slots: (u64, u64),
    /// (b) Covered seconds whose peak is that of the sessions held throughout.
    seconds: (u64, u64),
    /// (c) Minutes that were past at one look and the same at the next.
    minutes: (u64, u64),
    /// (e) Limits that were acknowledged and are there.
    limits: (u64, u64),
    /// (f) Meters and pools whose opened less closed is the level.
    sums: (u64, u64),
}

struct Scene {
    service: Option<Process>,
    folder: tempfile::TempDir,
    proxy: Proxy,
    ask: Ask,
    crew: Vec<Member>,
    dice: StdRng,
    events_a_step: usize,
    counts: Counts,
    /// Minutes as they were told last, from the first whole one.
    told: Vec<[u32; 4]>,
    /// Memory (bytes) and files of the service, by the seconds since the start.
    measures: Vec<(f64, u64, usize)>,
}

fn changing() -> Meter {
    Meter { kind: 1, model: "openai/gpt-4.1-mini".to_owned(), ..Meter::default() }
}

fn rows(history: &History) -> Vec<[u32; 4]> {
    let rows = history.peak.iter().zip(&history.flags).zip(history.opened.iter().zip(&history.lost));
    rows.map(|((peak, flags), (opened, lost))| [*peak, u32::from(*flags), *opened, *lost]).collect()
}

impl Scene {
    async fn begin(workers: usize, events_a_second: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let service = Process::start(&folder.path().join("store.redb"), "127.0.0.1:0", &[]);
        let proxy = Proxy::to(service.address).await;
        let (ask, mut dice) = (Ask::at(service.address).await, dice());
        let url = format!("http://{}", proxy.address);
        let mut crew = Vec::new();
        for _ in 0..workers {
            let mut member = Member::new(&url, &[meter(MODEL), changing()], None);
            (0..HELD_THROUGHOUT).for_each(|_| member.open_on(0, &mut dice));
            crew.push(member);
        }
        for member in &crew {
            member.client.flushed_within(RIGHT_WITHIN).await.unwrap();
        }
        let events_a_step = (events_a_second as f64 * STEP.as_secs_f64()).round() as usize;
        Self {
            service: Some(service),
            folder,
            proxy,
            ask,
            crew,
            dice,
            events_a_step,
            counts: Counts::default(),
            told: Vec::new(),
            measures: Vec::new(),
        }
    }

    fn service(&self) -> &Process {
        self.service.as_ref().expect("it runs but while it is killed")
    }

    /// Sessions come and go for so long, also while the service is away.
    async fn load(&mut self, length: Duration) {
        let (until, mut steps) = (Instant::now() + length, interval(STEP));
        steps.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while Instant::now() < until {
            for _ in 0..self.events_a_step {
                let nth = self.dice.random_range(0..self.crew.len());
                let member = &mut self.crew[nth];
                if member.opens_next(USUAL, &mut self.dice) {
                    member.open_on(1, &mut self.dice);
                } else {
                    member.close_one(HELD_THROUGHOUT, &mut self.dice);
                }
            }
            steps.tick().await;
        }
    }

    /// One of the three faults, in turn; the load goes on meanwhile.
    async fn fault(&mut self, nth: u64) -> &'static str {
        match nth % 3 {
            0 => {
                let address = self.service().address.to_string();
                self.service.take().expect("it runs").kill();
                self.load(Duration::from_secs(1)).await;
                self.service = Some(Process::start(&self.folder.path().join("store.redb"), &address, &[]));
                self.ask = Ask::at(self.service().address).await;
                "killed"
            }
            1 => {
                self.proxy.close(true);
                self.proxy.reset_all();
                self.load(Duration::from_secs(3)).await;
                self.proxy.close(false);
                "cut off"
            }
            _ => {
                self.service().freeze(true);
                self.load(FROZEN_FOR).await;
                self.service().freeze(false);
                "frozen"
            }
        }
    }

    /// Compares the service with what is true, and with what it said before.
    async fn check(&mut self, started: Instant, what: &str, since: u64) {
        let truth = truth(&self.crew);
        let right_in = self.ask.until_held(&truth, RIGHT_WITHIN).await;
        self.ask.until_settled(RIGHT_WITHIN).await;
        self.counts.slots.0 += truth.len() as u64;
        self.counts.slots.1 += truth.len() as u64;
        let quotas = self.ask.until_sums_add_up(RIGHT_WITHIN).await;
        self.counts.sums.0 += quotas.len() as u64;
        self.counts.sums.1 += quotas.len() as u64;
        let rows = rows(&self.ask.history(target(changing()), since).await);
        let same = self.told.iter().zip(&rows).filter(|(told, row)| told == row).count() as u64;
        self.counts.minutes.0 += same;
        self.counts.minutes.1 += self.told.len() as u64;
        // Late events may still change the last minutes.
        self.told = rows[..rows.len().saturating_sub(3)].to_vec();
        self.limit().await;
        let status = self.ask.status().await;
        let (memory, files) = (self.service().memory(), self.service().files());
        let at = started.elapsed().as_secs_f64();
        self.measures.push((at, memory, files));
        println!(
            "{at:>6.0} s {what:8} right after {right_in:>7.1?}: {} sessions of {} workers, drift {}, {} MiB, {files} files",
            status.live_sessions,
            status.attached_workers,
            status.audit_drift,
            memory >> 20,
        );
        assert_eq!(status.audit_drift, 0);
    }

    /// Sets one more limit, and finds all that were set.
    async fn limit(&mut self) {
        let mut limits = LimitServiceClient::new(channel(self.service().address).await.unwrap());
        let nth = self.counts.limits.1 as u32 + 1;
        let set = SetLimitRequest {
            target: Some(target(Meter { account: format!("soak-{nth}"), ..meter(MODEL) })),
            slots: Some(nth),
            set_by: "soak".to_owned(),
            ..SetLimitRequest::default()
        };
        limits.set_limit(set).await.unwrap();
        let found = limits.list_limits(ListLimitsRequest { page_size: 1_000, ..Default::default() }).await.unwrap();
        let found = found.into_inner().limits.len();
        self.counts.limits = (found as u64, u64::from(nth));
        assert_eq!(found as u32, nth, "limits that were acknowledged are there");
    }

    /// Sessions that were held throughout and lost all the same: their workers did not come back within their lease.
    async fn lost(&mut self) -> u64 {
        let is_constant = |quota: &&Quota| match quota.target.as_ref().and_then(|target| target.target.as_ref()) {
            Some(Named::Meter(meter)) => meter.model == MODEL && !meter.account.starts_with("soak"),
            _ => false,
        };
        let quotas = self.ask.quotas().await;
        quotas.iter().filter(is_constant).filter_map(|quota| quota.closed).map(|closed| closed.lost).sum()
    }

    /// The slope of memory in MiB an hour, by least squares, since it was warm; `None` when it hardly was.
    fn slope(&self) -> Option<f64> {
        let warm = WARM_AFTER.as_secs_f64();
        let points: Vec<_> = self.measures.iter().filter(|(at, ..)| *at >= warm).collect();
        if points.len() < LEAST_MEASURES {
            return None;
        }
        let count = points.len() as f64;
        let mean = |of: &dyn Fn(&(f64, u64, usize)) -> f64| points.iter().map(|point| of(point)).sum::<f64>() / count;
        let (mean_at, mean_bytes) = (mean(&|point| point.0), mean(&|point| point.1 as f64));
        let both = mean(&|point| (point.0 - mean_at) * (point.1 as f64 - mean_bytes));
        let spread = mean(&|point| (point.0 - mean_at).powi(2));
        Some(both / spread * 3_600.0 / 1_048_576.0)
    }
}

async fn soak() {
    let minutes = variable("SOAK_MINUTES").unwrap_or(MINUTES);
    let workers = variable("SOAK_WORKERS").unwrap_or(WORKERS);
    let events = variable("SOAK_EVENTS").unwrap_or(EVENTS_A_SECOND);
    let mut scene = Scene::begin(workers, events).await;
    println!("{workers} workers, {events} events a second, {minutes} minutes, a fault every {FAULT_EVERY:?}");
    let started = Instant::now();
    sleep(Duration::from_secs(2)).await;
    let since = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let levels = vec![workers as u32, workers as u32 + 1];
    let begun = scene.ask.distribution(target(meter(MODEL)), levels.clone()).await;
    let mut nth = 0;
    while started.elapsed() < Duration::from_secs(60 * minutes) {
        let round = Instant::now();
        scene.load(FAULT_EVERY / 2).await;
        let what = scene.fault(nth).await;
        scene.check(started, what, since).await;
        scene.load(FAULT_EVERY.saturating_sub(round.elapsed())).await;
        nth += 1;
    }
    scene.check(started, "end", since).await;
    let end = scene.ask.distribution(target(meter(MODEL)), levels).await;
    let grown = |nth: usize| end.time_at[nth].seconds - begun.time_at[nth].seconds;
    let covered = end.covered_seconds - begun.covered_seconds;
    scene.counts.seconds = (grown(0) - grown(1), covered);

    let told: u64 = scene.crew.iter().map(|member| member.client.stats().journal.events).sum();
    let dropped: u64 = scene.crew.iter().map(|member| member.client.stats().journal.dropped_events).sum();
    println!("{nth} faults; {told} events told, {dropped} of them too old for history when the service was back");
    let Counts { slots, seconds, minutes, limits, sums } = scene.counts;
    println!("a  slots held, by id, as the workers hold them: {} of {}", slots.0, slots.1);
    let lost = scene.lost().await;
    println!(
        "b  covered seconds with the peak that was true: {} of {}; {lost} times a worker came back after its lease",
        seconds.0, seconds.1
    );
    println!("c  past minutes that stayed as they were told:  {} of {}", minutes.0, minutes.1);
    println!("d  alerts: none are built yet");
    println!("e  decisions that were acknowledged, there:     {} of {}", limits.0, limits.1);
    println!("f  keys whose sums are their level:             {} of {}", sums.0, sums.1);
    let files = scene.measures.iter().map(|(.., files)| *files);
    println!("files {} to {}", files.clone().min().unwrap(), files.max().unwrap());
    match scene.slope() {
        Some(slope) => println!("memory {slope:+.1} MiB an hour after the first 20 minutes"),
        None => println!("memory: too short to tell its slope, which is that after the first 20 minutes"),
    }
    for (right, all) in [slots, minutes, limits, sums] {
        assert_eq!(right, all);
    }
    // What a worker held that was away for longer than its lease is not counted until it is back: that is the promise.
    assert!(seconds.0 == seconds.1 || lost > 0, "a dip without a worker that was away for too long");
    drop(scene.service.take());
    let checked = Command::new(PROGRAM).args(["check", "--store"]).arg(scene.folder.path().join("store.redb")).status();
    assert!(checked.unwrap().success());
}

#[test]
#[ignore = "it takes as long as SOAK_MINUTES says: `make soak`"]
fn heavy_soak() {
    if env::var_os(HAS_FILES).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(soak());
    }
    // The same test, in a process that may have as many files open as there are connections.
    let name = std::thread::current().name().unwrap().to_owned();
    let mut again = with_most_files(env::current_exe().unwrap());
    again.args(["--exact", &name, "--ignored", "--nocapture"]).env(HAS_FILES, "1").stdin(Stdio::null());
    assert!(again.status().unwrap().success());
}
