//! The model of one session: chosen by the route and by how full the models are at this moment, and after it those that it
//! may have instead, in the order in which they would be chosen.

use std::sync::Arc;

use crate::{
    live::{Ask, Meter, OfChain},
    model::{Now, Priority, Project, SessionId},
    route::{Asked, Choice, Condition, Standing, View, Why, choose, choose::hash, decide::Stand},
    service::{Service, routing::Routed},
};

/// Who asks for a model of a chain.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    pub session: SessionId,
    /// Label of the job; empty for none.
    pub job: &'a str,
    /// Empty for one that tries no provider which is down.
    pub worker: &'a str,
    pub priority: Priority,
    /// Places of the models that failed the session, as bits.
    pub failed: u8,
}

/// Why it is a model, as it is kept with the session. 0 is kept for none.
pub const fn to_number(why: Why) -> u8 {
    match why {
        Why::Leads => 1,
        Why::Stays => 2,
        Why::Share => 3,
        Why::Overflow => 4,
        Why::Probe => 5,
        Why::LastResort => 6,
    }
}

impl Service {
    /// The models that a session may have, in the order in which they are to be tried; `None` when all failed it, or are
    /// drained.
    pub fn pick(&self, routed: &Routed, asker: &Asker<'_>, now: Now) -> Option<(Arc<[Arc<Meter>]>, OfChain)> {
        let Routed { chain, models, route, .. } = routed;
        let meters = models.meters();
        let job = (!asker.job.is_empty()).then(|| hash(asker.job.as_bytes()));
        let (held, stays) = models.chained.look(meters, job);
        let view = |(place, held): (usize, u32)| {
            let of_route = &route.models[place];
            let standing = Standing { ceiling: of_route.ceiling, held, ..models.standing(place, asker.priority) };
            View { standing, condition: of_route.condition }
        };
        let views: Vec<_> = held.into_iter().enumerate().map(view).collect();
        let is_probing = !asker.worker.is_empty() && views.iter().any(|view| view.condition == Condition::Probing);
        let may_probe = match is_probing {
            true => self.may_probe(meters, asker.worker),
            false => 0,
        };
        let stays = stays.and_then(|id| meters.iter().position(|meter| meter.tally.id == id));
        let job_or_session = job.unwrap_or_else(|| hash(&asker.session.0));
        let mut asked = Asked { job: job_or_session, stays, tried: asker.failed, may_probe };
        let mut order: Vec<(usize, Why)> = Vec::with_capacity(meters.len());
        let mut probe = None;
        while let Choice::Grant { place, why } = choose(chain, route, &views, &asked) {
            if why == Why::Probe {
                asked.may_probe &= !(1 << place);
                probe = self.reserve_probe(&meters[place], asker.worker, asker.session, now);
                if probe.is_none() {
                    continue;
                }
            }
            // What is tried after the first is no probe: one session tries one provider.
            asked.may_probe = 0;
            asked.tried |= 1 << place;
            order.push((place, why));
        }
        let left = |place: &usize| asked.tried >> place & 1 == 0 && route.models[*place].stand != Stand::Drained;
        let rest = (route.leader..meters.len()).chain(0..route.leader).filter(left);
        order.extend(rest.map(|place| {
            (place, if_it_has_room(&views[place], place == route.leader, || models.is_open(place, asker.priority)))
        }));
        // Two models beyond the bound of a project are one meter.
        let mut wanted: Vec<Arc<Meter>> = Vec::with_capacity(order.len());
        let mut places = Vec::with_capacity(order.len());
        for (place, why) in order {
            if !wanted.iter().any(|other| Arc::ptr_eq(other, &meters[place])) {
                wanted.push(meters[place].clone());
                places.push((u8::try_from(place).unwrap_or(u8::MAX), to_number(why)));
            }
        }
        let of_chain = OfChain {
            name: chain.name.clone(),
            chained: models.chained.clone(),
            job,
            primary: meters[0].clone(),
            places: places.into(),
            probe: probe.map(Arc::new),
            failed: asker.failed,
            turn: None,
        };
        (!wanted.is_empty()).then(|| (wanted.into(), of_chain))
    }
}

impl Service {
    /// What a session that waits by chain may have by the routes of now, with its number in the line; `None` where that is what
    /// it waits for, or there is nothing.
    pub fn pick_again(&self, project: &Project, ask: &Ask, turn: u64, now: Now) -> Option<Ask> {
        let of = ask.of_chain.as_ref()?;
        let (version, at) = self.routed(project, &of.name, now).ok()?;
        let job = ask.labels.as_ref().map_or("", |labels| &labels.job);
        let asker = Asker { session: ask.id, job, worker: "", priority: ask.priority, failed: of.failed };
        let (wanted, newer) = self.pick(&version.chains[at], &asker, now)?;
        let is_same = wanted.len() == ask.wanted.len()
            && wanted.iter().zip(&*ask.wanted).all(|(one, other)| Arc::ptr_eq(one, other))
            && newer.places == of.places;
        let of_chain = Some(Box::new(OfChain { turn: Some(turn), ..newer }));
        (!is_same).then(|| Ask { wanted, of_chain, ..ask.clone() })
    }

    /// A caller is turned away since no model of the chain is left for it.
    pub fn refuse_of(&self, routed: &Routed) {
        self.live.count_refused_of(&routed.models.meters()[0]);
    }
}

/// Why a model that had no room would be given after all.
fn if_it_has_room(view: &View, leads: bool, is_open: impl Fn() -> bool) -> Why {
    match leads {
        // Only an observed limit, which refuses nobody, was in the way.
        _ if view.standing.room() == 0 && is_open() => Why::LastResort,
        true => Why::Leads,
        false => Why::Overflow,
    }
}
