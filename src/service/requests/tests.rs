//! Requests through the service's own door, on a store in memory.

use std::time::Duration;

use super::*;
use crate::{
    config::{Config, RawConfig},
    model::{Kind, Meter},
    service::{Author, Clock, Limits},
    store::EmbeddedStore,
};

fn service() -> Arc<Service> {
    let config = Config::build(&RawConfig::default(), None).unwrap();
    Service::open(config, Arc::new(EmbeddedStore::in_memory().unwrap()), Clock::start()).unwrap()
}

fn again(service: &Service) -> Arc<Service> {
    Service::open(service.config.clone(), service.store.clone(), Clock::start()).unwrap()
}

fn key(project: &str) -> Key {
    let meter = Meter::new(Kind::Tts, "cartesia/sonic-3", "", None).unwrap();
    Key { project: Project::new(project).unwrap(), target: Target::Meter(meter) }
}

fn asked(project: &str, wanted: u32) -> Asked {
    let Key { project, target } = key(project);
    Asked { project, target, wanted, reason: "launch".to_owned(), end: None, evidence: Evidence::default() }
}

fn at(seconds: u64) -> Now {
    Now::at(Time::from_secs(1_700_000_000 + seconds))
}

fn ops() -> Actor {
    Actor { key: "ops".into(), ..Actor::service() }
}

fn grant(slots: u32, word: &str) -> Grant {
    Grant { slots, end: None, word: word.to_owned() }
}

#[test]
fn an_approval_sets_the_limit_in_the_step_of_its_rows() {
    let service = service();
    let author = Author { set_by: "kim".to_owned(), reason: String::new(), actor: ops() };
    service.set_limit(&key("acme"), 20, None, author, at(0)).unwrap();
    let refused = service.ask_increase(asked("acme", 20), &ops(), at(1)).unwrap_err();
    assert!(refused.client_message().contains("not above the limit in force, 20"), "{refused}");
    let request = service.ask_increase(asked("acme", 26), &ops(), at(1)).unwrap();
    assert_eq!((request.is_open(), request.evidence.limit), (true, Some(20)));
    let end = service.store.audit_end().unwrap();
    let granted = Grant { end: Some(at(99).wall), ..grant(24, "half of it") };
    let decided = service.decide_increase(&request.id, granted, &ops(), at(2)).unwrap();
    let decision = decided.decision.as_ref().unwrap();
    assert_eq!((decision.ruling, decision.slots, &*decision.by), (Ruling::ApprovedInPart, 24, "ops"));
    assert_eq!(service.store.audit_end().unwrap(), end + 2, "the decision and the limit");
    let id = service.live.registry.find(&key("acme")).unwrap().id;
    let after = again(&service);
    for limits in [&service.limits, &after.limits, &Limits::load(service.store.limits().unwrap())] {
        assert_eq!([2, 98, 99].map(|second| limits.slots_at(id, at(second).wall)), [Some(24), Some(24), Some(20)]);
    }
    let entry = service.limits.of(id).in_force(at(3).wall).cloned().unwrap();
    assert_eq!((&*entry.set_by, entry.reason), ("ops", format!("request {}: launch", request.id)));
    assert_eq!(after.requests.list(None), service.requests.list(None));
    let again = service.decide_increase(&request.id, grant(26, ""), &ops(), at(3)).unwrap_err();
    assert_eq!(again, Error::OutOfOrder("the request is approved in part: ask anew".into()));
}

#[test]
fn what_the_store_does_not_take_was_not_decided() {
    let service = service();
    let request = service.ask_increase(asked("acme", 26), &ops(), at(0)).unwrap();
    let end = service.store.audit_end().unwrap();
    assert!(service.decide_increase(&request.id, grant(0, ""), &ops(), at(1)).is_err(), "without a word");
    assert!(service.decide_increase("nothing", grant(26, ""), &ops(), at(1)).is_err());
    assert!(service.requests.get(&request.id).unwrap().is_open());
    assert_eq!((service.store.audit_end().unwrap(), service.store.limits().unwrap()), (end, vec![]));
    service.decide_increase(&request.id, grant(0, "no room"), &ops(), at(1)).unwrap();
    assert_eq!(service.store.limits().unwrap(), [], "what is declined sets nothing");
}

#[test]
fn open_requests_are_bounded_and_the_oldest_that_are_over_go() {
    let service = service();
    let ask = |second| service.ask_increase(asked("acme", 26), &ops(), at(second));
    let first = ask(0).unwrap();
    let others: Vec<_> = (1..MOST_OPEN as u64).map(|second| ask(second).unwrap()).collect();
    assert_eq!(ask(30), Err(Error::Bound { name: "open requests of a project", most: 20 }));
    assert!(service.ask_increase(asked("beside", 26), &ops(), at(30)).is_ok());
    let withdraw = |id: &str, second| service.withdraw_increase(id, (&|_| true, &|_| true), &ops(), at(second));
    withdraw(&first.id, 31).unwrap();
    for nth in 0..MOST_KEPT as u64 - MOST_OPEN as u64 {
        let id = ask(40 + nth).unwrap().id.clone();
        withdraw(&id, 40 + nth).unwrap();
    }
    let kept = service.requests.list(Some(&key("acme").project));
    assert_eq!((kept.len(), service.requests.get(&first.id)), (MOST_KEPT, service.requests.get(&first.id)));
    ask(5_000).unwrap();
    let kept = service.requests.list(Some(&key("acme").project));
    assert_eq!((kept.len(), service.requests.get(&first.id)), (MOST_KEPT, None), "it was over first");
    assert!(others.iter().all(|open| service.requests.get(&open.id).is_some()));
    assert_eq!(service.store.documents(Shelf::Requests).unwrap().len(), MOST_KEPT + 1);
    assert!(kept.is_sorted_by_key(|request| std::cmp::Reverse(request.created)));
}

#[test]
fn a_request_of_another_process_is_taken_over() {
    let one = service();
    let other = again(&one);
    let request = one.ask_increase(asked("acme", 26), &ops(), at(0)).unwrap();
    assert_eq!(other.requests.get(&request.id), None);
    other.refresh_decisions().unwrap();
    assert_eq!(other.requests.get(&request.id), Some(request.clone()));
    other.decide_increase(&request.id, grant(30, ""), &ops(), at(1)).unwrap();
    one.refresh_decisions().unwrap();
    assert_eq!(one.requests.get(&request.id), other.requests.get(&request.id));
}

#[test]
fn requests_go_with_their_project() {
    let service = service();
    let request = service.ask_increase(asked("acme", 26), &ops(), at(0)).unwrap();
    let stays = service.ask_increase(asked("beside", 26), &ops(), at(0)).unwrap();
    assert!(again(&service).live.registry.has_project(&request.project), "though nothing was ever reported for it");
    let (_, done) = service.delete_project(&request.project, &ops(), at(1)).unwrap();
    service.forget_leaving(at(2)).unwrap();
    done.recv_timeout(Duration::from_secs(1)).unwrap();
    assert_eq!(service.requests.list(None), std::slice::from_ref(&stays));
    assert_eq!(again(&service).requests.list(None), [stays]);
}
