//! What waits to be told, and to whom: rows that are written with the decision that they tell of. Which of them go out
//! together, when, and what becomes of them after a try, as pure functions; sending is another room's.

mod claim;
mod expire;
mod overtake;
mod row;
mod silence;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::Hash,
    sync::Arc,
    time::Duration,
};

pub use claim::Standing;
pub use expire::KEEP;
pub use row::{Batch, Delivery, Row, Tried};

use crate::{
    alert::{Alert, Subject, outbox::row::To},
    model::{Project, Tick, Time},
};

/// After a notice of a project, what follows within so long goes out together.
pub const FOLD: Duration = Duration::from_secs(5 * 60);
/// Messages an hour to one recipient.
pub const MOST_AN_HOUR: usize = 10;
const HOUR: Duration = Duration::from_secs(3_600);
/// A message that could not be delivered for so long is given up.
pub const GIVE_UP: Duration = Duration::from_secs(72 * 3_600);
/// The first pause after a failure is at most so long; each is up to twice as long as the one before.
const FIRST_PAUSE_SECONDS: u64 = 30;
const LONGEST_PAUSE_SECONDS: u64 = 3_600;
const LONGEST_PAUSE: Duration = Duration::from_secs(LONGEST_PAUSE_SECONDS + 1);
/// Who sends a message has so long before another may: more than all timeouts of SMTP together.
pub const LEASE: Duration = Duration::from_secs(5 * 60);
/// Notices that one message tells of.
pub const MOST_FOLDED: usize = 100;
/// Rows that wait for one recipient; the oldest of more are dropped, and counted with what is held back.
pub const MOST_WAITING: usize = 1_000;
/// Nothing waits for longer than quiet hours last, of which there are at most a day's, and the hour that a clock is put
/// back: what is to be later was written by a clock that was ahead.
const LONGEST_WAIT: Duration = Duration::from_secs(26 * 3_600);
/// Nothing is given up that was tried less often, however long ago it was: a clock jumps, and a service may be stopped for
/// days.
const LEAST_TRIES: u32 = 10;

/// The rows, by their ids.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    rows: BTreeMap<Arc<str>, Row>,
    /// All of them by their recipient, and those that are not over.
    all: HashMap<To, BTreeSet<Arc<str>>>,
    open: HashMap<To, BTreeSet<Arc<str>>>,
    /// All of them by the episode that they tell of.
    episodes: HashMap<(Subject, Tick), BTreeSet<Arc<str>>>,
    /// When messages went out to a recipient within the last hour, and their names.
    log: HashMap<To, Vec<(Time, Arc<str>)>>,
    /// Rows that were dropped since the last message.
    dropped: HashMap<To, u64>,
    /// When anybody was told anything last.
    last_sent: Option<Time>,
}

impl Outbox {
    /// The rows that were kept.
    pub fn new(rows: impl IntoIterator<Item = Row>) -> Self {
        let mut outbox = Self::default();
        let mut messages: BTreeMap<Arc<str>, (To, Time)> = BTreeMap::new();
        for row in rows {
            let began = match &row.delivery {
                Delivery::Sent { lead, at, .. } => Some((lead, *at)),
                // It may have arrived, and counts as one of its hour.
                Delivery::Sending { lead, until } => Some((lead, until.before(LEASE))),
                _ => None,
            };
            if let Some((lead, at)) = began {
                messages.insert(lead.clone(), (row.to(), at));
            }
            outbox.put(row);
        }
        messages.into_iter().for_each(|(lead, (to, at))| outbox.log.entry(to).or_default().push((at, lead)));
        outbox.log.values_mut().for_each(|times| times.sort_unstable());
        outbox
    }

    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }

    pub fn get(&self, id: &str) -> Option<&Row> {
        self.rows.get(id)
    }

    /// What was told of an episode, or is to be.
    pub fn of_alert(&self, alert: &Alert) -> impl Iterator<Item = &Row> {
        let ids = self.episodes.get(&(alert.subject, alert.began)).into_iter().flatten();
        ids.filter_map(|id| self.rows.get(id))
    }

    /// Rows that are not over.
    pub fn open(&self) -> impl Iterator<Item = &Row> {
        self.open.values().flatten().filter_map(|id| self.rows.get(id))
    }

    /// Since when the notice waits that is the latest; `None` when all are in time. What is folded, or held back, is; and
    /// what one recipient alone does not take, while others were told since: that shows with the recipient. What is
    /// `silenced` is not late.
    pub fn late_since(&self, now: Time, silenced: &dyn Fn(&Row) -> bool) -> Option<Time> {
        let last_sent = self.last_sent.filter(|at| *at <= now);
        let of_recipient = |(to, ids): (&To, &BTreeSet<Arc<str>>)| {
            let (next, _) = self.next_message(to, now);
            let rows = ids.iter().filter_map(|id| self.rows.get(id)).filter(|row| !silenced(row));
            let since = |row: &Row| match row.delivery {
                Delivery::Queued => row.due.max(next),
                Delivery::Retry { at, .. } if last_sent.is_some_and(|sent| sent >= row.due) => at,
                _ => row.due,
            };
            rows.map(since).min()
        };
        self.open.iter().filter_map(of_recipient).filter(|since| *since <= now).min()
    }

    /// Takes rows over that are written.
    pub fn take(&mut self, rows: impl IntoIterator<Item = Row>) {
        rows.into_iter().for_each(|row| self.put(row));
    }

    fn put(&mut self, row: Row) {
        if row.is_open() {
            self.open.entry(row.to()).or_default().insert(row.id.clone());
        } else {
            take_from(&mut self.open, &row.to(), &row.id);
        }
        self.all.entry(row.to()).or_default().insert(row.id.clone());
        self.episodes.entry((row.subject, row.alert.began)).or_default().insert(row.id.clone());
        if let Delivery::Sent { at, .. } = row.delivery {
            self.last_sent = self.last_sent.max(Some(at));
        }
        let is_superseded = matches!(row.delivery, Delivery::Superseded { .. });
        let before = self.rows.insert(row.id.clone(), row);
        if let Some(before) = before.filter(|_| is_superseded)
            && let Some(lead) = before.lead()
        {
            self.unlog(&before.to(), lead);
        }
    }

    /// A message of which nothing is left, and that nobody had: the next one need not wait for it.
    fn unlog(&mut self, to: &To, lead: &Arc<str>) {
        let mut open = self.open.get(to).into_iter().flatten().filter_map(|id| self.rows.get(id));
        if open.all(|row| row.lead() != Some(lead))
            && let Some(messages) = self.log.get_mut(to)
        {
            messages.retain(|(_, name)| name != lead);
        }
    }

    fn take_out(&mut self, id: &Arc<str>) {
        let Some(row) = self.rows.remove(id) else { return };
        take_from(&mut self.all, &row.to(), id);
        take_from(&mut self.open, &row.to(), id);
        take_from(&mut self.episodes, &(row.subject, row.alert.began), id);
    }

    /// Forgets the rows of a project; not those that tell of the end of one that was deleted.
    pub fn forget(&mut self, project: &Project) {
        let is_of = |row: &&Row| row.project == *project && row.gone.is_empty();
        let ids: Vec<_> = self.rows.values().filter(is_of).map(|row| row.id.clone()).collect();
        ids.iter().for_each(|id| self.take_out(id));
        let Self { all, log, dropped, .. } = self;
        log.retain(|to, _| to.0 != *project || all.contains_key(to));
        dropped.retain(|to, _| to.0 != *project || all.contains_key(to));
    }

    /// Rows of a recipient who is to be told nothing any more.
    pub fn ended(&self, project: &Project, recipient: &Arc<str>, reason: &str, now: Time) -> Vec<Row> {
        let open = self.open.get(&(project.clone(), recipient.clone()));
        let queued = open.into_iter().flatten().filter_map(|id| self.rows.get(id));
        let ended =
            |row: &Row| Row { delivery: Delivery::Undeliverable { at: now, reason: reason.to_owned() }, ..row.clone() };
        queued.map(ended).collect()
    }

    /// The oldest of too many that wait for a recipient.
    pub fn overflow(&mut self, now: Time) -> Vec<Row> {
        let mut dropped = Vec::new();
        for (to, ids) in &self.open {
            let Some(over) = ids.len().checked_sub(MOST_WAITING + 1) else { continue };
            let mut queued: Vec<&Row> = ids.iter().filter_map(|id| self.rows.get(id)).collect();
            queued.retain(|row| row.delivery == Delivery::Queued);
            queued.sort_by_key(|row| row.created);
            for row in queued.into_iter().take(over + 1) {
                let reason = format!("more than {MOST_WAITING} notices wait for this recipient");
                dropped.push(Row { delivery: Delivery::Undeliverable { at: now, reason }, ..row.clone() });
                *self.dropped.entry(to.clone()).or_default() += 1;
            }
        }
        dropped
    }
}

/// Takes an id out of an index, and what has none left with it.
fn take_from<K: Eq + Hash>(index: &mut HashMap<K, BTreeSet<Arc<str>>>, key: &K, id: &Arc<str>) {
    if let Some(ids) = index.get_mut(key) {
        ids.remove(id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}

/// The pause after so many tries.
fn pause(attempts: u32, jitter: u64) -> Duration {
    let longest =
        FIRST_PAUSE_SECONDS.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(LONGEST_PAUSE_SECONDS);
    Duration::from_secs(1 + jitter % longest)
}

#[cfg(test)]
mod tests;
