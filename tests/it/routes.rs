//! Routes over random days: every promise at every step, and the day with the first model alone beside it.

mod day;
mod real;
mod run;

use std::{collections::BTreeMap, time::Duration};

use day::Day;
use highwater::route::{Action, ByHand};
use run::{Told, first_only, routed};

/// Days of a test run; `HIGHWATER_ROUTE_DAYS` sets another number.
const DAYS: u64 = 250;
/// The first seed; `HIGHWATER_ROUTE_SEED` sets another, to see one day again.
const SEED: u64 = 1;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

fn days() -> impl Iterator<Item = Day> {
    let seed = number("HIGHWATER_ROUTE_SEED", SEED);
    (seed..seed + number("HIGHWATER_ROUTE_DAYS", DAYS)).map(Day::random)
}

/// After a switch, a chain stays for its dwell time at the least; what is forced by a provider that is down can't wait.
fn hold_the_dwell(day: &Day, told: &Told) {
    for pair in told.switches.windows(2) {
        let stayed = pair[1].0.since(pair[0].0);
        assert!(pair[1].1 || stayed >= day.chain.dwell, "seed {}: {stayed:?}", day.seed);
    }
}

#[test]
fn random_days_are_calm_and_right() {
    let (mut worse, mut better, mut unmet, mut unmet_first, mut whys) = (Vec::new(), 0, 0, 0, BTreeMap::new());
    for day in days() {
        let told = routed(&day, &[]);
        let first = first_only(&day, &told);
        hold_the_dwell(&day, &told);
        if told.unmet() > first.unmet() {
            worse.push((day.seed, told.unmet(), first.unmet()));
        }
        better += u32::from(told.unmet() < first.unmet());
        unmet += told.unmet();
        unmet_first += first.unmet();
        told.whys.iter().for_each(|(why, times)| *whys.entry(*why).or_insert(0) += times);
    }
    println!("unmet {unmet}, with the first model alone {unmet_first}; better on {better} days; {whys:?}");
    assert_eq!(worse, [], "days (seed, unmet, with the first model alone)");
}

/// Where no fallback loses its room, whoever the first model alone would serve is served: not one call is worse off.
#[test]
fn without_troubles_nobody_is_worse_off() {
    for day in days().map(Day::without_troubles) {
        let told = routed(&day, &[]);
        let first = first_only(&day, &told);
        hold_the_dwell(&day, &told);
        let worse = (0..day.calls.len()).find(|call| first.served[*call] && !told.served[*call]);
        assert_eq!(worse, None, "seed {}", day.seed);
    }
}

/// Where fallbacks fail, no call is promised what the first model alone would give it, whatever leaves early: the slot that
/// was spared went to a caller who would have been refused, and is missed when the fallback fails.
#[test]
fn what_left_early_may_be_missed_when_the_fallback_fails() {
    let (from, mut job) = (Day::random(1).calls[0].at, 0);
    let at = |second: u64| from.after(Duration::from_secs(second));
    let mut call = |second: u64, lasts: u64, point: u64| {
        job += 100;
        day::Call { at: at(second), lasts: Duration::from_secs(lasts), job: job + point, worker: second % 5 }
    };
    let mut calls: Vec<_> = (0..9).map(|second| call(second, 2_000, 0)).collect();
    // Short ones, so that the route is looked at; then one leaves early, and another takes the slot that it spared.
    calls.extend([call(20, 1, 0), call(23, 1, 0), call(28, 1, 0), call(30, 60, 99), call(31, 2_000, 0)]);
    // Those that come one by one once the fallback fails would have had that slot.
    calls.extend([call(100, 5, 0), call(110, 5, 0), call(120, 5, 0)]);
    let outage = day::Outage { from: at(95), to: at(400), percent: 100, cuts: false };
    let providers = [(10, vec![]), (4, vec![outage])];
    let provider = |(limit, outages)| day::Provider { limit, outages, ..day::Provider::default() };
    let providers = providers.map(provider).to_vec();
    let day = Day { seed: 0, chain: day::chain(2, 90, 70), providers, calls, broken: None };
    let told = routed(&day, &[]);
    let first = first_only(&day, &told);
    assert_eq!((told.unmet(), first.unmet()), (3, 1));
    let without = Day { chain: day::chain(2, 0, 0), ..day };
    assert_eq!(routed(&without, &[]).unmet(), 0, "without thresholds nobody leaves early");
}

/// Words by hand, at random: no drained model gets a session, and the other promises hold too.
#[test]
fn words_by_hand_hold_on_random_days() {
    for day in days().take(50) {
        let mut random = highwater::sim::random::Random::of(day.seed, 9, 0);
        let (first, last) = (day.calls[0].at, day.calls[day.calls.len() - 1].at);
        let word = |nth: u64| {
            let start = first.after(last.since(first).mul_f64(random.unit()));
            ByHand {
                chain: day.chain.name.clone(),
                model: day.chain.models[random.below(day.chain.models.len() as u64) as usize].clone(),
                action: if nth.is_multiple_of(2) { Action::Pin } else { Action::Drain },
                reason: "a test".to_owned(),
                set_by: "kim".to_owned(),
                start,
                end: start.after(Duration::from_secs(10 + random.below(3_000))),
            }
        };
        let said: Vec<_> = (0..6).map(word).collect();
        hold_the_dwell(&day, &routed(&day, &said));
    }
}

/// A load that stands still: after a while, so do the routes.
#[test]
fn a_steady_load_moves_nothing() {
    for limit in [1_u32, 4, 10, 33] {
        for load in (1..=limit + limit / 2 + 2).step_by(1 + limit as usize / 6) {
            for fallback in [1, limit / 2 + 1, 2 * limit] {
                steady(limit, fallback, load);
            }
        }
    }
}

fn steady(limit: u32, fallback: u32, load: u32) {
    let mut day = Day::random(1).without_troubles();
    day.chain = day::chain(2, 90, 70);
    day.providers = [limit, fallback].map(|limit| day::Provider { limit, ..day::Provider::default() }).to_vec();
    // Every call lasts 100 s, and one begins each 100 s / load: so many are held at once.
    let mut random = highwater::sim::random::Random::of(7, 7, 7);
    let call = |nth: u64| day::Call {
        at: highwater::model::Time::from_millis(86_400_000 + nth * 100_000 / u64::from(load)),
        lasts: Duration::from_secs(100),
        job: random.number(),
        worker: nth % 5,
    };
    day.calls = (0..u64::from(load) * 30).map(call).collect();
    let told = routed(&day, &[]);
    hold_the_dwell(&day, &told);
    let settled = day.calls[0].at.after(Duration::from_secs(1_500));
    let ends = day.calls[0].at.after(Duration::from_secs(3_000));
    let late = |at: &highwater::model::Time| (settled..ends).contains(at);
    let switches = told.switches.iter().filter(|(at, _)| late(at)).count();
    assert_eq!(switches, 0, "limit {limit}, fallback {fallback}, load {load}: {:?}", told.switches);
    // Of jobs that fall as they do, more may ask for a model at once than it has room for; below the threshold, none do.
    let changes = told.changes.iter().filter(|at| late(at)).count();
    assert!(changes == 0 || load * 100 >= limit * 90, "limit {limit}, fallback {fallback}, load {load}: {changes}");
}
