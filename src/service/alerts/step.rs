//! What each second comes to: its frames are decided on, and what came of it is written in one step with what is to be
//! told.

use std::sync::atomic::Ordering;

use crate::{
    alert::{Decided, NoticeKind, Row, outbox::KEEP},
    model::{Frame, Key, KeyId, Now, Tick, Time},
    service::{
        Service,
        alerts::{Alerts, Known, MOST_PAST, Past, State, name_of, record},
    },
    store::{Change, Shelf, StoreError},
};

/// How often what is too old is looked for.
const EXPIRE_EVERY: std::time::Duration = std::time::Duration::from_secs(600);
/// How long a store that failed is left alone.
const RETRY: std::time::Duration = std::time::Duration::from_secs(5);
/// Days that alerts which are over are shown.
const PAST_DAYS: u64 = 90;

impl Alerts {
    /// Says what history knows of each key, before the first second.
    pub(in crate::service) fn begin(&self, service: &Service, now: Now) {
        let mut state = self.state();
        let State { engine, names, scheduled, .. } = &mut *state;
        let known = Known { names, limits: &service.limits };
        let at = now.wall.tick();
        let rollup = service.rollup();
        for (id, _) in (0..).map(KeyId).zip(&names.0).filter(|(_, key)| key.is_some()) {
            engine.remember(id, rollup.level(id), rollup.coverage(id), &known, at);
            schedule(scheduled, service, id, now.wall);
        }
    }

    /// Decides on frames, in order, and writes what came of it. Returns what the store says.
    pub(in crate::service) fn step(
        &self,
        service: &Service,
        frames: &[Frame],
        new_keys: &[(KeyId, Key)],
        now: Now,
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        for (id, key) in new_keys {
            state.names.learn(*id, key.clone());
        }
        state.look_at_limits(service, now);
        let troubles = state.troubles(service, frames, now);
        for frame in frames {
            let State { engine, names, .. } = &mut *state;
            let known = Known { names, limits: &service.limits };
            let decided = engine.take(frame, &troubles, &known);
            self.count(&decided);
            state.decided(decided, now.wall);
        }
        let framed = frames.iter().map(|frame| frame.repeat.saturating_add(1)).sum();
        let untold = state.lived.untold(now.mono, framed);
        if untold > 0 {
            let State { engine, names, .. } = &mut *state;
            let decided = engine.linger(untold, &troubles, &Known { names, limits: &service.limits });
            self.count(&decided);
            state.decided(decided, now.wall);
        }
        state.expire(now.wall);
        let is_news = !state.unwritten.is_empty();
        let written = state.write(service, now.wall);
        if is_news {
            self.wake.notify_one();
        }
        written
    }

    fn count(&self, decided: &Decided) {
        for notice in &decided.notices {
            match notice.notice {
                NoticeKind::Fired => self.counts.fired.fetch_add(1, Ordering::Relaxed),
                NoticeKind::Resolved => self.counts.resolved.fetch_add(1, Ordering::Relaxed),
                _ => 0,
            };
        }
    }
}

impl State {
    /// Limits that were decided on since, or that end or begin by their time.
    fn look_at_limits(&mut self, service: &Service, now: Now) {
        let at = now.wall.tick();
        let mut touched = service.limits.take_touched();
        while let Some(entry) = self.scheduled.first_entry().filter(|entry| *entry.key() <= at) {
            touched.extend(entry.remove());
        }
        let Self { engine, names, scheduled, .. } = self;
        let known = Known { names, limits: &service.limits };
        for id in touched {
            engine.look_at(id, &known, at);
            schedule(scheduled, service, id, now.wall);
        }
    }

    /// Takes over what was decided, with a row for each who is to be told.
    fn decided(&mut self, decided: Decided, now: Time) {
        for (subject, alert) in &decided.alerts {
            let is_kept = alert.is_active() || alert.snooze.is_some();
            let bytes = is_kept.then(|| record::encode_alert(alert, self.names.of(*subject)));
            self.put(Shelf::Alerts, name_of(*subject), bytes);
        }
        for alert in decided.past {
            let name = name_of_past(&alert);
            let key = self.names.of(alert.subject).cloned();
            self.put(Shelf::PastAlerts, name.clone(), Some(record::encode_alert(&alert, key.as_ref())));
            self.past.insert(name, Past { alert, key });
        }
        for notice in decided.notices {
            self.tell(&notice, now);
        }
    }

    /// Forgets what is too old to be shown, and tells again what would lapse.
    fn expire(&mut self, now: Time) {
        if self.expired_at.is_some_and(|at| now.since(at) < EXPIRE_EVERY) {
            return;
        }
        self.expired_at = Some(now);
        self.renew(now);
        let Self { engine, past, outbox, .. } = self;
        let goes_on = |row: &Row| {
            let is_of_row = |alert: &crate::alert::Alert| alert.began == row.alert.began && alert.is_active();
            let has_just_ended = |past: &Past| past.alert.resolved.is_some_and(|at| now.since(at.start()) < KEEP);
            engine.get(row.subject).is_some_and(is_of_row)
                || past.get(&name_of_past(&row.alert)).is_some_and(has_just_ended)
        };
        for id in outbox.expire(now, &goes_on) {
            self.put(Shelf::Outbox, id.to_string(), None);
        }
        let oldest = now.tick().0.saturating_sub(PAST_DAYS * 24 * 3_600);
        let mut by_age: Vec<_> = self.past.iter().map(|(name, past)| (past.alert.began, name.clone())).collect();
        by_age.sort_unstable();
        let over = by_age.len().saturating_sub(MOST_PAST);
        for (nth, (began, name)) in by_age.into_iter().enumerate() {
            if nth < over || began.0 < oldest {
                self.past.remove(&name);
                self.put(Shelf::PastAlerts, name, None);
            }
        }
    }

    /// Writes what the store has not taken yet, in one step.
    pub(super) fn write(&mut self, service: &Service, now: Time) -> Result<(), StoreError> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        if self.failing_since.is_some() && now < self.retry_at {
            return Err(StoreError::Unavailable("it is asked again in some seconds".to_owned()));
        }
        let change = Change { documents: self.documents(), ..Change::default() };
        match service.store.change(&change) {
            Ok(()) => {
                self.unwritten.clear();
                self.failing_since = None;
                Ok(())
            }
            Err(error) => {
                self.failing_since.get_or_insert(now);
                self.retry_at = now.after(RETRY);
                Err(error)
            }
        }
    }
}

/// The name of an episode that is over, in the store.
pub(super) fn name_of_past(alert: &crate::alert::Alert) -> String {
    format!("{}@{}", name_of(alert.subject), alert.began.0)
}

/// Looks at a key again when its limit changes next.
fn schedule(scheduled: &mut std::collections::BTreeMap<Tick, Vec<KeyId>>, service: &Service, id: KeyId, now: Time) {
    let changes = service.limits.of(id).changes();
    if let Some(next) = changes.into_iter().find(|change| *change > now) {
        // The second that begins with it, or after it.
        scheduled.entry(Tick(next.0.div_ceil(crate::model::time::MICROS_PER_SECOND))).or_default().push(id);
    }
}
