//! Chains and words by hand as bytes: what is stored of them once stays readable.

use std::{sync::Arc, time::Duration};

use prost::Message;

use crate::{
    model::{Chain, Key, Kind, Meter, Project, Target, Time, chain::Thresholds},
    route::{Action, ByHand},
    service::chains::SetBy,
    store::{Document, Shelf, StoreError, rows},
};

#[derive(Clone, PartialEq, Message)]
struct ChainRow {
    #[prost(string, tag = "1")]
    project: String,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(uint32, tag = "3")]
    kind: u32,
    /// Project and meter, as a key is stored; the primary first.
    #[prost(bytes = "vec", repeated, tag = "4")]
    models: Vec<Vec<u8>>,
    /// Both 0 where a model is left only when it has no room or is down.
    #[prost(uint32, tag = "5")]
    fill_percent: u32,
    #[prost(uint32, tag = "6")]
    return_percent: u32,
    #[prost(uint64, tag = "7")]
    dwell_micros: u64,
    /// Microseconds since the Unix epoch.
    #[prost(uint64, tag = "8")]
    set_at: u64,
    #[prost(string, tag = "9")]
    set_by: String,
    #[prost(string, tag = "10")]
    reason: String,
}

#[derive(Clone, PartialEq, Message)]
struct ByHandRow {
    #[prost(string, tag = "1")]
    chain: String,
    /// Project and meter, as a key is stored.
    #[prost(bytes = "vec", tag = "2")]
    model: Vec<u8>,
    /// 1 a pin, 2 a drain.
    #[prost(uint32, tag = "3")]
    action: u32,
    #[prost(string, tag = "4")]
    reason: String,
    #[prost(string, tag = "5")]
    set_by: String,
    /// Microseconds since the Unix epoch.
    #[prost(uint64, tag = "6")]
    start: u64,
    #[prost(uint64, tag = "7")]
    end: u64,
}

const PIN: u32 = 1;
const DRAIN: u32 = 2;

fn damaged(what: &str, name: &str) -> StoreError {
    StoreError::Damaged(format!("{what} {name:?} can't be read"))
}

pub fn encode_model(project: &Project, model: &Meter) -> Vec<u8> {
    rows::encode_key(&Key { project: project.clone(), target: Target::Meter(model.clone()) })
}

pub fn decode_model(bytes: &[u8], name: &str) -> Result<(Project, Meter), StoreError> {
    match rows::decode_key(bytes)? {
        Key { project, target: Target::Meter(meter) } => Ok((project, meter)),
        _ => Err(damaged("a model of the chain", name)),
    }
}

fn chain_name(project: &Project, chain: &str) -> String {
    format!("{project}: {chain}")
}

fn by_hand_name(project: &Project, said: &ByHand) -> String {
    format!("{project}: {}: {}", said.chain, Target::Meter(said.model.clone()))
}

pub fn chain_document(chain: &Chain, set: &SetBy) -> Document {
    let thresholds = chain.thresholds;
    let row = ChainRow {
        project: chain.project.to_string(),
        name: chain.name.to_string(),
        kind: chain.kind as u32,
        models: chain.models.iter().map(|model| encode_model(&chain.project, model)).collect(),
        fill_percent: thresholds.map_or(0, |at| at.fill_percent),
        return_percent: thresholds.map_or(0, |at| at.return_percent),
        dwell_micros: u64::try_from(chain.dwell.as_micros()).unwrap_or(u64::MAX),
        set_at: set.at.0,
        set_by: set.set_by.clone(),
        reason: set.reason.clone(),
    };
    let name = chain_name(&chain.project, &chain.name);
    Document { shelf: Shelf::Chains, name, bytes: Some(row.encode_to_vec()) }
}

pub fn chain_removed(project: &Project, chain: &str) -> Document {
    Document { shelf: Shelf::Chains, name: chain_name(project, chain), bytes: None }
}

pub fn decode_chain(name: &str, bytes: &[u8]) -> Result<(Chain, SetBy), StoreError> {
    let wrong = |_| damaged("the chain", name);
    let row = ChainRow::decode(bytes).map_err(|_| damaged("the chain", name))?;
    let project = Project::new(&row.project).map_err(|_| damaged("the project of the chain", name))?;
    let kind = Kind::from_number(row.kind).ok_or(()).map_err(wrong)?;
    let models: Result<Vec<Meter>, _> =
        row.models.iter().map(|model| decode_model(model, name).map(|(_, meter)| meter)).collect();
    let models = models?;
    if models.is_empty() {
        return Err(damaged("the models of the chain", name));
    }
    let thresholds = Thresholds { fill_percent: row.fill_percent, return_percent: row.return_percent };
    let chain = Chain {
        project,
        name: row.name.into(),
        kind,
        models,
        thresholds: (row.fill_percent > 0).then_some(thresholds),
        dwell: Duration::from_micros(row.dwell_micros),
    };
    Ok((chain, SetBy { set_by: row.set_by, at: Time(row.set_at), reason: row.reason }))
}

pub fn by_hand_document(project: &Project, said: &ByHand) -> Document {
    let row = ByHandRow {
        chain: said.chain.to_string(),
        model: encode_model(project, &said.model),
        action: match said.action {
            Action::Pin => PIN,
            Action::Drain => DRAIN,
        },
        reason: said.reason.clone(),
        set_by: said.set_by.clone(),
        start: said.start.0,
        end: said.end.0,
    };
    Document { shelf: Shelf::ByHand, name: by_hand_name(project, said), bytes: Some(row.encode_to_vec()) }
}

pub fn by_hand_removed(project: &Project, said: &ByHand) -> Document {
    Document { shelf: Shelf::ByHand, name: by_hand_name(project, said), bytes: None }
}

pub fn decode_by_hand(name: &str, bytes: &[u8]) -> Result<(Project, ByHand), StoreError> {
    let row = ByHandRow::decode(bytes).map_err(|_| damaged("the pin or drain", name))?;
    let action = match row.action {
        PIN => Action::Pin,
        DRAIN => Action::Drain,
        _ => return Err(damaged("the pin or drain", name)),
    };
    let (project, model) = decode_model(&row.model, name)?;
    let chain: Arc<str> = row.chain.into();
    let (start, end) = (Time(row.start), Time(row.end));
    Ok((project, ByHand { chain, model, action, reason: row.reason, set_by: row.set_by, start, end }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::Unit;

    #[test]
    fn what_is_stored_comes_back() {
        let project = Project::new("acme").unwrap();
        let one = Meter::new(Kind::Tts, "a/one:v:voice", "direct", Some(Unit::Generation)).unwrap();
        let two = Meter::new(Kind::Tts, "a/two", "", None).unwrap();
        let chain = Chain {
            project: project.clone(),
            name: "agents".into(),
            kind: Kind::Tts,
            models: vec![one.clone(), two],
            thresholds: Some(Thresholds { fill_percent: 80, return_percent: 60 }),
            dwell: Duration::from_secs(45),
        };
        let set = SetBy { set_by: "kim".into(), at: Time(7), reason: "launch".into() };
        for chain in [Chain { thresholds: None, ..chain.clone() }, chain] {
            let Document { name, bytes, .. } = chain_document(&chain, &set);
            assert_eq!(decode_chain(&name, &bytes.unwrap()).unwrap(), (chain, set.clone()));
        }
        for action in [Action::Pin, Action::Drain] {
            let said = ByHand {
                chain: "agents".into(),
                model: one.clone(),
                action,
                reason: "it crackles".into(),
                set_by: "kim".into(),
                start: Time(1),
                end: Time(2),
            };
            let Document { name, bytes, .. } = by_hand_document(&project, &said);
            assert_eq!(decode_by_hand(&name, &bytes.unwrap()).unwrap(), (project.clone(), said));
        }
        assert!(decode_chain("x", b"\xff").is_err() && decode_chain("x", &[]).is_err());
        assert!(decode_by_hand("x", b"\xff").is_err() && decode_by_hand("x", &[]).is_err());
    }
}
