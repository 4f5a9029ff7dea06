//! How long history takes: reading seven days of peaks for twenty keys, and folding an hour of 20,000 keys. Prints the
//! median of some rounds; `cargo bench --bench history`.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::{hint::black_box, time::Instant};

use highwater::{
    history::{pack, unpack, unpack_peaks},
    model::{Entry, Frame, Hour, Key, KeyHour, KeyId, Kind, Meter, Point, Project, Target},
    store::{EmbeddedStore, Second, Store},
};

const KEYS: u32 = 20_000;
const CHARTED: u32 = 20;
const WEEK: u32 = 168;
const ROUNDS: usize = 41;

fn main() {
    let hours: Vec<_> = (0..100).map(key_hour).collect();
    let packed: Vec<_> = hours.iter().map(pack).collect();
    let per_hour = |ms: f64| format!("{:.2} µs an hour", ms * 1_000.0 / hours.len() as f64);
    println!(
        "pack            {}",
        per_hour(median(ROUNDS, || hours.iter().for_each(|hour| drop(black_box(pack(hour))))))
    );
    let unpack_all = || packed.iter().for_each(|bytes| drop(black_box(unpack(bytes))));
    println!("unpack          {}", per_hour(median(ROUNDS, unpack_all)));
    let unpack_all_peaks = || {
        for bytes in &packed {
            let _ = black_box(unpack_peaks(bytes));
        }
    };
    println!("unpack peaks    {}", per_hour(median(ROUNDS, unpack_all_peaks)));

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let store = EmbeddedStore::open(&path).unwrap();
    let keys: Vec<_> = (0..KEYS).map(|n| (KeyId(n), key(n))).collect();
    store.commit(&Second { new_keys: keys, ..Second::default() }).unwrap();
    // The week of the keys that are charted, between those of others.
    for hour in 0..WEEK {
        let rows: Vec<_> = (0..CHARTED * 10).map(|n| (KeyId(n * 7), Hour(hour), key_hour(n + hour))).collect();
        store.put_hours(&[], &rows).unwrap();
    }
    let read = || {
        for n in 0..CHARTED {
            let peaks = store.peaks(KeyId(n * 70), Hour(0)..Hour(WEEK)).unwrap();
            assert_eq!(peaks.len(), WEEK as usize);
            black_box(peaks);
        }
    };
    println!("peaks of {CHARTED} keys over {WEEK} hours    {:.2} ms", median(ROUNDS, read));
    let read = || drop(black_box(store.hours(KeyId(70), Hour(0)..Hour(WEEK)).unwrap()));
    println!("all columns of one key over {WEEK} hours {:.2} ms", median(ROUNDS, read));

    let rows: Vec<_> = (0..KEYS).map(|n| (KeyId(n), key_hour(n))).collect();
    let mut hour = 1_000;
    let fold = || {
        hour += 1;
        store.fold(Hour(hour), &rows).unwrap();
    };
    println!("fold of {KEYS} keys    {:.0} ms", median(7, fold));

    let mut tick = 0;
    let entry = |key| Entry { key, peak: 3, level: 2, opened: 1, closed: vec![1], ..Entry::default() };
    let entries: Vec<_> = (0..KEYS / 10).map(entry).collect();
    let second = || {
        tick += 1;
        let frames = vec![Frame { tick, entries: entries.clone(), ..Frame::default() }];
        store.commit(&Second { frames, ..Second::default() }).unwrap();
    };
    println!("second of {} keys   {:.2} ms", KEYS / 10, median(ROUNDS, second));

    drop(store);
    let open = || drop(EmbeddedStore::open(&path).unwrap());
    println!("open            {:.2} ms, {} MB", median(7, open), std::fs::metadata(&path).unwrap().len() >> 20);
}

/// The median of some rounds, in milliseconds.
fn median(rounds: usize, mut work: impl FnMut()) -> f64 {
    let mut times: Vec<_> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64() * 1_000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[rounds / 2]
}

fn key(n: u32) -> Key {
    let meter = Meter::new(Kind::Tts, &format!("bench/model-{n}"), "", None).unwrap();
    Key { project: Project::new("bench").unwrap(), target: Target::Meter(meter) }
}

/// One of the mix: of ten keys, six are idle, three small, one busy.
fn key_hour(n: u32) -> KeyHour {
    let most = [0, 0, 0, 0, 0, 0, 5, 5, 5, 60][n as usize % 10];
    let mut hour = KeyHour { points: [Point { covered: 60, ..Point::default() }; 60], ..KeyHour::gap() };
    let mut noise = n.wrapping_mul(0x9e37_79b9) | 1;
    let mut below = |most: u32| {
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        if most == 0 { 0 } else { noise % (most + 1) }
    };
    for point in &mut hour.points {
        point.peak = below(most);
        point.last = below(point.peak);
        point.opened = below(most);
        point.closed[0] = below(most);
        point.peak_second = below(59) as u8 * u8::from(point.peak > 0);
        hour.levels.add(point.peak.into(), 60);
        (0..point.closed[0]).for_each(|_| hour.durations.add(u64::from(below(60_000)) >> 6 << 6, 1));
    }
    hour
}
