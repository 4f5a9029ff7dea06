//! The oracle: a naive sweep over half-open intervals, which the engine must agree with, and the two real traces.

use std::{collections::BTreeMap, fs::File, path::Path};

use highwater::{
    import::{Gathered, Options, run, trace::TraceReader},
    model::{Hour, Key, KeyId, Kind, Minute, Project, SparseCounts, Target, Tick, Time, counts::bucket},
    store::{Store, embedded::EmbeddedStore},
};

/// The highest level of each second of `first..=last` among half-open intervals of microseconds.
pub fn second_peaks(intervals: &[(u64, u64)], first: u64, last: u64) -> Vec<u32> {
    let mut ends: Vec<_> = intervals.iter().flat_map(|(from, to)| [(*from, 1), (*to, -1)]).collect();
    ends.sort_unstable();
    let mut ends = ends.into_iter().peekable();
    let mut level = 0_i64;
    (first..=last)
        .map(|second| {
            // What ends at the very start of the second is over before it.
            while let Some((_, by)) =
                ends.next_if(|(at, by)| *at < second * 1_000_000 || (*at == second * 1_000_000 && *by < 0))
            {
                level += by;
            }
            let mut peak = level;
            while let Some((_, by)) = ends.next_if(|(at, _)| *at < (second + 1) * 1_000_000) {
                level += by;
                peak = peak.max(level);
            }
            u32::try_from(peak).unwrap()
        })
        .collect()
}

/// A real trace; `None` where it is not there.
pub fn data(name: &str) -> Option<File> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    let file = File::open(&path).ok();
    if file.is_none() {
        eprintln!("skipped: there is no {}", path.display());
    }
    file
}

/// Imports a trace and holds every minute and every hour's histogram of every meter and pool against the sweep.
fn check(name: &str, peaks: &[(Kind, &str, u32, &str)]) {
    let Some(file) = data(name) else { return };
    let mut trace = Gathered::default();
    TraceReader::new(file).unwrap().for_each(|item| trace.take(item.unwrap()));
    assert_eq!(trace.skipped, []);
    let store = EmbeddedStore::in_memory().unwrap();
    let options = Options { project: Project::new("p").unwrap(), replace: false };
    let report = run(&store, &trace, &options, &mut || Ok(()), &mut |_, _| {}).unwrap();

    for (kind, model, peak, at) in peaks {
        let lines = if model.is_empty() { &report.pools } else { &report.meters };
        let line = lines.iter().find(|line| line.target.kind() == *kind && line.target.model() == *model).unwrap();
        assert_eq!((line.peak, &*highwater::import::report::time_text(line.peak_at)), (*peak, *at), "{kind} {model}");
    }

    let keys: BTreeMap<Key, KeyId> = store.keys().unwrap().into_iter().map(|(id, key)| (key, id)).collect();
    let (first, last) = trace.window().unwrap();
    let mut checked = 0;
    for (key, id) in keys {
        let counted = |session: &&highwater::import::gather::Session| {
            let meter = &trace.meters[session.meter as usize];
            match &key.target {
                Target::Meter(name) => meter == name,
                Target::KindPool { kind, .. } => meter.kind == *kind,
                Target::ModelPool(_) => false,
            }
        };
        if matches!(key.target, Target::ModelPool(_)) {
            continue;
        }
        let intervals: Vec<_> =
            trace.sessions.iter().filter(counted).map(|s| (s.connected.0, s.disconnected.0)).collect();
        check_key(&store, id, &intervals, first, last);
        let line = report.meters.iter().chain(&report.pools).find(|line| line.target == key.target).unwrap();
        let mut seconds = second_peaks(&intervals, first.tick().0, last.tick_before().0);
        seconds.sort_unstable();
        let rank = |percent: usize| u64::from(seconds[(seconds.len() * percent).div_ceil(100) - 1]);
        assert_eq!((line.p50, line.p95, line.p99), (rank(50), rank(95), rank(99)), "{key}");
        assert_eq!(line.sessions, intervals.len() as u64, "{key}");
        checked += 1;
    }
    assert_eq!(checked, report.meters.len() + report.pools.len());
}

fn check_key(store: &EmbeddedStore, id: KeyId, intervals: &[(u64, u64)], first: Time, last: Time) {
    let (first, last) = (first.tick(), last.tick_before());
    let seconds = second_peaks(intervals, first.0, last.0);
    let mut minutes: BTreeMap<Minute, u32> = BTreeMap::new();
    let mut hours: BTreeMap<Hour, SparseCounts> = BTreeMap::new();
    let mut durations: BTreeMap<Hour, SparseCounts> = BTreeMap::new();
    for (from, to) in intervals {
        let lasted = durations.entry(Time(*to).tick_before().hour()).or_default();
        lasted.add(bucket((to - from) / 1_000), 1);
    }
    for (tick, peak) in (first.0..).map(Tick).zip(seconds) {
        let minute = minutes.entry(tick.minute()).or_default();
        *minute = peak.max(*minute);
        hours.entry(tick.hour()).or_default().add(u64::from(peak), 1);
    }
    let stored = store.hours(id, first.hour()..last.hour().next()).unwrap();
    assert_eq!(stored.len(), hours.len());
    for (hour, row) in stored {
        assert_eq!(row.levels, hours[&hour], "{hour:?}");
        assert_eq!(row.durations, durations.remove(&hour).unwrap_or_default(), "{hour:?}");
        for (minute, point) in (hour.first_minute().0..).map(Minute).zip(row.points) {
            assert_eq!((!point.is_gap()).then_some(point.peak), minutes.get(&minute).copied(), "{minute:?}");
        }
    }
}

#[test]
fn every_minute_and_hour_of_the_calls_is_that_of_the_sweep() {
    check(
        "calls-1999-01.csv",
        &[
            (Kind::Stt, "deepgram/nova-3", 25, "1999-01-03T16:35:56Z"),
            (Kind::Stt, "assemblyai/universal-streaming", 5, "1999-01-31T14:06:28Z"),
            (Kind::Llm, "openai/gpt-4.1-mini", 22, "1999-01-18T15:24:34Z"),
            (Kind::Llm, "google/gemini-3-flash", 16, "1999-01-03T16:33:00Z"),
            (Kind::Tts, "elevenlabs/eleven_turbo_v2_5", 24, "1999-01-10T16:36:24Z"),
            (Kind::Tts, "cartesia/sonic-3", 7, "1999-01-04T09:51:43Z"),
            (Kind::Tts, "inworld/inworld-tts-2", 4, "1999-01-14T18:06:42Z"),
            (Kind::Tts, "rime/coda", 2, "1999-01-01T11:44:43Z"),
            (Kind::Stt, "", 27, "1999-01-03T16:35:56Z"),
            (Kind::Llm, "", 27, "1999-01-03T16:35:56Z"),
            (Kind::Tts, "", 27, "1999-01-03T16:35:56Z"),
        ],
    );
}

#[test]
fn every_minute_and_hour_of_the_requests_is_that_of_the_sweep() {
    check("llm-conv-2023-11.csv", &[(Kind::Llm, "openai/gpt-4.1-mini", 57, "2023-11-16T18:20:30.853Z")]);
}
