//! When the service was not there, or learned again what its workers held: seconds of which all that history has is a lower
//! bound, or nothing. They are known exactly at a start, from the last second that is stored to the end of learning, and
//! kept as a note of the store: minutes can't tell a service that was away from workers that were.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{
    model::{Tick, Time},
    service::Service,
    store::{Store, StoreError},
};

/// The note that they are kept in: `from-to` in seconds since the Unix epoch, the oldest first; the last may have no end.
const NOTE: &str = "outages";
/// Outages that are kept: as many as a list of annotations has. The oldest go first.
const MOST_KEPT: usize = 1_000;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// The first second that was missed.
    pub from: Tick,
    /// The first second that was not; `None` while it goes on.
    pub to: Option<Tick>,
}

/// The outages of a service.
#[derive(Debug, Default)]
pub struct Outages(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    list: Vec<Outage>,
    /// The store knows them.
    is_stored: bool,
}

impl Outages {
    /// Those of a store.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let note = store.note(NOTE)?.unwrap_or_default();
        let list = note.split_whitespace().filter_map(read).collect();
        Ok(Self(Mutex::new(Kept { list, is_stored: true })))
    }

    /// The service is there again after it missed the seconds from `from` to `first`; it goes on until all is learned. One
    /// that was cut off in the middle of learning is the same outage.
    pub(super) fn begin(&self, from: Tick, first: Tick) {
        let mut kept = self.kept();
        let goes_on = kept.list.last().is_some_and(|last| last.to.is_none());
        if goes_on || from >= first {
            return;
        }
        if kept.list.len() >= MOST_KEPT {
            kept.list.remove(0);
        }
        kept.list.push(Outage { from, to: None });
        kept.is_stored = false;
    }

    /// Those that overlap a window of time.
    pub fn of(&self, start: Time, end: Time) -> Vec<Outage> {
        let is_in = |outage: &&Outage| outage.from.start() < end && outage.to.is_none_or(|to| to.start() > start);
        self.kept().list.iter().filter(is_in).copied().collect()
    }

    fn end(&self, at: Tick) {
        let mut kept = self.kept();
        if let Some(last) = kept.list.last_mut().filter(|last| last.to.is_none()) {
            last.to = Some(at);
            kept.is_stored = false;
        }
    }

    fn keep(&self, store: &dyn Store) -> Result<(), StoreError> {
        let note = {
            let kept = self.kept();
            if kept.is_stored {
                return Ok(());
            }
            kept.list.iter().map(written).collect::<Vec<_>>().join(" ")
        };
        store.set_note(NOTE, &note)?;
        self.kept().is_stored = true;
        Ok(())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    /// Ends an outage when all is learned, and has the store know. Called each second, by the recorder alone.
    pub(super) fn keep_outages(&self, at: Tick) -> Result<(), StoreError> {
        if !self.live.is_settling() {
            self.outages.end(at);
        }
        self.outages.keep(&*self.store)
    }
}

fn read(text: &str) -> Option<Outage> {
    let (from, to) = text.split_once('-')?;
    let to = if to.is_empty() { None } else { Some(Tick(to.parse().ok()?)) };
    Some(Outage { from: Tick(from.parse().ok()?), to })
}

fn written(outage: &Outage) -> String {
    let to = outage.to.map(|to| to.0.to_string()).unwrap_or_default();
    format!("{}-{to}", outage.from.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::store::EmbeddedStore;

    #[test]
    fn an_outage_lasts_until_all_is_learned_also_over_two_restarts() {
        let store = EmbeddedStore::in_memory().unwrap();
        let begun = |from, first| {
            let outages = Outages::load(&store).unwrap();
            outages.begin(Tick(from), Tick(first));
            outages.keep(&store).unwrap();
            outages
        };
        let all = |outages: &Outages| -> Vec<_> {
            outages.of(Time(0), Time(u64::MAX)).iter().map(|outage| (outage.from.0, outage.to.map(|to| to.0))).collect()
        };
        let first = begun(100, 100);
        first.end(Tick(101));
        assert_eq!(all(&first), [], "not a second was missed");
        begun(100, 110);
        let second = begun(115, 120);
        assert_eq!(all(&second), [(100, None)], "it was killed while it learned");
        second.end(Tick(132));
        second.end(Tick(133));
        second.keep(&store).unwrap();
        let third = begun(300, 301);
        assert_eq!(all(&third), [(100, Some(132)), (300, None)]);
        let within = |start, end| third.of(Tick(start).start(), Tick(end).start()).len();
        assert_eq!([within(0, 100), within(0, 101), within(132, 300), within(131, 301)], [0, 1, 0, 2]);
    }

    #[test]
    fn they_are_bounded_and_the_oldest_go() {
        let outages = Outages::default();
        for nth in 0..=MOST_KEPT as u64 {
            outages.begin(Tick(nth * 10), Tick(nth * 10 + 5));
            outages.end(Tick(nth * 10 + 6));
        }
        let all = outages.of(Time(0), Time(u64::MAX));
        assert_eq!((all.len(), all[0].from), (MOST_KEPT, Tick(10)));
    }
}
