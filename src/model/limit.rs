//! Limits and their history: what was in force when, who set it and why.

use crate::model::time::Time;

/// Most slots that a limit can allow, and that a level can count: 24 bits of the meter word.
pub const MAX_SLOTS: u32 = (1 << 24) - 1;
/// Longest name of who set a limit, in bytes.
pub const MAX_SET_BY_BYTES: usize = 128;
/// Longest reason, in bytes.
pub const MAX_REASON_BYTES: usize = 500;

/// One decision on a limit. Nothing of it changes later: a change is another entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitEntry {
    /// Slots allowed; `None` says that there is no limit from here on.
    pub slots: Option<u32>,
    pub start: Time,
    /// Until when, exclusive; `None` for no end.
    pub end: Option<Time>,
    pub set_by: String,
    pub reason: String,
}

/// All decisions on the limit of one key, the oldest first. In force is the newest that covers the instant, so that
/// what a raise replaced is in force again when the raise ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitHistory {
    entries: Vec<LimitEntry>,
}

impl LimitEntry {
    /// Whether this decision speaks of an instant; a newer one may speak of it too.
    pub fn covers(&self, at: Time) -> bool {
        self.start <= at && self.end.is_none_or(|end| at < end)
    }
}

impl LimitHistory {
    pub fn new(mut entries: Vec<LimitEntry>) -> Self {
        entries.sort_by_key(|entry| entry.start);
        Self { entries }
    }

    /// Adds a decision. One that starts before the newest is put at the newest's start: history is not rewritten.
    pub fn push(&mut self, mut entry: LimitEntry) {
        if let Some(newest) = self.entries.last() {
            entry.start = entry.start.max(newest.start);
        }
        self.entries.push(entry);
    }

    /// All decisions, the oldest first.
    pub fn entries(&self) -> &[LimitEntry] {
        &self.entries
    }

    /// The decision in force at an instant; `None` where there was no limit.
    pub fn in_force(&self, at: Time) -> Option<&LimitEntry> {
        self.entries.iter().rev().find(|entry| entry.covers(at)).filter(|entry| entry.slots.is_some())
    }

    /// The slots allowed at an instant.
    pub fn slots_at(&self, at: Time) -> Option<u32> {
        self.in_force(at).and_then(|entry| entry.slots)
    }

    /// When the nth decision ends for good: by itself, by a later one without an end, or by one that outlasts it;
    /// `None` while it may be in force again.
    pub fn end_of(&self, nth: usize) -> Option<Time> {
        let entry = self.entries.get(nth)?;
        self.outlasting(nth).map(|other| other.start).into_iter().chain(entry.end).min()
    }

    /// The decision that ended the nth one without another limit in its place; `None` where none did.
    pub fn ended_by(&self, nth: usize) -> Option<&LimitEntry> {
        let entry = self.entries.get(nth)?;
        let in_time = |other: &&LimitEntry| entry.end.is_none_or(|end| other.start < end);
        self.outlasting(nth).filter(|other| other.slots.is_none()).filter(in_time)
    }

    /// The first decision after the nth that lasts at least as long.
    fn outlasting(&self, nth: usize) -> Option<&LimitEntry> {
        let (entry, later) = self.entries.get(nth..)?.split_first()?;
        let outlasts = |other: &&LimitEntry| other.end.is_none() || entry.end.is_some_and(|end| other.end >= Some(end));
        later.iter().find(outlasts)
    }

    /// The instants at which the limit in force may change, in order: what lies between two of them is constant.
    pub fn changes(&self) -> Vec<Time> {
        let mut times: Vec<_> = self.entries.iter().flat_map(|e| [Some(e.start), e.end]).flatten().collect();
        times.sort_unstable();
        times.dedup();
        times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(slots: Option<u32>, start: u64, end: Option<u64>) -> LimitEntry {
        let (set_by, reason) = ("ops".to_owned(), String::new());
        LimitEntry { slots, start: Time(start), end: end.map(Time), set_by, reason }
    }

    #[test]
    fn a_raise_ends_by_itself_and_an_end_ends_all() {
        let mut history = LimitHistory::default();
        history.push(entry(Some(20), 10, None));
        history.push(entry(Some(30), 20, Some(30)));
        history.push(entry(None, 40, None));
        let at = |t| history.slots_at(Time(t));
        assert_eq!(
            [at(9), at(10), at(20), at(29), at(30), at(40)],
            [None, Some(20), Some(30), Some(30), Some(20), None]
        );
        assert_eq!(history.changes(), [10, 20, 30, 40].map(Time));
        assert_eq!([0, 1, 2].map(|nth| history.end_of(nth)), [Some(Time(40)), Some(Time(30)), None]);
        let ended = [0, 1, 2].map(|nth| history.ended_by(nth).map(|by| by.start));
        assert_eq!(ended, [Some(Time(40)), None, None], "the raise had ended by itself");
    }

    #[test]
    fn a_change_ends_what_it_outlasts() {
        let history = LimitHistory::new(vec![
            entry(Some(20), 10, None),
            entry(Some(30), 20, Some(50)),
            entry(Some(40), 25, Some(40)),
            entry(Some(50), 30, Some(60)),
        ]);
        let ends = [0, 1, 2, 3, 4].map(|nth| history.end_of(nth));
        assert_eq!(ends, [None, Some(Time(30)), Some(Time(30)), Some(Time(60)), None]);
        assert!((0..5).all(|nth| history.ended_by(nth).is_none()), "each but the last was replaced");
    }
}
