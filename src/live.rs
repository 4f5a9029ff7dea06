//! The live state: meters, pools, and the books of the workers. Plain synchronous code, a function of what came and of
//! `now`; many threads may call it at once. It never reads a clock and never touches a file or a socket.
//!
//! - [`word`]: level and tick peak in one atomic, and the ring of the last ticks.
//! - [`meter`], [`registry`]: what is counted; `sums`: what was opened and closed.
//! - [`book`], [`record`], [`apply`], [`snapshot`]: who holds what; the level of a meter is the number of records that name
//!   it. `places` is a book's table, where ends are remembered too, `early_ends` those that overtook their beginnings.
//!   `moves` takes a batch to the words.
//! - [`beyond`], `left_out`: what is reported beyond the bounds of a project.
//! - [`attach`], [`stream`], [`lease`]: how workers come, what they say, and how they end.
//! - [`release`]: slots that are freed by hand.
//! - [`gate`], [`starts`], [`scope`]: what of a level is enforced. [`enter`]: the way in, through three levels or none.
//!   [`waiting`]: who waits for a slot. [`admit`]: who asks for one, and what they are told; `asked`, what a book says of it;
//!   [`holders`], who holds most; [`chained`], the sessions that were asked for by chain.
//! - [`ends`]: what the ends of sessions say of their provider.
//! - [`learn`]: what is awaited after a restart.
//! - [`roll`] makes one frame a second, out of `entries`; `lasted` puts together how long sessions lasted.
//! - [`audit`] recounts them.

pub mod admit;
pub mod apply;
mod asked;
pub mod attach;
pub mod audit;
pub mod beyond;
pub mod book;
pub mod chained;
mod early_ends;
pub mod ends;
pub mod enter;
mod entries;
pub mod gate;
pub mod holders;
mod lasted;
pub mod learn;
pub mod lease;
mod left_out;
pub mod meter;
mod moves;
mod places;
pub mod record;
pub mod registry;
pub mod release;
pub mod roll;
pub mod scope;
pub mod snapshot;
pub mod starts;
pub mod stream;
pub mod sums;
pub mod sync;
pub mod waiting;
pub mod word;

#[cfg(all(test, feature = "loom"))]
mod loom_gate;
#[cfg(all(test, feature = "loom"))]
mod loom_tests;
#[cfg(all(test, not(feature = "loom")))]
mod race_tests;

use std::{collections::HashMap, sync::Arc};

use dashmap::{DashMap, Entry};
use foldhash::fast::RandomState;

pub use admit::{Answer, Ask, Granted};
pub use apply::{Applied, Event, Said, Told};
pub use attach::{Attachment, Gone, Hello, Refusal};
pub use book::{Book, Link};
pub use chained::{Chained, OfChain, Probes};
pub use enter::{Refused, Why};
pub use meter::{Meter, Tally};
pub use registry::Registry;
pub use release::Released;
pub use roll::Roller;
pub use scope::{Rules, Scope};
pub use stream::Batch;
pub use waiting::{Permit, Ticket};

use crate::{
    live::{
        apply::Moment,
        book::Expired,
        holders::Holders,
        learn::Learning,
        sync::{AtomicU64, Mutex, Ordering, lock},
        waiting::Room,
    },
    model::{Bounds, Coverage, Incarnation, Key, KeyId, Meter as MeterName, Now, Outcome, Project, Tick},
};

/// A bound that was reached: nothing of the request was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: at most {most} are taken")]
pub struct BoundReached {
    /// The bound's name, as in the configuration's words.
    pub what: &'static str,
    pub most: u64,
}

/// Workers that came (true) or went (false) since the store was last told.
pub type Roster = HashMap<(Project, Incarnation), bool>;

pub(crate) type SharedBook = Arc<Mutex<Book>>;

/// All live state of one service.
#[derive(Debug)]
pub struct Live {
    pub bounds: Bounds,
    pub registry: Registry,
    books: DashMap<(Project, Incarnation), SharedBook, RandomState>,
    /// The first second that was not rolled yet.
    tick: AtomicU64,
    /// Last second whose frame is durable, plus 1; 0 before the first.
    durable: AtomicU64,
    learning: Mutex<Option<Learning>>,
    roster: Mutex<Roster>,
    drift: AtomicU64,
    room: Arc<Room>,
    holders: Holders,
}

impl Live {
    /// Starts counting in second `first`: that of the clock, or the one after the history's last if the clock went back.
    pub fn new(bounds: Bounds, first: Tick) -> Self {
        Self {
            bounds,
            registry: Registry::default(),
            books: DashMap::default(),
            tick: AtomicU64::new(first.0),
            durable: AtomicU64::new(0),
            learning: Mutex::new(None),
            roster: Mutex::new(Roster::new()),
            drift: AtomicU64::new(0),
            room: Arc::default(),
            holders: Holders::default(),
        }
    }

    /// The current second: that of the clock, or the last one if the clock went back.
    pub fn tick(&self, now: Now) -> Tick {
        Tick(self.tick.load(Ordering::Acquire).max(now.wall.tick().0))
    }

    /// The meter of this name, made when it is new.
    ///
    /// # Errors
    /// When it is new and there are as many as there may be.
    pub fn meter(&self, project: &Project, name: &MeterName, now: Now) -> Result<Arc<Meter>, BoundReached> {
        self.registry.meter(project, name, &self.bounds, self.tick(now))
    }

    /// The moment as a book sees it: it is made with the book locked, so that the end of learning, which goes through all
    /// books, misses none that was changed in the belief that there was still learning to do.
    fn moment(&self, now: Now) -> Moment<'_> {
        let down_from = lock(&self.learning).as_ref().map(|learning| learning.down_from);
        Moment { now, tick: self.tick(now), bounds: &self.bounds, down_from }
    }

    /// Takes over the keys of a store. The meters of which the last frame did not know the level are not known now either.
    pub fn load(&self, keys: impl IntoIterator<Item = (KeyId, Key)>, coverage: &dyn Fn(KeyId) -> Coverage) {
        self.registry.load(keys, Tick(self.tick.load(Ordering::Acquire)));
        let meters = self.registry.all_meters().into_iter();
        meters.filter(|meter| coverage(meter.tally.id) == Coverage::None).for_each(|meter| meter.go_dark(Tick(0)));
    }

    /// Starts learning after a restart: `left_open` is what the durable sums left open, `down_from` the second after them.
    pub fn start_learning(
        &self,
        known: impl IntoIterator<Item = (Project, Incarnation)>,
        left_open: &dyn Fn(KeyId) -> i64,
        down_from: Tick,
        now: Now,
    ) {
        for meter in self.registry.all_meters() {
            meter.inherit(left_open(meter.tally.id));
        }
        let learning = Learning::new(down_from, now.mono.after(self.bounds.learning), known.into_iter().collect());
        *lock(&self.learning) = Some(learning);
    }

    /// Whether levels are still lower bounds after a restart.
    pub fn is_settling(&self) -> bool {
        lock(&self.learning).is_some()
    }

    /// Ends learning when its time has come; then what no worker accounted for is lost.
    fn end_learning(&self, now: Now) {
        let Some(learning) = lock(&self.learning).take_if(|learning| learning.is_over(now.mono)) else { return };
        self.end_learning_of_gates();
        for book in self.all_books() {
            lock(&book).account_restored();
        }
        for meter in self.registry.all_meters() {
            let unaccounted = meter.close_inheritance();
            if !learning.awaited.is_empty() && unaccounted && !meter.has_reporters() && !meter.has_silent() {
                meter.go_dark(self.tick(now));
            }
        }
        for (project, incarnation) in learning.awaited {
            self.give_up(project, incarnation, learning.down_from, now);
        }
    }

    /// A worker that was attached before a restart was waited for in vain. History holds its sessions up to the restart: if
    /// it returns after all, what it tells is counted from there on.
    fn give_up(&self, project: Project, incarnation: Incarnation, down_from: Tick, now: Now) {
        let expired = Expired { lost: 0, first_without: down_from };
        let shared = match self.books.entry((project, incarnation)) {
            Entry::Occupied(there) => there.get().clone(),
            Entry::Vacant(free) => {
                let (project, incarnation) = free.key().clone();
                lock(&self.roster).entry((project.clone(), incarnation)).or_insert(false);
                free.insert(Arc::new(Mutex::new(Book::given_up(project, incarnation, expired, now))));
                return;
            }
        };
        let mut book = lock(&shared);
        if book.needs_snapshot && !book.is_over() {
            // It came, and has not said yet what it holds.
            let lost = book.expired.map_or(0, |earlier| earlier.lost);
            book.expired = Some(Expired { lost, ..expired });
        }
    }

    /// Ends all workers of a project with their sessions.
    pub fn end_project(&self, project: &Project, now: Now) {
        let of_project = self.books.iter().filter(|book| book.key().0 == *project);
        let incarnations: Vec<Incarnation> = of_project.map(|book| book.key().1).collect();
        for incarnation in incarnations {
            self.goodbye(project, incarnation, Outcome::Cancelled, now);
        }
    }

    /// Whether a project has workers.
    pub fn has_workers(&self, project: &Project) -> bool {
        self.books.iter().any(|book| book.key().0 == *project)
    }

    /// All books, for those who walk them without holding up the map.
    pub fn all_books(&self) -> Vec<SharedBook> {
        self.books.iter().map(|book| book.value().clone()).collect()
    }

    /// The frames up to and with this second are durable.
    pub fn set_durable(&self, tick: Tick) {
        self.durable.fetch_max(tick.0 + 1, Ordering::AcqRel);
    }

    /// The last second whose frame is durable.
    pub fn durable(&self) -> Option<Tick> {
        self.durable.load(Ordering::Acquire).checked_sub(1).map(Tick)
    }

    /// Takes who came and went since the last call.
    pub fn take_roster(&self) -> Roster {
        std::mem::take(&mut *lock(&self.roster))
    }

    /// Puts them back when the store did not take them.
    pub fn put_back_roster(&self, earlier: Roster) {
        let mut roster = lock(&self.roster);
        let later = std::mem::replace(&mut *roster, earlier);
        roster.extend(later);
    }

    /// Levels that the last audits found to differ from the books. Must be 0.
    pub fn drift(&self) -> u64 {
        self.drift.load(Ordering::Acquire)
    }
}
