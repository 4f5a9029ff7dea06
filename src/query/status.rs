//! How the service fares, and which projects it has seen.

use crate::{
    live::{Link, sync::lock},
    model::{Project, Tick, Time},
    query::Queries,
};

/// How the service fares.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    pub version: &'static str,
    pub started: Time,
    /// It learns after a restart: levels are lower bounds.
    pub settling: bool,
    /// Workers that are heard by a stream.
    pub attached_workers: u64,
    /// Workers that are cut off, within their lease.
    pub silent_workers: u64,
    pub live_sessions: u64,
    /// Levels that the audit found to differ from the books. Must be 0.
    pub drift: u64,
    /// The last second whose history is durable.
    pub durable: Option<Tick>,
    /// What is wrong, in words.
    pub degraded: Vec<String>,
    /// What wants looking after, in words.
    pub warnings: Vec<String>,
    pub simulation: bool,
}

impl Queries {
    /// Walks all books: a few times a second at most.
    pub fn status(&self) -> Status {
        let service = &*self.service;
        let (mut attached_workers, mut silent_workers, mut live_sessions) = (0, 0, 0);
        for book in service.live.all_books() {
            let book = lock(&book);
            live_sessions += book.live_count();
            match book.link {
                Link::Stream => attached_workers += 1,
                Link::Cut => silent_workers += 1,
                Link::Unary | Link::Gone => {}
            }
        }
        Status {
            version: env!("CARGO_PKG_VERSION"),
            started: service.started,
            settling: service.live.is_settling(),
            attached_workers,
            silent_workers,
            live_sessions,
            drift: service.live.drift(),
            durable: service.live.durable(),
            degraded: service.health.degraded(),
            warnings: service.health.warnings(),
            simulation: service.simulation,
        }
    }

    /// The projects that were seen, by name; the one that stands for all is not among them.
    pub fn projects(&self) -> Vec<Project> {
        let mut projects = self.service.live.registry.projects();
        projects.retain(|project| !project.is_across());
        projects
    }
}
