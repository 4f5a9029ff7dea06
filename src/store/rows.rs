//! Keys and limits as bytes, the same in every store. What is read is checked; what is stored once stays readable.

use prost::Message;

use crate::{
    model::{Key, Kind, LimitEntry, Meter, Project, Target, Time, Unit},
    store::StoreError,
};

const KIND_POOL: u32 = 1;
const MODEL_POOL: u32 = 2;
const METER: u32 = 3;

#[derive(Clone, PartialEq, Message)]
struct KeyRow {
    #[prost(string, tag = "1")]
    project: String,
    /// What of it: 1 the pool of a kind, 2 the pool of a model, 3 a meter.
    #[prost(uint32, tag = "2")]
    target: u32,
    #[prost(uint32, tag = "3")]
    kind: u32,
    #[prost(string, tag = "4")]
    account: String,
    /// Empty and 0 in the pool of a kind.
    #[prost(string, tag = "5")]
    model: String,
    #[prost(uint32, tag = "6")]
    unit: u32,
}

#[derive(Clone, PartialEq, Message)]
struct LimitRow {
    #[prost(uint32, optional, tag = "1")]
    slots: Option<u32>,
    /// Microseconds since the Unix epoch.
    #[prost(uint64, tag = "2")]
    start: u64,
    #[prost(uint64, optional, tag = "3")]
    end: Option<u64>,
    #[prost(string, tag = "4")]
    set_by: String,
    #[prost(string, tag = "5")]
    reason: String,
}

pub fn encode_key(key: &Key) -> Vec<u8> {
    let project = key.project.as_str().to_owned();
    let (target, kind, account, model, unit) = match &key.target {
        Target::KindPool { kind, account } => (KIND_POOL, kind, account, String::new(), 0),
        Target::ModelPool(meter) => {
            (MODEL_POOL, &meter.kind, &meter.account, meter.model.to_string(), meter.unit as u32)
        }
        Target::Meter(meter) => (METER, &meter.kind, &meter.account, meter.model.to_string(), meter.unit as u32),
    };
    KeyRow { project, target, kind: *kind as u32, account: account.to_string(), model, unit }.encode_to_vec()
}

/// # Errors
/// When the bytes are not a key.
pub fn decode_key(bytes: &[u8]) -> Result<Key, StoreError> {
    let damaged = |what: &str| StoreError::Damaged(format!("a key has {what}"));
    let row = KeyRow::decode(bytes).map_err(|error| damaged(&format!("bytes that are none ({error})")))?;
    let project = Project::new(&row.project).map_err(|_| damaged("no project"))?;
    let kind = Kind::from_number(row.kind).ok_or_else(|| damaged("no kind"))?;
    let account = row.account.into();
    // A model is stored as it is counted: its suffix is gone, and Meter::new would strip what looks like another.
    let meter = |account| {
        let unit = Unit::from_number(row.unit).ok_or_else(|| damaged("no unit"))?;
        Ok(Meter { kind, model: row.model.as_str().into(), account, unit })
    };
    let target = match row.target {
        KIND_POOL => Target::KindPool { kind, account },
        MODEL_POOL => Target::ModelPool(meter(account)?),
        METER => Target::Meter(meter(account)?),
        _ => return Err(damaged("no target")),
    };
    Ok(Key { project, target })
}

pub fn encode_limit(entry: &LimitEntry) -> Vec<u8> {
    LimitRow {
        slots: entry.slots,
        start: entry.start.0,
        end: entry.end.map(|end| end.0),
        set_by: entry.set_by.clone(),
        reason: entry.reason.clone(),
    }
    .encode_to_vec()
}

/// # Errors
/// When the bytes are not a decision on a limit.
pub fn decode_limit(bytes: &[u8]) -> Result<LimitEntry, StoreError> {
    let row = LimitRow::decode(bytes).map_err(|error| StoreError::Damaged(format!("a limit: {error}")))?;
    let (start, end) = (Time(row.start), row.end.map(Time));
    Ok(LimitEntry { slots: row.slots, start, end, set_by: row.set_by, reason: row.reason })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_as_they_were() {
        let project = Project::new("acme").unwrap();
        let meter = Meter::new(Kind::Tts, "a/b:c:voice", "direct", Some(Unit::Generation)).unwrap();
        assert_eq!(&*meter.model, "a/b:c");
        let kind_pool = Target::KindPool { kind: Kind::Agent, account: "livekit".into() };
        let keys = [
            Key { project: project.clone(), target: Target::Meter(meter.clone()) },
            Key { project: project.clone(), target: kind_pool },
            Key { project: Project::across(), target: Target::ModelPool(meter) },
        ];
        for key in keys {
            assert_eq!(decode_key(&encode_key(&key)).unwrap(), key);
        }
        decode_key(b"\xff").unwrap_err();
        decode_key(&[]).unwrap_err();
    }

    #[test]
    fn limits_come_back() {
        let (set_by, reason) = ("ops".to_owned(), "launch".to_owned());
        let entry = LimitEntry { slots: Some(0), start: Time(7), end: Some(Time(9)), set_by, reason };
        let ended = LimitEntry { slots: None, end: None, ..entry.clone() };
        for entry in [entry, ended] {
            assert_eq!(decode_limit(&encode_limit(&entry)).unwrap(), entry);
        }
    }
}
