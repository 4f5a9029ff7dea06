//! Slots that workers ask for: waits for the store, or for a turn, and asks the engine again. Whoever stops polling it has
//! left the line.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::{
    api::{aside::Aside, ingest::answer},
    error::Error,
    live::{
        Answer, Ask, Attachment, Live, Ticket,
        admit::{GivenBack, Holder},
    },
    model::{Incarnation, Now, Outcome, Project, SessionId, Time},
    proto::{Granted, RefusalCause, Refused, ReleaseResult},
    service::Service,
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
    mut pending: Answer,
    until: Instant,
) -> Result<(Told, Time), Error> {
    let service = aside.queries.service().clone();
    let mut raises = 0;
    loop {
        let mut permit = None;
        match pending {
            Answer::Waits(mut ticket) => {
                permit = timeout_at(until, &mut ticket).await.ok().or_else(|| ticket.take());
                if permit.is_none() {
                    return Ok(late(&service, who, ask, ticket));
                }
            }
            Answer::Raise(levels) => {
                raises += 1;
                let now = service.clock.now();
                let raised = aside.run(move |queries| queries.service().raise_ceilings(&levels, now)).await;
                if raises > MOST_RAISES || is_store(&raised) {
                    return without_store(&service, who, ask);
                }
                raised?;
            }
            Answer::Introduce => {
                raises += 1;
                let (project, incarnation) = who.name();
                let introduced = aside.run(move |queries| queries.service().introduce(&project, incarnation)).await;
                if raises > MOST_RAISES || is_store(&introduced) {
                    return without_store(&service, who, ask);
                }
                introduced?;
            }
            _ => {}
        }
        let now = service.clock.now();
        let (answer, lease_end) = service.live.acquire(who.holder(), ask, permit, now)?;
        match told(&service, ask, answer, lease_end, now) {
            Asked::Told(told, lease_end) => return Ok((told, lease_end)),
            Asked::Pending(answer) => pending = answer,
        }
    }
}

fn is_store<T>(done: &Result<T, Error>) -> bool {
    matches!(done, Err(Error::Store { .. }))
}

/// Its time is over, and it was not its turn.
fn late(service: &Service, who: &Who, ask: &Ask, ticket: Ticket) -> (Told, Time) {
    let now = service.clock.now();
    let says = service.live.give_up_waiting(ask, ticket, now);
    (Told::Refused(answer::refused(service, ask, &says, now)), who.lease_end(&service.live, now))
}

/// The store would have to know first, and does not answer: a model that needs no word of it is given all the same.
fn without_store(service: &Service, who: &Who, ask: &Ask) -> Result<(Told, Time), Error> {
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

    fn lease_end(&self, live: &Live, now: Now) -> Time {
        let (project, incarnation) = self.name();
        live.lease_end(&project, incarnation).unwrap_or(now.mono)
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
