//! Alerts under clocks that jump, through a real service and its recorder: what crosses its limit is told of at once.

use std::time::Duration;

use super::*;
use crate::{
    live::Event,
    model::{Incarnation, SessionId, Slew},
    service::record::Recorder,
};

const LEASE: Duration = Duration::from_secs(300);
const DAY: u64 = 24 * 3_600;
/// The second in which the clock is put forward, and back.
const FORWARD: u64 = 60;
const BACK: u64 = 120;
const WITHIN: u64 = 60;

/// A service under a clock of the test's own.
struct Clocked {
    service: Arc<Service>,
    recorder: Recorder,
    slew: Slew,
    /// The wall's time when it began, whole minutes; seconds since then, as a person lives through them; and how far the
    /// wall clock is ahead.
    start: u64,
    lived: u64,
    ahead: u64,
    told: Vec<(u64, String, NoticeKind)>,
}

impl Clocked {
    fn new() -> Self {
        let service = open(&Arc::new(EmbeddedStore::in_memory().unwrap()));
        let start = service.clock.now().wall.tick().minute().next().first_tick().0;
        let mut clocked = Self {
            service,
            recorder: Recorder::default(),
            slew: Slew::default(),
            start,
            lived: 0,
            ahead: 0,
            told: vec![],
        };
        let now = clocked.now();
        clocked.service.set_recipient(recipient("ops"), &Actor::service(), now).unwrap();
        for (model, slots) in [("a/one", 2), ("a/two", 2), ("a/ten", 10)] {
            let author = Author { set_by: "kim".to_owned(), reason: String::new(), actor: Actor::service() };
            let meter = Meter::new(Kind::Tts, model, "", None).unwrap();
            let key = Key { project: key().project, target: Target::Meter(meter) };
            clocked.service.set_limit(&key, slots, None, author, now).unwrap();
        }
        clocked
    }

    fn now(&mut self) -> Now {
        self.slew.now(Time::from_secs(self.start + self.lived + self.ahead), Time::from_secs(self.lived))
    }

    fn live_to(&mut self, second: u64) {
        while self.lived < second {
            self.lived += 1;
            let now = self.now();
            self.recorder.step(&self.service, now);
            self.service.live.heartbeat(&key().project, Incarnation([1; 16]), None, now);
            for delivered in self.service.alerts.claim(&self.service, now, ROOM) {
                self.service.alerts.tried(&self.service, &delivered, &Tried::Sent("250".into()), now);
                for row in &delivered.batch.rows {
                    let model = row.key.as_ref().map(|key| key.target.model().to_owned()).unwrap_or_default();
                    self.told.push((self.lived, model, row.notice));
                }
            }
        }
    }

    fn report(&mut self, events: Vec<Event>) {
        let now = self.now();
        self.service.live.report(&key().project, "w", Incarnation([1; 16]), LEASE, events, now).unwrap();
    }

    fn open(&mut self, model: &str, ids: std::ops::Range<u8>) {
        let now = self.now();
        let name = Meter::new(Kind::Tts, model, "", None).unwrap();
        let meter = self.service.live.meter(&key().project, &name, now).unwrap();
        let event =
            |nth| Event::Open { id: SessionId([nth; 16]), meter: meter.clone(), age: Duration::ZERO, labels: None };
        self.report(ids.map(event).collect());
    }

    fn close(&mut self, ids: std::ops::Range<u8>) {
        let outcome = crate::model::Outcome::Ok;
        let event = |nth| Event::Close { id: SessionId([nth; 16]), outcome, age: Duration::ZERO, meter: None };
        self.report(ids.map(event).collect());
    }

    /// When it was first told that a model is at its limit, after a second.
    fn told_of(&self, model: &str, after: u64) -> Option<u64> {
        let is_of =
            |(at, of, notice): &&(u64, String, NoticeKind)| *at > after && of == model && *notice == NoticeKind::Fired;
        self.told.iter().find(is_of).map(|(at, ..)| *at)
    }
}

/// One model crosses, or none; the clock goes eight days ahead and back; another crosses some seconds after.
#[track_caller]
fn check(first: &str, after: u64) {
    let mut clocked = Clocked::new();
    clocked.live_to(10);
    if !first.is_empty() {
        clocked.open(first, 1..3);
        clocked.live_to(20);
        clocked.close(1..3);
    }
    clocked.live_to(FORWARD);
    clocked.ahead = 8 * DAY;
    clocked.live_to(BACK);
    clocked.ahead = 0;
    clocked.live_to(BACK + after);
    clocked.open("a/two", 5..7);
    clocked.live_to(BACK + after + WITHIN);
    let told = clocked.told_of("a/two", BACK + after);
    assert!(told.is_some_and(|told| told <= BACK + after + 3), "{first:?}, {after}: {:?}", clocked.told);
}

#[test]
fn what_crosses_after_a_clock_went_eight_days_ahead_and_back_is_told_at_once() {
    for after in [1, 30] {
        check("", after);
        check("a/one", after);
    }
}

/// While history's labels wait for the clock, they run at half the pace of time.
#[test]
fn what_lasts_is_counted_by_the_time_that_passes_after_a_clock_was_set_back() {
    let mut clocked = Clocked::new();
    clocked.live_to(10);
    clocked.ahead = 8 * DAY;
    clocked.live_to(20);
    clocked.ahead = 0;
    clocked.live_to(30);
    clocked.open("a/ten", 1..9);
    clocked.live_to(300);
    let told = clocked.told_of("a/ten", 30);
    assert!(told.is_some_and(|told| (150..=155).contains(&told)), "80 % for two minutes: {:?}", clocked.told);
    clocked.close(1..9);
    let phase = |clocked: &Clocked| clocked.service.alerts.list(None).into_iter().map(|past| past.alert.phase).max();
    clocked.live_to(595);
    assert_eq!(phase(&clocked), Some(Phase::Firing));
    clocked.live_to(606);
    assert_eq!(phase(&clocked), Some(Phase::Resolved), "low for five minutes");
}
