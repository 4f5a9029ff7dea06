//! Tells of projects of which not all is counted as it was reported, since they are at a bound: their levels are lower bounds,
//! or stand together.

use crate::{live::beyond::OTHER_MODEL, service::Service};

/// The part that it is told of.
pub const BOUNDS: &str = "bounds";
/// Projects that are named.
const MOST_NAMED: usize = 3;

impl Service {
    /// Warns of them, or no longer. Called each second, by the recorder alone.
    pub(super) fn warn_beyond(&self) {
        let mut beyond = self.live.registry.beyond();
        beyond.sort_unstable_by(|a, b| a.project.cmp(&b.project));
        let bounds = &self.config.bounds;
        let mut words = Vec::new();
        for project in beyond.iter().take(MOST_NAMED) {
            if project.left_out > 0 {
                words.push(format!(
                    "{}: {} live sessions beyond sessions_per_project ({}) are not counted",
                    project.project, project.left_out, bounds.sessions_per_project
                ));
            }
            if project.others > 0 {
                words.push(format!(
                    "{}: models beyond meters_per_project ({}) are counted together as {OTHER_MODEL}",
                    project.project, bounds.meters_per_project
                ));
            }
        }
        if beyond.len() > MOST_NAMED {
            words.push(format!("and {} more projects", beyond.len() - MOST_NAMED));
        }
        let is_news = self.health.warn(BOUNDS, (!words.is_empty()).then(|| words.join("; ")));
        if is_news && !words.is_empty() {
            tracing::warn!(words = words.join("; "), "not all is counted as it is reported");
        }
    }
}
