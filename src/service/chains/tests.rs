//! What is decided of chains, under a clock of our own.

use std::{sync::Arc, time::Duration};

use super::*;
use crate::{
    config::{Config, RawConfig},
    error::Error,
    model::{
        Kind, Now,
        chain::{Draft, DraftModel},
    },
    route::Action,
    service::{Actor, Clock, Service},
    store::EmbeddedStore,
};

fn service() -> Arc<Service> {
    let config = Config::build(&RawConfig::default(), None).unwrap();
    Service::open(config, Arc::new(EmbeddedStore::in_memory().unwrap()), Clock::start()).unwrap()
}

fn again(service: &Service) -> Arc<Service> {
    Service::open(service.config.clone(), service.store.clone(), Clock::start()).unwrap()
}

fn at(seconds: u64) -> Now {
    Now::at(Time::from_secs(1_700_000_000 + seconds))
}

fn acme() -> Project {
    Project::new("acme").unwrap()
}

fn set(service: &Service, name: &str, models: &[&str], second: u64) -> Result<ChainSet, Error> {
    let models: Vec<_> = models.iter().map(|model| DraftModel { model, ..DraftModel::default() }).collect();
    let draft = Draft { name, models: &models, ..Draft::default() };
    let chain = Chain::new(&acme(), Kind::Tts, &draft, &service.catalogue).unwrap();
    service.set_chain(chain, String::new(), &Actor::offline(), at(second))
}

/// Said from a second on, for a minute.
fn say(service: &Service, action: Action, model: &str, second: u64) -> Result<ByHand, Error> {
    let said = ByHand {
        chain: "agents".into(),
        model: Meter::new(Kind::Tts, model, "", None).unwrap(),
        action,
        reason: "it crackles".to_owned(),
        set_by: "kim".to_owned(),
        start: at(second).wall,
        end: at(second).wall.after(Duration::from_secs(60)),
    };
    service.say_by_hand(&acme(), said, &Actor::offline(), at(second)).map(|(said, _)| said)
}

fn stored(service: &Service) -> Arc<ProjectChains> {
    Chains::load(&*service.store).unwrap().of(&acme())
}

#[test]
fn what_comes_to_its_end_is_removed_once_and_whoever_follows_sees_that_something_changed() {
    let service = service();
    set(&service, "agents", &["a/one", "a/two"], 0).unwrap();
    let first = say(&service, Action::Drain, "a/one", 0).unwrap();
    let second = say(&service, Action::Pin, "a/two", 30).unwrap();
    let version = service.chains.version();
    service.end_over_by_hand(at(59)).unwrap();
    assert_eq!((service.chains.version(), service.chains.of(&acme()).by_hand.len()), (version, 2));
    // Beyond its end it holds for nobody, also where it is not removed yet.
    let ended = service.end_by_hand((&acme(), "agents", &first.model), "", &Actor::offline(), at(60));
    assert!(matches!(ended, Err(Error::NotFound { .. })), "{ended:?}");
    assert!(say(&service, Action::Drain, "a/two", 60).is_ok(), "nor does it keep another from being said");
    assert!(service.chains.version() > version);
    service.end_over_by_hand(at(61)).unwrap();
    let left: Vec<_> =
        service.chains.of(&acme()).by_hand.iter().map(|said| (said.model.clone(), said.action)).collect();
    assert_eq!(left, [(second.model, Action::Drain)]);
    assert_eq!(stored(&service), service.chains.of(&acme()));
    let rows = service.ledger.head().0;
    service.end_over_by_hand(at(62)).unwrap();
    assert_eq!(service.ledger.head().0, rows);
}

#[test]
fn what_is_over_when_the_service_starts_is_removed_by_its_first_second() {
    let service = service();
    set(&service, "agents", &["a/one", "a/two"], 0).unwrap();
    say(&service, Action::Pin, "a/one", 0).unwrap();
    let after = again(&service);
    assert!(after.live.registry.has_project(&acme()), "though nothing was ever reported for it");
    assert_eq!(after.chains.of(&acme()), service.chains.of(&acme()));
    after.end_over_by_hand(at(4_000)).unwrap();
    assert!(after.chains.of(&acme()).by_hand.is_empty() && stored(&after).by_hand.is_empty());
}

#[test]
fn a_chain_of_another_process_is_taken_over() {
    let one = service();
    let other = again(&one);
    set(&one, "agents", &["a/one"], 0).unwrap();
    let version = other.chains.version();
    other.refresh_decisions().unwrap();
    assert_eq!(other.chains.of(&acme()), one.chains.of(&acme()));
    assert!(other.chains.version() > version);
    set(&other, "beside", &["a/two"], 1).unwrap();
    one.refresh_decisions().unwrap();
    assert_eq!(one.chains.of(&acme()), other.chains.of(&acme()));
    assert_eq!(one.chains.projects(), [acme()]);
}

#[test]
fn a_chain_whose_models_would_all_be_drained_is_not_taken() {
    let service = service();
    set(&service, "agents", &["a/one", "a/two"], 0).unwrap();
    say(&service, Action::Drain, "a/one", 0).unwrap();
    let refused = set(&service, "agents", &["a/one"], 1).unwrap_err();
    assert!(matches!(&refused, Error::Invalid(problem) if problem.field == "models"), "{refused:?}");
    assert_eq!(service.chains.of(&acme()).find("agents").unwrap().models.len(), 2);
    set(&service, "agents", &["a/one"], 60).expect("the drain is over");
    assert_eq!(service.chains.of(&acme()).said_of("agents").count(), 1, "until its second is looked at");
}
