//! The core alone: what a connect and its disconnect cost in process, beside a DashMap that does no more than keep the
//! record, and what a second costs to roll. `cargo bench --bench core`.
//!
//! 2,000 workers hold 500 sessions each, over 1,000 meters with their pools. A batch is 50 disconnects and 50 connects of
//! one worker, in turn; the workers take turns, so that what a batch touches has left the processor's caches.

#[path = "core/cpu.rs"]
mod cpu;
#[path = "core/fleet.rs"]
mod fleet;
#[path = "core/roll.rs"]
mod roll;

use std::{hash::BuildHasher, hint::black_box, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dashmap::DashMap;
use highwater::model::SessionId;

use crate::fleet::{BATCH_PAIRS, Fleet, SESSIONS_EACH, WORKERS, id};

/// The allocator of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What one worker's turn is.
type Turn = fn(&mut Fleet);

/// As many bytes as a record has beside its id, labels aside.
type Record = [u64; 2];

/// A connect and its disconnect.
fn pair(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("connect and disconnect");
    group.throughput(Throughput::Elements(1)).sample_size(10).measurement_time(Duration::from_secs(4));
    for (name, meters_each) in [("highwater, 16 meters a worker", 16), ("highwater, 1,000 meters a worker", 1_000)] {
        let mut fleet = Fleet::new(meters_each);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|pairs| {
                let batches = pairs.div_ceil(BATCH_PAIRS as u64);
                let start = cpu::spent();
                (0..batches).for_each(|_| fleet.batch());
                per_pair(cpu::spent() - start, pairs, batches)
            });
        });
        assert_eq!(fleet.live.audit(), [], "every level is the number of its records");
    }
    let by_itself: [(&str, bool, Turn); 3] = [
        ("reported one by one", false, Fleet::report),
        ("asked for and given back, no limit", false, Fleet::ask),
        ("asked for and given back, three limits", true, Fleet::ask),
    ];
    for (name, enforced, act) in by_itself {
        let mut fleet = Fleet::new(16);
        if enforced {
            fleet.enforce();
        }
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|pairs| {
                let batches = pairs.div_ceil(BATCH_PAIRS as u64);
                let start = cpu::spent();
                (0..batches).for_each(|_| act(&mut fleet));
                per_pair(cpu::spent() - start, pairs, batches)
            });
        });
        assert_eq!(fleet.live.audit(), [], "every level is the number of its records");
    }
    group.bench_function("DashMap alone, its own hasher", |bencher| {
        let map: DashMap<SessionId, Record> = DashMap::new();
        bencher.iter_custom(dashed(&map));
    });
    group.bench_function("DashMap alone, our hasher", |bencher| {
        let map: DashMap<SessionId, Record, _> = DashMap::with_hasher(foldhash::fast::RandomState::default());
        bencher.iter_custom(dashed(&map));
    });
    group.finish();
}

/// The same sessions in the same order, each removed and the next put in.
fn dashed<S: BuildHasher + Clone>(map: &DashMap<SessionId, Record, S>) -> impl FnMut(u64) -> Duration {
    let mut rounds = vec![0_u64; WORKERS];
    for worker in 0..WORKERS {
        for nth in 0..SESSIONS_EACH as u64 {
            map.insert(id(worker, nth), [nth; 2]);
        }
    }
    let mut worker = 0;
    move |pairs| {
        let batches = pairs.div_ceil(BATCH_PAIRS as u64);
        let start = cpu::spent();
        for _ in 0..batches {
            worker = (worker + 1) % WORKERS;
            let first = rounds[worker];
            for nth in first..first + BATCH_PAIRS as u64 {
                black_box(map.remove(&id(worker, nth)));
                black_box(map.insert(id(worker, nth + SESSIONS_EACH as u64), [nth; 2]));
            }
            rounds[worker] += BATCH_PAIRS as u64;
        }
        per_pair(cpu::spent() - start, pairs, batches)
    }
}

/// The time of the pairs that were asked for, of whole batches.
fn per_pair(spent: Duration, pairs: u64, batches: u64) -> Duration {
    Duration::from_secs_f64(spent.as_secs_f64() * pairs as f64 / (batches * BATCH_PAIRS as u64) as f64)
}

criterion_group!(core, pair, roll::roll);
criterion_main!(core);
