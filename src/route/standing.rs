//! How full a model is, by each limit that a grant on it must keep.

/// One level and its limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Slots held.
    pub level: u32,
    /// `None` for no limit.
    pub limit: Option<u32>,
}

/// A model of a chain and what stands above it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The model in the project.
    pub model: Scope,
    /// The model across all projects.
    pub across: Scope,
    /// Its kind in the project: the models of a chain share it, so that it is no reason to leave one for another.
    pub kind: Scope,
    /// What was learned of the provider's own limit. It moves sessions and refuses none.
    pub ceiling: Option<u32>,
    /// Sessions of the chain that the model holds, of its level.
    pub held: u32,
}

impl Scope {
    /// Free slots; [`u32::MAX`] without a limit.
    pub fn room(self) -> u32 {
        self.limit.map_or(u32::MAX, |limit| limit.saturating_sub(self.level))
    }

    /// Whether so many percent of the limit are held, or more; never without a limit.
    fn reaches(self, percent: u32) -> bool {
        self.limit.is_some_and(|limit| u64::from(self.level) * 100 >= u64::from(limit) * u64::from(percent))
    }
}

impl Standing {
    /// Slots that can be granted: of the tightest limit.
    pub fn room(&self) -> u32 {
        self.model.room().min(self.across.room()).min(self.kind.room())
    }

    /// The same below the learned ceiling.
    pub fn proven_room(&self) -> u32 {
        self.room().min(self.learned().room())
    }

    /// Whether a limit that is the model's alone, or its learned ceiling, is so many percent full.
    pub fn is_filled(&self, percent: u32) -> bool {
        self.own().iter().any(|scope| scope.reaches(percent))
    }

    /// How many sessions of the chain the model could hold at so many percent of its own limits; [`u32::MAX`] without one.
    pub fn capacity(&self, percent: u32) -> u32 {
        let of = |scope: &Scope| {
            let others = scope.level.saturating_sub(self.held);
            let allowed = |limit: u32| u64::from(limit) * u64::from(percent) / 100;
            scope
                .limit
                .map_or(u32::MAX, |limit| u32::try_from(allowed(limit)).unwrap_or(u32::MAX).saturating_sub(others))
        };
        self.own().iter().map(of).min().unwrap_or(u32::MAX)
    }

    fn learned(&self) -> Scope {
        Scope { level: self.model.level, limit: self.ceiling }
    }

    fn own(&self) -> [Scope; 3] {
        [self.model, self.across, self.learned()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_limit_counts() {
        let scope = |level, limit| Scope { level, limit: Some(limit) };
        let standing =
            Standing { model: scope(8, 20), across: scope(45, 50), kind: scope(27, 30), ceiling: Some(10), held: 6 };
        assert_eq!((standing.room(), standing.proven_room()), (3, 2));
        assert_eq!(
            [80, 90, 91].map(|percent| standing.is_filled(percent)),
            [true, true, false],
            "the kind does not count"
        );
        assert_eq!(standing.capacity(100), 8, "of the ceiling: 10, less the 2 that others hold");
        assert_eq!(Standing { ceiling: None, ..standing }.capacity(80), 1, "across: 40, less 39");
    }

    #[test]
    fn without_a_limit_there_is_room() {
        let standing = Standing { model: Scope { level: 1_000_000, limit: None }, ..Standing::default() };
        assert_eq!((standing.room(), standing.capacity(80), standing.is_filled(0)), (u32::MAX, u32::MAX, false));
    }
}
