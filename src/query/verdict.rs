//! How a project stands, in a sentence: the verdict on its list.

use jiff::tz::TimeZone;

use crate::{
    history::verdict::{Standing, Verdict, verdict},
    model::Tick,
    query::{QuotaList, QuotaView},
};

impl QuotaList {
    /// The verdict on this list, which is all of the project, for people in a time zone.
    pub fn verdict(&self, zone: &TimeZone) -> Verdict {
        let list: Vec<_> = self.quotas.iter().map(standing).collect();
        verdict(&list, self.as_of, self.settling, zone)
    }
}

impl QuotaView {
    /// How near its limit the week came, as the verdict says it, without a full stop; `None` where nothing is known.
    pub fn week_in_words(&self, as_of: Tick, zone: &TimeZone) -> Option<String> {
        standing(self).week_sentence(as_of, zone)
    }

    /// What to ask for; 0 when there is no need.
    pub fn wanted_slots(&self) -> u32 {
        standing(self).wanted_slots()
    }
}

fn standing(quota: &QuotaView) -> Standing<'_> {
    Standing {
        target: &quota.key.target,
        name: &quota.name,
        level: quota.level,
        recent_peak: quota.recent_sure,
        covered: quota.covered,
        limit: quota.limit.as_ref().and_then(|limit| limit.slots),
        risk: quota.risk,
        week: quota.week,
        minutes_near: quota.minutes_near,
        minutes_covered: quota.minutes_covered,
        peak: quota.peak,
        peak_bound: quota.peak_bound,
        peak_raised: quota.peak.map_or(0, |(peak, _)| peak.saturating_sub(quota.sure_peak)),
        marks: &quota.marks,
        known_since: quota.known_since,
    }
}
