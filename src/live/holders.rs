//! Who holds most slots of a level, for those who are refused one.

use std::{collections::HashMap, sync::Arc};

use crate::{
    live::{
        Live,
        meter::Tally,
        sync::{Mutex, lock},
    },
    model::{KeyId, Tick},
};

/// Workers that are named.
const MOST_NAMED: usize = 3;

/// Workers by name, each with the slots that it holds; the most first.
pub type Named = Arc<[(Box<str>, u32)]>;

/// What was found of late: counting walks all books, and is done once a second for a level at most.
#[derive(Debug, Default)]
pub(super) struct Holders(Mutex<HashMap<KeyId, (Tick, Named)>>);

/// Levels whose holders are remembered.
const MOST_REMEMBERED: usize = 10_000;

impl Live {
    /// Those who hold most of a level in its project, as of this second.
    pub fn holders(&self, tally: &Tally, now: Tick) -> Named {
        let mut found = lock(&self.holders.0);
        if let Some((at, named)) = found.get(&tally.id)
            && *at == now
        {
            return named.clone();
        }
        if found.len() >= MOST_REMEMBERED {
            found.clear();
        }
        let named = self.count_holders(tally);
        found.insert(tally.id, (now, named.clone()));
        named
    }

    fn count_holders(&self, tally: &Tally) -> Named {
        let mut slots: HashMap<Box<str>, u32> = HashMap::new();
        for book in self.all_books() {
            let book = lock(&book);
            if book.project != tally.key.project {
                continue;
            }
            let counts = |ids: [KeyId; 3]| ids.contains(&tally.id);
            let held = book.sessions().filter(|(_, held)| counts(held.meter.ids)).count();
            if held > 0 {
                *slots.entry(book.worker.clone()).or_default() += u32::try_from(held).unwrap_or(u32::MAX);
            }
        }
        let mut named: Vec<_> = slots.into_iter().collect();
        named.sort_unstable_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
        named.truncate(MOST_NAMED);
        named.into()
    }
}
