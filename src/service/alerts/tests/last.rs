//! What lasts long, and what is there no more: its end is told all the same, to who was told that it began.

use super::*;
use crate::alert::WebhookForm;

const DAY: u64 = 24 * 3_600;

fn webhook(name: &str, form: WebhookForm) -> Recipient {
    let address =
        Address::Webhook { url: format!("https://hooks.example/{name}"), form, secret: b"hush hush".to_vec() };
    Recipient { address, ..recipient(name) }
}

/// Lives so many seconds at a level, and takes what is to be told; who was told what.
fn live_at(service: &Arc<Service>, from: u64, to: u64, level: u32) -> Vec<(String, NoticeKind)> {
    let mut told = Vec::new();
    let mut tick = from;
    while tick < to {
        let next = (tick + 600).min(to);
        let frame = Frame { repeat: next - tick - 1, ..second(tick, level) };
        service.alerts.step(service, &[frame], &[], at(next - 1)).unwrap();
        told.extend(take(service, next - 1));
        tick = next;
    }
    told
}

fn take(service: &Arc<Service>, second: u64) -> Vec<(String, NoticeKind)> {
    let mut told = Vec::new();
    for delivered in service.alerts.claim(service, at(second), ROOM) {
        service.alerts.tried(service, &delivered, &Tried::Sent("250".into()), at(second));
        told.extend(delivered.batch.rows.iter().map(|row| (delivered.recipient.name.to_string(), row.notice)));
    }
    told
}

#[test]
fn the_end_of_an_alert_of_twenty_days_is_told_and_its_timeline_has_its_beginning() {
    let store = prepared(&["ops"]);
    let service = open(&store);
    assert_eq!(live_at(&service, 0, 20 * DAY, LIMIT), [("ops".to_owned(), NoticeKind::Fired)]);
    let alert = service.alerts.list(None).remove(0).alert;
    let told = service.alerts.deliveries(&alert).rows;
    assert!(told.iter().any(|row| row.notice == NoticeKind::Fired && row.is_told()), "{told:?}");
    drop(service);
    let service = open(&store);
    assert_eq!(live_at(&service, 20 * DAY, 20 * DAY + 7_200, 0), [("ops".to_owned(), NoticeKind::Resolved)]);
}

#[test]
fn an_alertmanager_hears_each_day_of_what_fires_still_and_others_do_not() {
    let store = prepared(&["ops"]);
    let service = open(&store);
    for recipient in [webhook("am", WebhookForm::Alertmanager), webhook("chat", WebhookForm::Slack)] {
        service.set_recipient(recipient, &Actor::service(), at(0)).unwrap();
    }
    let told = live_at(&service, 0, 9 * DAY, LIMIT);
    let to = |name: &str| told.iter().filter(|(to, _)| to == name).map(|(_, notice)| *notice).collect::<Vec<_>>();
    assert_eq!((to("ops"), to("chat")), (vec![NoticeKind::Fired], vec![NoticeKind::Fired]));
    let of_manager = to("am");
    assert_eq!(of_manager[0], NoticeKind::Fired);
    assert!((8..=9).contains(&of_manager[1..].len()), "each day: {of_manager:?}");
    assert!(of_manager[1..].iter().all(|notice| *notice == NoticeKind::Repeated), "{of_manager:?}");
    let ends = live_at(&service, 9 * DAY, 9 * DAY + 7_200, 0);
    assert_eq!(ends.iter().filter(|(_, notice)| *notice == NoticeKind::Resolved).count(), 3, "{ends:?}");
}

#[test]
fn who_was_told_of_a_project_that_is_deleted_is_told_the_end() {
    let store = prepared(&["ops", "lee"]);
    let service = open(&store);
    service.set_recipient(webhook("am", WebhookForm::Alertmanager), &Actor::service(), at(0)).unwrap();
    let demo = key().project;
    let mut told = live_at(&service, 0, 1, LIMIT);
    told.sort_unstable();
    assert_eq!(told.len(), 3, "{told:?}");
    // One who came since was told nothing.
    service.set_recipient(recipient("new"), &Actor::service(), at(2)).unwrap();
    let write = |documents| store.change(&crate::store::Change { documents, ..Default::default() });
    service.forget_alerts(&demo, at(3), write).unwrap();
    let secrets: Vec<_> = {
        let state = service.alerts.state();
        state.outbox.rows().filter_map(|row| state.recipient_of(row, &service)).map(|to| to.address).collect()
    };
    let Address::Webhook { form, .. } = webhook("am", WebhookForm::Alertmanager).address else { panic!() };
    assert!(
        secrets
            .iter()
            .any(|to| matches!(to, Address::Webhook { secret, form: of, .. } if secret == b"hush hush" && *of == form)),
        "{secrets:?}"
    );
    drop(service);
    // After a restart, and beside a new project of the same name with another of the same name.
    let service = open(&store);
    let other = Recipient { address: Address::Mailbox("other@x.example".into()), ..recipient("ops") };
    service.set_recipient(other, &Actor::service(), at(4)).unwrap();
    let mut addresses = Vec::new();
    for delivered in service.alerts.claim(&service, at(5), ROOM) {
        let row = &delivered.batch.rows[0];
        assert_eq!((row.notice, &row.project), (NoticeKind::Resolved, &demo), "{row:?}");
        assert!(row.detail.contains("deleted"), "{row:?}");
        addresses.push(match &delivered.recipient.address {
            Address::Mailbox(mailbox) => mailbox.clone(),
            Address::Webhook { url, .. } => url.clone(),
        });
        service.alerts.tried(&service, &delivered, &Tried::Sent("250".into()), at(5));
    }
    addresses.sort();
    assert_eq!(addresses, ["https://hooks.example/am", "lee@x.example", "ops@x.example"]);
    assert!(take(&service, 10_000).is_empty(), "once");
    // It was on its way as the project was deleted: nothing of it comes back.
    assert!(service.alerts.state().outbox.rows().all(|row| !row.gone.is_empty()));
}

#[test]
fn what_was_on_its_way_as_its_project_was_deleted_does_not_come_back() {
    let store = prepared(&["ops"]);
    let service = open(&store);
    service.alerts.step(&service, &[second(0, LIMIT)], &[], at(0)).unwrap();
    let delivered = service.alerts.claim(&service, at(0), ROOM).remove(0);
    let write = |documents| store.change(&crate::store::Change { documents, ..Default::default() });
    service.forget_alerts(&key().project, at(1), write).unwrap();
    service.alerts.tried(&service, &delivered, &Tried::Failed("451".into()), at(2));
    let rows: Vec<_> = service.alerts.state().outbox.rows().map(|row| (row.notice, row.due)).collect();
    let lease = crate::alert::outbox::LEASE;
    assert_eq!(rows, [(NoticeKind::Resolved, at(0).wall.after(lease))], "its end does not overtake it");
    assert_eq!(store.documents(Shelf::Outbox).unwrap().len(), 1);
}

fn configured(store: &Arc<EmbeddedStore>, mailboxes: &str) -> Arc<Service> {
    let text = format!("[alerts]\nrecipients = '{mailboxes}'\n[smtp]\nhost = 'localhost'\nfrom = 'h@x.example'\n");
    let config = Config::build(&RawConfig::default(), Some((std::path::Path::new("h.toml"), &text))).unwrap();
    Service::open(config, store.clone(), Clock::start()).unwrap()
}

/// The mailboxes that are told of the demo.
fn mailboxes(service: &Service) -> Vec<String> {
    let told = service.alerts.recipients(&key().project).into_iter().filter(Recipient::is_told);
    told.map(|recipient| format!("{:?}", recipient.address)).collect()
}

#[test]
fn who_unsubscribed_has_so_wherever_they_stand_in_the_configuration() {
    let store = Arc::new(EmbeddedStore::in_memory().unwrap());
    let demo = key().project;
    let service = configured(&store, "a@x.example, b@x.example");
    let name = unsubscribe::name_of_mailbox("a@x.example");
    let token = service.unsubscribe_token(&demo, &name, "a@x.example");
    service.unsubscribe(&demo, &name, &token, at(0)).unwrap();
    let expected = ["Mailbox(\"b@x.example\")"];
    assert_eq!(mailboxes(&service), expected);
    drop(service);
    for order in ["b@x.example, a@x.example", "b@x.example, b@x.example, a@x.example"] {
        assert_eq!(mailboxes(&configured(&store, order)), expected, "{order}");
    }
}

#[test]
fn who_unsubscribed_by_their_place_in_the_configuration_has_so_by_their_address() {
    let store = Arc::new(EmbeddedStore::in_memory().unwrap());
    let old = Recipient {
        address: Address::Mailbox("a@x.example".into()),
        unsubscribed: Some(Time(7)),
        ..recipient("configured-1")
    };
    let document = crate::store::Document {
        shelf: Shelf::Recipients,
        name: named(&old.project, &old.name),
        bytes: Some(record::encode_recipient(&old, |_| Vec::new())),
    };
    store.change(&crate::store::Change { documents: vec![document], ..Default::default() }).unwrap();
    let service = configured(&store, "b@x.example, a@x.example");
    assert_eq!(mailboxes(&service), ["Mailbox(\"b@x.example\")"]);
    service.alerts.step(&service, &[], &[], at(0)).unwrap();
    let names: Vec<_> = store.documents(Shelf::Recipients).unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [format!("demo/{}", unsubscribe::name_of_mailbox("a@x.example"))]);
}

#[test]
fn a_token_is_of_an_address_and_ends_nothing_of_another() {
    let store = prepared(&["ops"]);
    let service = open(&store);
    let demo = key().project;
    let token = service.unsubscribe_token(&demo, "ops", "ops@x.example");
    assert!(service.is_unsubscribe_token(&demo, "ops", &token));
    let moved = Recipient { address: Address::Mailbox("kim@x.example".into()), ..recipient("ops") };
    service.set_recipient(moved, &Actor::service(), at(1)).unwrap();
    assert!(!service.is_unsubscribe_token(&demo, "ops", &token));
    assert!(service.unsubscribe(&demo, "ops", &token, at(2)).is_err(), "kim did not ask for it");
    // A webhook has no such link, whatever is signed.
    service.set_recipient(webhook("chat", WebhookForm::Slack), &Actor::service(), at(3)).unwrap();
    let none = service.unsubscribe_token(&demo, "chat", "");
    assert!(service.unsubscribe(&demo, "chat", &none, at(4)).is_err());
    let nobody = service.unsubscribe_token(&demo, "nobody", "");
    assert!(service.unsubscribe(&demo, "nobody", &nobody, at(4)).is_err());
}

#[test]
fn who_takes_the_place_of_one_that_unsubscribed_has_not_unsubscribed() {
    let store = Arc::new(EmbeddedStore::in_memory().unwrap());
    let demo = key().project;
    let first = configured(&store, "a@x.example");
    let name = unsubscribe::name_of_mailbox("a@x.example");
    let token = first.unsubscribe_token(&demo, &name, "a@x.example");
    first.unsubscribe(&demo, &name, &token, at(0)).unwrap();
    assert_eq!(mailboxes(&first), [""; 0]);
    drop(first);
    assert_eq!(mailboxes(&configured(&store, "b@x.example")), ["Mailbox(\"b@x.example\")"]);
}

#[test]
fn of_more_who_are_told_than_are_shown_all_are_summed_and_those_who_were_not_reached_come_first() {
    const TOLD: usize = 60;
    let names: Vec<_> = (0..TOLD).map(|nth| format!("on-call-{nth:02}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let service = open(&prepared(&names));
    service.alerts.step(&service, &[second(0, LIMIT)], &[], at(1)).unwrap();
    for second in 1..=10 {
        for delivered in service.alerts.claim(&service, at(second), ROOM) {
            let tried = match &*delivered.recipient.name {
                "on-call-00" => Tried::Refused("550 no such user".into()),
                _ => Tried::Sent("250".into()),
            };
            service.alerts.tried(&service, &delivered, &tried, at(second));
        }
    }
    let alert = service.alerts.list(None).remove(0).alert;
    let deliveries::Deliveries { rows, sums } = service.alerts.deliveries(&alert);
    assert_eq!(sums, deliveries::Sums { sent: 59, undeliverable: 1, ..Default::default() });
    assert_eq!(rows.len(), deliveries::MOST_SHOWN);
    assert!(rows.iter().any(|row| &*row.recipient == "on-call-00"), "{rows:?}");
}
