//! Leases: of workers that report by unary calls, and the end of all that are over.

use std::{collections::HashMap, sync::Arc, time::Duration};

use crate::{
    live::{
        Live, SharedBook,
        apply::{Applied, Event, Moment},
        attach::{Refusal, renew},
        book::{Book, Expired, Link},
        sync::lock,
    },
    model::{Incarnation, Now, Outcome, Project, Time},
};

impl Live {
    /// Applies a report without a stream, and renews the lease asked for; also returns when (monotonic) the lease ends.
    ///
    /// # Errors
    /// When the project would have more workers than it may. What began and has no room is left out, and
    /// [`Applied::left_out`] says how many.
    pub fn report(
        &self,
        project: &Project,
        worker: &str,
        incarnation: Incarnation,
        lease: Duration,
        mut events: Vec<Event>,
        now: Now,
    ) -> Result<(Applied, Time), Refusal> {
        let (applied, new_lease, lease_end) =
            self.unary(project, worker, incarnation, lease, now, |book, moment| {
                Ok(self.apply_all(book, &mut events, moment, false)?)
            })?;
        // Whoever only asks for a slot has not said what it holds.
        self.returned(project, incarnation);
        Ok((Applied { new_lease, ..applied }, lease_end))
    }

    /// Does something in the book of a worker that uses the unary calls, and renews its lease. Also returns whether a lease
    /// began by it, and when (monotonic) it ends.
    pub(super) fn unary<T>(
        &self,
        project: &Project,
        worker: &str,
        incarnation: Incarnation,
        lease: Duration,
        now: Now,
        act: impl FnOnce(&mut Book, &Moment<'_>) -> Result<T, Refusal>,
    ) -> Result<(T, bool, Time), Refusal> {
        let mut shared = self.book(project, incarnation, worker, Link::Unary, lease)?;
        let mut book = loop {
            let open = lock(&shared);
            if !open.is_over() {
                break open;
            }
            // It said goodbye between the map and its lock: it is out of the map, a new one is made.
            drop(open);
            shared = self.book(project, incarnation, worker, Link::Unary, lease)?;
        };
        let moment = self.moment(now);
        let new_lease = book.fresh || book.link == Link::Gone;
        self.revive(&mut book);
        if book.link != Link::Stream {
            book.lease = lease;
            book.back(Link::Unary);
            book.is_told();
            if *book.worker != *worker {
                book.worker = worker.into();
            }
            // What it reports again is counted from where its lease ended; that it ended need not be told.
            book.expired = book.expired.map(|expired| Expired { lost: 0, ..expired });
        }
        renew(&mut book, now);
        if std::mem::take(&mut book.fresh) {
            self.came(&book);
        }
        let done = act(&mut book, &moment)?;
        let lease_end = book.deadline;
        drop(book);
        Ok((done, new_lease, lease_end))
    }

    /// Renews the lease of an incarnation that reports by unary calls; `None` when it holds none.
    pub fn heartbeat(
        &self,
        project: &Project,
        incarnation: Incarnation,
        lease: Option<Duration>,
        now: Now,
    ) -> Option<(Duration, u64)> {
        let book = self.books.get(&(project.clone(), incarnation))?.clone();
        let mut book = lock(&book);
        if book.link == Link::Gone {
            return None;
        }
        if let Some(lease) = lease.filter(|_| book.link == Link::Unary) {
            book.lease = lease;
        }
        renew(&mut book, now);
        Some((book.lease, book.live_count()))
    }

    /// Ends the leases that are over, and forgets what need not be remembered.
    pub fn expire(&self, now: Now) {
        let mut gone: HashMap<Project, Vec<(Time, Incarnation)>> = HashMap::new();
        for shared in &self.all_books() {
            let mut book = lock(shared);
            book.settle_departed(now, &self.bounds);
            book.places.expire(now.mono);
            book.early_ends.expire(now.mono);
            if book.link == Link::Gone {
                gone.entry(book.project.clone()).or_default().push((book.deadline, book.incarnation));
            } else if book.deadline <= now.mono {
                // A worker that came back and never said what it holds: its history ended with its earlier lease.
                let earlier = book.expired.filter(|_| book.needs_snapshot);
                let lost = self.end(&mut book, Outcome::Lost, now, true);
                let first_without = earlier.map_or(self.tick(now).next(), |earlier| earlier.first_without);
                book.expired = Some(Expired { lost: lost + earlier.map_or(0, |earlier| earlier.lost), first_without });
            }
        }
        for (project, ended) in gone {
            self.forget(&project, ended, now);
        }
    }

    /// Forgets the books of ended leases: those too old for what they know to matter, and the oldest of too many.
    fn forget(&self, project: &Project, mut ended: Vec<(Time, Incarnation)>, now: Now) {
        ended.sort_unstable();
        let too_old = ended.partition_point(|(deadline, _)| deadline.after(self.bounds.late_until) <= now.mono);
        let too_many = ended.len().saturating_sub(self.bounds.workers_per_project);
        for (_, incarnation) in &ended[..too_old.max(too_many)] {
            // Whoever holds it may be about to use it again, and what it then puts in must be found: it waits for them.
            let is_unused = |book: &SharedBook| Arc::strong_count(book) == 1 && lock(book).link == Link::Gone;
            self.books.remove_if(&(project.clone(), *incarnation), |_, book| is_unused(book));
        }
    }

    /// Instant (monotonic) at which a book's lease ends; for those who tell it to a worker.
    pub fn lease_end(&self, project: &Project, incarnation: Incarnation) -> Option<Time> {
        Some(lock(&self.books.get(&(project.clone(), incarnation))?.clone()).deadline)
    }
}
