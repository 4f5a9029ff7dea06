//! Connects and disconnects, applied to a worker's book.

use std::{hint::black_box, sync::Arc, time::Duration};

use crate::{
    live::{
        book::{Book, Departed, Link},
        ends,
        left_out::Room,
        meter::Meter,
        moves::Moves,
        places::{Keep, Known},
        record::{Held, Record},
    },
    model::{Bounds, Labels, Now, Outcome, SessionId, Tick, Time, counts::Bucket},
};

/// Events of a batch from which on it is worth while to look at all places first.
const LEAST_TOUCHED: usize = 8;

/// What a worker says of one session.
#[derive(Clone, Debug)]
pub enum Event {
    /// It began to hold a slot, so long ago.
    Open { id: SessionId, meter: Arc<Meter>, age: Duration, labels: Option<Box<Labels>> },
    /// It ended, so long ago; the meter lets an end that overtakes its beginning be counted.
    Close { id: SessionId, outcome: Outcome, age: Duration, meter: Option<Arc<Meter>> },
}

/// The same with the meter lent: what a batch is decoded to, since counting who holds a meter would cost as much as
/// moving its level.
#[derive(Debug)]
pub enum Said<'m> {
    Open { id: SessionId, meter: &'m Arc<Meter>, age: Duration, labels: Option<Box<Labels>> },
    Close { id: SessionId, outcome: Outcome, age: Duration, meter: Option<&'m Arc<Meter>> },
}

impl Said<'_> {
    /// The same, for who keeps it.
    pub fn to_event(&self) -> Event {
        match self {
            Self::Open { id, meter, age, labels } => {
                Event::Open { id: *id, meter: Arc::clone(meter), age: *age, labels: labels.clone() }
            }
            Self::Close { id, outcome, age, meter } => {
                Event::Close { id: *id, outcome: *outcome, age: *age, meter: meter.cloned() }
            }
        }
    }
}

/// What can be applied. Said once, it has no labels any more.
pub trait Told {
    fn said(&mut self) -> Said<'_>;

    fn is_open(&self) -> bool;

    fn id(&self) -> SessionId;
}

impl Told for Event {
    fn said(&mut self) -> Said<'_> {
        match self {
            Self::Open { id, meter, age, labels } => Said::Open { id: *id, meter, age: *age, labels: labels.take() },
            Self::Close { id, outcome, age, meter } => {
                Said::Close { id: *id, outcome: *outcome, age: *age, meter: meter.as_ref() }
            }
        }
    }

    fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }

    fn id(&self) -> SessionId {
        match self {
            Self::Open { id, .. } | Self::Close { id, .. } => *id,
        }
    }
}

impl Told for Said<'_> {
    fn said(&mut self) -> Said<'_> {
        match self {
            Self::Open { id, meter, age, labels } => Said::Open { id: *id, meter, age: *age, labels: labels.take() },
            Self::Close { id, outcome, age, meter } => {
                Said::Close { id: *id, outcome: *outcome, age: *age, meter: *meter }
            }
        }
    }

    fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }

    fn id(&self) -> SessionId {
        match self {
            Self::Open { id, .. } | Self::Close { id, .. } => *id,
        }
    }
}

/// How many events of a batch changed something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    pub changed: u32,
    pub duplicates: u32,
    /// Sessions that began and are not counted, since the project has as many as it may.
    pub left_out: u32,
    /// A report began a lease: the service knew nothing of the incarnation, or had given it up.
    pub new_lease: bool,
    /// Sessions that were opened less those that were closed.
    pub grown: i64,
}

/// When an event happened, as it is counted.
#[derive(Clone, Copy, Debug)]
struct When {
    /// Wall clock.
    at: Time,
    /// Old enough that history before the current second must change.
    late: bool,
    /// Too old for that.
    dropped: bool,
}

/// The moment of a batch, and what bounds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment<'a> {
    pub now: Now,
    /// The current second: that of the clock, or the last rolled one if the clock went back.
    pub tick: Tick,
    pub bounds: &'a Bounds,
    /// In learning mode: the first second that history does not hold.
    pub down_from: Option<Tick>,
}

/// Events on their way into a book.
struct Course<'a> {
    moment: &'a Moment<'a>,
    moves: Moves,
    room: Room<'a>,
    grown: i64,
    left_out: u32,
}

impl When {
    const fn is_now(self) -> bool {
        !self.late && !self.dropped
    }
}

impl Moment<'_> {
    fn when(&self, age: Duration) -> When {
        let late = age > self.bounds.late_after;
        let dropped = age > self.bounds.late_until;
        let at = if late { self.now.wall.before(age) } else { self.now.wall };
        When { at, late: late && !dropped, dropped }
    }

    /// How ends are remembered.
    const fn keep(&self) -> Keep {
        Keep::of(self.now, self.bounds)
    }

    /// The last second in which a session that closes now still counts.
    fn last_tick(&self) -> Tick {
        self.now.wall.tick_before()
    }
}

impl Book {
    /// Applies events in order; opens that find no room are left out. Whatever was known before, a repeated one changes
    /// nothing.
    pub(super) fn apply_all(&mut self, events: &mut [impl Told], moment: &Moment<'_>, room: Room<'_>) -> Applied {
        self.touch(events);
        let mut applied = Applied::default();
        let mut course = Course {
            moment,
            moves: Moves::with_room(&self.worker, events.len(), moment.tick),
            room,
            grown: 0,
            left_out: 0,
        };
        for event in events {
            let before = course.left_out;
            let changed = match event.said() {
                Said::Open { id, meter, age, labels } => self.open(id, meter, age, labels, &mut course),
                Said::Close { id, outcome, age, meter } => self.close(id, outcome, age, meter, &mut course),
            };
            applied.changed += u32::from(changed);
            applied.duplicates += u32::from(!changed && course.left_out == before);
        }
        course.moves.flush(&self.declared);
        Applied { grown: course.grown, left_out: course.left_out, ..applied }
    }

    /// Looks at the places of all events before the first is applied: a fleet's records are not in the processor's caches,
    /// and it fetches many at once when nothing depends on them.
    fn touch(&self, events: &[impl Told]) {
        if events.len() >= LEAST_TOUCHED {
            black_box(events.iter().filter(|event| self.places.is_at_home(&event.id())).count());
        }
    }

    fn open(
        &mut self,
        id: SessionId,
        meter: &Arc<Meter>,
        age: Duration,
        labels: Option<Box<Labels>>,
        course: &mut Course<'_>,
    ) -> bool {
        let Course { moment, moves, room, grown, left_out } = course;
        match self.places.known(&id) {
            Known::Held(record) => {
                let (was_restored, slot) = (record.account(), record.slot());
                if was_restored {
                    // The connect was not in the history before the restart: it is counted now, and nothing is inherited.
                    moves.count_opened(&self.declared, slot);
                }
                return was_restored;
            }
            Known::Ended => return false,
            Known::Not => {}
        }
        if self.departed.contains_key(&id) {
            return false;
        }
        if let Some((outcome, ended)) = self.early_ends.take(&id) {
            let when = moment.when(age);
            let slot = self.declare(meter);
            if when.late {
                meter.count_late(when.at.tick(), ended.tick_before().next(), 1);
            } else if when.dropped {
                meter.count_late_dropped();
            } else {
                moves.pulse(&self.declared, slot, moment.tick);
            }
            moves.count_opened(&self.declared, slot);
            let lasted = Bucket::of(ended.millis_since(when.at));
            moves.count_closed(&self.declared, slot, (outcome, when.is_now()), lasted);
            self.places.bury(id, moment.keep());
            return true;
        }
        if !room.take() {
            *left_out += 1;
            // Who has no stream is told so, and says it again; nothing compares what it holds.
            if self.link == Link::Stream {
                self.leave_out(id, meter, room);
            }
            return false;
        }
        let when = moment.when(age);
        let began = moment.now.wall.before(age).tick();
        let held_until = self.held_until(moment).filter(|until| age > moment.bounds.late_after && began <= *until);
        if when.dropped && held_until.is_none() {
            meter.count_late_dropped();
        }
        let counted_from = held_until.unwrap_or(if when.late { began } else { moment.tick }).min(moment.tick);
        let restored = held_until.and(moment.down_from).is_some_and(|down_from| began <= down_from);
        meter.count_late(counted_from, moment.tick, 1);
        let slot = self.declare(meter);
        if !restored {
            moves.count_opened(&self.declared, slot);
        }
        let record = Record::new(slot, moment.now.wall.before(age), counted_from, labels, restored);
        self.insert(id, record, moment.tick, moves);
        *grown += 1;
        true
    }

    /// A worker without a stream reports again what is live, after a restart or when its lease ended: history holds what
    /// began before this second up to it.
    fn held_until(&self, moment: &Moment<'_>) -> Option<Tick> {
        let lease_ended = self.expired.map(|expired| expired.first_without);
        lease_ended.max(moment.down_from).filter(|_| self.link == Link::Unary)
    }

    fn close(
        &mut self,
        id: SessionId,
        outcome: Outcome,
        age: Duration,
        meter: Option<&Arc<Meter>>,
        course: &mut Course<'_>,
    ) -> bool {
        let Course { moment, moves, room, grown, .. } = course;
        let when = moment.when(age);
        if let Some(record) = self.end(id, moment.last_tick(), moment.keep(), moves) {
            *grown -= 1;
            room.give();
            self.settle(&record, (outcome, when.is_now()), when.at, moves);
            self.unclaim(&id, Some(outcome));
            if when.late || when.dropped {
                flag_late(self.meter(&record), record.counted_from(), when, moment.tick);
            }
            return true;
        }
        if let Some(Departed { held, left, .. }) = self.departed.remove(&id) {
            finish(&held, outcome, when, left);
            if when.is_now() {
                held.meter.ends.end(ends::place(&self.worker), outcome, held.meter.tally.word.level());
            }
            self.places.bury(id, moment.keep());
            return true;
        }
        if matches!(self.places.known(&id), Known::Ended) || self.early_ends.has(&id) {
            return false;
        }
        if self.end_left_out(id) {
            self.places.bury(id, moment.keep());
            return true;
        }
        if let (Some(down_from), Some(meter)) = (moment.down_from, meter) {
            // It ended while the service was down: history held it up to then. When it began is not known.
            meter.count_late(down_from, when.at.tick_before().next().min(moment.tick), 1);
            meter.account_inherited();
            meter.count_unmeasured(outcome, 1);
            self.places.bury(id, moment.keep());
            return true;
        }
        self.early_ends.put(id, outcome, when.at, moment.keep());
        false
    }

    /// Gives up waiting for the outcomes of all sessions that snapshots no longer named.
    pub(super) fn give_up_departed(&mut self, moment: &Moment<'_>) {
        for (id, departed) in std::mem::take(&mut self.departed) {
            departed.held.settle(Outcome::Lost, departed.left.next().start());
            self.places.bury(id, moment.keep());
        }
    }

    /// Gives up waiting for the outcomes of sessions that a snapshot no longer named, those whose time is over.
    pub(super) fn settle_departed(&mut self, now: Now, bounds: &Bounds) {
        if self.departed.is_empty() {
            return;
        }
        let over: Vec<_> = self.departed.iter().filter(|(_, d)| d.until <= now.mono).map(|(id, _)| *id).collect();
        for id in over {
            if let Some(departed) = self.departed.remove(&id) {
                departed.held.settle(Outcome::Lost, departed.left.next().start());
                self.places.bury(id, Keep::of(now, bounds));
            }
        }
    }
}

/// Counts the end of a session that had left the level in tick `left`.
fn finish(held: &Held, outcome: Outcome, when: When, left: Tick) {
    held.settle(outcome, when.at);
    flag_late(&held.meter, held.counted_from, when, left);
}

/// A session whose level went down in tick `left` was over before: the seconds since then are lowered.
fn flag_late(meter: &Meter, counted_from: Tick, when: When, left: Tick) {
    if when.late {
        let first_without = when.at.tick_before().next().max(counted_from);
        meter.count_late(first_without, left, -1);
    } else if when.dropped {
        meter.count_late_dropped();
    }
}
