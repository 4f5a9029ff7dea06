//! What Prometheus scrapes: one page of text, made of the live state when it is asked for. Nothing is kept up for it
//! between scrapes, the hot path does nothing for it, and it never reads the store, so that it is there when the store is
//! not.
//!
//! - [`name`]: every metric, every label.
//! - [`page`]: the page as it is written.
//! - [`window`]: the seconds that a peak is of.
//! - [`standing`]: how each meter and pool stands, read once for all their metrics.
//! - [`series`]: which of them have a place on the page.
//! - [`levels`], [`health`], [`process`]: what is written of meters and pools, of the service, of its process.

pub mod health;
pub mod levels;
pub mod name;
pub mod page;
pub mod process;
pub mod series;
pub mod standing;
pub mod window;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    error::Error,
    metrics::{levels::Levels, name::Name, page::Page, series::Series},
    model::Now,
    service::Service,
};

/// The metrics of one service.
#[derive(Debug)]
pub struct Metrics {
    service: Arc<Service>,
    /// Who has series of its own: decided when a meter is first seen, and then for as long as the process lives, so that
    /// no counter ever goes away or jumps but those of a project that is deleted.
    series: Mutex<Series>,
}

impl Metrics {
    pub fn new(service: Arc<Service>) -> Self {
        let series = Series::new(service.config.series);
        Self { service, series: Mutex::new(series) }
    }

    /// The page as of now, in Prometheus' text format 0.0.4. The more series, the longer it takes: not for a server's thread.
    ///
    /// # Errors
    /// `Internal` when a metric can't be written, which is a mistake of ours.
    pub fn page(&self, connections: u64, now: Now) -> Result<String, Error> {
        let mut page = Page::default();
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let levels = Levels::read(&self.service, &mut series, now);
        let written = levels
            .write(&mut page)
            .and_then(|()| health::write(&self.service, &levels, connections, now, &mut page))
            .and_then(|()| process::write(&mut page))
            .and_then(|()| page.counter(Name::SeriesDropped, [(Vec::new(), series.dropped())]))
            .and_then(|()| page.gauge(Name::Series, [(Vec::new(), page.series() + 1)]));
        written.map_err(|error| Error::Internal { detail: format!("the metrics: {error}") })?;
        Ok(page.into_text())
    }
}
