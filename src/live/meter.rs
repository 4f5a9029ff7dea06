//! Meters and pools: a word each, what was opened and closed on a meter, and who reports it.

use std::sync::{Arc, OnceLock};

use crate::{
    live::{
        ends::{Ends, Taken},
        moves::Rise,
        scope::Scope,
        sums::{Counted, Sums, Totals},
        sync::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Mutex, Ordering, lock},
        word::MeterWord,
    },
    model::{Coverage, Key, KeyId, LateSpan, Outcome, Tick, counts::Bucket},
};

/// How long a meter that went dark leaves its pools known in part only: 15 min, as long as events may come late.
const DARK_IN_POOL_SECONDS: u64 = 15 * 60;

/// The level of a meter or pool, and its name. In the order of use: each second the roller needs the first line of the
/// cache, and of the word's ring one cell.
#[derive(Debug)]
#[repr(C)]
pub struct Tally {
    pub id: KeyId,
    /// Its project was deleted: lists leave it out, and nothing makes it come back.
    removed: AtomicBool,
    /// The first tick that the roller has not rolled; only it writes.
    next_tick: AtomicU64,
    /// What of it is enforced; not there until something is.
    scope: OnceLock<Box<Scope>>,
    pub word: MeterWord,
    pub key: Key,
}

/// One counted thing: its own level, and the pools above it that move with it. In the order of use: what the roller needs
/// each second are the first two lines of the cache, and it waits for nothing else.
#[derive(Debug)]
#[repr(C)]
pub struct Meter {
    /// The numbers of itself and its pools, for who goes through all meters.
    pub(super) ids: [KeyId; 3],
    /// Something was counted since the roller came by; only who has the lock of the sums writes it.
    fresh: AtomicBool,
    /// It, or the pool of its kind, was removed, and it is in the lists no more.
    removed: AtomicBool,
    /// A worker was given up since the roller came by: what it held was not known for a while, even if it is back.
    lost: AtomicBool,
    /// Workers that are heard and have declared it.
    reporters: AtomicU32,
    /// Workers that have declared it and are cut off or silent, within their lease.
    silent: AtomicU32,
    /// Workers that have declared it and hold sessions that are not counted: left out at a bound, or not told yet after they
    /// came back.
    incomplete: AtomicU32,
    /// Its last reporters were lost without a goodbye: nobody knows its level.
    /// The second in which that was seen, plus 1; 0 when it is not so.
    dark: AtomicU64,
    pub pools: [Arc<Tally>; 2],
    sums: Mutex<Sums>,
    pub tally: Arc<Tally>,
    /// Sessions that silent workers hold.
    silent_level: AtomicU32,
    /// Sessions that the sums of earlier processes left open and no worker has accounted for since.
    inherited: AtomicI64,
    /// What its sessions' ends say of its provider.
    pub(super) ends: Ends,
}

impl Tally {
    pub fn new(id: KeyId, key: Key, now: Tick) -> Self {
        Self {
            id,
            removed: AtomicBool::new(false),
            next_tick: AtomicU64::new(now.0),
            scope: OnceLock::new(),
            word: MeterWord::new(now),
            key,
        }
    }

    /// What of it is enforced, if anything ever was.
    pub fn scope(&self) -> Option<&Scope> {
        self.scope.get().map(|scope| &**scope)
    }

    /// The same, made when it is not there.
    pub(super) fn scope_or(&self, make: impl FnOnce() -> Scope) -> &Scope {
        self.scope.get_or_init(|| Box::new(make()))
    }

    /// A level was lowered: who waits for it is served.
    #[inline]
    pub(super) fn lowered(&self) {
        if let Some(scope) = self.scope()
            && scope.gate.has_waiters()
        {
            scope.room.serve();
        }
    }

    /// The first tick that was not rolled.
    pub fn next_tick(&self) -> Tick {
        Tick(self.next_tick.load(Ordering::Acquire))
    }

    pub fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Acquire)
    }

    pub(super) fn remove(&self) {
        self.removed.store(true, Ordering::Release);
    }

    pub(super) fn set_next_tick(&self, tick: Tick) {
        self.next_tick.store(tick.0, Ordering::Release);
    }
}

impl Meter {
    pub fn new(tally: Arc<Tally>, pools: [Arc<Tally>; 2]) -> Self {
        Self {
            ids: [tally.id, pools[0].id, pools[1].id],
            fresh: AtomicBool::new(true),
            removed: AtomicBool::new(false),
            lost: AtomicBool::new(false),
            reporters: AtomicU32::new(0),
            silent: AtomicU32::new(0),
            incomplete: AtomicU32::new(0),
            dark: AtomicU64::new(0),
            pools,
            sums: Mutex::new(Sums::default()),
            tally,
            silent_level: AtomicU32::new(0),
            inherited: AtomicI64::new(0),
            ends: Ends::default(),
        }
    }

    /// Takes what the ends of its sessions say of its provider since the last call; `None` when none ended.
    pub fn take_ends(&self) -> Option<Taken> {
        self.ends.take()
    }

    /// Whether it is in the lists no more.
    pub fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Acquire)
    }

    pub(super) fn remove(&self) {
        self.removed.store(true, Ordering::Release);
    }

    /// Whether its key, or that of the pool of its kind, was removed. What is made just then may have one of each.
    pub(super) fn has_removed_key(&self) -> bool {
        self.tally.is_removed() || self.pools[0].is_removed()
    }

    /// Counts; the roller is to look at it.
    #[inline]
    fn count(&self, count: impl FnOnce(&mut Counted)) {
        let mut sums = lock(&self.sums);
        count(&mut sums.counted);
        self.fresh.store(true, Ordering::Release);
    }

    pub(super) fn count_opened(&self) {
        self.count(|counted| counted.opened += 1);
    }

    /// Sessions began that nobody asked for: they count against what may be started.
    #[inline]
    fn count_starts(&self, now: Tick, opened: u32) {
        for scope in self.scopes().into_iter().filter_map(|tally| tally.scope()) {
            scope.count_starts(now, opened);
        }
    }

    /// Who asked for a slot here was turned away.
    pub(super) fn count_refused(&self) {
        self.count(|counted| counted.seldom().refused += 1);
    }

    /// Who asked for a slot here was given one of another model.
    pub(super) fn count_diverted(&self) {
        self.count(|counted| counted.seldom().diverted += 1);
    }

    /// A slot that was asked for and is promised is held from `now` on.
    pub(super) fn raise(&self, now: Tick) {
        for tally in self.scopes() {
            tally.word.open(now);
        }
    }

    /// A slot is held no more; who waits for it is served.
    pub(super) fn lower(&self, last: Tick) {
        for tally in self.scopes() {
            tally.word.close(last);
        }
        self.scopes().into_iter().for_each(|tally| tally.lowered());
    }

    pub(super) fn count_closed(&self, outcome: Outcome, lasted_ms: u64) {
        self.count(|counted| {
            counted.close(outcome, 1);
            counted.durations.push(Bucket::of(lasted_ms));
        });
    }

    /// Takes what was counted since the last call, and how many sessions are open by the sums; `None` when nothing was. Only
    /// the roller calls it.
    pub(super) fn take_counted(&self) -> Option<(Counted, i64)> {
        if !self.fresh.load(Ordering::Acquire) {
            return None;
        }
        let mut sums = lock(&self.sums);
        self.fresh.store(false, Ordering::Release);
        Some(sums.take())
    }

    /// What a batch did: the sums, and the level here and in the pool of its model. The pool of its kind is moved for all
    /// meters of a batch at once.
    pub(super) fn add(
        &self,
        now: Tick,
        rise: Rise,
        (opened, ok): (u32, u32),
        durations: Option<impl Iterator<Item = Bucket>>,
    ) {
        if opened > 0 || durations.is_some() {
            self.count_starts(now, opened);
            self.count(|counted| {
                counted.opened += opened;
                counted.ok += ok;
                counted.durations.extend(durations.into_iter().flatten());
            });
        }
        self.tally.rise(now, rise);
        self.pools[1].rise(now, rise);
    }

    pub(super) fn pool_of_kind(&self) -> &Arc<Tally> {
        &self.pools[0]
    }

    /// Sessions of which nobody knows how long they lasted: they have an outcome and no duration.
    pub(super) fn count_unmeasured(&self, outcome: Outcome, sessions: u64) {
        self.count(|counted| counted.close(outcome, u32::try_from(sessions).unwrap_or(u32::MAX)));
    }

    pub(super) fn count_late_dropped(&self) {
        self.count(|counted| counted.seldom().late_dropped += 1);
    }

    /// Raises or lowers the peaks of the ticks `from..to`.
    #[inline]
    pub(super) fn count_late(&self, from: Tick, to: Tick, by: i32) {
        if from < to {
            self.count(|counted| counted.seldom().late.push(LateSpan { from: from.0, to: to.0, by }));
        }
    }

    pub fn totals(&self) -> Totals {
        lock(&self.sums).totals()
    }

    /// A worker that declared this meter is heard (again).
    pub(super) fn reporter_came(&self) {
        self.reporters.fetch_add(1, Ordering::SeqCst);
        self.dark.swap(0, Ordering::SeqCst);
    }

    /// A worker that declared it left with a goodbye.
    pub(super) fn reporter_left(&self) {
        self.reporters.fetch_sub(1, Ordering::AcqRel);
    }

    /// A worker that declared it is cut off, with so many sessions here.
    pub(super) fn reporter_silent(&self) {
        self.silent.fetch_add(1, Ordering::AcqRel);
        self.reporters.fetch_sub(1, Ordering::AcqRel);
    }

    /// A worker that was cut off is heard again.
    pub(super) fn reporter_back(&self) {
        self.reporter_came();
        self.silent.fetch_sub(1, Ordering::AcqRel);
    }

    /// A worker that declared it may hold sessions that are not counted: what is known is a lower bound.
    pub(super) fn reporter_incomplete(&self) {
        self.incomplete.fetch_add(1, Ordering::AcqRel);
    }

    /// All of them are.
    pub(super) fn reporter_complete(&self) {
        self.incomplete.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether sessions of a worker that is heard may be missing in the level.
    pub fn is_incomplete(&self) -> bool {
        self.incomplete.load(Ordering::Acquire) > 0
    }

    /// A worker that was cut off is given up.
    pub(super) fn reporter_lost(&self, now: Tick) {
        self.lost.store(true, Ordering::Release);
        let others = self.silent.fetch_sub(1, Ordering::AcqRel) - 1 + self.reporters.load(Ordering::Acquire);
        if others == 0 {
            self.go_dark(now);
            if self.has_reporters() {
                // One came in between, and may have been before us.
                self.dark.store(0, Ordering::SeqCst);
            }
        }
    }

    pub(super) fn go_dark(&self, now: Tick) {
        self.dark.swap(now.0 + 1, Ordering::SeqCst);
    }

    pub(super) fn add_silent_level(&self, by: i32) {
        if by < 0 {
            self.silent_level.fetch_sub(by.unsigned_abs(), Ordering::AcqRel);
        } else {
            self.silent_level.fetch_add(by.unsigned_abs(), Ordering::AcqRel);
        }
    }

    /// Sessions held by workers that are cut off or silent, within their lease.
    pub fn silent_level(&self) -> u32 {
        self.silent_level.load(Ordering::Acquire)
    }

    /// Whether the level is known.
    pub fn coverage(&self) -> Coverage {
        match (self.is_dark(), self.has_silent() || self.is_incomplete()) {
            (_, true) => Coverage::Partial,
            (true, false) => Coverage::None,
            (false, false) => Coverage::Full,
        }
    }

    /// Whether a worker was given up since the last call. Only the roller calls it.
    pub(super) fn take_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire) && self.lost.swap(false, Ordering::AcqRel)
    }

    /// What that means for a pool. A meter that has been dark for long says nothing of it: what its lost workers held is
    /// over by then or is reported elsewhere, and a model that nobody uses any more must not leave its pool unknown for ever.
    pub fn coverage_in_pool(&self, now: Tick) -> Option<Coverage> {
        let dark = self.dark.load(Ordering::Acquire);
        let long = dark > 0 && now.0.saturating_sub(dark - 1) > DARK_IN_POOL_SECONDS;
        (!long || self.has_silent() || self.is_incomplete()).then(|| self.coverage())
    }

    pub fn has_reporters(&self) -> bool {
        self.reporters.load(Ordering::SeqCst) > 0
    }

    pub fn has_silent(&self) -> bool {
        self.silent.load(Ordering::Acquire) > 0
    }

    pub fn is_dark(&self) -> bool {
        self.dark.load(Ordering::Acquire) > 0
    }

    /// After a restart: the sums left so many sessions open, and no worker has accounted for them yet.
    pub(super) fn inherit(&self, sessions: i64) {
        let mut sums = lock(&self.sums);
        sums.inherit(sessions);
        self.fresh.store(true, Ordering::Release);
        drop(sums);
        self.inherited.store(sessions, Ordering::Release);
    }

    /// One of them is accounted for.
    pub(super) fn account_inherited(&self) {
        self.inherited.fetch_sub(1, Ordering::AcqRel);
    }

    /// All that will be accounted for is: what is left was lost; what is too many was opened unseen. Returns whether
    /// any was lost.
    pub(super) fn close_inheritance(&self) -> bool {
        let left = self.inherited.swap(0, Ordering::AcqRel);
        if left > 0 {
            self.count_unmeasured(Outcome::Lost, left.unsigned_abs());
        } else {
            self.count(|counted| counted.opened += u32::try_from(left.unsigned_abs()).unwrap_or(u32::MAX));
        }
        left > 0
    }
}
