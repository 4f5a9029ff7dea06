//! The models across all projects: what the contract of each holds, and what was promised to projects.

use std::collections::BTreeMap;

use crate::{
    model::{Meter, Now, Project, Target},
    query::{Queries, QuotaView, Result},
};

/// A model across all projects.
#[derive(Clone, Debug)]
pub struct ProviderPool {
    pub meter: Meter,
    /// As people say it.
    pub name: String,
    /// How the pool stands; `None` where nobody reported it, and nobody set a limit on it.
    pub quota: Option<QuotaView>,
    /// Sum of the limits that projects have on the model.
    pub promised: u64,
    /// Projects that use the model or have a limit on it.
    pub projects: u32,
}

impl Queries {
    /// The models after one, at most `size`, and whether there are more: by kind and name. Reads the store.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn provider_pools(&self, after: Option<&Meter>, size: usize, now: Now) -> Result<(Vec<ProviderPool>, bool)> {
        let service = &*self.service;
        let mut models: BTreeMap<Meter, (u64, u32)> = BTreeMap::new();
        for tally in service.live.registry.all_tallies() {
            match &tally.key.target {
                Target::Meter(meter) if meter.kind.has_model() => {
                    let (promised, projects) = models.entry(meter.clone()).or_default();
                    *promised += u64::from(service.limits.slots_at(tally.id, now.wall).unwrap_or(0));
                    *projects += 1;
                }
                Target::ModelPool(meter) if meter.kind.has_model() => {
                    models.entry(meter.clone()).or_default();
                }
                _ => {}
            }
        }
        let across = self.listings.of(&Project::across(), &service.live.registry, &service.catalogue);
        let (as_of, settling) = (service.live.tick(now), service.live.is_settling());
        let mut rest = models.into_iter().filter(|(meter, _)| after.is_none_or(|after| meter > after));
        let page = rest.by_ref().take(size).map(|(meter, (promised, projects))| {
            let is_its_pool = |target: &Target| matches!(target, Target::ModelPool(pool) if *pool == meter);
            let listed = across.keys.iter().find(|listed| is_its_pool(&listed.tally.key.target));
            let quota = listed.map(|listed| self.view(listed, as_of, settling, now)).transpose()?;
            let name = service.catalogue.display_name(&Target::Meter(meter.clone()));
            Ok(ProviderPool { meter, name, quota, promised, projects })
        });
        let page = page.collect::<Result<_>>()?;
        Ok((page, rest.next().is_some()))
    }
}
