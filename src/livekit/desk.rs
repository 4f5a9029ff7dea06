//! All that LiveKit says of one project: its events, each taken once, and its lists.

use std::time::Duration;

use crate::{
    live::Live,
    livekit::{
        counts::{Counts, add},
        known::{Answer, Known},
        seat::{Seat, SeatError},
        seen::Seen,
        thing::{List, Said, age},
        wire::WebhookEvent,
    },
    model::{Now, Project, Time},
};

/// How often it is looked at what nothing was heard of for long.
const EXPIRE_EVERY: Duration = Duration::from_secs(10);

/// How a project's desk works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeskSettings {
    /// How long all that is known counts when LiveKit is not heard any more; `None` where its lists are never read, since
    /// silence then says nothing.
    pub lease: Option<Duration>,
    /// How long one thing counts of which nothing is heard, and no list says that it is there.
    pub expire_after: Duration,
}

/// One project.
#[derive(Debug)]
pub struct Desk {
    settings: DeskSettings,
    seen: Seen,
    lists: [OneList; 3],
    next_expiry: Time,
}

#[derive(Debug)]
struct OneList {
    known: Known,
    seat: Seat,
    /// The last reading of it failed.
    has_failed: bool,
}

impl OneList {
    /// When nothing was heard of LiveKit for the lease, all is lost: what it says from now on is all that is known.
    fn lose(&mut self, live: &Live, now: Now) {
        if self.seat.has_lost(live, now) {
            self.known.lose_all();
            self.has_failed = true;
        }
    }
}

impl Desk {
    pub fn new(project: &Project, settings: DeskSettings) -> Self {
        let lease = settings.lease.unwrap_or(Duration::MAX);
        let list = |list| OneList { known: Known::default(), seat: Seat::new(project, list, lease), has_failed: false };
        Self { settings, seen: Seen::default(), lists: List::ALL.map(list), next_expiry: Time(0) }
    }

    fn list(&mut self, list: List) -> &mut OneList {
        &mut self.lists[list as usize]
    }

    /// Takes an event that was signed, in a token that was `made` then (seconds, by the sender's clock); returns whether it
    /// was not taken before.
    ///
    /// # Errors
    /// When a bound of the project is reached. It may be sent again.
    pub fn event(
        &mut self,
        live: &Live,
        event: &WebhookEvent,
        made: Option<u64>,
        now: Now,
        counts: &Counts,
    ) -> Result<bool, SeatError> {
        if self.seen.has(&event.id) {
            add(&counts.repeated, 1);
            return Ok(false);
        }
        add(&counts.events, 1);
        add(&counts.given_up, event.num_dropped.max(0).unsigned_abs());
        let age = age(event.created_at, made, now.wall);
        self.lists.iter_mut().for_each(|list| list.lose(live, now));
        let (list, changes) = match Said::of(event) {
            Said::Began(list, thing) => (list, self.list(list).known.began(thing, age, now, counts)),
            Said::Ended(list, thing, outcome) => {
                let created = u64::try_from(event.created_at).ok().filter(|created| *created > 0).map(Time::from_secs);
                let lasted = created.zip(thing.began).map(|(created, began)| created.since(began));
                let change = self.list(list).known.ended(thing, outcome, age, lasted, now, counts);
                (list, change.into_iter().collect())
            }
            Said::RoomEnded { room_id } => {
                (List::Participants, self.list(List::Participants).known.room_ended(&room_id, age, now))
            }
            Said::RoomLives { room_id } => {
                self.list(List::Participants).known.room_lives(&room_id, now);
                (List::Participants, Vec::new())
            }
            Said::Nothing => {
                add(&counts.passed_over, 1);
                self.seen.put(&event.id);
                return Ok(true);
            }
        };
        let OneList { known, seat, .. } = self.list(list);
        let done = seat.apply(live, known, changes, now);
        match done {
            Ok(()) => self.seen.put(&event.id),
            Err(_) => add(&counts.refused, 1),
        }
        self.settle(live, now).and(done).map(|()| true)
    }

    /// Rooms that are to be asked for beside those that LiveKit lists: something is known in them.
    pub fn rooms(&self) -> Vec<Box<str>> {
        self.lists[List::Participants as usize].known.rooms().into_iter().collect()
    }

    /// A list was read: all of it (`is_whole`), or as much as answered.
    ///
    /// # Errors
    /// When a bound of the project is reached.
    pub fn listed(
        &mut self,
        live: &Live,
        list: List,
        answers: &[Answer],
        is_whole: bool,
        now: Now,
        counts: &Counts,
    ) -> Result<(), SeatError> {
        self.list(list).lose(live, now);
        let OneList { known, seat, has_failed } = self.list(list);
        let changes = known.listed(answers, now, counts);
        *has_failed = !is_whole;
        if is_whole && !seat.is_heard() {
            return seat.sync(live, known, true, now);
        }
        if !is_whole {
            seat.cut(live);
        }
        let all = known.len();
        let mut done = seat.apply(live, known, changes, now);
        if done.is_ok() && is_whole && seat.may_come_in(live) {
            done = seat.sync(live, known, true, now);
        }
        if done.is_err() {
            add(&counts.refused, all.saturating_sub(known.len()) as u64);
        }
        done
    }

    /// A list could not be read.
    pub fn unread(&mut self, live: &Live, list: List) {
        let list = self.list(list);
        list.has_failed = true;
        list.seat.cut(live);
    }

    /// What is due without a word from LiveKit. Call it about once a second.
    ///
    /// # Errors
    /// When a bound of the project is reached.
    pub fn tick(&mut self, live: &Live, now: Now, counts: &Counts) -> Result<(), SeatError> {
        self.settle(live, now)?;
        if now.mono < self.next_expiry {
            return Ok(());
        }
        self.next_expiry = now.mono.after(EXPIRE_EVERY);
        let after = self.settings.expire_after;
        for OneList { known, seat, .. } in &mut self.lists {
            let changes = known.expire(after, now, counts);
            if !changes.is_empty() {
                seat.apply(live, known, changes, now)?;
            }
        }
        Ok(())
    }

    /// Begins to count what events alone say, where no list was read or can be: but not while a restart waits for the
    /// first reading.
    fn settle(&mut self, live: &Live, now: Now) -> Result<(), SeatError> {
        let is_alone = self.settings.lease.is_none();
        for OneList { known, seat, has_failed } in &mut self.lists {
            let is_due = !seat.is_taken() && !known.is_empty() && (is_alone || *has_failed);
            if is_due && !live.is_settling() {
                seat.sync(live, known, false, now)?;
            }
        }
        Ok(())
    }
}
