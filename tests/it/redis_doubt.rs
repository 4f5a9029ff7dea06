//! Decisions that Redis took while its answer was lost: they hold, also after a Redis that loses everything.

use std::sync::Arc;

use highwater::{
    access::{Role, audit::Verifier},
    error::Error,
    model::Project,
    service::{
        Access, Actor, Author, Clock, Service,
        access::{decide::NewKey, keep::Keeper},
    },
    store::{Change, Second, Store, StoreError},
};

use crate::{
    redis_server::{Redis, until},
    serving::config,
    store_contract::{frame, key},
};

/// A service that does nothing by itself.
fn serve(redis: &Redis) -> Arc<Service> {
    Service::open(config(), Arc::new(redis.open("hw:").unwrap()), Clock::start()).unwrap()
}

fn new_key(access: &Access) -> String {
    let project = Project::new("default").unwrap();
    let new = NewKey { name: "a".to_owned(), project, role: Role::Worker, not_before: None, expires: None };
    access.create_key(new, &Actor::service(), Clock::wall()).unwrap().0.id
}

fn revoke(service: &Service, id: &str) -> Result<(), Error> {
    service.access.revoke_key(id, &|_| true, &Actor::service(), Clock::wall()).map(drop)
}

fn set_limit(service: &Service, slots: u32) -> Result<(), Error> {
    let by = Author { set_by: "ops".to_owned(), reason: String::new(), actor: Actor::service() };
    service.set_limit(&key("default", "a/limited"), slots, None, by, service.clock.now()).map(drop)
}

/// Decides while Redis hangs. It takes the step when it goes on, and nobody hears of it.
fn unheard(redis: &Redis, decide: impl FnOnce() -> Result<(), Error>) {
    let end = || redis.ask::<u64>(&["HGET", "hw:{0}:meta", "audit_end"]).unwrap();
    let before = end();
    redis.pause(true);
    let error = decide().unwrap_err();
    redis.pause(false);
    assert!(matches!(error, Error::Store { .. } | Error::RevokedHere { .. }), "{error}");
    until("a step that is taken late", || end() == before + 1);
}

fn is_lost<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Lost(_)))
}

/// Redis loses everything, and gets it again.
fn lose(redis: &Redis, store: &dyn Store) {
    redis.ask::<String>(&["FLUSHALL"]).unwrap();
    assert!(is_lost(store.commit(&Second::default())));
    store.restore_lost(&[]).unwrap();
}

#[track_caller]
fn assert_holds(service: &Service, rows: u64, slots: &[u32], revoked: Option<&str>) {
    let mut verifier = Verifier::default();
    for (number, row) in service.store.audit(0..u64::MAX, 100).unwrap() {
        verifier.take(number, &row).unwrap();
    }
    assert_eq!((verifier.rows, service.store.audit_end().unwrap()), (rows, rows));
    assert_eq!(service.ledger.surprises().unwrap(), service.ledger.known_surprises().unwrap());
    let stored = service.store.limits().unwrap();
    let stored: Vec<u32> = stored.iter().filter_map(|(_, entry)| entry.slots).collect();
    assert_eq!(stored, slots);
    let tally = service.live.registry.find(&key("default", "a/limited")).unwrap();
    let seen = service.limits.of(tally.id);
    assert_eq!(seen.entries().iter().filter_map(|entry| entry.slots).collect::<Vec<_>>(), slots);
    let records = service.access.records();
    let of_store = service.store.documents(highwater::store::Shelf::ApiKeys).unwrap();
    for record in records {
        assert_eq!(record.revoked.is_some(), Some(record.id.as_str()) == revoked, "{record:?}");
        let stored = of_store.iter().find(|(id, _)| *id == record.id).unwrap();
        assert_eq!(highwater::access::KeyRecord::decode(&stored.1), Some(record));
    }
}

#[test]
fn a_decision_whose_answer_was_lost_outlives_a_redis_that_loses_everything() {
    let redis = Redis::start();
    let service = serve(&redis);
    let id = new_key(&service.access);
    set_limit(&service, 5).unwrap();
    service.store.commit(&Second::default()).unwrap();
    unheard(&redis, || revoke(&service, &id));
    // Again: it was revoked, which is acknowledged without a write.
    revoke(&service, &id).unwrap();
    assert_holds(&service, 3, &[5], Some(&id));
    lose(&redis, &*service.store);
    assert_holds(&service, 3, &[5], Some(&id));
    Keeper::new(service.clock.now()).step(&service, service.clock.now());
    // A limit holds with nobody deciding again.
    unheard(&redis, || set_limit(&service, 6));
    Keeper::new(service.clock.now()).step(&service, service.clock.now());
    assert_holds(&service, 4, &[5, 6], Some(&id));
    // And where the next decision is the first to ask.
    unheard(&redis, || set_limit(&service, 7));
    set_limit(&service, 8).unwrap();
    assert_holds(&service, 6, &[5, 6, 7, 8], Some(&id));
    lose(&redis, &*service.store);
    set_limit(&service, 9).unwrap();
    assert_holds(&service, 7, &[5, 6, 7, 8, 9], Some(&id));
    let before = service.access.records();
    drop(service);
    let service = serve(&redis);
    assert_eq!(service.access.record(&id), before.into_iter().find(|record| record.id == id));
}

#[test]
fn a_decision_of_another_kind_does_not_undo_one_whose_answer_was_lost() {
    let redis = Redis::start();
    let service = serve(&redis);
    let id = new_key(&service.access);
    unheard(&redis, || revoke(&service, &id));
    set_limit(&service, 5).unwrap();
    Keeper::new(service.clock.now()).step(&service, service.clock.now());
    assert_holds(&service, 3, &[5], Some(&id));
    unheard(&redis, || set_limit(&service, 6));
    service.access.refresh().unwrap();
    set_limit(&service, 7).unwrap();
    lose(&redis, &*service.store);
    assert_holds(&service, 5, &[5, 6, 7], Some(&id));
}

#[test]
fn a_decision_that_was_lost_with_its_answer_is_as_if_it_had_never_been() {
    let redis = Redis::start();
    let service = serve(&redis);
    let id = new_key(&service.access);
    set_limit(&service, 5).unwrap();
    unheard(&redis, || revoke(&service, &id));
    redis.ask::<String>(&["FLUSHALL"]).unwrap();
    // Nothing is read of a store that is not whole, and nothing is written to it.
    assert!(is_lost(service.store.limits()) && is_lost(service.store.audit_end()));
    assert!(is_lost(service.store.change(&Change::default())) && is_lost(service.access.refresh()));
    assert!(revoke(&service, &id).is_err());
    lose(&redis, &*service.store);
    // But for a revocation, which holds here until it is written.
    assert_eq!(service.store.audit_end().unwrap(), 2);
    assert!(service.access.record(&id).unwrap().revoked.is_some());
    revoke(&service, &id).unwrap();
    assert_holds(&service, 3, &[5], Some(&id));
}

#[test]
fn a_key_that_is_revoked_while_redis_is_away_ends_at_once_and_is_written_later() {
    // With `everysec`, a Redis whose disk is busy answers before it writes.
    let mut redis = Redis::with(&["--appendonly yes", "--appendfsync always"]);
    let service = serve(&redis);
    let project = Project::new("default").unwrap();
    let new = NewKey { name: "a".to_owned(), project, role: Role::Worker, not_before: None, expires: None };
    let (record, token) = service.access.create_key(new, &Actor::service(), Clock::wall()).unwrap();
    let is_let_in = || service.access.verify(token.expose(), Clock::wall()).is_ok();
    assert!(is_let_in());
    set_limit(&service, 5).unwrap();
    let before = service.access.changes();
    redis.kill();
    for _ in 0..2 {
        let error = revoke(&service, &record.id).unwrap_err();
        assert!(matches!(error, Error::RevokedHere { .. }), "{error}");
        assert!(error.client_message().contains("revoked in this service"));
        assert!(!is_let_in());
    }
    // What is open on it was told to look again.
    assert!(before.is_news());
    let keep = || Keeper::new(service.clock.now()).step(&service, service.clock.now());
    keep();
    assert!(!is_let_in());
    redis.start_again();
    keep();
    assert_holds(&service, 3, &[5], Some(&record.id));
    assert!(!is_let_in());
    // Again: it is written already.
    revoke(&service, &record.id).unwrap();
    drop(service);
    let service = serve(&redis);
    assert!(service.access.record(&record.id).unwrap().revoked.is_some());
}

#[test]
fn a_restoration_that_is_cut_off_is_begun_again() {
    let redis = Redis::start();
    let service = serve(&redis);
    set_limit(&service, 5).unwrap();
    redis.ask::<String>(&["FLUSHALL"]).unwrap();
    assert!(is_lost(service.store.commit(&Second::default())));
    redis.pause(true);
    service.store.restore_lost(&[]).unwrap_err();
    redis.pause(false);
    // The writer opened it again, which it never heard: it is its own fence that is newer.
    until("a store that is opened late", || {
        redis.ask::<Option<u64>>(&["HGET", "hw:{0}:meta", "fence"]).is_ok_and(|fence| fence.is_some())
            || redis.ask::<u64>(&["DBSIZE"]).is_ok_and(|size| size == 0)
    });
    assert!(is_lost(service.store.commit(&Second::default())));
    service.store.restore_lost(&[]).unwrap();
    assert_holds(&service, 1, &[5], None);
}

/// What is decided holds while Redis has lost it, and after it has it again: nobody is let in or cut off by a loss.
#[track_caller]
fn check_loss(redis: &Redis, loses: impl FnOnce()) {
    let service = serve(redis);
    let (kept, revoked) = (new_key(&service.access), new_key(&service.access));
    set_limit(&service, 5).unwrap();
    service.store.commit(&Second::default()).unwrap();
    redis.ask::<String>(&["SAVE"]).unwrap();
    revoke(&service, &revoked).unwrap();
    set_limit(&service, 6).unwrap();
    let (changes, before) = (service.access.changes(), service.access.records());
    loses();
    let step = || Keeper::new(service.clock.now()).step(&service, service.clock.now());
    let assert_unchanged = || {
        let mut records = service.access.records();
        let stable = |records: &mut Vec<_>| {
            records.iter().map(|r: &highwater::access::KeyRecord| (r.id.clone(), r.revoked)).collect::<Vec<_>>()
        };
        assert_eq!(stable(&mut records), stable(&mut before.clone()));
        assert!(!changes.is_news(), "what is open would look again at what it was let in by");
    };
    step();
    assert_unchanged();
    assert!(service.health.degraded().iter().any(|trouble| trouble.contains("went back, or was emptied")));
    assert!(is_lost(service.store.audit_end()) && is_lost(service.store.limits()));
    assert!(is_lost(service.store.commit(&Second::default())));
    service.store.restore_lost(&[]).unwrap();
    step();
    assert_unchanged();
    assert_holds(&service, 5, &[5, 6], Some(&revoked));
    assert!(service.access.record(&kept).unwrap().revoked.is_none());
}

#[test]
fn a_redis_that_was_emptied_takes_no_key_or_limit_with_it() {
    let redis = Redis::start();
    check_loss(&redis, || drop(redis.ask::<String>(&["FLUSHALL"]).unwrap()));
}

#[test]
fn a_redis_that_went_back_makes_no_revoked_key_good_again() {
    let redis = Redis::with(&["--enable-debug-command yes"]);
    check_loss(&redis, || drop(redis.ask::<String>(&["DEBUG", "RELOAD", "NOSAVE"]).unwrap()));
}

#[test]
fn a_redis_that_loses_everything_again_and_again_gets_it_each_time() {
    let redis = Redis::start();
    let service = serve(&redis);
    let ticks = 3_600..3_620;
    for tick in ticks.clone() {
        service.store.commit(&Second { frames: vec![frame(tick)], ..Second::default() }).unwrap();
    }
    for _ in 0..20 {
        lose(&redis, &*service.store);
        let stored: Vec<_> = service.store.frames().unwrap().iter().map(|frame| frame.tick).collect();
        assert_eq!(stored, ticks.clone().collect::<Vec<_>>());
    }
    // Also what came to be remembered meanwhile, and after so many seconds that the first are remembered no more.
    for tick in 3_620..3_660 {
        service.store.commit(&Second { frames: vec![frame(tick)], ..Second::default() }).unwrap();
    }
    lose(&redis, &*service.store);
    let stored: Vec<_> = service.store.frames().unwrap().iter().map(|frame| frame.tick).collect();
    assert_eq!(stored, (3_630..3_660).collect::<Vec<_>>());
}
