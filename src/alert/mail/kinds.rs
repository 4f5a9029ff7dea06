//! What each kind of alert is called: on its label, and in the sentence that says what is wrong.

use crate::alert::{AlertKind, Facts, NoticeKind};

/// In a word or two: what the coloured label says.
pub fn label(facts: &Facts) -> &'static str {
    match (facts.notice, facts.kind) {
        (NoticeKind::Test, _) => "Test",
        (NoticeKind::Resolved | NoticeKind::FiredAndResolved, _) => "Resolved",
        (NoticeKind::Repeated, AlertKind::Approaching) => "Still near its limit",
        (NoticeKind::Repeated, AlertKind::AtLimit) => "Still at its limit",
        (NoticeKind::Repeated, AlertKind::Over) => "Still over its limit",
        (_, AlertKind::Approaching) => "Near its limit",
        (_, AlertKind::AtLimit) => "At its limit",
        (_, AlertKind::Over) => "Over its limit",
        (NoticeKind::Repeated, _) => "Still so",
        (_, AlertKind::WorkersSilent) => "Silent",
        (_, AlertKind::Refused) => "Refused",
        (_, AlertKind::FallbackInUse) => "Fallback in use",
        (_, AlertKind::ProviderDown) => "Provider down",
        (_, AlertKind::ProviderDisagrees) => "Refused below our limit",
        _ => "Trouble",
    }
}

/// What a trouble is, and what it is no more.
pub fn trouble(kind: AlertKind, over: bool) -> &'static str {
    match (kind, over) {
        (AlertKind::WorkersSilent, false) => "its workers are silent: the level is not known",
        (AlertKind::WorkersSilent, true) => "its workers are heard again",
        (AlertKind::StoreDegraded, false) => "the store does not take what is written",
        (AlertKind::StoreDegraded, true) => "the store is well again",
        (AlertKind::AuditDrift, false) => "levels differ from the records they stand for",
        (AlertKind::AuditDrift, true) => "levels are those of their records again",
        (AlertKind::WebhooksDisagree, false) => "LiveKit's webhooks and its lists disagree",
        (AlertKind::WebhooksDisagree, true) => "LiveKit's webhooks and its lists agree again",
        (AlertKind::Refused, false) => "callers are turned away",
        (AlertKind::Refused, true) => "nobody is turned away any more",
        (AlertKind::FallbackInUse, false) => "new sessions go to the fallback",
        (AlertKind::FallbackInUse, true) => "new sessions go to the first choice again",
        (AlertKind::ProviderDown, false) => "the provider is down",
        (AlertKind::ProviderDown, true) => "the provider is up again",
        (AlertKind::ProviderDisagrees, false) => "the provider refuses below our limit",
        (AlertKind::ProviderDisagrees, true) => "the provider allows what our limit does again",
        (AlertKind::Approaching | AlertKind::AtLimit | AlertKind::Over, false) => "is near its limit",
        (AlertKind::Approaching | AlertKind::AtLimit | AlertKind::Over, true) => "is no longer near its limit",
    }
}
