//! How soon the real binary is there on an empty store: from its start to the first TCP connection that it takes, and to
//! a `/readyz` that says yes. The median of ten starts.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const ROUNDS: usize = 10;
/// What the median is to be below.
const GOAL: Duration = Duration::from_millis(20);
const PAUSE: Duration = Duration::from_micros(200);

/// From the start to the first connection, and to readiness.
fn start(store: &Path) -> (Duration, Duration) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_highwater"));
    command.args(["serve", "--dev", "--listen", "127.0.0.1:0", "--log", "warn", "--store"]).arg(store);
    let started = Instant::now();
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary is there");
    let mut line = String::new();
    let said = child.stdout.take().expect("it is piped");
    BufReader::new(said).read_line(&mut line).expect("it says where it listens");
    let address = line.trim().strip_prefix("listening on ").expect("it says where it listens").to_owned();
    let connect = || TcpStream::connect(&address).ok();
    let mut first = connect();
    while first.is_none() {
        thread::sleep(PAUSE);
        first = connect();
    }
    let connected = started.elapsed();
    while !connect().is_some_and(is_ready) {
        thread::sleep(PAUSE);
    }
    let ready = started.elapsed();
    child.kill().expect("it runs");
    child.wait().expect("it was started here");
    (connected, ready)
}

fn is_ready(mut stream: TcpStream) -> bool {
    let mut answer = [0; 12];
    let asked = stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n");
    asked.and_then(|()| stream.read_exact(&mut answer)).is_ok() && answer.ends_with(b"200")
}

fn main() {
    let folder = tempfile::tempdir().expect("there is room for a directory");
    let place = |round: usize| folder.path().join(format!("{round}.redb"));
    let times: Vec<_> = (0..ROUNDS).map(|round| start(&place(round))).collect();
    let mut table = String::new();
    for (name, of) in [("first connection", 0), ("`/readyz` says yes", 1)] {
        let mut sorted: Vec<_> = times.iter().map(|both| if of == 0 { both.0 } else { both.1 }).collect();
        sorted.sort_unstable();
        let (median, slowest) = (sorted[ROUNDS / 2], sorted[ROUNDS - 1]);
        println!(
            "start on an empty store to {name}: median {median:.1?} of {ROUNDS} (goal {GOAL:?}), slowest {slowest:.1?}"
        );
        table.push_str(&format!("| start on an empty store to {name} | {median:.1?} | {slowest:.1?} | {GOAL:?} |\n"));
    }
    if let Some(path) = env::var_os("HIGHWATER_BENCH_MARKDOWN") {
        fs::write(path, table).expect("the table can be written");
    }
}
