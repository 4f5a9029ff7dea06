//! Making connections: to one server, to the primary that Sentinels name, and to a cluster, each with limits of its time.
//! Sentinels are asked here and not by the client library, which would wait for them without a limit.

use std::{fs, io, path::Path, time::Duration};

use redis::{
    Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, RedisError, RedisResult,
    TlsCertificates, Value,
    cluster::{ClusterClientBuilder, ClusterConnection, TlsMode},
    cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr},
};

use super::link::in_words;
use crate::config::place::{Node, RedisAddress, RedisOptions, Topology};

/// How long a connection may take to be made, handshakes included.
const CONNECT: Duration = Duration::from_secs(1);
/// How long an answer may take: the recorder waits for it, and may be 32 s late without losing a peak.
pub const ANSWER_SECONDS: u64 = 2;
const ANSWER: Duration = Duration::from_secs(ANSWER_SECONDS);
/// Attempts at a command of a cluster that is moving slots or failing over, and the pauses between them.
const CLUSTER_RETRIES: u32 = 3;
const CLUSTER_PAUSE_MS: (u64, u64) = (20, 200);
/// How long replicas may take to have a write.
const REPLICAS_MS: u64 = 200;

/// A connection.
pub enum Connection {
    One(Box<redis::Connection>),
    Cluster(Box<ClusterConnection>),
}

impl Connection {
    pub fn ask(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::One(one) => command.query(one),
            Self::Cluster(cluster) => command.query(cluster),
        }
    }

    /// Waits until replicas have what was written, on the node that has the first of the keys; says how many have it.
    pub fn wait_for_replicas(&mut self, replicas: u32, keys: &[String]) -> RedisResult<u32> {
        let mut command = redis::cmd("WAIT");
        command.arg(replicas).arg(REPLICAS_MS);
        match self {
            Self::One(one) => command.query(one),
            Self::Cluster(cluster) => {
                let Some(key) = keys.first() else { return Ok(0) };
                let node = SingleNodeRoutingInfo::SpecificNode(Route::with_key(key, SlotAddr::Master));
                Ok(redis::from_redis_value(cluster.route_command(&command, RoutingInfo::SingleNode(node))?)?)
            }
        }
    }
}

/// Connects.
///
/// # Errors
/// In words, without a secret.
pub fn connect(address: &RedisAddress, options: &RedisOptions) -> Result<Connection, String> {
    let connector = Connector::new(address, options)?;
    match &address.topology {
        Topology::One(node) => connector.one(connector.address(&node.host, node.port)),
        Topology::Socket(path) => connector.one(ConnectionAddr::Unix(path.clone())),
        Topology::Sentinel(sentinels, primary) => connector.by_sentinel(sentinels, primary),
        Topology::Cluster(nodes) => connector.cluster(nodes),
    }
    .map_err(|error| in_words(&error))
}

struct Connector<'a> {
    tls: bool,
    database: u32,
    user: Option<&'a str>,
    password: Option<String>,
    certificates: Option<TlsCertificates>,
}

impl<'a> Connector<'a> {
    fn new(address: &RedisAddress, options: &'a RedisOptions) -> Result<Self, String> {
        let failed = |path: &Path, error: io::Error| format!("{} can't be read: {error}", path.display());
        let password = options.password_file.as_deref().map(|path| {
            let text = fs::read_to_string(path).map_err(|error| failed(path, error))?;
            Ok::<_, String>(text.lines().next().unwrap_or_default().to_owned())
        });
        let certificates = options.ca_file.as_deref().filter(|_| address.tls).map(|path| {
            let root_cert = Some(fs::read(path).map_err(|error| failed(path, error))?);
            Ok::<_, String>(TlsCertificates { client_tls: None, root_cert })
        });
        if address.tls {
            // An error says that there is a provider already.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        Ok(Self {
            tls: address.tls,
            database: address.database,
            user: options.user.as_deref(),
            password: password.transpose()?,
            certificates: certificates.transpose()?,
        })
    }

    fn address(&self, host: &str, port: u16) -> ConnectionAddr {
        let host = host.to_owned();
        match self.tls {
            true => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
            false => ConnectionAddr::Tcp(host, port),
        }
    }

    /// How to speak to a server: as the configured user, or as nobody.
    fn info(&self, address: ConnectionAddr, database: u32, with_password: bool) -> RedisResult<ConnectionInfo> {
        let mut settings = RedisConnectionInfo::default().set_db(database.into()).set_skip_set_lib_name();
        if with_password {
            if let Some(user) = self.user {
                settings = settings.set_username(user);
            }
            if let Some(password) = &self.password {
                settings = settings.set_password(password);
            }
        }
        let info = address.into_connection_info()?.set_redis_settings(settings);
        match &self.certificates {
            Some(certificates) => Ok(Client::build_with_tls(info, certificates.clone())?.get_connection_info().clone()),
            None => Ok(info),
        }
    }

    fn open(&self, address: ConnectionAddr, database: u32, with_password: bool) -> RedisResult<redis::Connection> {
        let client = Client::open(self.info(address, database, with_password)?)?;
        let connection = client.get_connection_with_timeout(CONNECT)?;
        connection.set_read_timeout(Some(ANSWER))?;
        connection.set_write_timeout(Some(ANSWER))?;
        Ok(connection)
    }

    fn one(&self, address: ConnectionAddr) -> RedisResult<Connection> {
        Ok(Connection::One(Box::new(self.open(address, self.database, true)?)))
    }

    /// The primary, by the first Sentinel that knows it and whose word the server itself confirms.
    fn by_sentinel(&self, sentinels: &[Node], primary: &str) -> RedisResult<Connection> {
        let mut failed = None;
        for sentinel in sentinels {
            match self.primary_of(sentinel, primary) {
                Ok(connection) => return Ok(Connection::One(Box::new(connection))),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| io::Error::other("there is no Sentinel to ask").into()))
    }

    fn primary_of(&self, sentinel: &Node, primary: &str) -> RedisResult<redis::Connection> {
        let ask = |with_password| -> RedisResult<Option<(String, u16)>> {
            let address = self.address(&sentinel.host, sentinel.port);
            let mut connection = self.open(address, 0, with_password)?;
            redis::cmd("SENTINEL").arg("get-master-addr-by-name").arg(primary).query(&mut connection)
        };
        // Sentinels often have no password, and then refuse one.
        let found = ask(false).or_else(|error| if is_refusal(&error) { ask(true) } else { Err(error) })?;
        let Some((host, port)) = found else {
            return Err(io::Error::other(format!("{sentinel} knows no primary {primary:?}")).into());
        };
        let mut connection = self.open(self.address(&host, port), self.database, true)?;
        let role: Vec<Value> = redis::cmd("ROLE").query(&mut connection)?;
        match role.first() {
            Some(Value::BulkString(role)) if role == b"master" => Ok(connection),
            _ => Err(io::Error::other(format!("{host}:{port} is no primary (yet), as {sentinel} says")).into()),
        }
    }

    fn cluster(&self, nodes: &[Node]) -> RedisResult<Connection> {
        let infos: Vec<_> = nodes
            .iter()
            .map(|node| self.info(self.address(&node.host, node.port), 0, true))
            .collect::<RedisResult<_>>()?;
        let mut builder = ClusterClientBuilder::new(infos)
            .connection_timeout(CONNECT)
            .response_timeout(ANSWER)
            .retries(CLUSTER_RETRIES)
            .min_retry_wait(CLUSTER_PAUSE_MS.0)
            .max_retry_wait(CLUSTER_PAUSE_MS.1);
        if let Some(user) = self.user {
            builder = builder.username(user);
        }
        if let Some(password) = &self.password {
            builder = builder.password(password);
        }
        if self.tls {
            builder = builder.tls(TlsMode::Secure);
        }
        if let Some(certificates) = &self.certificates {
            builder = builder.certs(certificates.clone());
        }
        let connection = builder.build()?.get_connection()?;
        connection.set_write_timeout(Some(ANSWER))?;
        Ok(Connection::Cluster(Box::new(connection)))
    }
}

fn is_refusal(error: &RedisError) -> bool {
    matches!(error.code(), Some("NOAUTH" | "NOPERM"))
}
