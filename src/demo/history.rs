//! Seven days of the simulated fleet, run through the engine as a service would have seen them, and written as such a
//! service would have left its store: closed hours folded, the seconds of open ones as frames, the workers of calls in
//! progress known. So the service that opens the store goes on from there as after a restart, without a seam.

use std::{collections::HashMap, sync::Arc, time::Duration};

use crate::{
    live::{Attachment, Event, Hello, Live, Meter, Refusal, Roller},
    model::{
        Bounds, Coverage, Frame, Hour, Incarnation, Key, KeyHour, KeyId, LimitEntry, Now, Outcome, Project, SessionId,
        Tick, Time,
    },
    rollup::Rollup,
    service::chains::{SetBy, chain_document},
    sim::{Call, Happening, Schedule, Step},
    store::{Change, KnownWorker, Second, Store, StoreError},
};

/// Who set the limits and chains, as people see it.
pub const SET_BY: &str = "simulation";
/// How long before the history begins the limits were set.
const LIMITS_SET_BEFORE: Duration = Duration::from_secs(24 * 3_600);
/// How long a simulated worker of the past may be silent: for ever.
const NO_LEASE: Duration = Duration::from_secs(u64::MAX / 1_000_000 / 4);
/// Seconds that are rolled in one step: no more than the ring of a meter holds, and never of two minutes, so that what was
/// opened and closed counts in its own.
const SECONDS_A_ROLL: u64 = 30;
/// Hours that are written in one step.
const HOURS_A_WRITE: usize = 24;

/// Why there is no history.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the engine refused the simulation: {0}")]
    Refused(#[from] Refusal),
}

/// The first second of the step that a second is rolled in.
const fn roll_start(tick: Tick) -> Tick {
    Tick(tick.0 / SECONDS_A_ROLL * SECONDS_A_ROLL)
}

/// The second after the last of that step.
const fn roll_end(tick: Tick) -> Tick {
    Tick(roll_start(tick).0 + SECONDS_A_ROLL)
}

/// The incarnation of the worker process that takes a call.
pub fn incarnation(call: &Call) -> Incarnation {
    Incarnation(SessionId::of_text(call.job.as_bytes()).0)
}

/// The engine under the simulation's clock.
pub struct Past<'s> {
    store: &'s dyn Store,
    project: Project,
    live: Live,
    roller: Roller,
    rollup: Rollup,
    /// The first second that is not rolled.
    rolled: Tick,
    workers: HashMap<u64, Worker>,
    /// Frames that speak of seconds that are not folded.
    frames: Vec<Frame>,
    rows: Vec<(KeyId, Hour, KeyHour)>,
    folded: Option<Hour>,
    hours_waiting: usize,
}

/// A worker process of the past.
struct Worker {
    stream: Attachment,
    seq: u64,
    process: Process,
}

/// A worker process that is there when the history ends, with the sessions that it holds then.
#[derive(Clone, Debug)]
pub struct Process {
    pub call: Arc<Call>,
    /// Places of the sessions in the call.
    pub open: Vec<usize>,
}

impl<'s> Past<'s> {
    /// Begins in an empty store, with the limits that the fleet is under, and its chains.
    ///
    /// # Errors
    /// When the store can't be written.
    pub fn begin(store: &'s dyn Store, project: Project, from: Time) -> Result<Self, HistoryError> {
        let bounds = Bounds { lease: NO_LEASE, ..Bounds::default() };
        let rollup = Rollup::new(bounds.late_until, Some(from.tick().hour()));
        let live = Live::new(bounds, from.tick());
        live.load(store.keys()?, &|_| Coverage::None);
        let entry = |slots| LimitEntry {
            slots: Some(slots),
            start: from.before(LIMITS_SET_BEFORE),
            end: None,
            set_by: SET_BY.to_owned(),
            reason: "what the simulated fleet has contracted".to_owned(),
        };
        let limits: Vec<_> = crate::sim::limits()
            .into_iter()
            .map(|(target, slots)| {
                let key = Key { project: project.clone(), target };
                (live.registry.tally(&key, from.tick()).id, entry(slots))
            })
            .collect();
        let set = SetBy {
            set_by: SET_BY.to_owned(),
            at: from.before(LIMITS_SET_BEFORE),
            reason: "what the simulated fleet falls back to".to_owned(),
        };
        let documents = crate::sim::chains(&project).iter().map(|chain| chain_document(chain, &set)).collect();
        store.change(&Change { new_keys: live.registry.take_new_keys(), limits, documents, ..Change::default() })?;
        Ok(Self {
            store,
            project,
            live,
            roller: Roller::default(),
            rollup,
            rolled: from.tick(),
            workers: HashMap::new(),
            frames: Vec::new(),
            rows: Vec::new(),
            folded: None,
            hours_waiting: 0,
        })
    }

    /// Lives through the schedule up to the start of a second.
    ///
    /// # Errors
    /// When the store can't be written.
    pub fn live_until(&mut self, schedule: &mut Schedule, to: Tick) -> Result<(), HistoryError> {
        while let Some(happening) = schedule.next_before(to.start()) {
            let closes = matches!(happening.step, Step::Closes(_) | Step::Ends);
            let tick = if closes { happening.at.tick_before() } else { happening.at.tick() };
            if tick >= roll_end(self.rolled) {
                self.roll_to(roll_start(tick))?;
            }
            self.apply(&happening)?;
        }
        self.roll_to(to)
    }

    fn apply(&mut self, happening: &Happening) -> Result<(), HistoryError> {
        let Happening { at, step, nth, call } = happening;
        let now = Now::at(*at);
        let place = match step {
            Step::Begins => {
                let stream = self.attach(call, now)?;
                let process = Process { call: call.clone(), open: Vec::new() };
                self.workers.insert(*nth, Worker { stream, seq: 0, process });
                return Ok(());
            }
            Step::Ends => {
                self.workers.remove(nth);
                self.live.goodbye(&self.project, incarnation(call), Outcome::Ok, now);
                return Ok(());
            }
            Step::Opens(place) | Step::Closes(place) => *place,
        };
        let Some(worker) = self.workers.get_mut(nth) else { return Ok(()) };
        let session = &call.sessions[place];
        let event = if let Step::Opens(_) = step {
            worker.process.open.push(place);
            let meter = self.live.meter(&self.project, &session.meter, now).map_err(Refusal::from)?;
            Event::Open { id: session.id, meter, age: Duration::ZERO, labels: None }
        } else {
            worker.process.open.retain(|open| *open != place);
            Event::Close { id: session.id, outcome: session.outcome, age: Duration::ZERO, meter: None }
        };
        worker.seq += 1;
        let _applied = self.live.batch(&worker.stream, worker.seq, vec![event], now)?;
        Ok(())
    }

    /// A worker that begins names what it will report.
    fn attach(&self, call: &Arc<Call>, now: Now) -> Result<Attachment, Refusal> {
        let hello = Hello {
            project: self.project.clone(),
            worker: call.worker.as_str().into(),
            incarnation: incarnation(call),
            replaces: None,
            attach_seq: 1,
        };
        let stream = self.live.attach(&hello, now)?;
        let _empty = self.live.snapshot(&stream, 0, Vec::new(), Some((0, 0)), now)?;
        let meter = |session: &crate::sim::SimSession| self.live.meter(&self.project, &session.meter, now);
        let meters: Vec<Arc<Meter>> = call.sessions.iter().map(meter).collect::<Result<_, _>>()?;
        self.live.declare(&stream, &meters, now)?;
        Ok(stream)
    }

    /// Rolls every second before `tick`, so many at a time as the engine can.
    fn roll_to(&mut self, tick: Tick) -> Result<(), HistoryError> {
        let mut rolled = self.rolled;
        while rolled < tick {
            rolled = tick.min(roll_end(rolled));
            let frames = self.roller.roll(&self.live, Now::at(rolled.start()));
            frames.iter().for_each(|frame| self.rollup.apply(frame));
            self.frames.extend(frames);
        }
        self.rolled = rolled;
        while let Some(hour) = self.rollup.foldable() {
            self.fold(hour)?;
        }
        Ok(())
    }

    fn fold(&mut self, hour: Hour) -> Result<(), HistoryError> {
        self.rows.extend(self.rollup.rows(hour).into_iter().map(|(key, row)| (key, hour, row)));
        self.rollup.folded(hour);
        let end = hour.next().first_tick().0;
        self.frames.retain(|frame| frame.tick + frame.repeat >= end);
        self.folded = Some(hour);
        self.hours_waiting += 1;
        if self.hours_waiting >= HOURS_A_WRITE { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), HistoryError> {
        self.store.put_hours(&self.live.registry.take_new_keys(), &self.rows)?;
        self.rows.clear();
        self.hours_waiting = 0;
        Ok(())
    }

    /// Writes what is not written: the store is then as a service leaves it that was alive up to the last second. Returns
    /// the workers that are there.
    ///
    /// # Errors
    /// When the store can't be written.
    pub fn end(mut self) -> Result<Vec<Process>, HistoryError> {
        self.write()?;
        if let Some(hour) = self.folded {
            self.store.fold(hour, &[])?;
        }
        let here = self.live.take_roster().into_iter().filter(|(_, here)| *here);
        let attached = here.map(|((project, incarnation), _)| KnownWorker { project, incarnation }).collect();
        self.store.commit(&Second { frames: self.frames, attached, ..Second::default() })?;
        Ok(self.workers.into_values().map(|worker| worker.process).collect())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::{
        model::{Flags, Kind, Target},
        sim::Fleet,
        store::EmbeddedStore,
    };

    const HOURS: u64 = 3;
    /// Monday, 6 January 2025, 13:00 UTC.
    const FROM: Time = Time::from_secs(1_736_168_400);

    /// The levels of each minute as the schedule has them, by a naive count.
    fn naive(kind: Kind) -> Vec<u32> {
        let (mut level, mut peaks) = (0_i32, vec![0; HOURS as usize * 60]);
        let mut schedule = Fleet::new(1, TimeZone::UTC).schedule(FROM);
        let mut minute = 0;
        while let Some(next) = schedule.next_before(FROM.after(Duration::from_secs(HOURS * 3_600))) {
            let (place, by) = match next.step {
                Step::Opens(place) => (place, 1),
                Step::Closes(place) => (place, -1),
                _ => continue,
            };
            if next.call.sessions[place].meter.kind != kind {
                continue;
            }
            let now = next.at.since(FROM).as_secs() as usize / 60;
            (minute + 1..=now).for_each(|minute| peaks[minute] = level);
            level += by;
            minute = now;
            peaks[minute] = peaks[minute].max(level);
        }
        peaks.into_iter().map(|peak| peak.unsigned_abs()).collect()
    }

    #[test]
    fn the_store_holds_what_happened_and_who_is_there() {
        let store = EmbeddedStore::in_memory().unwrap();
        let mut schedule = Fleet::new(1, TimeZone::UTC).schedule(FROM);
        let mut past = Past::begin(&store, Project::new("demo").unwrap(), FROM).unwrap();
        let to = FROM.after(Duration::from_secs(HOURS * 3_600)).tick();
        past.live_until(&mut schedule, Tick(to.0 - 77)).unwrap();
        past.live_until(&mut schedule, to).unwrap();
        let processes = past.end().unwrap();
        assert_eq!(processes.len(), store.known_workers().unwrap().len());

        let target = Target::KindPool { kind: Kind::Tts, account: "livekit".into() };
        let key = store.keys().unwrap().into_iter().find(|(_, key)| key.target == target).unwrap().0;
        let mut rollup = Rollup::new(Bounds::default().late_until, store.folded_until().unwrap());
        store.frames().unwrap().iter().for_each(|frame| rollup.apply(frame));
        assert_eq!(rollup.next_tick(), Some(to));
        let first = FROM.tick().hour();
        let mut points: Vec<_> = store.hours(key, first..Hour(first.0 + HOURS as u32)).unwrap();
        points
            .extend((0..HOURS as u32).filter_map(|n| Some((Hour(first.0 + n), rollup.hour(key, Hour(first.0 + n))?))));
        let points: Vec<_> = points.iter().flat_map(|(_, hour)| hour.points).collect();
        assert!(points.iter().all(|point| point.covered == 60 && point.flags == Flags::default()));
        assert_eq!(points.iter().map(|point| point.peak).collect::<Vec<_>>(), naive(Kind::Tts));
        let held: usize = processes
            .iter()
            .flat_map(|p| p.open.iter().map(|place| &p.call.sessions[*place]))
            .filter(|s| s.meter.kind == Kind::Tts)
            .count();
        assert_eq!(rollup.level(key) as usize, held);
    }
}
