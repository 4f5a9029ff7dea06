//! Slots that workers ask for: waits for the store, or for a turn, and asks the engine again. Whoever stops polling it has
//! left the line.

use std::{borrow::Cow, future::pending, time::Duration};

use tokio::time::{Instant, sleep_until};

use crate::{
    api::{aside::Aside, ingest::answer},
    error::Error,
    live::{
        Answer, Ask, Attachment,
        admit::{GivenBack, Holder},
    },
    model::{Incarnation, Now, Outcome, Project, SessionId, Time},
    proto::{Granted, RefusalCause, Refused, ReleaseResult},
    service::{Service, routing::Listener},
};

/// How often a raised ceiling may turn out to be taken by others before the caller is turned away.
const MOST_RAISES: u32 = 32;

/// Who asks.
#[derive(Clone, Debug)]
pub enum Who {
    Stream(Attachment),
    Unary { project: Project, worker: String, incarnation: Incarnation, lease: Duration },
}

/// What they are told.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Granted(Granted),
    Refused(Refused),
}

/// An answer, or what must be waited for before there is one.
pub enum Asked {
    Told(Told, Time),
    Pending(Answer),
}

impl Who {
    fn holder(&self) -> Holder<'_> {
        match self {
            Self::Stream(stream) => Holder::Stream(stream),
            Self::Unary { project, worker, incarnation, lease } => {
                Holder::Unary { project, worker, incarnation: *incarnation, lease: *lease }
            }
        }
    }
}

/// Asks once. Nothing is waited for.
///
/// # Errors
/// When the stream was superseded, or a bound is reached.
pub fn ask(service: &Service, who: &Who, ask: &Ask, now: Now) -> Result<Asked, Error> {
    let (answer, lease_end) = service.live.acquire(who.holder(), ask, None, now)?;
    Ok(told(service, ask, answer, lease_end, now))
}

fn told(service: &Service, ask: &Ask, answer: Answer, lease_end: Time, now: Now) -> Asked {
    let refused = |cause| Told::Refused(answer::refused_for(cause));
    let told = match answer {
        Answer::Granted(granted) => Told::Granted(answer::granted(service, ask, &granted, now)),
        Answer::Refused(says) => Told::Refused(answer::refused(service, ask, &says, now)),
        Answer::Ended => refused(RefusalCause::Ended),
        Answer::TooManyWait => refused(RefusalCause::TooManyWait),
        Answer::SnapshotFirst { .. } | Answer::Unheard => refused(RefusalCause::SnapshotFirst),
        Answer::Waits(_) | Answer::Raise(_) | Answer::Introduce => return Asked::Pending(answer),
    };
    Asked::Told(told, lease_end)
}

/// Waits for what is pending, and asks again until there is an answer.
///
/// # Errors
/// As of [`ask`]; `Busy` when too many wait for the store.
pub async fn wait(
    aside: &Aside,
    who: &Who,
    ask: &Ask,
    mut answer: Answer,
    until: Instant,
) -> Result<(Told, Time), Error> {
    let service = aside.queries.service().clone();
    let (mut raises, mut ask) = (0, Cow::Borrowed(ask));
    // Who waits by chain waits for what its route says, whatever becomes of that meanwhile.
    let mut routes = ask.of_chain.as_ref().map(|_| service.routing.listen(&who.name().0));
    loop {
        let mut permit = None;
        match answer {
            Answer::Waits(mut ticket) => {
                let turn = ticket.number();
                let again = tokio::select! {
                    biased;
                    handed = &mut ticket => {
                        permit = Some(handed);
                        None
                    }
                    again = other_models(&service, who, &ask, turn, routes.as_mut()) => Some(again),
                    () = sleep_until(until) => None,
                };
                permit = permit.or_else(|| ticket.take());
                // What it is handed from now on goes to the next.
                drop(ticket);
                match again {
                    Some(again) => {
                        permit = None;
                        ask = Cow::Owned(again);
                    }
                    // Its time is over, and it was not its turn.
                    None if permit.is_none() => return at_once(&service, who, &ask),
                    None => {}
                }
            }
            Answer::Raise(levels) => {
                raises += 1;
                let now = service.clock.now();
                let raised = aside.run(move |queries| queries.service().raise_ceilings(&levels, now)).await;
                if raises > MOST_RAISES || is_store(&raised) {
                    return at_once(&service, who, &ask);
                }
                raised?;
            }
            Answer::Introduce => {
                raises += 1;
                let (project, incarnation) = who.name();
                let introduced = aside.run(move |queries| queries.service().introduce(&project, incarnation)).await;
                if raises > MOST_RAISES || is_store(&introduced) {
                    return at_once(&service, who, &ask);
                }
                introduced?;
            }
            _ => {}
        }
        let now = service.clock.now();
        let (next, lease_end) = service.live.acquire(who.holder(), &ask, permit, now)?;
        match told(&service, &ask, next, lease_end, now) {
            Asked::Told(told, lease_end) => return Ok((told, lease_end)),
            Asked::Pending(next) => answer = next,
        }
    }
}

/// Waits until the routes say that a session which waits by chain may have other models than it waits for, or for another
/// reason; for ever where it does not wait by chain.
async fn other_models(service: &Service, who: &Who, ask: &Ask, turn: u64, routes: Option<&mut Listener>) -> Ask {
    let Some(routes) = routes else { return pending().await };
    loop {
        let _heard = routes.newest();
        if let Some(again) = service.pick_again(&who.name().0, ask, turn, service.clock.now()) {
            return again;
        }
        routes.changed().await;
    }
}

fn is_store<T>(done: &Result<T, Error>) -> bool {
    matches!(done, Err(Error::Store { .. }))
}

/// Asks without waiting, for the store or for a turn: a slot of which the store need not know first is given all the same, and
/// a session that another call of its own has got one for meanwhile is told of that.
fn at_once(service: &Service, who: &Who, ask: &Ask) -> Result<(Told, Time), Error> {
    let now = service.clock.now();
    let known = Ask { waits: false, without_store: true, ..ask.clone() };
    let (answer, lease_end) = service.live.acquire(who.holder(), &known, None, now)?;
    if let Asked::Told(told, lease_end) = told(service, ask, answer, lease_end, now) {
        return Ok((told, lease_end));
    }
    service.live.count_refused(ask);
    Ok((Told::Refused(answer::refused_for(RefusalCause::Store)), lease_end))
}

impl Who {
    fn name(&self) -> (Project, Incarnation) {
        match self {
            Self::Stream(stream) => stream.name(),
            Self::Unary { project, incarnation, .. } => (project.clone(), *incarnation),
        }
    }
}

/// Gives a slot back.
///
/// # Errors
/// As of [`ask`].
pub fn give_back(
    service: &Service,
    who: &Who,
    id: SessionId,
    outcome: Outcome,
    now: Now,
) -> Result<ReleaseResult, Error> {
    let (given, _) = service.live.give_back(who.holder(), id, outcome, now)?;
    Ok(match given {
        GivenBack::Free => ReleaseResult::Free,
        GivenBack::Ended => ReleaseResult::AlreadyEnded,
        GivenBack::NotHeld => ReleaseResult::NotHeld,
    })
}
