//! Searching names, some at a time and on each server that holds any: `KEYS` would keep a Redis that others use, too.

use redis::{
    FromRedisValue, RedisResult, Value,
    cluster_routing::{MultipleNodeRoutingInfo, Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr},
};

use super::{
    connect::Connection,
    link::{Link, value},
};
use crate::store::{Result, StoreError};

/// Names that one step of a search looks at.
const LOOKED_AT_ONCE: u32 = 1_000;

/// What is done with some of the names that were found.
type Work<'a> = &'a mut dyn FnMut(Vec<String>) -> Result<()>;

impl Link {
    /// Works on every name of a pattern, on every server: each is found that is there from the beginning to the end.
    pub fn each_name(&self, pattern: &str, work: Work<'_>) -> Result<()> {
        for server in self.servers()? {
            self.each_name_of(&server, pattern, work)?;
        }
        Ok(())
    }

    /// The same on the server that has a name, for those of the same hash tag.
    pub fn each_name_beside(&self, name: &str, pattern: &str, work: Work<'_>) -> Result<()> {
        let server = SingleNodeRoutingInfo::SpecificNode(Route::with_key(name, SlotAddr::Master));
        self.each_name_of(&server, pattern, work)
    }

    fn each_name_of(&self, server: &SingleNodeRoutingInfo, pattern: &str, work: Work<'_>) -> Result<()> {
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(LOOKED_AT_ONCE);
            let (next, names): (u64, Vec<Vec<u8>>) = self.with(|connection| match connection {
                Connection::One(one) => scan.query(one),
                Connection::Cluster(cluster) => {
                    value(cluster.route_command(&scan, RoutingInfo::SingleNode(server.clone()))?)
                }
            })?;
            // What is no text is not of a store.
            let names: Vec<_> = names.into_iter().filter_map(|name| String::from_utf8(name).ok()).collect();
            if !names.is_empty() {
                work(names)?;
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    /// Every primary; one server is asked whatever is said here.
    fn servers(&self) -> Result<Vec<SingleNodeRoutingInfo>> {
        let answers = self.with(|connection| match connection {
            Connection::One(_) => Ok(None),
            Connection::Cluster(cluster) => {
                let all = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
                cluster.route_command(&redis::cmd("PING"), all).map(Some)
            }
        })?;
        let Some(answers) = answers else { return Ok(vec![SingleNodeRoutingInfo::Random]) };
        let wrong = || StoreError::Unavailable(format!("{}: its nodes don't say where they are", self.name()));
        let Value::Map(answers) = answers else { return Err(wrong()) };
        let servers = answers.into_iter().map(|(address, _)| {
            let address: RedisResult<String> = String::from_redis_value(address).map_err(Into::into);
            let (host, port) = address.ok()?.rsplit_once(':').map(|(host, port)| (host.to_owned(), port.parse()))?;
            Some(SingleNodeRoutingInfo::ByAddress { host, port: port.ok()? })
        });
        servers.collect::<Option<Vec<_>>>().ok_or_else(wrong)
    }
}
