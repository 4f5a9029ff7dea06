//! Real Redis servers, started by the tests on free ports and in directories of their own: one, a cluster of three, and a
//! primary with a replica and a Sentinel.

use std::{
    fs,
    io::Write as _,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use highwater::{
    config::{RedisOptions, Retention, StorePlace, place::RedisAddress},
    store::{RedisStore, StoreError},
};
use tempfile::TempDir;
use tokio::time::Instant;

/// Longer than a server takes to start, to stop or to take over.
pub const SOON: Duration = Duration::from_secs(20);

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until something is so.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < SOON, "{what} did not happen within {SOON:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The same, while others go on.
pub async fn soon(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < SOON, "{what} did not happen within {SOON:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The usual retention.
pub const RETENTION: Retention = Retention { points_days: 8, summaries_months: 13 };

pub fn options(prefix: &str) -> RedisOptions {
    RedisOptions { prefix: prefix.to_owned(), ..RedisOptions::default() }
}

pub fn address(text: &str) -> RedisAddress {
    match text.parse().unwrap() {
        StorePlace::Redis(address) => address,
        StorePlace::File(path) => panic!("{} is no address", path.display()),
    }
}

/// A server that runs until it is killed, or dropped.
pub struct Redis {
    child: Option<Child>,
    directory: TempDir,
    pub port: u16,
    settings: Vec<String>,
}

impl Redis {
    /// A server that keeps what it is told: `appendonly`, and never evicts.
    pub fn start() -> Self {
        Self::with(&["--appendonly yes", "--appendfsync everysec"])
    }

    /// A server with settings, each as on its command line.
    pub fn with(settings: &[&str]) -> Self {
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut redis = Self { child: None, directory: tempfile::tempdir().unwrap(), port: free_port(), settings };
        redis.start_again();
        redis
    }

    /// Starts it on the port and the directory that it had.
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let log = fs::File::options().create(true).append(true).open(self.path().join("log")).unwrap();
        let mut command = Command::new("redis-server");
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]).arg(self.path());
        for setting in &self.settings {
            command.args(setting.split(' '));
        }
        let child = command.stdout(log).stderr(Stdio::null()).spawn();
        self.child = Some(child.expect("redis-server is needed: scripts/setup.sh test installs it"));
        until("a Redis that answers", || self.ask::<String>(&["PING"]).is_ok());
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn address(&self) -> RedisAddress {
        address(&format!("redis://127.0.0.1:{}", self.port))
    }

    pub fn open(&self, prefix: &str) -> Result<RedisStore, StoreError> {
        RedisStore::open(&self.address(), &options(prefix), &RETENTION)
    }

    /// Asks it by a connection of its own.
    pub fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> redis::RedisResult<T> {
        let mut connection = redis::Client::open(format!("redis://127.0.0.1:{}", self.port))?
            .get_connection_with_timeout(Duration::from_secs(1))?;
        connection.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]).query(&mut connection)
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            child.wait().unwrap();
        }
    }

    /// Forgets what it wrote to its disk; it must not run.
    pub fn empty(&self) {
        assert!(self.child.is_none(), "it runs");
        let _ = fs::remove_dir_all(self.path().join("appendonlydir"));
        let _ = fs::remove_file(self.path().join("dump.rdb"));
    }

    /// It answers nothing any more, and its connections stay open; or goes on.
    pub fn pause(&self, paused: bool) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        let signal = if paused { "-STOP" } else { "-CONT" };
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Three primaries that share all slots.
pub struct Cluster {
    pub nodes: Vec<Redis>,
}

impl Cluster {
    pub fn start() -> Self {
        let node = || {
            let bus = format!("--cluster-port {}", free_port());
            Redis::with(&["--cluster-enabled yes", "--cluster-node-timeout 2000", "--appendonly yes", &bus])
        };
        let cluster = Self { nodes: (0..3).map(|_| node()).collect() };
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]);
        create.args(cluster.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)));
        let created = create.args(["--cluster-yes"]).output().unwrap();
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stdout));
        for node in &cluster.nodes {
            until("a cluster that is well", || {
                node.ask::<String>(&["CLUSTER", "INFO"]).is_ok_and(|info| info.contains("cluster_state:ok"))
            });
        }
        cluster
    }

    pub fn address(&self) -> RedisAddress {
        let nodes: Vec<_> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        address(&format!("redis-cluster://{}", nodes.join(",")))
    }

    /// A node that has history, and nothing of what is across projects.
    pub fn with_history_alone(&self) -> Option<&Redis> {
        self.nodes.iter().find(|node| {
            let all: Vec<String> = node.ask(&["KEYS", "*"]).unwrap();
            all.iter().any(|key| key.ends_with("fence")) && !all.iter().any(|key| key.ends_with("meta"))
        })
    }
}

/// A primary, its replica, and one Sentinel whose word is enough.
pub struct Watched {
    pub servers: [Redis; 2],
    pub sentinel: Redis,
}

impl Watched {
    pub fn start() -> Self {
        let primary = Redis::with(&["--appendonly yes", "--repl-diskless-sync-delay 0"]);
        let follow = format!("--replicaof 127.0.0.1 {}", primary.port);
        let replica = Redis::with(&["--appendonly yes", &follow]);
        until("a replica that follows", || {
            replica.ask::<String>(&["INFO", "replication"]).is_ok_and(|info| info.contains("master_link_status:up"))
        });
        Self { sentinel: sentinel(primary.port), servers: [primary, replica] }
    }

    pub fn address(&self) -> RedisAddress {
        address(&format!("redis-sentinel://127.0.0.1:{}/main", self.sentinel.port))
    }
}

fn sentinel(primary: u16) -> Redis {
    let mut sentinel =
        Redis { child: None, directory: tempfile::tempdir().unwrap(), port: free_port(), settings: vec![] };
    let path = sentinel.path().join("sentinel.conf");
    let mut file = fs::File::create(&path).unwrap();
    writeln!(
        file,
        "port {}\nbind 127.0.0.1\ndir {}\nsentinel monitor main 127.0.0.1 {primary} 1\nsentinel down-after-milliseconds main 1000\n\
         sentinel failover-timeout main 5000",
        sentinel.port,
        sentinel.path().display()
    )
    .unwrap();
    let mut command = Command::new("redis-server");
    let child = command.arg(&path).arg("--sentinel").stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    sentinel.child = Some(child.unwrap());
    // It must know the replica before it can choose it.
    until("a Sentinel that knows the replica", || {
        let known = sentinel.ask::<Vec<redis::Value>>(&["SENTINEL", "replicas", "main"]);
        known.is_ok_and(|replicas| replicas.len() == 1)
    });
    sentinel
}
