//! The store in Redis: the contract of every store, on one server, on a cluster of three and behind Sentinels, and what is
//! its own: who writes, what was lost, what it costs.

use std::cell::Cell;

use highwater::{
    model::Hour,
    store::{Promise, RedisStore, Second, Store, StoreError},
};

use crate::{
    redis_server::{Cluster, RETENTION, Redis, Watched, options, until},
    store_contract::{Place, contract, frame, key_hour, keys},
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
    // A name is a prefix, a hash tag and numbers, and never a tenant's text; what is history ends by itself.
    let words = ["peaks", "rest", "sums", "fence", "meta", "keys", "projects", "frames", "workers", "limits", "shelf"];
    let all: Vec<String> = redis.ask(&["KEYS", "*"]).unwrap();
    assert!(all.len() > 100);
    for name in all {
        let parts: Vec<&str> = name.strip_prefix("case-").unwrap().split(':').collect();
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let tag = parts[1].strip_prefix('{').and_then(|tag| tag.strip_suffix('}')).unwrap();
        let known = |part: &str| is_number(part) || words.contains(&part) || matches!(part, "audit" | "notes");
        assert!(is_number(parts[0]) && is_number(tag) && parts[2..].iter().all(|part| known(part)), "{name}");
        let is_history = parts.len() > 3 && parts[2] != "shelf";
        let ends: i64 = redis.ask(&["TTL", &name]).unwrap();
        assert_eq!(ends > 8 * 24 * 3_600, is_history, "{name} ends in {ends} s");
    }
}

#[test]
fn scripts_that_redis_forgot_are_told_again() {
    let redis = Redis::start();
    let store = redis.open("hw:").unwrap();
    for second in 0..3 {
        redis.ask::<String>(&["SCRIPT", "FLUSH"]).unwrap();
        store.commit(&Second { new_keys: keys(), frames: vec![frame(second)], ..Second::default() }).unwrap();
    }
    assert_eq!(store.frames().unwrap(), [frame(0), frame(1), frame(2)]);
}

#[test]
fn a_newer_format_in_redis_is_refused() {
    let redis = Redis::start();
    drop(redis.open("hw:").unwrap());
    redis.ask::<u64>(&["HSET", "hw:{0}:meta", "format", "9"]).unwrap();
    let errors = [redis.open("hw:"), RedisStore::open_read_only(&redis.address(), &options("hw:"))];
    for error in errors.map(Result::unwrap_err) {
        assert!(matches!(error, StoreError::Format { found: 9, known: 2 }), "{error:?}");
    }
    let none = RedisStore::open_read_only(&redis.address(), &options("none:")).unwrap_err();
    assert!(none.to_string().contains("there is no store"), "{none}");
}

#[test]
fn a_node_of_a_cluster_that_was_emptied_is_noticed() {
    let cluster = Cluster::start();
    let open = || RedisStore::open(&cluster.address(), &options("hw:"), &RETENTION).unwrap();
    let write = |store: &RedisStore| {
        store.put_hours(&keys(), &[]).unwrap();
        keys().into_iter().for_each(|(id, _)| store.put_hours(&[], &[(id, Hour(10), key_hour(3))]).unwrap());
    };
    let empty_one = || {
        cluster.with_history_alone().expect("a node with history alone").ask::<String>(&["FLUSHALL"]).unwrap();
    };
    let check_told_once = |store: &RedisStore, words: &str| {
        let keeping = store.keeping().unwrap();
        assert!(
            keeping.lost.as_ref().is_some_and(|lost| lost.contains("a node was emptied, or went back")),
            "{words}: {keeping:?}"
        );
        assert_eq!(store.keeping().unwrap().lost, None, "{words}");
    };
    let store = open();
    write(&store);
    assert_eq!(store.keeping().unwrap().lost, None);
    empty_one();
    check_told_once(&store, "by who wrote it");
    write(&store);
    drop(store);
    let store = open();
    assert_eq!(store.keeping().unwrap().lost, None);
    empty_one();
    check_told_once(&store, "by who has written nothing yet");
    write(&store);
    drop(store);
    empty_one();
    check_told_once(&open(), "while no service ran");
    assert_eq!(open().keeping().unwrap().lost, None);
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
