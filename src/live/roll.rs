//! The roller: once a second it moves every word to the new tick and puts what the past one saw into a frame. Only one
//! roller may run; everything it keeps between ticks is its own.

use std::{borrow::Borrow, sync::Arc, time::Duration};

use crate::{
    live::{
        Live,
        entries::{ByKey, Entries, Room},
        lasted::{self, Gather},
        meter::{Meter, Tally},
        sums::Counted,
        sync::Ordering,
        word::{RING_TICKS, Rolled, TickPeak},
    },
    model::{Coverage, Entry, Frame, KeyId, Now, Tick, time::SECONDS_PER_MINUTE},
};

/// The wall clock may be this far ahead of the monotonic one since the last roll, and the levels are still taken for those
/// of all the seconds between. Beyond it they are not known, and a clock set by years makes no years of minutes.
const LONGEST_JUMP: Duration = Duration::from_secs(3_600);

/// Makes the frames of one service.
#[derive(Debug, Default)]
pub struct Roller {
    /// What the frames have told of each key.
    told: ByKey<Told>,
    gather: Gather,
    /// Room for the next frame, from one that is done with.
    room: Room,
    started: bool,
    /// Late events so far that changed seconds which had passed.
    pub late_events: u64,
    /// When it came by last.
    last: Option<Now>,
}

/// What the frames have told of a key.
#[derive(Clone, Copy, Debug)]
struct Told {
    level: u32,
    coverage: Coverage,
    /// Sessions that were opened and have not ended, by the sums; a pool has none.
    open: Option<i64>,
}

impl Default for Told {
    fn default() -> Self {
        Self { level: 0, coverage: Coverage::None, open: None }
    }
}

impl Told {
    /// Sessions that the sums left open beside those that the level counts.
    fn unaccounted(&self, level: u32) -> i64 {
        self.open.map_or(0, |open| open - i64::from(level))
    }
}

/// The ticks of one roll: the first one, and of the others as many of the last as the ring holds.
struct Span {
    from: Tick,
    to: Tick,
    entries: Vec<Entries>,
}

impl Span {
    /// For so many keys, in the room that is given.
    fn new(from: Tick, to: Tick, keys: usize, room: Room) -> Self {
        let ticks = (to.0 - from.0).min(RING_TICKS as u64) as usize;
        let mut entries = vec![Entries::in_room(keys, room)];
        entries.resize_with(ticks, Entries::default);
        Self { from, to, entries }
    }

    fn tick(&self, nth: usize) -> Tick {
        if nth == 0 { self.from } else { Tick(self.to.0 - (self.entries.len() - nth) as u64) }
    }

    /// The ticks from `first` on, each with the place of its entries.
    fn ticks(&self, first: Tick) -> Vec<(usize, Tick)> {
        let before = (first.0..self.from.0).map(|tick| (0, Tick(tick)));
        before.chain((0..self.entries.len()).map(|nth| (nth, self.tick(nth)))).collect()
    }

    /// Whether there are ticks that it does not hold.
    fn is_cut(&self) -> bool {
        self.to.0 - self.from.0 > self.entries.len() as u64
    }
}

impl Roller {
    /// Ends leases and learning that are over, and rolls every tick before that of `now`. Returns their frames, in order;
    /// none when the tick has not ended. A second without a frame of its own was like the end of the one before it.
    pub fn roll(&mut self, live: &Live, now: Now) -> Vec<Frame> {
        let to = now.wall.tick();
        let behind = to.0.saturating_sub(live.tick.load(Ordering::Acquire));
        let mut frames = Vec::new();
        if behind > RING_TICKS as u64 {
            // What the last second saw is told before a lease that ends now pushes it out of the ring.
            frames = self.roll_to(live, Tick(to.0 - behind + 1));
        }
        live.expire(now);
        live.serve_waiting(now);
        let mut rest = self.roll_to(live, to);
        if self.is_clock_set(now) {
            // Nobody lived through these seconds: they are left out, and what came of them is told of the last.
            let next = rest.get(1).map_or(to.0, |frame| frame.tick);
            rest.iter_mut().take(1).for_each(|first| (first.tick, first.repeat) = (next - 1, 0));
        }
        frames.extend(rest);
        if !frames.is_empty() {
            live.end_learning(now);
        }
        frames
    }

    /// Takes a frame that is done with, for the room of its entries.
    pub fn reuse(&mut self, frame: Frame) {
        self.room.reuse(frame.entries);
    }

    /// Whether the wall clock was put forward by far since the last roll, or the machine slept.
    fn is_clock_set(&mut self, now: Now) -> bool {
        let last = self.last.replace(now).unwrap_or(now);
        now.wall.since(last.wall) > now.mono.since(last.mono) + LONGEST_JUMP
    }

    fn roll_to(&mut self, live: &Live, to: Tick) -> Vec<Frame> {
        let settling = live.is_settling();
        let from = Tick(live.tick.load(Ordering::Acquire));
        if to <= from {
            return Vec::new();
        }
        live.tick.store(to.0, Ordering::Release);
        for key in live.registry.take_gone() {
            // No frame speaks of it again.
            *self.told.entry(key) = Told::default();
        }
        let keys = live.registry.len().max(self.told.len());
        let mut span = Span::new(from, to, keys, std::mem::take(&mut self.room));
        let mut jumped = false;
        for tally in live.registry.tallies() {
            let moved = roll_word(tally, self.level_told(tally.id), &mut span);
            jumped |= moved && span.is_cut();
        }
        let mut coverage = Coverages(ByKey::with_len(keys));
        for meter in live.registry.meters() {
            coverage.add(meter, to, meter.take_lost());
            if let Some((counted, open)) = meter.take_counted() {
                self.told.entry(meter.ids[0]).open = Some(open);
                if !counted.is_empty() {
                    note_ends(meter, &counted, to);
                    self.tell_counted(meter.ids, counted, &mut span.entries[0]);
                }
            }
        }
        self.frames(span, &coverage, settling, jumped)
    }

    fn level_told(&self, key: KeyId) -> u32 {
        self.told.get(key).map_or(0, |told| told.level)
    }

    /// Adds what a meter opened and closed to its entry and to those of its pools.
    fn tell_counted(&mut self, [key, pools @ ..]: [KeyId; 3], counted: Counted, entries: &mut Entries) {
        self.late_events += counted.seldom.as_ref().map_or(0, |seldom| seldom.late.len() as u64);
        let mut own = Entry::default();
        self.gather.tell(&mut own, &counted.durations);
        for pool in pools {
            let entry = entries.entry(pool, self.level_told(pool));
            add_counted(entry, &counted);
            lasted::add(entry, &own.durations, &own.duration_counts);
        }
        let entry = entries.entry(key, self.level_told(key));
        add_counted(entry, &counted);
        (entry.durations, entry.duration_counts) = (own.durations, own.duration_counts);
    }

    fn frames(&mut self, mut span: Span, coverage: &Coverages, settling: bool, jumped: bool) -> Vec<Frame> {
        let mut frames: Vec<Frame> = Vec::with_capacity(span.entries.len());
        for nth in 0..span.entries.len() {
            let tick = span.tick(nth);
            let mut entries = std::mem::take(&mut span.entries[nth]);
            // Of a frame that repeats over an hour, nothing but itself is left when the hour before is folded.
            let may_repeat_long = nth == 0 && span.is_cut();
            let full = !self.started || may_repeat_long || tick.0.is_multiple_of(SECONDS_PER_MINUTE);
            self.started = true;
            self.tell(&mut entries, coverage, full);
            if nth > 0 && !full && entries.is_empty() {
                continue;
            }
            let entries = entries.into_sorted(&mut self.room);
            frames.push(Frame { tick: tick.0, repeat: 0, full, settling, jumped, entries });
        }
        // What no frame speaks of was as it was left.
        let mut next = span.to.0;
        for frame in frames.iter_mut().rev() {
            frame.repeat = next - frame.tick - 1;
            next = frame.tick;
        }
        frames
    }

    /// Puts in what is to be told though nothing was opened or closed: a coverage that changed, and in a full frame all
    /// of which anything is known. Notes what is told.
    fn tell(&mut self, entries: &mut Entries, coverage: &Coverages, full: bool) {
        let keys = self.told.len().max(coverage.0.len()).max(entries.keys());
        for key in (0..keys as u32).map(KeyId) {
            let covered = coverage.get(&key).copied().unwrap_or(Coverage::None);
            let told = self.told.entry(key);
            let unknown = told.level == 0 && covered == Coverage::None && told.unaccounted(0) == 0;
            if covered != told.coverage || (full && !unknown) {
                entries.entry(key, told.level);
            }
            if let Some(entry) = entries.get_mut(key) {
                self.gather.settle(entry);
                entry.set_coverage(covered);
                entry.unaccounted = told.unaccounted(entry.level);
                (told.level, told.coverage) = (entry.level, covered);
            }
        }
    }
}

/// Rolls one word and puts the ticks in which its level moved into the span; returns whether anything happened after the
/// first one.
fn roll_word(tally: &Tally, told: u32, span: &mut Span) -> bool {
    // A key that was made as the last roll went by begins before this span: what it saw then is told in its first tick.
    let first = tally.next_tick().min(span.from);
    tally.set_next_tick(span.to);
    let rolled = tally.word.roll(first, span.to);
    let ticks = if rolled == Rolled::Moved { span.ticks(first) } else { Vec::new() };
    let mut level = told;
    let mut note = |nth: usize, seen: TickPeak| {
        if seen.peak != level || seen.level != level {
            let entry = span.entries[nth].entry(tally.id, level);
            entry.peak = entry.peak.max(seen.peak);
            entry.level = seen.level;
        }
        level = seen.level;
    };
    match rolled {
        Rolled::Still(seen) => {
            note(0, seen);
            false
        }
        Rolled::Moved => {
            for (nth, tick) in ticks {
                if let Some(seen) = tally.word.tick_peak(tick) {
                    note(nth, seen);
                }
            }
            true
        }
    }
}

/// Tells the levels that are enforced how many slots came free, so that they know when to expect the next.
fn note_ends(meter: &Meter, counted: &Counted, to: Tick) {
    let others = counted.seldom.as_ref().map_or(0, |seldom| seldom.closed.iter().sum());
    for scope in meter.scopes().into_iter().filter_map(|tally| tally.scope()) {
        scope.note_ends(to, u64::from(counted.ok + others));
    }
}

/// How the levels of all keys are known.
#[derive(Debug)]
pub struct Coverages(ByKey<Option<Coverage>>);

impl Coverages {
    pub fn get(&self, key: &KeyId) -> Option<&Coverage> {
        self.0.get(*key)?.as_ref()
    }

    /// `was_lost`: of the seconds that are told of, what a worker held was not known in some.
    fn add(&mut self, meter: &Meter, now: Tick, was_lost: bool) {
        let as_told = |coverage| if was_lost && coverage == Coverage::Full { Coverage::Partial } else { coverage };
        let [key, pools @ ..] = meter.ids;
        *self.0.entry(key) = Some(as_told(meter.coverage()));
        let Some(told) = meter.coverage_in_pool(now).map(as_told) else { return };
        for pool in pools {
            let pooled = self.0.entry(pool).get_or_insert(told);
            if *pooled != told {
                *pooled = Coverage::Partial;
            }
        }
    }
}

/// Whether the levels are known: of meters by their workers, of pools by their meters.
pub fn coverage<M: Borrow<Arc<Meter>>>(meters: impl IntoIterator<Item = M>, now: Tick) -> Coverages {
    let mut coverage = Coverages(ByKey::default());
    meters.into_iter().for_each(|meter| coverage.add(meter.borrow(), now, false));
    coverage
}

fn add_counted(entry: &mut Entry, counted: &Counted) {
    entry.opened += counted.opened;
    entry.ok += counted.ok;
    let Some(seldom) = &counted.seldom else { return };
    entry.late_dropped += seldom.late_dropped;
    entry.refused += seldom.refused;
    entry.diverted += seldom.diverted;
    entry.late.extend_from_slice(&seldom.late);
    // No more places than are needed.
    let places = seldom.closed.iter().rposition(|closed| *closed > 0).map_or(0, |last| last + 1);
    if entry.closed.len() < places {
        entry.closed.resize(places, 0);
    }
    entry.closed.iter_mut().zip(seldom.closed).for_each(|(sum, closed)| *sum += closed);
}
