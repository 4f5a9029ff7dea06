//! What the store in Redis costs, on a real one that is started here: commands a second for 20,000 active meters, memory of
//! a week's peaks beside packed rows and a hash, and the time to read seven days of 20 meters.
//! `cargo bench --bench redis_store`.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::{
    collections::HashMap,
    hint::black_box,
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use highwater::{
    config::{RedisOptions, Retention, StorePlace},
    model::{Entry, Frame, Hour, Key, KeyHour, KeyId, Kind, Meter, Point, Project, Target},
    store::{RedisStore, Second, Store},
};

const METERS: u32 = 20_000;
const PROJECTS: u32 = 20;
const SECONDS: u64 = 60;
const HOUR_SECONDS: f64 = 3_600.0;
const WEEK: u32 = 168;
/// A Monday's first hour as Redis keeps weeks: a whole number of them.
const FIRST: u32 = 2_940 * WEEK;
const CHARTED: u32 = 20;
const ROUNDS: usize = 41;
/// Meters whose week is weighed.
const WEIGHED: u32 = 200;
const OPTIONS: [&str; 6] = ["--save", "", "--appendonly", "yes", "--loglevel", "warning"];

fn main() {
    let server = Server::start();
    let mut table = Table(String::new());
    commands(&server, &mut table);
    memory(&server, &mut table);
    reading(&server, &mut table);
    if let Some(path) = std::env::var_os("HIGHWATER_BENCH_MARKDOWN") {
        std::fs::write(path, format!("| what | here | goal |\n|---|---:|---:|\n{}", table.0)).unwrap();
    }
}

/// What was measured, as rows of a page and as lines of the terminal.
struct Table(String);

impl Table {
    fn row(&mut self, what: &str, here: &str, goal: &str) {
        println!("{what}: {here} (goal: {goal})");
        self.0.push_str(&format!("| {what} | {here} | {goal} |\n"));
    }
}

/// Commands that a second and a fold take: those that are sent, and those that scripts run beside them.
fn commands(server: &Server, table: &mut Table) {
    let store = server.open("bench:");
    let keys: Vec<_> = (0..METERS).map(|n| (KeyId(n), key(n))).collect();
    for keys in keys.chunks(2_000) {
        store.commit(&Second { new_keys: keys.to_vec(), ..Second::default() }).unwrap();
    }
    let first = Hour(FIRST).first_tick().0;
    let begun = server.counts();
    let mut took = Vec::new();
    for tick in first..first + SECONDS {
        let entry = |key| Entry { key, peak: key % 60 + 1, level: key % 60, opened: 1, ..Entry::default() };
        let frame = Frame { tick, entries: (0..METERS).map(entry).collect(), ..Frame::default() };
        let started = Instant::now();
        store.commit(&Second { frames: vec![frame], ..Second::default() }).unwrap();
        took.push(started.elapsed().as_secs_f64() * 1_000.0);
    }
    let seconds = server.counts().since(&begun);
    took.sort_by(f64::total_cmp);
    let step = format!("{:.1} ms", took[took.len() / 2]);
    table.row(&format!("a second of {METERS} active meters, one step (median of {SECONDS})"), &step, "none");
    let rows: Vec<_> = keys.iter().map(|(key, _)| (*key, walk(key.0, 60))).collect();
    let begun = server.counts();
    let started = Instant::now();
    let ids: Vec<_> = keys.iter().map(|(key, _)| *key).collect();
    assert!(store.hour_of(&ids, Hour(FIRST)).unwrap().is_empty());
    store.fold(Hour(FIRST), &rows).unwrap();
    let folded = format!("{:.0} ms", started.elapsed().as_secs_f64() * 1_000.0);
    table.row(&format!("a fold of {METERS} meters"), &folded, "none");
    let fold = server.counts().since(&begun);
    // Each step but the last, which lets the frames go, reads the strings that it adds to.
    let folding = fold.sent(fold.of("evalsha") - 1);
    println!("commands of a fold: {folding} sent, {} run by scripts", fold.all() - folding);
    let per_second = |second: u64, fold: u64| second as f64 / SECONDS as f64 + fold as f64 / HOUR_SECONDS;
    let sent = per_second(seconds.sent(0), folding);
    let all = per_second(seconds.all(), fold.all());
    let most = 3 + METERS / 500;
    table.row("commands sent a second, folds included", &format!("{sent:.2}"), &format!("at most {most}"));
    table.row("the same with those that scripts run", &format!("{all:.2}"), "none");
}

/// Memory of a week's peaks, by `MEMORY USAGE`.
fn memory(server: &Server, table: &mut Table) {
    for (name, row) in [("sessions that come and go", walk as fn(u32, u32) -> KeyHour), ("plain noise", noise)] {
        let prefix = format!("memory-{}:", &name[..5]);
        let store = server.open(&prefix);
        let keys: Vec<_> = (0..WEIGHED).map(|n| (KeyId(n), key(n * (METERS / WEIGHED)))).collect();
        store.put_hours(&keys, &[]).unwrap();
        for (id, _) in &keys {
            let hours = (0..WEEK).map(|hour| (*id, Hour(FIRST + hour), row(id.0 * WEEK + hour, most(id.0))));
            for hour in hours {
                // Hour by hour, as a service folds them.
                store.put_hours(&[], &[hour]).unwrap();
            }
        }
        let strings: Vec<String> = server.ask(&["KEYS", &format!("{prefix}*:peaks:*")]);
        let bytes: u64 = strings.iter().map(|key| server.ask::<u64>(&["MEMORY", "USAGE", key, "SAMPLES", "0"])).sum();
        let here = bytes as f64 / f64::from(WEIGHED);
        // The same peaks as two bytes a minute, and as a hash of minutes.
        server.ask::<u64>(&["SETRANGE", "rows", &(2 * WEEK * 60 - 1).to_string(), "x"]);
        let packed = server.ask::<u64>(&["MEMORY", "USAGE", "rows", "SAMPLES", "0"]) as f64;
        for minute in 0..WEEK * 60 {
            let field = (FIRST * 60 + minute).to_string();
            server.ask::<u64>(&["HSET", "hash", &field, &(minute % 60).to_string()]);
        }
        let hash = server.ask::<u64>(&["MEMORY", "USAGE", "hash", "SAMPLES", "0"]) as f64;
        let what = format!("a week's peaks of a meter by `MEMORY USAGE`, {name}");
        table.row(&what, &format!("{here:.0} B"), "at most 3,300 B");
        table.row(
            "the same as packed rows of SETRANGE",
            &format!("{packed:.0} B, {:.1} times", packed / here),
            "6 times",
        );
        table.row("the same as a hash of minutes", &format!("{hash:.0} B, {:.0} times", hash / here), "180 times");
    }
}

/// Seven days of 20 meters, which lie in two weeks.
fn reading(server: &Server, table: &mut Table) {
    let store = server.open("reading:");
    let keys: Vec<_> = (0..CHARTED).map(|n| (KeyId(n), key(n))).collect();
    store.put_hours(&keys, &[]).unwrap();
    let from = FIRST + 40;
    for (id, _) in &keys {
        let rows: Vec<_> = (0..WEEK).map(|hour| (*id, Hour(from + hour), walk(id.0 + hour, 60))).collect();
        store.put_hours(&[], &rows).unwrap();
    }
    let mut took: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            for (id, _) in &keys {
                let peaks = store.peaks(*id, Hour(from)..Hour(from + WEEK)).unwrap();
                assert_eq!(black_box(peaks).len(), WEEK as usize);
            }
            started.elapsed().as_secs_f64() * 1_000.0
        })
        .collect();
    took.sort_by(f64::total_cmp);
    let what = format!("seven days of {CHARTED} meters read (median of {ROUNDS})");
    table.row(&what, &format!("{:.2} ms", took[ROUNDS / 2]), "at most 3 ms");
}

fn key(n: u32) -> Key {
    let target = Target::Meter(Meter::new(Kind::Tts, &format!("a/model-{n}"), "", None).unwrap());
    Key { project: Project::new(&format!("project-{}", n % PROJECTS)).unwrap(), target }
}

/// How busy a meter is: 60 % idle, 30 % small, 9 % busy, 1 % very busy.
fn most(n: u32) -> u32 {
    match n % 100 {
        0..60 => 0,
        60..90 => 5,
        90..99 => 60,
        _ => 2_000,
    }
}

/// An hour whose levels rise and fall by a step or so a minute.
fn walk(seed: u32, most: u32) -> KeyHour {
    let mut random = Random(u64::from(seed));
    let mut level = random.below(most + 1);
    hour(|| {
        let step = most.div_ceil(20);
        level = (level + random.below(2 * step + 1)).saturating_sub(step).min(most);
        level
    })
}

/// An hour of levels of which each is as likely as any other.
fn noise(seed: u32, most: u32) -> KeyHour {
    let mut random = Random(u64::from(seed));
    hour(|| random.below(most + 1))
}

fn hour(mut peak: impl FnMut() -> u32) -> KeyHour {
    let mut hour = KeyHour::gap();
    for point in &mut hour.points {
        let peak = peak();
        *point = Point { peak, last: peak, covered: 60, ..Point::default() };
        hour.levels.add(peak.into(), 60);
    }
    hour
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ mixed >> 31) % u64::from(end)) as u32
    }
}

/// Commands that a server ran, by name.
struct Counts(HashMap<String, u64>);

impl Counts {
    fn since(mut self, before: &Self) -> Self {
        self.0.iter_mut().for_each(|(name, calls)| *calls -= before.of(name));
        self
    }

    fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// Those that a client sent, when `reading` of its scripts read strings themselves, each by one command.
    fn sent(&self, reading: u64) -> u64 {
        let by_client = ["evalsha", "eval", "zrangebyscore", "hgetall", "wait", "mget"];
        by_client.iter().map(|name| self.of(name)).sum::<u64>() - reading
    }

    /// Those of scripts, too.
    fn all(&self) -> u64 {
        self.0.values().sum()
    }
}

struct Server {
    child: Child,
    _directory: tempfile::TempDir,
    port: u16,
}

impl Server {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"]).arg(directory.path()).args(OPTIONS);
        let child = command.stdout(Stdio::null()).spawn().expect("redis-server is needed: scripts/setup.sh redis");
        let server = Self { child, _directory: directory, port };
        let started = Instant::now();
        while server.client().and_then(|mut client| redis::cmd("PING").query::<String>(&mut client)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(20), "it does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    fn client(&self) -> redis::RedisResult<redis::Connection> {
        redis::Client::open(format!("redis://127.0.0.1:{}", self.port))?.get_connection()
    }

    fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        redis::cmd(words[0]).arg(&words[1..]).query(&mut self.client().unwrap()).unwrap()
    }

    fn open(&self, prefix: &str) -> RedisStore {
        let StorePlace::Redis(address) = format!("redis://127.0.0.1:{}", self.port).parse().unwrap() else {
            unreachable!("OK because it is an address of Redis")
        };
        let options = RedisOptions { prefix: prefix.to_owned(), ..RedisOptions::default() };
        RedisStore::open(&address, &options, &Retention { points_days: 8, summaries_months: 13 }).unwrap()
    }

    /// What ran so far, but for what asks for it.
    fn counts(&self) -> Counts {
        let info: String = self.ask(&["INFO", "commandstats"]);
        let calls = info.lines().filter_map(|line| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            let is_ours = !matches!(name, "info" | "ping" | "keys") && !name.contains('|');
            is_ours.then(|| (name.to_owned(), rest.split(',').next().unwrap().parse().unwrap()))
        });
        Counts(calls.collect())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
