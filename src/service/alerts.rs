//! The alerts of one service: rules, recipients, how each alert stands, and what is to be told. Each second's decisions
//! are in the store, with what is to be told of them, before anything of it is sent.
//!
//! - [`decide`]: what people decide: rules, recipients, that they have seen it.
//! - [`deliver`]: what is sent next, and what came of it; [`deliveries`]: what was, as people look at it.
//! - [`leave`]: what becomes of those of a project that is deleted.
//! - [`pace`]: how a level goes.
//! - [`record`]: as bytes.
//! - [`step`]: what each second comes to; [`tell`]: who is told of it.
//! - [`unsubscribe`]: who wants no more.
//!
//! One lock is held while a decision is written: what is decided and what is sent must not overtake each other. So calls
//! may wait as long as the store does.

pub mod decide;
pub mod deliver;
pub mod deliveries;
pub mod leave;
pub mod pace;
pub mod record;
pub mod step;
pub mod tell;
#[cfg(test)]
mod tests;
mod troubles;
pub mod unsubscribe;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::sync::Notify;

use crate::{
    alert::{Alert, AlertKind, AlertRule, Engine, Keys, Outbox, Recipient, RuleBook, Subject},
    model::{Key, KeyId, Project, Tick, Time, time::MICROS_PER_SECOND},
    service::{Access, Limits},
    store::{Document, Shelf, Store, StoreError},
};

/// Alerts that are over and still shown, the newest.
pub const MOST_PAST: usize = 10_000;
/// Seconds that are made up for at once.
const MOST_UNTOLD_SECONDS: u64 = 60;
/// Tries to look at what is counted, a millisecond apart: longer, only the store holds it up.
const MOST_TRIES: u32 = 50;
/// What the secrets of webhooks are sealed for.
const WEBHOOKS: &str = "webhook";

/// The alerts of a service.
#[derive(Debug, Default)]
pub struct Alerts {
    state: Mutex<State>,
    /// Tells who sends that there is something to be sent.
    pub wake: Notify,
    pub counts: Counts,
    /// What was counted last.
    counted: Mutex<Counted>,
}

/// Sums since the process started.
#[derive(Debug, Default)]
pub struct Counts {
    fired: AtomicU64,
    resolved: AtomicU64,
    sent: AtomicU64,
    failed: AtomicU64,
    undeliverable: AtomicU64,
}

/// Their values at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Alerts that began to fire, and that ended.
    pub fired: u64,
    pub resolved: u64,
    /// Messages that were taken, tries that failed, and messages that were given up.
    pub sent: u64,
    pub failed: u64,
    pub undeliverable: u64,
    /// Alerts that fire now.
    pub firing: u64,
    /// Notices that wait.
    pub waiting: u64,
    /// When the oldest of those that are due was to be sent.
    pub oldest_due: Option<Time>,
}

#[derive(Debug, Default)]
struct State {
    engine: Engine,
    outbox: Outbox,
    recipients: BTreeMap<(Project, Arc<str>), Recipient>,
    /// Those that the configuration names.
    configured: Vec<Recipient>,
    names: Names,
    past: BTreeMap<String, Past>,
    /// What the store has not taken yet.
    unwritten: BTreeMap<(Shelf, String), Option<Vec<u8>>>,
    /// Since when it does not.
    failing_since: Option<Time>,
    /// It is not asked again before: who waits for it holds up the recorder.
    retry_at: Time,
    /// Keys whose limit changes by its time.
    scheduled: BTreeMap<Tick, Vec<KeyId>>,
    /// What is wrong with the service, or was with the way of sessions, in words.
    details: HashMap<Subject, String>,
    /// The last second in which callers of a model were turned away.
    refused: HashMap<KeyId, Tick>,
    /// Sums of disagreements with LiveKit, of the last minutes.
    disagreements: VecDeque<(Tick, u64)>,
    expired_at: Option<Time>,
    lived: Lived,
}

/// Seconds that passed and that no frame tells of: history's labels run slower than time where a clock was set back.
#[derive(Debug, Default)]
struct Lived {
    last: Option<Time>,
    /// In microseconds.
    ahead: u64,
}

impl Lived {
    /// Whole seconds that are not told of, after frames of so many seconds at a moment of the monotonic clock.
    fn untold(&mut self, mono: Time, framed: u64) -> u64 {
        let passed = self.last.replace(mono).map_or(0, |last| mono.0.saturating_sub(last.0));
        self.ahead = (self.ahead + passed).saturating_sub(framed.saturating_mul(MICROS_PER_SECOND));
        let untold = (self.ahead / MICROS_PER_SECOND).min(MOST_UNTOLD_SECONDS);
        self.ahead -= untold * MICROS_PER_SECOND;
        untold
    }
}

/// An alert that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    pub alert: Alert,
    pub key: Option<Key>,
}

/// The keys by their numbers.
#[derive(Debug, Default)]
struct Names(Vec<Option<Key>>);

/// The keys with their limits, as the engine asks for them.
struct Known<'s> {
    names: &'s Names,
    limits: &'s Limits,
}

impl Names {
    fn learn(&mut self, id: KeyId, key: Key) {
        let at = id.0 as usize;
        if at >= self.0.len() {
            self.0.resize(at + 1, None);
        }
        self.0[at] = Some(key);
    }

    fn get(&self, id: KeyId) -> Option<&Key> {
        self.0.get(id.0 as usize)?.as_ref()
    }

    fn of(&self, subject: Subject) -> Option<&Key> {
        subject.key().and_then(|id| self.get(id))
    }
}

impl Keys for Known<'_> {
    fn key(&self, id: KeyId) -> Option<Key> {
        self.names.get(id).cloned()
    }

    fn limit(&self, id: KeyId, at: Tick) -> Option<u32> {
        self.limits.slots_at(id, at.start())
    }
}

/// The name of an alert, in the store and in addresses: `level-17`.
pub fn name_of(subject: Subject) -> String {
    match subject {
        Subject::Level(id) => format!("level-{}", id.0),
        Subject::Silence(id) => format!("silence-{}", id.0),
        Subject::Way(kind, id) => format!("{kind}-{}", id.0),
        Subject::Service(kind) => kind.to_string(),
    }
}

/// The alert of this name, if it can be one.
pub fn subject_of(name: &str) -> Option<Subject> {
    let number = |text: &str| text.parse().ok().map(KeyId);
    match name.split_once('-') {
        Some(("level", id)) => Some(Subject::Level(number(id)?)),
        Some(("silence", id)) => Some(Subject::Silence(number(id)?)),
        _ => name.parse().ok().filter(|kind: &AlertKind| kind.is_of_service()).map(Subject::Service).or_else(|| {
            let (kind, id) = name.rsplit_once('-')?;
            let kind = kind.parse().ok().filter(|kind: &AlertKind| kind.is_of_way())?;
            Some(Subject::Way(kind, number(id)?))
        }),
    }
}

/// The name of a document of a project.
fn named(project: &Project, name: &str) -> String {
    format!("{project}/{name}")
}

/// The project that is told of a subject.
fn project_of(key: Option<&Key>) -> Project {
    key.map_or_else(Project::across, |key| key.project.clone())
}

impl Alerts {
    /// The alerts of a store. `mailboxes` are told of the service, and of projects that have nobody of their own.
    ///
    /// # Errors
    /// When they can't be read.
    pub fn load(store: &dyn Store, access: &Access, mailboxes: &[String]) -> Result<Self, StoreError> {
        let damaged = |what: &str, name: &str| StoreError::Damaged(format!("the {what} {name} can't be read"));
        let mut rules = Vec::new();
        for (name, bytes) in store.documents(Shelf::AlertRules)? {
            rules.push(record::decode_rule(&bytes).ok_or_else(|| damaged("rule", &name))?);
        }
        let mut state = State { configured: unsubscribe::configured(mailboxes), ..State::default() };
        for (name, bytes) in store.documents(Shelf::Recipients)? {
            let open = |sealed: &[u8]| access.open_secret(WEBHOOKS, sealed);
            let recipient = record::decode_recipient(&bytes, open).ok_or_else(|| damaged("recipient", &name))?;
            state.take_stored(recipient);
        }
        for (id, key) in store.keys()? {
            state.names.learn(id, key);
        }
        let mut alerts = Vec::new();
        for (name, bytes) in store.documents(Shelf::Alerts)? {
            alerts.push(record::decode_alert(&bytes).ok_or_else(|| damaged("alert", &name))?.0);
        }
        for (name, bytes) in store.documents(Shelf::PastAlerts)? {
            let (alert, key) = record::decode_alert(&bytes).ok_or_else(|| damaged("alert", &name))?;
            state.past.insert(name, Past { alert, key });
        }
        let mut rows = Vec::new();
        for (name, bytes) in store.documents(Shelf::Outbox)? {
            rows.push(record::decode_row(&bytes).ok_or_else(|| damaged("notice", &name))?);
        }
        state.outbox = Outbox::new(rows);
        state.engine = Engine::new(RuleBook::new(rules), alerts);
        Ok(Self { state: Mutex::new(state), ..Self::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who is told of a project, those of the configuration included where the project has nobody of its own.
    pub fn recipients(&self, project: &Project) -> Vec<Recipient> {
        self.state().recipients_of(project)
    }

    pub fn recipient(&self, project: &Project, name: &str) -> Option<Recipient> {
        self.state().recipient(project, name)
    }

    /// The rules of a project, those of the start first.
    pub fn rules(&self, project: &Project) -> Vec<Arc<AlertRule>> {
        self.state().engine.rules.of(project)
    }

    /// The alerts of a project, or of all, that are not inactive, and those that are over, the newest first.
    pub fn list(&self, project: Option<&Project>) -> Vec<Past> {
        let state = self.state();
        let is_of = |key: Option<&Key>| project.is_none_or(|project| project_of(key) == *project);
        let live = state.engine.alerts().map(|alert| (alert, state.names.of(alert.subject)));
        let live = live.filter(|(alert, key)| alert.is_active() && is_of(*key));
        let past = state.past.values().filter(|past| is_of(past.key.as_ref()));
        let mut list: Vec<Past> = live.map(|(alert, key)| Past { alert: alert.clone(), key: key.cloned() }).collect();
        list.extend(past.cloned());
        list.sort_by_key(|past| std::cmp::Reverse((past.alert.phase == crate::alert::Phase::Firing, past.alert.began)));
        list
    }

    /// The key that an alert is of; `None` for those of the service.
    pub fn key_of(&self, subject: Subject) -> Option<Key> {
        self.state().names.of(subject).cloned()
    }

    /// The highest level of an episode up to now, or to its end.
    pub fn peak_of(&self, alert: &Alert) -> u32 {
        let state = self.state();
        let live = state.engine.get(alert.subject).filter(|there| there.began == alert.began);
        let past = || state.past.get(&step::name_of_past(alert)).map(|past| &past.alert);
        live.or_else(past).map_or(alert.peak, |there| there.peak)
    }

    /// What is counted; while a decision is being written, as it was before: whoever asks does not wait for the store.
    pub fn counted(&self, now: Time) -> Counted {
        let mut last = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..MOST_TRIES {
            match self.state.try_lock() {
                Ok(state) => *last = self.count_all(&state, now),
                Err(TryLockError::Poisoned(state)) => *last = self.count_all(&state.into_inner(), now),
                Err(TryLockError::WouldBlock) => {
                    thread::sleep(Duration::from_millis(1));
                    continue;
                }
            }
            break;
        }
        *last
    }

    fn count_all(&self, state: &State, now: Time) -> Counted {
        let read = |sum: &AtomicU64| sum.load(Ordering::Relaxed);
        let counts = &self.counts;
        Counted {
            fired: read(&counts.fired),
            resolved: read(&counts.resolved),
            sent: read(&counts.sent),
            failed: read(&counts.failed),
            undeliverable: read(&counts.undeliverable),
            firing: state.engine.alerts().filter(|alert| alert.phase == crate::alert::Phase::Firing).count() as u64,
            waiting: state.outbox.open().count() as u64,
            oldest_due: state.outbox.late_since(now, &|row| state.engine.is_snoozed(row.subject, now)),
        }
    }
}

impl State {
    fn recipients_of(&self, project: &Project) -> Vec<Recipient> {
        let own = self.recipients.range((project.clone(), "".into())..).take_while(|((of, _), _)| of == project);
        let own = own.map(|(_, recipient)| recipient).filter(|recipient| !self.is_left_over(recipient));
        let own: Vec<_> = own.cloned().collect();
        // Who is configured and unsubscribed leaves the others of the configuration.
        let is_of_project = |own: &Recipient| self.configured.iter().all(|there| there.name != own.name);
        if own.iter().any(is_of_project) && !project.is_across() {
            return own;
        }
        let configured = self.configured.iter().filter(|there| own.iter().all(|own| own.name != there.name));
        let of_project = |recipient: &Recipient| Recipient { project: project.clone(), ..recipient.clone() };
        own.iter().cloned().chain(configured.map(of_project)).collect()
    }

    /// Of somebody who unsubscribed and is configured no longer.
    fn is_left_over(&self, own: &Recipient) -> bool {
        let is_configured = |there: &Recipient| there.name == own.name && there.address == own.address;
        own.name.starts_with(unsubscribe::CONFIGURED)
            && own.unsubscribed.is_some()
            && !self.configured.iter().any(is_configured)
    }

    fn recipient(&self, project: &Project, name: &str) -> Option<Recipient> {
        let own = self.recipients.get(&(project.clone(), name.into())).filter(|own| !self.is_left_over(own));
        let configured = || self.configured.iter().find(|recipient| &*recipient.name == name);
        own.or_else(configured).map(|found| Recipient { project: project.clone(), ..found.clone() })
    }

    /// A document is to be written with the next step.
    fn put(&mut self, shelf: Shelf, name: String, bytes: Option<Vec<u8>>) {
        self.unwritten.insert((shelf, name), bytes);
    }

    fn put_rows(&mut self, rows: Vec<crate::alert::Row>) {
        for row in &rows {
            self.put(Shelf::Outbox, row.id.to_string(), Some(record::encode_row(row)));
        }
        self.outbox.take(rows);
    }

    fn documents(&self) -> Vec<Document> {
        let document = |((shelf, name), bytes): (&(Shelf, String), &Option<Vec<u8>>)| Document {
            shelf: *shelf,
            name: name.clone(),
            bytes: bytes.clone(),
        };
        self.unwritten.iter().map(document).collect()
    }
}
