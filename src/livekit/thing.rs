//! What LiveKit holds, event by event and list by list, in our words: a thing is a participant, an egress or an ingress,
//! and has a kind, a room and a time at which it began. Which of them count, and how, is decided here.
//!
//! A participant of kind agent counts as `agent` alone, one of kind SIP as `sip`. Those of the kinds ingress and egress
//! are the ends of an ingress or egress in the room: these are counted from their own events and lists, and not twice. All
//! others, those of connectors, bridges and kinds that are not known yet, count as `participant`.

use std::time::Duration;

use crate::{
    livekit::{
        token::LEEWAY,
        wire::{Egress, Ingress, Named, Participant, Room, WebhookEvent},
    },
    model::{Kind, Outcome, Time},
};

/// Longest id of LiveKit's, in bytes: they have 15 or so. With its run it is a text id.
const MAX_ID_BYTES: usize = 63;
/// Longest name of a room, in bytes: LiveKit allows 256 by default.
const MAX_ROOM_BYTES: usize = 1_024;

/// One of LiveKit's lists, and what stands in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    Participants,
    Egress,
    Ingress,
}

/// Something that LiveKit holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    /// LiveKit's id: never used again, but for an ingress.
    pub id: Box<str>,
    /// Which run of the id it is, for an ingress, which may run again; else empty.
    pub run: Box<str>,
    pub kind: Kind,
    /// Name of its room.
    pub room: Box<str>,
    /// Id of its room, or the name where there is no id.
    pub room_id: Box<str>,
    /// By LiveKit's clock, when it says so.
    pub began: Option<Time>,
}

/// What an event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Began(List, Thing),
    Ended(List, Thing, Outcome),
    RoomEnded {
        room_id: Box<str>,
    },
    /// The room is alive.
    RoomLives {
        room_id: Box<str>,
    },
    Nothing,
}

/// A line of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub thing: Thing,
    /// False while it is neither here nor gone: it joins, or its source pauses. Then it is counted if it was.
    pub is_live: bool,
}

impl List {
    pub const ALL: [Self; 3] = [Self::Participants, Self::Egress, Self::Ingress];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Participants => "participants",
            Self::Egress => "egress",
            Self::Ingress => "ingress",
        }
    }

    /// The kinds that the list is about.
    pub const fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Participants => &[Kind::Agent, Kind::Participant, Kind::Sip],
            Self::Egress => &[Kind::Egress],
            Self::Ingress => &[Kind::Ingress],
        }
    }
}

impl Thing {
    /// What it is called where sessions are listed.
    pub fn name(&self) -> String {
        if self.run.is_empty() { self.id.to_string() } else { format!("{}/{}", self.id, self.run) }
    }
}

impl Said {
    /// What the event says of what is counted.
    pub fn of(event: &WebhookEvent) -> Self {
        let began = |list, thing: Option<Thing>| thing.map_or(Self::Nothing, |thing| Self::Began(list, thing));
        let ended = |list, thing: Option<Thing>, outcome| {
            thing.map_or(Self::Nothing, |thing| Self::Ended(list, thing, outcome))
        };
        let room_id: Box<str> = room_id(&event.room).into();
        match &*event.event {
            "participant_joined" => began(List::Participants, participant(&event.participant, &event.room)),
            // It goes on at another of LiveKit's nodes.
            "participant_left" if event.participant.disconnect_reason == MIGRATION => Self::RoomLives { room_id },
            "participant_left" | "participant_connection_aborted" => {
                let outcome = left(event.participant.disconnect_reason);
                ended(List::Participants, participant(&event.participant, &event.room), outcome)
            }
            "egress_started" | "egress_updated" | "egress_ended" => {
                let outcome = match (&*event.event, event.egress_info.status) {
                    (_, Named::Number(3)) => Some(Outcome::Ok),
                    (_, Named::Number(4)) => Some(Outcome::Other),
                    // Aborted, or ended by a limit on how long it may run.
                    (_, Named::Number(5 | 6)) => Some(Outcome::Cancelled),
                    ("egress_ended", _) => Some(Outcome::Ok),
                    _ => None,
                };
                match outcome {
                    None => began(List::Egress, egress(&event.egress_info)),
                    Some(outcome) => ended(List::Egress, egress(&event.egress_info), outcome),
                }
            }
            "ingress_started" => began(List::Ingress, ingress(&event.ingress_info)),
            "ingress_ended" => {
                let failed = event.ingress_info.state.status == Named::Number(3);
                let outcome = if failed { Outcome::Other } else { Outcome::Ok };
                ended(List::Ingress, ingress(&event.ingress_info), outcome)
            }
            "room_finished" if !room_id.is_empty() => Self::RoomEnded { room_id },
            "room_started" | "track_published" | "track_unpublished" => Self::RoomLives { room_id },
            _ => Self::Nothing,
        }
    }
}

/// `DisconnectReason` of a participant that goes on elsewhere.
const MIGRATION: Named = Named::Number(8);

fn left(reason: Named) -> Outcome {
    match reason {
        // Client, duplicate identity, removed, room deleted or closed, or none said.
        Named::Zero | Named::Unknown | Named::Number(1 | 2 | 4 | 5 | 10) => Outcome::Ok,
        // The server shut down, or a SIP trunk failed.
        Named::Number(3 | 13) => Outcome::Unavailable,
        // The signal connection broke, or who was called was away or declined.
        Named::Number(9 | 11 | 12) => Outcome::Cancelled,
        Named::Number(14) => Outcome::Timeout,
        Named::Number(_) => Outcome::Other,
    }
}

fn room_id(room: &Room) -> &str {
    cut(if room.sid.is_empty() { &room.name } else { &room.sid })
}

fn time(seconds: i64, finer: i64, finer_per_micro: i64, micros_per_finer: i64) -> Option<Time> {
    let micros = if finer > 0 {
        finer.saturating_mul(micros_per_finer) / finer_per_micro
    } else {
        seconds.saturating_mul(1_000_000)
    };
    u64::try_from(micros).ok().filter(|micros| *micros > 0).map(Time)
}

fn nanos(nanos: i64) -> Option<Time> {
    time(0, nanos, 1_000, 1)
}

fn participant(info: &Participant, room: &Room) -> Option<Thing> {
    let kind = match info.kind {
        Named::Number(1 | 2) => return None,
        Named::Number(3) => Kind::Sip,
        Named::Number(4) => Kind::Agent,
        _ => Kind::Participant,
    };
    let began = time(info.joined_at, info.joined_at_ms, 1, 1_000);
    thing(&info.sid, "", kind, &room.name, room_id(room), began)
}

fn egress(info: &Egress) -> Option<Thing> {
    let room = &*info.room_name;
    thing(&info.egress_id, "", Kind::Egress, room, room, nanos(info.started_at))
}

fn ingress(info: &Ingress) -> Option<Thing> {
    let (state, room) = (&info.state, &*info.room_name);
    let run = match (&*state.resource_id, state.started_at) {
        ("", 0) => String::new(),
        ("", started) => started.to_string(),
        (resource, _) => resource.to_owned(),
    };
    thing(&info.ingress_id, &run, Kind::Ingress, room, room, nanos(state.started_at))
}

/// None where an id is not one: it would reach a terminal, and be kept. The name of a room is a label: whatever it is, its
/// participants count.
fn thing(id: &str, run: &str, kind: Kind, room: &str, room_id: &str, began: Option<Time>) -> Option<Thing> {
    let is_id = |text: &str| text.len() <= MAX_ID_BYTES && !text.chars().any(char::is_control);
    let are_ids = !id.is_empty() && is_id(id) && is_id(run);
    let room = cut(room).replace(char::is_control, "\u{fffd}").into();
    let thing = Thing { id: id.into(), run: run.into(), kind, room, room_id: cut(room_id).into(), began };
    are_ids.then_some(thing)
}

/// As much of a room's name or id as is kept.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_ROOM_BYTES)]
}

/// A line of `ListParticipants`; none for those that are not counted, or have left.
pub fn listed_participant(info: &Participant, room: &Room) -> Option<Listed> {
    let is_live = match info.state {
        // A webhook says that it joined when it is active.
        Named::Zero | Named::Number(1) => false,
        Named::Number(3) => return None,
        _ => true,
    };
    Some(Listed { thing: participant(info, room)?, is_live })
}

/// A line of `ListEgress`; none for one that is over.
pub fn listed_egress(info: &Egress) -> Option<Listed> {
    let is_over = matches!(info.status, Named::Number(3..=6));
    let thing = egress(info).filter(|_| !is_over)?;
    Some(Listed { thing, is_live: true })
}

/// A line of `ListIngress`, which has those that do not run, too.
pub fn listed_ingress(info: &Ingress) -> Option<Listed> {
    let is_live = match info.state.status {
        Named::Number(1) => false,
        Named::Number(2) | Named::Unknown => true,
        _ => return None,
    };
    Some(Listed { thing: ingress(info)?, is_live })
}

/// How long before it came an event happened: by the clock of who made its token and it, in seconds since the Unix epoch, or
/// by ours, less what clocks may differ by where both are theirs. So one that is sent again with its old token grows old.
pub fn age(created_at: i64, made: Option<u64>, now: Time) -> Duration {
    let Ok(created) = u64::try_from(created_at) else { return Duration::ZERO };
    if created == 0 {
        return Duration::ZERO;
    }
    let by_ours = now.since(Time::from_secs(created));
    match made {
        Some(made) => Duration::from_secs(made.saturating_sub(created)).max(by_ours.saturating_sub(LEEWAY)),
        None => by_ours,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, expect: &str) {
        let said = match Said::of(&serde_json::from_str(json).unwrap()) {
            Said::Began(_, thing) => format!("+ {} {} in {}", thing.kind, thing.name(), thing.room),
            Said::Ended(_, thing, outcome) => format!("- {} {} {outcome}", thing.kind, thing.name()),
            Said::RoomEnded { room_id } => format!("room {room_id} ended"),
            Said::RoomLives { room_id } => format!("room {room_id} lives"),
            Said::Nothing => "nothing".to_owned(),
        };
        assert_eq!(said, expect, "{json}");
    }

    #[test]
    fn participants_count_by_their_kind_and_none_twice() {
        let joined = |kind: &str| {
            format!(
                r#"{{"event":"participant_joined","room":{{"sid":"RM_1","name":"call"}},
                "participant":{{"sid":"PA_1"{kind}}}}}"#
            )
        };
        check(&joined(""), "+ participant PA_1 in call");
        check(&joined(r#","kind":"STANDARD""#), "+ participant PA_1 in call");
        check(&joined(r#","kind":"CONNECTOR""#), "+ participant PA_1 in call");
        check(&joined(r#","kind":8"#), "+ participant PA_1 in call");
        check(&joined(r#","kind":"FROM_THE_FUTURE""#), "+ participant PA_1 in call");
        check(&joined("").replace("call", r"two\nlines\t"), "+ participant PA_1 in two\u{fffd}lines\u{fffd}");
        check(&joined("").replace("call", &"é".repeat(600)), &format!("+ participant PA_1 in {}", "é".repeat(512)));
        check(&joined(r#","kind":"SIP""#), "+ sip PA_1 in call");
        check(&joined(r#","kind":"AGENT""#), "+ agent PA_1 in call");
        check(&joined(r#","kind":"INGRESS""#), "nothing");
        check(&joined(r#","kind":2"#), "nothing");
        check(r#"{"event":"participant_joined"}"#, "nothing");
        check(r#"{"event":"participant_joined","participant":{"sid":"PA\u001b[31m"}}"#, "nothing");
        let long = "x".repeat(64);
        check(&format!(r#"{{"event":"participant_joined","participant":{{"sid":"{long}"}}}}"#), "nothing");
    }

    #[test]
    fn ends_have_outcomes() {
        let left = |reason: &str| {
            format!(r#"{{"event":"participant_left","room":{{"name":"call"}},"participant":{{"sid":"PA_1"{reason}}}}}"#)
        };
        check(&left(""), "- participant PA_1 ok");
        check(&left(r#","disconnectReason":"CLIENT_INITIATED""#), "- participant PA_1 ok");
        check(&left(r#","disconnectReason":"CONNECTION_TIMEOUT""#), "- participant PA_1 timeout");
        check(&left(r#","disconnectReason":"USER_REJECTED""#), "- participant PA_1 cancelled");
        check(&left(r#","disconnect_reason":3"#), "- participant PA_1 unavailable");
        check(&left(r#","disconnectReason":"AGENT_ERROR""#), "- participant PA_1 other");
        check(&left(r#","disconnectReason":"MIGRATION""#), "room call lives");
        let egress = |event: &str, status: &str| {
            format!(r#"{{"event":"{event}","egressInfo":{{"egressId":"EG_1","roomName":"call"{status}}}}}"#)
        };
        check(&egress("egress_started", ""), "+ egress EG_1 in call");
        check(&egress("egress_updated", r#","status":"EGRESS_ENDING""#), "+ egress EG_1 in call");
        check(&egress("egress_updated", r#","status":"EGRESS_FAILED""#), "- egress EG_1 other");
        check(&egress("egress_ended", r#","status":"EGRESS_COMPLETE""#), "- egress EG_1 ok");
        check(&egress("egress_ended", ""), "- egress EG_1 ok");
        let ingress = |event: &str, state: &str| {
            format!(
                r#"{{"event":"{event}","ingressInfo":{{"ingressId":"IN_1","roomName":"call","state":{{{state}}}}}}}"#
            )
        };
        check(&ingress("ingress_started", r#""startedAt":"17""#), "+ ingress IN_1/17 in call");
        check(&ingress("ingress_ended", r#""startedAt":"17","resourceId":"RS_2""#), "- ingress IN_1/RS_2 ok");
        check(&ingress("ingress_ended", r#""status":"ENDPOINT_ERROR""#), "- ingress IN_1 other");
        check(r#"{"event":"room_finished","room":{"sid":"RM_1"}}"#, "room RM_1 ended");
        check(r#"{"event":"room_finished"}"#, "nothing");
        check(r#"{"event":"something_new","room":{"sid":"RM_1"}}"#, "nothing");
    }

    #[test]
    fn ages_are_by_one_clock() {
        let now = Time::from_secs(5_000);
        assert_eq!(age(4_990, Some(4_993), now), Duration::from_secs(3));
        assert_eq!(age(4_990, Some(4_980), now), Duration::ZERO);
        // A clock that is ahead, or behind by less than a minute, makes nothing older; what is sent again later does.
        assert_eq!(age(5_030, Some(5_031), now), Duration::from_secs(1));
        assert_eq!(age(4_950, Some(4_951), now), Duration::from_secs(1));
        assert_eq!(age(4_900, Some(4_901), now), Duration::from_secs(40));
        assert_eq!(age(4_990, None, now), Duration::from_secs(10));
        assert_eq!((age(0, Some(100), now), age(-5, None, now)), (Duration::ZERO, Duration::ZERO));
    }

    #[test]
    fn times_come_in_seconds_milliseconds_and_nanoseconds() {
        assert_eq!(time(17, 0, 1, 1_000), Some(Time::from_secs(17)));
        assert_eq!(time(17, 17_250, 1, 1_000), Some(Time(17_250_000)));
        assert_eq!((time(0, 0, 1, 1_000), time(-1, 0, 1, 1_000)), (None, None));
        assert_eq!(nanos(17_250_000_000), Some(Time(17_250_000)));
    }
}
