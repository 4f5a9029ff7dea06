//! The way to Redis: connections and their time limits, what is asked on them, and errors in words. A connection that
//! failed is dropped, never used again: an answer that comes too late must not be taken for the next one's.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use redis::{
    Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, ServerErrorKind, Value,
    cluster::cluster_pipe,
    cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo},
};

use super::{
    connect::{self, ANSWER_SECONDS, Connection},
    scripts::Step,
};
use crate::{
    config::place::{RedisAddress, RedisOptions, Topology},
    store::{Result, StoreError},
};

/// Connections that are kept open while nobody asks on them: those who read at once, and the recorder.
const MOST_IDLE: usize = 9;

/// A Redis.
pub struct Link {
    address: RedisAddress,
    options: RedisOptions,
    idle: Mutex<Vec<Connection>>,
    /// How often it could not be reached or did not answer in time, and the words of the last time.
    unanswered: Mutex<(u64, String)>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Link").field(&self.address.to_string()).finish()
    }
}

impl Link {
    pub fn new(address: RedisAddress, options: RedisOptions) -> Self {
        Self { address, options, idle: Mutex::default(), unanswered: Mutex::default() }
    }

    /// What it is called in messages.
    pub fn name(&self) -> String {
        self.address.to_string()
    }

    pub fn is_cluster(&self) -> bool {
        matches!(self.address.topology, Topology::Cluster(_))
    }

    /// Asks one thing.
    pub fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T> {
        self.with(|connection| value(connection.ask(command)?))
    }

    /// The strings of these names.
    pub fn strings(&self, names: &[String]) -> Result<Vec<Option<Vec<u8>>>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        self.with(|connection| match connection {
            Connection::One(one) => redis::cmd("MGET").arg(names).query(one),
            Connection::Cluster(cluster) => {
                let mut pipe = cluster_pipe();
                for name in names {
                    pipe.cmd("GET").arg(name);
                }
                pipe.query(cluster)
            }
        })
    }

    /// Runs a script; where Redis does not know it, it learns it. With `replicas` more than 0, waits shortly until so
    /// many replicas have what was written on this connection, and says how many do.
    pub fn run(&self, step: &Step, keys: &[String], arguments: &[Vec<u8>], replicas: u32) -> Result<(Value, u32)> {
        let command = |name: &str, what: &str| {
            let mut command = redis::cmd(name);
            command.arg(what).arg(keys.len()).arg(keys).arg(arguments);
            command
        };
        self.with(|connection| {
            let known = connection.ask(&command("EVALSHA", step.hash()));
            let answer = match known {
                Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                    connection.ask(&command("EVAL", step.code))?
                }
                answer => answer?,
            };
            let have = if replicas == 0 { 0 } else { connection.wait_for_replicas(replicas, keys)? };
            Ok((answer, have))
        })
    }

    /// Asks one thing of the server, in a cluster of every primary.
    pub fn ask_each<T: FromRedisValue>(&self, command: &Cmd) -> Result<Vec<T>> {
        self.with(|connection| match connection {
            Connection::One(one) => Ok(vec![command.query(one)?]),
            Connection::Cluster(cluster) => {
                let all = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
                let Value::Map(answers) = cluster.route_command(command, all)? else { return Ok(Vec::new()) };
                answers.into_iter().map(|(_, answer)| value(answer)).collect()
            }
        })
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// When Redis was found to be away meanwhile: to ask again would be to wait as long again, and so would the next one.
    pub(super) fn in_turn<T>(&self, wait: impl FnOnce() -> T) -> Result<T> {
        let before = self.unanswered().0;
        let turn = wait();
        let (times, words) = &*self.unanswered();
        if *times == before { Ok(turn) } else { Err(StoreError::Unavailable(words.clone())) }
    }

    /// It can't be reached, or does not answer: so will they hear who wait in turn.
    fn is_away(&self, words: String) -> StoreError {
        let mut unanswered = self.unanswered();
        *unanswered = (unanswered.0 + 1, words.clone());
        StoreError::Unavailable(words)
    }

    fn unanswered(&self) -> MutexGuard<'_, (u64, String)> {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on a connection. One that was idle may have been closed by the other end: then once more on a new one, which
    /// is safe since every step may be repeated.
    pub(super) fn with<T>(&self, mut work: impl FnMut(&mut Connection) -> RedisResult<T>) -> Result<T> {
        if let Some(mut connection) = self.take_idle() {
            match work(&mut connection) {
                Ok(done) => {
                    self.put_back(connection);
                    return Ok(done);
                }
                Err(error) if !ends_connection(&error) => {
                    self.put_back(connection);
                    return Err(self.error(&error));
                }
                // What else is idle is as old; it is dropped too.
                Err(error) => {
                    self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
                    if error.is_timeout() {
                        return Err(self.error(&error));
                    }
                }
            }
        }
        let mut connection = connect::connect(&self.address, &self.options)
            .map_err(|error| self.is_away(format!("{}: {error}", self.name())))?;
        let done = work(&mut connection);
        match &done {
            Err(error) if ends_connection(error) => {}
            _ => self.put_back(connection),
        }
        done.map_err(|error| self.error(&error))
    }

    fn take_idle(&self) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn put_back(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE {
            idle.push(connection);
        }
    }

    fn error(&self, error: &RedisError) -> StoreError {
        let name = self.name();
        let detail = error.detail().unwrap_or_default().to_owned();
        match error.code().unwrap_or_default() {
            "HWLOST" => StoreError::Lost(format!("{name}: {detail}")),
            "HWFENCED" => StoreError::Unavailable(format!("{name}: {detail}; restart this one to use it again")),
            "HWCONFLICT" => StoreError::Conflict(format!("the audit log ends before row {detail}")),
            "HWKEY" => StoreError::Damaged(format!("{name}: key {detail} was to become another")),
            "HWFOREIGN" => StoreError::Unavailable(format!("{name}: {detail} is not the mark of this store's history")),
            "HWHEADLESS" => StoreError::Damaged(format!(
                "{name}: {detail} is there and the meta row is not, which says whose it is: bring that back, or remove \
                 all that begins with the prefix"
            )),
            "HWFORMAT" => StoreError::Format { found: detail.parse().unwrap_or(u64::MAX), known: super::FORMAT },
            _ => {
                let words = format!("{name}: {}", in_words(error));
                if is_unanswered(error) { self.is_away(words) } else { StoreError::Unavailable(words) }
            }
        }
    }
}

pub fn value<T: FromRedisValue>(value: Value) -> RedisResult<T> {
    Ok(redis::from_redis_value(value)?)
}

/// Whether the connection is of no more use: it broke, or the server can't do what it is there for.
fn ends_connection(error: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, ReadOnly};
    match error.kind() {
        ErrorKind::Server(kind) => matches!(kind, BusyLoading | ClusterDown | MasterDown | ReadOnly),
        ErrorKind::Extension => false,
        _ => true,
    }
}

fn is_unanswered(error: &RedisError) -> bool {
    error.is_timeout() || error.as_io_would_block()
}

/// What is wrong and what would be right. Redis' own words hold no secret: it never repeats a password.
pub fn in_words(error: &RedisError) -> String {
    let text = error.to_string();
    // Older servers wrap what went wrong in a script into words of their own.
    let says = |code: &str| error.code() == Some(code) || text.contains(&format!("{code} "));
    if is_unanswered(error) {
        return format!("it did not answer within {ANSWER_SECONDS} s");
    }
    if says("OOM") {
        return "it is full: what it holds reached `maxmemory`; give it more memory".to_owned();
    }
    if says("READONLY") {
        return "it is read-only: a replica, or it was told so".to_owned();
    }
    if says("NOREPLICAS") {
        return "it takes no writes: fewer replicas follow it than `min-replicas-to-write` asks for".to_owned();
    }
    if says("MISCONF") {
        return "it takes no writes, since it could not save to its disk".to_owned();
    }
    if says("NOAUTH") || says("WRONGPASS") || error.kind() == ErrorKind::AuthenticationFailed {
        return "it does not let us in: see `redis.user` and `redis.password_file`".to_owned();
    }
    if says("NOPERM") {
        return format!("its access control list forbids what is needed, see docs/redis.md ({text})");
    }
    text
}

trait WouldBlock {
    fn as_io_would_block(&self) -> bool;
}

impl WouldBlock for RedisError {
    /// A read that timed out says so on Linux.
    fn as_io_would_block(&self) -> bool {
        self.is_io_error() && self.to_string().contains("temporarily unavailable")
    }
}
