//! What is reported beyond the bounds of a project. Facts stay counted: models beyond the bound are counted together, a meter
//! a kind, account and unit, so that the pools stay right; and sessions beyond theirs are left out one by one, see `left_out`.

use std::sync::Arc;

use crate::{
    live::{
        BoundReached, Live,
        attach::Attachment,
        meter::{Meter, Tally},
        registry::{ProjectCounts, Registry},
        sync::{AtomicU64, Ordering},
    },
    model::{Key, Meter as MeterName, Now, Project, Target, Tick, key::DEFAULT_ACCOUNT},
};

/// The bound on meters, as in the configuration's words.
pub const METERS_BOUND: &str = "meters_per_project";
/// The model that counts what is beyond it.
pub const OTHER_MODEL: &str = "other/other";

/// How long it is told that models were named beyond the bound, when nothing is counted on them any more: an hour.
const OTHERS_TOLD_SECONDS: u64 = 3_600;
/// The account that counts those beyond it of which nothing was counted before.
const OTHER_ACCOUNT: &str = "other";

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
            Err(BoundReached { what: METERS_BOUND, .. }) => Ok(self.registry.other(project, name, self.tick(now))),
            meter => meter,
        }
    }
}

impl Live {
    /// Whether sessions of a stream's book are left out that would have room now.
    pub fn may_come_in(&self, stream: &Attachment) -> bool {
        stream.mine().is_ok_and(|book| book.may_come_in(self.bounds.sessions_per_project as u64))
    }
}

impl Registry {
    /// The meter that counts what is beyond the bound, of its kind, account and unit: so that the pools stay right. Accounts that
    /// nothing is counted on yet are one. There are as many of them beside those that there may be.
    fn other(&self, project: &Project, name: &MeterName, now: Tick) -> Arc<Meter> {
        let pool = Target::KindPool { kind: name.kind, account: name.account.clone() };
        let is_known = self.find(&Key { project: project.clone(), target: pool }).is_some();
        let account = if is_known || &*name.account == DEFAULT_ACCOUNT { &*name.account } else { OTHER_ACCOUNT };
        let model = if name.kind.has_model() { OTHER_MODEL } else { "" };
        let unit = Some(name.unit).filter(|_| account != DEFAULT_ACCOUNT);
        let name = MeterName::new(name.kind, model, account, unit).expect("OK because its parts are those of names");
        let counts = self.project(project);
        counts.others.fetch_add(1, Ordering::AcqRel);
        counts.other_named.fetch_max(now.0, Ordering::AcqRel);
        let key = Key { project: project.clone(), target: Target::Meter(name.clone()) };
        if let Some(there) = self.find_meter(&key) {
            return there;
        }
        counts.meters.fetch_add(1, Ordering::AcqRel);
        self.counted_meter(project, &name, counts, now)
    }

    /// The projects of which not all is counted as it was reported; of models, as long as sessions are held on them, and an
    /// hour after one was named.
    pub fn beyond(&self, now: Tick) -> Vec<Beyond> {
        let read = |sum: &AtomicU64| sum.load(Ordering::Acquire);
        let of = |project: &Project, counts: &ProjectCounts| {
            let is_recent = now.0.saturating_sub(read(&counts.other_named)) < OTHERS_TOLD_SECONDS;
            let others = read(&counts.others);
            let is_told = others > 0 && (is_recent || self.holds_others(project));
            let (project, left_out) = (project.clone(), read(&counts.left_out));
            Beyond { project, left_out, others: if is_told { others } else { 0 } }
        };
        let all = self.projects.iter().map(|there| of(there.key(), there.value()));
        all.filter(|beyond| beyond.left_out > 0 || beyond.others > 0).collect()
    }

    /// Whether sessions are held that are counted as another model.
    fn holds_others(&self, project: &Project) -> bool {
        let is_other = |tally: &Tally| tally.key.project == *project && tally.key.target.model() == OTHER_MODEL;
        self.meters().any(|meter| is_other(&meter.tally) && meter.tally.word.level() > 0)
    }
}
