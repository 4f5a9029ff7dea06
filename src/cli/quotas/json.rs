//! Quotas as one object.

use serde::Serialize;

use crate::{
    cli::{
        output::{self, ClosedOut, LimitOut, MomentOut, Rfc3339, TargetOut},
        quotas::View,
    },
    proto::{Quota, Verdict},
};

#[derive(Debug, Serialize)]
pub struct QuotasOut {
    project: String,
    as_of: Option<Rfc3339>,
    settling: bool,
    simulation: bool,
    degraded: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<VerdictOut>,
    quotas: Vec<QuotaOut>,
}

#[derive(Debug, Serialize)]
struct QuotaOut {
    #[serde(flatten)]
    target: TargetOut,
    display_name: String,
    /// Read with `covered`: what is not covered is not known.
    level: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    level_bound: Option<&'static str>,
    silent_level: u32,
    covered: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<LimitOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    risk: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    week: Option<String>,
    minutes_near_limit: u32,
    minutes_covered: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    peak: Option<MomentOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_bound: Option<&'static str>,
    recent_peak: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    recent_peak_bound: Option<&'static str>,
    in_catalogue: bool,
    opened: u64,
    refused: u64,
    diverted: u64,
    closed: ClosedOut,
    /// How the provider of a model does: up, down or probing.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    learned_ceiling: Option<u32>,
    #[serde(skip_serializing_if = "str::is_empty")]
    learned_from: String,
}

/// How the project stands.
#[derive(Debug, Serialize)]
struct VerdictOut {
    sentence: String,
    #[serde(flatten)]
    target: Option<TargetOut>,
    days_at_limit: u32,
    wanted_slots: u32,
}

/// All that the view shows.
pub fn quotas(view: &View) -> QuotasOut {
    let quotas = view.sorted();
    of(view, &quotas)
}

/// Some of it: what changed.
pub fn of(view: &View, quotas: &[&Quota]) -> QuotasOut {
    QuotasOut {
        project: view.project.clone(),
        as_of: view.as_of.map(|as_of| as_of.to_string()),
        settling: view.settling,
        simulation: view.status.as_ref().is_some_and(|status| status.simulation),
        degraded: view.status.as_ref().map(|status| status.degraded.clone()).unwrap_or_default(),
        verdict: view.verdict.as_ref().map(verdict_out),
        quotas: quotas.iter().map(|quota| quota_out(quota)).collect(),
    }
}

/// A word as programs take it: `at_limit`, `one_off`.
fn symbol(word: &'static str) -> String {
    word.replace([' ', '-'], "_")
}

fn verdict_out(verdict: &Verdict) -> VerdictOut {
    VerdictOut {
        sentence: verdict.sentence.clone(),
        target: verdict.target.as_ref().map(|target| TargetOut::of(Some(target))),
        days_at_limit: verdict.days_at_limit,
        wanted_slots: verdict.wanted_slots,
    }
}

fn quota_out(quota: &Quota) -> QuotaOut {
    QuotaOut {
        target: TargetOut::of(quota.target.as_ref()),
        display_name: quota.display_name.clone(),
        level: quota.level,
        level_bound: output::bound(quota.level_bound()),
        silent_level: quota.silent_level,
        covered: quota.covered,
        limit: quota.limit.as_ref().map(LimitOut::from),
        risk: output::risk(quota.risk()).map(symbol),
        week: output::week(quota.week()).map(symbol),
        minutes_near_limit: quota.minutes_near_limit,
        minutes_covered: quota.minutes_covered,
        peak: quota.peak.as_ref().map(MomentOut::from),
        peak_bound: output::bound(quota.peak_bound()),
        recent_peak: quota.recent_peak,
        recent_peak_bound: output::bound(quota.recent_peak_bound()),
        in_catalogue: quota.in_catalogue,
        opened: quota.opened,
        refused: quota.refused,
        diverted: quota.diverted,
        closed: quota.closed.as_ref().map(ClosedOut::from).unwrap_or_default(),
        provider: output::condition(quota.condition()),
        learned_ceiling: quota.learned_ceiling,
        learned_from: quota.learned_from.clone(),
    }
}
