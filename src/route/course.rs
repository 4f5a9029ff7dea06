//! When a chain leaves its leading model and returns to it: calmly, whatever the load does. It leaves and returns at most
//! once in a dwell time, which doubles while it flaps. What can't wait is no matter of the course: a model without room is
//! passed over by the route at once, and one whose provider is down loses the lead at once.

use std::time::Duration;

use crate::model::Time;

/// A model must be filled for so long before sessions leave it.
pub const FILLED_FOR: Duration = Duration::from_secs(2);
/// All sessions must fit on a model for so long before they return to it.
pub const FITS_FOR: Duration = Duration::from_secs(60);
/// To leave so soon after a return is to flap.
pub const FLAP: Duration = Duration::from_secs(600);
/// Longest dwell time that flapping leads to; a longer one that was asked for holds.
pub const MOST_FLAP_DWELL: Duration = Duration::from_secs(600);
/// After so long without a switch, the dwell time is halved, down to the chain's.
pub const CALM: Duration = Duration::from_secs(3_600);

/// Where a chain stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// Place of the model that leads: the primary, or the first model that can take its place.
    pub leader: usize,
    /// Whether sessions leave the leader because it fills.
    pub away: bool,
    /// When it last left or returned.
    pub switched: Option<Time>,
    /// Whether it could not wait then.
    pub forced: bool,
    returned: Option<Time>,
    /// The dwell time that flapping led to; zero for the chain's.
    dwell: Duration,
    /// Since when it has been calm: the last switch, or when the dwell time was last halved.
    calm_since: Time,
    filled_since: Option<Time>,
    fits_since: Option<Time>,
}

/// What is seen of a chain at one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The first model that can lead.
    pub first: usize,
    /// Whether the leader can still lead.
    pub leads: bool,
    /// The model that is pinned and can lead.
    pub pinned: Option<usize>,
    /// Whether the leader is filled to the threshold.
    pub filled: bool,
    /// Whether all sessions of the chain would fit below the leader's threshold of return.
    pub fits: bool,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// The leader can't lead any more, or another is pinned.
    Forced,
    /// Sessions begin to leave the leader.
    Left,
    /// Sessions begin to return, to an earlier leader or from the fallbacks of this one.
    Returned,
}

impl Course {
    /// Takes what is seen at `now`; `dwell` is the chain's.
    pub fn step(&mut self, seen: &Seen, dwell: Duration, now: Time) -> Option<Switch> {
        self.calm(dwell, now);
        since(&mut self.filled_since, seen.filled && !self.away, now);
        since(&mut self.fits_since, seen.fits && self.away, now);
        let lead = seen.pinned.or((!seen.leads).then_some(seen.first));
        if let Some(lead) = lead.filter(|lead| *lead != self.leader) {
            self.lead(lead);
            self.leave(dwell, now);
            self.forced = true;
            return Some(Switch::Forced);
        }
        if self.stays(dwell, now) {
            return None;
        }
        if seen.pinned.is_none() && seen.first < self.leader {
            self.lead(seen.first);
            return Some(self.come_back(now));
        }
        let lasted = |since: Option<Time>, long: Duration| since.is_some_and(|since| now.since(since) >= long);
        if !self.away && lasted(self.filled_since, FILLED_FOR) {
            self.away = true;
            self.leave(dwell, now);
            return Some(Switch::Left);
        }
        if self.away && lasted(self.fits_since, FITS_FOR) {
            self.away = false;
            return Some(self.come_back(now));
        }
        None
    }

    /// The dwell time in force.
    pub fn dwell(&self, chain: Duration) -> Duration {
        self.dwell.max(chain)
    }

    /// Whether the dwell time of the last switch is not over.
    pub fn stays(&self, chain: Duration, now: Time) -> bool {
        self.switched.is_some_and(|switched| now.since(switched) < self.dwell(chain))
    }

    fn lead(&mut self, leader: usize) {
        (self.leader, self.away) = (leader, false);
        (self.filled_since, self.fits_since) = (None, None);
    }

    fn leave(&mut self, dwell: Duration, now: Time) {
        if self.returned.is_some_and(|returned| now.since(returned) < FLAP) {
            self.dwell = self.dwell(dwell).saturating_mul(2).min(MOST_FLAP_DWELL);
        }
        (self.switched, self.calm_since, self.filled_since) = (Some(now), now, None);
        self.forced = false;
    }

    fn come_back(&mut self, now: Time) -> Switch {
        (self.switched, self.calm_since, self.fits_since) = (Some(now), now, None);
        (self.returned, self.forced) = (Some(now), false);
        Switch::Returned
    }

    fn calm(&mut self, dwell: Duration, now: Time) {
        while self.dwell > dwell && now.since(self.calm_since) >= CALM {
            self.dwell /= 2;
            self.calm_since = self.calm_since.after(CALM);
        }
    }
}

/// Notes since when something holds.
fn since(noted: &mut Option<Time>, holds: bool, now: Time) {
    *noted = if holds { noted.or(Some(now)) } else { None };
}

#[cfg(test)]
mod tests {
    use super::*;

    const DWELL: Duration = Duration::from_secs(30);

    fn seen(filled: bool, fits: bool) -> Seen {
        Seen { first: 0, leads: true, pinned: None, filled, fits }
    }

    /// What a second-by-second course does; times in seconds.
    fn switches(course: &mut Course, seconds: std::ops::Range<u64>, see: impl Fn(u64) -> Seen) -> Vec<(u64, Switch)> {
        let step = |second: u64| Some((second, course.step(&see(second), DWELL, Time::from_secs(second))?));
        seconds.filter_map(step).collect()
    }

    #[test]
    fn it_leaves_after_two_seconds_and_returns_when_all_has_fitted_for_a_minute() {
        let mut course = Course::default();
        let told = switches(&mut course, 0..300, |second| seen((10..100).contains(&second), second >= 100));
        assert_eq!(told, [(12, Switch::Left), (160, Switch::Returned)]);
    }

    #[test]
    fn what_wavers_moves_nothing() {
        let mut course = Course::default();
        assert_eq!(
            switches(&mut course, 0..300, |second| seen(second.is_multiple_of(2), !second.is_multiple_of(2))),
            []
        );
    }

    /// However a load swings, at any period, the stay after a switch is the dwell time, doubled for each flap.
    #[test]
    fn a_load_that_swings_switches_once_in_a_dwell_time_and_less_and_less() {
        for period in [4, 7, 30, 61, 64, 90, 200, 500] {
            let mut course = Course::default();
            let told = switches(&mut course, 0..20_000, |second| {
                let high = (second / period).is_multiple_of(2);
                seen(high, !high)
            });
            assert!(told.windows(2).all(|pair| pair[1].0 - pair[0].0 >= 30), "{period}: {told:?}");
            assert!(told.len() < 60, "{period}: {}", told.len());
        }
    }

    #[test]
    fn a_leader_that_is_down_loses_the_lead_at_once_and_gets_it_back_after_the_dwell_time() {
        let mut course = Course::default();
        let told = switches(&mut course, 0..200, |second| {
            let down = (50..55).contains(&second) || (90..95).contains(&second);
            Seen { first: usize::from(down), leads: course_leads(second, down), ..seen(false, true) }
        });
        assert_eq!(told, [(50, Switch::Forced), (80, Switch::Returned), (90, Switch::Forced), (150, Switch::Returned)]);
        assert_eq!(course.dwell(DWELL), 2 * DWELL, "it flapped");
        let calm = switches(&mut course, 200..4_000, |_| seen(false, true));
        assert_eq!((calm.len(), course.dwell(DWELL)), (0, DWELL));
    }

    /// Only the primary goes down; whoever leads instead goes on.
    fn course_leads(second: u64, down: bool) -> bool {
        !down || !matches!(second, 50 | 90)
    }

    #[test]
    fn a_pin_takes_the_lead_at_once() {
        let mut course = Course::default();
        let told = switches(&mut course, 0..100, |second| Seen {
            pinned: (10..20).contains(&second).then_some(1),
            ..seen(false, true)
        });
        assert_eq!(told, [(10, Switch::Forced), (40, Switch::Returned)]);
    }
}
