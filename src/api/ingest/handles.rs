//! The small numbers that a stream gives to its meters. They are looked up once for each event.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::{
    api::convert,
    error::{Error, FieldProblem},
    live::{Meter, beyond::METERS_BOUND},
    model::{Meter as MeterName, Now, Project, Target},
    proto::{Declare, Declared, DeclaredMeter},
    service::Service,
};

/// Greatest handle.
const MAX_HANDLE: u32 = 1_048_575;

/// The meters of one stream by handle.
#[derive(Debug, Default)]
pub struct Handles {
    meters: FxHashMap<u32, Arc<Meter>>,
    /// What they stand for, of those that are counted as another.
    others: FxHashMap<u32, MeterName>,
}

impl Handles {
    /// The meter of a handle.
    pub fn meter(&self, handle: u32) -> Result<&Arc<Meter>, FieldProblem> {
        self.meters.get(&handle).ok_or_else(|| FieldProblem::new("handle", unknown(handle)))
    }

    /// Takes a declaration in, whole or not at all. Meters that are new begin to be counted.
    pub fn declare(
        &mut self,
        service: &Service,
        project: &Project,
        declare: &Declare,
        now: Now,
    ) -> Result<(Vec<Arc<Meter>>, Declared), Error> {
        let most = service.config.bounds.meters_per_stream;
        let too_many = || Error::Bound { name: "meters_per_stream", most: most as u64 };
        if declare.meters.len() > most {
            return Err(too_many());
        }
        let mut named = FxHashMap::default();
        let mut in_order = Vec::with_capacity(declare.meters.len());
        for (nth, declaration) in declare.meters.iter().enumerate() {
            let wrong = |problem: FieldProblem| problem.within(format_args!("declare.meters[{nth}]"));
            let handle = declaration.handle;
            if handle == 0 || handle > MAX_HANDLE {
                let problem = format!("is {handle}; 1 to {MAX_HANDLE} are allowed");
                return Err(wrong(FieldProblem::new("handle", problem)).into());
            }
            let name = convert::required_meter(&service.catalogue, declaration.meter.as_ref()).map_err(wrong)?;
            let is_other = self.name(handle).is_some_and(|other| *other != name)
                || named.get(&handle).is_some_and(|other| *other != name);
            if is_other {
                let problem = format!("{handle} stands for another meter, for as long as the stream lives");
                return Err(wrong(FieldProblem::new("handle", problem)).into());
            }
            named.insert(handle, name.clone());
            in_order.push((handle, name));
        }
        if self.meters.len() + named.keys().filter(|handle| !self.meters.contains_key(handle)).count() > most {
            return Err(too_many());
        }
        let mut meters = Vec::with_capacity(in_order.len());
        for (handle, name) in &in_order {
            let meter = metered(service, project, name, now)?;
            if counted_as(&meter, name) != name {
                self.others.insert(*handle, name.clone());
            }
            meters.push(meter);
        }
        let declared = in_order.iter().zip(&meters).map(|((handle, name), meter)| DeclaredMeter {
            handle: *handle,
            meter: Some(convert::to_meter(counted_as(meter, name))),
            in_catalogue: !name.kind.has_model() || service.catalogue.find(name.kind, &name.model).is_some(),
        });
        let declared = Declared { meters: declared.collect() };
        self.meters.extend(in_order.iter().map(|(handle, _)| *handle).zip(meters.iter().cloned()));
        Ok((meters, declared))
    }

    /// What a handle stands for.
    fn name(&self, handle: u32) -> Option<&MeterName> {
        self.others.get(&handle).or_else(|| match &self.meters.get(&handle)?.tally.key.target {
            Target::Meter(name) => Some(name),
            Target::KindPool { .. } | Target::ModelPool(_) => None,
        })
    }
}

impl FromIterator<(u32, Arc<Meter>)> for Handles {
    fn from_iter<I: IntoIterator<Item = (u32, Arc<Meter>)>>(meters: I) -> Self {
        Self { meters: meters.into_iter().collect(), others: FxHashMap::default() }
    }
}

/// The meter that counts what is reported of a name. That it is another's, since there are as many as there may be, is
/// counted as a refusal of the bound.
pub(super) fn metered(service: &Service, project: &Project, name: &MeterName, now: Now) -> Result<Arc<Meter>, Error> {
    let meter = service.live.meter_or_other(project, name, now)?;
    if counted_as(&meter, name) != name {
        let most = service.config.bounds.meters_per_project as u64;
        service.counts.ingest.refused(&Error::Bound { name: METERS_BOUND, most });
    }
    Ok(meter)
}

/// The name of the meter that counts what is reported of `name`.
fn counted_as<'m>(meter: &'m Meter, name: &'m MeterName) -> &'m MeterName {
    match &meter.tally.key.target {
        Target::Meter(counted) => counted,
        Target::KindPool { .. } | Target::ModelPool(_) => name,
    }
}

pub(super) fn unknown(handle: u32) -> String {
    format!("{handle} was not declared on this stream")
}
