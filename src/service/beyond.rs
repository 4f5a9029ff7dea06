//! Tells of projects of which not all is counted as it was reported, since they are at a bound: their levels are lower bounds,
//! or stand together. Whoever reads what is wrong with the service may be of another project, so that is told without
//! a name; the log has the names.

use crate::{
    live::beyond::{Beyond, OTHER_MODEL},
    model::Tick,
    service::Service,
};

/// The part that it is told of.
const BOUNDS: &str = "bounds";

impl Service {
    /// Warns of them, or no longer. Called each second, by the recorder alone.
    pub(super) fn warn_beyond(&self, now: Tick) {
        let beyond = self.live.registry.beyond(now);
        let bounds = &self.config.bounds;
        let mut words = Vec::new();
        if beyond.iter().any(|project| project.left_out > 0) {
            let most = bounds.sessions_per_project;
            words.push(format!(
                "a project has live sessions beyond sessions_per_project ({most}): they are not counted"
            ));
        }
        if beyond.iter().any(|project| project.others > 0) {
            let most = bounds.meters_per_project;
            words.push(format!(
                "a project has models beyond meters_per_project ({most}): they are counted together as {OTHER_MODEL}"
            ));
        }
        let words = words.join("; ");
        if self.health.warn(BOUNDS, (!words.is_empty()).then(|| words.clone())) {
            for Beyond { project, left_out, others } in &beyond {
                tracing::warn!(%project, left_out, others, "not all is counted as it is reported");
            }
        }
    }
}
