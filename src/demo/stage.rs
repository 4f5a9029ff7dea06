//! The stage: a store with the fleet's history up to now, and the fleet as it goes on from there. It is made anew when
//! what is there is another version's, or stale; a store that is not a simulation's is never touched.

use std::{fs, io, path::PathBuf, time::Duration};

use crate::{
    demo::{
        Options, PROJECT,
        history::{HistoryError, Past, Process},
    },
    model::{KeyError, Project, Tick, Time, time::SECONDS_PER_HOUR},
    service::{Clock, start::SIMULATION_NOTE},
    sim::{Fleet, Schedule},
    store::{EmbeddedStore, Store, StoreError},
};

/// The store's file in its directory.
pub const FILE: &str = "store.redb";
/// The seed of the fleet: its week shows what a week can show.
pub const SEED: u64 = 1;
/// A history that ended longer ago is stale: the gap would be most of what is seen of the last hours.
const STALE_AFTER: Duration = Duration::from_secs(3_600);
/// What a store is marked with until its history is there.
const UNFINISHED: &str = "unfinished";

/// Why there is no stage.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error(transparent)]
    Project(#[from] KeyError),
    #[error("{} is not a simulation's store, and is left as it is", .0.display())]
    NotOurs(PathBuf),
    #[error("{}: {error}", path.display())]
    Remove { path: PathBuf, error: io::Error },
}

/// A store and a fleet.
#[derive(Debug)]
pub struct Stage {
    pub store: EmbeddedStore,
    pub schedule: Schedule,
    /// Workers that hold something as the history ends.
    pub processes: Vec<Process>,
}

impl Stage {
    /// Sets the stage.
    ///
    /// # Errors
    /// When the store can't be used, or is not a simulation's.
    pub fn set(options: &Options) -> Result<Self, StageError> {
        let path = options.dir.join(FILE);
        let clock = Clock::start();
        let fleet = Fleet::new(SEED, options.zone.clone());
        let mark = mark(options);
        if path.exists() {
            let store = EmbeddedStore::open(&path)?;
            let Some(note) = store.note(SIMULATION_NOTE)? else { return Err(StageError::NotOurs(path)) };
            if note == mark && is_fresh(&store, clock.now().wall)? {
                let schedule = fleet.schedule(clock.now().wall);
                return Ok(Self { store, schedule, processes: Vec::new() });
            }
            drop(store);
            fs::remove_file(&path).map_err(|error| StageError::Remove { path: path.clone(), error })?;
        }
        let store = EmbeddedStore::open(&path)?;
        store.set_note(SIMULATION_NOTE, UNFINISHED)?;
        let from = whole_hour(clock.now().wall.before(Duration::from_secs(options.seconds)));
        let mut schedule = fleet.schedule(from);
        let mut past = Past::begin(&store, Project::new(PROJECT)?, from)?;
        past.live_until(&mut schedule, clock.now().wall.tick())?;
        // Once more for the seconds that this took: what is left is no longer than a service takes to start.
        past.live_until(&mut schedule, clock.now().wall.tick())?;
        let processes = past.end()?;
        store.set_note(SIMULATION_NOTE, &mark)?;
        Ok(Self { store, schedule, processes })
    }
}

/// What the store of a finished history is marked with.
fn mark(options: &Options) -> String {
    let zone = options.zone.iana_name().unwrap_or("local");
    format!("fleet {SEED} with chains, of {} in {zone}, {} s", env!("CARGO_PKG_VERSION"), options.seconds)
}

/// Whether the store's history ended a short while ago.
fn is_fresh(store: &EmbeddedStore, now: Time) -> Result<bool, StoreError> {
    let last = store.frames()?.last().map(|frame| Tick(frame.tick + frame.repeat));
    Ok(last.is_some_and(|last| last.start() <= now && now.since(last.start()) < STALE_AFTER))
}

/// The start of the hour of an instant.
const fn whole_hour(at: Time) -> Time {
    Time::from_secs(at.tick().0 / SECONDS_PER_HOUR * SECONDS_PER_HOUR)
}
