//! Where the store is: a file of the embedded store, or a Redis by one of its addresses.
//!
//! | address | what it is |
//! |---|---|
//! | `PATH` | a file of the embedded store |
//! | `redis://HOST:PORT/DB` | one Redis; `rediss://` by TLS |
//! | `redis+unix://PATH` | one Redis by its socket |
//! | `redis-sentinel://HOST:PORT,HOST:PORT/PRIMARY/DB` | the primary that Sentinels name; `rediss-sentinel://` by TLS |
//! | `redis-cluster://HOST:PORT,HOST:PORT` | a Redis Cluster; `rediss-cluster://` by TLS |
//!
//! An address holds no secret, so that it may be shown and logged: the user and the password have settings of their own.

use std::{borrow::Cow, fmt, path::PathBuf};

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;
/// Addresses that are tried; more are a mistake of a script.
const MOST_NODES: usize = 100;
/// Databases that a Redis may be set to have.
const MOST_DATABASES: u32 = 16_384;
/// Every key begins with it: short, since it is stored with each of them.
const MOST_PREFIX_BYTES: usize = 32;

/// Where the store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorePlace {
    /// The embedded store.
    File(PathBuf),
    Redis(RedisAddress),
}

/// Which Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisAddress {
    pub topology: Topology,
    pub tls: bool,
    /// The number of the database; 0 in a cluster.
    pub database: u32,
}

/// How its servers stand to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topology {
    One(Node),
    Socket(PathBuf),
    /// The Sentinels, and what they call the primary.
    Sentinel(Vec<Node>, String),
    /// Some nodes of a cluster; the others are learned from them.
    Cluster(Vec<Node>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub host: String,
    pub port: u16,
}

/// How a Redis is used: what is no part of its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisOptions {
    /// What every key begins with.
    pub prefix: String,
    /// The user of its access control list; the default one when it is not set.
    pub user: Option<String>,
    /// A file whose first line is the password. It is read at each connection, so that it may change.
    pub password_file: Option<PathBuf>,
    /// Certificates, in PEM, of who may vouch for the server; those of the system when it is not set.
    pub ca_file: Option<PathBuf>,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self { prefix: "hw:".to_owned(), user: None, password_file: None, ca_file: None }
    }
}

impl fmt::Display for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Redis(address) => address.fmt(f),
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?
        } else {
            f.write_str(&self.host)?
        }
        write!(f, ":{}", self.port)
    }
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "rediss" } else { "redis" };
        let list = |nodes: &[Node]| nodes.iter().map(Node::to_string).collect::<Vec<_>>().join(",");
        match &self.topology {
            Topology::One(node) => write!(f, "{scheme}://{node}")?,
            Topology::Socket(path) => return write!(f, "redis+unix://{}", path.display()),
            Topology::Sentinel(nodes, primary) => write!(f, "{scheme}-sentinel://{}/{primary}", list(nodes))?,
            Topology::Cluster(nodes) => return write!(f, "{scheme}-cluster://{}", list(nodes)),
        }
        if self.database == 0 { Ok(()) } else { write!(f, "/{}", self.database) }
    }
}

impl std::str::FromStr for StorePlace {
    type Err = String;

    /// What is no address is a path.
    ///
    /// # Errors
    /// What is wrong, without the text itself: a password may be in it.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("is empty; a path, or an address such as redis://127.0.0.1:6379, is needed".to_owned());
        }
        let Some((scheme, rest)) = text.split_once("://") else { return Ok(Self::File(text.into())) };
        if rest.contains('@') {
            return Err(
                "holds a user or a password, and would be shown; put them into `redis.user` and the file that \
                        `redis.password_file` names"
                    .to_owned(),
            );
        }
        if rest.contains(['?', '#']) {
            return Err("has parameters after `?` or `#`, and takes none; `[redis]` has its settings".to_owned());
        }
        let (tls, kind) = match scheme.strip_prefix("rediss") {
            Some(kind) => (true, kind),
            None => (false, scheme.strip_prefix("redis").unwrap_or("?")),
        };
        let address = match kind {
            "" => one(rest, tls)?,
            "+unix" if !tls => RedisAddress { topology: Topology::Socket(absolute(rest)?), tls: false, database: 0 },
            "-sentinel" => sentinel(rest, tls)?,
            "-cluster" => cluster(rest, tls)?,
            _ => {
                return Err(format!(
                    "begins with {scheme:?}://, which is no store; write a path, or redis://, rediss://, redis+unix://, \
                     redis-sentinel:// or redis-cluster://"
                ));
            }
        };
        Ok(Self::Redis(address))
    }
}

fn one(rest: &str, tls: bool) -> Result<RedisAddress, String> {
    let (nodes, database) = rest.split_once('/').unwrap_or((rest, ""));
    if nodes.contains(',') {
        return Err("names several hosts; write redis-cluster:// or redis-sentinel:// for them".to_owned());
    }
    Ok(RedisAddress { topology: Topology::One(node(nodes, REDIS_PORT)?), tls, database: parse_database(database)? })
}

fn sentinel(rest: &str, tls: bool) -> Result<RedisAddress, String> {
    let mut parts = rest.splitn(3, '/');
    let nodes = parse_nodes(parts.next().unwrap_or_default(), SENTINEL_PORT)?;
    let primary = parts.next().unwrap_or_default();
    if primary.is_empty() {
        return Err("names no primary; write it as redis-sentinel://HOST:26379,HOST:26379/PRIMARY".to_owned());
    }
    let database = parse_database(parts.next().unwrap_or_default())?;
    Ok(RedisAddress { topology: Topology::Sentinel(nodes, primary.to_owned()), tls, database })
}

fn cluster(rest: &str, tls: bool) -> Result<RedisAddress, String> {
    let (nodes, after) = rest.split_once('/').unwrap_or((rest, ""));
    if !matches!(after, "" | "0") {
        return Err("names a database, and a cluster has only the one; leave it out".to_owned());
    }
    Ok(RedisAddress { topology: Topology::Cluster(parse_nodes(nodes, REDIS_PORT)?), tls, database: 0 })
}

fn absolute(path: &str) -> Result<PathBuf, String> {
    if path.starts_with('/') {
        Ok(path.into())
    } else {
        Err("has no absolute path of a socket; write it as redis+unix:///run/redis/redis.sock".to_owned())
    }
}

fn parse_nodes(text: &str, port: u16) -> Result<Vec<Node>, String> {
    let nodes: Vec<Node> = text.split(',').map(|text| node(text, port)).collect::<Result<_, _>>()?;
    if nodes.len() > MOST_NODES {
        return Err(format!("names {} hosts; {MOST_NODES} are the most", nodes.len()));
    }
    Ok(nodes)
}

/// `HOST`, `HOST:PORT`, `[ADDRESS]` or `[ADDRESS]:PORT`.
fn node(text: &str, usual: u16) -> Result<Node, String> {
    let wrong = || format!("{text:?} is not a host and a port; write it as 127.0.0.1:{usual} or [::1]:{usual}");
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or_else(wrong)?,
        None => match text.find(':') {
            Some(colon) => text.split_at(colon),
            None => (text, ""),
        },
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || !host.chars().all(is_name) {
        return Err(wrong());
    }
    let port = match port {
        "" => usual,
        port => port.strip_prefix(':').and_then(|port| port.parse().ok()).filter(|port| *port > 0).ok_or_else(wrong)?,
    };
    Ok(Node { host: host.to_owned(), port })
}

fn parse_database(text: &str) -> Result<u32, String> {
    if text.is_empty() {
        return Ok(0);
    }
    let number = text.parse().ok().filter(|number| *number < MOST_DATABASES);
    number.ok_or_else(|| format!("{text:?} is not the number of a database; write one from 0 on"))
}

/// What is put in place of the user and the password of an address.
const HIDDEN: &str = "***";

/// What was typed as an address, without the user and the password that it may hold.
pub fn without_password(text: &str) -> Cow<'_, str> {
    match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => Cow::Owned(format!("{}://{HIDDEN}{}", &text[..scheme], &text[at..])),
        _ => Cow::Borrowed(text),
    }
}

/// A message, without the users and passwords of the addresses in it.
pub fn without_passwords(message: &str) -> String {
    message.split_inclusive(char::is_whitespace).map(without_password).collect()
}

/// What every key begins with.
///
/// # Errors
/// When it could not be told from the rest of a key, or would change on which node of a cluster a key lies.
pub fn prefix(text: &str) -> Result<String, String> {
    let fits = (1..=MOST_PREFIX_BYTES).contains(&text.len());
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.');
    if fits && text.chars().all(is_plain) {
        return Ok(text.to_owned());
    }
    Err(format!("{text:?} is not a prefix; write 1 to {MOST_PREFIX_BYTES} of A-Z a-z 0-9 : - _ . such as hw:"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// It is read, and shown as the second.
    #[track_caller]
    fn check(text: &str, shown: &str) {
        let place: StorePlace = text.parse().unwrap();
        assert_eq!(place.to_string(), shown);
        assert_eq!(shown.parse::<StorePlace>().unwrap(), place);
        assert_eq!(matches!(place, StorePlace::Redis(_)), text.contains("://"));
    }

    #[track_caller]
    fn wrong(text: &str, words: &str) {
        let problem = text.parse::<StorePlace>().unwrap_err();
        assert!(problem.contains(words) && !problem.contains("secret"), "{problem}");
    }

    #[test]
    fn places_are_read_and_shown() {
        check(".highwater/store.redb", ".highwater/store.redb");
        check("redis://localhost", "redis://localhost:6379");
        check("rediss://[::1]:7000/3", "rediss://[::1]:7000/3");
        check("redis+unix:///run/redis.sock", "redis+unix:///run/redis.sock");
        check("redis-sentinel://a,b:7/main/2", "redis-sentinel://a:26379,b:7/main/2");
        check("rediss-cluster://a,b:7,c/", "rediss-cluster://a:6379,b:7,c:6379");
    }

    #[test]
    fn what_is_no_place_is_named_without_what_may_be_secret() {
        wrong(" ", "is empty");
        wrong("redis://:secret@host", "`redis.password_file`");
        wrong("redis://host/0?password=secret", "takes none");
        wrong("http://host", "which is no store");
        wrong("rediss+unix:///run/redis.sock", "which is no store");
        wrong("redis+unix://run/redis.sock", "no absolute path");
        wrong("redis://a,b", "names several hosts");
        wrong("redis://host:0", "is not a host and a port");
        wrong("redis://host:port", "is not a host and a port");
        wrong("redis://", "is not a host and a port");
        wrong("redis://host/one", "number of a database");
        wrong("redis-sentinel://a,b", "names no primary");
        wrong("redis-cluster://a/1", "leave it out");
    }

    #[test]
    fn addresses_are_told_without_their_passwords() {
        for (text, told) in [
            ("redis://user:secret@host:1/0", "redis://***@host:1/0"),
            ("redis://:sec/r@et@host", "redis://***@host"),
            ("--store=redis://user:secret@host", "--store=redis://***@host"),
            ("redis://user:sec ret@host", "redis://***@host"),
            ("redis://host", "redis://host"),
            ("someone@example.com", "someone@example.com"),
        ] {
            assert_eq!(without_password(text), told);
        }
        let message = "can't reach http://a:secret@host:1: see\nhttps://b:secret@there, or mail x@y";
        let told = "can't reach http://***@host:1: see\nhttps://***@there, or mail x@y";
        assert_eq!(without_passwords(message), told);
    }

    #[test]
    fn a_prefix_is_plain() {
        assert_eq!(prefix("hw:").unwrap(), "hw:");
        for text in ["", "a{b}", "a b", &"a".repeat(33)] {
            assert!(prefix(text).unwrap_err().contains("is not a prefix"), "{text}");
        }
    }
}
