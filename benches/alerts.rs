//! What a second costs the alerts of 200,000 meters under the rules of the start: a quiet one, one in which a tenth of
//! the levels move, a full frame, and one in which a limit changed. Prints the median and the slowest of many.

use std::time::{Duration, Instant};

use highwater::{
    alert::{Engine, Keys, RuleBook},
    model::{Coverage, Entry, Frame, Key, KeyId, Kind, Meter, Project, Target, Tick},
};

const METERS: u32 = 200_000;
const METERS_A_PROJECT: u32 = 1_000;
const LIMIT: u32 = 100;
const ROUNDS: u64 = 50;
/// Every so many a meter is near its limit all the time: its alert is evaluated each second.
const NEAR_EVERY: u32 = 100;

struct Meters(Vec<Key>);

impl Keys for Meters {
    fn key(&self, id: KeyId) -> Option<Key> {
        self.0.get(id.0 as usize).cloned()
    }

    fn limit(&self, _: KeyId, _: Tick) -> Option<u32> {
        Some(LIMIT)
    }
}

fn meters() -> Meters {
    let key = |id: u32| {
        let project = Project::new(&format!("project-{}", id / METERS_A_PROJECT)).expect("the name is one");
        let model = format!("provider/model-{}", id % METERS_A_PROJECT);
        let meter = Meter::new(Kind::Tts, &model, "", None).expect("the name is one");
        Key { project, target: Target::Meter(meter) }
    };
    Meters((0..METERS).map(key).collect())
}

fn entry(key: u32, tick: u64) -> Entry {
    let level = if key.is_multiple_of(NEAR_EVERY) { 85 } else { (key + tick as u32) % 70 };
    Entry { key, level, peak: level + 1, coverage: Coverage::Full as i32, ..Entry::default() }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn measure(name: &str, frame: impl Fn(u64) -> Frame, again: bool) {
    let meters = meters();
    let project = meters.0[0].project.clone();
    let mut engine = Engine::new(RuleBook::default(), []);
    let all =
        Frame { tick: 1, full: true, entries: (0..METERS).map(|key| entry(key, 1)).collect(), ..Frame::default() };
    engine.take(&all, &[], &meters);
    let mut times: Vec<Duration> = (2..2 + ROUNDS)
        .map(|tick| {
            let frame = frame(tick);
            let start = Instant::now();
            if again {
                engine.look_again(&project, &meters, Tick(tick));
            }
            engine.take(&frame, &[], &meters);
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!("{name}: median {:?}, slowest {:?}", times[times.len() / 2], times[times.len() - 1]);
}

fn main() {
    let of = |tick: u64, every: usize, full: bool| {
        let entries = (0..METERS).step_by(every).map(|key| entry(key, tick)).collect();
        Frame { tick, full, entries, ..Frame::default() }
    };
    measure("a second in which nothing happens", |tick| Frame { tick, ..Frame::default() }, false);
    measure("a second in which a tenth of 200,000 meters moves", |tick| of(tick, 10, false), false);
    measure("a full frame of 200,000 meters", |tick| of(tick, 1, true), false);
    measure("the same after a change of a project's rules", |tick| of(tick, 1, true), true);
}
