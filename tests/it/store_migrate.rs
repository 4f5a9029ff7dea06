//! Stores are copied to each other, whatever they are, and the copy is proven; by the command, as anyone would.

use std::{path::Path, process::Output, sync::Arc};

use highwater::{
    access::{AuditRow, audit::Entry},
    config::StorePlace,
    model::{Flags, Hour, HourSummary, Incarnation, KeyId, LimitEntry, Project, Time},
    store::{
        Change, CheckReport, Document, EmbeddedStore, KnownWorker, RedisStore, Second, Shelf, Store, content, migrate,
    },
};

use crate::{
    offline::audit_rows,
    redis_server::{Cluster, RETENTION, Redis, options},
    serving::{Serving, config},
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
            audit: audit_rows(2_500),
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
    let in_redis = RedisStore::open_read_only(&redis.address(), &options("hw:")).unwrap();
    let middle = content::read(&in_redis, &mut |_, _| {}).unwrap();
    let moved = highwater(&["migrate", &there, &back]);
    assert!(moved.status.success(), "{}", String::from_utf8_lossy(&moved.stderr));
    assert!(String::from_utf8_lossy(&moved.stdout).contains(&middle.hash));
    let store = EmbeddedStore::open(Path::new(&back)).unwrap();
    let after = content::read(&store, &mut |_, _| {}).unwrap();
    // Each copy has one row more, which tells of it.
    let with_rows = |more| CheckReport { audit: before.report.audit + more, ..before.report.clone() };
    assert_eq!((&middle.report, &after.report), (&with_rows(1), &with_rows(2)));
    assert_eq!((after.workers, after.notes), (before.workers, before.notes));
    let rows = store.audit(2_500..2_502, 9).unwrap();
    let told: Vec<_> = rows.iter().map(|(_, row)| AuditRow::decode(row).unwrap().entry).collect();
    assert!(told.iter().all(|row| (&*row.actor, &*row.action) == ("offline", "store.migrate")), "{told:?}");
    assert_eq!(told.iter().map(|row| row.object.as_str()).collect::<Vec<_>>(), [&file, &there]);
    drop(store);
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

#[track_caller]
fn is_refused(words: &[&str], expect: &[&str]) {
    let refused = highwater(words);
    let said = [&refused.stdout, &refused.stderr].map(|bytes| String::from_utf8_lossy(bytes)).join("\n");
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(expect.iter().all(|expect| said.contains(expect)), "{said}");
}

#[test]
fn a_log_that_was_changed_by_hand_is_found_and_not_copied_as_the_same() {
    let redis = Redis::start();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (file, other, there) = (path("store.redb"), path("other.redb"), redis.address().to_string());
    fill(&EmbeddedStore::open(Path::new(&file)).unwrap());
    assert!(highwater(&["migrate", &file, &there]).status.success());
    let script = "local row, n = string.gsub(redis.call('HGET', KEYS[1], ARGV[1]), 'kim', 'lee') \
                  redis.call('HSET', KEYS[1], ARGV[1], row) return n";
    assert_eq!(redis.ask::<u64>(&["EVAL", script, "1", "hw:{0}:audit", "1234"]).unwrap(), 1);
    let changed = "the audit log: row 1234 was changed";
    is_refused(&["check", "--store", &there], &[changed, "has a problem", "highwater migrate"]);
    is_refused(&["check", "--json", "--store", &there], &[changed]);
    // What is there is kept: nothing was begun.
    EmbeddedStore::open(Path::new(&other)).unwrap().set_note("mine", "yes").unwrap();
    is_refused(&["migrate", &there, &other, "--replace"], &["is damaged", changed]);
    assert_eq!(EmbeddedStore::open(Path::new(&other)).unwrap().note("mine").unwrap().as_deref(), Some("yes"));
    is_refused(&["migrate", &there, &path("new.redb")], &[changed]);
    assert!(!folder.path().join("new.redb").exists());

    // The same in a file: a row that was put in place of another, and rows that are gone from the end.
    assert!(highwater(&["check", "--store", &file]).status.success());
    let store = EmbeddedStore::open(Path::new(&file)).unwrap();
    let row = AuditRow::decode(&store.audit(99..100, 1).unwrap()[0].1).unwrap();
    let other_row = AuditRow::after(99, row.previous, row.time, Entry { actor: "lee".to_owned(), ..row.entry });
    store.put_audit(&[(99, other_row.encode())], 2_500).unwrap();
    drop(store);
    let changed = "the audit log: row 100 does not follow row 99";
    is_refused(&["check", "--store", &file], &[changed, "highwater restore"]);
    is_refused(&["migrate", &file, &path("new.redb")], &[changed]);
    let backup = path("backup.redb");
    assert!(highwater(&["backup", &backup, "--store", &file]).status.success());
    let refused = highwater(&["restore", &backup, "--store", &path("restored.redb")]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains(changed));
}

#[tokio::test]
async fn a_store_that_is_served_is_not_replaced_and_who_has_it_is_to_be_stopped() {
    let redis = Redis::start();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (file, served) = (path("store.redb"), path("served.redb"));
    fill(&EmbeddedStore::open(Path::new(&file)).unwrap());
    let held = EmbeddedStore::open(Path::new(&served)).unwrap();
    is_refused(&["migrate", &file, &served, "--replace"], &["in use by another highwater", "stop it"]);
    is_refused(&["migrate", &served, &path("new.redb")], &["in use by another highwater", "stop it"]);
    drop(held);
    let serving = Serving::on(config(), Arc::new(redis.open("hw:").unwrap()));
    let there = redis.address().to_string();
    is_refused(&["migrate", &file, &there, "--replace"], &["in use by another highwater", "stop it"]);
    drop(serving);
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
    let copied = migrate::migrate(&file, &place, &options("hw:"), false, &mut |_| Ok(()), &mut |_, _, _| {}).unwrap();
    assert_eq!(copied.report.audit, 2_493);
    let store = RedisStore::open(&redis.address(), &options("hw:"), &RETENTION).unwrap();
    assert!(!content::is_unfinished(&store).unwrap());
}

#[test]
fn a_source_that_is_no_store_or_not_whole_is_refused_and_nothing_is_touched() {
    let redis = Redis::start();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (target, empty, interrupted) = (path("target.redb"), path("empty.redb"), path("interrupted.redb"));
    fill(&EmbeddedStore::open(Path::new(&target)).unwrap());
    std::fs::write(&empty, "").unwrap();
    let half = EmbeddedStore::open(Path::new(&interrupted)).unwrap();
    half.commit(&Second { new_keys: keys(), ..Second::default() }).unwrap();
    half.set_note(content::UNFINISHED_NOTE, content::UNFINISHED).unwrap();
    drop(half);
    drop(EmbeddedStore::open(Path::new(&path("new.redb"))).unwrap());
    let there = redis.address().to_string();
    let held = || std::fs::read(&target).unwrap();
    let before = held();
    for (source, words) in [
        (&*empty, "there is no store in it"),
        (&*there, "there is no store in it"),
        (&*path("new.redb"), "holds nothing that could be copied"),
        (&*interrupted, "is a copy that was interrupted"),
    ] {
        let said = highwater(&["migrate", source, &target, "--replace"]);
        let said = (said.status.code(), String::from_utf8_lossy(&said.stderr).into_owned());
        assert!(said.0 == Some(1) && said.1.contains(words), "{source}: {said:?}");
        assert!(held() == before, "{source}: the target is as it was");
    }
    assert_eq!(std::fs::metadata(&empty).unwrap().len(), 0);
    assert_eq!(redis.ask::<u64>(&["DBSIZE"]).unwrap(), 0);
    let checked = highwater(&["check", "--store", &interrupted]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(!checked.status.success() && said.contains("it is a copy that was interrupted"), "{said}");
}

#[test]
fn no_command_uses_a_copy_that_was_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (half, export) = (path("half.redb"), path("export.csv"));
    let store = EmbeddedStore::open(Path::new(&half)).unwrap();
    store.commit(&Second { new_keys: keys(), ..Second::default() }).unwrap();
    store.set_note(content::UNFINISHED_NOTE, content::UNFINISHED).unwrap();
    drop(store);
    let trace = "session_id,worker_id,kind,model,connected_at,disconnected_at\n\
                 1,w,tts,a/b,2026-07-01T00:00:00Z,2026-07-01T00:01:00Z\n";
    std::fs::write(&export, trace).unwrap();
    for words in [
        &["keys", "create", "--role", "operator", "--store", &half][..],
        &["keys", "list", "--store", &half],
        &["import", &export, "--replace", "--store", &half],
        &["backup", &path("backup.redb"), "--store", &half],
        &["serve", "--dev", "--listen", "127.0.0.1:0", "--store", &half],
    ] {
        is_refused(words, &["a copy that was interrupted", "highwater migrate"]);
    }
    assert!(!folder.path().join("backup.redb").exists());
}

#[test]
fn the_same_redis_by_another_name_is_not_taken_for_another() {
    let redis = Redis::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    fill(&EmbeddedStore::open(&file).unwrap());
    let there = redis.address().to_string();
    assert!(highwater(&["migrate", &file.display().to_string(), &there]).status.success());
    let held =
        || content::read(&RedisStore::open_read_only(&redis.address(), &options("hw:")).unwrap(), &mut |_, _| {});
    let before = held().unwrap();
    let other = format!("redis://localhost:{}", redis.port);
    is_refused(&["migrate", "--replace", &there, &other], &["is the same store, by another name"]);
    is_refused(&["migrate", &other, &there], &["is the same store, by another name"]);
    assert_eq!(held().unwrap(), before);
    let elsewhere = format!("{other}/1");
    assert!(highwater(&["migrate", &there, &elsewhere]).status.success());
}

#[test]
fn a_cluster_whose_node_was_emptied_is_not_copied_over_what_is_whole() {
    let cluster = Cluster::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    fill(&EmbeddedStore::open(&file).unwrap());
    let (file, there) = (file.display().to_string(), cluster.address().to_string());
    assert!(highwater(&["migrate", &file, &there]).status.success());
    assert!(highwater(&["check", "--store", &there]).status.success());
    let node = cluster.with_history_alone().expect("a node with history alone");
    node.ask::<String>(&["FLUSHALL"]).unwrap();
    let before = std::fs::read(&file).unwrap();
    // Whoever opens it meanwhile takes nothing of what is known.
    for _ in 0..2 {
        is_refused(&["check", "--store", &there], &["a node was emptied", "highwater migrate"]);
        is_refused(&["migrate", "--replace", &there, &file], &["is damaged", "a node was emptied"]);
        drop(RedisStore::open(&cluster.address(), &options("hw:"), &RETENTION).unwrap());
    }
    assert!(std::fs::read(&file).unwrap() == before, "what is whole is as it was");
    assert!(highwater(&["migrate", "--replace", &file, &there]).status.success());
    assert!(highwater(&["check", "--store", &there]).status.success());
}

#[test]
fn a_redis_that_is_away_is_said_so() {
    let port = crate::redis_server::free_port();
    let there = format!("redis://127.0.0.1:{port}");
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.redb").display().to_string();
    for words in [
        &["migrate", &there, &copy][..],
        &["check", "--store", &there],
        &["serve", "--dev", "--listen", "127.0.0.1:0", "--store", &there],
    ] {
        let said = highwater(words);
        let words = (said.status.code(), String::from_utf8_lossy(&said.stderr).into_owned());
        assert!(words.0 == Some(3) && words.1.contains("is Redis running there"), "{words:?}");
    }
}
