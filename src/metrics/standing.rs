//! How one meter or pool stands: read once, for all its metrics.

use std::sync::Arc;

use crate::{
    live::{Meter, Tally, sums::Totals},
    metrics::{
        name::Label,
        page::{Labels, label},
        window,
    },
    model::{Coverage, Key, Kind, Now, Target, Tick, Unit, key::DEFAULT_ACCOUNT},
    route::Condition,
    service::{Service, routing::Standing as Provider},
};

/// How a meter or pool stands.
#[derive(Clone, Debug)]
pub struct Standing {
    pub tally: Arc<Tally>,
    level: u32,
    /// Highest level of the windows, at least `level`.
    peak: u32,
    /// The service learns what its workers hold: the level is a lower bound.
    settling: bool,
    /// `None` where nothing was reported, or nobody has reported for so long that the meter is of no use any more.
    pub coverage: Option<Coverage>,
    /// Slots that are allowed.
    pub limit: Option<u32>,
    /// What was opened and closed; of meters that were reported only.
    pub totals: Option<Totals>,
    /// How its provider does; of models only.
    pub provider: Option<Provider>,
}

/// What all of a scrape have in common.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub now: Now,
    pub tick: Tick,
    /// The first second of the windows.
    pub from: Tick,
    /// The process began after that: what the one before it saw is in the minutes that are open.
    asks_history: bool,
    settling: bool,
}

impl Moment {
    pub fn new(service: &Service, now: Now) -> Self {
        let tick = service.live.tick(now);
        let from = window::first(tick);
        let asks_history = service.started.tick() >= from;
        Self { now, tick, from, asks_history, settling: service.live.is_settling() }
    }
}

impl Standing {
    pub fn of_meter(service: &Service, tally: &Arc<Tally>, meter: Option<&Meter>, moment: Moment) -> Self {
        let coverage = meter.and_then(|meter| meter.coverage_in_pool(moment.tick));
        let provider = service.provider(tally, moment.now);
        Self { totals: meter.map(Meter::totals), provider, ..Self::of_pool(service, tally, coverage, moment) }
    }

    pub fn of_pool(service: &Service, tally: &Arc<Tally>, coverage: Option<Coverage>, moment: Moment) -> Self {
        let seen = tally.word.since(moment.from);
        let before = moment.asks_history.then(|| service.rollup().recent(tally.id, moment.from).peak).flatten();
        Self {
            tally: tally.clone(),
            level: seen.level,
            peak: before.map_or(seen.peak, |(peak, _)| peak.max(seen.peak)),
            settling: moment.settling,
            coverage: coverage.map(|known| if moment.settling { known.max(Coverage::Partial) } else { known }),
            limit: service.limits.slots_at(tally.id, moment.now.wall),
            totals: None,
            provider: None,
        }
    }

    /// The level, where it is known, the sessions of silent workers included. While the service settles it is not told: what
    /// has come of it so far would be drawn as a dip.
    pub fn known_level(&self) -> Option<u32> {
        let is_known = !self.settling && self.coverage.is_some_and(|coverage| coverage != Coverage::None);
        is_known.then_some(self.level)
    }

    /// The peak, where it is known; also of a level that is not known any more, when there was one in the windows.
    pub fn known_peak(&self) -> Option<u32> {
        self.known_level().map(|_| self.peak).or_else(|| Some(self.peak).filter(|peak| *peak > 0))
    }

    /// Whether there is anything to be told of it.
    pub fn is_told(&self) -> bool {
        let counted = self.totals.is_some_and(|totals| totals.opened > 0 || totals.closed.iter().any(|sum| *sum > 0));
        counted || self.coverage.is_some() || self.limit.is_some() || self.peak > 0
    }
}

/// How known a level is, as a number.
pub const fn coverage_value(coverage: Coverage) -> f64 {
    match coverage {
        Coverage::Full => 1.0,
        Coverage::Partial => 0.5,
        Coverage::None => 0.0,
    }
}

/// How a provider does, as a number.
pub const fn condition_value(condition: Condition) -> f64 {
    match condition {
        Condition::Up => 1.0,
        Condition::Probing => 0.5,
        Condition::Down => 0.0,
    }
}

/// What is known of levels together: of all what is known of each where that is the same, else a part.
pub fn together(one: Coverage, other: Coverage) -> Coverage {
    if one == other { one } else { Coverage::Partial }
}

/// The labels of a key. Those of a model across all projects have no project.
pub fn labels(key: &Key) -> Labels {
    let mut labels = Vec::with_capacity(5);
    if !matches!(key.target, Target::ModelPool(_)) {
        labels.push(label(Label::Project, key.project.as_str()));
    }
    labels.push(label(Label::Kind, key.target.kind().as_str()));
    if !key.target.model().is_empty() {
        labels.push(label(Label::Model, key.target.model()));
    }
    if &**key.target.account() != DEFAULT_ACCOUNT {
        labels.push(label(Label::Account, key.target.account()));
    }
    if let Target::Meter(meter) | Target::ModelPool(meter) = &key.target
        && meter.unit != Unit::Stream
    {
        labels.push(label(Label::Unit, meter.unit.as_str()));
    }
    labels
}

/// What stands for the models, and for the projects, that have no series of their own. No name of either is written so: a
/// model has a slash, and a project no underscore.
pub const OTHER: &str = "__other__";

/// The labels of what is counted together: the meters of a kind in a project, or in all (`None`).
pub fn labels_of_others(project: Option<&str>, kind: Kind) -> Labels {
    vec![label(Label::Project, project.unwrap_or(OTHER)), label(Label::Kind, kind.as_str()), label(Label::Model, OTHER)]
}
