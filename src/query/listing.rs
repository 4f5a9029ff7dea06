//! The keys of a project in the order of lists, with what of them never changes. Made again when a key is new.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    live::{Meter, Registry, Tally},
    model::{Catalogue, Coverage, KeyId, Project, Target},
};

/// Projects whose listing is kept: more are asked for so seldom that they are made anew.
const MOST_LISTINGS: usize = 1_024;

/// One key.
#[derive(Debug)]
pub struct Listed {
    pub tally: Arc<Tally>,
    /// The meter, or all meters of the pool; empty for what was never reported.
    pub meters: Vec<Arc<Meter>>,
    /// Its name as people say it.
    pub name: Arc<str>,
    /// Whether the catalogue knows its model; true where there is no model to know.
    pub in_catalogue: bool,
}

/// The keys of a project.
#[derive(Debug)]
pub struct Listing {
    /// The growth of the registry that it was made at.
    growth: usize,
    pub keys: Vec<Listed>,
}

/// The listings of the projects that were asked for.
#[derive(Debug, Default)]
pub struct Listings(Mutex<HashMap<Project, Arc<Listing>>>);

impl Listed {
    /// Slots held by workers that are silent or cut off.
    pub fn silent_level(&self) -> u32 {
        self.meters.iter().map(|meter| meter.silent_level()).sum()
    }

    /// Whether sessions of workers that are heard may be missing in the level.
    pub fn is_incomplete(&self) -> bool {
        self.meters.iter().any(|meter| meter.is_incomplete())
    }

    /// Whether the level is known, in full or in part.
    pub fn is_covered(&self) -> bool {
        self.meters.iter().any(|meter| meter.coverage() != Coverage::None)
    }
}

impl Listings {
    /// The keys of a project as there are now.
    pub fn of(&self, project: &Project, registry: &Registry, catalogue: &Catalogue) -> Arc<Listing> {
        let growth = registry.growth();
        let mut listings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listing) = listings.get(project).filter(|listing| listing.growth == growth) {
            return listing.clone();
        }
        if listings.len() >= MOST_LISTINGS {
            listings.clear();
        }
        let listing = Arc::new(Listing { growth, keys: keys(project, registry, catalogue) });
        listings.insert(project.clone(), listing.clone());
        listing
    }
}

fn keys(project: &Project, registry: &Registry, catalogue: &Catalogue) -> Vec<Listed> {
    let tallies = registry.of_project(project);
    let mut meters: HashMap<KeyId, Vec<Arc<Meter>>> = tallies.iter().map(|tally| (tally.id, Vec::new())).collect();
    for meter in registry.all_meters() {
        for tally in std::iter::once(&meter.tally).chain(&meter.pools) {
            if let Some(of_key) = meters.get_mut(&tally.id) {
                of_key.push(meter.clone());
            }
        }
    }
    let listed = |tally: Arc<Tally>| Listed {
        meters: meters.remove(&tally.id).unwrap_or_default(),
        name: catalogue.display_name(&tally.key.target).into(),
        in_catalogue: in_catalogue(&tally.key.target, catalogue),
        tally,
    };
    tallies.into_iter().map(listed).collect()
}

/// Whether the catalogue knows the model of a target; true where there is no model to know.
pub fn in_catalogue(target: &Target, catalogue: &Catalogue) -> bool {
    target.model().is_empty() || catalogue.find(target.kind(), target.model()).is_some()
}
