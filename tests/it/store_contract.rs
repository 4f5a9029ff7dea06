//! What every store does: one suite, run against each of them.
#![allow(clippy::unwrap_used)]

use std::{path::PathBuf, sync::Arc};

use highwater::{
    model::{
        Coverage, Entry, Flags, Frame, Hour, Incarnation, Key, KeyHour, KeyId, Kind, LimitEntry, Meter, Outcome, Point,
        Project, Target, Time,
    },
    store::{Change, Document, EmbeddedStore, KnownWorker, Removed, Second, Shelf, Store, StoreError},
};

use crate::store_forget::a_forgotten_project_is_gone_and_its_numbers_are_not_used_again;

/// Opens one place; what was stored is there again each time, once the store before is dropped.
pub type Place = Box<dyn Fn() -> Box<dyn Store>>;

/// What every store does, in words, and its test.
type Case = (&'static str, fn(&Place));

const CASES: &[Case] = &[
    ("a new store is empty", a_new_store_is_empty),
    ("seconds are kept", seconds_are_kept),
    ("the same second twice is one", the_same_second_twice_is_one),
    ("a key keeps its number", a_key_keeps_its_number),
    ("folding drops its frames", folding_drops_its_frames),
    ("hours are read by key and window", hours_are_read_by_key_and_window),
    ("gaps are left out", gaps_are_left_out),
    ("an import stands beside what is there", an_import_stands_beside_what_is_there),
    ("hours of one project are removed", hours_of_one_project_are_removed),
    ("what is old is dropped", what_is_old_is_dropped),
    ("limits keep their order", limits_keep_their_order),
    ("documents are kept by shelf and name", documents_are_kept_by_shelf_and_name),
    ("a change is whole or not at all", a_change_is_whole_or_not_at_all),
    ("audit rows are numbered without a gap", audit_rows_are_numbered_without_a_gap),
    ("a forgotten project is gone", a_forgotten_project_is_gone_and_its_numbers_are_not_used_again),
    ("notes are kept", notes_are_kept),
    ("readers and writers do not wait for each other", readers_and_writers_do_not_wait_for_each_other),
];

/// Runs the suite; `new_place` gives an empty place for each case.
pub fn contract(new_place: impl Fn() -> Place) {
    for (name, case) in CASES {
        println!("{name}");
        case(&new_place());
    }
}

#[test]
fn an_embedded_store_in_a_file_fulfils_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    contract(|| {
        count.set(count.get() + 1);
        let path: PathBuf = directory.path().join(format!("{}/store.redb", count.get()));
        Box::new(move || Box::new(EmbeddedStore::open(&path).unwrap()))
    });
}

#[test]
fn an_embedded_store_in_memory_fulfils_the_contract() {
    contract(|| {
        let memory = crate::store_faults::Disk::default();
        Box::new(move || {
            let memory = memory.clone();
            Box::new(EmbeddedStore::with_backend("memory", move || memory.clone()).unwrap())
        })
    });
    assert_eq!(EmbeddedStore::in_memory().unwrap().keys().unwrap(), []);
}

pub fn key(project: &str, model: &str) -> Key {
    let target = Target::Meter(Meter::new(Kind::Tts, model, "", None).unwrap());
    Key { project: Project::new(project).unwrap(), target }
}

/// Two keys of acme, one of it across projects, and one of another project.
pub fn keys() -> Vec<(KeyId, Key)> {
    let pool = Target::ModelPool(Meter::new(Kind::Tts, "a/one", "", None).unwrap());
    let across = Key { project: Project::across(), target: pool };
    let keys = [key("acme", "a/one"), key("acme", "a/two"), across, key("other", "a/one")];
    (1..).map(KeyId).zip(keys).collect()
}

pub fn frame(tick: u64) -> Frame {
    let entry = |key| Entry { key, peak: 3, level: 2, opened: 1, coverage: Coverage::Full as i32, ..Entry::default() };
    Frame { tick, entries: vec![entry(1), entry(2)], ..Frame::default() }
}

fn worker(n: u8) -> KnownWorker {
    KnownWorker { project: Project::new("acme").unwrap(), incarnation: Incarnation([n; 16]) }
}

/// An hour whose peaks are `peak` and which has something in every part.
pub fn key_hour(peak: u32) -> KeyHour {
    let point = Point { peak, last: peak, covered: 60, ..Point::default() };
    let mut hour = KeyHour { points: [point; 60], ..KeyHour::gap() };
    hour.points[9] = Point { peak: peak + 1, peak_second: 30, opened: 1, refused: 2, flags: Flags::LATE, ..point };
    hour.points[9].closed[Outcome::Ok.index()] = 1;
    hour.points[10] = Point::GAP;
    hour.levels.add(peak.into(), 3_480);
    hour.levels.add(u64::from(peak) + 1, 60);
    hour.durations.add(1_488, 1);
    hour
}

fn limit(slots: u32, start: u64) -> LimitEntry {
    let (set_by, reason) = ("ops".to_owned(), "launch".to_owned());
    LimitEntry { slots: Some(slots), start: Time(start), end: None, set_by, reason }
}

/// All hours of a key.
const EVER: std::ops::Range<Hour> = Hour(0)..Hour(u32::MAX);

fn hours_of(store: &dyn Store, key: u32) -> Vec<u32> {
    store.hours(KeyId(key), EVER).unwrap().iter().map(|(hour, _)| hour.0).collect()
}

fn a_new_store_is_empty(place: &Place) {
    for _ in 0..2 {
        let store = place();
        assert_eq!((store.keys().unwrap(), store.frames().unwrap()), (vec![], vec![]));
        assert_eq!((store.limits().unwrap(), store.known_workers().unwrap()), (vec![], vec![]));
        assert_eq!((store.folded_until().unwrap(), store.note("any").unwrap()), (None, None));
        assert_eq!(store.hours(KeyId(1), EVER).unwrap(), []);
        assert_eq!(store.peaks(KeyId(1), EVER).unwrap(), []);
        assert_eq!(store.summaries(KeyId(1), EVER).unwrap(), []);
        let acme = Project::new("acme").unwrap();
        assert_eq!(store.first_hour(&acme, EVER).unwrap(), None);
        assert_eq!(store.remove_hours(&acme, EVER).unwrap(), 0);
        assert_eq!(store.retain(Hour(9), Hour(9)).unwrap(), Removed::default());
    }
}

fn seconds_are_kept(place: &Place) {
    let store = place();
    let new_keys = keys();
    let attached = vec![worker(2), worker(1)];
    store
        .commit(&Second { new_keys: new_keys.clone(), frames: vec![frame(8), frame(7)], attached, gone: vec![] })
        .unwrap();
    store.commit(&Second { frames: vec![frame(9)], gone: vec![worker(2), worker(5)], ..Second::default() }).unwrap();
    store.commit(&Second::default()).unwrap();
    drop(store);
    let store = place();
    assert_eq!(store.keys().unwrap(), new_keys);
    assert_eq!(store.frames().unwrap(), [frame(7), frame(8), frame(9)]);
    assert_eq!(store.known_workers().unwrap(), [worker(1)]);
}

fn the_same_second_twice_is_one(place: &Place) {
    let store = place();
    let mut second = Second { new_keys: keys(), frames: vec![frame(7)], attached: vec![worker(1)], gone: vec![] };
    store.commit(&second).unwrap();
    second.frames[0].settling = true;
    store.commit(&second).unwrap();
    assert_eq!(store.frames().unwrap(), second.frames);
    assert_eq!((store.keys().unwrap(), store.known_workers().unwrap()), (keys(), vec![worker(1)]));
}

fn a_key_keeps_its_number(place: &Place) {
    let store = place();
    store.commit(&Second { new_keys: keys(), ..Second::default() }).unwrap();
    let other =
        Second { new_keys: vec![(KeyId(1), key("acme", "b/other"))], frames: vec![frame(7)], ..Second::default() };
    store.commit(&other).unwrap_err();
    assert_eq!((store.keys().unwrap(), store.frames().unwrap()), (keys(), vec![]));
}

fn folding_drops_its_frames(place: &Place) {
    let store = place();
    let end = Hour(11).first_tick().0;
    let mut frames = vec![frame(end - 3_600), frame(end - 2), frame(end - 1), frame(end), frame(end + 1)];
    store.commit(&Second { new_keys: keys(), frames: frames.clone(), ..Second::default() }).unwrap();
    store.fold(Hour(10), &[(KeyId(2), key_hour(5)), (KeyId(1), key_hour(4))]).unwrap();
    assert_eq!(store.frames().unwrap(), frames.split_off(3));
    assert_eq!(store.folded_until().unwrap(), Some(Hour(11)));

    // A frame that speaks of seconds of the next hour, too, is needed there.
    let end = Hour(12).first_tick().0;
    let quiet = Frame { repeat: 5, ..frame(end - 3) };
    store.commit(&Second { frames: vec![quiet.clone()], ..Second::default() }).unwrap();
    store.fold(Hour(11), &[(KeyId(1), key_hour(6))]).unwrap();
    assert_eq!(store.frames().unwrap(), [quiet]);
    store.fold(Hour(12), &[]).unwrap();
    assert_eq!(store.frames().unwrap(), []);

    // The same hour again replaces it, and does not turn back how far hours are folded.
    store.fold(Hour(10), &[(KeyId(1), key_hour(9))]).unwrap();
    drop(store);
    let store = place();
    assert_eq!(store.folded_until().unwrap(), Some(Hour(13)));
    assert_eq!(store.hours(KeyId(1), EVER).unwrap(), [(Hour(10), key_hour(9)), (Hour(11), key_hour(6))]);
    assert_eq!(store.hours(KeyId(2), EVER).unwrap(), [(Hour(10), key_hour(5))]);
}

fn hours_are_read_by_key_and_window(place: &Place) {
    let store = place();
    let rows = [(1, 10), (1, 11), (1, 300), (2, 11), (0, 11), (u32::MAX, 11)];
    let rows = rows.map(|(key, hour)| (KeyId(key), Hour(hour), key_hour(key % 100 + hour)));
    let edges = [(KeyId(0), key("acme", "edge/first")), (KeyId(u32::MAX), key("acme", "edge/last"))];
    store.put_hours(&[&keys()[..], &edges].concat(), &rows).unwrap();
    let store = {
        drop(store);
        place()
    };
    let of = |from, to| store.hours(KeyId(1), Hour(from)..Hour(to)).unwrap();
    assert_eq!(of(10, 12), [(Hour(10), key_hour(11)), (Hour(11), key_hour(12))]);
    assert_eq!([of(0, 10), of(12, 300), of(11, 11), of(12, 11)], [const { vec![] }; 4]);
    assert_eq!((of(300, u32::MAX).len(), hours_of(&*store, u32::MAX)), (1, vec![11]));

    let ids = [KeyId(1), KeyId(3), KeyId(2), KeyId(77)];
    let of_one = store.hour_of(&ids, Hour(11)).unwrap();
    assert_eq!(of_one, [(KeyId(1), key_hour(12)), (KeyId(2), key_hour(13))]);
    assert_eq!(store.hour_of(&ids, Hour(12)).unwrap(), []);
    let window = Hour(11)..Hour(301);
    let hours = store.hours(KeyId(1), window.clone()).unwrap();
    let peaks = store.peaks(KeyId(1), window.clone()).unwrap();
    let summaries = store.summaries(KeyId(1), window).unwrap();
    assert_eq!((hours.len(), peaks.len(), summaries.len()), (2, 2, 2));
    for (((hour, row), peaks), (summary_hour, summary)) in hours.iter().zip(&peaks).zip(&summaries) {
        assert_eq!((peaks.hour, summary_hour), (*hour, hour));
        assert_eq!(peaks.peaks, row.points.map(|point| point.peak));
        assert_eq!(peaks.flags, row.points.map(|point| point.flags));
        assert_eq!(*summary, row.summary());
    }
}

fn gaps_are_left_out(place: &Place) {
    let store = place();
    store.put_hours(&keys(), &[(KeyId(1), Hour(10), key_hour(4)), (KeyId(1), Hour(11), KeyHour::gap())]).unwrap();
    assert_eq!(hours_of(&*store, 1), [10]);
    assert_eq!(store.summaries(KeyId(1), EVER).unwrap().len(), 1);
    // An hour that turns out to be a gap replaces what was there, too.
    store.fold(Hour(10), &[(KeyId(1), KeyHour::gap())]).unwrap();
    assert!(hours_of(&*store, 1).is_empty());
    assert_eq!((store.peaks(KeyId(1), EVER).unwrap(), store.summaries(KeyId(1), EVER).unwrap()), (vec![], vec![]));
}

fn an_import_stands_beside_what_is_there(place: &Place) {
    let store = place();
    let end = Hour(11).first_tick().0;
    store.commit(&Second { new_keys: keys(), frames: vec![frame(end)], ..Second::default() }).unwrap();
    store.fold(Hour(10), &[(KeyId(1), key_hour(4))]).unwrap();
    let new = (KeyId(9), key("acme", "c/new"));
    let rows = [(KeyId(9), Hour(20), key_hour(1)), (KeyId(1), Hour(10), key_hour(7)), (KeyId(9), Hour(8), key_hour(2))];
    store.put_hours(std::slice::from_ref(&new), &rows).unwrap();
    assert_eq!((store.frames().unwrap(), store.folded_until().unwrap()), (vec![frame(end)], Some(Hour(11))));
    assert_eq!(store.hours(KeyId(1), EVER).unwrap(), [(Hour(10), key_hour(7))]);
    assert_eq!(hours_of(&*store, 9), [8, 20]);
    let first = |from, to| store.first_hour(&new.1.project, Hour(from)..Hour(to)).unwrap();
    assert_eq!(first(0, 99), Some((new.1.clone(), Hour(8))));
    assert_eq!(first(9, 99), Some((keys().remove(0).1, Hour(10))));
    assert_eq!((first(11, 20), first(20, 21)), (None, Some((new.1.clone(), Hour(20)))));
    assert_eq!(store.first_hour(&Project::new("other").unwrap(), EVER).unwrap(), None);
}

fn hours_of_one_project_are_removed(place: &Place) {
    let store = place();
    let rows: Vec<_> =
        (1..=4).flat_map(|key| (10..14).map(move |hour| (KeyId(key), Hour(hour), key_hour(hour)))).collect();
    store.put_hours(&keys(), &rows).unwrap();
    assert_eq!(store.remove_hours(&Project::new("acme").unwrap(), Hour(11)..Hour(13)).unwrap(), 4);
    let left = [1, 2, 3, 4].map(|key| hours_of(&*store, key));
    assert_eq!(left, [vec![10, 13], vec![10, 13], vec![10, 11, 12, 13], vec![10, 11, 12, 13]]);
    assert_eq!(store.summaries(KeyId(1), EVER).unwrap().len(), 2);
    assert_eq!(store.summaries(KeyId(4), EVER).unwrap().len(), 4);
}

fn what_is_old_is_dropped(place: &Place) {
    let store = place();
    let rows: Vec<_> =
        (1..=4).flat_map(|key| (0..1_000).map(move |hour| (KeyId(key), Hour(hour), key_hour(hour)))).collect();
    store.put_hours(&keys(), &rows).unwrap();
    let mut removed = Removed::default();
    // Each call removes a bounded number; that it removed nothing says that all is done.
    for calls in 1.. {
        let more = store.retain(Hour(990), Hour(500)).unwrap();
        if more == Removed::default() {
            assert!(calls > 2, "one call removed all");
            break;
        }
        (removed.hours, removed.summaries) = (removed.hours + more.hours, removed.summaries + more.summaries);
    }
    assert_eq!(removed, Removed { hours: 4 * 990, summaries: 4 * 500 });
    assert_eq!(hours_of(&*store, 1), (990..1_000).collect::<Vec<_>>());
    assert_eq!(store.summaries(KeyId(4), EVER).unwrap().len(), 500);
}

fn limits_keep_their_order(place: &Place) {
    let store = place();
    let limits = vec![(KeyId(2), limit(9, 50)), (KeyId(1), limit(7, 50)), (KeyId(1), limit(5, 50))];
    store.change(&Change { new_keys: keys(), limits, ..Change::default() }).unwrap();
    let ended = LimitEntry { slots: None, end: Some(Time(70)), ..limit(0, 60) };
    store.change(&Change { limits: vec![(KeyId(1), ended.clone())], ..Change::default() }).unwrap();
    drop(store);
    let store = place();
    let mut limits = store.limits().unwrap();
    limits.sort_by_key(|(key, _)| *key);
    let expected = [(1, limit(7, 50)), (1, limit(5, 50)), (1, ended), (2, limit(9, 50))];
    assert_eq!(limits, expected.map(|(key, entry)| (KeyId(key), entry)));
    assert_eq!(store.keys().unwrap(), keys());
}

fn document(shelf: Shelf, name: &str, bytes: Option<&[u8]>) -> Document {
    Document { shelf, name: name.to_owned(), bytes: bytes.map(<[u8]>::to_vec) }
}

fn documents_are_kept_by_shelf_and_name(place: &Place) {
    let store = place();
    let put = |documents| store.change(&Change { documents, ..Change::default() }).unwrap();
    put(vec![document(Shelf::ApiKeys, "b", Some(b"2")), document(Shelf::ApiKeys, "a", Some(b"\x00\xff"))]);
    put(vec![document(Shelf::Projects, "a", Some(b"")), document(Shelf::ApiKeys, "gone", Some(b"3"))]);
    put(vec![document(Shelf::ApiKeys, "b", Some(b"4")), document(Shelf::ApiKeys, "gone", None)]);
    put(vec![document(Shelf::Projects, "never", None), document(Shelf::Ceilings, "a", Some(b"5"))]);
    drop(store);
    let store = place();
    let kept = Shelf::ALL.map(|shelf| store.documents(shelf).unwrap()).concat();
    let named = |name: &str, bytes: &[u8]| (name.to_owned(), bytes.to_vec());
    assert_eq!(kept, [named("a", b"\x00\xff"), named("b", b"4"), named("a", b""), named("a", b"5")]);
}

fn a_change_is_whole_or_not_at_all(place: &Place) {
    let store = place();
    let change = Change {
        new_keys: keys(),
        limits: vec![(KeyId(1), limit(7, 50))],
        documents: vec![document(Shelf::ApiKeys, "a", Some(b"1"))],
        audit: vec![b"first".to_vec()],
        ..Change::default()
    };
    store.change(&change).unwrap();
    let late = Change { limits: vec![(KeyId(1), limit(9, 60))], ..change.clone() };
    let late = Change { documents: vec![document(Shelf::ApiKeys, "a", None)], new_keys: vec![], ..late };
    assert!(matches!(store.change(&late), Err(StoreError::Conflict(_))));
    assert_eq!(store.limits().unwrap(), [(KeyId(1), limit(7, 50))]);
    assert_eq!(store.documents(Shelf::ApiKeys).unwrap(), [("a".to_owned(), b"1".to_vec())]);
    assert_eq!(store.audit(0..9, 9).unwrap(), [(0, b"first".to_vec())]);
    let wrong_key = Change { new_keys: vec![(KeyId(1), key("acme", "b/other"))], audit_from: 1, ..change };
    store.change(&wrong_key).unwrap_err();
    assert_eq!(store.audit_end().unwrap(), 1);
}

fn audit_rows_are_numbered_without_a_gap(place: &Place) {
    let store = place();
    assert_eq!((store.audit_end().unwrap(), store.audit(0..9, 9).unwrap()), (0, vec![]));
    let add = |audit_from, rows: &[&[u8]]| {
        let audit = rows.iter().map(|row| row.to_vec()).collect();
        store.change(&Change { audit_from, audit, ..Change::default() })
    };
    add(0, &[b"a", b"b"]).unwrap();
    add(2, &[b"c"]).unwrap();
    for wrong in [0, 2, 4] {
        assert!(matches!(add(wrong, &[b"x"]), Err(StoreError::Conflict(_))), "{wrong}");
    }
    add(7, &[]).unwrap();
    let used = |audit_from| store.change(&Change { audit_from, only_at_end: true, ..Change::default() });
    assert!(matches!(used(7), Err(StoreError::Conflict(_))) && used(3).is_ok(), "asked also where no row is added");
    let rows = |rows, most| store.audit(rows, most).unwrap().into_iter().map(|(n, _)| n).collect::<Vec<_>>();
    assert_eq!([rows(0..9, 9), rows(1..9, 1), rows(1..2, 9), rows(5..5, 9)], [vec![0, 1, 2], vec![1], vec![1], vec![]]);
    assert_eq!((store.drop_audit(2).unwrap(), store.drop_audit(2).unwrap()), (2, 0));
    assert_eq!((rows(0..9, 9), store.drop_audit(9).unwrap()), (vec![2], 1));
    // Numbers are not used again, also when nothing is left.
    assert_eq!(store.audit_end().unwrap(), 3);
    add(3, &[b"d"]).unwrap();
    drop(store);
    assert_eq!(place().audit(0..9, 9).unwrap(), [(3, b"d".to_vec())]);
}

fn notes_are_kept(place: &Place) {
    let store = place();
    store.set_note("simulation", "7").unwrap();
    store.set_note("simulation", "8").unwrap();
    store.set_note("other", "").unwrap();
    drop(store);
    let store = place();
    let notes = ["simulation", "other", "none"].map(|name| store.note(name).unwrap());
    assert_eq!(notes, [Some("8".to_owned()), Some(String::new()), None]);
}

fn readers_and_writers_do_not_wait_for_each_other(place: &Place) {
    let store: Arc<dyn Store> = Arc::from(place());
    store.put_hours(&keys(), &[(KeyId(1), Hour(10), key_hour(4))]).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for tick in 0..20 {
                store.commit(&Second { frames: vec![frame(tick)], ..Second::default() }).unwrap();
            }
        });
        let mut reads = 0;
        while !writer.is_finished() || reads == 0 {
            assert_eq!(store.peaks(KeyId(1), EVER).unwrap().len(), 1);
            let frames = store.frames().unwrap();
            assert!(frames.iter().enumerate().all(|(at, frame)| frame.tick == at as u64), "a second is missing");
            reads += 1;
        }
    });
    assert_eq!(store.frames().unwrap().len(), 20);
}
