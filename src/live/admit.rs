//! Who asks for a slot, and what they are told. A session that holds a slot is told the same again; one that asks for several
//! models is given the first that has room. What is reported is never refused, and is not decided here.

use std::{collections::HashMap, sync::Arc, time::Duration};

use crate::{
    live::{
        Live,
        apply::Moment,
        asked::Asked,
        attach::{Attachment, Refusal},
        book::Book,
        chained::OfChain,
        enter::{Entered, Refused, bounded_by_ceilings},
        gate::{self, Promise},
        meter::{Meter, Tally},
        scope::{Rules, Scope},
        stream::Heard,
        waiting::{Permit, Through, Ticket, Turn, Wanted, enter_any},
    },
    model::{Frame, Incarnation, Labels, Now, Outcome, Priority, Project, SessionId, Tick, Time},
};

/// Starts are counted over so long.
const MINUTE: Duration = Duration::from_secs(60);

/// A worker that asks, and how it is heard.
#[derive(Clone, Copy, Debug)]
pub enum Holder<'a> {
    /// On its stream.
    Stream(&'a Attachment),
    /// By unary calls, under a lease that each of them renews.
    Unary { project: &'a Project, worker: &'a str, incarnation: Incarnation, lease: Duration },
}

/// A session that wants a slot.
#[derive(Clone, Debug)]
pub struct Ask {
    pub id: SessionId,
    /// The models that it takes, in the order of preference; not empty.
    pub wanted: Wanted,
    pub priority: Priority,
    pub labels: Option<Box<Labels>>,
    /// Whether it waits when there is none.
    pub waits: bool,
    /// The chain that it is asked of, where it is by chain.
    pub of_chain: Option<Box<OfChain>>,
    /// The store does not answer: a model of which it would have to know more first is passed over.
    pub without_store: bool,
}

/// A slot that is held.
#[derive(Clone, Debug)]
pub struct Granted {
    pub meter: Arc<Meter>,
    /// Which of the models that were wanted it is; `None` for one that was held already and is none of them.
    pub nth: Option<usize>,
    /// It was held before it was asked for.
    pub again: bool,
    /// What the models before it say; not told after waiting.
    pub passed: Vec<Refused>,
    /// Why it is this model of its chain, as was told when it was granted; 0 where it was not asked for by chain.
    pub why: u8,
}

impl Ask {
    /// The model that it would rather have: what that does not give is unmet demand there.
    pub fn first(&self) -> &Arc<Meter> {
        self.of_chain.as_ref().map_or(&self.wanted[0], |of| &of.primary)
    }
}

/// What a worker is told.
#[must_use]
#[derive(Debug)]
pub enum Answer {
    Granted(Granted),
    /// The session has ended already.
    Ended,
    /// What each model that was wanted says.
    Refused(Vec<Refused>),
    /// It may wait for its turn, and ask again with the permit.
    Waits(Ticket),
    /// As many of its project wait as may.
    TooManyWait,
    /// The store must know first that more may be held on these levels; then it is to ask again.
    Raise(Vec<Arc<Tally>>),
    /// The store must know the worker first; then it is to ask again.
    Introduce,
    /// Its lease had ended, or the service waits for its snapshot: what it holds is to be told first.
    SnapshotFirst {
        lost: Option<u64>,
    },
    /// So many grants were sent that it has not heard of.
    Unheard,
}

/// What became of a slot that was given back.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenBack {
    Free,
    /// It had ended before.
    Ended,
    /// It is not held. It is remembered, so that its acquire, if it comes late, is not granted.
    NotHeld,
}

impl Live {
    /// A worker asks for a slot, the one that it was promised if it has waited. Also tells when (monotonic) its lease ends.
    ///
    /// # Errors
    /// When its stream was superseded, or a bound is reached.
    pub fn acquire(
        &self,
        holder: Holder<'_>,
        ask: &Ask,
        permit: Option<Permit>,
        now: Now,
    ) -> Result<(Answer, Time), Refusal> {
        match holder {
            Holder::Stream(stream) => {
                let mut book = stream.mine()?;
                let moment = self.moment(now);
                match Self::hears(&mut book, now) {
                    Heard::Expired { lost } => return Ok((Answer::SnapshotFirst { lost: Some(lost) }, book.deadline)),
                    Heard::Unsure => return Ok((Answer::SnapshotFirst { lost: None }, book.deadline)),
                    Heard::Well if book.unseen.is_full() => return Ok((Answer::Unheard, book.deadline)),
                    Heard::Well => {}
                }
                let answer = self.admit(&mut book, ask, permit, &moment)?;
                if matches!(&answer, Answer::Granted(granted) if !granted.again) {
                    book.unseen.sent(ask.id);
                }
                Ok((answer, book.deadline))
            }
            Holder::Unary { project, worker, incarnation, lease } => {
                let (answer, _, lease_end) = self.unary(project, worker, incarnation, lease, now, |book, moment| {
                    self.admit(book, ask, permit, moment)
                })?;
                Ok((answer, lease_end))
            }
        }
    }

    fn admit(
        &self,
        book: &mut Book,
        ask: &Ask,
        permit: Option<Permit>,
        moment: &Moment<'_>,
    ) -> Result<Answer, Refusal> {
        match book.asked(&ask.id) {
            Asked::Held(meter) => {
                let nth = ask.wanted.iter().position(|wanted| Arc::ptr_eq(wanted, &meter));
                let why = book.claims.get(&ask.id).map_or(0, |claim| claim.why);
                return Ok(Answer::Granted(Granted { meter, nth, again: true, passed: Vec::new(), why }));
            }
            Asked::Ended => return Ok(Answer::Ended),
            Asked::New => {}
        }
        if !book.is_known && ask.wanted.iter().any(|meter| meter.keeps_ceilings()) {
            return Ok(Answer::Introduce);
        }
        let counts = self.registry.project(&book.project);
        let most = self.bounds.sessions_per_project as u64;
        if counts.take_room(1, most) == 0 {
            return Err(Refusal::Bound(super::BoundReached { what: "sessions_per_project", most }));
        }
        let (nth, way, passed) = match permit {
            Some(permit) => (permit.nth, Way::Handed(permit), Vec::new()),
            None => match self.way_in(&book.project, ask, moment.now) {
                Ok((nth, entered, passed)) => (nth, Way::Entered(entered), passed),
                Err(answer) => {
                    counts.grow(-1);
                    return Ok(*answer);
                }
            },
        };
        let meter = &ask.wanted[nth];
        book.hold(ask.id, meter, ask.labels.clone(), moment);
        match way {
            Way::Entered(entered) => meter.commit(entered, Promise::Passing),
            Way::Handed(permit) => permit.used(),
        }
        if !Arc::ptr_eq(meter, ask.first()) {
            ask.first().count_diverted();
        }
        let claim = ask.of_chain.as_ref().map(|of| of.claim(nth, meter));
        let why = claim.as_ref().map_or(0, |claim| claim.why);
        book.claims.extend(claim.map(|claim| (ask.id, claim)));
        Ok(Answer::Granted(Granted { meter: meter.clone(), nth: Some(nth), again: false, passed, why }))
    }

    /// The promise of a slot, or what is to be said instead.
    fn way_in(&self, project: &Project, ask: &Ask, now: Now) -> Result<Through, Box<Answer>> {
        let entered = if ask.wanted.iter().any(|meter| meter.has_waiters()) {
            self.room.enter_in_turn(&ask.wanted, ask.priority, now)
        } else {
            enter_any(&ask.wanted, |meter| meter.enter(ask.priority, now))
        };
        let refused = match entered {
            Ok((nth, entered, passed)) => {
                // A fallback is no reason to leave a free slot of a model before it unused.
                let levels = bounded_by_ceilings(&ask.wanted, &passed);
                if levels.is_empty() || ask.without_store {
                    return Ok((nth, entered, passed));
                }
                ask.wanted[nth].leave(entered, Promise::Passing);
                return Err(Box::new(Answer::Raise(levels)));
            }
            Err(refused) => refused,
        };
        let levels = bounded_by_ceilings(&ask.wanted, &refused);
        if !levels.is_empty() {
            return Err(Box::new(Answer::Raise(levels)));
        }
        if !ask.waits {
            return Err(Box::new(self.refuse(ask, refused)));
        }
        if let Some(probe) = ask.of_chain.as_ref().and_then(|of| of.probe.as_ref()) {
            // Who waits tries nothing.
            probe.give_up();
        }
        let turn = ask.of_chain.as_ref().and_then(|of| of.turn);
        let most = self.bounds.waiting_per_project;
        match self.room.wait((project, most), &ask.wanted, ask.priority, turn, now) {
            Turn::Now(nth, entered) => Ok((nth, entered, Vec::new())),
            Turn::Wait(ticket) => Err(Box::new(Answer::Waits(ticket))),
            Turn::TooMany => {
                ask.first().count_refused();
                Err(Box::new(Answer::TooManyWait))
            }
        }
    }

    fn refuse(&self, ask: &Ask, refused: Vec<Refused>) -> Answer {
        ask.first().count_refused();
        Answer::Refused(refused)
    }

    /// A caller is turned away for a reason that is no level's.
    pub fn count_refused(&self, ask: &Ask) {
        self.count_refused_of(ask.first());
    }

    /// The same, of the model that it would rather have had.
    pub fn count_refused_of(&self, meter: &Meter) {
        meter.count_refused();
    }

    /// One that waited has given up; what its models say now. It counts as refused.
    pub fn give_up_waiting(&self, ask: &Ask, ticket: Ticket, now: Now) -> Vec<Refused> {
        drop(ticket);
        ask.first().count_refused();
        let says = |meter: &Arc<Meter>| match meter.enter(ask.priority, now) {
            Ok(entered) => {
                meter.leave(entered, Promise::Passing);
                None
            }
            Err(refused) => Some(refused),
        };
        ask.wanted.iter().filter_map(says).collect()
    }

    /// A worker gives a slot back. Also tells when (monotonic) its lease ends.
    ///
    /// # Errors
    /// When its stream was superseded, or the project has as many workers as it may.
    pub fn give_back(
        &self,
        holder: Holder<'_>,
        id: SessionId,
        outcome: Outcome,
        now: Now,
    ) -> Result<(GivenBack, Time), Refusal> {
        let free = |book: &mut Book, moment: &Moment<'_>| {
            if book.let_go(id, outcome, moment) {
                self.grow(&book.project, -1);
                return GivenBack::Free;
            }
            if let Asked::Ended = book.asked(&id) {
                return GivenBack::Ended;
            }
            book.forestall(id, outcome, moment);
            GivenBack::NotHeld
        };
        match holder {
            Holder::Stream(stream) => {
                let mut book = stream.mine()?;
                let moment = self.moment(now);
                let _heard = Self::hears(&mut book, now);
                Ok((free(&mut book, &moment), book.deadline))
            }
            Holder::Unary { project, worker, incarnation, lease } => {
                let (given, _, lease_end) =
                    self.unary(project, worker, incarnation, lease, now, |book, moment| Ok(free(book, moment)))?;
                Ok((given, lease_end))
            }
        }
    }

    /// Sets what the limits of a level are, and whether they are enforced. Who asks from then on is bound by it.
    pub fn set_rules(&self, tally: &Tally, rules: Rules, now: Now) {
        let is_needed = rules.slots_at(now.wall).is_some() || rules.starts_at(now.wall).is_some();
        if !is_needed && tally.scope().is_none() {
            return;
        }
        tally.scope_or(|| Scope::new(self.room.clone())).set_rules(rules, now.wall);
        self.serve_waiting(now);
    }

    /// Sets what the store knows may be held on a level.
    pub fn raise_ceiling(&self, tally: &Tally, to: u32, now: Now) {
        if let Some(scope) = tally.scope() {
            scope.gate.raise_ceiling(to);
            self.serve_waiting(now);
        }
    }

    /// No more than this may be held on a level without asking the store; returns what the store must know for that.
    pub fn lower_ceiling(&self, tally: &Tally, to: u32) -> Option<u32> {
        tally.scope().map(|scope| scope.gate.lower_ceiling(to, &tally.word))
    }

    /// What the store should know next of a level that asks for more: `step` slots more than are taken, and no more than its
    /// limit; `None` where nothing is limited.
    pub fn next_ceiling(&self, tally: &Tally, step: u32) -> Option<u32> {
        let scope = tally.scope()?;
        Some(scope.gate.taken(&tally.word).saturating_add(step.max(1)).min(scope.limit()?))
    }

    /// The store knew before a restart that so many may be held on a level.
    pub fn inherit_ceiling(&self, tally: &Tally, ceiling: u32) {
        let scope = tally.scope_or(|| Scope::new(self.room.clone()));
        if self.is_settling() {
            scope.gate.begin_learning(ceiling);
        }
        scope.gate.raise_ceiling(ceiling);
    }

    /// After a start: what was begun in the last minute before it, as far as the store knows, counts against what may be.
    pub fn recall_starts(&self, frames: &[Frame], now: Now) {
        let first = now.wall.before(MINUTE).tick().0;
        let limits_starts = |tally: &&Arc<Tally>| tally.scope().is_some_and(Scope::limits_starts);
        let limited: HashMap<u32, _> =
            self.registry.tallies().filter(limits_starts).map(|tally| (tally.id.0, tally.clone())).collect();
        for frame in frames.iter().filter(|frame| frame.tick >= first) {
            let begun = frame.entries.iter().filter(|entry| entry.opened > 0);
            for (tally, opened) in begun.filter_map(|entry| Some((limited.get(&entry.key)?, entry.opened))) {
                tally.scope().into_iter().for_each(|scope| scope.count_starts(Tick(frame.tick), opened));
            }
        }
    }

    pub(super) fn end_learning_of_gates(&self) {
        for scope in self.registry.tallies().filter_map(|tally| tally.scope()) {
            scope.gate.end_learning();
        }
        self.room.serve();
    }

    /// Hands what is free to those who wait, at this moment: limits may have changed, and a minute's starts be over.
    pub fn serve_waiting(&self, now: Now) {
        self.room.keep_time(now);
        self.room.serve();
    }

    /// Where callers wait.
    pub fn waiting_room(&self) -> &super::waiting::Room {
        &self.room
    }

    /// The store knows this worker: after a restart it is waited for.
    pub fn introduced(&self, project: &Project, incarnation: Incarnation) {
        if let Some(book) = self.books.get(&(project.clone(), incarnation)).map(|book| book.clone()) {
            super::sync::lock(&book).is_known = true;
        }
    }
}

/// How a slot came.
enum Way {
    Entered(Entered),
    Handed(Permit),
}

impl Scope {
    /// Most slots that may be held at all, if that is enforced.
    pub fn limit(&self) -> Option<u32> {
        Some(self.gate.limit()).filter(|limit| *limit != gate::NONE)
    }

    /// The same for one priority.
    pub fn most(&self, priority: Priority) -> Option<u32> {
        Some(self.gate.most(priority)).filter(|most| *most != gate::NONE)
    }
}
