//! A proposal to share the slots of a kind's pool among its models, by what the last seven days needed.

use std::sync::Arc;

use crate::{
    foresee::assign::{Need, assign},
    model::{Flags, Key, Kind, Minute, Now, Project, Target, time::MINUTES_PER_WEEK},
    query::{Queries, QuotaView, Result, Wanted},
};

/// The level that was enough for this share of the covered seconds is told.
const PERCENTILE: f64 = 99.0;

/// A proposal.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// Slots that are shared.
    pub slots: u32,
    pub pool: QuotaView,
    /// The models, in the order of lists.
    pub shares: Vec<Share>,
    pub sentence: String,
}

/// What one model has and would have.
#[derive(Clone, Debug)]
pub struct Share {
    pub quota: QuotaView,
    /// Level that was enough for 99 % of the covered seconds.
    pub p99: u32,
    pub proposed: u32,
    /// Covered minutes whose peak would have been above what is proposed.
    pub minutes_above: u32,
}

impl Queries {
    /// Proposes how to share the slots of a pool: those that are given, else its limit, else the sum of the peaks. Reads the
    /// store.
    ///
    /// # Errors
    /// When the project or the pool was never seen, or the store can't be read.
    pub fn proposal(
        &self,
        project: &Project,
        kind: Kind,
        account: &Arc<str>,
        slots: Option<u32>,
        now: Now,
    ) -> Result<Proposal> {
        let service = &*self.service;
        let target = Target::KindPool { kind, account: account.clone() };
        let pool = self.quota(&Key { project: project.clone(), target }, now)?;
        let (as_of, settling) = (service.live.tick(now), service.live.is_settling());
        let end = as_of.minute().next();
        let range = Minute(end.0.saturating_sub(MINUTES_PER_WEEK))..end;
        let hours = range.start.hour()..as_of.hour().next();
        let wanted = Wanted { percentiles: vec![PERCENTILE], levels: vec![0] };
        let listing = self.listings.of(project, &service.live.registry, &service.catalogue);
        let is_of_pool = |target: &Target| !target.is_pool() && target.kind() == kind && target.account() == account;
        let (mut quotas, mut needs) = (Vec::new(), Vec::new());
        for listed in listing.keys.iter().filter(|listed| is_of_pool(&listed.tally.key.target)) {
            let quota = self.view(listed, as_of, settling, now)?;
            let minutes = self.minute_peaks(quota.id, &range)?;
            let covered = minutes.peaks.iter().zip(&minutes.flags).filter(|(_, flags)| !Flags(**flags).has(Flags::GAP));
            let mut peaks: Vec<_> = covered.map(|(peak, _)| *peak).collect();
            // What is live is not in the minutes yet.
            let highest = quota.peak.map_or(0, |(peak, _)| peak);
            match peaks.last_mut() {
                Some(newest) if quota.recent_peak == highest => *newest = highest.max(*newest),
                Some(_) => {}
                None => peaks.push(highest),
            }
            let p99 =
                self.distribution(quota.id, hours.clone(), &wanted)?.levels.first().map_or(0, |(_, level)| *level);
            quotas.push((quota, p99));
            needs.push(Need::of(peaks));
        }
        let limit = pool.limit.as_ref().and_then(|limit| limit.slots);
        let sum_of_peaks = || needs.iter().fold(0, |sum: u32, need| sum.saturating_add(need.peak()));
        let slots = slots.or(limit).unwrap_or_else(sum_of_peaks);
        let assignment = assign(&needs, slots);
        let shares = quotas.into_iter().zip(needs.iter().zip(&assignment.slots));
        let share = |((quota, p99), (need, proposed)): ((QuotaView, u32), (&Need, &u32))| Share {
            quota,
            p99,
            proposed: *proposed,
            minutes_above: need.minutes_above(*proposed),
        };
        Ok(Proposal { slots, pool, shares: shares.map(share).collect(), sentence: assignment.sentence })
    }
}
