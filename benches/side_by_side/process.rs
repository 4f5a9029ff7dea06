//! The processes that are compared: how each is started and ended, and the processor time and memory it has used.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::floor;

/// How long a process may take to take connections.
const START_POLLS: u32 = 500;
const POLL: Duration = Duration::from_millis(10);
/// Bounds that a run needs raised: a million sessions in one project, and no beats while another has its turn.
const SERVE: [&str; 10] = [
    "--bounds-sessions-per-project",
    "2000000",
    "--bounds-lease",
    "5m",
    "--bounds-learning",
    "5m",
    "--bounds-stream-events-per-second=0",
    "--bounds-project-events-per-second=0",
    "--log",
    "warn",
];

/// A process that is ended when it is dropped.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
    /// The key of a worker, where one is needed.
    pub token: Option<String>,
    /// The key of an operator, where there is one.
    pub operator: Option<String>,
    _directory: tempfile::TempDir,
}

impl Process {
    /// `highwater serve`, as it is built for users.
    pub fn highwater() -> Self {
        let directory = directory();
        let store = directory.path().join("store.redb");
        let key = |more: &[&str]| {
            let mut keys = Command::new(env!("CARGO_BIN_EXE_highwater"));
            let made = keys.args(["keys", "create", "--store"]).arg(&store).args(more).output();
            let made = made.expect("highwater can be started");
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            Some(String::from_utf8_lossy(&made.stdout).trim().to_owned())
        };
        let token = key(&["--role", "worker", "--project", "bench"]);
        let operator = key(&["--role", "operator"]);
        let more = std::env::var("HIGHWATER_BENCH_SERVE").unwrap_or_default();
        let mut command = Command::new(env!("CARGO_BIN_EXE_highwater"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--store"]).arg(store).args(SERVE);
        let mut started = Self::announced(command.args(more.split_whitespace()), directory);
        (started.token, started.operator) = (token, operator);
        started
    }

    /// This program again, as the empty service.
    pub fn floor() -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        Self::announced(Command::new(program).arg(floor::ARGUMENT), directory())
    }

    /// redis-server without persistence, which would only cost it time.
    pub fn redis() -> Self {
        let directory = directory();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let address = port.expect("a port is free");
        let mut command = Command::new("redis-server");
        command.args([
            "--bind",
            "127.0.0.1",
            "--port",
            &address.port().to_string(),
            "--save",
            "",
            "--appendonly",
            "no",
        ]);
        command.arg("--dir").arg(directory.path()).stdout(Stdio::null());
        let child = command.spawn().expect("redis-server is installed (scripts/setup.sh bench)");
        let process = Self { child, address, token: None, operator: None, _directory: directory };
        for _ in 0..START_POLLS {
            if TcpStream::connect(address).is_ok() {
                return process;
            }
            std::thread::sleep(POLL);
        }
        panic!("redis-server took no connection within 5 s");
    }

    fn announced(command: &mut Command, directory: tempfile::TempDir) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program can be started");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it was asked for");
        BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
        let address = line.trim().strip_prefix("listening on ").and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("{command:?} said {line:?} instead of where it listens"));
        Self { child, address, token: None, operator: None, _directory: directory }
    }

    /// Processor time of all its threads, in the kernel and out of it.
    pub fn cpu(&self) -> Duration {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("the process runs");
        let spent = threads.flatten().map(|thread| {
            let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
            text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
        });
        Duration::from_nanos(spent.sum())
    }

    /// Memory that it has in use, in bytes.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the process runs");
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        kib.and_then(|kib| kib.trim().parse::<u64>().ok()).expect("the kernel tells it") * 1_024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("there is room for a directory")
}
