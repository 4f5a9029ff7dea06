//! A session's way in: through the meter, the pool of its kind and the pool of its model, all of them or none. Nothing here
//! moves a level.

use std::{sync::Arc, time::Duration};

use crate::{
    live::{
        gate::{self, Gate, Promise, Step},
        meter::{Meter, Tally},
        scope::Scope,
        sync::yield_now,
        word::MeterWord,
    },
    model::{Now, Priority, Tick},
};

/// How often a try is made anew while others are on their way through: a moment of theirs is no reason to refuse.
#[cfg(not(feature = "loom"))]
const TRIES: u32 = 1_000;
#[cfg(feature = "loom")]
const TRIES: u32 = 6;
/// The same while what is left was handed to waiters: they take it when their turn comes, which may be on this thread.
const TRIES_WHILE_HANDED: u32 = 4;

/// Levels that a session counts in: its meter, the pool of its kind, the pool of its model.
pub const SCOPES: usize = 3;

/// The promises that a session has been given, a bit for each of its levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Entered {
    gates: u8,
    starts: [Option<Tick>; SCOPES],
}

/// Why there is no slot: which level refuses, by its place among [`Meter::scopes`], and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    pub scope: usize,
    pub why: Why,
}

/// What a level says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// So many slots are held or promised, of the most for this priority, and of the limit for all.
    Slots { held: u32, most: u32, limit: u32 },
    /// As many sessions as may be were started in the last minute; in so long there is room.
    Starts { most: u32, room_in: Duration },
    /// The service was restarted, and so many slots may be held by workers that have not returned.
    Settling { held: u32, most: u32 },
    /// More may be held only when the store knows of it.
    Ceiling,
}

/// The levels of which the store would have to know more, of what some of the models said.
pub(super) fn bounded_by_ceilings(wanted: &[Arc<Meter>], refused: &[Refused]) -> Vec<Arc<Tally>> {
    let bounded = wanted.iter().zip(refused).filter(|(_, says)| says.why == Why::Ceiling);
    bounded.map(|(meter, says)| meter.scopes()[says.scope].clone()).collect()
}

/// What a try comes to when it is no more than busy.
enum Failed {
    Refused(Refused),
    Busy { handed: bool, as_refused: Refused },
}

type Try = fn(&Gate, &MeterWord, Priority) -> Step;

impl Meter {
    /// The levels that its sessions count in, in the order in which they are entered: the same for all.
    pub fn scopes(&self) -> [&Arc<Tally>; SCOPES] {
        [&self.tally, &self.pools[0], &self.pools[1]]
    }

    /// What the first of its levels says of which no slot can be given to one of this priority; `None` when all have some.
    pub fn is_full(&self, priority: Priority) -> Option<Refused> {
        self.enforced().find_map(|(nth, tally, scope)| {
            let (held, most) = (tally.word.level(), scope.most(priority)?);
            let why = Why::Slots { held, most, limit: scope.gate.limit() };
            (held >= most).then_some(Refused { scope: nth, why })
        })
    }

    fn enforced(&self) -> impl Iterator<Item = (usize, &Tally, &Scope)> {
        let scopes = self.scopes().into_iter().enumerate();
        scopes.filter_map(|(nth, tally)| Some((nth, &**tally, tally.scope()?)))
    }

    /// Whether somebody waits at one of its levels.
    pub(super) fn has_waiters(&self) -> bool {
        self.enforced().any(|(_, _, scope)| scope.gate.has_waiters())
    }

    /// Whether the store must know of what is given here.
    pub(super) fn keeps_ceilings(&self) -> bool {
        self.enforced().any(|(_, _, scope)| scope.enforces() && scope.ceiling().is_some())
    }

    /// Asks every level for a slot.
    ///
    /// # Errors
    /// What the first level says that has none. Nothing is promised then.
    pub(super) fn enter(&self, priority: Priority, now: Now) -> Result<Entered, Refused> {
        let entered = self.enter_by(Gate::enter, priority, now);
        if entered.is_err() && self.has_waiters() {
            // Some waiter may have found no room for what was promised here for a moment.
            self.serve_waiters();
        }
        entered
    }

    /// The same for those who have said that they wait, with the waiting room locked.
    pub(super) fn enter_settled(&self, priority: Priority, now: Now) -> Result<Entered, Refused> {
        self.enter_by(Gate::enter_settled, priority, now)
    }

    fn enter_by(&self, step: Try, priority: Priority, now: Now) -> Result<Entered, Refused> {
        let mut tries = 0;
        loop {
            match self.try_enter(step, priority, now) {
                Ok(entered) => return Ok(entered),
                Err(Failed::Refused(refused)) => return Err(refused),
                Err(Failed::Busy { handed, as_refused }) => {
                    tries += 1;
                    if tries >= if handed { TRIES_WHILE_HANDED } else { TRIES } {
                        return Err(as_refused);
                    }
                    yield_now();
                }
            }
        }
    }

    fn try_enter(&self, step: Try, priority: Priority, now: Now) -> Result<Entered, Failed> {
        let mut entered = Entered::default();
        let mut limits_starts = false;
        for (nth, tally, scope) in self.enforced() {
            scope.keep_time(now);
            limits_starts |= scope.limits_starts();
            let limit = scope.gate.limit();
            if limit == gate::NONE {
                continue;
            }
            let refused = |why| Refused { scope: nth, why };
            let failed = match step(&scope.gate, &tally.word, priority) {
                Step::Entered => {
                    entered.gates |= 1 << nth;
                    continue;
                }
                Step::Busy { held, most, handed } => {
                    Failed::Busy { handed, as_refused: refused(Why::Slots { held, most, limit }) }
                }
                Step::Full { held, most } => Failed::Refused(refused(Why::Slots { held, most, limit })),
                Step::Settling { held, most } => Failed::Refused(refused(Why::Settling { held, most })),
                Step::Ceiling => Failed::Refused(refused(Why::Ceiling)),
            };
            self.withdraw(entered, Promise::Passing);
            return Err(failed);
        }
        if limits_starts {
            self.start(&mut entered, now)?;
        }
        Ok(entered)
    }

    /// Counts a start at each level that limits them; what was entered is given back when one refuses.
    fn start(&self, entered: &mut Entered, now: Now) -> Result<(), Failed> {
        for (nth, _, scope) in self.enforced().filter(|(_, _, scope)| scope.limits_starts()) {
            match scope.start(now.wall.tick()) {
                Ok(tick) => entered.starts[nth] = Some(tick),
                Err((most, room_in)) => {
                    self.withdraw(*entered, Promise::Passing);
                    return Err(Failed::Refused(Refused { scope: nth, why: Why::Starts { most, room_in } }));
                }
            }
        }
        Ok(())
    }

    /// The promises are levels now, which were raised before. Waiters that did not see that are served.
    pub(super) fn commit(&self, entered: Entered, promise: Promise) {
        if self.end_promises(entered, |gate| gate.commit(promise)) {
            self.serve_waiters();
        }
    }

    /// The promises are given back, and the starts.
    pub(super) fn leave(&self, entered: Entered, promise: Promise) {
        if self.withdraw(entered, promise) {
            self.serve_waiters();
        }
    }

    /// The same; returns whether there are waiters to be served.
    fn withdraw(&self, entered: Entered, promise: Promise) -> bool {
        for (nth, _, scope) in self.enforced() {
            if let Some(tick) = entered.starts[nth] {
                scope.give_back_start(tick);
            }
        }
        self.end_promises(entered, |gate| gate.leave(promise)) || self.has_waiters()
    }

    fn end_promises(&self, entered: Entered, end: impl Fn(&Gate) -> bool) -> bool {
        let mut waits = false;
        for (nth, _, scope) in self.enforced() {
            waits |= entered.gates & 1 << nth != 0 && end(&scope.gate);
        }
        waits
    }

    fn serve_waiters(&self) {
        if let Some((_, _, scope)) = self.enforced().next() {
            scope.room.serve();
        }
    }

    /// The promises pass to a waiter.
    pub(super) fn hand(&self, entered: Entered) {
        for (nth, _, scope) in self.enforced() {
            if entered.gates & 1 << nth != 0 {
                scope.gate.hand();
            }
        }
    }
}
