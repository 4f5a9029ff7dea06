//! The learned ceiling: what a provider seems to allow where that is less than our limit. It is learned from refusals for
//! concurrency alone, recovers slowly, and refuses nobody: it moves sessions while another model has room.

use std::fmt;

use crate::model::Time;

/// Percent of the level at which the provider refused.
const KEPT_PERCENT: u64 = 90;
/// One slot is tried again each so long, in seconds.
const SLOT_SECONDS: u64 = 60;
/// Without a limit of ours, it is given up so many percent above the level of the refusal.
const FREE_PERCENT: u64 = 125;

/// A ceiling and what it was learned from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ceiling {
    slots: u32,
    since: Time,
    /// The level at which the provider refused.
    refused_at: u32,
    /// The limit then in force.
    limit: Option<u32>,
}

impl Ceiling {
    /// What a refusal at a level says beside what was known: the lower of both. `None` where the level was above our limit,
    /// so that the refusal says nothing new.
    pub fn learn(known: Option<Self>, level: u32, limit: Option<u32>, now: Time) -> Option<Self> {
        if limit.is_some_and(|limit| level > limit) {
            return known;
        }
        let kept = u32::try_from(u64::from(level) * KEPT_PERCENT / 100).unwrap_or(u32::MAX).max(1);
        let slots = known.and_then(|known| known.slots(limit, now)).map_or(kept, |slots| slots.min(kept));
        Some(Self { slots, since: now, refused_at: level, limit })
    }

    /// The ceiling now; `None` where it has recovered to our limit.
    pub fn slots(&self, limit: Option<u32>, now: Time) -> Option<u32> {
        let recovered = u32::try_from(now.since(self.since).as_secs() / SLOT_SECONDS).unwrap_or(u32::MAX);
        let slots = self.slots.saturating_add(recovered);
        let free = || u32::try_from(u64::from(self.refused_at) * FREE_PERCENT / 100).unwrap_or(u32::MAX).max(2);
        let most = limit.unwrap_or_else(free);
        (slots < most).then_some(slots)
    }
}

/// `learned: the provider refused at 18, below the limit of 20`.
impl fmt::Display for Ceiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "learned: the provider refused at {}", self.refused_at)?;
        match self.limit {
            Some(limit) => write!(f, ", of a limit of {limit}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_refusals_lowers_it_once_and_it_recovers() {
        let now = Time::from_secs(1_000);
        let mut known = None;
        for level in [20, 20, 19, 20] {
            known = Ceiling::learn(known, level, Some(30), now);
        }
        let ceiling = known.expect("it was learned");
        assert_eq!(ceiling.to_string(), "learned: the provider refused at 20, of a limit of 30");
        let after = |minutes: u64| ceiling.slots(Some(30), Time::from_secs(1_000 + 60 * minutes));
        assert_eq!([after(0), after(1), after(12), after(13)], [Some(17), Some(18), Some(29), None]);
        assert_eq!(ceiling.slots(Some(17), now), None, "a limit that was lowered below it");
        assert_eq!(Ceiling::learn(None, 31, Some(30), now), None, "above our limit it is no news");
        let unlimited = Ceiling::learn(None, 1, None, now).expect("it was learned");
        assert_eq!((unlimited.slots(None, now), unlimited.slots(None, Time::from_secs(1_060))), (Some(1), None));
    }
}
