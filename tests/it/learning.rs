//! A restart, in the engine alone: the frames up to the crash are rolled again, workers come back with what they hold, and
//! tell again what was not durable. Levels are right, nothing shows a dip, and sums still add up.

use std::{sync::Arc, time::Duration};

use highwater::{
    live::{Attachment, Batch, Event, Hello, Live, Meter, Roller, snapshot::Live as LiveSession},
    model::{
        Bounds, Coverage, Flags, Frame, Incarnation, Key, KeyId, Kind, Meter as Name, Now, Outcome, Point, Project,
        SessionId, Tick, Time,
    },
    rollup::Rollup,
};

const START: u64 = 7_200;

fn at(second: u64) -> Now {
    Now::at(Time::from_secs(START + second).after(Duration::from_millis(500)))
}

fn project() -> Project {
    Project::new("p").unwrap()
}

struct Process {
    live: Live,
    roller: Roller,
    rollup: Rollup,
    frames: Vec<Frame>,
    meter: Arc<Meter>,
}

impl Process {
    /// Starts on the frames of an earlier process, of which these workers were attached.
    fn start(second: u64, keys: Vec<(KeyId, Key)>, frames: Vec<Frame>, known: &[Incarnation]) -> Self {
        let mut rollup = Rollup::new(Duration::from_secs(900), None);
        frames.iter().for_each(|frame| rollup.apply(frame));
        let live = Live::new(Bounds::default(), at(second).wall.tick());
        live.load(keys, &|key| rollup.coverage(key));
        if !known.is_empty() {
            let known = known.iter().map(|who| (project(), *who));
            live.start_learning(known, &|key| rollup.left_open(key), rollup.next_tick().unwrap(), at(second));
        }
        let meter = live.meter(&project(), &Name::new(Kind::Tts, "a/b", "", None).unwrap(), at(second)).unwrap();
        Self { live, roller: Roller::default(), rollup, frames, meter }
    }

    fn attach(&self, who: Incarnation, attach_seq: u64, second: u64, held: &[(u8, u64)]) -> Attachment {
        let (worker, replaces) = ("w".into(), None);
        let hello = Hello { project: project(), worker, incarnation: who, replaces, attach_seq };
        let stream = self.live.attach(&hello, at(second)).unwrap();
        let sessions: Vec<_> = held
            .iter()
            .map(|(id, since)| LiveSession {
                id: SessionId([*id; 16]),
                meter: self.meter.clone(),
                age: Duration::from_secs(second - since),
                labels: None,
            })
            .collect();
        let digest = sessions.iter().fold(0, |digest, session| digest ^ session.id.digest());
        let last = Some((sessions.len() as u64, digest));
        let taken = self.live.snapshot(&stream, 0, sessions, last, at(second)).unwrap();
        assert!(matches!(taken, Batch::Applied(_)));
        stream
    }

    fn open(&self, id: u8, age: u64) -> Event {
        let age = Duration::from_secs(age);
        Event::Open { id: SessionId([id; 16]), meter: self.meter.clone(), age, labels: None }
    }

    fn close(&self, id: u8, age: u64) -> Event {
        let age = Duration::from_secs(age);
        Event::Close { id: SessionId([id; 16]), outcome: Outcome::Ok, age, meter: Some(self.meter.clone()) }
    }

    fn batch(&self, stream: &Attachment, seq: u64, events: Vec<Event>, second: u64) {
        let taken = self.live.batch(stream, seq, events, at(second)).unwrap();
        assert!(matches!(taken, Batch::Applied(_)), "{taken:?}");
    }

    fn beat(&self, stream: &Attachment, second: u64) {
        assert_eq!(self.live.beat(stream, None, at(second)).unwrap(), Batch::Ignored);
    }

    fn roll(&mut self, second: u64) {
        for frame in self.roller.roll(&self.live, at(second)) {
            self.rollup.apply(&frame);
            self.frames.push(frame);
        }
    }

    fn minute(&mut self, nth: u32) -> Point {
        let minute = Tick(START).minute();
        let minute = highwater::model::Minute(minute.0 + nth);
        self.rollup.points(self.meter.tally.id, minute..minute.next())[0].1
    }

    /// Opened, and closed in any way, by the history.
    fn sums(&mut self, minutes: u32) -> (u32, u32) {
        (0..minutes)
            .map(|nth| self.minute(nth))
            .fold((0, 0), |sum, point| (sum.0 + point.opened, sum.1 + point.closed.iter().sum::<u32>()))
    }
}

const ONE: Incarnation = Incarnation([1; 16]);
const TWO: Incarnation = Incarnation([2; 16]);

/// Worker one holds sessions 1, 2, 3 and worker two holds 4; the process dies at second 30 with second 29 undurable.
fn crashed() -> (Vec<(KeyId, Key)>, Vec<Frame>) {
    let mut before = Process::start(0, Vec::new(), Vec::new(), &[]);
    let one = before.attach(ONE, 1, 0, &[]);
    let two = before.attach(TWO, 1, 0, &[]);
    before.batch(&one, 1, vec![before.open(1, 0), before.open(2, 0), before.open(3, 0)], 1);
    before.batch(&two, 1, vec![before.open(4, 0)], 2);
    (3..30).for_each(|second| {
        before.beat(&one, second);
        before.beat(&two, second);
        before.roll(second);
    });
    (before.live.registry.take_new_keys(), before.frames)
}

#[test]
fn a_restart_under_load_shows_no_dip_and_sums_add_up() {
    let (keys, frames) = crashed();
    let mut after = Process::start(40, keys, frames, &[ONE, TWO]);
    after.roll(41);
    assert!(after.live.is_settling());
    // While the service was down (29 to 40), session 1 ended at 35, session 5 began at 33, session 6 lived from 31 to 34.
    let one = after.attach(ONE, 2, 42, &[(2, 1), (3, 1), (5, 33)]);
    let missed = vec![after.open(5, 9), after.open(6, 11), after.close(6, 8), after.close(1, 7)];
    after.batch(&one, 9, missed, 42);
    let two = after.attach(TWO, 2, 42, &[(4, 2)]);
    after.roll(43);
    after.roll(44);
    assert!(!after.live.is_settling(), "every worker it knew has returned");
    assert_eq!(after.meter.tally.word.level(), 4);
    for second in 45..130 {
        after.beat(&one, second);
        after.beat(&two, second);
        after.roll(second);
    }
    let minute = after.minute(0);
    // From 33 to 34 sessions 1 to 6 were live: that is the highest, and late events told of it.
    assert_eq!((minute.peak, minute.peak_second), (6, 33));
    assert!(minute.flags.has(Flags::PARTIAL) && minute.flags.has(Flags::LATE));
    assert_eq!(minute.covered, 60, "no second is unknown");
    assert_eq!(after.minute(1).flags, Flags::default());
    assert_eq!(after.sums(2), (6, 2));
    assert_eq!(after.live.audit(), []);
}

#[test]
fn what_no_worker_accounts_for_is_lost_when_learning_ends() {
    let (keys, frames) = crashed();
    let mut after = Process::start(40, keys, frames, &[ONE, TWO]);
    let two = after.attach(TWO, 2, 41, &[(4, 2)]);
    for second in 42..60 {
        after.beat(&two, second);
        after.roll(second);
        assert_eq!(after.live.is_settling(), second < 52, "second {second}");
    }
    for second in 60..130 {
        after.beat(&two, second);
        after.roll(second);
    }
    let lost: u32 = (0..2).map(|nth| after.minute(nth).closed[Outcome::Lost.index()]).sum();
    assert_eq!((after.meter.tally.word.level(), lost), (1, 3));
    let known = after.live.take_roster();
    assert_eq!((known[&(project(), ONE)], known[&(project(), TWO)]), (false, true), "no later restart waits for it");
    assert_eq!(after.sums(2), (4, 3));
}

#[test]
fn a_meter_whose_workers_never_came_back_is_unknown_and_not_zero() {
    let (keys, frames) = crashed();
    let mut after = Process::start(40, keys, frames, &[ONE, TWO]);
    (41..60).for_each(|second| after.roll(second));
    after.roll(190);
    assert_eq!(after.rollup.coverage(after.meter.tally.id), Coverage::None);
    let minute = Tick(START).minute();
    let later = highwater::model::Minute(minute.0 + 1)..highwater::model::Minute(minute.0 + 3);
    assert_eq!(after.rollup.points(after.meter.tally.id, later), []);
}

#[test]
fn a_silent_worker_is_told_that_its_lease_ended_and_history_is_put_right() {
    let mut process = Process::start(0, Vec::new(), Vec::new(), &[]);
    let one = process.attach(ONE, 1, 0, &[]);
    process.batch(&one, 1, vec![process.open(1, 0)], 1);
    (2..20).for_each(|second| process.roll(second));
    assert_eq!(process.meter.tally.word.level(), 0, "lost after ten seconds of silence");
    let told = process.live.batch(&one, 2, vec![process.open(2, 0)], at(20)).unwrap();
    assert_eq!(told, Batch::Expired { lost: 1 });
    // Its session was live all the time.
    let again = process.attach(ONE, 2, 21, &[(1, 1)]);
    for second in 22..70 {
        process.beat(&again, second);
        process.roll(second);
    }
    assert_eq!(process.meter.tally.word.level(), 1);
    let minute = process.minute(0);
    assert_eq!((minute.peak, minute.opened, minute.closed[Outcome::Lost.index()]), (1, 2, 1));
    assert!(minute.flags.has(Flags::LATE));
}

#[test]
fn a_session_that_a_snapshot_left_out_takes_its_outcome_from_what_is_told_again() {
    let mut process = Process::start(0, Vec::new(), Vec::new(), &[]);
    let one = process.attach(ONE, 1, 0, &[]);
    process.batch(&one, 1, vec![process.open(1, 0), process.open(2, 0)], 1);
    process.roll(3);
    process.live.detach(&one);
    let again = process.attach(ONE, 2, 8, &[]);
    let close =
        Event::Close { id: SessionId([1; 16]), outcome: Outcome::Cancelled, age: Duration::from_secs(3), meter: None };
    process.batch(&again, 2, vec![close], 8);
    for second in 9..70 {
        process.beat(&again, second);
        process.roll(second);
    }
    let totals = process.meter.totals();
    assert_eq!(totals.closed[Outcome::Cancelled.index()], 1);
    assert_eq!(totals.closed[Outcome::Lost.index()], 1, "of the other nobody said how it ended");
    assert_eq!(process.live.audit(), []);
}

#[test]
fn a_second_crash_before_learning_ended_loses_no_outcome() {
    let (keys, frames) = crashed();
    let mut second = Process::start(40, keys.clone(), frames, &[ONE, TWO]);
    // Worker one is dead. Worker two returns, and the service dies again while it waits for worker one.
    second.attach(TWO, 2, 41, &[(4, 2)]);
    (42..45).for_each(|at| second.roll(at));
    assert!(second.live.is_settling());
    let mut third = Process::start(50, keys, second.frames, &[TWO]);
    let two = third.attach(TWO, 3, 51, &[(4, 2)]);
    for at in 52..130 {
        third.beat(&two, at);
        third.roll(at);
    }
    assert_eq!(third.meter.tally.word.level(), 1);
    assert_eq!(third.sums(2), (4, 3), "the three sessions of worker one are lost");
    assert_eq!(third.live.audit(), []);
}

#[test]
fn a_worker_that_returns_after_learning_does_not_count_its_past_twice() {
    let (keys, frames) = crashed();
    let mut after = Process::start(40, keys, frames, &[ONE, TWO]);
    let two = after.attach(TWO, 2, 41, &[(4, 2)]);
    let mut one = None;
    for second in 42..130 {
        if second == 58 {
            // The store need not wait for it at the next restart.
            assert_eq!(after.live.take_roster(), [((project(), TWO), true), ((project(), ONE), false)].into());
            one = Some(after.attach(ONE, 2, second, &[(1, 1), (2, 1), (3, 1)]));
            assert_eq!(after.live.take_roster(), [((project(), ONE), true)].into());
        }
        one.iter().chain([&two]).for_each(|stream| after.beat(stream, second));
        after.roll(second);
    }
    let minute = after.minute(0);
    assert_eq!((after.meter.tally.word.level(), minute.peak, minute.covered), (4, 4, 60));
    assert_eq!(minute.closed[Outcome::Lost.index()], 3, "they were given up");
    assert_eq!(after.sums(2), (4 + 3, 3), "and then found again");
}

#[test]
fn a_worker_that_says_goodbye_to_the_next_process_is_waited_for_no_more() {
    let (keys, frames) = crashed();
    let after = Process::start(40, keys, frames, &[ONE, TWO]);
    after.live.goodbye(&project(), ONE, Outcome::Ok, at(41));
    assert_eq!(after.live.take_roster(), [((project(), ONE), false)].into());
    after.live.goodbye(&project(), Incarnation([9; 16]), Outcome::Ok, at(41));
    assert_eq!(after.live.take_roster(), [].into(), "of others the store knows nothing");
}

#[test]
fn sessions_reported_again_after_a_lease_do_not_count_their_past_twice() {
    let mut process = Process::start(0, Vec::new(), Vec::new(), &[]);
    let lease = Duration::from_secs(10);
    let report = |process: &Process, events, second| {
        process.live.report(&project(), "w", ONE, lease, events, at(second)).unwrap();
    };
    report(&process, vec![process.open(1, 0), process.open(2, 0)], 1);
    (2..20).for_each(|second| process.roll(second));
    assert_eq!(process.meter.tally.word.level(), 0);
    // It was out of reach, not dead; session 3 began while nobody heard of it.
    report(&process, vec![process.open(1, 19), process.open(2, 19), process.open(3, 5)], 20);
    for second in 21..70 {
        report(&process, Vec::new(), second);
        process.roll(second);
    }
    let minute = process.minute(0);
    assert_eq!((minute.peak, minute.peak_second), (3, 15));
    assert_eq!(process.live.audit(), []);
}

#[test]
fn a_session_that_ended_in_a_short_restart_keeps_its_outcome_and_has_no_made_up_duration() {
    let (keys, frames) = crashed();
    let mut after = Process::start(30, keys, frames, &[ONE, TWO]);
    let one = after.attach(ONE, 2, 31, &[(2, 1), (3, 1)]);
    after.batch(&one, 9, vec![after.close(1, 1)], 31);
    let two = after.attach(TWO, 2, 31, &[(4, 2)]);
    for second in 32..130 {
        after.beat(&one, second);
        after.beat(&two, second);
        after.roll(second);
    }
    let minute = after.minute(0);
    assert_eq!((minute.closed[Outcome::Ok.index()], minute.closed[Outcome::Lost.index()]), (1, 0));
    assert_eq!(after.sums(2), (4, 1));
    let hour = after.rollup.hour(after.meter.tally.id, Tick(START).hour()).unwrap();
    assert_eq!(hour.durations.total(), 0);
}

#[test]
fn a_late_session_whose_end_overtook_it_is_no_spike_of_now() {
    let mut process = Process::start(0, Vec::new(), Vec::new(), &[]);
    let one = process.attach(ONE, 1, 0, &[]);
    (1..65).for_each(|second| {
        process.beat(&one, second);
        process.roll(second);
    });
    process.batch(&one, 1, vec![process.close(1, 20), process.open(1, 30)], 65);
    process.roll(70);
    let peaks = [process.minute(0), process.minute(1)].map(|minute| (minute.peak, minute.peak_second));
    assert_eq!(peaks, [(1, 35), (0, 0)]);
}
