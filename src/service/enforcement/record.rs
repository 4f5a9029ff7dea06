//! Choices, limits of starts and ceilings as bytes: what is stored of them once stays readable.

use prost::Message;

use crate::{
    model::{
        Enforcement, Key, KeyId, LimitEntry, LimitHistory, Mode, Project, Target, Time, enforce::MAX_KEPT_PERCENT,
    },
    service::enforcement::{Choice, Place},
    store::{Document, Shelf, StoreError, rows},
};

#[derive(Clone, PartialEq, Message)]
struct ChoiceRow {
    #[prost(string, tag = "1")]
    project: String,
    /// Project and target, as a key is stored; empty for the whole project.
    #[prost(bytes = "vec", tag = "2")]
    key: Vec<u8>,
    #[prost(bool, tag = "3")]
    enforce: bool,
    #[prost(uint32, tag = "4")]
    kept_percent: u32,
    /// Microseconds since the Unix epoch.
    #[prost(uint64, tag = "5")]
    since: u64,
    #[prost(string, tag = "6")]
    set_by: String,
    #[prost(string, tag = "7")]
    reason: String,
}

#[derive(Clone, PartialEq, Message)]
struct StartsRow {
    /// Decisions as those on slots are stored, the oldest first.
    #[prost(bytes = "vec", repeated, tag = "1")]
    entries: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct CeilingRow {
    #[prost(uint32, tag = "1")]
    slots: u32,
}

fn damaged(what: &str, name: &str) -> StoreError {
    StoreError::Damaged(format!("{what} {name:?} can't be read"))
}

/// Where a choice is kept: the project, and what of it.
fn choice_name((project, target): &Place) -> String {
    target.as_ref().map_or_else(|| project.to_string(), |target| format!("{project}: {target}"))
}

pub fn choice_document(place: &Place, choice: Option<&Choice>) -> Document {
    let (project, target) = place;
    let key = target.as_ref().map(|target| Key { project: project.clone(), target: target.clone() });
    let row = |choice: &Choice| ChoiceRow {
        project: project.to_string(),
        key: key.as_ref().map(rows::encode_key).unwrap_or_default(),
        enforce: choice.enforcement.mode == Mode::Enforce,
        kept_percent: u32::from(choice.enforcement.kept_percent),
        since: choice.since.0,
        set_by: choice.set_by.clone(),
        reason: choice.reason.clone(),
    };
    let bytes = choice.map(|choice| row(choice).encode_to_vec());
    Document { shelf: Shelf::Enforcement, name: choice_name(place), bytes }
}

pub fn decode_choice(name: &str, bytes: &[u8]) -> Result<(Place, Choice), StoreError> {
    let row = ChoiceRow::decode(bytes).map_err(|_| damaged("the choice", name))?;
    let project = Project::new(&row.project).map_err(|_| damaged("the project of the choice", name))?;
    let target: Option<Target> = match &*row.key {
        [] => None,
        key => Some(rows::decode_key(key)?.target),
    };
    let mode = if row.enforce { Mode::Enforce } else { Mode::Observe };
    let kept_percent = u8::try_from(row.kept_percent).unwrap_or(MAX_KEPT_PERCENT).min(MAX_KEPT_PERCENT);
    let enforcement = Enforcement { mode, kept_percent };
    let choice = Choice { enforcement, since: Time(row.since), set_by: row.set_by, reason: row.reason };
    Ok(((project, target), choice))
}

fn key_name(key: KeyId) -> String {
    key.0.to_string()
}

fn decode_key_name(name: &str) -> Result<KeyId, StoreError> {
    name.parse().map(KeyId).map_err(|_| damaged("the key", name))
}

pub fn starts_document(key: KeyId, history: Option<&LimitHistory>) -> Document {
    let row =
        |history: &LimitHistory| StartsRow { entries: history.entries().iter().map(rows::encode_limit).collect() };
    let bytes = history.map(|history| row(history).encode_to_vec());
    Document { shelf: Shelf::Starts, name: key_name(key), bytes }
}

pub fn decode_starts(name: &str, bytes: &[u8]) -> Result<(KeyId, LimitHistory), StoreError> {
    let row = StartsRow::decode(bytes).map_err(|_| damaged("the limit of starts", name))?;
    let entries: Result<Vec<LimitEntry>, _> = row.entries.iter().map(|entry| rows::decode_limit(entry)).collect();
    Ok((decode_key_name(name)?, LimitHistory::new(entries?)))
}

pub fn ceiling_document(key: KeyId, slots: Option<u32>) -> Document {
    let bytes = slots.map(|slots| CeilingRow { slots }.encode_to_vec());
    Document { shelf: Shelf::Ceilings, name: key_name(key), bytes }
}

pub fn decode_ceiling(name: &str, bytes: &[u8]) -> Result<(KeyId, u32), StoreError> {
    let row = CeilingRow::decode(bytes).map_err(|_| damaged("the ceiling", name))?;
    Ok((decode_key_name(name)?, row.slots))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::{Kind, Meter};

    #[test]
    fn what_is_stored_comes_back() {
        let meter = Target::Meter(Meter::new(Kind::Tts, "a/b", "", None).unwrap());
        let enforcement = Enforcement { mode: Mode::Enforce, kept_percent: 10 };
        let choice = Choice { enforcement, since: Time(7), set_by: "kim".into(), reason: "launch".into() };
        for target in [None, Some(meter)] {
            let place = (Project::new("p").unwrap(), target);
            let Document { name, bytes, .. } = choice_document(&place, Some(&choice));
            assert_eq!(decode_choice(&name, &bytes.unwrap()).unwrap(), (place, choice.clone()));
        }
        let (set_by, reason) = ("kim".to_owned(), String::new());
        let history = LimitHistory::new(vec![LimitEntry { slots: Some(3), start: Time(1), end: None, set_by, reason }]);
        let Document { name, bytes, .. } = starts_document(KeyId(9), Some(&history));
        assert_eq!(decode_starts(&name, &bytes.unwrap()).unwrap(), (KeyId(9), history));
        let Document { name, bytes, .. } = ceiling_document(KeyId(9), Some(0));
        assert_eq!(decode_ceiling(&name, &bytes.unwrap()).unwrap(), (KeyId(9), 0));
        assert!(decode_ceiling("nine", &[]).is_err() && decode_choice("p", b"\xff").is_err());
    }
}
