//! What is reported beyond the bounds of a project. Facts stay counted: models beyond the bound are counted together, a meter
//! a kind, so that the pools stay right; and sessions beyond theirs are left out one by one, see `left_out`.

use std::sync::Arc;

use crate::{
    live::{
        BoundReached, Live,
        meter::Meter,
        registry::Registry,
        sync::{AtomicU64, Ordering},
    },
    model::{Key, Kind, Meter as MeterName, Now, Project, Target, Tick},
};

/// The bound on meters, as in the configuration's words.
pub const METERS_BOUND: &str = "meters_per_project";
/// The model that counts what is beyond it.
pub const OTHER_MODEL: &str = "other/other";

/// What of a project is not counted as it was reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beyond {
    pub project: Project,
    /// Live sessions that are left out.
    pub left_out: u64,
    /// How often a model was named that is counted as [`OTHER_MODEL`].
    pub others: u64,
}

impl Live {
    /// The meter that counts what is reported of this name: the one of this name, or that of [`OTHER_MODEL`] when it is new and
    /// the project has as many as it may.
    ///
    /// # Errors
    /// When there are as many projects as there may be.
    pub fn meter_or_other(&self, project: &Project, name: &MeterName, now: Now) -> Result<Arc<Meter>, BoundReached> {
        match self.meter(project, name, now) {
            Err(BoundReached { what: METERS_BOUND, .. }) => Ok(self.registry.other(project, name.kind, self.tick(now))),
            meter => meter,
        }
    }
}

impl Registry {
    /// The meter of a kind that counts what is beyond the bound. It is there beside as many as there may be.
    fn other(&self, project: &Project, kind: Kind, now: Tick) -> Arc<Meter> {
        let model = if kind.has_model() { OTHER_MODEL } else { "" };
        let name = MeterName::new(kind, model, "", None).expect("OK because it is spelled as a model is");
        let counts = self.project(project);
        counts.others.fetch_add(1, Ordering::AcqRel);
        let key = Key { project: project.clone(), target: Target::Meter(name.clone()) };
        if let Some(there) = self.find_meter(&key) {
            return there;
        }
        counts.meters.fetch_add(1, Ordering::AcqRel);
        self.counted_meter(project, &name, counts, now)
    }

    /// The projects of which not all is counted as it was reported.
    pub fn beyond(&self) -> Vec<Beyond> {
        let read = |sum: &AtomicU64| sum.load(Ordering::Acquire);
        let of = |project: &Project, left_out, others| Beyond { project: project.clone(), left_out, others };
        let all = self.projects.iter().map(|there| of(there.key(), read(&there.left_out), read(&there.others)));
        all.filter(|beyond| beyond.left_out > 0 || beyond.others > 0).collect()
    }
}
