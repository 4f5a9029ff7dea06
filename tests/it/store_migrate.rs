//! Stores are copied to each other, whatever they are, and the copy is proven; by the command, as anyone would.

use std::{path::Path, process::Output};

use highwater::{
    config::StorePlace,
    model::{Flags, Hour, HourSummary, Incarnation, KeyId, LimitEntry, Project, Time},
    store::{Change, Document, EmbeddedStore, KnownWorker, RedisStore, Second, Shelf, Store, content, migrate},
};

use crate::{
    redis_server::{RETENTION, Redis, options},
    store_contract::{frame, key, key_hour, keys},
};

/// Something of everything that a store holds.
fn fill(store: &dyn Store) {
    let acme = Project::new("acme").unwrap();
    let attached = vec![KnownWorker { project: acme, incarnation: Incarnation([3; 16]) }];
    let start = Hour(500_000).first_tick().0;
    let rows: Vec<_> = (499_800..500_000).map(|hour| (KeyId(2), Hour(hour), key_hour(hour % 90))).collect();
    store.put_hours(&keys(), &rows).unwrap();
    store.fold(Hour(499_999), &[(KeyId(1), key_hour(4))]).unwrap();
    store.commit(&Second { frames: vec![frame(start), frame(start + 1)], attached, ..Second::default() }).unwrap();
    let limit = |slots| LimitEntry {
        slots,
        start: Time(u64::from(slots.unwrap_or(1))),
        end: None,
        set_by: "ops".to_owned(),
        reason: "launch \u{1f680}".to_owned(),
    };
    store
        .change(&Change {
            limits: vec![(KeyId(2), limit(Some(4))), (KeyId(1), limit(Some(5))), (KeyId(2), limit(None))],
            documents: Shelf::ALL
                .map(|shelf| Document { shelf, name: "k".to_owned(), bytes: Some(vec![0, 255, shelf as u8]) })
                .to_vec(),
            audit: (0..2_500_u32).map(|row| row.to_be_bytes().to_vec()).collect(),
            ..Change::default()
        })
        .unwrap();
    store.drop_audit(7).unwrap();
    store.set_note("simulation", "yes").unwrap();
    // A project that is no more: its key's number is not used again.
    store.put_hours(&[(KeyId(9), key("gone", "a/b"))], &[]).unwrap();
    store.forget(&Project::new("gone").unwrap(), &Change::default()).unwrap();
    // Summaries outlive their hours; and an hour may outlive its summary.
    let old = HourSummary { peak: 8, covered: 60, flags: u32::from(Flags::PARTIAL.0), ..HourSummary::default() };
    store.put_summaries(&[(KeyId(1), Hour(490_000), Some(old)), (KeyId(2), Hour(499_850), None)]).unwrap();
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_highwater");

fn highwater(words: &[&str]) -> Output {
    std::process::Command::new(PROGRAM).args(words).output().unwrap()
}

#[test]
fn a_store_goes_to_redis_and_back_and_is_the_same() {
    let redis = Redis::start();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (file, back, there) = (path("store.redb"), path("back.redb"), redis.address().to_string());
    fill(&EmbeddedStore::open(Path::new(&file)).unwrap());
    let before = content::read(&EmbeddedStore::open(Path::new(&file)).unwrap(), &mut |_, _| {}).unwrap();
    assert_eq!(before.report.problems, Vec::<String>::new());

    let moved = highwater(&["migrate", &file, &there, "--json"]);
    assert!(moved.status.success(), "{}", String::from_utf8_lossy(&moved.stderr));
    let told: serde_json::Value = serde_json::from_slice(&moved.stdout).unwrap();
    assert_eq!((told["sha256"].as_str(), told["hours"].as_u64()), (Some(before.hash.as_str()), Some(201)));
    assert_eq!((told["summaries"].as_u64(), told["audit"].as_u64()), (Some(201), Some(2_493)));
    let moved = highwater(&["migrate", &there, &back]);
    assert!(moved.status.success(), "{}", String::from_utf8_lossy(&moved.stderr));
    assert!(String::from_utf8_lossy(&moved.stdout).contains(&before.hash));
    let after = content::read(&EmbeddedStore::open(Path::new(&back)).unwrap(), &mut |_, _| {}).unwrap();
    assert_eq!(after, before);
    let ends = [redis.open("hw:").unwrap().keys_end(), EmbeddedStore::open(Path::new(&back)).unwrap().keys_end()];
    assert_eq!(ends.map(Result::unwrap), [10, 10]);

    let checked = highwater(&["check", "--store", &there, "--json"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let refused = highwater(&["migrate", &file, &there]);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && words.contains("holds a store already") && words.contains("--replace"),
        "{words}"
    );
    assert!(highwater(&["migrate", &file, &there, "--replace"]).status.success());
    assert!(highwater(&["migrate", &there, &back, "--replace"]).status.success());
    let refused = highwater(&["migrate", &path("none"), &there, "--replace"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("there is no such file"));
}

#[test]
fn a_copy_that_was_interrupted_is_not_served_and_begun_again() {
    let redis = Redis::start();
    let folder = tempfile::tempdir().unwrap();
    let file = StorePlace::File(folder.path().join("store.redb"));
    fill(&EmbeddedStore::open(&folder.path().join("store.redb")).unwrap());
    let half = redis.open("hw:").unwrap();
    half.set_note(content::UNFINISHED_NOTE, "unfinished").unwrap();
    half.commit(&Second { new_keys: keys(), ..Second::default() }).unwrap();
    drop(half);
    let there = redis.address().to_string();
    let served = highwater(&["serve", "--dev", "--listen", "127.0.0.1:0", "--store", &there]);
    assert!(String::from_utf8_lossy(&served.stderr).contains("a copy that was interrupted"));
    let place = StorePlace::Redis(redis.address());
    let copied = migrate::migrate(&file, &place, &options("hw:"), false, &mut |_, _, _| {}).unwrap();
    assert_eq!(copied.report.audit, 2_493);
    let store = RedisStore::open(&redis.address(), &options("hw:"), &RETENTION).unwrap();
    assert!(!migrate::is_unfinished(&store).unwrap());
}
