//! The roller: once a second it moves every word to the new tick and puts what the past one saw into a frame. Only one
//! roller may run; everything it keeps between ticks is its own.

use std::{sync::Arc, time::Duration};

use rustc_hash::FxHashMap;

use crate::{
    live::{
        Live,
        meter::{Ended, Meter, Tally, Totals},
        sync::Ordering,
        word::{RING_TICKS, Rolled, TickPeak},
    },
    model::{Coverage, Entry, Frame, KeyId, Now, Tick, time::SECONDS_PER_MINUTE},
};

/// The wall clock may be this far ahead of the monotonic one since the last roll, and the levels are still taken for those
/// of all the seconds between. Beyond it they are not known, and a clock set by years makes no years of minutes.
const LONGEST_JUMP: Duration = Duration::from_secs(3_600);

type Entries = FxHashMap<KeyId, Entry>;

/// Makes the frames of one service.
#[derive(Debug, Default)]
pub struct Roller {
    /// What was taken of each meter's sums so far.
    taken: FxHashMap<KeyId, Totals>,
    /// Level and coverage that the frames have told of each key; a key that is not here is not covered.
    told: FxHashMap<KeyId, (u32, Coverage)>,
    started: bool,
    /// Late events so far that changed seconds which had passed.
    pub late_events: u64,
    /// When it came by last.
    last: Option<Now>,
}

/// The ticks of one roll: the first one, and of the others as many of the last as the ring holds.
struct Span {
    from: Tick,
    to: Tick,
    entries: Vec<Entries>,
}

impl Span {
    fn new(from: Tick, to: Tick) -> Self {
        let ticks = (to.0 - from.0).min(RING_TICKS as u64) as usize;
        Self { from, to, entries: vec![Entries::default(); ticks] }
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
        let mut span = Span::new(from, to);
        let tallies = live.registry.all_tallies();
        let meters = live.registry.all_meters();
        let mut jumped = false;
        for tally in &tallies {
            let told = self.level_told(tally.id);
            let moved = roll_word(tally, told, &mut span);
            jumped |= moved && span.is_cut();
        }
        for meter in &meters {
            self.take_sums(meter, &mut span.entries[0]);
        }
        let coverage = coverage(&meters, to);
        self.frames(span, &tallies, &coverage, settling, jumped)
    }

    fn level_told(&self, key: KeyId) -> u32 {
        self.told.get(&key).map_or(0, |(level, _)| *level)
    }

    /// Adds what a meter opened and closed to its entry and to those of its pools.
    fn take_sums(&mut self, meter: &Meter, entries: &mut Entries) {
        // In this order: what is told of an end is never told before it was counted.
        let ended = meter.take_ended();
        self.late_events += ended.late.len() as u64;
        let totals = meter.totals();
        let before = self.taken.insert(meter.tally.id, totals).unwrap_or_default();
        if totals == before && ended.late.is_empty() && ended.durations.is_empty() {
            return;
        }
        for tally in std::iter::once(&meter.tally).chain(&meter.pools) {
            let level = self.level_told(tally.id);
            let entry = entries.entry(tally.id).or_insert_with(|| steady(tally.id, level));
            add_sums(entry, &before, &totals, &ended);
        }
    }

    fn frames(
        &mut self,
        mut span: Span,
        tallies: &[Arc<Tally>],
        coverage: &FxHashMap<KeyId, Coverage>,
        settling: bool,
        jumped: bool,
    ) -> Vec<Frame> {
        let mut frames: Vec<Frame> = Vec::with_capacity(span.entries.len());
        for nth in 0..span.entries.len() {
            let tick = span.tick(nth);
            let mut entries = std::mem::take(&mut span.entries[nth]);
            // Of a frame that repeats over an hour, nothing but itself is left when the hour before is folded.
            let may_repeat_long = nth == 0 && span.is_cut();
            let full = !self.started || may_repeat_long || tick.0.is_multiple_of(SECONDS_PER_MINUTE);
            self.started = true;
            self.tell(&mut entries, tallies, coverage, full);
            if nth > 0 && !full && entries.is_empty() {
                continue;
            }
            let mut entries: Vec<_> = entries.into_values().collect();
            entries.sort_unstable_by_key(|entry| entry.key);
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
    fn tell(
        &mut self,
        entries: &mut Entries,
        tallies: &[Arc<Tally>],
        coverage: &FxHashMap<KeyId, Coverage>,
        full: bool,
    ) {
        for tally in tallies {
            let covered = coverage.get(&tally.id).copied().unwrap_or(Coverage::None);
            let (level, told) = self.told.get(&tally.id).copied().unwrap_or((0, Coverage::None));
            let open = self.taken.get(&tally.id).map(Totals::open);
            let unaccounted = |level: u32| open.map_or(0, |open| open - i64::from(level));
            let unknown = level == 0 && covered == Coverage::None && unaccounted(level) == 0;
            if covered != told || (full && !unknown) {
                entries.entry(tally.id).or_insert_with(|| steady(tally.id, level));
            }
            if let Some(entry) = entries.get_mut(&tally.id) {
                entry.set_coverage(covered);
                entry.unaccounted = unaccounted(entry.level);
                if entry.level == 0 && covered == Coverage::None {
                    self.told.remove(&tally.id);
                } else {
                    self.told.insert(tally.id, (entry.level, covered));
                }
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
    let ticks = span.ticks(first);
    let mut level = told;
    let mut note = |nth: usize, seen: TickPeak| {
        if let Some(entry) = span.entries[nth].get_mut(&tally.id) {
            entry.peak = entry.peak.max(seen.peak);
            entry.level = seen.level;
        } else if seen.peak != level || seen.level != level {
            let entry = Entry { peak: seen.peak, ..steady(tally.id, seen.level) };
            span.entries[nth].insert(tally.id, entry);
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

/// Whether the levels are known: of meters by their workers, of pools by their meters.
pub fn coverage(meters: &[Arc<Meter>], now: Tick) -> FxHashMap<KeyId, Coverage> {
    let mut coverage: FxHashMap<KeyId, Coverage> = FxHashMap::default();
    for meter in meters {
        coverage.insert(meter.tally.id, meter.coverage());
        let Some(told) = meter.coverage_in_pool(now) else { continue };
        for pool in &meter.pools {
            let pooled = coverage.entry(pool.id).or_insert(told);
            if *pooled != told {
                *pooled = Coverage::Partial;
            }
        }
    }
    coverage
}

fn steady(key: KeyId, level: u32) -> Entry {
    Entry { key: key.0, peak: level, level, ..Entry::default() }
}

fn add_sums(entry: &mut Entry, before: &Totals, now: &Totals, ended: &Ended) {
    let grown = |now: u64, before: u64| u32::try_from(now - before).unwrap_or(u32::MAX);
    entry.opened += grown(now.opened, before.opened);
    entry.refused += grown(now.refused, before.refused);
    entry.diverted += grown(now.diverted, before.diverted);
    entry.late_dropped += grown(now.late_dropped, before.late_dropped);
    if now.closed != before.closed {
        entry.closed.resize(now.closed.len(), 0);
        for (sum, (now, before)) in entry.closed.iter_mut().zip(now.closed.into_iter().zip(before.closed)) {
            *sum += grown(now, before);
        }
    }
    entry.durations.extend(&ended.durations);
    entry.late.extend(&ended.late);
}
