//! LiveKit's messages as JSON, as far as they are read here. As protojson says: names in camelCase or snake_case, enums by
//! name or number, 64-bit numbers as numbers or texts, zero values left out, `null` for left out, unknown fields passed
//! over.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

/// A field that may be `null`, which means that it was left out.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// A message: an object, or `null`, and no list of its fields, which serde would take too.
fn object<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    struct Object<T>(PhantomData<T>);
    impl<'de, T: Default + Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(fields))
        }

        fn visit_unit<E>(self) -> Result<T, E> {
            Ok(T::default())
        }
    }
    from.deserialize_any(Object(PhantomData))
}

/// The event of a webhook's body.
///
/// # Errors
/// When it is none, with the line and the column.
pub fn event(body: &[u8]) -> serde_json::Result<WebhookEvent> {
    let mut from = serde_json::Deserializer::from_slice(body);
    let event = object(&mut from)?;
    from.end().map(|()| event)
}

/// A 64-bit number: a number, or a text that is one.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    struct Number;
    impl Visitor<'_> for Number {
        type Value = i64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a 64-bit number or a text of one")
        }

        fn visit_i64<E>(self, number: i64) -> Result<i64, E> {
            Ok(number)
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<i64, E> {
            i64::try_from(number).map_err(|_| E::custom("a number above 64 bits"))
        }

        fn visit_f64<E: de::Error>(self, number: f64) -> Result<i64, E> {
            // Protojson takes 1.0 and 1e3. Above 2^53 a float no longer is a whole number that was meant.
            let whole = number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0;
            if whole { Ok(number as i64) } else { Err(E::custom("a number that is not whole")) }
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<i64, E> {
            text.parse().map_err(|_| E::custom("a text that is not a 64-bit number"))
        }

        fn visit_unit<E>(self) -> Result<i64, E> {
            Ok(0)
        }
    }
    from.deserialize_any(Number)
}

/// The value of an enum: its number, or its name looked up in a table. Names that are not known are from a newer LiveKit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Named {
    /// What is left out is the first one.
    #[default]
    Zero,
    Number(i64),
    Unknown,
}

fn named<'de, D: Deserializer<'de>>(from: D, names: &[(&str, i64)]) -> Result<Named, D::Error> {
    struct Name<'n>(&'n [(&'n str, i64)]);
    impl Visitor<'_> for Name<'_> {
        type Value = Named;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the name or number of an enum's value")
        }

        fn visit_i64<E>(self, number: i64) -> Result<Named, E> {
            Ok(if number == 0 { Named::Zero } else { Named::Number(number) })
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<Named, E> {
            self.visit_i64(i64::try_from(number).map_err(|_| E::custom("no value of an enum"))?)
        }

        fn visit_str<E>(self, name: &str) -> Result<Named, E> {
            match self.0.iter().find(|(known, _)| *known == name) {
                Some((_, number)) => Ok(if *number == 0 { Named::Zero } else { Named::Number(*number) }),
                None => Ok(Named::Unknown),
            }
        }

        fn visit_unit<E>(self) -> Result<Named, E> {
            Ok(Named::Zero)
        }
    }
    from.deserialize_any(Name(names))
}

/// Makes a deserializer of each enum: its values by name, in the order of their numbers from 0.
macro_rules! names {
    ($($function:ident: $($name:literal = $number:literal),+;)+) => {$(
        fn $function<'de, D: Deserializer<'de>>(from: D) -> Result<Named, D::Error> {
            named(from, &[$(($name, $number)),+])
        }
    )+};
}

names! {
    kind: "STANDARD" = 0, "INGRESS" = 1, "EGRESS" = 2, "SIP" = 3, "AGENT" = 4, "CONNECTOR" = 7, "BRIDGE" = 8;
    state: "JOINING" = 0, "JOINED" = 1, "ACTIVE" = 2, "DISCONNECTED" = 3;
    reason: "UNKNOWN_REASON" = 0, "CLIENT_INITIATED" = 1, "DUPLICATE_IDENTITY" = 2, "SERVER_SHUTDOWN" = 3,
        "PARTICIPANT_REMOVED" = 4, "ROOM_DELETED" = 5, "STATE_MISMATCH" = 6, "JOIN_FAILURE" = 7, "MIGRATION" = 8,
        "SIGNAL_CLOSE" = 9, "ROOM_CLOSED" = 10, "USER_UNAVAILABLE" = 11, "USER_REJECTED" = 12,
        "SIP_TRUNK_FAILURE" = 13, "CONNECTION_TIMEOUT" = 14, "MEDIA_FAILURE" = 15, "AGENT_ERROR" = 16;
    egress_status: "EGRESS_STARTING" = 0, "EGRESS_ACTIVE" = 1, "EGRESS_ENDING" = 2, "EGRESS_COMPLETE" = 3,
        "EGRESS_FAILED" = 4, "EGRESS_ABORTED" = 5, "EGRESS_LIMIT_REACHED" = 6;
    ingress_status: "ENDPOINT_INACTIVE" = 0, "ENDPOINT_BUFFERING" = 1, "ENDPOINT_PUBLISHING" = 2,
        "ENDPOINT_ERROR" = 3, "ENDPOINT_COMPLETE" = 4;
}

/// An event of a webhook.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WebhookEvent {
    #[serde(deserialize_with = "or_default")]
    pub event: String,
    #[serde(deserialize_with = "object")]
    pub room: Room,
    #[serde(deserialize_with = "object")]
    pub participant: Participant,
    #[serde(alias = "egress_info", deserialize_with = "object")]
    pub egress_info: Egress,
    #[serde(alias = "ingress_info", deserialize_with = "object")]
    pub ingress_info: Ingress,
    #[serde(deserialize_with = "or_default")]
    pub id: String,
    /// Seconds.
    #[serde(alias = "created_at", deserialize_with = "number")]
    pub created_at: i64,
    /// Events that LiveKit gave up before this one.
    #[serde(alias = "num_dropped", deserialize_with = "number")]
    pub num_dropped: i64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Room {
    #[serde(deserialize_with = "or_default")]
    pub sid: String,
    #[serde(deserialize_with = "or_default")]
    pub name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Participant {
    #[serde(deserialize_with = "or_default")]
    pub sid: String,
    #[serde(deserialize_with = "state")]
    pub state: Named,
    #[serde(deserialize_with = "kind")]
    pub kind: Named,
    /// Seconds.
    #[serde(alias = "joined_at", deserialize_with = "number")]
    pub joined_at: i64,
    #[serde(alias = "joined_at_ms", deserialize_with = "number")]
    pub joined_at_ms: i64,
    #[serde(alias = "disconnect_reason", deserialize_with = "reason")]
    pub disconnect_reason: Named,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Egress {
    #[serde(alias = "egress_id", deserialize_with = "or_default")]
    pub egress_id: String,
    #[serde(alias = "room_name", deserialize_with = "or_default")]
    pub room_name: String,
    #[serde(deserialize_with = "egress_status")]
    pub status: Named,
    /// Nanoseconds.
    #[serde(alias = "started_at", deserialize_with = "number")]
    pub started_at: i64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Ingress {
    #[serde(alias = "ingress_id", deserialize_with = "or_default")]
    pub ingress_id: String,
    #[serde(alias = "room_name", deserialize_with = "or_default")]
    pub room_name: String,
    #[serde(deserialize_with = "object")]
    pub state: IngressState,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct IngressState {
    #[serde(deserialize_with = "ingress_status")]
    pub status: Named,
    /// Nanoseconds.
    #[serde(alias = "started_at", deserialize_with = "number")]
    pub started_at: i64,
    /// New with each run of an ingress that is used again.
    #[serde(alias = "resource_id", deserialize_with = "or_default")]
    pub resource_id: String,
}

/// Answer of `RoomService/ListRooms`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Rooms {
    #[serde(deserialize_with = "or_default")]
    pub rooms: Vec<Room>,
}

/// Answer of `RoomService/ListParticipants`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Participants {
    #[serde(deserialize_with = "or_default")]
    pub participants: Vec<Participant>,
}

/// A page of `Egress/ListEgress` or `Ingress/ListIngress`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Page<T: Default + serde::de::DeserializeOwned> {
    #[serde(deserialize_with = "or_default")]
    pub items: Vec<T>,
    #[serde(alias = "next_page_token", deserialize_with = "or_default")]
    pub next_page_token: PageToken,
}

impl<T: Default + serde::de::DeserializeOwned> Default for Page<T> {
    fn default() -> Self {
        Self { items: Vec::new(), next_page_token: PageToken::default() }
    }
}

#[derive(Clone, Debug, Default, Deserialize, serde::Serialize)]
#[serde(default)]
pub struct PageToken {
    #[serde(deserialize_with = "or_default")]
    pub token: String,
}

/// What LiveKit's API says when it does not do what it was asked.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Refused {
    #[serde(deserialize_with = "or_default")]
    pub code: String,
    #[serde(deserialize_with = "or_default")]
    pub msg: String,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn event(text: &str) -> WebhookEvent {
        super::event(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_list_of_fields_is_no_message() {
        let lists = [
            r#"["participant_joined",["RM","arr"],["PA_ARR",2,0,1]]"#,
            r#"{"event":"participant_joined","participant":["PA_ARR",2,0,1]}"#,
            r#"{"event":"ingress_started","ingressInfo":{"ingressId":"IN_1","state":[2]}}"#,
            r#"{"event":"room_started"} {}"#,
        ];
        lists.iter().for_each(|list| assert!(super::event(list.as_bytes()).is_err(), "{list}"));
        assert_eq!(event(r#"{"event":"room_started","room":null}"#).event, "room_started");
    }

    #[test]
    fn names_numbers_and_enums_are_read_in_all_their_forms() {
        let camel = event(
            r#"{"event":"participant_joined","id":"EV_1","createdAt":"17","participant":{"sid":"PA_1","kind":"SIP",
            "joinedAtMs":"17000","state":"ACTIVE","new":{"x":[1]}},"egressInfo":{"egressId":"EG_1","status":3}}"#,
        );
        let snake = event(
            r#"{"event":"participant_joined","id":"EV_1","created_at":17,"participant":{"sid":"PA_1","kind":3,
            "joined_at_ms":1.7e4,"state":2,"metadata":null},"egress_info":{"egress_id":"EG_1","status":"EGRESS_COMPLETE"}}"#,
        );
        assert_eq!(format!("{camel:?}"), format!("{snake:?}"));
        assert_eq!((camel.created_at, camel.participant.kind), (17, Named::Number(3)));
        assert_eq!(camel.egress_info.status, Named::Number(3));
    }

    #[test]
    fn what_is_left_out_or_null_is_zero_and_what_is_new_is_unknown() {
        let event = event(
            r#"{"event":null,"room":null,"createdAt":null,"participant":{"kind":"HOLOGRAM","state":null},
            "ingressInfo":{"state":{"status":"ENDPOINT_INACTIVE"}}}"#,
        );
        assert_eq!((&*event.event, event.created_at, event.participant.kind), ("", 0, Named::Unknown));
        assert_eq!((event.participant.state, event.ingress_info.state.status), (Named::Zero, Named::Zero));
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for text in ["", "[]x", "{\"createdAt\":\"soon\"}", "{\"createdAt\":1.5}", "{\"room\":7}", "{\"id\":1}"] {
            assert!(serde_json::from_str::<WebhookEvent>(text).is_err(), "{text}");
        }
    }
}
