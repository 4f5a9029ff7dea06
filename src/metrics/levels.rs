//! What is written of meters and pools.

use std::{collections::BTreeMap, sync::Arc};

use rustc_hash::FxHashMap;

use crate::{
    live::{Meter, roll, sums::Totals},
    metrics::{
        name::{Label, Name},
        page::{Labels, Page, Written, label},
        series::{Place, Series},
        standing::{self, Moment, Standing, condition_value, coverage_value, labels},
    },
    model::{Coverage, KeyId, Kind, Now, Outcome, Project, Target},
    service::Service,
};

/// The gauges of meters, or of pools of one sort.
struct Gauges {
    active: Name,
    peak: Name,
    limit: Name,
    coverage: Name,
}

const KIND_POOLS: Gauges = Gauges {
    active: Name::KindPoolActive,
    peak: Name::KindPoolPeak,
    limit: Name::KindPoolLimit,
    coverage: Name::KindPoolCoverage,
};
const MODEL_POOLS: Gauges = Gauges {
    active: Name::ModelPoolActive,
    peak: Name::ModelPoolPeak,
    limit: Name::ModelPoolLimit,
    coverage: Name::ModelPoolCoverage,
};
const METERS: Gauges = Gauges {
    active: Name::SessionsActive,
    peak: Name::SessionsPeak,
    limit: Name::SessionsLimit,
    coverage: Name::SessionsCoverage,
};

/// Meters of a kind that are counted together.
#[derive(Debug, Default)]
struct Others {
    /// `None` while nothing of it is known.
    level: Option<u64>,
    coverage: Option<Coverage>,
    totals: Totals,
}

/// All meters and pools as they stand.
#[derive(Debug, Default)]
pub struct Levels {
    meters: Vec<Standing>,
    kind_pools: Vec<Standing>,
    model_pools: Vec<Standing>,
    /// By project (`None` for all) and kind.
    others: BTreeMap<(Option<Project>, Kind), Others>,
    /// Meters that there are.
    pub all_meters: u64,
    /// Events that were too late for history.
    pub late_dropped: u64,
}

impl Levels {
    /// Reads how each stands, and gives places to those that are new.
    pub fn read(service: &Service, series: &mut Series, now: Now) -> Self {
        let moment = Moment::new(service, now);
        let registry = &service.live.registry;
        let (all_meters, mut tallies) = loop {
            series.forget_removed(registry);
            let listed = (registry.all_meters(), registry.all_tallies());
            // What was removed meanwhile is in neither: not in the lists, and not in the sums of what is gone.
            if series.knows_removed(registry) {
                break listed;
            }
        };
        let coverage = roll::coverage(&all_meters, moment.tick);
        let mut levels = Self { all_meters: all_meters.len() as u64, ..Self::default() };
        levels.late_dropped = series.late_dropped;
        for (kind, totals) in series.gone() {
            levels.others.entry((None, kind)).or_default().totals.add(totals);
        }
        let meters: FxHashMap<KeyId, Arc<Meter>> =
            all_meters.into_iter().map(|meter| (meter.tally.id, meter)).collect();
        // The oldest first: places are given in this order.
        tallies.sort_unstable_by_key(|tally| tally.id);
        for tally in &tallies {
            let standing = match tally.key.target {
                Target::Meter(_) => Standing::of_meter(service, tally, meters.get(&tally.id).map(|m| &**m), moment),
                Target::KindPool { .. } | Target::ModelPool(_) => {
                    Standing::of_pool(service, tally, coverage.get(&tally.id).copied(), moment)
                }
            };
            levels.late_dropped += standing.totals.map_or(0, |totals| totals.late_dropped);
            if standing.is_told() || series.knows(tally.id) {
                levels.put(standing, series);
            }
        }
        levels
    }

    fn put(&mut self, standing: Standing, series: &mut Series) {
        let key = &standing.tally.key;
        match (series.place(standing.tally.id, key), &key.target) {
            (Place::Own, Target::Meter(_)) => self.meters.push(standing),
            (Place::Own, Target::KindPool { .. }) => self.kind_pools.push(standing),
            (Place::Own, Target::ModelPool(_)) => self.model_pools.push(standing),
            (Place::WithProject, target) => {
                self.others.entry((Some(key.project.clone()), target.kind())).or_default().add(&standing);
            }
            (Place::WithAll, target) => self.others.entry((None, target.kind())).or_default().add(&standing),
            (Place::Nowhere, _) => {}
        }
    }

    /// Writes what is told of them.
    ///
    /// # Errors
    /// When the encoder does not take it.
    pub fn write(&self, page: &mut Page) -> Written {
        self.write_gauges(&METERS, &self.meters, page)?;
        page.counter(Name::SessionsOpened, self.totals().map(|(labels, totals)| (labels, totals.opened)))?;
        page.counter(Name::SessionsClosed, self.totals().flat_map(|(labels, totals)| closed(labels, totals)))?;
        page.counter(Name::SessionsRefused, self.totals().map(|(labels, totals)| (labels, totals.refused)))?;
        page.counter(Name::SessionsDiverted, self.totals().map(|(labels, totals)| (labels, totals.diverted)))?;
        let providers = || self.meters.iter().filter_map(|s| Some((labels(&s.tally.key), s.provider.as_ref()?)));
        let up = providers().map(|(labels, provider)| (labels, condition_value(provider.condition)));
        page.measure(Name::ProviderUp, up)?;
        let ceilings = providers().filter_map(|(labels, provider)| Some((labels, u64::from(provider.ceiling?))));
        page.gauge(Name::LearnedCeiling, ceilings)?;
        self.write_gauges(&KIND_POOLS, &self.kind_pools, page)?;
        self.write_gauges(&MODEL_POOLS, &self.model_pools, page)
    }

    fn write_gauges(&self, names: &Gauges, standings: &[Standing], page: &mut Page) -> Written {
        let of_meters = names.active == Name::SessionsActive;
        let others = || self.others.iter().filter(move |_| of_meters);
        let each = |value: fn(&Standing) -> Option<u32>| {
            standings.iter().filter_map(move |s| Some((labels(&s.tally.key), u64::from(value(s)?))))
        };
        let levels = others().filter_map(|(group, others)| Some((labels_of(group), others.level?)));
        page.gauge(names.active, each(Standing::known_level).chain(levels))?;
        page.gauge(names.peak, each(Standing::known_peak))?;
        page.gauge(names.limit, each(|standing| standing.limit))?;
        let known = |coverage: Option<Coverage>| coverage.map(coverage_value);
        let own = standings.iter().filter_map(|s| Some((labels(&s.tally.key), known(s.coverage)?)));
        let together = others().filter_map(|(group, others)| Some((labels_of(group), known(others.coverage)?)));
        page.measure(names.coverage, own.chain(together))
    }

    /// The sums of all meters, those that are counted together included.
    fn totals(&self) -> impl Iterator<Item = (Labels, Totals)> {
        let own = self.meters.iter().filter_map(|standing| Some((labels(&standing.tally.key), standing.totals?)));
        own.chain(self.others.iter().map(|(group, others)| (labels_of(group), others.totals)))
    }
}

fn closed(labels: Labels, totals: Totals) -> impl Iterator<Item = (Labels, u64)> {
    Outcome::ALL.iter().map(move |outcome| {
        let mut labels = labels.clone();
        labels.push(label(Label::Outcome, outcome.as_str()));
        (labels, totals.closed[outcome.index()])
    })
}

fn labels_of((project, kind): &(Option<Project>, Kind)) -> Labels {
    standing::labels_of_others(project.as_ref().map(Project::as_str), *kind)
}

impl Others {
    fn add(&mut self, standing: &Standing) {
        self.level = standing.known_level().map(|level| u64::from(level) + self.level.unwrap_or(0)).or(self.level);
        let of_both = |coverage| self.coverage.map_or(coverage, |others| standing::together(others, coverage));
        self.coverage = standing.coverage.map(of_both).or(self.coverage);
        if let Some(totals) = &standing.totals {
            self.totals.add(totals);
        }
    }
}
