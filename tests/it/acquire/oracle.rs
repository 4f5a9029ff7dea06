//! A real trace of requests as acquires, against a naive simulation: what is granted, diverted and refused, and the peak of
//! every minute.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use highwater::{
    import::{Gathered, trace::TraceReader},
    live::{Answer, Ask, Live, Meter, Roller, Rules, admit::Holder},
    model::{
        Bounds, Enforcement, Incarnation, Kind, LimitEntry, LimitHistory, Meter as Name, Minute, Mode, Now, Outcome,
        Priority, Project, SessionId, Time,
    },
    rollup::Rollup,
};

use crate::oracle::data;

const LIMIT: u32 = 40;
const FALLBACK: &str = "google/gemini-3-flash";
const FALLBACK_LIMIT: u32 = 10;
const LEASE: Duration = Duration::from_secs(1_000_000_000);

/// What a model came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Came {
    granted: u64,
    diverted: u64,
    refused: u64,
    peaks: BTreeMap<u32, u32>,
}

fn limit(slots: u32) -> Rules {
    let (set_by, reason) = (String::new(), String::new());
    let entry = LimitEntry { slots: Some(slots), start: Time(0), end: None, set_by, reason };
    let enforcement = Enforcement { mode: Mode::Enforce, kept_percent: 0 };
    Rules { slots: Arc::new(LimitHistory::new(vec![entry])), enforcement, ..Rules::default() }
}

/// Beginnings and ends in order; at one instant ends come first.
fn events(trace: &Gathered) -> Vec<(u64, bool, usize)> {
    let lasting = trace.sessions.iter().enumerate().filter(|(_, session)| session.connected < session.disconnected);
    let mut events: Vec<_> = lasting
        .flat_map(|(nth, session)| [(session.connected.0, true, nth), (session.disconnected.0, false, nth)])
        .collect();
    events.sort_by_key(|(at, begins, nth)| (*at, *begins, *nth));
    events
}

/// Twenty lines that know nothing of the engine.
fn naive(events: &[(u64, bool, usize)], last_minute: u32) -> [Came; 2] {
    let mut came = [Came::default(), Came::default()];
    let mut held: BTreeMap<usize, usize> = BTreeMap::new();
    let mut levels = [0_u32; 2];
    let mut minute = u32::try_from(events[0].0 / 60_000_000).unwrap();
    came.iter_mut().for_each(|came| came.peaks.extend([(minute, 0)]));
    for (at, begins, nth) in events {
        // A session that ends where a minute begins is not in that minute.
        let of = u32::try_from((if *begins { *at } else { at - 1 }) / 60_000_000).unwrap();
        while minute < of {
            minute += 1;
            (0..2).for_each(|model| came[model].peaks.extend([(minute, levels[model])]));
        }
        if !begins {
            if let Some(model) = held.remove(nth) {
                levels[model] -= 1;
            }
            continue;
        }
        let Some(model) = (0..2).find(|model| levels[*model] < [LIMIT, FALLBACK_LIMIT][*model]) else {
            came[0].refused += 1;
            continue;
        };
        held.insert(*nth, model);
        levels[model] += 1;
        came[model].granted += 1;
        came[0].diverted += u64::from(model == 1);
        let peak = came[model].peaks.entry(minute).or_default();
        *peak = (*peak).max(levels[model]);
    }
    while minute < last_minute {
        minute += 1;
        (0..2).for_each(|model| came[model].peaks.extend([(minute, levels[model])]));
    }
    came
}

fn at(micros: u64) -> Now {
    Now::at(Time(micros))
}

fn id(nth: usize) -> SessionId {
    let mut id = [9; 16];
    id[..8].copy_from_slice(&(nth as u64).to_le_bytes());
    SessionId(id)
}

/// The engine on the same events.
fn engine(events: &[(u64, bool, usize)], primary: &Name) -> [Came; 2] {
    let first = at(events[0].0);
    let bounds = Bounds { sessions_per_project: 1_000_000, ..Bounds::default() };
    let (live, mut roller) = (Live::new(bounds, first.wall.tick()), Roller::default());
    let mut rollup = Rollup::new(Duration::from_secs(900), None);
    let project = Project::new("p").unwrap();
    let fallback = Name::new(Kind::Llm, FALLBACK, "", None).unwrap();
    let meters = [primary, &fallback].map(|name| live.meter(&project, name, first).unwrap());
    meters
        .iter()
        .zip([LIMIT, FALLBACK_LIMIT])
        .for_each(|(meter, most)| live.set_rules(&meter.tally, limit(most), first));
    let who = Holder::Unary { project: &project, worker: "w", incarnation: Incarnation([1; 16]), lease: LEASE };
    let mut came = [Came::default(), Came::default()];
    let mut second = first.wall.tick();
    let mut roll = |live: &Live, to: Now| roller.roll(live, to).iter().for_each(|frame| rollup.apply(frame));
    for (micros, begins, nth) in events {
        let now = at(*micros);
        // What ends exactly where a second begins is before it.
        let of = if *begins { now.wall.tick() } else { now.wall.tick_before() };
        if of > second {
            second = of;
            roll(&live, Now::at(of.start()));
        }
        if !begins {
            let _given = live.give_back(who, id(*nth), Outcome::Ok, now).unwrap();
            continue;
        }
        let wanted: Arc<[Arc<Meter>]> = meters.to_vec().into();
        let ask = Ask {
            id: id(*nth),
            wanted,
            priority: Priority::Standard,
            labels: None,
            waits: false,
            of_chain: None,
            without_store: false,
        };
        match live.acquire(who, &ask, None, now).unwrap().0 {
            Answer::Granted(granted) => came[granted.nth.unwrap()].granted += 1,
            Answer::Refused(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let last = events.last().unwrap().0;
    roll(&live, at(last + 1_000_000));
    for (meter, came) in meters.iter().zip(&mut came) {
        (came.refused, came.diverted) = (meter.totals().refused, meter.totals().diverted);
        let minutes = Time(events[0].0).tick().minute()..Minute(at(last).wall.tick().minute().0 + 1);
        for (minute, point) in rollup.points(meter.tally.id, minutes) {
            came.peaks.insert(minute.0, point.peak);
        }
    }
    came
}

#[test]
fn the_requests_as_acquires_come_to_what_a_naive_simulation_says() {
    let Some(file) = data("llm-conv-2023-11.csv") else { return };
    let mut trace = Gathered::default();
    TraceReader::new(file).unwrap().for_each(|item| trace.take(item.unwrap()));
    let (events, primary) = (events(&trace), &trace.meters[0]);
    let last_minute = u32::try_from(events.last().unwrap().0 / 60_000_000).unwrap();
    let (mut naive, engine) = (naive(&events, last_minute), engine(&events, primary));
    // The engine knows a level from when its worker was first heard on it.
    for (naive, engine) in naive.iter_mut().zip(&engine) {
        let known = engine.peaks.keys().next().copied().unwrap_or(0);
        naive.peaks.retain(|minute, _| *minute >= known);
    }
    for (naive, engine) in naive.iter().zip(&engine) {
        println!(
            "granted {}, diverted {}, refused {}, minutes {}",
            naive.granted,
            naive.diverted,
            naive.refused,
            naive.peaks.len()
        );
        assert_eq!(engine, naive);
    }
    assert!(naive[0].diverted > 0 && naive[0].refused > 0, "the limit is reached");
    assert_eq!((naive[0].peaks.values().max(), naive[1].peaks.values().max()), (Some(&LIMIT), Some(&FALLBACK_LIMIT)));
}
