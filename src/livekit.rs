//! LiveKit's connections: its webhooks and its lists, turned into sessions of the connection kinds. Plain synchronous
//! code, a function of what came and of `now`; it never reads a clock, a file or a socket.
//!
//! Webhooks are quick and lossy: they come late, twice, in any order, or never. Lists are slow and true. So events move
//! the levels, and each reading of the lists puts them right; how often they had to be is counted.
//!
//! - [`token`]: what signed tokens say: those of events, and those that let us ask.
//! - [`wire`]: LiveKit's messages as JSON.
//! - [`thing`]: what they say in our words, and what counts as what.
//! - [`seen`], [`heard`]: each event is taken once, also across a restart.
//! - [`known`], [`ended`]: what is there, by events and lists; the rules are all here.
//! - [`seat`]: puts it into a book of the live state.
//! - [`desk`]: the three lists of one project.
//! - [`counts`]: what is counted of all that.

pub mod counts;
pub mod desk;
pub mod ended;
pub mod heard;
pub mod known;
pub mod seat;
pub mod seen;
pub mod thing;
pub mod token;
pub mod wire;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    live::Live,
    livekit::{
        counts::{Counts, add},
        desk::{Desk, DeskSettings},
        heard::Heard,
        seat::SeatError,
        token::{Secrets, Verified},
        wire::WebhookEvent,
    },
    model::{Now, Project, Time},
};

/// LiveKit as one service sees it.
#[derive(Debug)]
pub struct LiveKit {
    pub secrets: Box<dyn Secrets>,
    pub counts: Counts,
    /// What a restart must know.
    pub heard: Heard,
    /// Of projects whose lists are not read.
    alone: DeskSettings,
    /// Of those that send us events, or whose lists we read: no more than there are API keys.
    desks: Mutex<HashMap<Project, Arc<Mutex<Desk>>>>,
    /// When all lists were read last (wall), in microseconds; 0 for never.
    read_at: AtomicU64,
}

impl LiveKit {
    /// A service's LiveKit; `heard` is what was heard before it started, `alone` how projects work whose lists are not read.
    pub fn new(secrets: Box<dyn Secrets>, heard: Heard, alone: DeskSettings) -> Self {
        let (counts, desks, read_at) = (Counts::default(), Mutex::default(), AtomicU64::new(0));
        Self { secrets, counts, heard, alone, desks, read_at }
    }

    /// The lists of this project are going to be read.
    pub fn add(&self, project: &Project, settings: DeskSettings) {
        let desk = Arc::new(Mutex::new(Desk::new(project, settings)));
        locked(&self.desks).insert(project.clone(), desk);
    }

    fn desk(&self, project: &Project) -> Arc<Mutex<Desk>> {
        let mut desks = locked(&self.desks);
        let desk = desks.entry(project.clone());
        desk.or_insert_with(|| Arc::new(Mutex::new(Desk::new(project, self.alone)))).clone()
    }

    /// Takes an event.
    ///
    /// # Errors
    /// When a bound of the project is reached. It may be sent again.
    pub fn event(&self, live: &Live, by: &Verified, event: &WebhookEvent, now: Now) -> Result<(), SeatError> {
        if self.heard.had(&by.project, &event.id) {
            add(&self.counts.repeated, 1);
            return Ok(());
        }
        let is_new = self.with(&by.project, |desk| desk.event(live, event, by.made, now, &self.counts))?;
        if is_new {
            self.heard.put(&by.project, &event.id, now.wall);
        }
        Ok(())
    }

    /// Works at the desk of a project. It is held for as long as that takes: nobody may wait in it.
    pub fn with<T>(&self, project: &Project, work: impl FnOnce(&mut Desk) -> T) -> T {
        work(&mut locked(&self.desk(project)))
    }

    /// What is due at all desks. Call it about once a second.
    ///
    /// # Errors
    /// When a bound of a project is reached; the other projects are not held up by it.
    pub fn tick(&self, live: &Live, now: Now) -> Result<(), SeatError> {
        let desks: Vec<_> = locked(&self.desks).values().cloned().collect();
        desks.iter().map(|desk| locked(desk).tick(live, now, &self.counts)).fold(Ok(()), Result::and)
    }

    /// All lists were read.
    pub fn set_read(&self, now: Now) {
        self.read_at.store(now.wall.0, Ordering::Relaxed);
    }

    /// When all lists were read last (wall).
    pub fn read_at(&self) -> Option<Time> {
        Some(self.read_at.load(Ordering::Relaxed)).filter(|at| *at > 0).map(Time)
    }
}

/// A lock that a panic left behind is taken over: the next reading of the lists puts right what it was about.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
