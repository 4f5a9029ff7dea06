//! The page as a whole, against what a small service is known to hold.

use std::{collections::BTreeMap, time::Duration};

use super::*;
use crate::{
    config::{Config, RawConfig, SeriesBounds},
    live::Event,
    metrics::{name::Label, page::label, series::SERIES_A_METER},
    model::{Incarnation, Key, Kind, Meter, Outcome, Project, SessionId, Target, Unit},
    service::{Actor, Author, Clock, record::Recorder},
    store::{EmbeddedStore, Store},
};

fn open(store: Arc<dyn Store>, series: Option<SeriesBounds>) -> Arc<Service> {
    let mut config = Config::build(&RawConfig::default(), None).unwrap();
    config.series = series.unwrap_or(config.series);
    Service::open(config, store, Clock::start()).unwrap()
}

fn service() -> Arc<Service> {
    open(Arc::new(EmbeddedStore::in_memory().unwrap()), None)
}

fn project(name: &str) -> Project {
    Project::new(name).unwrap()
}

fn tts(model: &str) -> Meter {
    Meter::new(Kind::Tts, model, "", None).unwrap()
}

fn later(now: Now, by: Duration) -> Now {
    Now { wall: now.wall.after(by), mono: now.mono.after(by) }
}

const LEASE: Duration = Duration::from_secs(60);
const WORKER: Incarnation = Incarnation([7; 16]);

/// A worker reports: sessions by number, each opened, or closed with an outcome.
fn report(service: &Service, project: &Project, meter: &Meter, events: &[(u64, Option<Outcome>)], now: Now) {
    let meter = service.live.meter(project, meter, now).unwrap();
    let id = |nth: u64| SessionId((u128::from(nth) << 32 | u128::from(meter.tally.id.0)).to_le_bytes());
    let event = |(nth, outcome): &(u64, Option<Outcome>)| match outcome {
        None => Event::Open { id: id(*nth), meter: meter.clone(), age: Duration::ZERO, labels: None },
        Some(outcome) => Event::Close { id: id(*nth), outcome: *outcome, age: Duration::ZERO, meter: None },
    };
    let events = events.iter().map(event).collect();
    service.live.report(project, "worker-of-a-person", WORKER, LEASE, events, now).unwrap();
}

/// The samples of a page.
fn read(metrics: &Metrics, now: Now) -> BTreeMap<String, f64> {
    let text = metrics.page(0, now).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let samples = lines.map(|line| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        (series.to_owned(), value.parse().unwrap())
    });
    let read: BTreeMap<_, _> = samples.collect();
    let lines = text.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(read.len(), lines, "each series is there once");
    assert_eq!(read["highwater_series"], lines as f64, "the page counts its series");
    read
}

#[track_caller]
fn check(page: &BTreeMap<String, f64>, series: &str, expect: impl Into<Option<f64>>) {
    assert_eq!(page.get(series).copied(), expect.into(), "{series}");
}

/// The sum of the series that begin so.
fn sum(page: &BTreeMap<String, f64>, prefix: &str) -> f64 {
    page.iter().filter(|(series, _)| series.starts_with(prefix)).map(|(_, value)| value).sum()
}

#[test]
fn a_meter_and_its_pools_are_told_apart() {
    let service = service();
    let (metrics, now) = (Metrics::new(service.clone()), service.clock.now());
    let meter = tts("cartesia/sonic-3");
    report(&service, &project("shop"), &meter, &[(1, None), (2, None), (3, None), (1, Some(Outcome::Timeout))], now);
    let direct = Meter::new(Kind::Tts, "cartesia/sonic-3", "direct", Some(Unit::Generation)).unwrap();
    report(&service, &project("shop"), &direct, &[(1, None)], now);
    report(&service, &project("bank"), &Meter::new(Kind::Agent, "", "", None).unwrap(), &[(1, None)], now);
    let author = Author { set_by: "kim".to_owned(), reason: String::new(), actor: Actor::service() };
    let key = Key { project: project("shop"), target: Target::Meter(meter) };
    service.set_limit(&key, 20, None, author, now).unwrap();

    let page = read(&metrics, now);
    let of =
        |name: &str| format!("highwater_sessions_{name}{{project=\"shop\",kind=\"tts\",model=\"cartesia/sonic-3\"}}");
    check(&page, &of("active"), 2.0);
    check(&page, &of("peak"), 3.0);
    check(&page, &of("limit"), 20.0);
    check(&page, &of("coverage"), 1.0);
    check(&page, &of("opened_total"), 3.0);
    let closed = "highwater_sessions_closed_total{project=\"shop\",kind=\"tts\",model=\"cartesia/sonic-3\",outcome=";
    check(&page, &format!("{closed}\"timeout\"}}"), 1.0);
    check(&page, &format!("{closed}\"concurrency\"}}"), 0.0);
    let other = "{project=\"shop\",kind=\"tts\",model=\"cartesia/sonic-3\",account=\"direct\",unit=\"generation\"}";
    check(&page, &format!("highwater_sessions_active{other}"), 1.0);
    check(&page, &format!("highwater_sessions_limit{other}"), None);
    check(&page, "highwater_sessions_active{project=\"bank\",kind=\"agent\"}", 1.0);
    check(&page, "highwater_kind_pool_sessions_active{project=\"shop\",kind=\"tts\"}", 2.0);
    check(&page, "highwater_model_pool_sessions_peak{kind=\"tts\",model=\"cartesia/sonic-3\"}", 3.0);
    for sorts in
        ["highwater_sessions_active", "highwater_kind_pool_sessions_active", "highwater_model_pool_sessions_active"]
    {
        assert_eq!(sum(&page, sorts), 4.0, "{sorts}: each sort counts each session once");
    }
}

#[test]
fn what_nobody_knows_has_no_level_and_its_counters_stay() {
    let service = service();
    let (metrics, now) = (Metrics::new(service.clone()), service.clock.now());
    let (shop, meter) = (project("shop"), tts("a/b"));
    report(&service, &shop, &meter, &[(1, None), (2, None), (1, Some(Outcome::Ok))], now);
    let of = |name: &str, more: &str| {
        format!("highwater_sessions_{name}{{project=\"shop\",kind=\"tts\",model=\"a/b\"{more}}}")
    };
    check(&read(&metrics, now), &of("active", ""), 1.0);

    let lost = later(now, LEASE + Duration::from_secs(1));
    service.live.expire(lost);
    let page = read(&metrics, lost);
    check(&page, &of("active", ""), None);
    check(&page, &of("coverage", ""), 0.0);
    check(&page, "highwater_kind_pool_sessions_active{project=\"shop\",kind=\"tts\"}", None);
    check(&page, "highwater_kind_pool_sessions_coverage{project=\"shop\",kind=\"tts\"}", 0.0);

    // Of no use any more: nothing is said of how it stands, and what it counted stays.
    let retired = later(lost, Duration::from_secs(16 * 60));
    let page = read(&metrics, retired);
    for (name, expect) in [("active", None), ("peak", None), ("coverage", None), ("opened_total", Some(2.0))] {
        check(&page, &of(name, ""), expect);
    }
    check(&page, &of("closed_total", ",outcome=\"ok\""), 1.0);
    check(&page, &of("closed_total", ",outcome=\"lost\""), 1.0);

    // A worker that reports it again goes on from there.
    report(&service, &shop, &meter, &[(3, None)], retired);
    let page = read(&metrics, retired);
    check(&page, &of("active", ""), 1.0);
    check(&page, &of("opened_total", ""), 3.0);
}

#[test]
fn a_restart_forgets_no_peak_of_the_windows_and_begins_counters_anew() {
    let store = Arc::new(EmbeddedStore::in_memory().unwrap());
    let (shop, meter) = (project("shop"), tts("a/b"));
    {
        let service = open(store.clone(), None);
        let (now, mut recorder) = (service.clock.now(), Recorder::default());
        report(
            &service,
            &shop,
            &meter,
            &[(1, None), (2, None), (3, None), (2, Some(Outcome::Ok)), (3, Some(Outcome::Ok))],
            now,
        );
        recorder.step(&service, later(now, Duration::from_secs(1)));
    }
    let service = open(store, None);
    let (metrics, now) = (Metrics::new(service.clone()), service.clock.now());
    let labels = "{project=\"shop\",kind=\"tts\",model=\"a/b\"}";
    let page = read(&metrics, now);
    check(&page, "highwater_settling", 1.0);
    check(&page, &format!("highwater_sessions_peak{labels}"), 3.0);
    check(&page, &format!("highwater_sessions_opened_total{labels}"), 0.0);
    check(&page, &format!("highwater_sessions_coverage{labels}"), 0.5);
    check(&page, &format!("highwater_sessions_active{labels}"), None);
    report(&service, &shop, &meter, &[(1, None)], now);
    let after = later(now, Duration::from_secs(1));
    Recorder::default().step(&service, after);
    let page = read(&metrics, after);
    check(&page, "highwater_settling", 0.0);
    check(&page, &format!("highwater_sessions_active{labels}"), 1.0);
    check(&page, &format!("highwater_sessions_coverage{labels}"), 1.0);
}

/// Reports so many meters, one session each, and compares what the page has of them with what is known.
fn flood(bounds: SeriesBounds, projects: usize, meters: usize) -> BTreeMap<String, f64> {
    let service = open(Arc::new(EmbeddedStore::in_memory().unwrap()), Some(bounds));
    let (metrics, now) = (Metrics::new(service.clone()), service.clock.now());
    let mut before = 0.0;
    let mut page = BTreeMap::new();
    for round in 0..2 {
        for nth in 0..projects {
            for meter in 0..meters {
                let meter = tts(&format!("flood/{round}-{meter}"));
                report(
                    &service,
                    &project(&format!("p{nth}")),
                    &meter,
                    &[(1, None), (2, None), (1, Some(Outcome::Rate))],
                    now,
                );
            }
        }
        page = read(&metrics, now);
        assert!(page.len() <= bounds.in_all, "{} series", page.len());
        for nth in 0..projects {
            let label = format!("{{project=\"p{nth}\",");
            let of_project = page.keys().filter(|series| series.contains(&label)).count();
            assert!(of_project <= bounds.per_project, "{of_project} series");
        }
        let sessions = ((round + 1) * projects * meters) as f64;
        assert_eq!(sum(&page, "highwater_sessions_active"), sessions, "whatever is left out is counted with others");
        assert_eq!(sum(&page, "highwater_sessions_opened_total"), 2.0 * sessions);
        assert_eq!(sum(&page, "highwater_sessions_closed_total"), sessions);
        assert!(page["highwater_series_dropped_total"] > before);
        before = page["highwater_series_dropped_total"];
        let again = read(&metrics, now);
        assert_eq!(again["highwater_series_dropped_total"], before, "what was dropped is counted once");
    }
    page
}

#[test]
fn a_project_ends_at_its_series() {
    let page = flood(SeriesBounds { in_all: 50_000, per_project: 2_000 }, 2, 200);
    let others = "{project=\"p1\",kind=\"tts\",model=\"__other__\"}";
    check(&page, &format!("highwater_sessions_coverage{others}"), 1.0);
    check(&page, &format!("highwater_sessions_peak{others}"), None);
    assert!(page[&format!("highwater_sessions_active{others}")] > 200.0);
}

#[test]
fn all_projects_together_end_at_theirs() {
    let page = flood(SeriesBounds { in_all: 500, per_project: 500 }, 40, 3);
    let others = "{project=\"__other__\",kind=\"tts\",model=\"__other__\"}";
    assert!(page[&format!("highwater_sessions_active{others}")] > 100.0);
}

#[test]
fn a_place_is_kept_for_as_long_as_the_process_lives() {
    let mut series = Series::new(SeriesBounds { in_all: 50_000, per_project: 500 });
    let key = |nth: u32| Key { project: project("p"), target: Target::Meter(tts(&format!("a/{nth}"))) };
    let place = |series: &mut Series, nth| series.place(crate::model::KeyId(nth), &key(nth));
    let first: Vec<_> = (0..100).map(|nth| place(&mut series, nth)).collect();
    let own = first.iter().filter(|place| **place == series::Place::Own).count();
    assert_eq!(own, (500 - series::SERIES_FOR_OTHERS) / SERIES_A_METER);
    assert_eq!(series.dropped(), (100 - own as u64) * SERIES_A_METER as u64);
    let again: Vec<_> = (0..100).map(|nth| place(&mut series, nth)).collect();
    assert_eq!(first, again);
}

/// Deletes a project whose workers have nothing to say, as the recorder does it.
fn delete(service: &Service, recorder: &mut Recorder, project: &Project, now: Now) {
    let (_, told) = service.delete_project(project, &Actor::service(), now).unwrap();
    recorder.step(service, now);
    told.try_recv().expect("it is gone within a step");
}

#[test]
fn a_project_that_is_deleted_and_made_again_has_each_series_once() {
    let service = service();
    let (metrics, mut recorder, mut now) = (Metrics::new(service.clone()), Recorder::default(), service.clock.now());
    let (shop, meter) = (project("shop"), tts("a/b"));
    report(&service, &project("bank"), &meter, &[(1, None)], now);
    let mut first = None;
    for round in 1..=3 {
        report(&service, &shop, &meter, &[(1, None), (2, None), (1, Some(Outcome::Ok))], now);
        let page = read(&metrics, now);
        let labels = "{project=\"shop\",kind=\"tts\",model=\"a/b\"}";
        check(&page, &format!("highwater_sessions_active{labels}"), 1.0);
        check(&page, &format!("highwater_sessions_opened_total{labels}"), 2.0);
        check(&page, "highwater_model_pool_sessions_active{kind=\"tts\",model=\"a/b\"}", 2.0);
        check(&page, "highwater_model_pool_sessions_coverage{kind=\"tts\",model=\"a/b\"}", 1.0);
        check(&page, "highwater_meters", 2.0);
        let names: Vec<_> = page.keys().filter(|series| series.contains("shop")).cloned().collect();
        assert_eq!(first.get_or_insert(names.clone()), &names, "round {round}");
        now = later(now, Duration::from_secs(2));
        delete(&service, &mut recorder, &shop, now);
        let page = read(&metrics, now);
        assert!(!page.keys().any(|series| series.contains("shop")), "{page:?}");
        check(&page, "highwater_model_pool_sessions_active{kind=\"tts\",model=\"a/b\"}", 1.0);
        assert_eq!(service.live.audit(), []);
    }
}

#[test]
fn a_deleted_project_gives_its_places_back_and_takes_nothing_off_a_sum() {
    let bounds = SeriesBounds { in_all: 300, per_project: 300 };
    let service = open(Arc::new(EmbeddedStore::in_memory().unwrap()), Some(bounds));
    let (metrics, mut recorder, mut now) = (Metrics::new(service.clone()), Recorder::default(), service.clock.now());
    let report_all = |name: &str, now| {
        for nth in 0..12 {
            report(&service, &project(name), &tts(&format!("a/{nth}")), &[(1, None)], now);
        }
    };
    report_all("first", now);
    report_all("second", now);
    let own = |page: &BTreeMap<String, f64>, name: &str| {
        sum(page, &format!("highwater_sessions_opened_total{{project=\"{name}\""))
    };
    let page = read(&metrics, now);
    let (of_first, together) = (own(&page, "first"), own(&page, "__other__"));
    assert!(of_first > 0.0 && together > 0.0 && own(&page, "second") < 12.0, "{page:?}");
    now = later(now, Duration::from_secs(2));
    delete(&service, &mut recorder, &project("second"), now);
    assert_eq!(own(&read(&metrics, now), "__other__"), together, "a sum that fell would look like a restart");
    now = later(now, Duration::from_secs(2));
    delete(&service, &mut recorder, &project("first"), now);
    report_all("third", now);
    let page = read(&metrics, now);
    assert!(
        own(&page, "third") >= of_first && own(&page, "__other__") >= together,
        "its places are another's: {page:?}"
    );
    assert!(page.len() <= bounds.in_all);
}

#[test]
fn odd_characters_are_escaped() {
    let mut page = Page::default();
    page.gauge(Name::Degraded, [(vec![label(Label::Part, "a\"b\\c\nd é")], 1)]).unwrap();
    let text = page.into_text();
    assert!(text.ends_with("highwater_degraded{part=\"a\\\"b\\\\c\\nd é\"} 1\n"), "{text}");
}

#[test]
fn nothing_of_a_session_or_a_worker_is_told() {
    let service = service();
    let now = service.clock.now();
    report(&service, &project("shop"), &tts("a/b"), &[(1, None)], now);
    let text = Metrics::new(service).page(0, now).unwrap();
    assert!(!text.contains("worker-of-a-person") && !text.contains("0707"), "{text}");
    let known = ["project", "kind", "model", "outcome", "link", "form", "result", "bound", "reason", "part", "version"];
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let labels = line.split_once('{').map_or("", |(_, labels)| labels);
        for label in labels.split('"').step_by(2).filter_map(|part| part.trim_start_matches(',').strip_suffix('=')) {
            assert!(known.contains(&label), "{label} in {line}");
        }
    }
}

#[test]
fn names_are_as_prometheus_wants_them_and_each_is_in_the_docs() {
    let docs = include_str!("../../docs/metrics.md");
    for name in Name::ALL {
        let text = name.as_str();
        let ours = text.strip_prefix("highwater_").or(text.strip_prefix("process_")).unwrap_or_default();
        assert!(!ours.is_empty() && ours.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{text}");
        let is_counter = name.form() == prometheus::proto::MetricType::COUNTER;
        assert_eq!(is_counter, text.ends_with("_total"), "{text}");
        assert!(docs.contains(&format!("| `{text}` |")), "docs/metrics.md has no row for {text}");
        assert_eq!(Name::ALL.iter().filter(|other| other.as_str() == text).count(), 1, "{text}");
    }
    let rows = docs.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    for row in rows.filter(|row| row.starts_with("highwater_") || row.starts_with("process_")) {
        assert!(
            Name::ALL.iter().any(|name| name.as_str() == row),
            "docs/metrics.md tells of {row}, which there is not"
        );
    }
}
