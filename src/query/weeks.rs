//! The last seven days of each key that is asked for: read from the store once, then kept up with each minute. Bounded.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{Arc, Mutex, PoisonError, TryLockError},
};

use dashmap::DashMap;

use crate::{
    history::LimitInForce,
    model::{Hour, KeyId, LimitHistory, Minute, Point, hour::MINUTES, time::MINUTES_PER_WEEK},
    query::past::{HourFacts, Past},
    service::Service,
    store::StoreError,
};

/// Keys whose week is kept: at most 140 MB, each being 17 kB when in every hour something happens and comes near its limit.
const MOST_WEEKS: usize = 8_192;

/// The weeks that are kept.
#[derive(Debug, Default)]
pub struct Weeks(DashMap<KeyId, Arc<Mutex<Week>>>);

/// The last seven days of one key, the minute in progress left out.
#[derive(Debug, Default)]
struct Week {
    /// What the whole hours that are folded come to, in order; empty ones are left out.
    folded: VecDeque<HourFacts>,
    /// The hours that were read for it.
    read: Range<Hour>,
    /// The minute in progress when it was last brought up to date, and the decisions on its limit until then.
    as_of: Option<(Minute, usize)>,
    past: Arc<Past>,
}

impl Weeks {
    /// Whether the weeks of these keys are at hand, so that asking for them does not read the store.
    pub fn are_fresh(&self, keys: impl IntoIterator<Item = KeyId>, now: Minute, service: &Service) -> bool {
        keys.into_iter().all(|key| {
            let Some(week) = self.0.get(&key).map(|week| week.clone()) else { return false };
            let as_of = (now, service.limits.of(key).entries().len());
            match week.try_lock() {
                Ok(week) => week.as_of == Some(as_of),
                Err(TryLockError::Poisoned(week)) => week.into_inner().as_of == Some(as_of),
                // Someone brings it up to date: that is worth waiting for elsewhere.
                Err(TryLockError::WouldBlock) => false,
            }
        })
    }

    /// What the last seven days of a key come to, without the minute in progress. Reads the store once a minute and key.
    pub fn of(&self, key: KeyId, now: Minute, service: &Service) -> Result<Arc<Past>, StoreError> {
        if self.0.len() >= MOST_WEEKS && !self.0.contains_key(&key) {
            self.make_room(now);
        }
        let week = self.0.entry(key).or_default().clone();
        let mut week = week.lock().unwrap_or_else(PoisonError::into_inner);
        let limits = service.limits.of(key);
        let as_of = (now, limits.entries().len());
        if week.as_of != Some(as_of) {
            week.catch_up(key, now, &limits, service)?;
            week.as_of = Some(as_of);
        }
        Ok(week.past.clone())
    }

    /// Drops the weeks that nobody asked for in this minute, or all if there is none.
    fn make_room(&self, now: Minute) {
        let asked_now = |week: &Arc<Mutex<Week>>| match week.try_lock() {
            Ok(week) => week.as_of.is_some_and(|(minute, _)| minute >= now),
            Err(_) => true,
        };
        self.0.retain(|_, week| asked_now(week));
        if self.0.len() >= MOST_WEEKS {
            self.0.clear();
        }
    }
}

impl Week {
    fn catch_up(
        &mut self,
        key: KeyId,
        now: Minute,
        limits: &LimitHistory,
        service: &Service,
    ) -> Result<(), StoreError> {
        let window = Minute((now.0 + 1).saturating_sub(MINUTES_PER_WEEK))..now;
        // The open minutes first: an hour that is folded meanwhile is then in the store.
        let (open_from, open) = {
            let mut rollup = service.rollup();
            let open_from = rollup.open_from().unwrap_or(now.next()).hour();
            (open_from, rollup.points(key, window.clone()))
        };
        let whole = window.start.hour().next()..open_from.max(window.start.hour().next());
        self.read_folded(key, whole.clone(), limits, service)?;

        let mut past = Past::default();
        let zone = &service.config.time_zone;
        let mut limit = LimitInForce::new(limits);
        let oldest = service.store.hours(key, window.start.hour()..whole.start)?;
        for (hour, key_hour) in &oldest {
            let minutes = minutes_of(*hour, &key_hour.points).filter(|(minute, _)| *minute >= window.start);
            past.add(&HourFacts::of(*hour, minutes, &mut limit), zone);
        }
        self.folded.iter().for_each(|facts| past.add(facts, zone));
        // What an import put into hours that are still open shows where nothing else is known.
        let imported = service.store.hours(key, whole.end..now.hour().next().max(whole.end))?;
        for hour in (whole.end.0..=now.hour().0).map(Hour) {
            let mut points = [Point::GAP; MINUTES];
            if let Some((_, imported)) = imported.iter().find(|(imported, _)| *imported == hour) {
                points = imported.points;
            }
            for (minute, point) in open.iter().filter(|(minute, _)| minute.hour() == hour) {
                let known = &mut points[minute.of_hour()];
                if !point.is_gap() || known.is_gap() {
                    *known = *point;
                }
            }
            let minutes = minutes_of(hour, &points).filter(|(minute, _)| window.contains(minute));
            past.add(&HourFacts::of(hour, minutes, &mut limit), zone);
        }
        self.past = Arc::new(past);
        Ok(())
    }

    /// Reads the hours of `whole` that were not read yet, and forgets those before it.
    fn read_folded(
        &mut self,
        key: KeyId,
        whole: Range<Hour>,
        limits: &LimitHistory,
        service: &Service,
    ) -> Result<(), StoreError> {
        if self.read.start > whole.start || self.read.end < whole.start || self.read.end > whole.end {
            self.folded.clear();
            self.read = whole.start..whole.start;
        }
        while self.folded.front().is_some_and(|facts| facts.hour < whole.start) {
            self.folded.pop_front();
        }
        self.read.start = whole.start;
        if self.read.end < whole.end {
            let mut limit = LimitInForce::new(limits);
            for (hour, key_hour) in service.store.hours(key, self.read.end..whole.end)? {
                let facts = HourFacts::of(hour, minutes_of(hour, &key_hour.points), &mut limit);
                if !facts.is_empty() {
                    self.folded.push_back(facts);
                }
            }
            self.read.end = whole.end;
        }
        Ok(())
    }
}

fn minutes_of(hour: Hour, points: &[Point; MINUTES]) -> impl Iterator<Item = (Minute, &Point)> {
    (hour.first_minute().0..).map(Minute).zip(points)
}
