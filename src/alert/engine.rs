//! What a second's frame comes to: which alerts begin, go on and end, and what is to be told. A second costs as much as
//! has changed in it, and as alerts that are not inactive; a quiet meter costs nothing.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    alert::{
        NoticeKind,
        rule::{RuleBook, Rung},
        state::{Alert, Phase, Sample, Subject, Turn},
    },
    model::{Coverage, Entry, Frame, Key, KeyId, Project, Tick, Time},
};

/// An alert that is pending, or ending, is kept anew after so many seconds of it: what a restart may forget.
const PROGRESS_SECONDS: u32 = 30;

/// What is known of a key beside its alert. Small: there may be hundreds of thousands.
#[derive(Clone, Copy, Debug)]
struct Watched {
    /// The level at which anything begins; `u32::MAX` where nothing can.
    floor: u32,
    limit: Option<u32>,
    level: u32,
    /// The highest level of the second `peak_at`.
    peak: u32,
    peak_at: Tick,
    /// The level is known, in full or in part.
    known: bool,
    /// There is a rule of its silence.
    heeded: bool,
    /// It was known, and then the last of its workers was lost.
    silent: bool,
    /// Whether it has an alert that is not inactive, of its level or its silence.
    active: bool,
}

/// Something that is to be told, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub notice: NoticeKind,
    /// The rule that it is of.
    pub rule: Arc<str>,
    /// Its number in the episode.
    pub number: u32,
    /// The alert as it stood then.
    pub alert: Alert,
}

/// What came of some seconds: it is to be written in one step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// Alerts as they now stand. Those that are inactive are over.
    pub alerts: BTreeMap<Subject, Alert>,
    /// Episodes that are over, as they were.
    pub past: Vec<Alert>,
    pub notices: Vec<Notice>,
}

/// Where keys and their limits are asked for.
pub trait Keys {
    /// The key of a number; `None` when it is no more, or nobody is to be told of it.
    fn key(&self, id: KeyId) -> Option<Key>;
    /// The slots allowed in a second.
    fn limit(&self, id: KeyId, at: Tick) -> Option<u32>;
}

/// A trouble of the service, or of the way that sessions go, while it is there.
pub type Trouble = Subject;

/// An alert, and what its level may come to; `None` when that is to be asked anew.
#[derive(Debug)]
struct Kept {
    alert: Alert,
    ladder: Option<Vec<Rung>>,
}

impl From<Alert> for Kept {
    fn from(alert: Alert) -> Self {
        Self { alert, ladder: None }
    }
}

/// All alerts, and what is watched.
#[derive(Debug, Default)]
pub struct Engine {
    pub rules: RuleBook,
    watched: Vec<Option<Watched>>,
    /// Those that are not inactive, and those that are snoozed.
    alerts: BTreeMap<Subject, Kept>,
    /// The first second that was not decided.
    next: Tick,
    /// Nothing was known of the last one.
    unknown: bool,
}

impl Engine {
    /// Goes on from alerts that were kept.
    pub fn new(rules: RuleBook, alerts: impl IntoIterator<Item = Alert>) -> Self {
        let alerts = alerts.into_iter().map(|alert| (alert.subject, alert.into())).collect();
        Self { rules, alerts, ..Self::default() }
    }

    /// The alerts that are not inactive.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values().map(|kept| &kept.alert)
    }

    pub fn get_mut(&mut self, subject: Subject) -> Option<&mut Alert> {
        self.alerts.get_mut(&subject).map(|kept| &mut kept.alert)
    }

    pub fn get(&self, subject: Subject) -> Option<&Alert> {
        self.alerts.get(&subject).map(|kept| &kept.alert)
    }

    /// Whether nothing is told of an alert now.
    pub fn is_snoozed(&self, subject: Subject, now: Time) -> bool {
        self.get(subject).is_some_and(|alert| alert.snooze.as_ref().is_some_and(|snooze| snooze.until > now))
    }

    /// Says what is known of keys of which no frame of this process told, as history left it.
    pub fn remember(&mut self, id: KeyId, level: u32, coverage: Coverage, keys: &impl Keys, at: Tick) {
        let known = coverage != Coverage::None;
        let limit = keys.limit(id, at);
        self.watch(id, keys, limit, Watched { level, known, ..UNKNOWN });
    }

    /// Takes a frame: every second that it tells of.
    pub fn take(&mut self, frame: &Frame, troubles: &[Trouble], keys: &impl Keys) -> Decided {
        let mut decided = Decided::default();
        let first = Tick(frame.tick);
        if first < self.next {
            return decided;
        }
        for entry in &frame.entries {
            self.take_entry(entry, frame.settling, keys, first);
        }
        if frame.full && !frame.settling {
            self.forget_unnamed(frame);
        }
        // Where the clock jumped nothing is known of the seconds; the levels after it are.
        let seconds = if frame.jumped { 1 } else { frame.repeat.saturating_add(1) };
        let unknown = frame.settling || frame.jumped;
        for at in (0..seconds).map(|nth| Tick(frame.tick + nth)) {
            self.step(at, unknown, troubles, keys, &mut decided);
            if self.alerts.is_empty() {
                break;
            }
        }
        self.next = Tick(frame.tick.saturating_add(frame.repeat).saturating_add(1));
        self.unknown = unknown;
        decided
    }

    /// Goes on by seconds that passed while the second of the last frame stood: where a clock was set back, what lasts is
    /// counted by the time that passes, not by that which history is labelled with.
    pub fn linger(&mut self, seconds: u64, troubles: &[Trouble], keys: &impl Keys) -> Decided {
        let mut decided = Decided::default();
        let last = Tick(self.next.0.saturating_sub(1));
        for _ in 0..seconds {
            self.step(last, self.unknown, troubles, keys, &mut decided);
        }
        decided
    }

    /// Rules changed: the keys of their project are looked at anew.
    pub fn look_again(&mut self, project: &Project, keys: &impl Keys, at: Tick) {
        self.alerts.values_mut().for_each(|kept| kept.ladder = None);
        for id in (0..).map(KeyId).take(self.watched.len()) {
            if let Some(watched) = self.watched(id).filter(|_| keys.key(id).is_some_and(|key| key.project == *project))
            {
                self.watch(id, keys, keys.limit(id, at), watched);
            }
        }
    }

    /// One key's limit changed, or its rules did.
    pub fn look_at(&mut self, id: KeyId, keys: &impl Keys, at: Tick) {
        self.alerts
            .iter_mut()
            .filter(|(subject, _)| subject.key() == Some(id))
            .for_each(|(_, kept)| kept.ladder = None);
        let watched = self.watched(id).unwrap_or(UNKNOWN);
        self.watch(id, keys, keys.limit(id, at), watched);
    }

    /// Forgets a key and its alerts.
    pub fn forget(&mut self, id: KeyId) {
        if let Some(watched) = self.watched.get_mut(id.0 as usize) {
            *watched = None;
        }
        self.alerts.retain(|subject, _| subject.key() != Some(id));
    }

    fn watched(&self, id: KeyId) -> Option<Watched> {
        self.watched.get(id.0 as usize).copied().flatten()
    }

    /// Watches a key under a limit: from which level on, and whether that is reached.
    fn watch(&mut self, id: KeyId, keys: &impl Keys, limit: Option<u32>, mut watched: Watched) {
        let Some(key) = keys.key(id) else { return self.forget(id) };
        watched.limit = limit;
        watched.floor = self.rules.ladder(&key, limit).iter().map(|rung| rung.up).min().unwrap_or(u32::MAX);
        watched.heeded = !self.rules.silence(&key).is_empty();
        let level = watched.level.max(watched.peak);
        watched.active = self.begins(id, &watched, level) || both(id).iter().any(|of| self.alerts.contains_key(of));
        let at = id.0 as usize;
        if at >= self.watched.len() {
            self.watched.resize(at + 1, None);
        }
        self.watched[at] = Some(watched);
    }

    /// Begins an alert of a level where it is reached; returns whether it is.
    fn begins(&mut self, id: KeyId, watched: &Watched, level: u32) -> bool {
        let reached = watched.known && level >= watched.floor;
        if reached && !watched.active {
            self.begin(Subject::Level(id));
        }
        reached
    }

    fn begin(&mut self, subject: Subject) {
        self.alerts.entry(subject).or_insert_with(|| Alert::new(subject, self.next).into());
    }

    fn take_entry(&mut self, entry: &Entry, settling: bool, keys: &impl Keys, at: Tick) {
        let (id, known) = (KeyId(entry.key), entry.coverage() != Coverage::None);
        let (level, peak) = (entry.level, entry.peak.max(entry.level));
        let Some(mut watched) = self.watched(id) else {
            return self.watch(id, keys, keys.limit(id, at), Watched { level, peak, peak_at: at, known, ..UNKNOWN });
        };
        (watched.level, watched.peak, watched.peak_at) = (level, peak, at);
        // While the service learns, what is not known yet is not lost.
        if known != watched.known && (known || !settling) {
            self.set_known(id, &mut watched, known);
        }
        if peak >= watched.floor && !self.alerts.contains_key(&Subject::Level(id)) {
            watched.active = false;
        }
        watched.active |= self.begins(id, &watched, peak);
        self.watched[id.0 as usize] = Some(watched);
    }

    fn set_known(&mut self, id: KeyId, watched: &mut Watched, known: bool) {
        (watched.silent, watched.known) = (!known, known);
        if watched.silent && watched.heeded {
            self.begin(Subject::Silence(id));
            watched.active = true;
        }
    }

    /// Of keys that a full frame does not name nothing is known.
    fn forget_unnamed(&mut self, frame: &Frame) {
        let mut named = frame.entries.iter().map(|entry| entry.key).peekable();
        for id in 0..self.watched.len() {
            while named.next_if(|key| (*key as usize) < id).is_some() {}
            let id = KeyId(id as u32);
            if named.peek() != Some(&id.0)
                && let Some(mut watched) = self.watched(id).filter(|watched| watched.known)
            {
                self.set_known(id, &mut watched, false);
                self.watched[id.0 as usize] = Some(watched);
            }
        }
    }

    /// One second of all alerts that there are.
    fn step(&mut self, at: Tick, unknown: bool, troubles: &[Trouble], keys: &impl Keys, decided: &mut Decided) {
        troubles.iter().for_each(|trouble| self.begin(*trouble));
        let Self { rules, watched, alerts, .. } = self;
        let mut over = Vec::new();
        for (subject, Kept { alert, ladder }) in alerts {
            let ladder = ladder.get_or_insert_with(|| ladder_of(rules, *subject, watched, keys));
            let sample = sample(*subject, watched, at, unknown, troubles);
            let (before, progress) = (alert.phase, alert.progress());
            let Turn { changed, notice, ended } = alert.step(ladder, sample, at);
            let keeps_progress = alert.progress() > progress && alert.progress().is_multiple_of(PROGRESS_SECONDS);
            let is_over = alert.phase == Phase::Inactive;
            if let Some((notice, rule)) = notice {
                let number = alert.notices - 1;
                decided.notices.push(Notice { notice, rule, number, alert: alert.clone() });
            }
            decided.past.extend(ended.map(|ended| *ended));
            if changed && !(is_over && before == Phase::Inactive) || keeps_progress {
                decided.alerts.insert(*subject, alert.clone());
            }
            // What is snoozed is remembered, or the next crossing would not know.
            if is_over && alert.snooze.as_ref().is_none_or(|snooze| snooze.until <= at.start()) {
                over.push(*subject);
            }
        }
        for subject in over {
            self.alerts.remove(&subject);
            let (Subject::Level(id) | Subject::Silence(id)) = subject else { continue };
            let active = both(id).iter().any(|of| self.alerts.contains_key(of));
            if let Some(watched) = self.watched.get_mut(id.0 as usize).and_then(Option::as_mut) {
                watched.active = active;
            }
        }
    }
}

/// What may be told of a key.
const fn both(id: KeyId) -> [Subject; 2] {
    [Subject::Level(id), Subject::Silence(id)]
}

/// A key of which nothing is known.
const UNKNOWN: Watched = Watched {
    floor: u32::MAX,
    limit: None,
    level: 0,
    peak: 0,
    peak_at: Tick(0),
    known: false,
    heeded: false,
    silent: false,
    active: false,
};

fn ladder_of(rules: &mut RuleBook, subject: Subject, watched: &[Option<Watched>], keys: &impl Keys) -> Vec<Rung> {
    match subject {
        Subject::Level(id) => {
            let limit = watched.get(id.0 as usize).and_then(Option::as_ref).and_then(|watched| watched.limit);
            keys.key(id).map(|key| rules.ladder(&key, limit)).unwrap_or_default()
        }
        Subject::Silence(id) => keys.key(id).map(|key| rules.silence(&key)).unwrap_or_default(),
        Subject::Way(kind, id) => keys.key(id).map(|key| rules.of_way(kind, &key)).unwrap_or_default(),
        Subject::Service(kind) => rules.of_service(kind),
    }
}

fn sample(subject: Subject, watched: &[Option<Watched>], at: Tick, unknown: bool, troubles: &[Trouble]) -> Sample {
    let of = |id: KeyId| watched.get(id.0 as usize).copied().flatten().unwrap_or(UNKNOWN);
    match subject {
        Subject::Level(id) => {
            let watched = of(id);
            let level = if watched.peak_at == at { watched.peak } else { watched.level };
            Sample { level, known: watched.known && !unknown, limit: watched.limit }
        }
        Subject::Silence(id) => {
            let watched = of(id);
            let silent = watched.silent && !watched.known;
            Sample { level: silent.into(), known: !unknown, limit: None }
        }
        Subject::Way(..) | Subject::Service(_) => {
            Sample { level: troubles.contains(&subject).into(), known: true, limit: None }
        }
    }
}

#[cfg(test)]
mod tests;
