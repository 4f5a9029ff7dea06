//! What is snoozed is told of when that is over, what was decided before it included; and webhooks that can't be signed.

use super::*;
use crate::alert::{WebhookForm, recipient::NO_SECRET};

fn snooze(service: &Service, until: Now, now: Now) {
    service.snooze_alert(&key().project, "level-0", until.wall, "kim", &Actor::service(), now).unwrap();
}

/// What goes out in a second, and is taken.
fn sent(service: &Service, second: u64) -> Vec<NoticeKind> {
    let mut told = Vec::new();
    for delivered in service.alerts.claim(service, at(second), ROOM) {
        service.alerts.tried(service, &delivered, &Tried::Sent("250".into()), at(second));
        told.extend(delivered.batch.rows.iter().map(|row| row.notice));
    }
    told
}

/// A service with an alert that is told to `ops` from `tick` on, and how long it fires.
fn fires(store: &Arc<EmbeddedStore>, tick: u64) -> Arc<Service> {
    let service = open(store);
    service.alerts.step(&service, &[second(tick, LIMIT)], &[], at(tick)).unwrap();
    service
}

#[test]
fn what_waits_as_its_alert_is_snoozed_waits_until_that_is_over() {
    let store = prepared(&["ops"]);
    let service = fires(&store, 0);
    snooze(&service, at(3_600), at(1));
    assert_eq!(sent(&service, 1), []);
    // After a restart, too; and it is not late.
    let service = open(&store);
    assert_eq!(sent(&service, 1_800), []);
    assert_eq!(service.alerts.counted(at(1_800).wall).oldest_due, None);
    assert_eq!(sent(&service, 3_600), [NoticeKind::Fired]);
    assert_eq!(sent(&service, 9_000), [], "once");
}

#[test]
fn what_is_to_be_tried_again_waits_too() {
    let store = prepared(&["ops"]);
    let service = fires(&store, 0);
    let delivered = service.alerts.claim(&service, at(0), ROOM).remove(0);
    snooze(&service, at(3_600), at(1));
    // It was on its way.
    service.alerts.tried(&service, &delivered, &Tried::Failed("451".into()), at(2));
    assert_eq!(sent(&service, 1_800), []);
    assert_eq!(sent(&service, 3_600), [NoticeKind::Fired]);
}

#[test]
fn a_snooze_that_is_taken_back_loses_nothing() {
    let store = prepared(&["ops"]);
    let service = fires(&store, 0);
    snooze(&service, at(3_600), at(1));
    assert_eq!(sent(&service, 10), []);
    snooze(&service, at(0), at(20));
    assert_eq!(sent(&service, 20), [NoticeKind::Fired]);
}

#[test]
fn the_end_of_what_was_told_is_told_when_the_snooze_is_over() {
    let store = prepared(&["ops"]);
    let service = fires(&store, 0);
    assert_eq!(sent(&service, 0), [NoticeKind::Fired]);
    snooze(&service, at(7_200), at(1));
    let calm = Frame { repeat: 1_000, ..second(1, 0) };
    service.alerts.step(&service, &[calm], &[], at(1_001)).unwrap();
    assert_eq!(service.alerts.list(None)[0].alert.phase, Phase::Resolved);
    assert_eq!(sent(&service, 1_001), [], "nothing is told of it until then");
    assert_eq!(sent(&service, 7_200), [NoticeKind::Resolved]);
}

#[test]
fn what_began_and_ended_while_it_waited_is_told_in_one() {
    let store = prepared(&["ops"]);
    let service = fires(&store, 0);
    snooze(&service, at(7_200), at(1));
    let calm = Frame { repeat: 1_000, ..second(1, 0) };
    service.alerts.step(&service, &[calm], &[], at(1_001)).unwrap();
    assert_eq!(sent(&service, 1_001), []);
    assert_eq!(sent(&service, 7_200), [NoticeKind::FiredAndResolved]);
}

#[test]
fn the_peak_of_an_episode_is_that_up_to_now() {
    let store = prepared(&["ops"]);
    let service = fires(&store, 0);
    let told = service.alerts.list(None).remove(0).alert;
    service.alerts.step(&service, &[second(1, LIMIT + 7)], &[], at(1)).unwrap();
    service.alerts.step(&service, &[second(2, LIMIT)], &[], at(2)).unwrap();
    assert_eq!((told.peak, service.alerts.peak_of(&told)), (LIMIT, LIMIT + 7));
    service.alerts.step(&service, &[Frame { repeat: 9_000, ..second(3, 0) }], &[], at(9_003)).unwrap();
    assert_eq!(service.alerts.peak_of(&told), LIMIT + 7, "when it is over, too");
}

#[test]
fn who_wants_warnings_is_kept_from_none_by_a_rule_of_less() {
    let store = prepared(&[]);
    let service = open(&store);
    let lee = Recipient { least: Severity::Warning, ..recipient("lee") };
    service.set_recipient(lee, &Actor::service(), at(0)).unwrap();
    let rules = service.alerts.rules(&key().project);
    let near = rules.iter().find(|rule| &*rule.name == "near").unwrap();
    let info = AlertRule {
        name: "info".into(),
        severity: Severity::Info,
        threshold: Threshold::Slots(9),
        clear: Threshold::Slots(8),
        hold_seconds: 0,
        ..(**near).clone()
    };
    service.set_alert_rule(info, &Actor::service(), at(0)).unwrap();
    for tick in 0..60 {
        service.alerts.step(&service, &[second(tick, LIMIT - 1)], &[], at(tick)).unwrap();
    }
    assert_eq!(sent(&service, 200), [NoticeKind::Fired]);
}

fn signed(secret: &[u8]) -> Recipient {
    let url = "https://hooks.example/x".to_owned();
    Recipient {
        address: Address::Webhook { url, form: WebhookForm::Standard, secret: secret.to_vec() },
        ..recipient("hook")
    }
}

#[test]
fn a_signed_webhook_has_a_secret_and_keeps_one_that_can_not_be_opened() {
    let store = prepared(&[]);
    let service = open(&store);
    let refused = service.set_recipient(signed(b""), &Actor::service(), at(0)).unwrap_err();
    assert!(refused.to_string().contains(NO_SECRET), "{refused}");
    service.set_recipient(signed(&[7; 32]), &Actor::service(), at(0)).unwrap();
    service.set_recipient(signed(b""), &Actor::service(), at(0)).unwrap();
    let demo = key().project;
    let kept = |service: &Service| service.alerts.recipient(&demo, "hook").unwrap();
    assert!(!kept(&service).lacks_secret(), "the one that it had");
    // Sealed for another.
    let sealed = record::encode_recipient(&signed(&[7; 32]), |_| b"sealed by another key".to_vec());
    let name = named(&demo, "hook");
    let document = crate::store::Document { shelf: Shelf::Recipients, name: name.clone(), bytes: Some(sealed.clone()) };
    store.change(&crate::store::Change { documents: vec![document], ..Default::default() }).unwrap();
    let service = open(&store);
    assert!(kept(&service).trouble.contains(NO_SECRET), "{:?}", kept(&service));
    service.alerts.step(&service, &[second(0, LIMIT)], &[], at(0)).unwrap();
    let delivered = service.alerts.claim(&service, at(0), ROOM).remove(0);
    service.alerts.tried(&service, &delivered, &Tried::Refused("no secret".into()), at(0));
    assert_eq!(kept(&service).trouble, "no secret");
    let stored = store.documents(Shelf::Recipients).unwrap();
    assert!(stored.contains(&(name, sealed)), "it is not written over");
}
