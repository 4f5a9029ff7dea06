//! `History`, written by hand: a week of minutes is ten thousand small numbers a column, and prost, which measures each
//! number three times and appends it byte by byte, would take longer over an answer than all else that is done for it.

use prost::{
    DecodeError, Message,
    bytes::{Buf, BufMut},
    encoding::{
        DecodeContext, WireType, bytes, encode_key, encode_varint, encoded_len_varint, key_len, message, skip_field,
        uint32,
    },
};

use super::Target;

const TARGET: u32 = 1;
const FLAGS: u32 = 3;

/// Numbers that are made into bytes at a time.
const CHUNK: usize = 64;
/// Most bytes of a varint of 32 bits.
const VARINT_BYTES: usize = 5;

/// The points of a target in columns, each of n values. The fields are those of the contract, where they are described.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "described in the contract")]
pub struct History {
    pub target: Option<Target>,
    pub peak: Vec<u32>,
    pub flags: Vec<u8>,
    pub peak_second: Vec<u32>,
    pub last: Vec<u32>,
    pub opened: Vec<u32>,
    pub closed_ok: Vec<u32>,
    pub closed_cancelled: Vec<u32>,
    pub closed_error: Vec<u32>,
    pub lost: Vec<u32>,
    pub refused: Vec<u32>,
    pub diverted: Vec<u32>,
    pub covered_seconds: Vec<u32>,
    pub limit_plus_one: Vec<u32>,
    pub lowest_peak: Vec<u32>,
}

impl History {
    /// The columns of numbers with their tags, in order.
    fn columns(&self) -> [(u32, &[u32]); 13] {
        [
            (2, &self.peak),
            (4, &self.peak_second),
            (5, &self.last),
            (6, &self.opened),
            (7, &self.closed_ok),
            (8, &self.closed_cancelled),
            (9, &self.closed_error),
            (10, &self.lost),
            (11, &self.refused),
            (12, &self.diverted),
            (13, &self.covered_seconds),
            (14, &self.limit_plus_one),
            (15, &self.lowest_peak),
        ]
    }

    fn column_mut(&mut self, tag: u32) -> Option<&mut Vec<u32>> {
        Some(match tag {
            2 => &mut self.peak,
            4 => &mut self.peak_second,
            5 => &mut self.last,
            6 => &mut self.opened,
            7 => &mut self.closed_ok,
            8 => &mut self.closed_cancelled,
            9 => &mut self.closed_error,
            10 => &mut self.lost,
            11 => &mut self.refused,
            12 => &mut self.diverted,
            13 => &mut self.covered_seconds,
            14 => &mut self.limit_plus_one,
            15 => &mut self.lowest_peak,
            _ => return None,
        })
    }
}

impl Message for History {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        if let Some(target) = &self.target {
            message::encode(TARGET, target, buf);
        }
        for (tag, values) in self.columns() {
            put_column(tag, values, buf);
            if tag < FLAGS && !self.flags.is_empty() {
                bytes::encode(FLAGS, &self.flags, buf);
            }
        }
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        match (tag, self.column_mut(tag)) {
            (_, Some(column)) => uint32::merge_repeated(wire_type, column, buf, context),
            (TARGET, None) => message::merge(wire_type, self.target.get_or_insert_default(), buf, context),
            (FLAGS, None) => bytes::merge(wire_type, &mut self.flags, buf, context),
            (_, None) => skip_field(wire_type, tag, buf, context),
        }
    }

    fn encoded_len(&self) -> usize {
        let target = self.target.as_ref().map_or(0, |target| message::encoded_len(TARGET, target));
        let flags = if self.flags.is_empty() { 0 } else { bytes::encoded_len(FLAGS, &self.flags) };
        let columns = self.columns().into_iter().filter(|(_, values)| !values.is_empty());
        let column = |(tag, values): (u32, &[u32])| {
            let len = column_len(values);
            key_len(tag) + encoded_len_varint(len as u64) + len
        };
        target + flags + columns.map(column).sum::<usize>()
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Bytes of a column's numbers. Without a branch or a bit scan, so that several are measured at once.
fn column_len(values: &[u32]) -> usize {
    let of_chunk = |chunk: &[u32]| {
        let more = |value: u32| {
            u32::from(value >= 1 << 7)
                + u32::from(value >= 1 << 14)
                + u32::from(value >= 1 << 21)
                + u32::from(value >= 1 << 28)
        };
        chunk.len() + chunk.iter().map(|value| more(*value)).sum::<u32>() as usize
    };
    // A sum of 32 bits is enough for a chunk, and is several at once again.
    values.chunks(1 << 16).map(of_chunk).sum()
}

/// Appends a column, unless it is empty.
fn put_column(tag: u32, values: &[u32], buf: &mut impl BufMut) {
    if values.is_empty() {
        return;
    }
    encode_key(tag, WireType::LengthDelimited, buf);
    encode_varint(column_len(values) as u64, buf);
    for chunk in values.chunks(CHUNK) {
        let mut bytes = [0; CHUNK * VARINT_BYTES];
        let len = if chunk.iter().fold(0, |all, value| all | value) < 1 << 7 {
            bytes.iter_mut().zip(chunk).for_each(|(byte, value)| *byte = *value as u8);
            chunk.len()
        } else {
            put_varints(&mut bytes, chunk)
        };
        buf.put_slice(&bytes[..len]);
    }
}

/// Writes numbers as varints; returns how many bytes they took. There is room for all.
fn put_varints(bytes: &mut [u8; CHUNK * VARINT_BYTES], chunk: &[u32]) -> usize {
    let mut at = 0;
    for &value in chunk {
        let mut rest = value;
        while rest >= 1 << 7 {
            bytes[at] = rest as u8 | 1 << 7;
            rest >>= 7;
            at += 1;
        }
        bytes[at] = rest as u8;
        at += 1;
    }
    at
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proto::{Meter, target};

    /// The same message as prost derives it, field by field from the contract.
    #[derive(Clone, PartialEq, Message)]
    struct Derived {
        #[prost(message, optional, tag = "1")]
        target: Option<Target>,
        #[prost(uint32, repeated, tag = "2")]
        peak: Vec<u32>,
        #[prost(bytes = "vec", tag = "3")]
        flags: Vec<u8>,
        #[prost(uint32, repeated, tag = "4")]
        peak_second: Vec<u32>,
        #[prost(uint32, repeated, tag = "9")]
        closed_error: Vec<u32>,
        #[prost(uint32, repeated, tag = "14")]
        limit_plus_one: Vec<u32>,
        #[prost(uint32, repeated, tag = "15")]
        lowest_peak: Vec<u32>,
    }

    fn column() -> impl Strategy<Value = Vec<u32>> {
        let value = (0_u32..=32, any::<u32>()).prop_map(|(bits, value)| value.checked_shr(32 - bits).unwrap_or(0));
        prop_oneof![prop::collection::vec(value, 0..200), prop::collection::vec(0_u32..128, 0..200)]
    }

    proptest! {
        #[test]
        fn its_bytes_are_those_that_prost_derives(
            columns in prop::array::uniform5(column()), flags in any::<Vec<u8>>(), has_target in any::<bool>(),
        ) {
            let meter = Meter { model: "a/b".to_owned(), ..Meter::default() };
            let target = has_target.then(|| Target { target: Some(target::Target::Meter(meter)) });
            let [peak, peak_second, closed_error, limit_plus_one, lowest_peak] = columns;
            let derived = Derived { target, peak, flags, peak_second, closed_error, limit_plus_one, lowest_peak };
            let ours = History {
                target: derived.target.clone(),
                peak: derived.peak.clone(),
                flags: derived.flags.clone(),
                peak_second: derived.peak_second.clone(),
                closed_error: derived.closed_error.clone(),
                limit_plus_one: derived.limit_plus_one.clone(),
                lowest_peak: derived.lowest_peak.clone(),
                ..History::default()
            };
            prop_assert_eq!(ours.encode_to_vec(), derived.encode_to_vec());
            prop_assert_eq!(ours.encoded_len(), derived.encoded_len());
            prop_assert_eq!(History::decode(&*derived.encode_to_vec()).unwrap(), ours);
        }
    }

    #[test]
    fn every_column_of_the_contract_is_there() {
        let numbered = |tag: u32| vec![tag; tag as usize];
        let mut history = History { flags: vec![3; 3], ..History::default() };
        for tag in [2].into_iter().chain(4..=15) {
            *history.column_mut(tag).unwrap() = numbered(tag);
        }
        let pool = prost_reflect::DescriptorPool::decode(crate::proto::DESCRIPTORS).unwrap();
        let message = pool.get_message_by_name("highwater.v1.History").unwrap();
        let read = prost_reflect::DynamicMessage::decode(message.clone(), &*history.encode_to_vec()).unwrap();
        for field in message.fields().filter(|field| field.is_list()) {
            let values = read.get_field(&field);
            let values: Vec<_> = values.as_list().unwrap().iter().filter_map(prost_reflect::Value::as_u32).collect();
            assert_eq!(values, numbered(field.number()), "{}", field.name());
        }
        assert_eq!(message.fields().len(), history.columns().len() + 2);
    }
}
