//! `EventBatch`, written by hand: its events stay the bytes that came until they are looked at, one after the other. prost
//! would make a vector for each id and a message in a message for each event, which costs more than counting it does.

use prost::{
    DecodeError, Message,
    bytes::{Buf, BufMut},
    encoding::{
        DecodeContext, WireType, check_wire_type, decode_key, decode_varint, encode_key, encode_varint,
        encoded_len_varint, key_len, skip_field, uint64,
    },
};

use super::{Event, Labels};

const SEQ: u32 = 1;
const EVENTS: u32 = 2;

/// A batch of events, applied in order and as a whole. What its parts are is described in the contract.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct EventBatch {
    pub seq: u64,
    len: usize,
    /// Each event as a message with its length before it.
    events: Vec<u8>,
}

/// An event of a batch, as far as it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventView<'b> {
    pub age_us: u64,
    pub what: Option<What<'b>>,
}

/// What happened; the field that was said last counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What<'b> {
    Connect(SessionView<'b>),
    Disconnect(SessionView<'b>),
}

/// What a connect or a disconnect says. A connect has no outcome, a disconnect no labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionView<'b> {
    pub session_id: &'b [u8],
    pub handle: u32,
    pub outcome: i32,
    /// The message of its labels.
    labels: Option<&'b [u8]>,
}

impl EventBatch {
    pub fn new(seq: u64, events: impl IntoIterator<Item = Event>) -> Self {
        let mut batch = Self { seq, ..Self::default() };
        for event in events {
            batch.len += 1;
            encode_varint(event.encoded_len() as u64, &mut batch.events);
            event.encode_raw(&mut batch.events);
        }
        batch
    }

    /// How many events it has.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The events in order; an error is of that event alone.
    pub fn views(&self) -> impl Iterator<Item = Result<EventView<'_>, DecodeError>> {
        self.messages().map(|event| view(event?))
    }

    /// The events as messages of their own.
    ///
    /// # Errors
    /// When one of them is none.
    pub fn to_events(&self) -> Result<Vec<Event>, DecodeError> {
        self.messages().map(|event| Event::decode(event?)).collect()
    }

    /// The message of each event.
    fn messages(&self) -> impl Iterator<Item = Result<&[u8], DecodeError>> {
        let mut rest = &self.events[..];
        (0..self.len).map(move |_| message(&mut rest))
    }
}

impl std::fmt::Debug for EventBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventBatch").field("seq", &self.seq).field("events", &self.to_events()).finish()
    }
}

impl SessionView<'_> {
    /// What it is for.
    ///
    /// # Errors
    /// When the bytes are no labels.
    pub fn labels(&self) -> Result<Option<Labels>, DecodeError> {
        self.labels.map(Labels::decode).transpose()
    }
}

fn view(mut event: &[u8]) -> Result<EventView<'_>, DecodeError> {
    let mut view = EventView { age_us: 0, what: None };
    while !event.is_empty() {
        match decode_key(&mut event)? {
            (1, WireType::LengthDelimited) => view.what = Some(What::Connect(session(message(&mut event)?, true)?)),
            (2, WireType::LengthDelimited) => view.what = Some(What::Disconnect(session(message(&mut event)?, false)?)),
            (3, WireType::Varint) => view.age_us = decode_varint(&mut event)?,
            (tag, wire_type) => skip(tag, wire_type, &mut event)?,
        }
    }
    Ok(view)
}

fn session(mut said: &[u8], begins: bool) -> Result<SessionView<'_>, DecodeError> {
    let mut view = SessionView::default();
    while !said.is_empty() {
        match (decode_key(&mut said)?, begins) {
            ((1, WireType::LengthDelimited), _) => view.session_id = message(&mut said)?,
            // As prost reads numbers of 32 bits: what is above them is cut off.
            ((2, WireType::Varint), true) | ((3, WireType::Varint), false) => {
                view.handle = decode_varint(&mut said)? as u32;
            }
            ((2, WireType::Varint), false) => view.outcome = decode_varint(&mut said)? as i32,
            ((3, WireType::LengthDelimited), true) => view.labels = Some(message(&mut said)?),
            ((tag, wire_type), _) => skip(tag, wire_type, &mut said)?,
        }
    }
    Ok(view)
}

/// What follows a length.
fn message<'b>(from: &mut &'b [u8]) -> Result<&'b [u8], DecodeError> {
    let len = usize::try_from(decode_varint(from)?).unwrap_or(usize::MAX);
    let (message, rest) = from.split_at_checked(len).ok_or_else(underflow)?;
    *from = rest;
    Ok(message)
}

/// Passes over a field that is newer than this service, or has a type that it does not have here: prost refuses those, and
/// says so.
fn skip(tag: u32, wire_type: WireType, from: &mut &[u8]) -> Result<(), DecodeError> {
    match (tag, wire_type) {
        (1..=3, WireType::Varint) => check_wire_type(WireType::LengthDelimited, wire_type),
        (1..=3, _) => check_wire_type(WireType::Varint, wire_type),
        _ => skip_field(wire_type, tag, from, DecodeContext::default()),
    }
}

/// prost's own error for bytes that end too early: only it can make one.
#[cold]
fn underflow() -> DecodeError {
    Labels::decode_length_delimited(&[1_u8][..])
        .err()
        .unwrap_or_else(|| unreachable!("one byte is announced, none is there"))
}

impl Message for EventBatch {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        if self.seq != 0 {
            uint64::encode(SEQ, &self.seq, buf);
        }
        for event in self.messages().flatten() {
            encode_key(EVENTS, WireType::LengthDelimited, buf);
            encode_varint(event.len() as u64, buf);
            buf.put_slice(event);
        }
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        match tag {
            SEQ => uint64::merge(wire_type, &mut self.seq, buf, context),
            EVENTS => {
                check_wire_type(WireType::LengthDelimited, wire_type)?;
                let len = decode_varint(buf)?;
                let whole = usize::try_from(len).ok().filter(|len| *len <= buf.remaining()).ok_or_else(underflow)?;
                if self.events.capacity() == 0 {
                    // All that follows is nearly always the rest of the events.
                    self.events.reserve_exact(encoded_len_varint(len) + buf.remaining());
                }
                self.len += 1;
                encode_varint(len, &mut self.events);
                self.events.put(buf.take(whole));
                Ok(())
            }
            _ => skip_field(wire_type, tag, buf, context),
        }
    }

    fn encoded_len(&self) -> usize {
        let seq = if self.seq == 0 { 0 } else { uint64::encoded_len(SEQ, &self.seq) };
        seq + self.len * key_len(EVENTS) + self.events.len()
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proto::{Connect, Disconnect, event};

    /// The same message as prost derives it.
    #[derive(Clone, PartialEq, Message)]
    struct Derived {
        #[prost(uint64, tag = "1")]
        seq: u64,
        #[prost(message, repeated, tag = "2")]
        events: Vec<Event>,
    }

    fn event() -> impl Strategy<Value = Event> {
        let id = prop_oneof![any::<[u8; 16]>().prop_map(Vec::from), prop::collection::vec(any::<u8>(), 0..40)];
        let labels = prop::option::of(("[a-z]{0,9}", "[a-z]{0,9}").prop_map(|(room, job)| Labels { room, job }));
        let connect = (id.clone(), any::<u32>(), labels)
            .prop_map(|(session_id, handle, labels)| event::Event::Connect(Connect { session_id, handle, labels }));
        let disconnect = (id, any::<i32>(), any::<u32>()).prop_map(|(session_id, outcome, handle)| {
            event::Event::Disconnect(Disconnect { session_id, outcome, handle })
        });
        (prop::option::of(prop_oneof![connect, disconnect]), prop_oneof![Just(0), any::<u64>()])
            .prop_map(|(event, age_us)| Event { event, age_us })
    }

    fn is_same(view: &EventView<'_>, event: &Event) -> bool {
        let what = match (&view.what, &event.event) {
            (None, None) => true,
            (Some(What::Connect(view)), Some(event::Event::Connect(said))) => {
                (view.session_id, view.handle, view.labels().unwrap())
                    == (&said.session_id[..], said.handle, said.labels.clone())
            }
            (Some(What::Disconnect(view)), Some(event::Event::Disconnect(said))) => {
                (view.session_id, view.handle, view.outcome) == (&said.session_id[..], said.handle, said.outcome)
            }
            _ => false,
        };
        what && view.age_us == event.age_us
    }

    proptest! {
        #[test]
        fn its_bytes_and_events_are_those_that_prost_derives(
            seq in any::<u64>(), events in prop::collection::vec(event(), 0..20),
        ) {
            let derived = Derived { seq, events };
            let ours = EventBatch::new(seq, derived.events.clone());
            prop_assert_eq!(ours.encode_to_vec(), derived.encode_to_vec());
            prop_assert_eq!(ours.encoded_len(), derived.encoded_len());
            let read = EventBatch::decode(&*derived.encode_to_vec()).unwrap();
            prop_assert_eq!(read.len(), derived.events.len());
            prop_assert!(read.views().zip(&derived.events).all(|(view, event)| is_same(&view.unwrap(), event)));
            prop_assert_eq!(read.to_events().unwrap(), derived.events);
            prop_assert_eq!(read, ours);
        }

        /// Whatever bytes come: what prost reads is read the same, and what it refuses is refused by one or the other.
        #[test]
        fn any_bytes_are_read_as_prost_reads_them(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut event = vec![0x12, bytes.len() as u8];
            event.extend_from_slice(&bytes);
            let batch = EventBatch::decode(&*event).unwrap();
            let view = batch.views().next().unwrap();
            if let (Ok(view), Ok(said)) = (&view, Event::decode(&*bytes)) {
                // prost puts two of the same field together, we take the last.
                let once = |view: &EventView<'_>| Event::decode(&*bytes).unwrap().encoded_len() <= bytes.len() && is_same(view, &said);
                prop_assert!(once(view) || bytes.len() > said.encoded_len());
            }
            let derived = Derived::decode(&*bytes).is_ok();
            prop_assert!(!derived || EventBatch::decode(&*bytes).is_ok());
        }
    }

    #[test]
    fn what_is_cut_off_is_an_error_of_its_event() {
        let event = Event { event: None, age_us: 300 };
        let mut batch = EventBatch::new(1, [event.clone(), event]);
        assert!(batch.views().all(|view| view.is_ok()));
        *batch.events.last_mut().unwrap() |= 0x80;
        let seen: Vec<_> = batch.views().map(|view| view.is_ok()).collect();
        assert_eq!(seen, [true, false]);
        assert!(EventBatch::decode(&[0x12_u8, 9, 1][..]).is_err());
        assert!(EventBatch::decode(&[0x10_u8, 9][..]).is_err(), "events are no numbers");
    }
}
