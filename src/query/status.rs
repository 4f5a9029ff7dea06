//! How the service fares, and which projects it has seen.

use crate::{
    live::{Link, sync::lock},
    livekit::counts::Counted,
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
    /// How safely the store keeps what is written; empty until it was asked.
    pub store: String,
    /// What wants looking after, in words.
    pub warnings: Vec<String>,
    pub simulation: bool,
    /// None when no API key of LiveKit's is configured and no event of its came.
    pub livekit: Option<LiveKitStatus>,
}

/// How LiveKit's events and lists fare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveKitStatus {
    /// Its lists are read.
    pub has_lists: bool,
    /// When all were read last.
    pub read_at: Option<Time>,
    pub counted: Counted,
}

impl Queries {
    /// Walks all books: a few times a second at most.
    pub fn status(&self) -> Status {
        self.status_of(None)
    }

    /// The same for those who may know of one project alone: its counts, and that something is wrong without its words,
    /// which may name a file.
    pub fn status_for(&self, project: &Project) -> Status {
        let mut status = self.status_of(Some(project));
        for wrong in &mut status.degraded {
            let part = wrong.split(':').next().unwrap_or_default();
            *wrong = format!("{part}: operators are told more");
        }
        status
    }

    fn status_of(&self, project: Option<&Project>) -> Status {
        let service = &*self.service;
        let (mut attached_workers, mut silent_workers, mut live_sessions) = (0, 0, 0);
        for book in service.live.all_books() {
            let book = lock(&book);
            if project.is_some_and(|project| *project != book.project) {
                continue;
            }
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
            store: service.health.store_line(),
            warnings: service.health.warnings(),
            simulation: service.simulation,
            livekit: self.livekit(),
        }
    }

    fn livekit(&self) -> Option<LiveKitStatus> {
        let (config, livekit) = (&self.service.config.livekit, &self.service.livekit);
        let counted = livekit.counts.read();
        let has_lists = config.as_ref().is_some_and(|config| config.url.is_some());
        let is_used = config.is_some() || counted != Counted::default();
        is_used.then(|| LiveKitStatus { has_lists, read_at: livekit.read_at(), counted })
    }

    /// The projects that were seen, by name; the one that stands for all is not among them.
    pub fn projects(&self) -> Vec<Project> {
        let mut projects = self.service.live.registry.projects();
        projects.retain(|project| !project.is_across());
        projects
    }
}
