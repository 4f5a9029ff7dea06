//! Work that waits for the store, on threads of its own: a server's thread, which many workers share, never waits for it.

use std::sync::Arc;

use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::{error::Error, query::Queries};

/// Questions and decisions that are at the store at once, of all callers: each takes a thread and up to some megabytes.
const MOST_AT_ONCE: usize = 8;

/// Where such work is done.
#[derive(Clone, Debug)]
pub struct Aside {
    pub queries: Arc<Queries>,
    places: Arc<Semaphore>,
}

impl Aside {
    pub fn new(queries: Arc<Queries>) -> Self {
        Self { queries, places: Arc::new(Semaphore::new(MOST_AT_ONCE)) }
    }

    /// Does the work when there is a place for it. Work that was begun is done, also when nobody waits for it any more.
    ///
    /// # Errors
    /// What the work says; `Internal` when it panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Queries) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let stopped = |detail: String| Error::Internal { detail };
        let place = self.places.clone().acquire_owned().await.map_err(|error| stopped(error.to_string()))?;
        let queries = self.queries.clone();
        let done = spawn_blocking(move || {
            let _place = place;
            work(&queries)
        });
        done.await.map_err(|error| stopped(error.to_string()))?
    }
}
