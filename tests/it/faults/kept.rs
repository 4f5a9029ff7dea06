//! What a store has kept of what was acknowledged: decisions with their rows of the audit log, and seconds that were folded
//! into history.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use highwater::{
    access::{AuditRow, KeyRecord, audit::Verifier},
    model::{Frame, Hour, Key, KeyId, LimitEntry, Minute, Now, Point, Tick},
    rollup::Rollup,
    service::{Clock, Service, record::Recorder},
    store::{Shelf, Store},
};

use crate::serving::config;

/// All that a run leaves can be folded so long after it.
const FOLDED_AFTER: Duration = Duration::from_secs(2 * 3_600);

/// A decision that was acknowledged.
pub enum Decided {
    Limit(Key, LimitEntry),
    Made(KeyRecord),
    Revoked(KeyRecord),
}

/// How many decisions are there, how many have their row in the audit log, and whether its chain is whole.
pub fn there(
    store: &dyn Store,
    decided: &[Decided],
    numbers: &BTreeMap<Key, KeyId>,
) -> (usize, usize, Result<(), String>) {
    let limits = store.limits().unwrap();
    let documents: BTreeMap<_, _> = store.documents(Shelf::ApiKeys).unwrap().into_iter().collect();
    let record = |id: &String| documents.get(id).and_then(|bytes| KeyRecord::decode(bytes));
    let end = store.audit_end().unwrap();
    let rows = store.audit(0..end, usize::MAX).unwrap();
    let mut chain = Verifier::default();
    let whole = rows.iter().try_for_each(|(number, row)| chain.take(*number, row)).and_then(|()| chain.end(end));
    let told: BTreeSet<(String, String)> = rows
        .iter()
        .filter_map(|(_, row)| AuditRow::decode(row))
        .map(|row| {
            let what = if row.entry.action.starts_with("key.") { row.entry.object } else { row.entry.after };
            (row.entry.action, what)
        })
        .collect();
    let is_told =
        |action: &str, is_it: &dyn Fn(&str) -> bool| told.iter().any(|(did, what)| did == action && is_it(what));
    let (mut decisions, mut with_row) = (0, 0);
    for decision in decided {
        let (is_there, has_row) = match decision {
            Decided::Limit(key, entry) => (
                limits.iter().any(|(id, stored)| numbers.get(key) == Some(id) && stored == entry),
                is_told("limit.set", &|after| after.contains(&format!("{:?}", entry.reason))),
            ),
            Decided::Made(made) => (
                record(&made.id).is_some_and(|stored| stored.kept == made.kept),
                is_told("key.create", &|id| id == made.id),
            ),
            Decided::Revoked(revoked) => (
                record(&revoked.id).is_some_and(|stored| stored.revoked == revoked.revoked),
                is_told("key.revoke", &|id| id == revoked.id),
            ),
        };
        decisions += usize::from(is_there);
        with_row += usize::from(has_row);
    }
    (decisions, with_row, whole)
}

/// Folds all that is in a store, as a service does that goes on for some hours, and says how many minutes of its keys are in
/// history as the seconds that were seen make them, of how many.
pub fn folded(
    store: &Arc<dyn Store>,
    seen: &BTreeMap<u64, Frame>,
    keys: impl Iterator<Item = KeyId>,
) -> (usize, usize) {
    let service = Service::open(config(), store.clone(), Clock::start()).unwrap();
    let (first, last) = (seen.values().next().unwrap(), seen.values().last().unwrap());
    let (from, to) = (Tick(first.tick), Tick(last.tick + last.repeat + 1));
    let now = service.clock.now();
    let mut recorder = Recorder::default();
    for nth in 0..4 {
        let later = FOLDED_AFTER + Duration::from_secs(nth);
        recorder.step(&service, Now { wall: now.wall.after(later), mono: now.mono.after(later) });
    }
    assert!(store.folded_until().unwrap() > Some(to.hour()), "all of it is folded: {:?}", service.health.degraded());

    let mut rolled = Rollup::new(service.config.bounds.late_until, None);
    seen.values().for_each(|frame| rolled.apply(frame));
    let (mut same, mut all) = (0, 0);
    for key in keys {
        let stored: BTreeMap<Hour, _> = store.hours(key, from.hour()..to.hour().next()).unwrap().into_iter().collect();
        for (minute, point) in rolled.points(key, Minute(0)..Minute(u32::MAX)) {
            let there = stored.get(&minute.hour()).map(|row| row.points[minute.0 as usize % row.points.len()]);
            // The last minute went on after the last second that was seen.
            let is_last = minute.first_tick().0 + 60 > to.0;
            let figures = |point: Point| (point.peak, point.peak_second, point.opened, point.raised);
            all += 1;
            let is_same = there.is_some_and(|there| there == point || (is_last && figures(there) == figures(point)));
            same += usize::from(is_same);
            if !is_same {
                println!("key {} minute {}: {there:?}, and its seconds say {point:?}", key.0, minute.0);
            }
        }
    }
    (same, all)
}
