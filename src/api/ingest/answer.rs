//! What a worker that asked for a slot is told, in numbers and in words. Nothing of another project is ever in it.

use std::{sync::Arc, time::Duration};

use crate::{
    api::convert,
    error::Error,
    live::{Ask, Granted, Meter, Refused, Tally, Why},
    model::{Meter as MeterName, Now, Target},
    proto::{self, Refusal, RefusalCause, SlotHolder},
    route::decide::Stand,
    service::{Service, routing::Routed},
};

/// The places of a meter's levels.
const OF_MODEL: usize = 0;
const OF_KIND: usize = 1;

fn name(meter: &Meter) -> Option<&MeterName> {
    match &meter.tally.key.target {
        Target::Meter(name) => Some(name),
        Target::KindPool { .. } | Target::ModelPool(_) => None,
    }
}

pub fn granted(service: &Service, ask: &Ask, granted: &Granted, now: Now) -> proto::Granted {
    let passed_over =
        ask.wanted.iter().zip(&granted.passed).map(|(meter, says)| refusal(service, ask, meter, *says, now));
    let mut passed_over: Vec<_> = passed_over.collect();
    let of_chain = ask.of_chain.as_deref();
    if let Some(of) = of_chain.filter(|_| passed_over.is_empty() && !granted.again) {
        // What stands before it in the chain and is full was not even tried.
        let place = |nth: usize| of.places.get(nth).map_or(0, |place| place.0);
        let granted_place = granted.nth.map_or(0, place);
        let before = ask.wanted.iter().enumerate().filter(|(nth, _)| place(*nth) < granted_place);
        let full = before.filter_map(|(_, meter)| Some((meter, meter.is_full(ask.priority)?)));
        passed_over.extend(full.map(|(meter, says)| refusal(service, ask, meter, says, now)));
        if granted_place > 0 {
            passed_over.extend(left(service, granted, &of.name, usize::from(granted_place), now));
        }
    }
    proto::Granted {
        meter: name(&granted.meter).map(convert::to_meter),
        diverted: !Arc::ptr_eq(&granted.meter, ask.first()),
        passed_over,
        again: granted.again,
        chain: of_chain.map(|of| of.name.to_string()).unwrap_or_default(),
        reason: if of_chain.is_some() { i32::from(granted.why) } else { 0 },
    }
}

/// The models before the one that was granted that new sessions of the chain leave, whatever room they have.
fn left(service: &Service, granted: &Granted, chain: &str, place: usize, now: Now) -> Vec<Refusal> {
    let Ok((version, at)) = service.routed(&granted.meter.tally.key.project, chain, now) else { return Vec::new() };
    let Routed { chain, route, .. } = &version.chains[at];
    let before = chain.models.iter().zip(&route.models).take(place);
    let left = before.filter_map(|(model, of_route)| {
        let (cause, message) = match of_route.stand {
            Stand::Down | Stand::Probing => (RefusalCause::ProviderDown, "its provider is down"),
            Stand::Drained => (RefusalCause::Drained, "it is drained by hand"),
            _ => return None,
        };
        let (meter, cause, message) = (Some(convert::to_meter(model)), cause as i32, message.to_owned());
        Some(Refusal { meter, cause, message, ..Refusal::default() })
    });
    left.collect()
}

pub fn refused(service: &Service, ask: &Ask, says: &[Refused], now: Now) -> proto::Refused {
    let mut said: Vec<_> = ask.wanted.iter().zip(says).enumerate().collect();
    if let Some(of) = &ask.of_chain {
        // In the order of the chain, whichever was tried first.
        said.sort_by_key(|(nth, _)| of.places.get(*nth).map_or(0, |place| place.0));
    }
    let refusals: Vec<_> =
        said.into_iter().map(|(_, (meter, says))| refusal(service, ask, meter, *says, now)).collect();
    let soonest =
        |a: &prost_types::Duration, b: &prost_types::Duration| (a.seconds, a.nanos).cmp(&(b.seconds, b.nanos));
    proto::Refused {
        cause: refusals.first().map_or(RefusalCause::ModelLimit as i32, |refusal| refusal.cause),
        message: refusals.first().map_or_else(|| "no slot came free in time".to_owned(), |first| first.message.clone()),
        expected_wait: refusals.iter().filter_map(|refusal| refusal.expected_wait).min_by(soonest),
        refusals,
    }
}

/// What is refused for a reason that is none of a model's.
pub fn refused_for(cause: RefusalCause) -> proto::Refused {
    let message = match cause {
        RefusalCause::Ended => "the session has ended already: a new one needs a new id",
        RefusalCause::TooManyWait => "as many callers of the project wait as may (waiting_per_project)",
        RefusalCause::SnapshotFirst => "the service does not know what this stream holds: send the snapshot first",
        RefusalCause::Store => "the store does not answer, and must know before more is held: try again",
        _ => "there is no slot",
    };
    proto::Refused { cause: cause as i32, message: message.to_owned(), ..proto::Refused::default() }
}

/// What is refused since no model is left to be asked.
pub fn no_model(routed: &Routed) -> proto::Refused {
    let models: Vec<_> = routed.chain.models.iter().map(|model| &*model.model).collect();
    let name = &routed.chain.name;
    let message =
        format!("each model of chain {name} failed this session or is drained by hand: {}", models.join(", "));
    proto::Refused { cause: RefusalCause::NoModel as i32, message, ..proto::Refused::default() }
}

/// What is refused since the project has no such chain; `error` says which it has.
pub fn no_chain(error: &Error) -> proto::Refused {
    proto::Refused { cause: RefusalCause::NoChain as i32, message: error.client_message(), ..proto::Refused::default() }
}

fn refusal(service: &Service, ask: &Ask, meter: &Meter, says: Refused, now: Now) -> Refusal {
    let level = meter.scopes()[says.scope];
    let is_own = matches!(says.scope, OF_MODEL | OF_KIND);
    let cause = match (says.why, says.scope) {
        (Why::Starts { .. }, _) => RefusalCause::Starts,
        (Why::Settling { .. }, _) => RefusalCause::Settling,
        (Why::Ceiling, _) => RefusalCause::Store,
        (Why::Slots { .. }, OF_MODEL) => RefusalCause::ModelLimit,
        (Why::Slots { .. }, OF_KIND) => RefusalCause::KindLimit,
        (Why::Slots { .. }, _) => RefusalCause::ProviderPool,
    };
    let (held, limit, kept) = match says.why {
        _ if !is_own => (0, 0, 0),
        Why::Slots { held, most, limit } => (held, limit, limit.saturating_sub(most)),
        Why::Starts { most, .. } => (most, most, 0),
        Why::Settling { held, most } => (held, most, 0),
        Why::Ceiling => (0, 0, 0),
    };
    let expected = match says.why {
        // How busy others are is not for this project to know.
        _ if !is_own => None,
        Why::Starts { room_in, .. } => Some(room_in),
        Why::Slots { .. } => expected_wait(service, ask, level, now),
        Why::Settling { .. } | Why::Ceiling => None,
    };
    let counts_slots = is_own && matches!(says.why, Why::Slots { .. });
    let holders: Vec<_> = match counts_slots {
        true => service.live.holders(level, now.wall.tick()).iter().map(to_holder).collect(),
        false => Vec::new(),
    };
    let message = words(says.why, level, is_own, (held, limit, kept), &holders);
    Refusal {
        meter: name(meter).map(convert::to_meter),
        cause: cause as i32,
        held,
        limit,
        kept,
        expected_wait: expected.map(convert::to_duration),
        holders,
        message,
    }
}

fn to_holder((worker, slots): &(Box<str>, u32)) -> SlotHolder {
    SlotHolder { worker_id: worker.to_string(), slots: *slots }
}

/// As many ends as wait before it, and one.
fn expected_wait(service: &Service, ask: &Ask, level: &Tally, now: Now) -> Option<Duration> {
    let each = level.scope()?.expected_wait(now.wall.tick())?;
    let ahead = service.live.waiting_room().ahead(&ask.wanted, ask.priority);
    Some(each.saturating_mul(u32::try_from(ahead + 1).unwrap_or(u32::MAX)))
}

fn words(why: Why, level: &Tally, is_own: bool, counts: (u32, u32, u32), holders: &[SlotHolder]) -> String {
    let what = match &level.key.target {
        Target::Meter(_) => "model limit".to_owned(),
        Target::KindPool { kind, .. } => format!("limit of {kind}"),
        Target::ModelPool(_) => "provider pool".to_owned(),
    };
    let (held, limit, kept) = counts;
    let mut words = match why {
        Why::Starts { room_in, .. } if is_own => {
            format!("{what}: {limit} started in the last minute, room in {} s", room_in.as_secs())
        }
        Why::Starts { .. } => format!("{what}: as many as may were started in the last minute"),
        Why::Settling { .. } => format!("{what}: the service was restarted, and waits for workers that may hold slots"),
        Why::Ceiling => format!("{what}: the store must know first"),
        Why::Slots { .. } if !is_own => format!("{what}: no slot is free across projects"),
        Why::Slots { .. } => format!("{what}: {held} of {limit} held"),
    };
    if kept > 0 {
        words += &format!(", {kept} kept for higher priorities");
    }
    if !holders.is_empty() {
        let named: Vec<_> = holders.iter().map(|holder| format!("{} {}", holder.worker_id, holder.slots)).collect();
        words += &format!(" (most by {})", named.join(", "));
    }
    words
}
