//! What LiveKit holds of one list, as far as events and readings of the list have said: a function of (state, what was
//! said, now). What it answers with is to be done in a book.
//!
//! - Things are known by LiveKit's ids. A thing that is known and begins again changes nothing; the end of one that is not
//!   known is remembered, so that a beginning that comes after it opens nothing.
//! - **A reading of the list is the truth of the moment it was asked for.** What the list has not, and began before it was
//!   asked for, is over; what it has, and did not end since, is there. What events said after that moment stays.
//! - Events come one at a time, readings in between: whatever the order, the last reading and the events after it decide.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use crate::{
    livekit::{
        counts::{Counts, add},
        ended::{End, Ended, How},
        thing::{Listed, Thing},
    },
    model::{Now, Outcome, SessionId, Time},
};

/// A beginning that was older than this when it was sent opens nothing: its end may well have been given up, as LiveKit
/// gives up events of this age.
pub const MAX_AGE: Duration = Duration::from_secs(30);
/// A list that still has a thing whose end we heard is believed when it was asked for this long after: LiveKit's nodes may
/// take a while to agree, and an event that was wrong must not be right for ever.
const LIST_LAGS: Duration = Duration::from_secs(30);

/// One thing that is there.
#[derive(Clone, Debug)]
pub struct Held {
    pub thing: Thing,
    pub session: SessionId,
    /// When it began, by our wall clock.
    pub since: Time,
    /// When its beginning was heard, or its list asked for (monotonic).
    came: Time,
    /// When it was named last (monotonic).
    told: Time,
}

#[derive(Debug, Default)]
struct RoomState {
    told: Time,
    members: HashSet<Box<str>>,
}

/// What is to be done in the book.
#[derive(Clone, Debug)]
pub enum Change {
    Open(Held),
    Close {
        session: SessionId,
        outcome: Outcome,
        at: Time,
    },
    /// It was over before it was known.
    Passed {
        held: Held,
        outcome: Outcome,
        at: Time,
    },
}

/// A list that was read: all of it, or the participants of one room.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Name of the room; `None` for all of the list.
    pub room: Option<Box<str>>,
    /// When it was asked for (monotonic).
    pub asked: Time,
    /// The times in them are by our wall clock.
    pub lines: Vec<Listed>,
}

/// What is known of one list.
#[derive(Debug, Default)]
pub struct Known {
    held: HashMap<Box<str>, Held>,
    rooms: HashMap<Box<str>, RoomState>,
    ended: Ended,
    ended_rooms: Ended,
    /// What was known when all was lost, until its list is read or its end is heard: what began or ended meanwhile unheard is
    /// a disagreement like any other.
    before: HashMap<Box<str>, Held>,
    /// Whether `before` is all that there was: all was lost, and no reading has said since what is there.
    is_compared: bool,
    /// Since when (wall) nothing begins that is not heard of, but for lost events.
    synced: Option<Time>,
    opened: u64,
}

impl Known {
    pub fn held(&self) -> impl Iterator<Item = &Held> {
        self.held.values()
    }

    pub fn len(&self) -> usize {
        self.held.len()
    }

    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Names of the rooms in which something is known, or was when all was lost.
    pub fn rooms(&self) -> HashSet<Box<str>> {
        self.held.values().chain(self.before.values()).map(|held| held.thing.room.clone()).collect()
    }

    /// From now on, what begins is heard of.
    pub fn synced(&mut self, now: Now) {
        self.synced.get_or_insert(now.wall);
    }

    /// All was lost with the lease: nothing is known any more but what has ended. What was known is compared with the first
    /// reading.
    pub fn lose_all(&mut self) {
        self.before.extend(self.held.drain());
        self.is_compared |= self.synced.is_some();
        self.rooms.clear();
        self.synced = None;
    }

    /// It could not be opened: it is not known.
    pub fn forget(&mut self, id: &str) {
        self.take(id);
    }

    fn new_held(&mut self, thing: Thing, since: Time, came: Time, told: Time) -> Held {
        // A thing may be opened more than once, and each time is a session of its own.
        self.opened += 1;
        let session = SessionId::of_text(format!("{}#{}", thing.name(), self.opened).as_bytes());
        Held { thing, session, since, came, told }
    }

    fn put(&mut self, held: Held) -> Change {
        let room = self.rooms.entry(held.thing.room_id.clone()).or_default();
        room.told = room.told.max(held.told);
        room.members.insert(held.thing.id.clone());
        self.held.insert(held.thing.id.clone(), held.clone());
        Change::Open(held)
    }

    fn take(&mut self, id: &str) -> Option<Held> {
        let held = self.held.remove(id)?;
        if let Some(room) = self.rooms.get_mut(&held.thing.room_id) {
            room.members.remove(id);
            if room.members.is_empty() {
                self.rooms.remove(&held.thing.room_id);
            }
        }
        Some(held)
    }

    fn close(&mut self, id: &str, outcome: Outcome, at: Time, now: Now, how: How) -> Option<Change> {
        let held = self.take(id)?;
        self.ended.put(&held.thing.name(), End { heard: now.mono, at, outcome, how });
        Some(Change::Close { session: held.session, outcome, at: at.max(held.since) })
    }

    fn passed(&mut self, thing: Thing, since: Time, end: End, now: Now) -> Option<Change> {
        let is_new = self.synced.is_some_and(|synced| since >= synced);
        let how = if is_new { How::Counted } else { How::BeginUnknown };
        self.ended.put(&thing.name(), End { how, heard: now.mono, ..end });
        is_new.then(|| {
            let held = self.new_held(thing, since.min(end.at), now.mono, now.mono);
            Change::Passed { held, outcome: end.outcome, at: end.at }
        })
    }

    /// An event says that it began, so long before the event was sent.
    pub fn began(&mut self, thing: Thing, age: Duration, now: Now, counts: &Counts) -> Vec<Change> {
        let since = now.wall.before(age);
        if let Some(end) = self.ended.get(&thing.name()) {
            let is_due = end.how == How::BeginUnknown;
            return is_due.then(|| self.passed(thing, since, end, now)).flatten().into_iter().collect();
        }
        let mut changes = Vec::new();
        if let Some(held) = self.held.get_mut(&thing.id) {
            held.told = now.mono;
            if held.thing.run == thing.run || thing.began < held.thing.began {
                return changes;
            }
            // An ingress runs once at a time: the end of its earlier run was lost.
            changes.extend(self.close(&thing.id, Outcome::Lost, now.wall, now, How::Counted));
        }
        let has_room_id = thing.room_id != thing.room;
        if let Some(end) = self.ended_rooms.get(&thing.room_id).filter(|_| has_room_id) {
            changes.extend(self.passed(thing, since, end, now));
        } else if age > MAX_AGE {
            add(&counts.stale, 1);
        } else {
            let held = self.new_held(thing, since, now.mono, now.mono);
            changes.push(self.put(held));
        }
        changes
    }

    /// An event says that it ended, so long before the event was sent; `lasted` is how long it was there.
    pub fn ended(
        &mut self,
        thing: Thing,
        outcome: Outcome,
        age: Duration,
        lasted: Option<Duration>,
        now: Now,
        counts: &Counts,
    ) -> Option<Change> {
        let at = now.wall.before(age);
        let is_this_run =
            |held: &&Held| held.thing.run == thing.run || held.thing.run.is_empty() || thing.run.is_empty();
        if self.held.get(&thing.id).filter(is_this_run).is_some() {
            return self.close(&thing.id, outcome, at, now, How::Counted);
        }
        let end = End { heard: now.mono, at, outcome, how: How::BeginUnknown };
        if self.before.get(&thing.id).filter(is_this_run).is_some() {
            // It was closed when all was lost, and its end is heard: nothing is to be put right.
            self.before.remove(&thing.id);
            self.ended.put(&thing.name(), End { how: How::Counted, ..end });
            return None;
        }
        match (self.ended.get(&thing.name()), lasted) {
            (Some(earlier), _) => {
                if earlier.how == How::Unlisted {
                    self.ended.put(&thing.name(), End { how: How::Counted, ..end });
                }
                None
            }
            (None, Some(lasted)) => {
                add(&counts.ends_first, 1);
                self.passed(thing, at.before(lasted), end, now)
            }
            (None, None) => {
                add(&counts.ends_first, 1);
                self.ended.put(&thing.name(), end);
                None
            }
        }
    }

    /// An event says that a room ended, and with it all that was in it.
    pub fn room_ended(&mut self, room_id: &str, age: Duration, now: Now) -> Vec<Change> {
        let at = now.wall.before(age);
        let members = self.rooms.get(room_id).map(|room| room.members.clone()).unwrap_or_default();
        self.before.retain(|_, held| *held.thing.room_id != *room_id);
        self.ended_rooms.put(room_id, End { heard: now.mono, at, outcome: Outcome::Ok, how: How::Counted });
        members.iter().filter_map(|id| self.close(id, Outcome::Ok, at, now, How::Counted)).collect()
    }

    /// An event says that a room is alive.
    pub fn room_lives(&mut self, room_id: &str, now: Now) {
        if let Some(room) = self.rooms.get_mut(room_id) {
            room.told = now.mono;
        }
    }

    /// The list was read, or as much of it as answered: what it says is so. Closes come before opens.
    pub fn listed(&mut self, answers: &[Answer], now: Now, counts: &Counts) -> Vec<Change> {
        let mut asked: HashMap<Option<&str>, Time> = HashMap::new();
        let mut lines: HashMap<(&str, &str), (&Listed, Time)> = HashMap::new();
        for answer in answers {
            asked.insert(answer.room.as_deref(), answer.asked);
            for line in &answer.lines {
                lines.insert((&line.thing.id, &line.thing.run), (line, answer.asked));
            }
        }
        let mut gone = Vec::new();
        for (id, held) in &mut self.held {
            let asked = asked.get(&None).or_else(|| asked.get(&Some(&*held.thing.room)));
            if lines.contains_key(&(&**id, &*held.thing.run)) {
                held.told = now.mono;
            } else if asked.is_some_and(|asked| held.came < *asked) {
                gone.push(id.clone());
            }
        }
        let mut changes: Vec<_> =
            gone.iter().filter_map(|id| self.close(id, Outcome::Lost, now.wall, now, How::Unlisted)).collect();
        let missed_ends = changes.len() as u64 + self.ended_unheard(&asked, &lines, now);
        let mut missed_begins = 0;
        for (line, asked) in lines.into_values().filter(|(line, _)| line.is_live) {
            let thing = &line.thing;
            let was_there = self.before.remove(&thing.id).is_some_and(|held| held.thing.run == thing.run);
            if self.held.contains_key(&thing.id) || self.has_ended(thing, asked) {
                continue;
            }
            self.ended.remove(&thing.name());
            let since = thing.began.unwrap_or(now.wall).min(now.wall);
            let held = self.new_held(thing.clone(), since, asked, now.mono);
            changes.push(self.put(held));
            missed_begins += u64::from(!was_there);
        }
        // Without a reading before, nobody knew what is there: a service that starts disagrees with nothing.
        if self.synced.is_some() || self.is_compared {
            add(&counts.missed_ends, missed_ends);
            add(&counts.missed_begins, missed_begins);
        }
        self.is_compared = false;
        self.synced(now);
        changes
    }

    /// How many of those that were there when all was lost the list has no more: they ended, and nobody said so.
    fn ended_unheard(
        &mut self,
        asked: &HashMap<Option<&str>, Time>,
        lines: &HashMap<(&str, &str), (&Listed, Time)>,
        now: Now,
    ) -> u64 {
        let is_over = |id: &str, held: &Held| {
            let asked = asked.get(&None).or_else(|| asked.get(&Some(&*held.thing.room)));
            asked.is_some_and(|asked| held.came < *asked) && !lines.contains_key(&(id, &*held.thing.run))
        };
        let over: Vec<Held> = self.before.extract_if(|id, held| is_over(id, held)).map(|(_, held)| held).collect();
        for held in &over {
            let end = End { heard: now.mono, at: now.wall, outcome: Outcome::Lost, how: How::Unlisted };
            self.ended.put(&held.thing.name(), end);
        }
        over.len() as u64
    }

    /// Whether an event said so that a list asked for then can't know better than.
    fn has_ended(&self, thing: &Thing, asked: Time) -> bool {
        let is_newer = |end: &End| asked < end.heard.after(LIST_LAGS);
        let itself = self.ended.get(&thing.name()).filter(|end| end.how != How::Unlisted);
        itself.as_ref().is_some_and(is_newer)
            || self.ended_rooms.get(&thing.room_id).as_ref().is_some_and(|end| {
                // A room of the same name may have begun since.
                thing.room_id != thing.room && is_newer(end)
            })
    }

    /// Ends what nothing was heard of for so long, neither of itself nor of its room.
    pub fn expire(&mut self, lease: Duration, now: Now, counts: &Counts) -> Vec<Change> {
        let is_over = |held: &&Held| {
            let room = self.rooms.get(&held.thing.room_id).map_or(Time(0), |room| room.told);
            held.told.max(room).after(lease) <= now.mono
        };
        let over: Vec<_> = self.held.values().filter(is_over).map(|held| held.thing.id.clone()).collect();
        add(&counts.expired, over.len() as u64);
        over.iter().filter_map(|id| self.close(id, Outcome::Lost, now.wall, now, How::Unlisted)).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
