//! What calls that ask for slots name, those that say whether anybody is refused one, and those of chains; and what they find.

use std::time::Duration;

use highwater::{
    model::{
        Chain, Kind as Counted,
        chain::{Draft, DraftModel},
    },
    route::{Action, ByHand},
    service::{Actor, Clock},
};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, Value};

use crate::{
    access::project,
    serving::{MODEL, Serving, id},
};

const CHAIN: &str = "agents";
const HOUR: Duration = Duration::from_secs(3_600);

/// What a field of such a call holds; `None` for fields of others.
pub fn value(field: &FieldDescriptor) -> Option<Value> {
    match (field.parent_message().name(), field.name()) {
        ("AcquireRequest" | "ReleaseRequest", "session_id") => Some(Value::Bytes(id(9).into())),
        ("SetEnforcementRequest", "mode") => Some(Value::EnumNumber(1)),
        ("SetChainRequest" | "DeleteChainRequest", "name") | ("SetOverrideRequest" | "EndOverrideRequest", "chain") => {
            Some(Value::String(CHAIN.to_owned()))
        }
        ("SetChainRequest", "kind") => Some(Value::EnumNumber(3)),
        ("SetChainRequest", "models") => Some(Value::List(vec![model(field)?])),
        ("SetOverrideRequest" | "EndOverrideRequest", "model") => model(field),
        ("SetOverrideRequest", "action") => Some(Value::EnumNumber(1)),
        ("SetOverrideRequest", "end_time") => in_an_hour(field),
        _ => None,
    }
}

fn message(field: &FieldDescriptor, values: [(&str, Value); 1]) -> Option<Value> {
    let Kind::Message(inner) = field.kind() else { return None };
    let mut message = DynamicMessage::new(inner);
    values.into_iter().for_each(|(name, value)| message.set_field_by_name(name, value));
    Some(Value::Message(message))
}

fn model(field: &FieldDescriptor) -> Option<Value> {
    message(field, [("model", Value::String(MODEL.to_owned()))])
}

fn in_an_hour(field: &FieldDescriptor) -> Option<Value> {
    let end = Clock::wall().after(HOUR).0 / 1_000_000;
    message(field, [("seconds", Value::I64(end as i64))])
}

/// A chain whose model is pinned; some calls delete the one, some end the other.
pub fn chain(serving: &Serving, of: &str) {
    let (service, project, actor) = (&serving.service, project(of), Actor::offline());
    let now = service.clock.now();
    let models = [DraftModel { model: MODEL, ..DraftModel::default() }];
    let draft = Draft { name: CHAIN, models: &models, ..Draft::default() };
    let chain = Chain::new(&project, Counted::Tts, &draft, &service.catalogue).unwrap();
    let said = ByHand {
        chain: CHAIN.into(),
        model: chain.models[0].clone(),
        action: Action::Pin,
        reason: "the matrix".to_owned(),
        set_by: "offline".to_owned(),
        start: now.wall,
        end: now.wall.after(HOUR),
    };
    service.set_chain(chain, String::new(), &actor, now).unwrap();
    service.say_by_hand(&project, said, &actor, now).unwrap();
}
