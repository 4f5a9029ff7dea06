//! Leases: of workers that report by unary calls, and the end of all that are over.

use std::time::Duration;

use crate::{
    live::{
        Live,
        apply::{Applied, Event},
        attach::{Refusal, renew},
        book::{Expired, Link},
        sync::lock,
    },
    model::{Incarnation, Now, Outcome, Project, Time},
};

impl Live {
    /// Applies a report without a stream, and renews the lease asked for.
    ///
    /// # Errors
    /// When the project would have more workers or sessions than it may.
    pub fn report(
        &self,
        project: &Project,
        worker: &str,
        incarnation: Incarnation,
        lease: Duration,
        events: Vec<Event>,
        now: Now,
    ) -> Result<Applied, Refusal> {
        let shared = self.book(project, incarnation, worker, Link::Unary, lease)?;
        let mut book = lock(&shared);
        let moment = self.moment(now);
        self.revive(&mut book);
        if book.link != Link::Stream {
            book.lease = lease;
            book.back(Link::Unary);
            book.needs_snapshot = false;
            book.expired = None;
        }
        renew(&mut book, now);
        if std::mem::take(&mut book.fresh) {
            self.came(&book);
        }
        let applied = self.apply_all(&mut book, events, &moment)?;
        drop(book);
        self.returned(project, incarnation);
        Ok(applied)
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
        let mut forgotten = Vec::new();
        for shared in self.all_books() {
            let mut book = lock(&shared);
            book.settle_departed(now, &self.bounds);
            book.tombs.expire(now.mono);
            if book.link == Link::Gone {
                if book.deadline.after(self.bounds.late_until) <= now.mono {
                    forgotten.push((book.project.clone(), book.incarnation));
                }
            } else if book.deadline <= now.mono {
                let lost = self.end(&mut book, Outcome::Lost, now, true);
                book.expired = Some(Expired { lost, first_without: self.tick(now).next() });
            }
        }
        for name in forgotten {
            self.books.remove_if(&name, |_, book| lock(book).link == Link::Gone);
        }
    }

    /// Instant (monotonic) at which a book's lease ends; for those who tell it to a worker.
    pub fn lease_end(&self, project: &Project, incarnation: Incarnation) -> Option<Time> {
        Some(lock(&self.books.get(&(project.clone(), incarnation))?.clone()).deadline)
    }
}
