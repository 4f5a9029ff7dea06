//! A project that is forgotten: part of the suite that every store passes, and what is Redis' own of it.

use std::{fs, path::Path};

use highwater::{
    model::{Hour, Incarnation, KeyId, LimitEntry, Project, Time},
    store::{Change, Document, KnownWorker, RedisStore, Second, Shelf, Store, StoreError},
};

use crate::{
    redis_server::{Cluster, RETENTION, Redis, options},
    store_contract::{Place, frame, key, key_hour},
};

fn project(name: &str) -> Project {
    Project::new(name).unwrap()
}

fn worker(name: &str, n: u8) -> KnownWorker {
    KnownWorker { project: project(name), incarnation: Incarnation([n; 16]) }
}

/// Writes an hour of a key that is new.
fn put(store: &dyn Store, id: u32, name: &str) {
    store.put_hours(&[(KeyId(id), key(name, "a/b"))], &[(KeyId(id), Hour(10), key_hour(4))]).unwrap();
}

fn hours(store: &dyn Store, ids: &[u32]) -> Vec<usize> {
    ids.iter().map(|id| store.hours(KeyId(*id), Hour(0)..Hour(99)).unwrap().len()).collect()
}

pub fn a_forgotten_project_is_gone_and_its_numbers_are_not_used_again(place: &Place) {
    let store = place();
    assert_eq!(store.keys_end().unwrap(), 0);
    let keys = vec![(KeyId(1), key("acme", "a/b")), (KeyId(2), key("beside", "a/b")), (KeyId(5), key("acme", "c/d"))];
    let rows: Vec<_> = keys.iter().map(|(id, _)| (*id, Hour(10), key_hour(4))).collect();
    store.put_hours(&keys, &rows).unwrap();
    let attached = vec![worker("acme", 1), worker("beside", 1), worker("acme", 2), worker("acme2", 1)];
    store.commit(&Second { frames: vec![frame(36_000)], attached, ..Second::default() }).unwrap();
    let limit = LimitEntry { slots: Some(1), start: Time(5), end: None, set_by: "kim".into(), reason: String::new() };
    let limits = keys.iter().map(|(id, _)| (*id, limit.clone())).collect();
    store.change(&Change { limits, audit: vec![b"first".to_vec()], ..Change::default() }).unwrap();
    assert_eq!(store.keys_end().unwrap(), 6);

    let acme = project("acme");
    let document = Document { shelf: Shelf::Projects, name: "gone".into(), bytes: Some(b"acme".to_vec()) };
    let change =
        Change { documents: vec![document], audit_from: 1, audit: vec![b"second".to_vec()], ..Change::default() };
    let late = Change { audit_from: 0, ..change.clone() };
    assert!(matches!(store.forget(&acme, &late), Err(StoreError::Conflict(_))));
    assert_eq!(
        (store.keys().unwrap().len(), store.hours(KeyId(1), Hour(0)..Hour(99)).unwrap().len()),
        (3, 1),
        "whole or not"
    );
    let forgotten = store.forget(&acme, &change).unwrap();
    assert_eq!((forgotten.keys, forgotten.hours), (2, 2));
    drop(store);

    let store = place();
    assert_eq!(store.keys().unwrap(), [(KeyId(2), key("beside", "a/b"))]);
    for (id, hours) in [(1, 0), (2, 1), (5, 0)] {
        let ever = Hour(0)..Hour(99);
        let read = (store.hours(KeyId(id), ever.clone()).unwrap(), store.summaries(KeyId(id), ever).unwrap());
        assert_eq!((read.0.len(), read.1.len()), (hours, hours), "{id}");
    }
    let limited: Vec<_> = store.limits().unwrap().into_iter().map(|(id, _)| id).collect();
    assert_eq!(limited, [KeyId(2)]);
    assert_eq!(store.known_workers().unwrap(), [worker("acme2", 1), worker("beside", 1)]);
    let rows: Vec<_> = store.audit(0..9, 9).unwrap().into_iter().map(|(_, row)| row).collect();
    assert_eq!(rows, [b"first".to_vec(), b"second".to_vec()]);
    assert_eq!((store.keys_end().unwrap(), store.audit_end().unwrap()), (6, 2));
    assert_eq!(store.documents(Shelf::Projects).unwrap().len(), 1);
    let again = store.forget(&acme, &Change { audit_from: 2, ..Change::default() }).unwrap();
    assert_eq!((again.keys, again.hours), (0, 0));

    // Who comes after it, of its name too, begins anew beside those that stayed.
    for (id, name) in [(6, "later"), (7, "acme"), (8, "last")] {
        put(&*store, id, name);
    }
    assert_eq!(hours(&*store, &[1, 2, 5, 6, 7, 8]), [0, 1, 0, 1, 1, 1]);
    let forgotten = store.forget(&project("later"), &Change { audit_from: 2, ..Change::default() }).unwrap();
    assert_eq!((forgotten.keys, forgotten.hours), (1, 1));
    assert_eq!(hours(&*store, &[1, 2, 5, 6, 7, 8]), [0, 1, 0, 0, 1, 1]);
    store.put_keys_end(20).unwrap();
    store.put_keys_end(3).unwrap();
    drop(store);
    assert_eq!(place().keys_end().unwrap(), 20);
}

/// Names of what Redis has for a tag.
fn tagged(redis: &Redis, tag: &str) -> Vec<String> {
    redis.ask(&["KEYS", &format!("hw:{{{tag}}}:*")]).unwrap()
}

/// Two projects, of which acme is to go.
fn fill(store: &dyn Store) {
    for (id, name) in [(1, "acme"), (2, "beside")] {
        put(store, id, name);
        store.fold(Hour(11), &[(KeyId(id), key_hour(5))]).unwrap();
    }
    let document = Document { shelf: Shelf::Projects, name: "acme".into(), bytes: Some(b"leaving".to_vec()) };
    let attached = vec![worker("acme", 1), worker("beside", 1)];
    store.commit(&Second { attached, frames: vec![frame(43_300)], ..Second::default() }).unwrap();
    store.change(&Change { documents: vec![document], audit: vec![b"begun".to_vec()], ..Change::default() }).unwrap();
}

fn forget_acme(store: &dyn Store) {
    let document = Document { shelf: Shelf::Projects, name: "acme".into(), bytes: None };
    let audit = vec![b"ended".to_vec()];
    store
        .forget(&project("acme"), &Change { documents: vec![document], audit_from: 1, audit, ..Change::default() })
        .unwrap();
}

#[track_caller]
fn assert_forgotten(redis: &Redis, store: &dyn Store) {
    assert_eq!(store.keys().unwrap(), [(KeyId(2), key("beside", "a/b"))]);
    assert_eq!((store.keys_end().unwrap(), store.audit_end().unwrap()), (3, 2));
    assert_eq!(store.known_workers().unwrap(), [worker("beside", 1)]);
    assert_eq!(store.documents(Shelf::Projects).unwrap(), []);
    assert_eq!(redis.ask::<Vec<String>>(&["HKEYS", "hw:{0}:projects"]).unwrap(), ["beside"]);
    let left = tagged(redis, "1");
    assert!(left.iter().all(|name| name == "hw:{1}:fence"), "{left:?}");
}

#[test]
fn a_forgotten_project_leaves_nothing_in_redis_but_a_fence_that_ends() {
    let redis = Redis::start();
    let store = redis.open("hw:").unwrap();
    fill(&store);
    assert!(tagged(&redis, "1").len() > 6);
    let damaged: Vec<String> = redis.ask(&["KEYS", "hw:{1}:rest:*"]).unwrap();
    redis.ask::<u64>(&["APPEND", &damaged[0], "\u{1}\u{7f}"]).unwrap();
    forget_acme(&store);
    assert_forgotten(&redis, &store);
    let ends: i64 = redis.ask(&["TTL", "hw:{1}:fence"]).unwrap();
    assert!((1..=24 * 3_600).contains(&ends), "{ends}");
    assert_eq!(store.keeping().unwrap().danger, None);
    assert_eq!(hours(&store, &[1, 2]), [0, 2]);
    // Nothing is written for a key that is no more.
    let late = store.put_hours(&[], &[(KeyId(1), Hour(12), key_hour(5))]);
    assert!(matches!(late, Err(StoreError::Damaged(_))), "{late:?}");
    put(&store, 3, "acme");
    assert_eq!((tagged(&redis, "1").len(), hours(&store, &[2, 3])), (1, vec![2, 1]));
    assert!(tagged(&redis, "3").len() > 6);
}

#[test]
fn a_forgotten_project_does_not_come_back_with_a_redis_that_lost_it() {
    let mut redis = Redis::with(&["--appendonly yes", "--appendfsync always"]);
    let store = redis.open("hw:").unwrap();
    fill(&store);
    let (copy, files) = (redis.path().join("copy"), redis.path().join("appendonlydir"));
    let copy_files = |from: &Path, to: &Path| {
        fs::create_dir(to).unwrap();
        for file in fs::read_dir(from).unwrap().map(Result::unwrap) {
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    };
    copy_files(&files, &copy);
    forget_acme(&store);
    for from_copy in [false, true] {
        redis.kill();
        redis.empty();
        if from_copy {
            copy_files(&copy, &files);
        }
        redis.start_again();
        assert_eq!(tagged(&redis, "1").len() > 6, from_copy, "an old copy has it");
        let lost = store.commit(&Second { frames: vec![frame(43_301)], ..Second::default() });
        assert!(matches!(lost, Err(StoreError::Lost(_))), "{lost:?}");
        store.restore_lost(&[]).unwrap();
        assert_forgotten(&redis, &store);
        // What was folded last is remembered.
        assert!(hours(&store, &[2])[0] > 0);
    }
    put(&store, 3, "later");
    assert_eq!(redis.ask::<u32>(&["HGET", "hw:{0}:projects", "later"]).unwrap(), 3);
    drop(store);
    let store = redis.open("hw:").unwrap();
    assert_eq!(hours(&store, &[1, 3]), [0, 1]);
}

#[test]
fn forgetting_that_was_cut_off_in_a_cluster_is_begun_again() {
    let mut cluster = Cluster::start();
    let store = RedisStore::open(&cluster.address(), &options("hw:"), &RETENTION).unwrap();
    // A project whose history lies on another node than what is across projects.
    for id in 1..=6 {
        put(&store, id, &format!("p{id}"));
    }
    let of = |redis: &Redis| redis.ask::<Vec<String>>(&["KEYS", "hw:*"]).unwrap();
    let tag = |name: &String| name.split(['{', '}']).nth(1).unwrap().parse::<u32>().unwrap();
    let at = cluster.nodes.iter().position(|node| !of(node).iter().any(|name| tag(name) == 0) && !of(node).is_empty());
    let node = &mut cluster.nodes[at.unwrap()];
    let number = tag(&of(node)[0]);
    let (id, name) = (KeyId(number), project(&format!("p{number}")));
    let change = |audit_from| Change { audit_from, audit: vec![b"ended".to_vec()], ..Change::default() };
    node.pause(true);
    let away = store.forget(&name, &change(0));
    assert!(matches!(away, Err(StoreError::Unavailable(_))), "{away:?}");
    node.pause(false);
    assert_eq!((store.keys().unwrap().len(), store.audit_end().unwrap()), (6, 0));
    // Its history is gone, and what is across projects is not.
    assert_eq!(store.remove_hours(&name, Hour(0)..Hour(99)).unwrap(), 1);
    drop(store);
    let store = RedisStore::open(&cluster.address(), &options("hw:"), &RETENTION).unwrap();
    assert!(store.keys().unwrap().iter().any(|(key, _)| *key == id));
    let forgotten = store.forget(&name, &change(0)).unwrap();
    assert_eq!((forgotten.keys, forgotten.hours), (1, 0));
    assert_eq!((store.keys().unwrap().len(), store.audit_end().unwrap()), (5, 1));
    let left: Vec<_> = cluster.nodes.iter().flat_map(of).filter(|name| tag(name) == number).collect();
    assert_eq!(left, [format!("hw:{{{number}}}:fence")]);
}
