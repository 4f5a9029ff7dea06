//! What waits to be told, and to whom: rows that are written with the decision that they tell of. Which of them go out
//! together, when, and what becomes of them after a try, as pure functions; sending is another room's.

mod row;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

pub use row::{Batch, Delivery, Row, Tried};

use crate::{
    alert::{NoticeKind, outbox::row::To, recipient::Recipient},
    model::{Project, Time},
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
/// What was told is shown for so long.
pub const KEEP: Duration = Duration::from_secs(7 * 24 * 3_600);

/// The rows, by their ids.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    rows: BTreeMap<Arc<str>, Row>,
    /// All of them by their recipient, and those that are not over.
    all: HashMap<To, BTreeSet<Arc<str>>>,
    open: HashMap<To, BTreeSet<Arc<str>>>,
    /// When messages went out to a recipient within the last hour.
    log: HashMap<To, Vec<Time>>,
    /// Rows that were dropped since the last message.
    dropped: HashMap<To, u64>,
}

impl Outbox {
    /// The rows that were kept.
    pub fn new(rows: impl IntoIterator<Item = Row>) -> Self {
        let mut outbox = Self::default();
        for row in rows {
            if let Delivery::Sent { lead, at, .. } = &row.delivery
                && *lead == row.id
            {
                outbox.log.entry(row.to()).or_default().push(*at);
            }
            outbox.put(row);
        }
        outbox.log.values_mut().for_each(|times| times.sort_unstable());
        outbox
    }

    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }

    pub fn get(&self, id: &str) -> Option<&Row> {
        self.rows.get(id)
    }

    /// Rows that are not over.
    pub fn open(&self) -> impl Iterator<Item = &Row> {
        self.open.values().flatten().filter_map(|id| self.rows.get(id))
    }

    /// Since when the notice waits that is the latest; `None` when all are in time. What is folded, or held back, is.
    pub fn late_since(&self, now: Time) -> Option<Time> {
        let of_recipient = |(to, ids): (&To, &BTreeSet<Arc<str>>)| {
            let (next, _) = self.next_message(to, now);
            let rows = ids.iter().filter_map(|id| self.rows.get(id));
            rows.map(|row| if row.delivery == Delivery::Queued { row.due.max(next) } else { row.due }).min()
        };
        self.open.iter().filter_map(of_recipient).filter(|since| *since <= now).min()
    }

    /// Takes rows over that are written.
    pub fn take(&mut self, rows: impl IntoIterator<Item = Row>) {
        rows.into_iter().for_each(|row| self.put(row));
    }

    fn put(&mut self, row: Row) {
        let open = self.open.entry(row.to()).or_default();
        if row.is_open() {
            open.insert(row.id.clone())
        } else {
            open.remove(&row.id)
        };
        if open.is_empty() {
            self.open.remove(&row.to());
        }
        self.all.entry(row.to()).or_default().insert(row.id.clone());
        self.rows.insert(row.id.clone(), row);
    }

    fn take_out(&mut self, id: &Arc<str>) {
        let Some(row) = self.rows.remove(id) else { return };
        if let Some(ids) = self.all.get_mut(&row.to()) {
            ids.remove(id);
            if ids.is_empty() {
                self.all.remove(&row.to());
            }
        }
    }

    /// Forgets the rows of a project, and returns their ids.
    pub fn forget(&mut self, project: &Project) -> Vec<Arc<str>> {
        let ids: Vec<_> = self.rows.values().filter(|row| row.project == *project).map(|row| row.id.clone()).collect();
        ids.iter().for_each(|id| self.take_out(id));
        self.open.retain(|(of, _), _| of != project);
        self.log.retain(|(of, _), _| of != project);
        self.dropped.retain(|(of, _), _| of != project);
        ids
    }

    /// Takes out rows that have been over for so long that nobody asks; returns their ids.
    pub fn expire(&mut self, now: Time) -> Vec<Arc<str>> {
        let is_old = |row: &&Row| row.ended().is_some_and(|ended| now.since(ended) >= KEEP);
        let ids: Vec<_> = self.rows.values().filter(is_old).map(|row| row.id.clone()).collect();
        ids.iter().for_each(|id| self.take_out(id));
        ids
    }

    /// What a row for a recipient changes: itself, and those that it supersedes. Nothing where it is there already, or
    /// where nobody was told of what has ended.
    pub fn queue(&self, mut row: Row, recipient: &Recipient) -> Vec<Row> {
        if self.rows.contains_key(&row.id) {
            return Vec::new();
        }
        let mut changed = Vec::new();
        let of_alert = |other: &&Row| other.subject == row.subject && other.alert.began == row.alert.began;
        let open = self.open.get(&row.to()).into_iter().flatten().filter_map(|id| self.rows.get(id));
        let waiting = open.filter(of_alert).filter(|other| other.delivery == Delivery::Queued);
        let mut told_before = false;
        for other in waiting {
            told_before |= matches!(other.notice, NoticeKind::Fired | NoticeKind::Repeated);
            row.held |= other.held;
            row.due = row.due.min(other.due);
            changed.push(Row { delivery: Delivery::Superseded { at: row.created }, ..other.clone() });
        }
        if row.notice == NoticeKind::Resolved {
            let of_recipient = self.all.get(&row.to()).into_iter().flatten().filter_map(|id| self.rows.get(id));
            let was_sent = of_recipient.filter(of_alert).any(|other| {
                matches!(other.notice, NoticeKind::Fired | NoticeKind::Repeated) && other.lead().is_some()
            });
            match (was_sent, told_before) {
                (true, _) => {}
                (false, true) => row.notice = NoticeKind::FiredAndResolved,
                // Nobody was told that it fired.
                (false, false) => return Vec::new(),
            }
        }
        if let Some(until) = recipient.quiet_until(row.severity, row.created) {
            (row.due, row.held) = (row.due.max(until), true);
        }
        changed.push(row);
        changed
    }

    /// When a recipient may be sent the next message.
    fn next_message(&self, to: &To, now: Time) -> (Time, bool) {
        // Nothing went out later than now: a clock was ahead.
        let times: Vec<_> = self.log.get(to).into_iter().flatten().copied().filter(|time| *time <= now).collect();
        let folded = times.last().map_or(Time(0), |last| last.after(FOLD));
        let full = times.len().checked_sub(MOST_AN_HOUR).map_or(Time(0), |first| times[first].after(HOUR));
        (folded.max(full), full > folded)
    }

    /// The messages that are to be sent now, at most `most`, of rows that are `wanted`: they are being sent from here on.
    pub fn claim(&mut self, now: Time, most: usize, wanted: &dyn Fn(&Row) -> bool) -> Vec<Batch> {
        let mut batches = Vec::new();
        let recipients: Vec<_> = self.open.keys().cloned().collect();
        for to in recipients {
            if batches.len() >= most {
                break;
            }
            let open: Vec<&Row> =
                self.open[&to].iter().filter_map(|id| self.rows.get(id)).filter(|row| wanted(row)).collect();
            // What was tried before is the same message again, and is no new one.
            let again = open.iter().find_map(|row| match &row.delivery {
                Delivery::Retry { lead, at, .. } if is_there(*at, now, LONGEST_PAUSE) => Some(lead.clone()),
                Delivery::Sending { lead, until } if is_there(*until, now, LEASE) => Some(lead.clone()),
                _ => None,
            });
            let (next, is_full) = self.next_message(&to, now);
            let is_first = again.is_none();
            let mut rows: Vec<Row> = match &again {
                Some(lead) => open.into_iter().filter(|row| row.lead() == Some(lead)).cloned().collect(),
                None => {
                    let is_due = |row: &&Row| row.delivery == Delivery::Queued && is_there(row.due, now, LONGEST_WAIT);
                    open.into_iter().filter(is_due).cloned().collect()
                }
            };
            if rows.is_empty() {
                continue;
            }
            if is_first && next > now {
                if is_full {
                    rows.iter().for_each(|row| {
                        self.rows.entry(row.id.clone()).and_modify(|row| row.held = true);
                    });
                }
                continue;
            }
            // The worst first, and of these the newest: the message is of that one.
            match &again {
                Some(lead) => rows.sort_by_key(|row| row.id != *lead),
                None => rows.sort_by_key(|row| std::cmp::Reverse((row.severity, row.created, row.id.clone()))),
            }
            rows.truncate(MOST_FOLDED);
            let lead = rows[0].id.clone();
            for row in &mut rows {
                row.delivery = Delivery::Sending { lead: lead.clone(), until: now.after(LEASE) };
                row.attempts += 1;
            }
            let held_back = rows.iter().filter(|row| row.held).count() as u64 + self.dropped.remove(&to).unwrap_or(0);
            if is_first {
                let times = self.log.entry(to).or_default();
                times.retain(|time| *time <= now && now.since(*time) < HOUR);
                times.push(now);
            }
            self.take(rows.iter().cloned());
            batches.push(Batch { rows, held_back });
        }
        batches
    }

    /// Rows as they are after a try; `jitter` is any random number.
    pub fn tried(&self, batch: &Batch, tried: &Tried, now: Time, jitter: u64) -> Vec<Row> {
        let lead = batch.rows[0].id.clone();
        let first = batch.rows.iter().map(|row| row.created).min().unwrap_or(now);
        let is_given_up = now.since(first) >= GIVE_UP && batch.rows[0].attempts >= LEAST_TRIES;
        let delivery = match tried {
            Tried::Sent(answer) => Delivery::Sent { lead, at: now, answer: answer.clone() },
            Tried::Refused(reason) => Delivery::Undeliverable { at: now, reason: reason.clone() },
            Tried::Failed(reason) if is_given_up => {
                let hours = GIVE_UP.as_secs() / 3_600;
                Delivery::Undeliverable { at: now, reason: format!("given up after {hours} hours: {reason}") }
            }
            Tried::Failed(reason) => {
                let at = now.after(pause(batch.rows[0].attempts, jitter));
                Delivery::Retry { lead, at, reason: reason.clone() }
            }
        };
        batch.rows.iter().map(|row| Row { delivery: delivery.clone(), ..row.clone() }).collect()
    }

    /// Gives claimed rows back as they were, since it could not be written that they are being sent.
    pub fn unclaim(&mut self, batches: &[Batch]) {
        for row in batches.iter().flat_map(|batch| &batch.rows) {
            let is_lead = row.lead() == Some(&row.id);
            // It did not go out: the next one need not wait for it.
            if let Some(times) = self.log.get_mut(&row.to()).filter(|_| is_lead && row.attempts <= 1) {
                times.pop();
            }
            self.rows.entry(row.id.clone()).and_modify(|row| {
                row.attempts = row.attempts.saturating_sub(1);
                if let Delivery::Sending { lead, .. } = &row.delivery {
                    row.delivery = match row.attempts {
                        0 => Delivery::Queued,
                        _ => Delivery::Retry { lead: lead.clone(), at: Time(0), reason: String::new() },
                    };
                }
            });
        }
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

/// Whether a time is there, or so far ahead that a clock must have been.
fn is_there(at: Time, now: Time, longest: Duration) -> bool {
    at <= now || at > now.after(longest)
}

/// The pause after so many tries.
fn pause(attempts: u32, jitter: u64) -> Duration {
    let longest =
        FIRST_PAUSE_SECONDS.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(LONGEST_PAUSE_SECONDS);
    Duration::from_secs(1 + jitter % longest)
}

#[cfg(test)]
mod tests;
