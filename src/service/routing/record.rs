//! Turns as bytes: what is stored of them once stays readable.

use prost::Message;

use super::turns::{OfChain, Turn};
use crate::{
    model::{Project, Time},
    service::chains::record::{decode_model, encode_model},
    store::{Document, Shelf, StoreError},
};

/// The turns of a chain, the oldest first.
#[derive(Clone, PartialEq, Message)]
struct TurnsRow {
    #[prost(string, tag = "1")]
    project: String,
    #[prost(string, tag = "2")]
    chain: String,
    #[prost(message, repeated, tag = "3")]
    turns: Vec<TurnRow>,
}

#[derive(Clone, PartialEq, Message)]
struct TurnRow {
    /// Microseconds since the Unix epoch.
    #[prost(uint64, tag = "1")]
    at: u64,
    /// Project and meter, as a key is stored: where new sessions go to, the first model of the chain, and the fallback.
    #[prost(bytes = "vec", tag = "2")]
    to: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    first: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    fallback: Vec<u8>,
    #[prost(string, tag = "5")]
    text: String,
}

/// The document of a chain; without turns, or with none of them, it is removed.
pub fn turns_document((project, chain): &OfChain, turns: Option<&[Turn]>) -> Document {
    let name = format!("{project}: {chain}");
    let row = |turn: &Turn| TurnRow {
        at: turn.at.0,
        to: encode_model(project, &turn.to),
        first: encode_model(project, &turn.concerns[0]),
        fallback: encode_model(project, &turn.concerns[1]),
        text: turn.text.clone(),
    };
    let bytes = turns.filter(|turns| !turns.is_empty()).map(|turns| {
        let turns = turns.iter().map(row).collect();
        TurnsRow { project: project.to_string(), chain: chain.to_string(), turns }.encode_to_vec()
    });
    Document { shelf: Shelf::Turns, name, bytes }
}

pub fn decode_turns(name: &str, bytes: &[u8]) -> Result<(OfChain, Vec<Turn>), StoreError> {
    let damaged = || StoreError::Damaged(format!("the turns of the chain {name:?} can't be read"));
    let row = TurnsRow::decode(bytes).map_err(|_| damaged())?;
    let project = Project::new(&row.project).map_err(|_| damaged())?;
    let model = |bytes: &[u8]| decode_model(bytes, name).map(|(_, model)| model);
    let turn = |row: TurnRow| {
        let concerns = [model(&row.first)?, model(&row.fallback)?];
        Ok(Turn { at: Time(row.at), to: model(&row.to)?, concerns, text: row.text })
    };
    let turns: Result<_, StoreError> = row.turns.into_iter().map(turn).collect();
    Ok(((project, row.chain.into()), turns?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{Kind, Meter};

    #[test]
    fn what_is_stored_comes_back() {
        let of = (Project::new("acme").unwrap(), Arc::from("agents"));
        let [one, two] = ["a/one", "a/two"].map(|model| Meter::new(Kind::Tts, model, "", None).unwrap());
        let turn = |at, to: &Meter| Turn {
            at: Time(at),
            to: to.clone(),
            concerns: [one.clone(), two.clone()],
            text: "it is full".into(),
        };
        let turns = vec![turn(7, &two), turn(9, &one)];
        let Document { name, bytes, .. } = turns_document(&of, Some(&turns));
        assert_eq!(decode_turns(&name, &bytes.unwrap()).unwrap(), (of.clone(), turns));
        assert_eq!(turns_document(&of, Some(&[])), turns_document(&of, None));
        assert!(decode_turns("x", b"\xff").is_err());
    }
}
