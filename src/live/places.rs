//! The sessions of a book, those that ended of late among them: an open-addressed table in which a session that ends leaves
//! its tombstone in its own place. So a connect and a disconnect each look at one place of memory, and most of what a
//! fleet's event costs is waiting for that.
//!
//! Tombstones are kept in two generations: the older one is swept out whole, so that forgetting costs no list of them.

use std::{hash::BuildHasher, time::Duration};

use foldhash::fast::RandomState;

use crate::{
    live::record::Record,
    model::{Bounds, Now, SessionId, Time},
};

/// Rows of the smallest table.
const LEAST_ROWS: usize = 4;
/// A table with more rows than this for each that is used gives room back.
const ROWS_EACH: usize = 4;
/// Rows that are swept for each tombstone, at most: a large table keeps more tombstones than it must, so that an end costs
/// no more there.
const ROWS_SWEPT_EACH: usize = 16;

/// Sessions by id, with room for little else. Ids are random, or a hash; the seed is random too and nothing shows it, so that ids can't be chosen
/// to collide.
#[derive(Debug)]
pub(super) struct Places {
    /// Each used row is found from where its id hashes to, before the next free row. At most 3/4 are used.
    rows: Vec<Row>,
    hasher: RandomState,
    /// Rows of sessions that are held.
    held: usize,
    /// Tombstones of this generation, and of the one before.
    newer: usize,
    older: usize,
    generation: u32,
    /// When the first of the newer ones is forgotten: by then all of the older are.
    turn_at: Time,
    /// When the last of the newer ones is forgotten, and the last of the older ones.
    newer_until: Time,
    older_until: Time,
    /// The last instant that was told.
    now: Time,
}

#[derive(Debug)]
struct Row {
    id: SessionId,
    place: Place,
}

/// What is in a row.
#[derive(Debug)]
enum Place {
    Free,
    Held(Record),
    /// A session that ended, until (monotonic) it is forgotten.
    Ended {
        until: Time,
        generation: u32,
    },
}

/// What is known of an id.
#[derive(Debug)]
pub(super) enum Known<'p> {
    Held(&'p mut Record),
    /// It was counted, and ended.
    Ended,
    Not,
}

/// How long tombstones are kept, and how many: at least the last half of them, and more in a large table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keep {
    pub now: Time,
    pub age: Duration,
    pub most: usize,
}

impl Keep {
    pub const fn of(now: Now, bounds: &Bounds) -> Self {
        Self { now: now.mono, age: bounds.tombstone_age, most: bounds.tombstones_per_book }
    }
}

const FREE: Row = Row { id: SessionId([0; 16]), place: Place::Free };

impl Default for Places {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            hasher: RandomState::default(),
            held: 0,
            newer: 0,
            older: 0,
            generation: 0,
            turn_at: Time(u64::MAX),
            newer_until: Time::default(),
            older_until: Time::default(),
            now: Time::default(),
        }
    }
}

impl Places {
    /// Number of sessions that are held.
    pub const fn len(&self) -> usize {
        self.held
    }

    pub fn get(&self, id: &SessionId) -> Option<&Record> {
        match &self.rows.get(self.find(id)?)?.place {
            Place::Held(record) => Some(record),
            _ => None,
        }
    }

    pub fn known(&mut self, id: &SessionId) -> Known<'_> {
        let Some(at) = self.find(id) else { return Known::Not };
        match &mut self.rows[at].place {
            Place::Held(record) => Known::Held(record),
            Place::Ended { until, .. } if *until > self.now => Known::Ended,
            _ => Known::Not,
        }
    }

    /// The sessions that are held.
    pub fn iter(&self) -> impl Iterator<Item = (&SessionId, &Record)> {
        self.rows.iter().filter_map(|row| match &row.place {
            Place::Held(record) => Some((&row.id, record)),
            _ => None,
        })
    }

    pub fn records_mut(&mut self) -> impl Iterator<Item = &mut Record> {
        self.rows.iter_mut().filter_map(|row| match &mut row.place {
            Place::Held(record) => Some(record),
            _ => None,
        })
    }

    /// Puts a session in, also over its tombstone; the caller made sure that it is not held.
    pub fn insert(&mut self, id: SessionId, record: Record) {
        let earlier = self.put(id, Place::Held(record));
        debug_assert!(!matches!(earlier, Place::Held(_)), "a session was counted twice");
        self.held += 1;
    }

    /// Takes a session out; nothing is remembered of it.
    pub fn remove(&mut self, id: &SessionId) -> Option<Record> {
        let at = self.find(id).filter(|at| matches!(self.rows[*at].place, Place::Held(_)))?;
        match self.free(at) {
            Place::Held(record) => {
                self.held -= 1;
                Some(record)
            }
            _ => None,
        }
    }

    /// Takes a session out and leaves its tombstone; `None`, and nothing happens, when it is not held.
    pub fn end(&mut self, id: &SessionId, keep: Keep) -> Option<Record> {
        let at = self.find(id)?;
        if !matches!(self.rows[at].place, Place::Held(_)) {
            return None;
        }
        let ended = self.tombstone(keep);
        match std::mem::replace(&mut self.rows[at].place, ended) {
            Place::Held(record) => {
                self.held -= 1;
                self.turn_if_full(keep);
                Some(record)
            }
            _ => None,
        }
    }

    /// Remembers the end of a session that is not held.
    pub fn bury(&mut self, id: SessionId, keep: Keep) {
        let ended = self.tombstone(keep);
        let earlier = self.put(id, ended);
        debug_assert!(!matches!(earlier, Place::Held(_)), "a session that is held was buried");
        self.turn_if_full(keep);
    }

    /// Forgets what is too old.
    pub fn expire(&mut self, now: Time) {
        self.now = now;
        if self.turn_at <= now {
            self.turn();
        }
        if self.older > 0 && self.older_until <= now {
            self.sweep();
        }
    }

    /// Whether the row that an id hashes to is its own: for those who want many rows looked at before they need them.
    pub fn is_at_home(&self, id: &SessionId) -> bool {
        !self.rows.is_empty() && self.rows[self.home(id)].id == *id
    }

    /// Where an id is looked for first.
    fn home(&self, id: &SessionId) -> usize {
        let hash = self.hasher.hash_one(id);
        ((u128::from(hash) * self.rows.len() as u128) >> 64) as usize
    }

    fn after(&self, at: usize) -> usize {
        if at + 1 == self.rows.len() { 0 } else { at + 1 }
    }

    /// The row of an id, if it has one.
    fn find(&self, id: &SessionId) -> Option<usize> {
        if self.rows.is_empty() {
            return None;
        }
        let mut at = self.home(id);
        loop {
            let row = &self.rows[at];
            match row.place {
                Place::Free => return None,
                _ if row.id == *id => return Some(at),
                _ => at = self.after(at),
            }
        }
    }

    /// Puts something in the row of an id, its own or a free one; returns what was there.
    fn put(&mut self, id: SessionId, place: Place) -> Place {
        if (self.used() + 1) * 4 > self.rows.len() * 3 {
            self.resize_to((self.rows.len() * 3 / 2).max(LEAST_ROWS));
        }
        let mut at = self.home(&id);
        loop {
            let row = &mut self.rows[at];
            if matches!(row.place, Place::Free) || row.id == id {
                row.id = id;
                let earlier = std::mem::replace(&mut row.place, place);
                self.uncount(&earlier);
                return earlier;
            }
            at = self.after(at);
        }
    }

    const fn used(&self) -> usize {
        self.held + self.newer + self.older
    }

    /// A new tombstone, counted.
    fn tombstone(&mut self, keep: Keep) -> Place {
        self.now = keep.now;
        let until = keep.now.after(keep.age);
        if self.newer == 0 {
            self.turn_at = until;
        }
        self.newer += 1;
        self.newer_until = until;
        Place::Ended { until, generation: self.generation }
    }

    const fn uncount(&mut self, gone: &Place) {
        if let Place::Ended { generation, .. } = gone {
            if *generation == self.generation {
                self.newer -= 1;
            } else {
                self.older -= 1;
            }
        }
    }

    fn turn_if_full(&mut self, keep: Keep) {
        let most = (keep.most / 2).max(self.rows.len() / ROWS_SWEPT_EACH).max(1);
        if self.newer >= most || self.turn_at <= keep.now {
            self.turn();
        }
    }

    /// The newer generation becomes the older one; what was older is forgotten.
    fn turn(&mut self) {
        self.sweep();
        self.generation = self.generation.wrapping_add(1);
        (self.older, self.newer) = (self.newer, 0);
        self.older_until = self.newer_until;
        self.turn_at = Time(u64::MAX);
    }

    /// Frees the rows of the older generation.
    fn sweep(&mut self) {
        let generation = self.generation;
        let is_old = |row: &Row| matches!(row.place, Place::Ended { generation: of, .. } if of != generation);
        let mut at = 0;
        while self.older > 0 && at < self.rows.len() {
            if is_old(&self.rows[at]) {
                // Another may have moved here.
                let gone = self.free(at);
                self.uncount(&gone);
            } else {
                at += 1;
            }
        }
        self.shrink();
    }

    /// Frees a row; those behind it that are not at home move up, so that they are found.
    fn free(&mut self, at: usize) -> Place {
        let gone = std::mem::replace(&mut self.rows[at], FREE).place;
        let (mut hole, mut next) = (at, self.after(at));
        while !matches!(self.rows[next].place, Place::Free) {
            let home = self.home(&self.rows[next].id);
            // Whether the hole lies on the way from its home to where it is.
            let is_on_way = if home <= next { home <= hole && hole < next } else { home <= hole || hole < next };
            if is_on_way {
                self.rows.swap(hole, next);
                hole = next;
            }
            next = self.after(next);
        }
        gone
    }

    /// Gives room back that is not needed.
    pub fn shrink(&mut self) {
        if self.used() == 0 {
            self.rows = Vec::new();
        } else if self.rows.len() > ROWS_EACH * self.used().max(LEAST_ROWS) {
            self.resize_to((2 * self.used()).max(LEAST_ROWS));
        }
    }

    fn resize_to(&mut self, rows: usize) {
        let mut table = Vec::new();
        table.resize_with(rows, || FREE);
        let earlier = std::mem::replace(&mut self.rows, table);
        for row in earlier {
            if matches!(row.place, Place::Free) {
                continue;
            }
            let mut at = self.home(&row.id);
            while !matches!(self.rows[at].place, Place::Free) {
                at = self.after(at);
            }
            self.rows[at] = row;
        }
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests;
