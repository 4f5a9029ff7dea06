//! Who holds each slot now, the oldest first or those of silent workers before the others, in pages that stay where they
//! are while sessions come and go.

use std::collections::BinaryHeap;

use crate::{
    live::{Book, sync::lock},
    model::{Incarnation, Key, Labels, Meter, Project, SessionId, Target, Time},
    query::{Queries, Result},
};

/// Where a session stands in the list: pages go on after it, whether or not it is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Those of silent workers come first, and this is none. False where they don't come first.
    pub after_silent: bool,
    pub since: Time,
    pub id: SessionId,
    pub incarnation: Incarnation,
}

/// Which sessions are wanted.
#[derive(Clone, Debug, Default)]
pub struct SessionFilter {
    /// Only of this meter or pool.
    pub target: Option<Target>,
    /// Only of this worker.
    pub worker: Option<String>,
    /// Those of silent workers come first.
    pub silent_first: bool,
}

/// One held slot.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionView {
    pub place: Place,
    pub project: Project,
    pub worker: Box<str>,
    pub meter: Meter,
    pub labels: Labels,
    /// When its worker was last heard.
    pub heard: Time,
    /// Its worker is cut off: it is lost when the lease ends.
    pub silent: bool,
}

/// A page of sessions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionPage {
    pub sessions: Vec<SessionView>,
    /// Sessions that match, of all pages.
    pub total: usize,
    /// Where the page ends, when there are more after it.
    pub last: Option<Place>,
}

impl Queries {
    /// The sessions of a project (of all projects, for the one that stands for all) after a place, at most `size`. Walks
    /// all that is held: not for a thread that serves workers.
    ///
    /// # Errors
    /// When the project or the target was never seen.
    pub fn sessions(
        &self,
        project: &Project,
        filter: &SessionFilter,
        after: Option<Place>,
        size: usize,
    ) -> Result<SessionPage> {
        self.seen(project)?;
        let key = match &filter.target {
            Some(target) => {
                let key = Key { project: project.clone(), target: target.clone() };
                Some(self.tally(&key)?.id)
            }
            None => None,
        };
        let mut total = 0;
        let mut more = false;
        // The first ones after the place, the last of them on top: what is kept does not grow with what is held.
        let mut first: BinaryHeap<(Place, usize)> = BinaryHeap::with_capacity(size + 1);
        let books = self.service.live.all_books();
        for (nth, book) in books.iter().enumerate() {
            let book = lock(book);
            if !is_wanted(&book, project, filter) {
                continue;
            }
            let after_silent = filter.silent_first && !book.is_silent();
            for (id, held) in book.sessions() {
                let meter = held.meter;
                if key.is_some_and(|key| meter.tally.id != key && meter.pools.iter().all(|pool| pool.id != key)) {
                    continue;
                }
                total += 1;
                let place = Place { after_silent, since: held.since, id: *id, incarnation: book.incarnation };
                if after.is_some_and(|after| place <= after) {
                    continue;
                }
                first.push((place, nth));
                if first.len() > size {
                    first.pop();
                    more = true;
                }
            }
        }
        let first = first.into_sorted_vec();
        let last = first.last().filter(|_| more).map(|(place, _)| *place);
        let sessions = first.into_iter().filter_map(|(place, nth)| view(&lock(&books[nth]), place)).collect();
        Ok(SessionPage { sessions, total, last })
    }
}

fn is_wanted(book: &Book, project: &Project, filter: &SessionFilter) -> bool {
    (project.is_across() || book.project == *project)
        && filter.worker.as_ref().is_none_or(|worker| **worker == *book.worker)
}

/// The session at a place; `None` when it has ended meanwhile.
fn view(book: &Book, place: Place) -> Option<SessionView> {
    let held = book.session(&place.id)?;
    let Target::Meter(meter) = &held.meter.tally.key.target else { return None };
    Some(SessionView {
        place,
        project: book.project.clone(),
        worker: book.worker.clone(),
        meter: meter.clone(),
        labels: held.labels.cloned().unwrap_or_default(),
        heard: book.heard,
        silent: book.is_silent(),
    })
}
