//! Work that waits for the store, on threads of its own: a server's thread, which many workers share, never waits for it.

use std::sync::Arc;

use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::{error::Error, query::Queries, service::guard::Why};

/// Questions and decisions that are at the store at once, of all callers: each takes a thread and up to some megabytes.
const MOST_AT_ONCE: usize = 8;

/// Callers that wait for one of those places: at 10 ms each, a second and a half. More are refused at once.
const MOST_WAITING: usize = 1_024;

/// Where such work is done.
#[derive(Clone, Debug)]
pub struct Aside {
    pub queries: Arc<Queries>,
    places: Arc<Semaphore>,
    /// One for each that works or waits.
    callers: Arc<Semaphore>,
}

impl Aside {
    pub fn new(queries: Arc<Queries>) -> Self {
        let callers = Arc::new(Semaphore::new(MOST_AT_ONCE + MOST_WAITING));
        Self { queries, places: Arc::new(Semaphore::new(MOST_AT_ONCE)), callers }
    }

    /// Does the work when there is a place for it. Work that was begun is done, also when nobody waits for it any more.
    ///
    /// # Errors
    /// What the work says; `Busy` when too many wait; `Internal` when it panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Queries) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let stopped = |detail: String| Error::Internal { detail };
        let Ok(caller) = self.callers.clone().try_acquire_owned() else {
            self.queries.service().guard.count(Why::Busy);
            return Err(Error::Busy { name: "reads", most: MOST_WAITING });
        };
        let place = self.places.clone().acquire_owned().await.map_err(|error| stopped(error.to_string()))?;
        let queries = self.queries.clone();
        let done = spawn_blocking(move || {
            let (_caller, _place) = (caller, place);
            work(&queries)
        });
        done.await.map_err(|error| stopped(error.to_string()))?
    }
}
