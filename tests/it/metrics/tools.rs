//! Prometheus' own programs, as `scripts/setup.sh test` brings them.

use std::{
    env, fs,
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Where a program is: on the PATH, or where the setup puts it.
fn program(name: &str) -> PathBuf {
    let setup = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/bin");
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).chain([setup]).map(|folder| folder.join(name)).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("{name} is missing: scripts/setup.sh test installs it"))
}

/// Runs promtool with what it is to read, and returns all that it says; it must succeed.
pub fn promtool(arguments: &[&str], input: &str) -> String {
    let mut command = Command::new(program("promtool"));
    let command = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "promtool {}: {said}", arguments.join(" "));
    said
}

/// A Prometheus that scrapes until it is dropped.
pub struct Prometheus {
    child: Child,
    pub address: SocketAddr,
}

impl Prometheus {
    /// Starts it in a directory with a configuration and its rules.
    pub fn start(directory: &Path, config: &str, rules: &str) -> Self {
        // It can't be told to take any port and say which: one that was free a moment ago is.
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        fs::write(directory.join("prometheus.yml"), config).unwrap();
        fs::write(directory.join("highwater.rules.yml"), rules).unwrap();
        let child = Command::new(program("prometheus"))
            .current_dir(directory)
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=warn"])
            .arg(format!("--web.listen-address={address}"))
            .spawn();
        Self { child: child.unwrap(), address }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
