//! A service whose Redis fails: it goes on counting, says what is wrong, and heals by itself; what was lost is noticed.

use std::{mem, sync::Arc, thread, time::Duration};

use highwater::{
    model::{Hour, KeyId, LimitEntry, Time},
    proto::{self, ListQuotasRequest, quota_service_client::QuotaServiceClient},
    query::{Detail, Queries, Window},
    service::{Actor, Author},
    store::{Change, Promise, RedisStore, Second, Store, StoreError},
};

use crate::{
    redis_server::{Redis, options, soon},
    serving::{Serving, Worker, batch, config, connect, hello},
    store_contract::{frame, key, key_hour, keys},
};

/// A service on a Redis, with one worker that holds a session.
async fn serve(redis: &Redis) -> (Serving, Worker) {
    let store: Arc<dyn Store> = Arc::new(redis.open("hw:").unwrap());
    let mut config = config();
    // The workers here send no beats.
    config.bounds.lease = Duration::from_secs(300);
    let serving = Serving::on(config, store);
    let worker = Worker::ready(&serving, hello(1, 1), &[1]).await;
    serving.until_level(1).await;
    soon("a durable second", || serving.service.live.durable().is_some()).await;
    (serving, worker)
}

/// No second since the first is missing.
#[track_caller]
fn assert_whole(store: &dyn Store) {
    let frames = store.frames().unwrap();
    for pair in frames.windows(2) {
        assert_eq!(pair[0].tick + pair[0].repeat + 1, pair[1].tick, "a second is missing");
    }
}

/// While it is broken, the service counts, and says so in these words; once it is mended, nothing is missing.
async fn check(words: &str, breaks: impl FnOnce(&mut Redis), mends: impl FnOnce(&mut Redis)) {
    let mut redis = Redis::start();
    let (serving, worker) = serve(&redis).await;
    breaks(&mut redis);
    soon("a trouble that is told", || serving.service.health.degraded().iter().any(|trouble| trouble.contains(words)))
        .await;
    let line = serving.service.health.store_line();
    assert!(line.is_empty() || line.starts_with("none: it takes no writes now"), "{line}");
    let waiting_since = serving.service.live.durable();
    worker.say(batch(1, [connect(2), connect(3)])).await;
    serving.until_level(3).await;
    assert_eq!(serving.service.live.durable(), waiting_since, "it was durable in a broken store");
    mends(&mut redis);
    soon("a store that is well again", || serving.service.health.degraded().is_empty()).await;
    assert!(serving.service.live.durable() > waiting_since);
    soon("what it promises", || serving.service.health.store_line().starts_with("strict: ")).await;
    let store = RedisStore::open_read_only(&redis.address(), &options("hw:")).unwrap();
    assert_whole(&store);
    assert_eq!(store.note("history_lost").unwrap(), None);
}

#[tokio::test]
async fn a_redis_that_is_away_is_waited_for() {
    check("refused", Redis::kill, Redis::start_again).await;
}

#[tokio::test]
async fn a_redis_that_hangs_is_waited_for() {
    check("did not answer", |redis| redis.pause(true), |redis| redis.pause(false)).await;
}

#[tokio::test]
async fn who_waits_in_turn_for_a_redis_that_hangs_is_told_with_the_first() {
    let redis = Redis::start();
    let store = redis.open("hw:").unwrap();
    redis.pause(true);
    let began = tokio::time::Instant::now();
    thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| assert!(store.set_note("a note", "said").is_err()));
        }
    });
    let waited = began.elapsed();
    redis.pause(false);
    assert!(waited < Duration::from_secs(10), "{waited:?}: each waited 2 s for its own answer");
    soon("it is asked again", || store.set_note("a note", "said").is_ok()).await;
}

#[tokio::test]
async fn a_redis_that_is_full_is_waited_for() {
    let limit = |bytes: &'static str| {
        move |redis: &mut Redis| drop(redis.ask::<String>(&["CONFIG", "SET", "maxmemory", bytes]).unwrap())
    };
    check("it is full", limit("1"), limit("0")).await;
}

#[tokio::test]
async fn a_redis_that_is_read_only_is_waited_for() {
    let follow = |host: &'static str, port: &'static str| {
        move |redis: &mut Redis| drop(redis.ask::<String>(&["REPLICAOF", host, port]).unwrap())
    };
    check("read-only", follow("127.0.0.1", "1"), follow("NO", "ONE")).await;
}

#[tokio::test]
async fn a_redis_without_its_replicas_is_waited_for() {
    let least = |count: &'static str| {
        move |redis: &mut Redis| drop(redis.ask::<String>(&["CONFIG", "SET", "min-replicas-to-write", count]).unwrap())
    };
    check("fewer replicas", least("1"), least("0")).await;
}

#[tokio::test]
async fn a_redis_that_was_restarted_empty_gets_what_is_known_and_the_rest_is_marked() {
    let mut redis = Redis::start();
    let (mut serving, worker) = serve(&redis).await;
    let by = Author { set_by: "ops".to_owned(), reason: "launch".to_owned(), actor: Actor::service() };
    let now = serving.service.clock.now();
    let limit = serving.service.set_limit(&key("default", "a/limited"), 9, None, by, now).unwrap();
    soon("keys that are stored", || redis.ask::<u64>(&["HLEN", "hw:{0}:keys"]).is_ok_and(|len| len >= 4)).await;
    let before = serving.service.store.keys().unwrap();
    redis.kill();
    redis.empty();
    redis.start_again();
    soon("a note of what was lost", || {
        redis.ask::<Option<String>>(&["HGET", "hw:{0}:notes", "history_lost"]).is_ok_and(|note| note.is_some())
    })
    .await;
    soon("a store that is well again", || serving.service.health.degraded().is_empty()).await;
    let store = RedisStore::open_read_only(&redis.address(), &options("hw:")).unwrap();
    assert_eq!(store.keys().unwrap(), before);
    assert_eq!(store.limits().unwrap().pop().map(|(_, entry)| entry), Some(limit));
    assert_eq!(store.known_workers().unwrap().len(), 1);
    // The hour that is open is there as it stands, with what its frames said before they were lost.
    let meter = before.iter().find(|(_, key)| !key.target.is_pool() && key.target.model().contains("sonic")).unwrap().0;
    let hours = store.hours(meter, Hour(0)..Hour(u32::MAX)).unwrap();
    assert!(hours.iter().any(|(_, hour)| hour.points.iter().any(|point| point.peak == 1)), "{hours:?}");
    assert_eq!(serving.level(), 1);
    drop(store);
    let tells =
        |serving: &Serving| serving.service.health.warnings().iter().any(|words| words.starts_with("history: "));
    assert!(tells(&serving), "whoever looks is told: {:?}", serving.service.health.warnings());
    serving.stop();
    serving.stopped().await;
    drop((serving, worker));
    let (next, _worker) = serve(&redis).await;
    soon("the next process tells it, too", || tells(&next)).await;
}

#[tokio::test]
async fn the_note_of_what_was_lost_is_written_again_until_it_is_there() {
    let redis = Redis::start();
    let (serving, _worker) = serve(&redis).await;
    let has_keys = || redis.ask::<u64>(&["HLEN", "hw:{0}:keys"]).is_ok_and(|len| len >= 3);
    soon("keys that are stored", has_keys).await;
    // It is emptied, and something else stands where the note is to go.
    let script = "redis.call('FLUSHALL') return redis.call('SET', KEYS[1], 'x')";
    redis.ask::<String>(&["EVAL", script, "1", "hw:{0}:notes"]).unwrap();
    soon("keys that are there again", has_keys).await;
    let is_refused = |trouble: &String| trouble.contains("WRONGTYPE") || trouble.contains("wrong kind of value");
    soon("a note that is refused", || serving.service.health.degraded().iter().any(is_refused)).await;
    redis.ask::<u64>(&["DEL", "hw:{0}:notes"]).unwrap();
    soon("a note of what was lost", || {
        redis.ask::<Option<String>>(&["HGET", "hw:{0}:notes", "history_lost"]).is_ok_and(|note| note.is_some())
    })
    .await;
    soon("a store that is well again", || serving.service.health.degraded().is_empty()).await;
}

#[test]
fn a_redis_that_went_back_is_noticed_and_brought_up_to_date() {
    let redis = Redis::start();
    let store = redis.open("hw:").unwrap();
    let limit = |slots, start| LimitEntry {
        slots: Some(slots),
        start: Time(start),
        end: None,
        set_by: "ops".to_owned(),
        reason: String::new(),
    };
    store.commit(&Second { new_keys: keys(), frames: vec![frame(7)], ..Second::default() }).unwrap();
    let change = |start, audit_from| Change {
        limits: vec![(KeyId(1), limit(5, start))],
        audit_from,
        audit: vec![vec![audit_from as u8]],
        ..Change::default()
    };
    store.change(&change(1, 0)).unwrap();
    store.change(&change(2, 1)).unwrap();
    // As a replica that took over before it had the last step.
    redis.ask::<u64>(&["HSET", "hw:{0}:meta", "step", "2", "audit_end", "1"]).unwrap();
    redis.ask::<Vec<u8>>(&["RPOP", "hw:{0}:limits"]).unwrap();
    let lost = |result: Result<(), StoreError>| matches!(result, Err(StoreError::Lost(_)));
    assert!(lost(store.commit(&Second { frames: vec![frame(8)], ..Second::default() })));
    assert!(lost(store.change(&change(3, 2))));
    redis.ask::<u64>(&["HDEL", "hw:{0}:frames:0", "7"]).unwrap();
    // All that it lost is remembered: nothing is lost, and hours that are open need not be written.
    assert!(store.restore_lost(&[(KeyId(1), Hour(10), key_hour(3))]).unwrap());
    assert!(store.restore_lost(&[]).unwrap());
    assert_eq!(store.frames().unwrap(), [frame(7)]);
    store.commit(&Second { frames: vec![frame(8)], ..Second::default() }).unwrap();
    store.change(&change(3, 2)).unwrap();
    let starts: Vec<u64> = store.limits().unwrap().iter().map(|(_, entry)| entry.start.0).collect();
    assert_eq!(starts, [1, 2, 3]);
    assert_eq!(store.audit(0..9, 9).unwrap(), [(0, vec![0]), (1, vec![1]), (2, vec![2])]);
    assert_eq!(store.hours(KeyId(1), Hour(0)..Hour(99)).unwrap(), []);
    // A copy of long ago: more was lost than is remembered.
    for second in 0..40 {
        store.commit(&Second { frames: vec![frame(100 + second)], ..Second::default() }).unwrap();
    }
    redis.ask::<u64>(&["HSET", "hw:{0}:meta", "step", "2"]).unwrap();
    redis.ask::<u64>(&["DEL", "hw:{0}:frames:0"]).unwrap();
    assert!(lost(store.commit(&Second { frames: vec![frame(140)], ..Second::default() })));
    assert!(!store.restore_lost(&[(KeyId(1), Hour(10), key_hour(3))]).unwrap());
    assert_eq!(store.frames().unwrap().len(), 30);
    assert_eq!(store.hours(KeyId(1), Hour(0)..Hour(99)).unwrap(), [(Hour(10), key_hour(3))]);
}

#[test]
fn one_service_at_a_time_writes_a_store() {
    let redis = Redis::start();
    let first = redis.open("hw:").unwrap();
    first.commit(&Second { new_keys: keys(), ..Second::default() }).unwrap();
    let second = std::thread::scope(|scope| {
        let opening = scope.spawn(|| redis.open("hw:"));
        while !opening.is_finished() {
            first.commit(&Second { frames: vec![frame(1)], ..Second::default() }).unwrap();
            std::thread::sleep(Duration::from_millis(50));
        }
        opening.join().unwrap()
    });
    assert!(second.unwrap_err().to_string().contains("in use by another highwater (process"));
    redis.open("other:").unwrap();
    // One that shows no sign of life any more is waited for, and changes nothing when it comes back.
    let second = redis.open("hw:").unwrap();
    second.commit(&Second { frames: vec![frame(2)], ..Second::default() }).unwrap();
    let refused = [
        first.commit(&Second { frames: vec![frame(3)], ..Second::default() }),
        first.fold(Hour(0), &[(KeyId(1), key_hour(1))]),
        first.set_note("a", "b"),
        first.change(&Change { audit: vec![vec![1]], ..Change::default() }),
        first.forget(&keys()[0].1.project, &Change::default()).map(drop),
        first.restore_lost(&[]).map(drop),
        first.retain(Hour(10), Hour(10)).map(drop),
        first.remove_hours(&keys()[0].1.project, Hour(0)..Hour(10)).map(drop),
    ];
    for result in refused {
        let error = result.unwrap_err().to_string();
        assert!(error.contains("another highwater writes it now"), "{error}");
    }
    assert_eq!(second.frames().unwrap(), [frame(1), frame(2)]);
    // Also of projects that the newer one has not written to yet.
    assert_eq!(second.hours(KeyId(1), Hour(0)..Hour(9)).unwrap().len(), 0);
    // One that ends well is not waited for.
    drop(first);
    drop(second);
    let third = redis.open("hw:").unwrap();
    mem::drop(third);
}

#[test]
fn what_redis_promises_is_asked() {
    let redis = Redis::start();
    let store = redis.open("hw:").unwrap();
    let keeping = store.keeping().unwrap();
    assert_eq!((keeping.promise, keeping.danger), (Promise::Strict, None));
    redis.ask::<String>(&["CONFIG", "SET", "maxmemory", "100mb"]).unwrap();
    redis.ask::<String>(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).unwrap();
    redis.ask::<String>(&["CONFIG", "SET", "appendonly", "no"]).unwrap();
    let keeping = store.keeping().unwrap();
    assert_eq!(keeping.promise, Promise::None);
    assert!(keeping.danger.unwrap().contains("set it to noeviction"));
}

fn peak_of(quota: &proto::Quota) -> u32 {
    quota.peak.as_ref().map_or(0, |peak| peak.level)
}

/// What a reader is told while the store is gone: what was known, what is live, and that something is wrong.
async fn check_reads(breaks: impl FnOnce(&mut Redis), mends: impl FnOnce(&mut Redis)) {
    // With `everysec`, a Redis whose disk is busy answers up to two seconds before it writes.
    let mut redis = Redis::with(&["--appendonly yes", "--appendfsync always"]);
    let store: Arc<dyn Store> = Arc::new(redis.open("hw:").unwrap());
    let mut config = config();
    config.bounds.lease = Duration::from_secs(300);
    let serving = Serving::on(config, store.clone());
    let worker = Worker::ready(&serving, hello(1, 1), &[1]).await;
    serving.until_level(1).await;
    soon("keys that are stored", || redis.ask::<u64>(&["HLEN", "hw:{0}:keys"]).is_ok_and(|len| len >= 3)).await;
    // Each of its meters was used three days ago, when twelve were held.
    let now = serving.service.clock.now().wall.tick().hour();
    let rows: Vec<_> = store.keys().unwrap().iter().map(|(id, _)| (*id, Hour(now.0 - 72), key_hour(12))).collect();
    store.put_hours(&[], &rows).unwrap();
    let mut quotas = QuotaServiceClient::new(serving.channel().await);
    let mut list = async || {
        let request = ListQuotasRequest { project: "default".to_owned(), ..ListQuotasRequest::default() };
        quotas.list_quotas(request).await.unwrap().into_inner().quotas
    };
    // Before anything is known of the week, it is unknown, and not nothing.
    breaks(&mut redis);
    soon("a trouble that is told", || !serving.service.health.degraded().is_empty()).await;
    let unknown = list().await;
    assert!(unknown.iter().all(|quota| quota.minutes_covered < 60), "{unknown:?}");
    worker.say(batch(1, [connect(2), connect(3)])).await;
    serving.until_level(3).await;
    assert_eq!(list().await.iter().map(|quota| quota.level).max(), Some(3));
    mends(&mut redis);
    soon("a store that is well again", || serving.service.health.degraded().is_empty()).await;
    let started = tokio::time::Instant::now();
    while list().await.iter().any(|quota| peak_of(quota) != 13) {
        assert!(started.elapsed() < Duration::from_secs(30), "{:?}", list().await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // What was known once stays known while it is away.
    redis.pause(true);
    soon("a trouble that is told", || !serving.service.health.degraded().is_empty()).await;
    worker.say(batch(2, [connect(4)])).await;
    serving.until_level(4).await;
    let known = list().await;
    assert!(known.iter().all(|quota| peak_of(quota) == 13), "{known:?}");
    // And history of what is in memory is told.
    let minute = serving.service.clock.now().wall.tick().minute();
    let queries = Queries::new(serving.service.clone());
    let meter = serving.service.live.registry.all_tallies()[0].id;
    let open = serving.service.rollup().open_from().unwrap();
    let window = Window::new(open..minute.next().max(open.next()), 1).unwrap();
    for detail in [Detail::Peaks, Detail::All] {
        queries.history(meter, &window, detail).unwrap();
    }
    redis.pause(false);
}

#[tokio::test]
async fn reads_go_on_while_redis_is_away() {
    check_reads(Redis::kill, Redis::start_again).await;
}

#[tokio::test]
async fn reads_go_on_while_redis_hangs() {
    check_reads(|redis| redis.pause(true), |redis| redis.pause(false)).await;
}
