//! What a newer notice of an alert does to those that are not over: whoever is told of it once is told of it as it is.

use super::{Batch, Delivery, GIVE_UP, LEAST_TRIES, Outbox, Row, Tried, pause};
use crate::{
    alert::{NoticeKind, recipient::Recipient},
    model::Time,
};

impl Outbox {
    /// What a row for a recipient changes: itself, and those that it supersedes, which nobody has had for all that is
    /// known. Nothing where it is there already, or where nobody was told of what has ended.
    pub fn queue(&self, mut row: Row, recipient: &Recipient) -> Vec<Row> {
        if self.rows.contains_key(&row.id) {
            return Vec::new();
        }
        let open = self.open.get(&row.to()).into_iter().flatten().filter_map(|id| self.rows.get(id));
        let waits = |other: &&Row| !matches!(other.delivery, Delivery::Sending { .. }) && other.is_of_episode(&row);
        let waiting: Vec<&Row> = open.filter(waits).collect();
        let mut changed: Vec<Row> = waiting.iter().map(|other| other.superseded(row.created)).collect();
        for other in &waiting {
            row.held |= other.held;
            row.due = row.due.min(other.due);
        }
        if row.notice == NoticeKind::Resolved && !self.was_told(&row) {
            // Nobody was told that it fired.
            if !waiting.iter().any(|other| other.tells_of_firing()) {
                return Vec::new();
            }
            row.notice = NoticeKind::FiredAndResolved;
        }
        if let Some(until) = recipient.quiet_until(row.severity, row.created) {
            (row.due, row.held) = (row.due.max(until), true);
        }
        changed.push(row);
        changed
    }

    /// Rows as they are after a try; `jitter` is any random number.
    pub fn tried(&self, batch: &Batch, tried: &Tried, now: Time, jitter: u64) -> Vec<Row> {
        let first = batch.rows.iter().map(|row| row.created).min().unwrap_or(now);
        let attempts = batch.rows.iter().map(|row| row.attempts).max().unwrap_or(1);
        let is_given_up = now.since(first) >= GIVE_UP && attempts >= LEAST_TRIES;
        let lead = batch.lead.clone();
        let delivery = match tried {
            Tried::Sent(answer) => Delivery::Sent { lead, at: now, answer: answer.clone() },
            Tried::Refused(reason) => Delivery::Undeliverable { at: now, reason: reason.clone() },
            Tried::Failed(reason) if is_given_up => {
                let hours = GIVE_UP.as_secs() / 3_600;
                Delivery::Undeliverable { at: now, reason: format!("given up after {hours} hours: {reason}") }
            }
            Tried::Failed(reason) => {
                Delivery::Retry { lead, at: now.after(pause(attempts, jitter)), reason: reason.clone() }
            }
            Tried::Waits(_) if batch.is_new() => Delivery::Queued,
            Tried::Waits(reason) => Delivery::Retry { lead, at: now, reason: reason.clone() },
        };
        let is_retry = matches!(delivery, Delivery::Retry { .. } | Delivery::Queued);
        let untried = u32::from(matches!(tried, Tried::Waits(_)));
        let mut changed = Vec::with_capacity(batch.rows.len());
        for row in &batch.rows {
            match self.newer(row).filter(|_| is_retry) {
                Some(newer) => {
                    changed.push(row.superseded(now));
                    changed.push(self.instead_of(row, newer));
                }
                None => {
                    let attempts = row.attempts.saturating_sub(untried);
                    changed.push(Row { delivery: delivery.clone(), attempts, ..row.clone() });
                }
            }
        }
        changed
    }

    /// A row that takes over what an older one was to tell.
    fn instead_of(&self, row: &Row, newer: &Row) -> Row {
        let was_told = self.of_episode(row).any(|other| other.id != row.id && other.is_told());
        let notice = match newer.notice {
            NoticeKind::Resolved if row.tells_of_firing() && !was_told => NoticeKind::FiredAndResolved,
            notice => notice,
        };
        Row { notice, held: newer.held || row.held, ..newer.clone() }
    }

    /// The row of the same alert and recipient that came after one, and waits.
    fn newer<'o>(&'o self, row: &'o Row) -> Option<&'o Row> {
        let is_newer =
            |other: &&Row| other.id != row.id && other.delivery == Delivery::Queued && other.created >= row.created;
        self.of_episode(row).filter(is_newer).max_by_key(|other| other.created)
    }

    /// Whether the recipient of a row was told that its alert fires, or may be told now.
    fn was_told(&self, row: &Row) -> bool {
        self.of_episode(row).any(|other| other.tells_of_firing() && other.is_told())
    }

    /// The rows of the same alert and recipient.
    pub(super) fn of_episode<'o>(&'o self, row: &'o Row) -> impl Iterator<Item = &'o Row> {
        let ids = self.all.get(&row.to()).into_iter().flatten();
        ids.filter_map(|id| self.rows.get(id)).filter(|other| other.is_of_episode(row))
    }
}
