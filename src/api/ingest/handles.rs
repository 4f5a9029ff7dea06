//! The small numbers that a stream gives to its meters. They are looked up once for each event.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::{
    api::convert,
    error::{Error, FieldProblem},
    live::Meter,
    model::{Now, Project, Target},
    proto::{Declare, Declared, DeclaredMeter},
    service::Service,
};

/// Greatest handle.
const MAX_HANDLE: u32 = 1_048_575;

/// The meters of one stream by handle.
#[derive(Debug, Default)]
pub struct Handles(FxHashMap<u32, Arc<Meter>>);

impl Handles {
    /// The meter of a handle.
    pub fn meter(&self, handle: u32) -> Result<&Arc<Meter>, FieldProblem> {
        self.0.get(&handle).ok_or_else(|| FieldProblem::new("handle", unknown(handle)))
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
            let before = self.0.get(&handle).map(|meter| &meter.tally.key.target);
            let is_other = matches!(before, Some(Target::Meter(other)) if *other != name)
                || named.get(&handle).is_some_and(|other| *other != name);
            if is_other {
                let problem = format!("{handle} stands for another meter, for as long as the stream lives");
                return Err(wrong(FieldProblem::new("handle", problem)).into());
            }
            named.insert(handle, name.clone());
            in_order.push((handle, name));
        }
        if self.0.len() + named.keys().filter(|handle| !self.0.contains_key(handle)).count() > most {
            return Err(too_many());
        }
        let mut meters = Vec::with_capacity(in_order.len());
        for (_, name) in &in_order {
            meters.push(service.live.meter(project, name, now)?);
        }
        let declared = in_order.iter().map(|(handle, name)| DeclaredMeter {
            handle: *handle,
            meter: Some(convert::to_meter(name)),
            in_catalogue: !name.kind.has_model() || service.catalogue.find(name.kind, &name.model).is_some(),
        });
        let declared = Declared { meters: declared.collect() };
        self.0.extend(in_order.iter().map(|(handle, _)| *handle).zip(meters.iter().cloned()));
        Ok((meters, declared))
    }
}

impl FromIterator<(u32, Arc<Meter>)> for Handles {
    fn from_iter<I: IntoIterator<Item = (u32, Arc<Meter>)>>(meters: I) -> Self {
        Self(meters.into_iter().collect())
    }
}

pub(super) fn unknown(handle: u32) -> String {
    format!("{handle} was not declared on this stream")
}
