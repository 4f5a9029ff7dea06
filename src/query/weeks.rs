//! The last seven days of each key that is asked for: read from the store once, then kept up with each minute. Bounded.
//! While the store does not answer, what is known of them goes on by what is in memory, and the rest is unknown.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{Arc, Mutex, PoisonError, TryLockError},
    time::Duration,
};

use dashmap::DashMap;

use crate::{
    history::LimitInForce,
    model::{
        Hour, KeyHour, KeyId, LimitHistory, Minute, Now, Point,
        hour::MINUTES,
        time::{HOURS_PER_DAY, MINUTES_PER_WEEK},
    },
    query::past::{HourFacts, Past, Since},
    service::Service,
    store::{Store, StoreError},
};

/// Keys whose week is kept: at most 140 MB, each being 17 kB when in every hour something happens and comes near its limit.
const MOST_WEEKS: usize = 8_192;
/// How long a store that did not answer is not asked for weeks: a list of many keys waits for one of them and not for all.
const LEFT_ALONE: Duration = Duration::from_secs(10);

/// The weeks that are kept.
#[derive(Debug, Default)]
pub struct Weeks {
    by_key: DashMap<KeyId, Arc<Mutex<Week>>>,
    /// When the store was last asked and did not answer; `None` when it did.
    silent: Mutex<Option<Now>>,
}

/// The last seven days of one key, the minute in progress left out.
#[derive(Debug, Default)]
struct Week {
    /// What the whole hours that are folded come to, in order; empty ones are left out.
    folded: VecDeque<HourFacts>,
    /// The hours that were read for it.
    read: Range<Hour>,
    /// The minute in progress when it was last brought up to date, and the decisions on its limit until then.
    as_of: Option<(Minute, usize)>,
    /// The store did not answer then: there is more to know.
    is_behind: bool,
    since: Since,
    past: Arc<Past>,
}

impl Weeks {
    /// Whether the weeks of these keys are at hand, so that asking for them does not read the store.
    pub fn are_fresh(
        &self,
        keys: impl IntoIterator<Item = KeyId>,
        minute: Minute,
        now: Now,
        service: &Service,
    ) -> bool {
        let asks = self.asks(now);
        keys.into_iter().all(|key| {
            let Some(week) = self.by_key.get(&key).map(|week| week.clone()) else { return false };
            let as_of = (minute, service.limits.of(key).entries().len());
            match week.try_lock() {
                Ok(week) => week.is_fresh(as_of, asks),
                Err(TryLockError::Poisoned(week)) => week.into_inner().is_fresh(as_of, asks),
                // Someone brings it up to date: that is worth waiting for elsewhere.
                Err(TryLockError::WouldBlock) => false,
            }
        })
    }

    /// What the last seven days of a key come to, without the minute in progress. Reads the store once a minute and key; of
    /// one that does not answer nothing is waited for, and what it alone knows is not known.
    ///
    /// # Errors
    /// When what it says can't be read.
    pub fn of(&self, key: KeyId, minute: Minute, now: Now, service: &Service) -> Result<Arc<Past>, StoreError> {
        if self.by_key.len() >= MOST_WEEKS && !self.by_key.contains_key(&key) {
            self.make_room(minute);
        }
        let week = self.by_key.entry(key).or_default().clone();
        let mut week = week.lock().unwrap_or_else(PoisonError::into_inner);
        let limits = service.limits.of(key);
        let as_of = (minute, limits.entries().len());
        let asks = self.asks(now);
        if !week.is_fresh(as_of, asks) {
            let mut hours = Hours { key, service, answers: asks };
            week.catch_up(minute, &limits, &mut hours)?;
            (week.as_of, week.is_behind) = (Some(as_of), !hours.answers);
            if asks {
                *self.silent.lock().unwrap_or_else(PoisonError::into_inner) = (!hours.answers).then_some(now);
            }
        }
        Ok(week.past.clone())
    }

    /// Whether the store is to be asked.
    fn asks(&self, now: Now) -> bool {
        let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        silent.is_none_or(|since| now.mono.since(since.mono) >= LEFT_ALONE)
    }

    /// Drops the weeks that nobody asked for in this minute, or all if there is none.
    fn make_room(&self, now: Minute) {
        let asked_now = |week: &Arc<Mutex<Week>>| match week.try_lock() {
            Ok(week) => week.as_of.is_some_and(|(minute, _)| minute >= now),
            Err(_) => true,
        };
        self.by_key.retain(|_, week| asked_now(week));
        if self.by_key.len() >= MOST_WEEKS {
            self.by_key.clear();
        }
    }
}

/// The stored hours of a key.
struct Hours<'s> {
    key: KeyId,
    service: &'s Service,
    /// Whether the store answers: once it did not, it is not asked again.
    answers: bool,
}

impl Hours<'_> {
    /// Whether anything is known of what was before an hour; `None` when the store does not answer.
    fn any_before(&mut self, end: Hour) -> Result<Option<bool>, StoreError> {
        // What is in use is mostly found in the day before; the rest is read for what is new, where there is none.
        let day_before = Hour(end.0.saturating_sub(HOURS_PER_DAY));
        for window in [day_before..end, Hour(0)..day_before] {
            match self.read(|store, key| store.summaries(key, window))? {
                Some(summaries) if summaries.is_empty() => {}
                found => return Ok(found.map(|_| true)),
            }
        }
        Ok(Some(false))
    }

    /// Those of a window; `None` when the store does not answer.
    fn of(&mut self, window: Range<Hour>) -> Result<Option<Vec<(Hour, KeyHour)>>, StoreError> {
        self.read(|store, key| store.hours(key, window))
    }

    /// What is read of the key; `None` when the store does not answer.
    fn read<T>(
        &mut self,
        read: impl FnOnce(&dyn Store, KeyId) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        if !self.answers {
            return Ok(None);
        }
        match read(&*self.service.store, self.key) {
            Err(StoreError::Unavailable(_) | StoreError::Lost(_)) => {
                self.answers = false;
                Ok(None)
            }
            read => read.map(Some),
        }
    }
}

impl Week {
    /// Whether nothing more is to be known.
    fn is_fresh(&self, as_of: (Minute, usize), asks: bool) -> bool {
        self.as_of == Some(as_of) && !(self.is_behind && asks)
    }

    fn catch_up(&mut self, now: Minute, limits: &LimitHistory, hours: &mut Hours<'_>) -> Result<(), StoreError> {
        let (key, service) = (hours.key, hours.service);
        let window = Minute((now.0 + 1).saturating_sub(MINUTES_PER_WEEK))..now;
        // The open minutes first: an hour that is folded meanwhile is then in the store.
        let (open_from, open) = {
            let mut rollup = service.rollup();
            let open_from = rollup.open_from().unwrap_or(now.next()).hour();
            (open_from, rollup.points(key, window.clone()))
        };
        let whole = window.start.hour().next()..open_from.max(window.start.hour().next());
        self.read_folded(whole.clone(), limits, hours)?;

        let mut past = Past::default();
        let zone = &service.config.time_zone;
        let mut limit = LimitInForce::new(limits);
        let oldest = hours.of(window.start.hour()..whole.start)?.unwrap_or_default();
        let mut is_older = false;
        for (hour, key_hour) in &oldest {
            let is_before = |(minute, point): (Minute, &Point)| minute < window.start && !point.is_gap();
            is_older |= minutes_of(*hour, &key_hour.points).any(is_before);
            let minutes = minutes_of(*hour, &key_hour.points).filter(|(minute, _)| *minute >= window.start);
            past.add(&HourFacts::of(*hour, minutes, &mut limit), zone);
        }
        self.folded.iter().for_each(|facts| past.add(facts, zone));
        // What an import put into hours that are still open shows where nothing else is known.
        let imported = hours.of(whole.end..now.hour().next().max(whole.end))?.unwrap_or_default();
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
        self.look_for_first(past.first_covered, window.start, is_older, hours)?;
        past.since = self.since.of_window(window.start);
        self.past = Arc::new(past);
        Ok(())
    }

    /// Finds out since when anything is known. In the store it is looked for once: what is known of a key grows at its end.
    fn look_for_first(
        &mut self,
        first_covered: Option<Minute>,
        start: Minute,
        is_older: bool,
        hours: &mut Hours<'_>,
    ) -> Result<(), StoreError> {
        if self.since == Since::Unsaid {
            let is_older = match is_older || first_covered == Some(start) {
                true => Some(true),
                false => hours.any_before(start.hour())?,
            };
            self.since = match is_older {
                Some(true) => Since::Before,
                Some(false) => Since::Never,
                None => Since::Unsaid,
            };
        }
        if let (Since::Never, Some(first)) = (self.since, first_covered) {
            self.since = Since::Minute(first);
        }
        Ok(())
    }

    /// Reads the hours of `whole` that were not read yet, and forgets those before it.
    fn read_folded(
        &mut self,
        whole: Range<Hour>,
        limits: &LimitHistory,
        hours: &mut Hours<'_>,
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
            let Some(unread) = hours.of(self.read.end..whole.end)? else { return Ok(()) };
            for (hour, key_hour) in unread {
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
