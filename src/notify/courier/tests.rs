//! What the courier does with what a restart left to it, and with what it may not send.

use super::*;
use crate::{
    alert::facts::Stands,
    config::{Config, RawConfig},
    live::Event,
    model::{Incarnation, Key, Kind, Meter, SessionId, Target},
    service::{Actor, Author, Clock, record::Recorder},
    store::EmbeddedStore,
};

const ROOM: Room = Room { mails: 10, webhooks: 10 };
/// Held of each model, and its limit.
const HELD: u64 = 4;
const LIMIT: u32 = 3;

fn demo() -> Project {
    Project::new("demo").unwrap()
}

fn models() -> [Meter; 2] {
    ["a/m", "b/n"].map(|model| Meter::new(Kind::Tts, model, "", None).unwrap())
}

fn later(now: Now, seconds: u64) -> Now {
    let by = Duration::from_secs(seconds);
    Now { wall: now.wall.after(by), mono: now.mono.after(by) }
}

fn open(store: &Arc<EmbeddedStore>) -> Arc<Service> {
    let config = Config::build(&RawConfig::default(), None).unwrap();
    Service::open(config, store.clone(), Clock::start()).unwrap()
}

/// One worker holds more of each model than there may be.
fn hold(service: &Service, now: Now) {
    for model in models() {
        let meter = service.live.meter(&demo(), &model, now).unwrap();
        let id = |nth: u64| SessionId((u128::from(nth) << 32 | u128::from(meter.tally.id.0)).to_le_bytes());
        let event = |nth| Event::Open { id: id(nth), meter: meter.clone(), age: Duration::ZERO, labels: None };
        let (events, lease) = ((1..=HELD).map(event).collect(), Duration::from_secs(120));
        service.live.report(&demo(), "w", Incarnation([7; 16]), lease, events, now).unwrap();
    }
}

/// A service that crossed two limits, told nobody, and was started again; and a time a while later.
fn started_again() -> (Arc<Service>, Now) {
    let store = Arc::new(EmbeddedStore::in_memory().unwrap());
    let service = open(&store);
    let now = service.clock.now();
    service.set_recipient(unkept(&demo(), Address::Mailbox("ops@x.example".into())), &Actor::service(), now).unwrap();
    for model in models() {
        let author = Author { set_by: "kim".to_owned(), reason: String::new(), actor: Actor::service() };
        let key = Key { project: demo(), target: Target::Meter(model) };
        service.set_limit(&key, LIMIT, None, author, now).unwrap();
    }
    hold(&service, now);
    Recorder::default().step(&service, later(now, 1));
    drop(service);
    (open(&store), later(now, 70))
}

#[test]
fn what_is_not_known_after_a_restart_is_not_told_as_none() {
    let (service, now) = started_again();
    let delivered = service.alerts.claim(&service, now, ROOM).remove(0);
    let queries = Queries::new(service.clone());
    assert!(service.live.is_settling());
    let facts = gather(&queries, &delivered, "h", now);
    let subject = render(&facts).subject;
    assert!(subject.ends_with("was at 4 of 3, not known now"), "{subject}");
    assert_eq!(facts.also[0].now, Some(Stands { level: None, limit: Some(LIMIT) }), "nor of what is told beside it");
    assert_eq!((facts.trend, facts.holders.len()), (crate::alert::Trend::Steady, 0));

    hold(&service, now);
    Recorder::default().step(&service, later(now, 1));
    let facts = gather(&queries, &delivered, "h", later(now, 2));
    assert!(render(&facts).subject.contains("still at 4 of 3"), "{}", render(&facts).subject);
    assert_eq!(facts.also[0].now, Some(Stands { level: Some(HELD as u32), limit: Some(LIMIT) }));
}

#[tokio::test]
async fn nothing_is_sent_while_levels_settle() {
    let (service, now) = started_again();
    let mut courier = Courier::new(&service);
    courier.begin(now);
    assert!(courier.mails.is_empty(), "its reader would decide on a level that nobody knows");
    hold(&service, now);
    Recorder::default().step(&service, later(now, 1));
    courier.begin(later(now, 2));
    assert_eq!(courier.mails.len(), 1);
}

#[tokio::test]
async fn mails_that_wait_for_long_though_the_server_takes_them_are_told_to_operators() {
    let (service, now) = started_again();
    hold(&service, now);
    Recorder::default().step(&service, later(now, 1));
    let mut courier = Courier::new(&service);
    courier.pace = Some(Pace::new(1));
    // One of another has used up the minute.
    courier.pace.as_mut().unwrap().took(later(now, 400).mono);
    for seconds in [400, 411] {
        courier.begin(later(now, seconds));
    }
    let warnings = service.health.warnings();
    let expected = "notices: 2 wait, the longest for 8 min: `smtp.per_minute` lets 1 go out a minute";
    assert_eq!(warnings, [expected]);
    courier.begin(later(now, 461));
    assert_eq!(courier.mails.len(), 1);
    courier.begin(later(now, 530));
    assert!(service.health.warnings().is_empty(), "{:?}", service.health.warnings());
}

#[tokio::test]
async fn nothing_that_is_to_be_signed_is_sent_unsigned() {
    let queries = Queries::new(open(&Arc::new(EmbeddedStore::in_memory().unwrap())));
    let url = "https://hooks.example/x".to_owned();
    let address = Address::Webhook { url, form: WebhookForm::Standard, secret: Vec::new() };
    let recipient = unkept(&demo(), address);
    let tried = send_test(&queries, recipient, queries.service().clock.now()).await;
    assert!(matches!(&tried, Tried::Refused(words) if words.contains(NO_SECRET)), "{tried:?}");
}
