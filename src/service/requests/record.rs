//! An increase request as bytes: what is stored of it once stays readable.

use prost::Message;

use crate::{
    model::{
        Flags, IncreaseRequest, Key, Tick, Time,
        request::{Decision, Evidence, Ruling},
    },
    store::rows,
};

#[derive(Clone, PartialEq, Message)]
struct Row {
    #[prost(string, tag = "1")]
    id: String,
    /// Project and target, as a key is stored.
    #[prost(bytes = "vec", tag = "2")]
    key: Vec<u8>,
    #[prost(uint32, tag = "3")]
    wanted: u32,
    #[prost(string, tag = "4")]
    reason: String,
    /// Times are in microseconds since the Unix epoch.
    #[prost(uint64, optional, tag = "5")]
    end: Option<u64>,
    #[prost(uint64, tag = "6")]
    created: u64,
    #[prost(string, tag = "7")]
    created_by: String,
    #[prost(message, optional, tag = "8")]
    evidence: Option<EvidenceRow>,
    #[prost(message, optional, tag = "9")]
    decision: Option<DecisionRow>,
}

#[derive(Clone, PartialEq, Message)]
struct EvidenceRow {
    #[prost(uint32, optional, tag = "1")]
    limit: Option<u32>,
    #[prost(uint32, optional, tag = "2")]
    peak: Option<u32>,
    /// Seconds since the Unix epoch.
    #[prost(uint64, tag = "3")]
    peak_at: u64,
    #[prost(uint32, tag = "4")]
    minutes_near: u32,
    #[prost(uint32, tag = "5")]
    minutes_covered: u32,
    #[prost(string, tag = "6")]
    week: String,
    #[prost(uint64, tag = "7")]
    turned_away: u64,
    /// How the peak is to be read: bits of [`Flags`]. What was stored before this was is read as exact.
    #[prost(uint32, tag = "8")]
    peak_bound: u32,
}

#[derive(Clone, PartialEq, Message)]
struct DecisionRow {
    #[prost(uint32, tag = "1")]
    ruling: u32,
    #[prost(uint32, tag = "2")]
    slots: u32,
    #[prost(uint64, optional, tag = "3")]
    end: Option<u64>,
    #[prost(string, tag = "4")]
    by: String,
    #[prost(uint64, tag = "5")]
    at: u64,
    #[prost(string, tag = "6")]
    word: String,
}

pub fn encode(request: &IncreaseRequest) -> Vec<u8> {
    let key = Key { project: request.project.clone(), target: request.target.clone() };
    let evidence = &request.evidence;
    let decision = request.decision.as_ref().map(|decision| DecisionRow {
        ruling: decision.ruling as u32,
        slots: decision.slots,
        end: decision.end.map(|end| end.0),
        by: decision.by.clone(),
        at: decision.at.0,
        word: decision.word.clone(),
    });
    Row {
        id: request.id.clone(),
        key: rows::encode_key(&key),
        wanted: request.wanted,
        reason: request.reason.clone(),
        end: request.end.map(|end| end.0),
        created: request.created.0,
        created_by: request.created_by.clone(),
        evidence: Some(EvidenceRow {
            limit: evidence.limit,
            peak: evidence.peak.map(|(peak, _)| peak),
            peak_at: evidence.peak.map_or(0, |(_, at)| at.0),
            minutes_near: evidence.minutes_near,
            minutes_covered: evidence.minutes_covered,
            week: evidence.week.clone(),
            turned_away: evidence.turned_away,
            peak_bound: Flags::of(evidence.peak_bound).0.into(),
        }),
        decision,
    }
    .encode_to_vec()
}

/// `None` when the bytes are no request.
pub fn decode(bytes: &[u8]) -> Option<IncreaseRequest> {
    let row = Row::decode(bytes).ok()?;
    let Key { project, target } = rows::decode_key(&row.key).ok()?;
    let evidence = row.evidence.unwrap_or_default();
    let decision = match row.decision {
        None => None,
        Some(decision) => Some(Decision {
            ruling: Ruling::from_number(decision.ruling)?,
            slots: decision.slots,
            end: decision.end.map(Time),
            by: decision.by,
            at: Time(decision.at),
            word: decision.word,
        }),
    };
    Some(IncreaseRequest {
        id: row.id,
        project,
        target,
        wanted: row.wanted,
        reason: row.reason,
        end: row.end.map(Time),
        created: Time(row.created),
        created_by: row.created_by,
        evidence: Evidence {
            limit: evidence.limit,
            peak: evidence.peak.map(|peak| (peak, Tick(evidence.peak_at))),
            minutes_near: evidence.minutes_near,
            minutes_covered: evidence.minutes_covered,
            week: evidence.week,
            turned_away: evidence.turned_away,
            peak_bound: Flags(evidence.peak_bound as u8).bound(),
        },
        decision,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::{Bound, Kind, Project, Target};

    #[test]
    fn a_request_comes_back_as_it_was() {
        let decision = |ruling| Decision {
            ruling,
            slots: 24,
            end: Some(Time(99)),
            by: "ops".to_owned(),
            at: Time(77),
            word: "half of it".to_owned(),
        };
        let open = IncreaseRequest {
            id: "abc".to_owned(),
            project: Project::new("acme").unwrap(),
            target: Target::KindPool { kind: Kind::Tts, account: "livekit".into() },
            wanted: 30,
            reason: "launch".to_owned(),
            end: None,
            created: Time(5),
            created_by: "kim".to_owned(),
            evidence: Evidence {
                limit: Some(0),
                peak: Some((0, Tick(9))),
                minutes_near: 3,
                minutes_covered: 10_080,
                week: "repeating".to_owned(),
                turned_away: 11,
                peak_bound: Bound::Exact,
            },
            decision: None,
        };
        let decided = Ruling::ALL.map(|ruling| IncreaseRequest {
            end: Some(Time(1_000)),
            evidence: Evidence::default(),
            decision: Some(decision(ruling)),
            ..open.clone()
        });
        let bounds = [Bound::AtLeast, Bound::AtMost, Bound::About].map(|peak_bound| IncreaseRequest {
            evidence: Evidence { peak_bound, ..open.evidence.clone() },
            ..open.clone()
        });
        for request in decided.into_iter().chain(bounds).chain([open]) {
            assert_eq!(decode(&encode(&request)), Some(request));
        }
        assert_eq!(decode(b"\xff"), None);
        assert_eq!(decode(b""), None);
    }
}
