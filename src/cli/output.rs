//! What commands print as JSON: one object, names and values that stay. Times are RFC 3339 in UTC; what is not known is
//! absent, never zero.

use std::io::{Write, stdout};

use serde::Serialize;

use crate::{
    cli::{error::CliError, moment, target::Named},
    model::{self, Outcome},
    proto::{self, Bound, Risk, Week},
};

/// A time of the contract as RFC 3339.
pub type Rfc3339 = String;

/// Prints an object on a line of its own, indented for people when `pretty`.
///
/// # Errors
/// When it can't be written.
pub fn print(value: &impl Serialize, pretty: bool) -> Result<(), CliError> {
    let mut out = stdout().lock();
    if pretty {
        serde_json::to_writer_pretty(&mut out, value)?;
    } else {
        serde_json::to_writer(&mut out, value)?;
    }
    writeln!(out)?;
    Ok(out.flush()?)
}

pub fn time(time: Option<&prost_types::Timestamp>) -> Option<Rfc3339> {
    time.and_then(moment::of_wire).map(|time| time.to_string())
}

/// A duration of the contract in seconds.
pub fn seconds(duration: Option<&prost_types::Duration>) -> Option<f64> {
    duration.map(|duration| duration.seconds as f64 + f64::from(duration.nanos) / 1e9)
}

/// A meter or pool.
#[derive(Debug, Serialize)]
pub struct TargetOut {
    pub kind: &'static str,
    /// Absent for the pool of a kind and for the connection kinds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    pub account: String,
    /// Absent for a pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<&'static str>,
    pub pool: bool,
}

#[derive(Debug, Serialize)]
pub struct LimitOut {
    /// Absent for a limit of starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slots: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts_per_minute: Option<u32>,
    pub enforced: bool,
    pub start_time: Option<Rfc3339>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Rfc3339>,
    pub set_by: String,
    pub reason: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ended_by: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub end_reason: String,
}

#[derive(Debug, Serialize)]
pub struct MomentOut {
    pub level: u32,
    pub at: Option<Rfc3339>,
}

/// Ended sessions by how they ended.
#[derive(Debug, Default, Serialize)]
pub struct ClosedOut {
    pub ok: u64,
    pub cancelled: u64,
    pub concurrency: u64,
    pub rate: u64,
    pub credits: u64,
    pub unavailable: u64,
    pub timeout: u64,
    pub auth: u64,
    pub other: u64,
    pub lost: u64,
}

impl TargetOut {
    pub fn of(target: Option<&proto::Target>) -> Self {
        let named = Named::of(target);
        Self {
            kind: named.kind_text(),
            model: (!named.model.is_empty()).then(|| named.model.to_owned()),
            account: named.account.to_owned(),
            unit: named.unit.filter(|_| !named.pool).map(crate::model::Unit::as_str),
            pool: named.pool,
        }
    }
}

impl From<&proto::Limit> for LimitOut {
    fn from(limit: &proto::Limit) -> Self {
        Self {
            slots: limit.starts_per_minute.is_none().then_some(limit.slots),
            starts_per_minute: limit.starts_per_minute,
            enforced: limit.enforced,
            start_time: time(limit.start_time.as_ref()),
            end_time: time(limit.end_time.as_ref()),
            set_by: limit.set_by.clone(),
            reason: limit.reason.clone(),
            ended_by: limit.ended_by.clone(),
            end_reason: limit.end_reason.clone(),
        }
    }
}

impl From<&proto::Moment> for MomentOut {
    fn from(moment: &proto::Moment) -> Self {
        Self { level: moment.level, at: time(moment.at.as_ref()) }
    }
}

impl From<&proto::ClosedCounts> for ClosedOut {
    fn from(closed: &proto::ClosedCounts) -> Self {
        let proto::ClosedCounts { ok, cancelled, concurrency, rate, credits, unavailable, timeout, auth, other, lost } =
            *closed;
        Self { ok, cancelled, concurrency, rate, credits, unavailable, timeout, auth, other, lost }
    }
}

/// The word of a risk, the same for people and programs; `None` when there is no limit to be near to.
pub const fn risk(risk: Risk) -> Option<&'static str> {
    match risk {
        Risk::Unspecified => None,
        Risk::Ok => Some("ok"),
        Risk::Approaching => Some("approaching"),
        Risk::AtLimit => Some("at limit"),
        Risk::Over => Some("over"),
        Risk::Unknown => Some("unknown"),
    }
}

/// How a peak is to be read, for programs; `None` where the service does not say.
pub const fn bound(bound: Bound) -> Option<&'static str> {
    match bound {
        Bound::Unspecified => None,
        Bound::Exact => Some("exact"),
        Bound::AtLeast => Some("at_least"),
        Bound::AtMost => Some("at_most"),
        Bound::About => Some("about"),
    }
}

/// The same for people: what stands before the peak.
pub const fn sign(bound: Bound) -> &'static str {
    match bound {
        Bound::Unspecified | Bound::Exact => model::Bound::Exact.sign(),
        Bound::AtLeast => model::Bound::AtLeast.sign(),
        Bound::AtMost => model::Bound::AtMost.sign(),
        Bound::About => model::Bound::About.sign(),
    }
}

/// The word of a week; `None` when no limit was in force.
pub const fn week(week: Week) -> Option<&'static str> {
    match week {
        Week::Unspecified => None,
        Week::Calm => Some("calm"),
        Week::OneOff => Some("one-off"),
        Week::Repeating => Some("repeating"),
        Week::Constant => Some("constant"),
        Week::Scattered => Some("scattered"),
    }
}

/// How a provider does; `None` where that is not said.
pub const fn condition(condition: proto::Condition) -> Option<&'static str> {
    match condition {
        proto::Condition::Unspecified => None,
        proto::Condition::Up => Some("up"),
        proto::Condition::Down => Some("down"),
        proto::Condition::Probing => Some("probing"),
    }
}

/// The spelling of an outcome of the contract.
pub fn outcome(outcome: proto::Outcome) -> &'static str {
    u32::try_from(outcome as i32).ok().and_then(Outcome::from_number).map_or("ok", Outcome::as_str)
}
