//! What is read of the descriptors: which fields a request has, and who may make a call.

use highwater::api::auth::table::{Rule, TABLE};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};

pub fn names(descriptor: &MessageDescriptor, what: &str) -> bool {
    descriptor.fields().any(|field| {
        // A key's project is told, and not asked for.
        let within = if what == "id" { "api_key" } else { "hello" };
        let nested = field.name() == within && matches!(field.kind(), Kind::Message(_));
        field.name() == what || (nested && matches!(field.kind(), Kind::Message(inner) if names(&inner, what)))
    })
}

/// Who may make a call.
pub fn rule(method: &MethodDescriptor) -> Rule {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    TABLE.iter().find(|(row, _)| *row == path).unwrap().1
}

/// Whether a field is in a choice by itself, as `optional` fields are.
pub trait Alone {
    fn supports_presence_alone(&self) -> bool;
}

impl Alone for FieldDescriptor {
    fn supports_presence_alone(&self) -> bool {
        self.containing_oneof().is_some_and(|oneof| oneof.fields().len() == 1)
    }
}
