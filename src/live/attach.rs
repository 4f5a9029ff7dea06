//! Streams: how a worker's book comes, changes hands, and ends.

use std::{sync::Arc, time::Duration};

use dashmap::Entry;

use crate::{
    live::{
        BoundReached, Live, SharedBook,
        asked::Unseen,
        book::{Book, Link},
        sync::{Mutex, MutexGuard, Ordering, lock},
    },
    model::{Incarnation, Now, Outcome, Project},
};

/// Who opens a stream.
#[derive(Clone, Debug)]
pub struct Hello {
    pub project: Project,
    pub worker: Box<str>,
    pub incarnation: Incarnation,
    /// The incarnation that this one replaces: its sessions end at once.
    pub replaces: Option<Incarnation>,
    /// From 1, greater with each stream of the incarnation.
    pub attach_seq: u64,
}

/// A stream's hold on its book. A newer stream of the same incarnation takes it away.
#[derive(Clone, Debug)]
pub struct Attachment {
    book: SharedBook,
    attach_seq: u64,
    /// The last batch that was applied before, 0 for none.
    pub applied_seq: u64,
    /// The last batch that was durable before, 0 for none.
    pub durable_seq: u64,
    /// Sessions that were lost before this stream came.
    pub lost_before: u64,
}

/// Why a stream can't go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Gone {
    #[error("a newer stream of this incarnation took over")]
    Superseded,
    #[error("this incarnation has said goodbye")]
    Ended,
}

/// Why a request was refused; nothing of it was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Bound(#[from] BoundReached),
    #[error(transparent)]
    Gone(#[from] Gone),
}

/// Makes the stream the one that changes the book, if it is the newest. Waiting streams find out at their next message.
pub(super) fn take_over(book: &mut Book, attach_seq: u64, now: Now) -> Result<(), Gone> {
    if attach_seq <= book.attach_seq {
        return Err(Gone::Superseded);
    }
    book.attach_seq = attach_seq;
    book.await_snapshot();
    book.back(Link::Stream);
    book.unseen = Unseen::default();
    renew(book, now);
    Ok(())
}

pub(super) fn renew(book: &mut Book, now: Now) {
    book.deadline = now.mono.after(book.lease);
    book.heard = now.wall;
}

impl Attachment {
    /// The book, when this stream is still the one that changes it.
    pub(super) fn mine(&self) -> Result<MutexGuard<'_, Book>, Gone> {
        let book = lock(&self.book);
        if book.attach_seq != self.attach_seq {
            Err(Gone::Superseded)
        } else if book.is_over() {
            Err(Gone::Ended)
        } else {
            Ok(book)
        }
    }

    /// Whose book it is.
    pub fn name(&self) -> (Project, Incarnation) {
        let book = lock(&self.book);
        (book.project.clone(), book.incarnation)
    }

    #[cfg(all(test, feature = "loom"))]
    pub(super) fn of(book: SharedBook, attach_seq: u64) -> Self {
        Self { book, attach_seq, applied_seq: 0, durable_seq: 0, lost_before: 0 }
    }
}

impl Live {
    /// A worker opens a stream.
    ///
    /// # Errors
    /// When a newer stream of the incarnation is there, or the project has as many workers as it may.
    pub fn attach(&self, hello: &Hello, now: Now) -> Result<Attachment, Refusal> {
        self.attach_for(hello, self.bounds.lease, now)
    }

    /// The same, with a lease of its own.
    ///
    /// # Errors
    /// As of [`Live::attach`].
    pub fn attach_for(&self, hello: &Hello, lease: Duration, now: Now) -> Result<Attachment, Refusal> {
        if let Some(replaced) = hello.replaces.filter(|replaced| *replaced != hello.incarnation) {
            self.goodbye(&hello.project, replaced, Outcome::Lost, now);
        }
        let attach_seq = hello.attach_seq;
        loop {
            let book = self.book(&hello.project, hello.incarnation, &hello.worker, Link::Stream, lease)?;
            let mut open = lock(&book);
            if open.is_over() {
                // It said goodbye between the map and its lock: it is out of the map, a new one is made.
                continue;
            }
            self.revive(&mut open);
            take_over(&mut open, attach_seq, now)?;
            open.worker.clone_from(&hello.worker);
            open.lease = lease;
            renew(&mut open, now);
            let lost_before = open.expired.map_or(0, |expired| expired.lost);
            let (applied_seq, durable_seq) = open.acknowledged(self.durable());
            self.came(&open);
            drop(open);
            return Ok(Attachment { book, attach_seq, applied_seq, durable_seq, lost_before });
        }
    }

    /// The store is to know that a worker is there.
    pub(super) fn came(&self, book: &Book) {
        lock(&self.roster).insert((book.project.clone(), book.incarnation), true);
    }

    /// A book whose lease ended is used again: its worker counts again.
    pub(super) fn revive(&self, book: &mut Book) {
        if book.link == Link::Gone {
            self.registry.project(&book.project).workers.fetch_add(1, Ordering::AcqRel);
            self.came(book);
        }
    }

    pub(super) fn book(
        &self,
        project: &Project,
        incarnation: Incarnation,
        worker: &str,
        link: Link,
        lease: Duration,
    ) -> Result<SharedBook, BoundReached> {
        let name = (project.clone(), incarnation);
        if let Some(book) = self.books.get(&name) {
            return Ok(book.clone());
        }
        match self.books.entry(name) {
            Entry::Occupied(there) => Ok(there.get().clone()),
            Entry::Vacant(free) => {
                let projects = self.bounds.projects;
                if !self.registry.has_project(project) && self.registry.projects().len() >= projects {
                    return Err(BoundReached { what: "projects", most: projects as u64 });
                }
                let workers = &self.registry.project(project).workers;
                let most = self.bounds.workers_per_project;
                if workers.fetch_add(1, Ordering::AcqRel) as usize >= most {
                    workers.fetch_sub(1, Ordering::AcqRel);
                    return Err(BoundReached { what: "workers_per_project", most: most as u64 });
                }
                let book = Book::new(project.clone(), worker, incarnation, link, lease);
                Ok(free.insert(Arc::new(Mutex::new(book))).clone())
            }
        }
    }

    /// The stream broke: its sessions are ghosts until the lease ends. Nothing happens when a newer stream took over.
    pub fn detach(&self, stream: &Attachment) {
        if let Ok(mut book) = stream.mine()
            && book.link == Link::Stream
        {
            book.cut();
        }
    }

    /// Ends an incarnation and all its sessions; returns how many there were.
    pub fn goodbye(&self, project: &Project, incarnation: Incarnation, outcome: Outcome, now: Now) -> u64 {
        let was_awaited = self.returned(project, incarnation);
        let Some((_, book)) = self.books.remove(&(project.clone(), incarnation)) else {
            if was_awaited {
                // The store knows it from before a restart.
                lock(&self.roster).insert((project.clone(), incarnation), false);
            }
            return 0;
        };
        let mut book = lock(&book);
        self.end(&mut book, outcome, now, outcome == Outcome::Lost)
    }

    pub(super) fn end(&self, book: &mut Book, outcome: Outcome, now: Now, lost: bool) -> u64 {
        let was_gone = book.link == Link::Gone;
        let ended = book.end_all(outcome, now.wall, now.wall.tick_before());
        book.retire(lost, self.tick(now));
        book.expired = None;
        book.is_known = false;
        self.grow(&book.project, -i64::try_from(ended).unwrap_or(i64::MAX));
        if !was_gone {
            self.registry.project(&book.project).workers.fetch_sub(1, Ordering::AcqRel);
        }
        lock(&self.roster).insert((book.project.clone(), book.incarnation), false);
        ended
    }

    pub(super) fn grow(&self, project: &Project, by: i64) {
        self.registry.project(project).grow(by);
    }

    pub(super) fn returned(&self, project: &Project, incarnation: Incarnation) -> bool {
        let mut learning = lock(&self.learning);
        learning.as_mut().is_some_and(|learning| learning.returned(project, incarnation))
    }
}
