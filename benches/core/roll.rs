//! What it costs to roll a second in which 200,000 meters were active: each was opened and closed; and what it then costs to
//! take the frame into the open minutes, where it is taken some keys at a time, under a lock.

use std::{sync::Arc, time::Duration};

use criterion::{Criterion, Throughput};
use highwater::{
    live::{Event, Live, Meter, Roller},
    model::{Bounds, Incarnation, Kind, Meter as MeterName, Now, Outcome, Project},
    rollup::Rollup,
};

use crate::{
    cpu,
    fleet::{at, id},
};

const PROJECTS: usize = 200;
/// Each with a pool across projects, and three kinds.
const MODELS: usize = 1_000;
/// As many as the recorder takes under one lock.
const KEYS_A_LOCK: usize = 256;
const LEASE: Duration = Duration::from_secs(1_000_000);

pub fn roll(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a second of 200,000 active meters");
    group.throughput(Throughput::Elements((PROJECTS * MODELS) as u64)).sample_size(10);
    let live = Live::new(Bounds::default(), at(0).wall.tick());
    let mut meters = Vec::new();
    for nth in 0..PROJECTS {
        let project = Project::new(&format!("bench-{nth}")).expect("the name is one");
        meters.push((project.clone(), (0..MODELS).map(|nth| meter(&live, &project, nth)).collect::<Vec<_>>()));
    }
    let mut roller = Roller::default();
    let mut second = 0;
    group.bench_function("roll", |bencher| {
        bencher.iter_custom(|seconds| {
            let mut spent = Duration::ZERO;
            for _ in 0..seconds {
                move_all(&live, &meters, at(second * 1_000_000 + 500_000), second);
                second += 1;
                let start = cpu::spent();
                let frames = roller.roll(&live, at(second * 1_000_000 + 100));
                spent += cpu::spent() - start;
                assert!(frames.iter().map(|frame| frame.entries.len()).sum::<usize>() >= PROJECTS * MODELS);
                // As the recorder does when a second is durable.
                frames.into_iter().for_each(|frame| roller.reuse(frame));
            }
            spent
        });
    });
    group.throughput(Throughput::Elements(KEYS_A_LOCK as u64));
    group.bench_function("open minutes, one lock of 256 keys", |bencher| {
        let mut rollup = Rollup::new(Duration::from_secs(900), None);
        bencher.iter_custom(|locks| {
            let (mut spent, mut taken) = (Duration::ZERO, 0);
            while taken < locks {
                move_all(&live, &meters, at(second * 1_000_000 + 500_000), second);
                second += 1;
                for frame in roller.roll(&live, at(second * 1_000_000 + 100)) {
                    let course = rollup.begin(&frame).expect("frames come in order");
                    rollup.fill(&course, 0..rollup.key_range());
                    let start = cpu::spent();
                    frame.entries.chunks(KEYS_A_LOCK).for_each(|entries| rollup.take(&course, entries));
                    spent += cpu::spent() - start;
                    taken += frame.entries.len().div_ceil(KEYS_A_LOCK) as u64;
                    rollup.forget(&course, &frame, 0..rollup.key_range());
                    rollup.end(&course);
                    roller.reuse(frame);
                }
            }
            Duration::from_secs_f64(spent.as_secs_f64() * locks as f64 / taken as f64)
        });
    });
    group.finish();
}

fn meter(live: &Live, project: &Project, nth: usize) -> Arc<Meter> {
    let kind = [Kind::Llm, Kind::Stt, Kind::Tts][nth % 3];
    let name = MeterName::new(kind, &format!("bench/model-{nth}"), "", None).expect("the name is one");
    live.meter(project, &name, at(0)).expect("there is room")
}

/// Every meter is opened, and what was opened the second before closed.
fn move_all(live: &Live, meters: &[(Project, Vec<Arc<Meter>>)], now: Now, second: u64) {
    for (worker, (project, meters)) in meters.iter().enumerate() {
        let mut events = Vec::with_capacity(2 * meters.len());
        for (nth, meter) in meters.iter().enumerate() {
            let session = |second: u64| id(worker, second * MODELS as u64 + nth as u64);
            let age = Duration::ZERO;
            events.push(Event::Open { id: session(second + 1), meter: meter.clone(), age, labels: None });
            if second > 0 {
                let outcome = Outcome::Ok;
                events.push(Event::Close { id: session(second), outcome, age, meter: None });
            }
        }
        let mut incarnation = [1; 16];
        incarnation[0] = worker as u8;
        let told = live.report(project, "bench", Incarnation(incarnation), LEASE, events, now);
        assert!(told.is_ok(), "{told:?}");
    }
}
