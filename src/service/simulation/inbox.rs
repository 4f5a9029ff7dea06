//! The inbox of a demo: the mails that its mail server took, in memory. They go nowhere.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::model::Time;

/// Mails that are kept, the newest.
pub const MOST_LETTERS: usize = 100;

/// A mail as it arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Letter {
    /// From 1, in the order of arrival; 0 before it is kept.
    pub id: u64,
    pub at: Time,
    pub to: Vec<String>,
    pub subject: String,
    /// Without its angle brackets.
    pub message_id: String,
    pub text: String,
    /// With its pictures in it, as `data:` URLs; empty when it has none.
    pub html: String,
    /// As it came over the wire.
    pub source: String,
}

/// The mails of a demo.
#[derive(Debug, Default)]
pub struct Inbox(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    taken: u64,
    letters: VecDeque<Arc<Letter>>,
}

impl Inbox {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a mail, and returns its number.
    pub fn keep(&self, letter: Letter) -> u64 {
        let mut kept = self.kept();
        kept.taken += 1;
        let id = kept.taken;
        kept.letters.push_front(Arc::new(Letter { id, ..letter }));
        kept.letters.truncate(MOST_LETTERS);
        id
    }

    /// The mails that are kept, the newest first.
    pub fn letters(&self) -> Vec<Arc<Letter>> {
        self.kept().letters.iter().cloned().collect()
    }

    pub fn letter(&self, id: u64) -> Option<Arc<Letter>> {
        self.kept().letters.iter().find(|letter| letter.id == id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept() {
        let inbox = Inbox::default();
        for _ in 0..MOST_LETTERS + 1 {
            inbox.keep(Letter::default());
        }
        let ids: Vec<_> = inbox.letters().iter().map(|letter| letter.id).collect();
        assert_eq!((ids.len(), ids[0], ids[MOST_LETTERS - 1]), (MOST_LETTERS, 101, 2));
        assert_eq!((inbox.letter(1), inbox.letter(2).map(|letter| letter.id)), (None, Some(2)));
    }
}
