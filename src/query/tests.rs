//! Reads against a real service on a store in memory, under a clock of the test's own: what is folded and what is open
//! must read as one.
#![allow(clippy::unwrap_used)]

#[cfg(test)]
mod insight;
#[cfg(test)]
mod known;

use std::{ops::Range, time::Duration};

use super::*;
use crate::{
    config::Config,
    history::{Risk, Week},
    live::Event,
    model::{
        Bound, Flags, Hour, Incarnation, KeyHour, Kind, Labels, Meter, Minute, Now, Outcome, Point, SessionId, Target,
        Tick, Time, request::Evidence,
    },
    service::{Actor, Author, Clock, record::Recorder},
    store::EmbeddedStore,
};

const LEASE: Duration = Duration::from_secs(300);
/// Sessions that are held all the time.
const BASE: u32 = 2;

struct Fixture {
    queries: Queries,
    recorder: Recorder,
    /// Where the test's time begins: a whole hour, after the service was opened.
    start: Time,
    /// Seconds since then that have passed.
    passed: u64,
}

fn key() -> Key {
    let meter = Meter::new(Kind::Tts, "cartesia/sonic-3", "", None).unwrap();
    Key { project: Project::new("demo").unwrap(), target: Target::Meter(meter) }
}

fn id(nth: u32) -> SessionId {
    SessionId(std::array::from_fn(|at| nth.to_le_bytes().get(at).copied().unwrap_or(7)))
}

/// How many sessions minute `minute` opens in its second 5 and closes at its second 25.
const fn burst(minute: u32) -> u32 {
    minute * 7 % 5
}

impl Fixture {
    fn new() -> Self {
        let store = Arc::new(EmbeddedStore::in_memory().unwrap());
        let service = Service::open(Config::default(), store, Clock::start()).unwrap();
        let first = service.live.tick(service.clock.now());
        let start = first.hour().next().first_tick().start();
        Self { queries: Queries::new(service), recorder: Recorder::default(), start, passed: 0 }
    }

    fn service(&self) -> &Service {
        &self.queries.service
    }

    fn now(&self) -> Now {
        Now::at(self.start.after(Duration::from_secs(self.passed)))
    }

    fn minute(&self, nth: u32) -> Minute {
        Minute(self.start.tick().minute().0 + nth)
    }

    fn window(&self, minutes: Range<u32>, width: u32) -> Window {
        Window::new(self.minute(minutes.start)..self.minute(minutes.end), width).unwrap()
    }

    /// Time passes; the worker is heard all along.
    fn pass_to(&mut self, second: u64) {
        while self.passed < second {
            self.passed = (self.passed + 20).min(second);
            let now = self.now();
            self.recorder.step(&self.queries.service, now);
            self.service().live.heartbeat(&key().project, Incarnation([1; 16]), None, now);
        }
    }

    fn report(&self, events: Vec<Event>) {
        let live = &self.service().live;
        live.report(&key().project, "worker-1", Incarnation([1; 16]), LEASE, events, self.now()).unwrap();
    }

    fn open(&self, ids: Range<u32>) {
        let Target::Meter(name) = key().target else { return };
        let meter = self.service().live.meter(&key().project, &name, self.now()).unwrap();
        let labels = || Some(Box::new(Labels { room: "room".into(), ..Labels::default() }));
        let open = |nth| Event::Open { id: id(nth), meter: meter.clone(), age: Duration::ZERO, labels: labels() };
        self.report(ids.map(open).collect());
    }

    fn close(&self, ids: Range<u32>) {
        let close = |nth| Event::Close { id: id(nth), outcome: Outcome::Ok, age: Duration::ZERO, meter: None };
        self.report(ids.map(close).collect());
    }

    /// A base of sessions, and a burst each minute.
    fn run(&mut self, minutes: Range<u32>) {
        if minutes.start == 0 {
            self.pass_to(0);
            self.recorder.step(&self.queries.service, self.now());
            self.open(0..BASE);
        }
        for minute in minutes {
            let ids = 100 * (minute + 1)..100 * (minute + 1) + burst(minute);
            let start = u64::from(minute) * 60;
            self.pass_to(start + 5);
            self.open(ids.clone());
            self.pass_to(start + 25);
            self.close(ids);
            self.pass_to(start + 60);
        }
    }

    fn id(&self) -> crate::model::KeyId {
        self.queries.tally(&key()).unwrap().id
    }

    fn quota(&self, queries: &Queries) -> QuotaView {
        let list = queries.list(&key().project, &Part::default(), self.now()).unwrap();
        list.quotas.into_iter().find(|quota| quota.key == key()).unwrap()
    }
}

#[test]
fn folded_and_open_minutes_read_as_one() {
    let mut fixture = Fixture::new();
    fixture.run(0..190);
    let (queries, id) = (&fixture.queries, fixture.id());
    assert_eq!(fixture.service().rollup().open_from(), Some(fixture.minute(120)));

    let minutes = queries.history(id, &fixture.window(0..195, 1), Detail::Peaks).unwrap();
    let peaks: Vec<_> = (0..195).map(|minute| if minute < 190 { BASE + burst(minute) } else { 0 }).collect();
    let flags: Vec<_> = (0..195).map(|minute| if minute < 190 { 0 } else { Flags::GAP.0 }).collect();
    assert_eq!((&minutes.peaks, &minutes.flags), (&peaks, &flags));

    let all = queries.history(id, &fixture.window(0..195, 1), Detail::All).unwrap();
    assert_eq!((all.peaks, all.flags), (peaks, flags));
    for (minute, step) in (0..190).zip(&all.steps) {
        let base = if minute == 0 { BASE } else { 0 };
        assert_eq!((step.opened, step.closed[0]), (u64::from(base + burst(minute)), u64::from(burst(minute))));
        let second = if burst(minute) > 0 { 5 } else { 0 };
        assert_eq!((step.peak_at.0, step.last), (step.start.first_tick().0 + second, BASE), "{minute}");
    }
    for width in [5, 60] {
        let peaks = queries.history(id, &fixture.window(0..240, width), Detail::Peaks).unwrap();
        let all = queries.history(id, &fixture.window(0..240, width), Detail::All).unwrap();
        assert_eq!((&peaks.peaks, &peaks.flags), (&all.peaks, &all.flags));
        assert!(all.steps.iter().all(|step| step.is_gap() || step.peak == BASE + 4));
        let opened: u64 = all.steps.iter().map(|step| step.opened).sum();
        assert_eq!(opened, u64::from(BASE + (0..190).map(burst).sum::<u32>()));
    }
}

#[test]
fn a_list_knows_the_week_and_keeps_up_with_it() {
    let mut fixture = Fixture::new();
    let author = Author { set_by: "kim".to_owned(), reason: String::new(), actor: Actor::service() };
    fixture.service().set_limit(&key(), BASE + 4, None, author, fixture.now()).unwrap();
    fixture.run(0..70);
    for (to, minutes) in [(71, 70..71), (80, 71..80), (150, 80..150)] {
        fixture.run(minutes);
        let quota = fixture.quota(&fixture.queries);
        assert_eq!(quota, fixture.quota(&Queries::new(fixture.queries.service.clone())), "{to}");
        assert_eq!((quota.level, quota.covered, quota.silent_level), (BASE, true, 0));
        let at = Tick(fixture.minute(2).first_tick().0 + 5);
        assert_eq!((quota.peak, quota.recent_peak), (Some((BASE + 4, at)), BASE + 4));
        assert_eq!(quota.minutes_covered, to);
        assert_eq!(quota.minutes_near, (0..to).filter(|minute| burst(*minute) == 4).count() as u32);
        assert_eq!((quota.week, quota.risk), (Some(Week::Constant), Some(Risk::AtLimit)));
        let bursts: u32 = (0..to).map(burst).sum();
        assert_eq!((quota.opened, quota.closed[0]), (u64::from(BASE + bursts), u64::from(bursts)));
    }
    assert!(fixture.queries.is_at_hand(&key().project, &Part::default(), fixture.now()));
    // Within the minute: what is live is there at once.
    fixture.open(1..9);
    assert!(fixture.queries.is_at_hand(&key().project, &Part::default(), fixture.now()));
    let quota = fixture.quota(&fixture.queries);
    assert_eq!((quota.level, quota.recent_peak, quota.risk), (9, 9, Some(Risk::Over)));
    assert_eq!(quota.peak, Some((9, fixture.now().wall.tick())));
    let pool = fixture
        .queries
        .list(&key().project, &Part { kinds: vec![Kind::Tts], ..Part::default() }, fixture.now())
        .unwrap()
        .quotas
        .remove(0);
    assert_eq!((pool.name.as_ref(), pool.level, pool.limit, pool.risk, pool.week), ("TTS", 9, None, None, None));
    assert!(
        fixture
            .queries
            .list(&key().project, &Part { kinds: vec![Kind::Stt], ..Part::default() }, fixture.now())
            .unwrap()
            .quotas
            .is_empty()
    );
    let pool = Part { most: Some(1), ..Part::default() };
    let first = fixture.queries.list(&key().project, &pool, fixture.now()).unwrap();
    let rest = Part { after: Some(first.quotas[0].id), ..pool };
    let rest = fixture.queries.list(&key().project, &rest, fixture.now()).unwrap();
    assert_eq!((first.more, rest.more, &rest.quotas[0].key), (true, false, &key()));
    let across = fixture.queries.list(&Project::across(), &Part::default(), fixture.now()).unwrap();
    assert_eq!((across.quotas.len(), across.quotas[0].level), (1, 9));
}

#[test]
fn evidence_is_what_the_list_says_and_nothing_of_what_was_never_seen() {
    let mut fixture = Fixture::new();
    let author = Author { set_by: "kim".to_owned(), reason: String::new(), actor: Actor::service() };
    fixture.service().set_limit(&key(), BASE + 4, None, author, fixture.now()).unwrap();
    fixture.run(0..70);
    let refused = Event::Close { id: id(0), outcome: Outcome::Concurrency, age: Duration::ZERO, meter: None };
    fixture.report(vec![refused]);
    fixture.pass_to(71 * 60);
    let evidence = fixture.queries.evidence(&key(), fixture.now()).unwrap();
    let near = (0..70).filter(|minute| burst(*minute) == 4).count() as u32;
    let peak = Some((BASE + 4, Tick(fixture.minute(2).first_tick().0 + 5)));
    let (limit, week) = (Some(BASE + 4), "constant".to_owned());
    let (minutes_near, minutes_covered, turned_away) = (near, 71, 1);
    let peak_bound = Bound::Exact;
    assert_eq!(evidence, Evidence { limit, peak, peak_bound, minutes_near, minutes_covered, week, turned_away });
    let model = Meter::new(Kind::Tts, "nobody/knows-this", "", None).unwrap();
    let unseen = Key { target: Target::Meter(model), ..key() };
    assert_eq!(fixture.queries.evidence(&unseen, fixture.now()).unwrap(), Evidence::default());
}

#[test]
fn five_minutes_are_five_minutes() {
    let mut fixture = Fixture::new();
    let author = Author { set_by: "kim".to_owned(), reason: String::new(), actor: Actor::service() };
    fixture.service().set_limit(&key(), 10, None, author, fixture.now()).unwrap();
    assert_eq!(fixture.quota(&fixture.queries).risk, Some(Risk::Unknown));
    fixture.run(0..1);
    fixture.open(10..18);
    fixture.close(10..18);
    for (second, risk) in [(60, Risk::AtLimit), (120, Risk::AtLimit), (359, Risk::AtLimit), (360, Risk::Ok)] {
        fixture.pass_to(second);
        assert_eq!(fixture.quota(&fixture.queries).risk, Some(risk), "{second}");
    }
    // The worker is not heard any more: its sessions are lost with its lease, and then nobody knows.
    fixture.passed += 301;
    fixture.recorder.step(&fixture.queries.service, fixture.now());
    let quota = fixture.quota(&fixture.queries);
    assert_eq!((quota.covered, quota.risk, quota.level), (false, Some(Risk::Unknown), 0));
    assert_eq!(quota.closed[Outcome::Lost.index()], u64::from(BASE));
}

#[test]
fn what_was_imported_into_an_open_hour_shows() {
    let mut fixture = Fixture::new();
    fixture.run(0..2);
    fixture.pass_to(600);
    let hour = fixture.start.tick().hour();
    let point = Point { peak: 50, peak_second: 3, last: 1, covered: 60, opened: 9, ..Point::default() };
    let mut imported = KeyHour { points: [point; 60], ..KeyHour::gap() };
    imported.points[30..].fill(Point::GAP);
    let before = Hour(hour.0 - 1);
    let rows = [(fixture.id(), before, imported.clone()), (fixture.id(), hour, imported)];
    fixture.service().store.put_hours(&[(fixture.id(), key())], &rows).unwrap();
    let history = |width, detail| {
        let window = Window::new(before.first_minute()..hour.next().first_minute(), width).unwrap();
        fixture.queries.history(fixture.id(), &window, detail).unwrap()
    };
    let expected = |minute: u32| match minute {
        0..30 | 71..90 => 50,
        60..62 => BASE + burst(minute - 60),
        62..=70 => BASE,
        _ => 0,
    };
    let peaks: Vec<_> = (0..120).map(expected).collect();
    let found = history(1, Detail::Peaks);
    assert_eq!(found.peaks[..70], peaks[..70]);
    assert_eq!(found.peaks[71..], peaks[71..]);
    assert_eq!(history(1, Detail::All).peaks, found.peaks);
    let quota = fixture.quota(&fixture.queries);
    let first = Tick(before.first_tick().0 + 3);
    assert_eq!((quota.peak, quota.minutes_covered), (Some((50, first)), 30 + 10));
}

#[test]
fn a_distribution_is_over_every_covered_second() {
    let mut fixture = Fixture::new();
    fixture.run(0..190);
    let first = fixture.start.tick().hour();
    let wanted = Wanted { percentiles: vec![50.0, 100.0], levels: vec![0, BASE, BASE + 4, BASE + 5] };
    let found = fixture.queries.distribution(fixture.id(), first..Hour(first.0 + 9), &wanted).unwrap();
    assert_eq!(found.covered_seconds, 190 * 60);
    assert_eq!(found.levels, [(50.0, BASE), (100.0, BASE + 4)]);
    // From second 5 to second 25, which begins with them.
    let high = (0..190).filter(|minute| burst(*minute) == 4).count() as u64 * 21;
    assert_eq!(found.time_at, [(0, 11_400), (BASE, 11_400), (BASE + 4, high), (BASE + 5, 0)]);
    assert_eq!(found.ended_sessions, u64::from((0..190).map(burst).sum::<u32>()));
    assert!(found.longest.is_some_and(|longest| (19_600..=20_000).contains(&longest)));
    let nothing = fixture.queries.distribution(fixture.id(), Hour(0)..Hour(9), &wanted).unwrap();
    assert_eq!((nothing.covered_seconds, nothing.levels, nothing.longest), (0, Vec::new(), None));
}

#[test]
fn pages_of_sessions_stay_where_they_are() {
    let mut fixture = Fixture::new();
    for nth in 0..10 {
        fixture.open(10 * nth..10 * nth + 3);
        fixture.pass_to(u64::from(nth) + 1);
    }
    let page = |after, target| {
        let filter = SessionFilter { target, worker: Some("worker-1".to_owned()), silent_first: false };
        fixture.queries.sessions(&key().project, &filter, after, 4).unwrap()
    };
    let first = page(None, None);
    assert_eq!((first.sessions.len(), first.total), (4, 30));
    assert!(first.sessions.is_sorted_by_key(|session| session.place));
    // The one that the page ends with goes, and new ones come: the next page is the same.
    let last = first.last.unwrap();
    fixture.report(vec![Event::Close { id: last.id, outcome: Outcome::Ok, age: Duration::ZERO, meter: None }]);
    fixture.open(900..905);
    let mut found: Vec<_> = first.sessions.iter().map(|session| session.place).collect();
    let mut after = Some(last);
    while let Some(place) = after {
        let next = page(Some(place), Some(key().target));
        found.extend(next.sessions.iter().map(|session| session.place));
        assert_eq!((next.total, &*next.sessions[0].labels.room), (34, "room"));
        after = next.last;
    }
    assert_eq!(found.len(), 35);
    assert!(found.is_sorted());
    let filter = SessionFilter { worker: Some("worker-2".to_owned()), ..SessionFilter::default() };
    assert_eq!(fixture.queries.sessions(&key().project, &filter, None, 4).unwrap().total, 0);
    assert_eq!(fixture.queries.status().live_sessions, 34);
}

#[test]
fn what_is_foreign_and_what_is_missing_have_the_same_words() {
    let mut fixture = Fixture::new();
    fixture.run(0..1);
    let words = |project: &str| {
        let project = Project::new(project).unwrap();
        fixture.queries.list(&project, &Part::default(), fixture.now()).unwrap_err().to_string()
    };
    assert_eq!(words("other"), "there is no project other");
    let stranger = Key { project: Project::new("other").unwrap(), ..key() };
    assert_eq!(fixture.queries.tally(&stranger).unwrap_err().to_string(), words("other"));
    assert_eq!(fixture.queries.projects(), [key().project]);
}

/// Thirty sessions that a worker tells of late, each within the same second: they are added up, though they may have come
/// one after another.
#[test]
fn what_late_events_raised_is_marked_and_is_no_risk() {
    let mut fixture = Fixture::new();
    fixture.run(0..2);
    let author = Author { set_by: "ops".to_owned(), reason: String::new(), actor: Actor::service() };
    fixture.service().set_limit(&key(), 10, None, author, fixture.now()).unwrap();
    fixture.pass_to(150);
    let Target::Meter(name) = key().target else { return };
    let meter = fixture.service().live.meter(&key().project, &name, fixture.now()).unwrap();
    let (began, ended) = (Duration::from_secs(10), Duration::from_millis(9_900));
    let events = (9_000..9_030).flat_map(|nth| {
        let open = Event::Open { id: id(nth), meter: meter.clone(), age: began, labels: None };
        [open, Event::Close { id: id(nth), outcome: Outcome::Ok, age: ended, meter: None }]
    });
    fixture.report(events.collect());
    // In the minute in progress, and when it is past.
    for second in [170, 200] {
        fixture.pass_to(second);
        let quota = fixture.quota(&fixture.queries);
        assert_eq!(quota.peak.map(|(peak, _)| peak), Some(BASE + 30));
        assert_eq!((quota.peak_bound, quota.recent_peak, quota.recent_peak_bound), (Bound::AtMost, 32, Bound::AtMost));
        assert!(quota.sure_peak < 9 && quota.recent_sure < 9, "{quota:?}");
        assert_eq!((quota.risk, quota.week, quota.minutes_near), (Some(Risk::Ok), Some(Week::Calm), 0));
    }
}
