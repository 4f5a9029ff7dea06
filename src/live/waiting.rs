//! The waiting room: callers that wait for a slot, first come, first served within a priority. Whoever frees a slot hands it
//! to the first who can take it, before anyone else may: while somebody waits, newcomers come through here too. Waiting is a
//! future of the standard library's; which task polls it is not known here. Where what is free is more than the store knows
//! may be held, a thread of the service is woken, which has the store know more: those who wait need not ask again for it.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, Waker},
    thread::Thread,
};

use crate::{
    live::{
        enter::{Entered, Refused, bounded_by_ceilings},
        gate::Promise,
        meter::{Meter, Tally},
        scope::Scope,
        sync::{AtomicU64, Mutex, Ordering, lock},
    },
    model::{KeyId, Now, Priority, Project, Time},
};

/// The models that a caller takes, in the order of preference; not empty.
pub type Wanted = Arc<[Arc<Meter>]>;

/// Callers that wait or were handed a slot and have not come for it, of all projects: a gate counts them in 16 bits.
const MOST_TICKETS: usize = 60_000;

/// Where callers wait.
#[derive(Debug, Default)]
pub struct Room {
    lines: Mutex<Lines>,
    /// The last moment that was told (wall, monotonic), in microseconds.
    now: [AtomicU64; 2],
    /// Who has the store know more.
    raiser: OnceLock<Thread>,
}

#[derive(Debug, Default)]
struct Lines {
    /// Who comes next has this number.
    next: u64,
    lines: Vec<Line>,
    waiting: HashMap<Project, usize>,
    /// Tickets that are not given back.
    tickets: usize,
    /// Levels of which the store must know more, so that those who wait can have what is free.
    short: Vec<Arc<Tally>>,
}

/// Those who wait for the same models.
#[derive(Debug)]
struct Line {
    wanted: Wanted,
    waiters: [VecDeque<Arc<Waiter>>; Priority::COUNT],
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    priority: Priority,
    project: Project,
    /// The levels that know that it waits.
    told: Vec<Arc<Tally>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Waiting,
    Polled(Waker),
    Handed(Permit),
    Taken,
}

/// A slot that is promised: of the nth of the models that were wanted. It is given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    pub nth: usize,
    pub(super) meter: Arc<Meter>,
    pub(super) entered: Entered,
    is_used: bool,
}

/// A place in a line. It ends with a permit; whoever drops it leaves.
#[derive(Debug)]
pub struct Ticket {
    room: Arc<Room>,
    wanted: Wanted,
    waiter: Arc<Waiter>,
}

/// What a caller who would wait is told.
#[derive(Debug)]
pub(super) enum Turn {
    /// It need not: there is a slot.
    Now(usize, Entered),
    Wait(Ticket),
    /// As many wait as may, of its project.
    TooMany,
}

impl Permit {
    /// The slot is held now, and its level raised.
    pub(super) fn used(mut self) {
        self.is_used = true;
        self.meter.commit(self.entered, Promise::Handed);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.is_used {
            self.meter.leave(self.entered, Promise::Handed);
        }
    }
}

impl Room {
    /// Says what time it is, for those who free a slot and don't know.
    pub fn keep_time(&self, now: Now) {
        self.now[0].fetch_max(now.wall.0, Ordering::AcqRel);
        self.now[1].fetch_max(now.mono.0, Ordering::AcqRel);
    }

    fn now(&self) -> Now {
        let [wall, mono] = [0, 1].map(|nth: usize| Time(self.now[nth].load(Ordering::Acquire)));
        Now { wall, mono }
    }

    /// Hands what is free to those who wait.
    pub fn serve(&self) {
        let mut wakers = Vec::new();
        self.serve_locked(&mut lock(&self.lines), &mut wakers);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn serve_locked(&self, lines: &mut Lines, wakers: &mut Vec<Waker>) {
        let now = self.now();
        while let Some(served) = lines.serve_one(now) {
            served.told.iter().filter_map(|tally| tally.scope()).for_each(|scope| scope.gate.end_waiting());
            lines.count_out(&served.project);
            wakers.extend(served.waker);
        }
        self.wake_raiser(lines);
    }

    fn wake_raiser(&self, lines: &Lines) {
        if !lines.short.is_empty()
            && let Some(raiser) = self.raiser.get()
        {
            raiser.unpark();
        }
    }

    /// This thread is woken when those who wait could have more than the store knows: see [`Self::take_short`].
    pub fn set_raiser(&self, thread: Thread) {
        // There is one: another would do the same.
        let _set = self.raiser.set(thread);
    }

    /// The levels of which the store must know more for those who wait.
    pub fn take_short(&self) -> Vec<Arc<Tally>> {
        std::mem::take(&mut lock(&self.lines).short)
    }

    /// A slot for a newcomer, behind those who wait and could take it.
    ///
    /// # Errors
    /// What each model says.
    pub(super) fn enter_in_turn(
        &self,
        wanted: &[Arc<Meter>],
        priority: Priority,
        now: Now,
    ) -> Result<Through, Vec<Refused>> {
        self.keep_time(now);
        let mut wakers = Vec::new();
        let mut lines = lock(&self.lines);
        self.serve_locked(&mut lines, &mut wakers);
        let entered = enter_any(wanted, |meter| meter.enter_settled(priority, now));
        drop(lines);
        wakers.into_iter().for_each(Waker::wake);
        entered
    }

    /// Takes a place in the line, of at most `most` of a project: the one of its turn, or the last.
    pub(super) fn wait(
        self: &Arc<Self>,
        (project, most): (&Project, usize),
        wanted: &Wanted,
        priority: Priority,
        turn: Option<u64>,
        now: Now,
    ) -> Turn {
        self.keep_time(now);
        let mut wakers = Vec::new();
        let mut lines = lock(&self.lines);
        let waiting = lines.waiting.get(project).copied().unwrap_or(0);
        if waiting >= most || lines.tickets >= MOST_TICKETS {
            return Turn::TooMany;
        }
        // First said, then looked: who frees a slot from here on sees that somebody waits. Also on levels without a limit: one
        // may be set meanwhile.
        let told: Vec<Arc<Tally>> = wanted.iter().flat_map(|meter| meter.scopes()).cloned().collect();
        let told_gates = || told.iter().map(|tally| tally.scope_or(|| Scope::new(self.clone())));
        told_gates().for_each(|scope| scope.gate.begin_waiting());
        self.serve_locked(&mut lines, &mut wakers);
        let turn = match enter_any(wanted, |meter| meter.enter_settled(priority, now)) {
            Ok((nth, entered, _)) => {
                told_gates().for_each(|scope| scope.gate.end_waiting());
                Turn::Now(nth, entered)
            }
            Err(refused) => {
                lines.are_short(wanted, &refused);
                let number = turn.unwrap_or(lines.next);
                lines.next = lines.next.max(number + 1);
                lines.tickets += 1;
                let state = Mutex::new(State::Waiting);
                let waiter = Arc::new(Waiter { number, priority, project: project.clone(), told, state });
                *lines.waiting.entry(project.clone()).or_default() += 1;
                let waiters = &mut lines.line(wanted).waiters[priority.rank()];
                waiters.insert(waiters.partition_point(|other| other.number < number), waiter.clone());
                self.wake_raiser(&lines);
                Turn::Wait(Ticket { room: self.clone(), wanted: wanted.clone(), waiter })
            }
        };
        drop(lines);
        wakers.into_iter().for_each(Waker::wake);
        turn
    }

    /// How many wait for these models, of this priority and those before it.
    pub fn ahead(&self, wanted: &[Arc<Meter>], priority: Priority) -> usize {
        let lines = lock(&self.lines);
        let shared =
            |line: &&Line| line.wanted.iter().any(|meter| wanted.iter().any(|other| Arc::ptr_eq(meter, other)));
        let counts = lines.lines.iter().filter(shared).flat_map(|line| &line.waiters[..=priority.rank()]);
        counts.map(VecDeque::len).sum()
    }

    /// How many wait, in each project where some do.
    pub fn waiting(&self) -> Vec<(Project, usize)> {
        lock(&self.lines).waiting.iter().map(|(project, waiting)| (project.clone(), *waiting)).collect()
    }
}

/// The first of the models that has room, what it promised, and what those before it say.
pub(super) type Through = (usize, Entered, Vec<Refused>);

pub(super) fn enter_any(
    wanted: &[Arc<Meter>],
    enter: impl Fn(&Meter) -> Result<Entered, Refused>,
) -> Result<Through, Vec<Refused>> {
    let mut refused = Vec::new();
    for (nth, meter) in wanted.iter().enumerate() {
        match enter(meter) {
            Ok(entered) => return Ok((nth, entered, refused)),
            Err(says) => refused.push(says),
        }
    }
    Err(refused)
}

/// One who was handed a slot.
struct Served {
    told: Vec<Arc<Tally>>,
    project: Project,
    waker: Option<Waker>,
}

impl Lines {
    fn line(&mut self, wanted: &Wanted) -> &mut Line {
        let ids = |wanted: &Wanted| wanted.iter().map(|meter| meter.tally.id).collect::<Vec<KeyId>>();
        let same = |line: &Line| Arc::ptr_eq(&line.wanted, wanted) || ids(&line.wanted) == ids(wanted);
        let at = self.lines.iter().position(same).unwrap_or_else(|| {
            self.lines.push(Line { wanted: wanted.clone(), waiters: Default::default() });
            self.lines.len() - 1
        });
        &mut self.lines[at]
    }

    fn are_short(&mut self, wanted: &[Arc<Meter>], refused: &[Refused]) {
        for level in bounded_by_ceilings(wanted, refused) {
            if !self.short.iter().any(|known| Arc::ptr_eq(known, &level)) {
                self.short.push(level);
            }
        }
    }

    fn count_out(&mut self, project: &Project) {
        if let Some(waiting) = self.waiting.get_mut(project) {
            *waiting -= 1;
            if *waiting == 0 {
                self.waiting.remove(project);
            }
        }
        self.lines.retain(|line| line.waiters.iter().any(|waiters| !waiters.is_empty()));
    }

    /// Hands a slot to the first of all who can take one. In a line, nobody behind the first can.
    fn serve_one(&mut self, now: Now) -> Option<Served> {
        let first =
            |line: &Line| line.waiters.iter().find_map(|waiters| waiters.front()).map(|w| (w.priority, w.number));
        let mut heads: Vec<_> =
            self.lines.iter().enumerate().filter_map(|(at, line)| Some((first(line)?, at))).collect();
        heads.sort_unstable();
        for ((priority, _), at) in heads {
            let wanted = self.lines[at].wanted.clone();
            let (nth, entered) = match enter_any(&wanted, |meter| meter.enter_settled(priority, now)) {
                Ok((nth, entered, _)) => (nth, entered),
                Err(refused) => {
                    self.are_short(&wanted, &refused);
                    continue;
                }
            };
            let line = &mut self.lines[at];
            let meter = line.wanted[nth].clone();
            meter.hand(entered);
            let waiter = line.waiters[priority.rank()].pop_front()?;
            let permit = Permit { nth, meter, entered, is_used: false };
            let waker = match std::mem::replace(&mut *lock(&waiter.state), State::Handed(permit)) {
                State::Polled(waker) => Some(waker),
                _ => None,
            };
            return Some(Served { told: waiter.told.clone(), project: waiter.project.clone(), waker });
        }
        None
    }
}

impl Ticket {
    /// The slot, if it was handed over.
    pub fn take(&self) -> Option<Permit> {
        let mut state = lock(&self.waiter.state);
        match std::mem::replace(&mut *state, State::Taken) {
            State::Handed(permit) => Some(permit),
            other => {
                *state = other;
                None
            }
        }
    }

    /// The models that it waits for.
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Its number among all who wait.
    pub fn number(&self) -> u64 {
        self.waiter.number
    }
}

impl Future for Ticket {
    type Output = Permit;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Permit> {
        if let Some(permit) = self.take() {
            return Poll::Ready(permit);
        }
        let mut state = lock(&self.waiter.state);
        if matches!(*state, State::Handed(_)) {
            drop(state);
            return self.take().map_or(Poll::Pending, Poll::Ready);
        }
        *state = State::Polled(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut lines = lock(&self.room.lines);
        lines.tickets -= 1;
        let waiters = &mut lines.line(&self.wanted).waiters[self.waiter.priority.rank()];
        if let Ok(at) = waiters.binary_search_by_key(&self.waiter.number, |waiter| waiter.number) {
            waiters.remove(at);
            self.waiter.told.iter().filter_map(|tally| tally.scope()).for_each(|scope| scope.gate.end_waiting());
            lines.count_out(&self.waiter.project);
        } else {
            lines.lines.retain(|line| line.waiters.iter().any(|waiters| !waiters.is_empty()));
        }
        drop(lines);
        // What was handed over meanwhile goes to the next; not with the room locked, since that serves.
        let state = std::mem::replace(&mut *lock(&self.waiter.state), State::Taken);
        drop(state);
    }
}
