//! Whether limits are enforced, and for whom slots are kept. Chosen for a project, a kind or a model; the nearest choice
//! counts. Plain values: it must never decide who is let in.

use crate::model::key::{Meter, Target};

/// Most of a limit that can be kept for each higher priority, in percent.
pub const MAX_KEPT_PERCENT: u8 = 45;

/// How urgent a caller's session is, as LiveKit Inference names it. The order is that in which they are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    Priority = 0,
    #[default]
    Standard = 1,
    Low = 2,
}

impl Priority {
    pub const ALL: [Self; 3] = [Self::Priority, Self::Standard, Self::Low];
    pub const COUNT: usize = Self::ALL.len();

    /// How many are before it.
    pub const fn rank(self) -> usize {
        self as usize
    }
}

/// What a limit does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It is shown, and nobody is refused.
    #[default]
    Observe,
    /// Who asks for a slot beyond it is refused.
    Enforce,
}

/// A choice for a project, a kind or a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Enforcement {
    pub mode: Mode,
    /// Share of each limit that is kept for each higher priority, 0 to 45 %: `standard` leaves it once, `low` twice.
    pub kept_percent: u8,
}

impl Enforcement {
    /// The most slots that each priority may fill of a limit, by [`Priority::rank`]. What is kept is rounded up.
    pub fn most(self, limit: u32) -> [u32; Priority::COUNT] {
        let kept = (u64::from(limit) * u64::from(self.kept_percent.min(MAX_KEPT_PERCENT))).div_ceil(100) as u32;
        Priority::ALL.map(|priority| limit.saturating_sub(kept * priority.rank() as u32))
    }
}

/// Of the choices that may hold for a target, the places to look, the nearest first; `None` stands for the whole project.
pub fn nearest(target: &Target) -> Vec<Option<Target>> {
    let mut places = vec![Some(target.clone())];
    if let Target::Meter(Meter { kind, account, .. }) = target {
        places.push(Some(Target::KindPool { kind: *kind, account: account.clone() }));
    }
    places.push(None);
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_kept_once_for_each_higher_priority() {
        let most = |limit, kept_percent| Enforcement { mode: Mode::Enforce, kept_percent }.most(limit);
        assert_eq!(most(20, 0), [20, 20, 20]);
        assert_eq!(most(20, 10), [20, 18, 16]);
        assert_eq!(most(10, 1), [10, 9, 8]);
        assert_eq!(most(1, 45), [1, 0, 0]);
        assert_eq!(most(0, 45), [0, 0, 0]);
    }
}
