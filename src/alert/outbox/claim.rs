//! What goes out now, together, and what leads it: what fires now and is worst. Whose turn it is, says [`super::turns`].

use std::{cmp::Reverse, sync::Arc};

use super::{Batch, Delivery, FOLD, HOUR, LEASE, LONGEST_PAUSE, LONGEST_WAIT, MOST_AN_HOUR, MOST_FOLDED, Outbox, Row};
use crate::{
    alert::{
        NoticeKind, Severity,
        outbox::{row::To, silence::name_of, turns::SILENCED_FOR},
    },
    model::Time,
};

/// How the alert of a row stands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub fires: bool,
    /// That of the worst rule that fires.
    pub severity: Severity,
    pub level: u32,
    pub limit: Option<u32>,
}

/// What a message needs to go out: what one sort waits for holds up no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Mail,
    Webhook,
}

/// What who claims knows of rows.
pub struct Asked<'a> {
    /// How its recipient is told.
    pub sort_of: &'a dyn Fn(&Row) -> Sort,
    /// Whether it may go out now.
    pub wanted: &'a dyn Fn(&Row) -> bool,
    /// How its alert stands now; `None` of one that is over.
    pub standing: &'a dyn Fn(&Row) -> Option<Standing>,
}

/// What makes rows one message.
enum Which {
    /// It was tried before, under this name, and is no new one.
    Again(Arc<str>),
    New,
}

impl Outbox {
    /// When a recipient may be sent the next message; whether they have had as many as there may be in an hour.
    pub(super) fn next_message(&self, to: &To, now: Time) -> (Time, bool) {
        // Nothing went out later than now: a clock was ahead.
        let log = self.log.get(to).into_iter().flatten();
        let times: Vec<Time> = log.map(|(time, _)| *time).filter(|time| *time <= now).collect();
        let folded = times.last().map_or(Time(0), |last| last.after(FOLD));
        let full = times.len().checked_sub(MOST_AN_HOUR).map_or(Time(0), |first| times[first].after(HOUR));
        (folded.max(full), full > folded)
    }

    /// The messages of a sort that are to be sent now, at most `most`: they are being sent from here on.
    pub fn claim(&mut self, now: Time, sort: Sort, most: usize, asked: &Asked<'_>) -> Vec<Batch> {
        let mut batches = Vec::new();
        self.look(now, asked.sort_of);
        while batches.len() < most
            && let Some(to) = self.turns.next(sort)
        {
            let (which, mut rows) = self.of_message(&to, now, asked.wanted);
            if rows.is_empty() {
                self.turns.not_before(to, now.after(SILENCED_FOR));
                continue;
            }
            // What was to be tried again is silenced, and what is due waits to be folded.
            let (next, _) = self.next_message(&to, now);
            if matches!(which, Which::New) && next > now {
                self.turns.not_before(to, now.after(SILENCED_FOR));
                continue;
            }
            rows.sort_by_cached_key(|row| precedence(row, (asked.standing)(row)));
            rows.truncate(MOST_FOLDED);
            let dropped = self.dropped.remove(&to).unwrap_or(0);
            let held_back = rows.iter().filter(|row| row.held).count() as u64 + dropped;
            self.turns.served(&to.0);
            let lead = match which {
                Which::Again(lead) => lead,
                Which::New => {
                    let lead = name_of(&rows[0]);
                    let log = self.log.entry(to).or_default();
                    log.retain(|(time, _)| *time <= now && now.since(*time) < HOUR);
                    log.push((now, lead.clone()));
                    lead
                }
            };
            for row in &mut rows {
                row.delivery = Delivery::Sending { lead: lead.clone(), until: now.after(LEASE) };
                row.attempts += 1;
            }
            self.take(rows.iter().cloned());
            batches.push(Batch { lead, rows, held_back });
        }
        batches
    }

    /// The rows of the next message to a recipient: of one that is to be tried again, or all that are due.
    fn of_message(&self, to: &To, now: Time, wanted: &dyn Fn(&Row) -> bool) -> (Which, Vec<Row>) {
        let ids = self.open.get(to).into_iter().flatten();
        let open: Vec<&Row> = ids.filter_map(|id| self.rows.get(id)).filter(|row| wanted(row)).collect();
        let again = open.iter().find_map(|row| match &row.delivery {
            Delivery::Retry { lead, at, .. } if is_there(*at, now, LONGEST_PAUSE) => Some(lead.clone()),
            Delivery::Sending { lead, until } if is_there(*until, now, LEASE) => Some(lead.clone()),
            _ => None,
        });
        if let Some(lead) = again {
            let rows = open.into_iter().filter(|row| row.lead() == Some(&lead)).cloned().collect();
            return (Which::Again(lead), rows);
        }
        let sending: Vec<&&Row> = open.iter().filter(|row| matches!(row.delivery, Delivery::Sending { .. })).collect();
        let is_due = |row: &&&Row| row.delivery == Delivery::Queued && is_there(row.due, now, LONGEST_WAIT);
        // What may still be on its way is not overtaken by what came of it.
        let waits = |row: &&Row| sending.iter().any(|other| other.is_of_episode(row));
        let due = open.iter().filter(is_due).filter(|row| !waits(row));
        (Which::New, due.map(|row| Row::clone(row)).collect())
    }

    /// A message did not go out: the next one need not wait for it.
    pub fn take_back(&mut self, batch: &Batch) {
        let Some(first) = batch.rows.first() else { return };
        let to = first.to();
        if let Some(log) = self.log.get_mut(&to).filter(|_| batch.is_new()) {
            log.retain(|(_, name)| *name != batch.lead);
        }
        let dropped = batch.held_back.saturating_sub(batch.rows.iter().filter(|row| row.held).count() as u64);
        if dropped > 0 {
            *self.dropped.entry(to).or_default() += dropped;
        }
    }

    /// Gives claimed rows back as they were, since it could not be written that they are being sent.
    pub fn unclaim(&mut self, batches: &[Batch]) {
        for batch in batches {
            let Some(first) = batch.rows.first() else { continue };
            self.turns.changed(first.to());
            self.take_back(batch);
            for row in &batch.rows {
                self.rows.entry(row.id.clone()).and_modify(|row| {
                    row.attempts = row.attempts.saturating_sub(1);
                    row.delivery = match batch.is_new() {
                        true => Delivery::Queued,
                        false => Delivery::Retry { lead: batch.lead.clone(), at: Time(0), reason: String::new() },
                    };
                });
            }
        }
    }
}

/// Whether a time is there, or so far ahead that a clock must have been.
pub(super) fn is_there(at: Time, now: Time, longest: std::time::Duration) -> bool {
    at <= now || at > now.after(longest)
}

/// What comes first in a message: what fires now; of that the worst, the nearest to its limit, and the newest. The same for
/// every recipient.
fn precedence(row: &Row, standing: Option<Standing>) -> impl Ord + use<> {
    let is_end = matches!(row.notice, NoticeKind::Resolved | NoticeKind::FiredAndResolved);
    let as_told = Standing { fires: false, severity: row.severity, level: row.alert.level, limit: row.alert.limit };
    let Standing { fires, severity, level, limit } = standing.filter(|now| now.fires && !is_end).unwrap_or(as_told);
    let share = limit.map_or(0, |limit| u64::from(level) * 1_000 / u64::from(limit.max(1)));
    (Reverse(fires), Reverse(severity), Reverse(share), Reverse(row.created), row.subject)
}
