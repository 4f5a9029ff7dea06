//! Runs a trace through the real engine under the trace's own clock, into a store.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
    sync::Arc,
    time::Duration,
};

use crate::{
    history::histogram::Distribution,
    import::{
        gather::{Gathered, Session, TraceEvent},
        report::{Line, Report},
    },
    live::{Attachment, Batch, Event, Gone, Hello, Live, Meter, Refusal, Roller},
    model::{
        self, Bounds, Catalogue, Coverage, Hour, Incarnation, Key, KeyHour, KeyId, Now, Project, SessionId,
        SparseCounts, Tick, Time,
    },
    rollup::Rollup,
    store::{Store, StoreError},
};

/// Longest trace that is taken, in days: twice the 13 months that hours are kept by default.
const MAX_TRACE_DAYS: u64 = 800;
const MAX_TRACE: Duration = Duration::from_secs(MAX_TRACE_DAYS * 24 * 3_600);
/// Hours that are written to the store in one step.
const HOURS_A_WRITE: usize = 24;
/// How long a worker of a trace may be silent: for ever.
const NO_LEASE: Duration = Duration::from_secs(u64::MAX / 1_000_000 / 4);

/// Why a trace was not imported; the store is as it was unless it says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the trace has no sessions to import")]
    Empty,
    #[error("{} has history in {} already; use --replace to replace what lies in the trace's time", key, hour_text(*hour))]
    Overlap { key: Key, hour: Hour },
    #[error(
        "the trace spans more than {MAX_TRACE_DAYS} days, from {} (line {}) to {} (line {}): a date is wrong, or it is to be \
         split",
        super::report::time_text(first.0), first.1, super::report::time_text(last.0), last.1
    )]
    TooLong { first: (Time, u64), last: (Time, u64) },
    #[error("the engine refused the trace: {0}")]
    Refused(#[from] Refusal),
}

fn hour_text(hour: Hour) -> String {
    super::report::time_text(hour.first_tick().start())
}

/// How an import is done.
#[derive(Clone, Debug)]
pub struct Options {
    pub project: Project,
    /// Replace what the project has in the trace's time.
    pub replace: bool,
}

/// The engine under a trace's clock.
struct Engine<'a> {
    live: Live,
    roller: Roller,
    rollup: Rollup,
    store: &'a dyn Store,
    project: &'a Project,
    /// Of keys of the project: what is written of them adds up to these.
    levels: HashMap<KeyId, SparseCounts>,
    rows: Vec<(KeyId, Hour, KeyHour)>,
    hours_waiting: usize,
}

/// Runs a trace into a store, telling `progress` how many of how many events are done. `tell` is called once nothing speaks
/// against it any more, and before anything is changed: what tells of the import is written first.
///
/// # Errors
/// When there is nothing to import, there is history in its time and `replace` is not asked for, or the store fails; in
/// the last case what was written up to then stays, and the import can be repeated with `replace`.
pub fn run(
    store: &dyn Store,
    trace: &Gathered,
    options: &Options,
    tell: &mut dyn FnMut() -> Result<(), StoreError>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report, ImportError> {
    let (first, last) = trace.window().ok_or(ImportError::Empty)?;
    if last.since(first) > MAX_TRACE {
        let (first_line, last_line) = trace.window_lines();
        return Err(ImportError::TooLong { first: (first, first_line), last: (last, last_line) });
    }
    let hours = first.tick().hour()..last.tick_before().hour().next();
    make_room(store, options, hours, tell)?;

    let first_tick = first.tick();
    let live = Live::new(unbounded(), first_tick);
    live.load(store.keys()?, &|_| Coverage::None);
    let rollup = Rollup::new(Duration::ZERO, Some(first_tick.hour()));
    let mut engine = Engine {
        live,
        roller: Roller::default(),
        rollup,
        store,
        project: &options.project,
        levels: HashMap::new(),
        rows: Vec::new(),
        hours_waiting: 0,
    };
    let meters = engine.meters(trace, first)?;
    let workers = engine.workers(trace, &meters, first)?;
    let mut peaks = Peaks::default();
    let events = trace.events();
    let mut seqs = vec![0; workers.len()];
    for (done, event) in (0_u64..).zip(&events) {
        if done.is_multiple_of(4_096) {
            progress(done, events.len() as u64);
        }
        engine.roll_to(if event.is_open { event.at.tick() } else { event.at.tick_before() })?;
        let session = &trace.sessions[event.session as usize];
        let (worker, meter) = (session.worker as usize, &meters[session.meter as usize]);
        seqs[worker] += 1;
        engine.apply(&workers[worker], seqs[worker], one(event, session, meter), event.at)?;
        if event.is_open {
            peaks.note(meter, event.at);
        }
    }
    engine.roll_to(last.tick_before().next())?;
    engine.fold_all()?;
    progress(events.len() as u64, events.len() as u64);
    Ok(engine.report(trace, &meters, &peaks, (first, last)))
}

/// Refuses an import over what is there, or removes it.
fn make_room(
    store: &dyn Store,
    options: &Options,
    hours: Range<Hour>,
    tell: &mut dyn FnMut() -> Result<(), StoreError>,
) -> Result<(), ImportError> {
    let first = store.first_hour(&options.project, hours.clone())?;
    if let Some((key, hour)) = first.clone().filter(|_| !options.replace) {
        return Err(ImportError::Overlap { key, hour });
    }
    tell()?;
    if first.is_some() {
        store.remove_hours(&options.project, hours)?;
    }
    Ok(())
}

/// The models that the built-in catalogue does not know, by name.
fn unknown_models(trace: &Gathered) -> Vec<String> {
    let catalogue = Catalogue::builtin();
    let is_unknown =
        |meter: &&model::Meter| meter.kind.has_model() && catalogue.find(meter.kind, &meter.model).is_none();
    let names: BTreeSet<_> = trace.meters.iter().filter(is_unknown).map(|meter| meter.model.to_string()).collect();
    names.into_iter().collect()
}

fn one(event: &TraceEvent, session: &Session, meter: &Arc<Meter>) -> Event {
    let (id, outcome) = (session.id, session.outcome);
    if event.is_open {
        Event::Open { id, meter: meter.clone(), age: Duration::ZERO, labels: None }
    } else {
        Event::Close { id, outcome, age: Duration::ZERO, meter: None }
    }
}

/// A trace is a fact that is known whole: no bound that protects a service applies.
fn unbounded() -> Bounds {
    let most = u32::MAX as usize;
    Bounds {
        projects: most,
        meters_per_project: most,
        workers_per_project: most,
        sessions_per_project: most,
        lease: NO_LEASE,
        ..Bounds::default()
    }
}

impl Engine<'_> {
    fn meters(&self, trace: &Gathered, first: Time) -> Result<Vec<Arc<Meter>>, Refusal> {
        let meter = |name| self.live.meter(self.project, name, Now::at(first)).map_err(Refusal::from);
        trace.meters.iter().map(meter).collect()
    }

    /// Every worker is there from the first connect to the last disconnect, and reports the meters of its sessions: a second
    /// without sessions is a known 0.
    fn workers(&self, trace: &Gathered, meters: &[Arc<Meter>], first: Time) -> Result<Vec<Attachment>, Refusal> {
        let mut of_workers = vec![BTreeSet::new(); trace.workers.len()];
        for session in &trace.sessions {
            of_workers[session.worker as usize].insert(session.meter);
        }
        let mut streams = Vec::with_capacity(trace.workers.len());
        for (worker, own) in trace.workers.iter().zip(of_workers) {
            let hello = Hello {
                project: self.project.clone(),
                worker: worker.as_str().into(),
                incarnation: Incarnation(SessionId::of_text(worker.as_bytes()).0),
                replaces: None,
                attach_seq: 1,
            };
            let stream = self.live.attach(&hello, Now::at(first))?;
            let empty = self.live.snapshot(&stream, 0, Vec::new(), Some((0, 0)), Now::at(first))?;
            debug_assert!(matches!(empty, Batch::Applied(_)));
            let own: Vec<_> = own.into_iter().map(|meter| meters[meter as usize].clone()).collect();
            self.live.declare(&stream, &own, Now::at(first))?;
            streams.push(stream);
        }
        Ok(streams)
    }

    fn apply(&self, stream: &Attachment, seq: u64, event: Event, at: Time) -> Result<(), Refusal> {
        match self.live.batch(stream, seq, vec![event], Now::at(at))? {
            Batch::Applied(_) => Ok(()),
            _ => Err(Refusal::Gone(Gone::Ended)),
        }
    }

    /// Rolls every second before `tick`. The first of them is the one in which something happened; it is rolled alone. A
    /// pause is rolled an hour at a time, so that however long it is, only its last hours are in memory.
    fn roll_to(&mut self, tick: Tick) -> Result<(), StoreError> {
        let at = |tick: Tick| Now::at(tick.start());
        let current = self.live.tick(at(Tick(0)));
        if tick <= current {
            return Ok(());
        }
        let mut next = current.next();
        loop {
            for frame in self.roller.roll(&self.live, at(next)) {
                self.rollup.apply(&frame);
            }
            while let Some(hour) = self.rollup.foldable() {
                self.fold(hour)?;
            }
            if next >= tick {
                return Ok(());
            }
            next = next.hour().next().first_tick().min(tick);
        }
    }

    fn fold(&mut self, hour: Hour) -> Result<(), StoreError> {
        for (key, row) in self.rollup.rows(hour) {
            self.levels.entry(key).or_default().merge(&row.levels);
            self.rows.push((key, hour, row));
        }
        self.rollup.folded(hour);
        self.hours_waiting += 1;
        if self.hours_waiting >= HOURS_A_WRITE { self.write() } else { Ok(()) }
    }

    fn fold_all(&mut self) -> Result<(), StoreError> {
        while let Some(hour) = self.rollup.oldest_hour() {
            self.fold(hour)?;
        }
        self.write()
    }

    /// Writes the waiting hours of the project's keys. The pools across projects are left out: other projects' sessions of
    /// that time are not in the trace.
    fn write(&mut self) -> Result<(), StoreError> {
        let names: HashMap<KeyId, Key> = self
            .live
            .registry
            .of_project(self.project)
            .into_iter()
            .map(|tally| (tally.id, tally.key.clone()))
            .collect();
        let rows: Vec<_> = self.rows.drain(..).filter(|(key, _, _)| names.contains_key(key)).collect();
        let names: Vec<_> = names.into_iter().collect();
        self.hours_waiting = 0;
        self.store.put_hours(&names, &rows)
    }

    fn report(&self, trace: &Gathered, meters: &[Arc<Meter>], peaks: &Peaks, window: (Time, Time)) -> Report {
        let mut pools: Vec<_> = meters.iter().map(|meter| &meter.pools[0]).collect();
        pools.sort_by_key(|pool| pool.key.target.clone());
        pools.dedup_by_key(|pool| pool.id);
        let sessions = |key: KeyId| -> u64 {
            let counted = meters.iter().filter(|m| m.tally.id == key || m.pools[0].id == key);
            counted.map(|meter| meter.totals().opened).sum()
        };
        let line = |tally: &crate::live::Tally| {
            let (peak, peak_at) = peaks.of(tally.id);
            let mut seconds = Distribution::default();
            self.levels.get(&tally.id).iter().for_each(|levels| seconds.merge(levels));
            let percentile = |p| seconds.percentile(p).unwrap_or(0);
            let (p50, p95, p99) = (percentile(50.0), percentile(95.0), percentile(99.0));
            Line { target: tally.key.target.clone(), sessions: sessions(tally.id), peak, peak_at, p50, p95, p99 }
        };
        let mut meters: Vec<_> = meters.iter().map(|meter| line(&meter.tally)).collect();
        meters.sort_by(|a, b| (a.target.kind() as u8, &a.target).cmp(&(b.target.kind() as u8, &b.target)));
        let mut pools: Vec<_> = pools.into_iter().map(|pool| line(pool)).collect();
        pools.sort_by_key(|pool| pool.target.kind() as u8);
        let unknown_models = unknown_models(trace);
        let of_project = self.live.registry.of_project(self.project);
        let project_meters = of_project.iter().filter(|tally| !tally.key.target.is_pool()).count();
        let (window, skipped) = (Some(window), trace.skipped.clone());
        Report { meters, pools, window, skipped, unknown_models, project_meters }
    }
}

/// The highest level of each key, and when it was first reached.
#[derive(Debug, Default)]
struct Peaks(HashMap<KeyId, (u32, Time)>);

impl Peaks {
    fn note(&mut self, meter: &Meter, at: Time) {
        for tally in std::iter::once(&meter.tally).chain(&meter.pools) {
            let level = tally.word.level();
            let best = self.0.entry(tally.id).or_default();
            if level > best.0 {
                *best = (level, at);
            }
        }
    }

    fn of(&self, key: KeyId) -> (u32, Time) {
        self.0.get(&key).copied().unwrap_or_default()
    }
}
