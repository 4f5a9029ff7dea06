//! What calls of alerts name: a rule that every project has, a recipient, and an alert that fires.

use highwater::{
    alert::{Address, Recipient, Severity},
    model::{Key, Kind as Counted, Target},
    service::{Actor, Author},
};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, Value};

use crate::{access::project, redis_server::soon, serving::Serving};

const RECIPIENT: &str = "ops";
/// Rules, and fields of their messages, are those of the start.
const RULE: &str = "approaching";

/// What a field of an alert's call holds; `None` for fields of others.
pub fn value(field: &FieldDescriptor, alert: &str) -> Option<Value> {
    let text = |text: &str| Some(Value::String(text.to_owned()));
    let parent = field.parent_message();
    match (parent.name(), field.name()) {
        (_, "alert") => text(alert),
        (_, "rule_name") | ("AlertRule", "name") => text(RULE),
        (_, "recipient_name") | ("Recipient", "name") => text(RECIPIENT),
        ("Recipient", "mailbox") => text("ops@x.example"),
        ("AlertRule", "kind") => Some(Value::EnumNumber(1)),
        (_, "severity" | "least_severity") => Some(Value::EnumNumber(2)),
        (_, "percent") => Some(Value::U32(80)),
        (_, "rule" | "recipient" | "threshold") => {
            let Kind::Message(inner) = field.kind() else { return None };
            let mut message = DynamicMessage::new(inner.clone());
            for field in inner.fields() {
                if let Some(value) = value(&field, alert) {
                    message.set_field(&field, value);
                }
            }
            Some(Value::Message(message))
        }
        _ => None,
    }
}

/// A recipient, whom some calls delete.
pub fn recipient(serving: &Serving, of: &str) {
    let service = &serving.service;
    let recipient = Recipient {
        name: RECIPIENT.into(),
        project: project(of),
        address: Address::Mailbox("ops@x.example".into()),
        enabled: true,
        least: Severity::Info,
        quiet: None,
        unsubscribed: None,
        trouble: String::new(),
    };
    service.set_recipient(recipient, &Actor::offline(), service.clock.now()).unwrap();
}

/// The name of an alert of a project in which one slot is held, and may be.
pub async fn firing(serving: &Serving, of: &str) -> String {
    let service = &serving.service;
    let target = Target::KindPool { kind: Counted::Tts, account: "livekit".into() };
    let author = Author { set_by: "test".into(), reason: String::new(), actor: Actor::offline() };
    let key = Key { project: project(of), target };
    service.set_limit(&key, 1, None, author, service.clock.now()).unwrap();
    soon("an alert", || !service.alerts.list(Some(&project(of))).is_empty()).await;
    let found = service.alerts.list(Some(&project(of))).remove(0);
    highwater::service::alerts::name_of(found.alert.subject)
}
