//! The service in a process of its own, so that it can be killed and its memory is its own.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::time::Instant;

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_highwater");

/// Runs a command with as many files as the system lets it open, the process that it becomes included.
pub fn with_most_files(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", r#"ulimit -n "$(ulimit -Hn)" && exec "$0" "$@""#]).arg(program);
    command
}

/// A service that runs until it is killed, or dropped, which kills it too.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
    /// From its start until it took connections.
    pub opened_in: Duration,
}

impl Process {
    /// Starts it on a store and an address, and waits until it takes connections.
    pub fn start(store: &Path, listen: &str, settings: &[&str]) -> Self {
        let started = Instant::now();
        let mut command = with_most_files(PROGRAM);
        command.args(["serve", "--dev", "--listen", listen, "--log", "warn", "--bounds-reads-per-second", "0"]);
        command.arg("--store").arg(store).args(settings);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("it said {line:?}"));
        Self { child, address: address.parse().unwrap(), opened_in: started.elapsed() }
    }

    /// Ends it as `kill -9` does: nothing is written, nothing is said.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops it where it is, or lets it go on, as a debugger or a frozen machine does.
    pub fn freeze(&self, frozen: bool) {
        let signal = if frozen { "-STOP" } else { "-CONT" };
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Files that it has open.
    pub fn files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// Memory that it has in use now, in bytes.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        kib.unwrap().trim().parse::<u64>().unwrap() * 1_024
    }

    /// Processor time that it has used.
    pub fn cpu(&self) -> Duration {
        // Nanoseconds on a core, of its main thread alone in `schedstat`: the sum is over all threads.
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let spent = threads.map(|thread| {
            let text = fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap_or_default();
            text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
        });
        Duration::from_nanos(spent.sum())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
