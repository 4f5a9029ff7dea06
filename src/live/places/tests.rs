//! A book's table beside a map that moves nothing, and what it holds of memory.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::model::Tick;

fn id(n: u32) -> SessionId {
    SessionId(std::array::from_fn(|at| n.to_le_bytes()[at % 4]))
}

fn record(slot: u32) -> Record {
    Record::new(slot, Time::default(), Tick(0), None, false)
}

fn keep(second: u64, most: usize) -> Keep {
    Keep { now: Time::from_secs(second), age: Duration::from_secs(60), most }
}

#[test]
fn a_live_session_without_labels_takes_96_bytes_at_most() {
    let mut places = Places::default();
    for n in 0..100_000 {
        places.insert(id(n), record(n % 7));
        let bytes = places.rows.len() * size_of::<Row>();
        assert!(n < 10 || bytes <= 96 * places.len(), "{bytes} bytes for {} sessions", places.len());
    }
}

#[test]
fn of_very_many_ends_the_last_are_remembered() {
    let mut places = Places::default();
    for n in 0..1_000 {
        places.insert(id(n), record(0));
        assert!(places.end(&id(n), keep(1, 100)).is_some());
    }
    assert!((950..1_000).all(|n| matches!(places.known(&id(n)), Known::Ended)), "at least half of the bound");
    assert!((0..900).all(|n| matches!(places.known(&id(n)), Known::Not)), "no more than the bound");
}

#[test]
fn a_large_table_remembers_more_ends_so_that_it_is_seldom_swept() {
    let mut places = Places::default();
    (0..6_400).for_each(|n| places.insert(id(n), record(0)));
    let next = |places: &mut Places, n| {
        assert!(places.end(&id(n), keep(1, 100)).is_some());
        places.insert(id(n + 6_400), record(0));
    };
    (0..300).for_each(|n| next(&mut places, n));
    assert!((0..300).all(|n| matches!(places.known(&id(n)), Known::Ended)));
    (300..20_000).for_each(|n| next(&mut places, n));
    assert!(places.used() - places.len() <= places.rows.len() / 8 + 1, "no more than an eighth of its rows");
}

#[test]
fn what_is_forgotten_gives_its_room_back() {
    let mut places = Places::default();
    for n in 0..1_000 {
        places.insert(id(n), record(0));
        places.end(&id(n), keep(1, 10_000));
    }
    places.insert(id(1_000), record(5));
    places.expire(Time::from_secs(61));
    assert!(places.rows.len() <= 16, "{} rows", places.rows.len());
    assert_eq!(places.get(&id(1_000)).map(Record::slot), Some(5));
    places.remove(&id(1_000));
    places.shrink();
    assert_eq!((places.len(), places.rows.len()), (0, 0));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Open(u32),
    End(u32),
    Remove(u32),
    Bury(u32),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let id = 0..96_u32;
    prop_oneof![
        8 => id.clone().prop_map(Step::Open),
        6 => id.clone().prop_map(Step::End),
        1 => id.clone().prop_map(Step::Remove),
        1 => id.prop_map(Step::Bury),
        1 => (0..40_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Beside a map that does not move anything: what is held is the same, what has ended is forgotten when its time is
    /// over and not before.
    #[test]
    fn it_is_a_map_that_remembers_ends(steps in prop::collection::vec(step(), 0..400)) {
        let (mut places, mut held, mut ended) = (Places::default(), HashMap::new(), HashMap::<u32, u64>::new());
        let mut now = 1;
        for (nth, step) in steps.into_iter().enumerate() {
            let keep = keep(now, 1_000_000);
            match step {
                Step::Open(n) if !held.contains_key(&n) => {
                    places.insert(id(n), record(nth as u32));
                    held.insert(n, nth as u32);
                    ended.remove(&n);
                }
                Step::Open(_) => {}
                Step::End(n) => {
                    let slot = held.remove(&n);
                    prop_assert_eq!(places.end(&id(n), keep).map(|record| record.slot()), slot);
                    slot.map(|_| ended.insert(n, now + 60));
                }
                Step::Remove(n) => {
                    prop_assert_eq!(places.remove(&id(n)).map(|record| record.slot()), held.remove(&n));
                }
                Step::Bury(n) if !held.contains_key(&n) => {
                    places.bury(id(n), keep);
                    ended.insert(n, now + 60);
                }
                Step::Bury(_) => {}
                Step::Wait(seconds) => {
                    now += seconds;
                    places.expire(Time::from_secs(now));
                }
            }
            ended.retain(|_, until| *until > now);
            prop_assert_eq!(places.len(), held.len());
            for n in 0..96 {
                let known = match places.known(&id(n)) {
                    Known::Held(record) => (Some(record.slot()), false),
                    Known::Ended => (None, true),
                    Known::Not => (None, false),
                };
                prop_assert_eq!(known, (held.get(&n).copied(), ended.contains_key(&n)), "{}", n);
            }
            let used = places.rows.iter().filter(|row| !matches!(row.place, Place::Free)).count();
            prop_assert_eq!(used, places.used());
        }
        let listed: HashMap<_, _> = places.iter().map(|(id, record)| (*id, record.slot())).collect();
        prop_assert_eq!(listed, held.into_iter().map(|(n, slot)| (id(n), slot)).collect());
    }
}
