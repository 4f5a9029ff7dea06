//! The service is killed at random moments under load, and started again on the same store and port: what it knew is
//! there, what is live it learns again, and history shows no dip.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use highwater::{
    model::{Flags, Frame},
    proto::{Bound, History, Meter},
    store::{Store as _, embedded::EmbeddedStore},
};
use rand::{RngExt as _, rngs::StdRng};
use tokio::time::{Instant, sleep};

use crate::{
    faults::{
        ask::{Ask, target},
        crew::{Member, truth},
        dice,
        process::{PROGRAM, Process},
        rounds,
    },
    serving::{MODEL, is_meter_of, meter},
};

const WORKERS: usize = 40;
/// Sessions that each worker holds throughout, on a meter where nothing else happens: a dip can't hide.
const HELD_THROUGHOUT: usize = 20;
const CONSTANT: u32 = (WORKERS * HELD_THROUGHOUT) as u32;
/// Sessions that each holds beside them, coming and going.
const USUAL: usize = 30;
/// Events a step of the load, and the pause after it: about 2,000 events a second.
const EVENTS_A_STEP: usize = 10;
const STEP: Duration = Duration::from_millis(5);
/// What one worker closes and another opens after it may arrive the other way round, by a step or two.
const OVERTAKEN: u32 = 2 * EVENTS_A_STEP as u32;
/// After a restart, levels are right within this.
const RIGHT_WITHIN: Duration = Duration::from_secs(12);
/// Everything older than this is there after a kill, in seconds.
const DURABLE_WITHIN: f64 = 2.0;
const DURABLE_WITHIN_SECONDS: u64 = 2;
/// Load before a kill, at least and beside that at most; while the service is down; and after it has started.
const LOAD_BEFORE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(3));
const DOWN_FOR: Duration = Duration::from_secs(1);
const LOAD_AFTER: Duration = Duration::from_millis(500);
/// In one round of so many, a worker dies with the service: nobody is left who could tell of its sessions.
const ONE_DIES_IN: u64 = 4;
const LONG: Duration = Duration::from_secs(40);
const SECONDS_A_MINUTE: u64 = 60;

fn constant() -> Meter {
    meter(MODEL)
}

fn changing() -> Meter {
    Meter { kind: 1, model: "openai/gpt-4.1-mini".to_owned(), ..Meter::default() }
}

fn now() -> f64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64()
}

/// The service, its workers, and what its history held when it was killed last.
struct Scene {
    service: Option<Process>,
    ask: Ask,
    store: PathBuf,
    address: SocketAddr,
    crew: Vec<Member>,
    dice: StdRng,
    /// Seconds in which it was killed.
    kills: Vec<u64>,
    /// The frames that were durable.
    frames: Vec<Frame>,
    /// How many sessions were live on the changing meter, and the most that were in each minute, as the load made them.
    live: u32,
    true_peaks: BTreeMap<u64, u32>,
}

impl Scene {
    async fn begin(folder: &Path) -> Self {
        let store = folder.join("store.redb");
        let service = Process::start(&store, "127.0.0.1:0", &[]);
        let (address, dice) = (service.address, dice());
        let (ask, service) = (Ask::at(address).await, Some(service));
        let (crew, kills, frames, true_peaks) = Default::default();
        Self { service, ask, store, address, crew, dice, kills, frames, live: 0, true_peaks }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A worker that holds its share throughout.
    fn hire(&mut self) {
        let mut member = Member::new(&self.url(), &[constant(), changing()], None);
        (0..HELD_THROUGHOUT).for_each(|_| member.open_on(0, &mut self.dice));
        self.crew.push(member);
    }

    /// A worker that is to die with the service, with sessions that nobody will account for.
    async fn hire_mortal(&mut self) -> Member {
        let mut mortal = Member::new(&self.url(), &[changing()], None);
        (0..USUAL).for_each(|_| mortal.open(&mut self.dice));
        mortal.client.flushed_within(LONG).await.unwrap();
        self.count(USUAL as i32);
        // Until it is durable that it is there: a worker that the service does not know is not waited for.
        sleep(Duration::from_secs(DURABLE_WITHIN_SECONDS)).await;
        mortal
    }

    /// The changing meter has more sessions, or fewer.
    fn count(&mut self, by: i32) {
        let before = self.live;
        self.live = self.live.saturating_add_signed(by);
        let second = now() as u64;
        // What is said at the end of a minute may be counted in the next, which begins with those that there are.
        for minute in [second, second + 1].map(|second| second / SECONDS_A_MINUTE) {
            let peak = self.true_peaks.entry(minute).or_insert(before);
            *peak = (*peak).max(self.live);
        }
    }

    /// Sessions come and go for so long.
    async fn load(&mut self, length: Duration) {
        let until = Instant::now() + length;
        while Instant::now() < until {
            for _ in 0..EVENTS_A_STEP {
                let nth = self.dice.random_range(0..self.crew.len());
                let member = &mut self.crew[nth];
                let by = if member.opens_next(HELD_THROUGHOUT + USUAL, &mut self.dice) {
                    member.open_on(1, &mut self.dice);
                    1
                } else {
                    -i32::from(member.close_one(HELD_THROUGHOUT, &mut self.dice))
                };
                self.count(by);
            }
            sleep(STEP).await;
        }
    }

    async fn load_up_to(&mut self, longest: Duration) {
        let length = longest.mul_f64(self.dice.random());
        self.load(length).await;
    }

    async fn histories(&mut self, since: u64) -> [History; 2] {
        [self.ask.history(target(constant()), since).await, self.ask.history(target(changing()), since).await]
    }

    /// Kills the service, and reads what is durable in a copy of its store.
    fn kill(&mut self) -> Vec<Frame> {
        self.service.take().unwrap().kill();
        let killed_at = now();
        self.kills.push(killed_at as u64);
        let copy = self.store.with_extension("copy");
        fs::copy(&self.store, &copy).unwrap();
        let frames = EmbeddedStore::open(&copy).unwrap().frames().unwrap();
        let durable_until = frames.last().map_or(0, |frame| frame.tick + frame.repeat + 1);
        println!("killed {:.2} s after the last durable second", killed_at - durable_until as f64);
        assert!(durable_until >= (killed_at - DURABLE_WITHIN) as u64, "what is older than 2 s is durable");
        assert!(frames.starts_with(&self.frames), "what was durable before the last kill is as it was");
        frames
    }

    /// Starts the service again, under load, and waits until every slot is known again.
    async fn restart(&mut self) {
        let started = Instant::now();
        let service = Process::start(&self.store, &self.address.to_string(), &[]);
        let opened_in = service.opened_in;
        self.service = Some(service);
        self.ask = Ask::at(self.address).await;
        self.load_up_to(LOAD_AFTER).await;
        self.ask.until_held(&truth(&self.crew), RIGHT_WITHIN.saturating_sub(started.elapsed())).await;
        println!(
            "took connections {opened_in:.2?} after the start (goal: at once); every level right after {:.1?} (goal: 12 s)",
            started.elapsed()
        );
    }

    /// One round: load, a kill at a random moment, a time without the service, a restart.
    async fn round(&mut self, since: u64, a_worker_dies: bool) {
        let mortal = if a_worker_dies { Some(self.hire_mortal().await) } else { None };
        self.load(LOAD_BEFORE.0).await;
        self.load_up_to(LOAD_BEFORE.1).await;
        let before = self.histories(since).await;
        self.frames = self.kill();
        let had_mortal = mortal.is_some();
        drop(mortal);
        self.load_up_to(DOWN_FOR).await;
        self.restart().await;
        let after = self.histories(since).await;
        let safe_until = (self.kills.last().unwrap() - DURABLE_WITHIN_SECONDS) / SECONDS_A_MINUTE;
        let safe_minutes = safe_until.saturating_sub(since / SECONDS_A_MINUTE);
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(minutes(before, safe_minutes), minutes(after, safe_minutes), "minutes before the kill changed");
        }
        let settled = self.ask.until_settled(LONG).await;
        if had_mortal {
            self.count(-(USUAL as i32));
        }
        let goal = if had_mortal { "a worker died with it; goal: 12 s" } else { "all workers live; goal: 3 s" };
        println!("settled after another {settled:.1?} ({goal} from the start)");
    }
}

/// The first minutes of a history, all columns.
fn minutes(history: &History, count: u64) -> Vec<[u32; 9]> {
    let History { peak, flags, peak_second, last, opened, closed_ok, closed_cancelled, closed_error, lost, .. } =
        history;
    let all = 0..count as usize;
    all.map(|n| {
        let closed = [closed_ok[n], closed_cancelled[n], closed_error[n], lost[n]];
        [peak[n], u32::from(flags[n]), peak_second[n], last[n], opened[n], closed[0], closed[1], closed[2], closed[3]]
    })
    .collect()
}

/// What workers tell again after a kill is added up: a peak of the changing meter that is above the true one is marked as
/// an upper bound, in the history and in the list.
async fn upper_bounds_say_so(scene: &mut Scene, since: u64) {
    let history = scene.ask.history(target(changing()), since).await;
    let mut above = 0;
    for (minute, (peak, flags)) in (since / SECONDS_A_MINUTE..).zip(history.peak.iter().zip(&history.flags)) {
        // In a minute without a change there are those of the last change before it.
        let most = scene.true_peaks.range(..=minute).next_back().map_or(scene.live, |(_, most)| *most) + OVERTAKEN;
        let is_marked = Flags(*flags).has(Flags::LATE);
        assert!(*peak <= most || is_marked, "minute {minute}: {peak} of at most {most} are not marked, flags {flags}");
        above += u32::from(*peak > most);
    }
    let highest = *scene.true_peaks.values().max().unwrap() + OVERTAKEN;
    let quotas = scene.ask.quotas().await;
    let quota = quotas.iter().find(|quota| is_meter_of(&quota.target, &changing().model)).unwrap();
    let (peak, bound) = (quota.peak.as_ref().unwrap().level, quota.peak_bound());
    assert!(peak <= highest || matches!(bound, Bound::AtMost | Bound::About), "{peak} of {highest}, {bound:?}");
    println!("{above} minutes with a peak above the true one; the week's peak is {peak}, {bound:?}, and was {highest}");
}

#[tokio::test]
async fn heavy_a_service_that_is_killed_under_load_forgets_nothing_and_shows_no_dip() {
    let folder = tempfile::tempdir().unwrap();
    let mut scene = Scene::begin(folder.path()).await;
    (0..WORKERS).for_each(|_| scene.hire());
    for member in &scene.crew {
        member.client.flushed_within(LONG).await.unwrap();
    }
    scene.ask.until_held(&truth(&scene.crew), LONG).await;
    // The next second is the first that begins with all of them.
    let complete_from = now() as u64 + 1;
    scene.ask.until_durable(complete_from, LONG).await;
    let levels = vec![CONSTANT, CONSTANT + 1];
    let begun = scene.ask.distribution(target(constant()), levels.clone()).await;
    for round in 1..=rounds() {
        scene.round(complete_from, round.is_multiple_of(ONE_DIES_IN)).await;
    }
    scene.load(Duration::from_secs(2)).await;
    scene.ask.until_held(&truth(&scene.crew), LONG).await;
    scene.ask.until_sums_add_up(LONG).await;
    let last = now() as u64 + 1;
    scene.ask.until_durable(last, LONG).await;

    let history = scene.ask.history(target(constant()), complete_from).await;
    let first = complete_from / SECONDS_A_MINUTE;
    // A minute that begins with the last second has none that is told of yet.
    for (minute, (peak, flags)) in (first..=(last - 1) / SECONDS_A_MINUTE).zip(history.peak.iter().zip(&history.flags))
    {
        let has = |flag: Flags| Flags(*flags).has(flag);
        assert!(!has(Flags::GAP), "minute {minute}: workers were there in every minute");
        assert_eq!(*peak, CONSTANT, "minute {minute}, flags {flags}");
        let killed = scene.kills.iter().any(|second| second / SECONDS_A_MINUTE == minute);
        assert!(!killed || has(Flags::PARTIAL), "minute {minute}, in which the service was killed, is marked");
    }
    upper_bounds_say_so(&mut scene, complete_from).await;
    let end = scene.ask.distribution(target(constant()), levels).await;
    let grown = |nth: usize| end.time_at[nth].seconds - begun.time_at[nth].seconds;
    let covered = end.covered_seconds - begun.covered_seconds;
    assert_eq!((grown(0), grown(1)), (covered, 0), "every second that is covered had all sessions, and none twice");
    println!("{} kills, {covered} covered seconds", scene.kills.len());

    drop(scene.service.take());
    let checked = Command::new(PROGRAM).args(["check", "--store"]).arg(&scene.store).status().unwrap();
    assert!(checked.success());
}
