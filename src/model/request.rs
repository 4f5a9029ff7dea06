//! Requests for more capacity: what may be asked, what may be decided, and where a request stands. Functions of the request
//! and the limit in force; who may do it is not looked at here.

use std::fmt;

use crate::model::{Bound, Project, Target, Tick, Time, limit::MAX_SLOTS};

/// Longest reason and longest word, in bytes: what a limit's reason may have.
pub const MAX_TEXT_BYTES: usize = 500;
/// Open requests of one project: more are a pile that nobody decides on.
pub const MOST_OPEN: usize = 20;
/// Requests of one project that are kept, with those that are over: the oldest of these go first.
pub const MOST_KEPT: usize = 1_000;

/// Somebody asks for more capacity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncreaseRequest {
    pub id: String,
    pub project: Project,
    /// A meter that was never seen is one that is not in use yet.
    pub target: Target,
    pub wanted: u32,
    pub reason: String,
    /// Until when it is wanted; `None` for no end.
    pub end: Option<Time>,
    pub created: Time,
    /// Id of the key that it was made with.
    pub created_by: String,
    pub evidence: Evidence,
    /// `None` while it is open.
    pub decision: Option<Decision>,
}

/// What the last seven days said for a request when it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The limit in force.
    pub limit: Option<u32>,
    /// Highest level and its second; `None` when nothing was covered.
    pub peak: Option<(u32, Tick)>,
    /// How it is to be read.
    pub peak_bound: Bound,
    /// Minutes at or above 90 % of the limit then in force.
    pub minutes_near: u32,
    pub minutes_covered: u32,
    /// Which kind of peaks they were, by its word; empty when nothing was said.
    pub week: String,
    /// Attempts that were refused for concurrency.
    pub turned_away: u64,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// As asked, or more.
    Approved = 2,
    /// Less than was asked, or for a shorter time.
    ApprovedInPart = 3,
    Declined = 4,
    Withdrawn = 5,
}

/// What was decided on a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub ruling: Ruling,
    /// The limit that was granted; 0 when none was.
    pub slots: u32,
    /// Until when it is granted; `None` for no end.
    pub end: Option<Time>,
    /// Id of the key that it was decided with.
    pub by: String,
    pub at: Time,
    /// A word to who asked.
    pub word: String,
}

/// What somebody grants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// 0 declines.
    pub slots: u32,
    pub end: Option<Time>,
    pub word: String,
}

/// Why a request can't be made or decided: which field, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Wrong {
    pub field: &'static str,
    pub problem: String,
}

impl Wrong {
    fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}

impl Ruling {
    pub const ALL: [Self; 4] = [Self::Approved, Self::ApprovedInPart, Self::Declined, Self::Withdrawn];

    /// The ruling of a number that is stored.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|ruling| *ruling as u32 == number)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::ApprovedInPart => "approved in part",
            Self::Declined => "declined",
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl fmt::Display for Ruling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a limit may be asked for while another is in force.
///
/// # Errors
/// When it is none that there can be, or no more than there is.
pub fn check_wanted(wanted: u32, in_force: Option<u32>) -> Result<(), Wrong> {
    if wanted == 0 || wanted > MAX_SLOTS {
        return Err(Wrong::new("wanted_slots", format!("is {wanted}; 1 to {MAX_SLOTS} are allowed")));
    }
    match in_force.filter(|in_force| wanted <= *in_force) {
        None => Ok(()),
        Some(in_force) => {
            let problem = format!("is {wanted}, which is not above the limit in force, {in_force}");
            Err(Wrong::new("wanted_slots", problem))
        }
    }
}

impl IncreaseRequest {
    pub const fn is_open(&self) -> bool {
        self.decision.is_none()
    }

    /// When something last happened to it.
    pub fn touched(&self) -> Time {
        self.decision.as_ref().map_or(self.created, |decision| decision.at)
    }

    /// What a grant comes to, while a limit is in force.
    ///
    /// # Errors
    /// When it would lower the limit, grants until a time that is past, or gives less than was asked without a word.
    pub fn rule(&self, grant: &Grant, in_force: Option<u32>, now: Time) -> Result<Ruling, Wrong> {
        let Grant { slots, end, word } = grant;
        if *slots > MAX_SLOTS {
            return Err(Wrong::new("slots", format!("is {slots}; 1 to {MAX_SLOTS} are allowed, and 0 declines")));
        }
        if *slots == 0 && end.is_some() {
            return Err(Wrong::new("end_time", "is for what is granted; leave it out to decline"));
        }
        if end.is_some_and(|end| end <= now) {
            return Err(Wrong::new("end_time", "is not in the future"));
        }
        if let Some(in_force) = in_force.filter(|in_force| *slots > 0 && slots < in_force) {
            let problem =
                format!("is {slots}; the limit in force is {in_force}: grant as much or more, or decline with 0");
            return Err(Wrong::new("slots", problem));
        }
        // Without an end is as long as anything.
        let as_long = end.is_none_or(|end| self.end.is_some_and(|asked| end >= asked));
        let ruling = match *slots {
            0 => Ruling::Declined,
            slots if slots >= self.wanted && as_long => Ruling::Approved,
            _ => Ruling::ApprovedInPart,
        };
        if ruling != Ruling::Approved && word.is_empty() {
            return Err(Wrong::new("word", "is needed where less is granted than was asked"));
        }
        Ok(ruling)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::{Kind, Meter};

    fn request(wanted: u32, end: Option<u64>) -> IncreaseRequest {
        IncreaseRequest {
            id: "r".to_owned(),
            project: Project::new("acme").unwrap(),
            target: Target::Meter(Meter::new(Kind::Tts, "cartesia/sonic-3", "", None).unwrap()),
            wanted,
            reason: "launch".to_owned(),
            end: end.map(Time),
            created: Time(10),
            created_by: "kim".to_owned(),
            evidence: Evidence::default(),
            decision: None,
        }
    }

    #[test]
    fn what_is_not_above_the_limit_in_force_is_not_asked_for() {
        assert_eq!(check_wanted(21, Some(20)), Ok(()));
        assert_eq!(check_wanted(1, Some(0)), Ok(()));
        assert_eq!(check_wanted(1, None), Ok(()));
        let words = check_wanted(20, Some(20)).unwrap_err().to_string();
        assert_eq!(words, "wanted_slots: is 20, which is not above the limit in force, 20");
        for wanted in [0, MAX_SLOTS + 1] {
            assert!(check_wanted(wanted, None).unwrap_err().problem.contains("1 to 16777215"));
        }
    }

    #[track_caller]
    fn ruled(asked: (u32, Option<u64>), granted: (u32, Option<u64>), ruling: Ruling) {
        let grant = Grant { slots: granted.0, end: granted.1.map(Time), word: "so".to_owned() };
        let request = request(asked.0, asked.1);
        assert_eq!(request.rule(&grant, Some(20), Time(50)), Ok(ruling));
        let silent = Grant { word: String::new(), ..grant };
        assert_eq!(request.rule(&silent, Some(20), Time(50)).is_ok(), ruling == Ruling::Approved);
    }

    #[test]
    fn less_than_was_asked_is_in_part_and_needs_a_word() {
        ruled((30, None), (30, None), Ruling::Approved);
        ruled((30, Some(90)), (40, None), Ruling::Approved);
        ruled((30, Some(90)), (30, Some(90)), Ruling::Approved);
        ruled((30, Some(90)), (30, Some(80)), Ruling::ApprovedInPart);
        ruled((30, None), (30, Some(80)), Ruling::ApprovedInPart);
        ruled((30, None), (25, None), Ruling::ApprovedInPart);
        ruled((30, None), (20, None), Ruling::ApprovedInPart);
        ruled((30, None), (0, None), Ruling::Declined);
    }

    #[test]
    fn a_grant_never_lowers_a_limit_nor_ends_before_it_begins() {
        let wrong = |slots, end: Option<u64>, field| {
            let grant = Grant { slots, end: end.map(Time), word: "so".to_owned() };
            assert_eq!(request(30, None).rule(&grant, Some(20), Time(50)).unwrap_err().field, field);
        };
        wrong(19, None, "slots");
        wrong(MAX_SLOTS + 1, None, "slots");
        wrong(30, Some(50), "end_time");
        wrong(0, Some(90), "end_time");
    }
}
