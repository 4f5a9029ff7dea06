//! What is shown: the quotas of a project as they were last told, in the order in which people look at them.

use std::cmp::Reverse;

use jiff::Timestamp;
use rustc_hash::FxHashMap;

use crate::{
    cli::{moment, target::Named},
    proto::{Bound, GetStatusResponse, Quota, Target, Verdict},
};

/// How the view stands with the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// What is shown is what the service last said.
    Up,
    /// The service is away since then; what is shown is old.
    Away { since: Timestamp, cause: String },
}

/// The quotas of a project.
#[derive(Clone, Debug)]
pub struct View {
    pub project: String,
    pub as_of: Option<Timestamp>,
    /// Levels are lower bounds: the service is learning after a restart.
    pub settling: bool,
    /// How the project stands.
    pub verdict: Option<Verdict>,
    pub status: Option<GetStatusResponse>,
    pub link: Link,
    quotas: FxHashMap<Target, Quota>,
}

impl View {
    pub fn new(project: &str) -> Self {
        let quotas = FxHashMap::default();
        let (project, link) = (project.to_owned(), Link::Up);
        Self { project, as_of: None, settling: false, verdict: None, status: None, link, quotas }
    }

    /// Takes what was told; returns what is new or differs in what people look at.
    pub fn take(&mut self, quotas: Vec<Quota>, as_of: Option<prost_types::Timestamp>, settling: bool) -> Vec<Quota> {
        self.as_of = as_of.as_ref().and_then(moment::of_wire).or(self.as_of);
        self.settling = settling;
        let mut changed = Vec::new();
        for quota in quotas {
            let Some(target) = quota.target.clone() else { continue };
            let now = of_interest(&quota);
            let before = self.quotas.insert(target, quota.clone());
            if before.as_ref().map(of_interest) != Some(now) {
                changed.push(quota);
            }
        }
        changed
    }

    /// Whether there may be more sessions than the level says.
    pub fn is_at_least(&self, quota: &Quota) -> bool {
        self.settling || quota.level_bound() == Bound::AtLeast
    }

    /// Forgets the quotas: the next message of a new watch has all that there are.
    pub fn clear(&mut self) {
        self.quotas.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.quotas.is_empty()
    }

    /// The quotas by kind and account, the pool before its meters, these by name.
    pub fn sorted(&self) -> Vec<&Quota> {
        let mut quotas: Vec<_> = self.quotas.values().collect();
        quotas.sort_by_cached_key(|quota| {
            let named = Named::of(quota.target.as_ref());
            let unit = named.unit.map(|unit| unit as u8);
            (named.rank(), named.account.to_owned(), Reverse(named.pool), named.model.to_owned(), unit)
        });
        quotas
    }
}

/// What a line of a watch is printed for: level, limit, risk, whether and how it is known.
fn of_interest(quota: &Quota) -> (u32, u32, Option<u32>, i32, bool, i32) {
    let limit = quota.limit.as_ref().map(|limit| limit.slots);
    (quota.level, quota.silent_level, limit, quota.risk, quota.covered, quota.level_bound)
}
