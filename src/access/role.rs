//! Roles: what the holder of a credential may do. Each credential has one.

use std::{fmt, str::FromStr};

/// What a credential is for. The numbers are stored, and those of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reports, and acquires, in its project.
    Worker = 1,
    /// Reads its project.
    Viewer = 2,
    /// Reads its project, sets its limits, and manages its keys up to its own role.
    Editor = 3,
    /// Everything, in every project.
    Operator = 4,
    /// Scrapes the metrics of all projects, and nothing else.
    Metrics = 5,
}

/// A set of roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles(u8);

impl Role {
    pub const ALL: [Self; 5] = [Self::Worker, Self::Viewer, Self::Editor, Self::Operator, Self::Metrics];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Operator => "operator",
            Self::Metrics => "metrics",
        }
    }

    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|role| *role as u32 == number)
    }

    /// Whether the holder of this role may make, change and end credentials of another. Metrics speak of all projects, so
    /// that only operators give that role away.
    pub const fn may_manage(self, other: Self) -> bool {
        match self {
            Self::Operator => true,
            Self::Editor => matches!(other, Self::Worker | Self::Viewer | Self::Editor),
            Self::Worker | Self::Viewer | Self::Metrics => false,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|role| role.as_str() == text);
        known.ok_or_else(|| format!("{text:?} is not a role; worker, viewer, editor, operator and metrics are"))
    }
}

impl Roles {
    pub const fn of(roles: &[Role]) -> Self {
        let (mut set, mut nth) = (0, 0);
        while nth < roles.len() {
            set |= 1 << roles[nth] as u8;
            nth += 1;
        }
        Self(set)
    }

    pub const fn has(self, role: Role) -> bool {
        self.0 & (1 << role as u8) != 0
    }
}

impl Roles {
    /// `operator`, or `one of editor, operator`.
    pub fn one_of(self) -> String {
        let count = Role::ALL.into_iter().filter(|role| self.has(*role)).count();
        if count == 1 { self.to_string() } else { format!("one of {self}") }
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roles: Vec<_> = Role::ALL.into_iter().filter(|role| self.has(*role)).map(Role::as_str).collect();
        f.write_str(&roles.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gives_away_more_than_they_have() {
        let managed = |role: Role| Role::ALL.into_iter().filter(|other| role.may_manage(*other)).count();
        assert_eq!(Role::ALL.map(managed), [0, 0, 3, 5, 0]);
        assert!(!Role::Editor.may_manage(Role::Operator) && !Role::Editor.may_manage(Role::Metrics));
    }

    #[test]
    fn roles_are_spelled_and_numbered() {
        for role in Role::ALL {
            assert_eq!((role.as_str().parse(), Role::from_number(role as u32)), (Ok(role), Some(role)));
        }
        assert!("admin".parse::<Role>().is_err() && Role::from_number(0).is_none() && Role::from_number(6).is_none());
        let some = Roles::of(&[Role::Viewer, Role::Operator]);
        assert_eq!(
            (some.has(Role::Viewer), some.has(Role::Worker), some.to_string().as_str()),
            (true, false, "viewer, operator")
        );
    }
}
