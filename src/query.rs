//! What anyone may ask: levels, peaks, histories, distributions and holders, as plain values. Nothing here changes what is
//! counted. Calls that read the store block; which ones do is said with each.

pub mod annotations;
pub mod assignment;
pub mod distribution;
pub mod fallbacks;
pub mod heat;
pub mod history;
pub mod list;
pub mod listing;
pub mod past;
pub mod peaks;
pub mod preview;
pub mod providers;
pub mod sessions;
pub mod status;
pub mod verdict;
pub mod weeks;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use annotations::{Annotation, Happening};
pub use distribution::{Distributions, Wanted};
pub use fallbacks::Told;
pub use heat::HeatMap;
pub use history::{Detail, History, Window};
pub use list::{Part, QuotaList, QuotaView};
pub use preview::{Crossing, Preview};
pub use sessions::{Place, SessionFilter, SessionPage, SessionView};
pub use status::Status;

use crate::{
    error::Error,
    live::Tally,
    model::{Key, Project},
    service::Service,
    store::StoreError,
};

pub type Result<T> = std::result::Result<T, Error>;

/// Answers for one service; keeps what is dear to read again. Shared by all doors.
#[derive(Debug)]
pub struct Queries {
    service: Arc<Service>,
    listings: listing::Listings,
    weeks: weeks::Weeks,
    lists: list::Lists,
    peaks: peaks::FoldedPeaks,
    fallbacks: fallbacks::Fallbacks,
}

impl Queries {
    pub fn new(service: Arc<Service>) -> Self {
        let (listings, weeks, lists, peaks, fallbacks) = Default::default();
        Self { service, listings, weeks, lists, peaks, fallbacks }
    }

    pub fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// # Errors
    /// When the project was never seen. The words are the same whether it is someone else's or nobody's.
    pub fn seen(&self, project: &Project) -> Result<()> {
        match self.service.live.registry.has_project(project) {
            true => Ok(()),
            false => Err(Error::NotFound { what: "project", name: project.to_string() }),
        }
    }

    /// The level of a key.
    ///
    /// # Errors
    /// When the project or the target was never seen.
    pub fn tally(&self, key: &Key) -> Result<Arc<Tally>> {
        self.seen(&key.project)?;
        self.service.live.registry.find(key).ok_or_else(|| self.no_such(key))
    }

    fn no_such(&self, key: &Key) -> Error {
        let what = if key.target.is_pool() { "pool" } else { "meter" };
        Error::NotFound { what, name: key.target.to_string() }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store { detail: error.to_string() }
    }
}
