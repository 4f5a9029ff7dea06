//! Which fields a request has.

use prost_reflect::{Kind, MessageDescriptor};

pub fn names(descriptor: &MessageDescriptor, what: &str) -> bool {
    descriptor.fields().any(|field| {
        // A key's project is told, and not asked for.
        let within = if what == "id" { "api_key" } else { "hello" };
        let nested = field.name() == within && matches!(field.kind(), Kind::Message(_));
        field.name() == what || (nested && matches!(field.kind(), Kind::Message(inner) if names(&inner, what)))
    })
}
