//! What calls that ask for slots name, and those that say whether anybody is refused one.

use prost_reflect::{FieldDescriptor, Value};

use crate::serving::id;

/// What a field of such a call holds; `None` for fields of others.
pub fn value(field: &FieldDescriptor) -> Option<Value> {
    match (field.parent_message().name(), field.name()) {
        ("AcquireRequest" | "ReleaseRequest", "session_id") => Some(Value::Bytes(id(9).into())),
        ("SetEnforcementRequest", "mode") => Some(Value::EnumNumber(1)),
        _ => None,
    }
}
