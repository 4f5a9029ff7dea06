//! The recorder: each second it takes the frame of the live state, rolls it, makes it durable, and folds the hours that
//! are closed. When the store does not answer, counting goes on and frames wait, bounded and counted.

use std::{collections::HashMap, ops::Range};

use crate::{
    live::Roller,
    model::{Frame, Hour, KeyHour, KeyId, Minute, Now, Tick},
    rollup::Rollup,
    service::{
        Service,
        health::{HISTORY, KEEPING, STORE},
    },
    store::{Keeping, KnownWorker, Second, StoreError},
};

/// Frames that wait for a store that does not answer: 15 minutes of seconds. Older ones are dropped, and counted.
const MOST_WAITING_FRAMES: usize = 15 * 60;
/// Hours that are folded in one step, so that a service that was down for long catches up without missing a second.
const MOST_FOLDS_A_STEP: usize = 4;
/// Rows that are made of an hour while others wait: about a millisecond.
const MOST_ROWS_A_LOCK: usize = 64;
/// Keys that a second's frame changes while others wait: a tenth of a millisecond.
const MOST_KEYS_A_LOCK: usize = 256;
/// Hours that a month may have: what retention reckons with.
const HOURS_PER_MONTH: u32 = 31 * 24;
const HOURS_PER_DAY: u32 = 24;
/// Seconds after which the store is asked again how safely it keeps.
const KEEPING_SECONDS: u32 = 60;
/// How long it is told that history was found to be gone: a day, so that somebody sees it.
const LOSS_TOLD_SECONDS: u64 = 24 * 3_600;
/// The note of a store that lost history: when that was noticed (seconds since the Unix epoch).
pub const LOST_NOTE: &str = "history_lost";

/// Makes one service durable. There is one a service, in a thread of its own.
#[derive(Debug, Default)]
pub struct Recorder {
    roller: Roller,
    /// What the store has not taken yet.
    waiting: Second,
    retained: Option<Hour>,
    /// Seconds until the store is asked again how safely it keeps.
    until_keeping: u32,
    /// What was decided of alerts waits, and the log says so.
    keeps_alerts_waiting: bool,
    /// When it was noticed that the store lost history, until the store has the note of it.
    unnoted_loss: Option<Tick>,
    /// When it was last found that history is gone, until that is told no longer.
    found_loss: Option<Tick>,
    /// Whether the note of an earlier process was looked for.
    has_read_note: bool,
}

impl Recorder {
    /// Rolls up to `now`, and writes what came of it. Call it once a second, just after the second has begun.
    pub fn step(&mut self, service: &Service, now: Now) {
        service.end_leaving(now);
        let frames = self.roller.roll(&service.live, now);
        frames.iter().for_each(|frame| take(service, frame));
        let new_keys = service.live.registry.take_new_keys();
        let alerts = service.alerts.step(service, &frames, &new_keys, now);
        match alerts {
            Err(error) if !std::mem::replace(&mut self.keeps_alerts_waiting, true) => {
                tracing::warn!(%error, "the store does not take what was decided of alerts");
            }
            Err(_) => {}
            Ok(()) => self.keeps_alerts_waiting = false,
        }
        self.waiting.frames.extend(frames);
        self.waiting.new_keys.extend(new_keys);
        self.take_roster(service);
        let written = match self.write(service) {
            Err(StoreError::Lost(what)) => self.restore_lost(service, now, &what).and_then(|()| self.write(service)),
            written => written,
        };
        let written = written.and_then(|()| self.note_loss(service)).and_then(|()| service.forget_leaving(now));
        if let Err(error) = written
            .and_then(|()| service.keep_outages(now.wall.tick()))
            .and_then(|()| service.keep_heard())
            .and_then(|()| service.keep_ceilings(now))
            .and_then(|()| service.keep_turns(now))
            .and_then(|()| service.end_over_by_hand(now))
        {
            tracing::warn!(%error, waiting = self.waiting.frames.len(), "the store does not take the last seconds");
            service.health.trouble(STORE, error.to_string());
            let dropped = self.bound_waiting();
            service.counts.recorder.failed(dropped);
        } else if service.health.well(STORE) {
            tracing::info!("the store is well again");
        }
        service.warn_beyond(now.wall.tick());
        service.counts.recorder.stands(self.waiting.frames.len(), self.roller.late_events);
        self.ask_keeping(service, now.wall.tick());
    }

    /// Asks the store now and then how safely it keeps, and tells what is new. That it does not answer is told elsewhere.
    fn ask_keeping(&mut self, service: &Service, now: Tick) {
        if self.until_keeping > 0 {
            self.until_keeping -= 1;
            return;
        }
        let Ok(mut keeping) = service.store.keeping() else { return };
        self.read_noted_loss(service, now);
        self.until_keeping = KEEPING_SECONDS - 1;
        if let Some(lost) = keeping.lost.take() {
            tracing::error!(lost, "history is gone, and shows as a gap");
            self.tell_loss(service, now, lost);
        } else if self.found_loss.is_some_and(|found| now.0 >= found.0 + LOSS_TOLD_SECONDS) {
            service.health.warn(HISTORY, None);
            self.found_loss = None;
        }
        service.health.warn(KEEPING, keeping.danger.clone());
        if service.health.set_keeping(&keeping) {
            let Keeping { promise, words, danger, .. } = keeping;
            match danger {
                None => tracing::info!(%promise, words, "how safely the store keeps what is written"),
                Some(danger) => tracing::warn!(%promise, words, danger, "the store may drop what is stored"),
            }
        }
    }

    /// Writes again what the store lost and the service still knows.
    fn restore_lost(&mut self, service: &Service, now: Now, what: &str) -> Result<(), StoreError> {
        if service.store.restore_lost(&open_rows(service, now))? {
            tracing::warn!(what, "the store lost what it held last, and has it again");
            return Ok(());
        }
        tracing::error!(what, "the store lost what it held: it has again what is still known, and the rest is a gap");
        let words = format!("{what}; what is not known any more shows as a gap");
        self.tell_loss(service, now.wall.tick(), words);
        Ok(())
    }

    /// History is gone: whoever looks within a day is told.
    fn tell_loss(&mut self, service: &Service, noticed: Tick, words: String) {
        service.health.warn(HISTORY, Some(words));
        self.unnoted_loss.get_or_insert(noticed);
        self.found_loss = Some(noticed);
    }

    /// What a process before this one noticed is told on.
    fn read_noted_loss(&mut self, service: &Service, now: Tick) {
        if std::mem::replace(&mut self.has_read_note, true) {
            return;
        }
        let Ok(note) = service.store.note(LOST_NOTE) else {
            self.has_read_note = false;
            return;
        };
        let noticed = note.and_then(|note| note.parse().ok()).map(Tick);
        if let Some(noticed) = noticed.filter(|noticed| now.0 < noticed.0 + LOSS_TOLD_SECONDS) {
            let at = jiff::Timestamp::from_second(i64::try_from(noticed.0).unwrap_or_default()).unwrap_or_default();
            service
                .health
                .warn(HISTORY, Some(format!("some of it is gone, as was noticed at {at}: it shows as a gap")));
            self.found_loss = Some(noticed);
        }
    }

    /// Tells the store when it was noticed that it lost history; again until it has it.
    fn note_loss(&mut self, service: &Service) -> Result<(), StoreError> {
        if let Some(noticed) = self.unnoted_loss {
            service.store.set_note(LOST_NOTE, &noticed.0.to_string())?;
            self.unnoted_loss = None;
        }
        Ok(())
    }

    fn take_roster(&mut self, service: &Service) {
        let worker = |((project, incarnation), here)| (KnownWorker { project, incarnation }, here);
        let roster: HashMap<_, _> = service.live.take_roster().into_iter().map(worker).collect();
        // Of a worker that waits to be written already, the last word counts.
        self.waiting.attached.retain(|known| !roster.contains_key(known));
        self.waiting.gone.retain(|known| !roster.contains_key(known));
        for (worker, here) in roster {
            if here { &mut self.waiting.attached } else { &mut self.waiting.gone }.push(worker);
        }
    }

    /// Drops the oldest of too many; returns how many.
    fn bound_waiting(&mut self) -> usize {
        let over = self.waiting.frames.len().saturating_sub(MOST_WAITING_FRAMES);
        self.waiting.frames.drain(..over);
        over
    }

    fn write(&mut self, service: &Service) -> Result<(), StoreError> {
        let waiting = &self.waiting;
        let nothing = waiting.frames.is_empty() && waiting.new_keys.is_empty();
        if !(nothing && waiting.attached.is_empty() && waiting.gone.is_empty()) {
            let began = service.clock.now().mono;
            service.store.commit(waiting)?;
            service.counts.recorder.committed(service.clock.now().mono.since(began));
            waiting.attached.iter().for_each(|worker| service.live.introduced(&worker.project, worker.incarnation));
            let durable = waiting.frames.last().map(|frame| Tick(frame.tick + frame.repeat));
            std::mem::take(&mut self.waiting).frames.into_iter().for_each(|frame| self.roller.reuse(frame));
            if let Some(tick) = durable {
                service.live.set_durable(tick);
            }
        }
        for _ in 0..MOST_FOLDS_A_STEP {
            let Some((hour, mut rows)) = next_fold(service) else { break };
            let keys: Vec<KeyId> = rows.iter().map(|(key, _)| *key).collect();
            let earlier: HashMap<_, _> = service.store.hour_of(&keys, hour)?.into_iter().collect();
            for (key, row) in &mut rows {
                if let Some(earlier) = earlier.get(key) {
                    row.fill_gaps(earlier);
                }
            }
            service.store.fold(hour, &rows)?;
            service.rollup().folded(hour);
        }
        self.retain(service)
    }

    /// Drops what is older than is to be kept, once an hour.
    fn retain(&mut self, service: &Service) -> Result<(), StoreError> {
        let Some(folded) = service.rollup().open_from().map(Minute::hour) else { return Ok(()) };
        if self.retained == Some(folded) {
            return Ok(());
        }
        let keep = &service.config.retention;
        let back = |hours: u32| Hour(folded.0.saturating_sub(hours));
        let removed = service
            .store
            .retain(back(keep.points_days * HOURS_PER_DAY), back(keep.summaries_months * HOURS_PER_MONTH))?;
        if removed.hours == 0 && removed.summaries == 0 {
            self.retained = Some(folded);
        }
        Ok(())
    }
}

/// Takes a frame into the open minutes, some keys at a time, so that nobody waits long for them.
fn take(service: &Service, frame: &Frame) {
    let Some(course) = service.rollup().begin(frame) else { return };
    each_some(service, |rollup, keys| rollup.fill(&course, keys));
    for entries in frame.entries.chunks(MOST_KEYS_A_LOCK) {
        service.rollup().take(&course, entries);
    }
    each_some(service, |rollup, keys| rollup.forget(&course, frame, keys));
    service.rollup().end(&course);
}

fn each_some(service: &Service, step: impl Fn(&mut Rollup, Range<usize>)) {
    let keys = service.rollup().key_range();
    for first in (0..keys).step_by(MOST_KEYS_A_LOCK) {
        step(&mut service.rollup(), first..keys.min(first + MOST_KEYS_A_LOCK));
    }
}

/// The hours that are open as they stand: a store that lost its frames gets them, so that they are there if the service
/// ends before they are folded.
fn open_rows(service: &Service, now: Now) -> Vec<(KeyId, Hour, KeyHour)> {
    let (oldest, keys) = {
        let rollup = service.rollup();
        (rollup.oldest_hour(), rollup.keys())
    };
    let mut rows = Vec::new();
    let hours = oldest.map_or(0, |oldest| oldest.0)..=now.wall.tick().hour().0;
    for hour in hours.map(Hour).filter(|_| oldest.is_some()) {
        for keys in keys.chunks(MOST_ROWS_A_LOCK) {
            let mut rollup = service.rollup();
            rows.extend(keys.iter().filter_map(|key| Some((*key, hour, rollup.hour(*key, hour)?))));
        }
    }
    rows
}

/// The next hour to fold and its rows. Nothing of it changes any more, so that those who ask need not wait for all of it.
fn next_fold(service: &Service) -> Option<(Hour, Vec<(KeyId, KeyHour)>)> {
    let (hour, keys) = {
        let rollup = service.rollup();
        (rollup.foldable()?, rollup.keys())
    };
    let mut rows = Vec::new();
    for keys in keys.chunks(MOST_ROWS_A_LOCK) {
        let mut rollup = service.rollup();
        rows.extend(keys.iter().filter_map(|key| Some((*key, rollup.hour(*key, hour)?))));
    }
    Some((hour, rows))
}
