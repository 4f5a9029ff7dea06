//! The store in Redis: the contract of every store, on one server, on a cluster of three and behind Sentinels, and what is
//! its own: who writes, what was lost, what it costs.

use std::cell::Cell;

use highwater::store::{Promise, RedisStore, Second, Store};

use crate::{
    redis_server::{Cluster, RETENTION, Redis, Watched, address, options, until},
    store_contract::{Place, contract, frame, keys},
};

/// A place for each case, by a prefix of its own.
fn places(open: impl Fn(&str) -> RedisStore + Clone + 'static) -> impl Fn() -> Place {
    let count = Cell::new(0);
    move || {
        count.set(count.get() + 1);
        let (open, prefix) = (open.clone(), format!("case-{}:", count.get()));
        Box::new(move || Box::new(open(&prefix)))
    }
}

#[test]
fn a_redis_fulfils_the_contract() {
    let redis = Redis::start();
    let address = redis.address();
    contract(places(move |prefix| RedisStore::open(&address, &options(prefix), &RETENTION).unwrap()));
    // Nothing was written beside the prefixes.
    let all: Vec<String> = redis.ask(&["KEYS", "*"]).unwrap();
    assert!(!all.is_empty() && all.iter().all(|key| key.starts_with("case-")), "{all:?}");
}

#[test]
fn a_cluster_of_three_fulfils_the_contract() {
    let cluster = Cluster::start();
    let address = cluster.address();
    contract(places(move |prefix| RedisStore::open(&address, &options(prefix), &RETENTION).unwrap()));
    let sizes: Vec<u64> = cluster.nodes.iter().map(|node| node.ask(&["DBSIZE"]).unwrap()).collect();
    assert!(sizes.iter().filter(|size| **size > 0).count() > 1, "all lies on one node: {sizes:?}");
}

#[test]
fn a_failover_is_followed() {
    let mut watched = Watched::start();
    let store = RedisStore::open(&watched.address(), &options("hw:"), &RETENTION).unwrap();
    store.commit(&Second { new_keys: keys(), frames: vec![frame(1)], ..Second::default() }).unwrap();
    assert_eq!(store.keeping().unwrap().promise, Promise::Bounded);
    let [primary, replica] = &mut watched.servers;
    until("a replica that has it", || replica.ask::<u64>(&["HLEN", "hw:{0}:frames:0"]).is_ok_and(|len| len == 1));
    primary.kill();
    store.commit(&Second { frames: vec![frame(2)], ..Second::default() }).unwrap_err();
    until("a replica that took over", || store.commit(&Second { frames: vec![frame(2)], ..Second::default() }).is_ok());
    assert_eq!(store.frames().unwrap(), [frame(1), frame(2)]);
    assert_eq!(store.keys().unwrap(), keys());
}
