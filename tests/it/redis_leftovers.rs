//! History that another store left in Redis is never shown as a project's: when what is across projects was emptied while no
//! service ran, numbers are given again, and what is there under them is not of the projects that have them now.

use highwater::{
    model::{Hour, Key, KeyId},
    store::{RedisStore, Store, StoreError, content},
};

use crate::{
    redis_server::{Cluster, RETENTION, Redis, options, soon},
    serving::{Serving, config},
    store_contract::{key, key_hour},
};

/// The same number for another project.
const TENANTS: [&str; 2] = ["victim", "intruder"];

fn meter(tenant: usize) -> (KeyId, Key) {
    (KeyId(1), key(TENANTS[tenant], "a/one"))
}

/// Writes an hour of a tenant, which is the first project of its store.
fn write(store: &dyn Store, tenant: usize, hour: u32) {
    store.put_hours(&[meter(tenant)], &[(KeyId(1), Hour(hour), key_hour(7))]).unwrap();
}

fn hours(store: &dyn Store) -> Vec<u32> {
    let everything = Hour(0)..Hour(u32::MAX);
    let hours: Vec<u32> = store.hours(KeyId(1), everything.clone()).unwrap().iter().map(|(hour, _)| hour.0).collect();
    // Every way of reading says the same.
    assert_eq!(store.peaks(KeyId(1), everything.clone()).unwrap().len(), hours.len());
    assert_eq!(store.summaries(KeyId(1), everything.clone()).unwrap().len(), hours.len());
    let of_hours = (0..20).filter(|hour| !store.hour_of(&[KeyId(1)], Hour(*hour)).unwrap().is_empty());
    assert_eq!(of_hours.collect::<Vec<_>>(), hours);
    let project = store.keys().unwrap().pop().unwrap().1.project;
    let first = store.first_hour(&project, everything).unwrap();
    assert_eq!(first.map(|(_, hour)| hour.0), hours.first().copied());
    hours
}

fn names(redis: &Redis, pattern: &str) -> Vec<String> {
    redis.ask(&["KEYS", pattern]).unwrap()
}

fn empty_what_is_across(redis: &Redis) {
    for name in names(redis, "hw:{0}:*") {
        redis.ask::<u64>(&["DEL", &name]).unwrap();
    }
}

/// What is across projects is emptied while no service runs; the history of projects stays.
#[track_caller]
fn check_emptied(open: impl Fn() -> RedisStore, servers: &[&Redis]) {
    let store = open();
    write(&store, 0, 10);
    drop(store);
    servers.iter().for_each(|redis| empty_what_is_across(redis));
    let store = open();
    let left: Vec<_> = servers.iter().flat_map(|redis| names(redis, "hw:{1}:*")).collect();
    assert_eq!(left, Vec::<String>::new());
    write(&store, 1, 12);
    assert_eq!(hours(&store), [12]);
    let lost = store.keeping().unwrap().lost;
    assert!(lost.as_ref().is_some_and(|lost| lost.contains("the history of 1 projects that was left")), "{lost:?}");
    assert_eq!(store.keeping().unwrap().lost, None);
    drop(store);
    let store = open();
    assert_eq!((hours(&store), store.keeping().unwrap().lost), (vec![12], None));
}

#[test]
fn what_was_left_when_a_redis_was_emptied_is_not_shown_as_anothers() {
    let redis = Redis::start();
    check_emptied(|| redis.open("hw:").unwrap(), &[&redis]);
}

#[test]
fn what_was_left_when_a_node_of_a_cluster_was_emptied_is_not_shown_as_anothers() {
    let cluster = Cluster::start();
    let open = || RedisStore::open(&cluster.address(), &options("hw:"), &RETENTION).unwrap();
    check_emptied(open, &cluster.nodes.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_service_on_a_store_that_was_emptied_says_so() {
    let redis = Redis::start();
    let store = redis.open("hw:").unwrap();
    write(&store, 0, 10);
    drop(store);
    empty_what_is_across(&redis);
    let serving = Serving::on(config(), std::sync::Arc::new(redis.open("hw:").unwrap()));
    let is_told = |warning: &String| warning.starts_with("history: the store was emptied");
    soon("a loss that is told", || serving.service.health.warnings().iter().any(is_told)).await;
    let note = || redis.ask::<Option<String>>(&["HGET", "hw:{0}:notes", "history_lost"]);
    soon("a note of what was lost", || note().is_ok_and(|note| note.is_some())).await;
}

#[test]
fn what_a_node_has_again_of_another_store_is_not_shown_and_goes() {
    let redis = Redis::start();
    let store = redis.open("hw:").unwrap();
    write(&store, 0, 10);
    let rows: Vec<_> = names(&redis, "hw:{1}:*")
        .into_iter()
        .map(|name| (redis.ask::<Vec<u8>>(&["DUMP", &name]).unwrap(), name))
        .collect();
    drop(store);
    redis.ask::<String>(&["FLUSHALL"]).unwrap();
    // Before anything is written, and after.
    for is_late in [false, true] {
        let store = redis.open("hw:").unwrap();
        write(&store, 1, 12);
        let expected = if is_late { vec![12, 13] } else { vec![13] };
        if !is_late {
            for name in names(&redis, "hw:{1}:*") {
                redis.ask::<u64>(&["DEL", &name]).unwrap();
            }
            let mut client = redis::Client::open(redis.address().to_string()).unwrap().get_connection().unwrap();
            for (bytes, name) in &rows {
                redis::cmd("RESTORE").arg(name).arg(0).arg(bytes).exec(&mut client).unwrap();
            }
        }
        drop(store);
        let store = redis.open("hw:").unwrap();
        let reader = RedisStore::open_read_only(&redis.address(), &options("hw:")).unwrap();
        assert_eq!(
            (hours(&store), hours(&reader)),
            if is_late { (vec![12, 13], vec![12, 13]) } else { (vec![], vec![]) }
        );
        write(&store, 1, 13);
        assert_eq!(hours(&store), expected);
        let lost = store.keeping().unwrap().lost;
        assert_eq!(lost.is_some_and(|lost| lost.contains("another store left")), !is_late);
        if !is_late {
            write(&store, 1, 12);
        }
    }
}

#[test]
fn a_node_that_goes_back_to_another_store_under_a_service_is_noticed() {
    let redis = Redis::start();
    let store = redis.open("hw:").unwrap();
    write(&store, 1, 12);
    assert_eq!((hours(&store), store.keeping().unwrap().lost), (vec![12], None));
    redis.ask::<String>(&["SET", "hw:{1}:fence", "3 another victim"]).unwrap();
    let lost = store.keeping().unwrap().lost;
    assert!(lost.as_ref().is_some_and(|lost| lost.contains("or went back")), "{lost:?}");
    assert_eq!((hours(&store), store.keeping().unwrap().lost), (vec![], None));
    write(&store, 1, 13);
    assert_eq!(hours(&store), [13]);
}

#[test]
fn a_number_that_is_given_again_does_not_show_what_was_there_before() {
    let redis = Redis::start();
    let store = redis.open("hw:").unwrap();
    write(&store, 0, 10);
    drop(store);
    // An old copy of the node that has what is across projects: the store is the same, and knows no project.
    for name in ["hw:{0}:keys", "hw:{0}:projects"] {
        redis.ask::<u64>(&["DEL", name]).unwrap();
    }
    redis.ask::<u64>(&["HDEL", "hw:{0}:meta", "projects_end"]).unwrap();
    let store = redis.open("hw:").unwrap();
    store.put_hours(&[meter(1)], &[]).unwrap();
    assert_eq!(hours(&store), Vec::<u32>::new());
    write(&store, 1, 12);
    assert_eq!(hours(&store), [12]);
}

#[test]
fn a_store_that_is_behind_the_fences_of_its_history_is_written_again() {
    let redis = Redis::start();
    for _ in 0..3 {
        write(&redis.open("hw:").unwrap(), 0, 10);
    }
    redis.ask::<u64>(&["HSET", "hw:{0}:meta", "fence", "1"]).unwrap();
    let store = redis.open("hw:").unwrap();
    write(&store, 0, 12);
    assert_eq!(hours(&store), [10, 12]);
}

#[test]
fn what_an_earlier_version_wrote_is_taken_over() {
    let redis = Redis::start();
    write(&redis.open("hw:").unwrap(), 0, 10);
    // As it was: a fence alone, and the format before.
    redis.ask::<String>(&["SET", "hw:{1}:fence", "7"]).unwrap();
    redis.ask::<u64>(&["HSET", "hw:{0}:meta", "format", "1"]).unwrap();
    let reader = RedisStore::open_read_only(&redis.address(), &options("hw:")).unwrap();
    assert_eq!(hours(&reader), [10]);
    let store = redis.open("hw:").unwrap();
    assert_eq!(hours(&store), [10]);
    write(&store, 0, 12);
    assert_eq!((hours(&store), store.keeping().unwrap().lost), (vec![10, 12], None));
    drop(store);
    assert_eq!(redis.ask::<u64>(&["HGET", "hw:{0}:meta", "format"]).unwrap(), 2);
    assert_eq!(hours(&redis.open("hw:").unwrap()), [10, 12]);
    // What is marked by a fence alone now is not its own.
    redis.ask::<String>(&["SET", "hw:{1}:fence", "7"]).unwrap();
    assert_eq!(hours(&redis.open("hw:").unwrap()), Vec::<u32>::new());
}

#[test]
fn a_store_without_its_meta_row_is_not_taken_for_a_new_one() {
    let redis = Redis::start();
    write(&redis.open("hw:").unwrap(), 0, 10);
    redis.ask::<u64>(&["DEL", "hw:{0}:meta"]).unwrap();
    let error = redis.open("hw:").unwrap_err();
    assert!(matches!(&error, StoreError::Damaged(words) if words.contains("the meta row is not")), "{error}");
}

#[test]
fn a_removal_that_was_cut_off_is_told_and_goes_on_only_by_being_begun_anew() {
    let redis = Redis::start();
    write(&redis.open("hw:").unwrap(), 0, 10);
    write(&redis.open("hw:").unwrap(), 0, 11);
    let clear = || RedisStore::clear(&redis.address(), &options("hw:"));
    redis.ask::<String>(&["ACL", "SETUSER", "default", "-unlink"]).unwrap();
    clear().unwrap_err();
    redis.ask::<String>(&["ACL", "SETUSER", "default", "+unlink"]).unwrap();
    let reader = RedisStore::open_read_only(&redis.address(), &options("hw:")).unwrap();
    assert_eq!(reader.check().unwrap().problems, [content::INTERRUPTED]);
    let before = names(&redis, "*");
    let store = redis.open("hw:").unwrap();
    assert!(content::is_unfinished(&store).unwrap());
    drop(store);
    assert_eq!(names(&redis, "*"), before);
    clear().unwrap();
    assert_eq!(names(&redis, "*"), Vec::<String>::new());
}
