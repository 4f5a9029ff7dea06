//! Whose turn it is: who may be sent a message now, found without going through all that waits. Projects take turns, so
//! that one with thousands of recipients holds up no other; within a project what is worst goes first, and of that what
//! waits longest.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use super::{
    Delivery, LEASE, LONGEST_PAUSE, LONGEST_WAIT, Outbox, Row,
    claim::{Sort, is_there},
    row::To,
};
use crate::{
    alert::{Alert, Severity},
    model::{Project, Time},
};

/// What may be sent and is silenced is looked at again after so long.
pub(super) const SILENCED_FOR: Duration = Duration::from_secs(1);
/// Projects of which it is known when they were served; of more, the half that was served longest ago counts as new.
const MOST_SERVED: usize = 10_000;

/// How urgent a recipient's message is: the smaller, the more.
type Rank = (Reverse<Severity>, Time, Arc<str>);

/// Who is ready, and who will be.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns {
    /// Something of theirs has changed since they were looked at.
    changed: HashSet<To>,
    /// When time alone changes something.
    later: BTreeSet<(Time, To)>,
    seen: HashMap<To, Seen>,
    mails: Ready,
    webhooks: Ready,
    /// The turn of each project that was served, by its number.
    served: HashMap<Project, u64>,
    turn: u64,
    looked_at: Time,
}

/// Those who may be sent a message now, by the last turn of their project.
type Ready = BTreeMap<(u64, Project), BTreeSet<Rank>>;

/// What was found when a recipient was looked at.
#[derive(Clone, Debug)]
struct Seen {
    ready: Option<(Sort, Rank)>,
    later: Option<Time>,
}

impl Turns {
    pub(super) fn changed(&mut self, to: To) {
        self.changed.insert(to);
    }

    fn ready(&mut self, sort: Sort) -> &mut Ready {
        match sort {
            Sort::Mail => &mut self.mails,
            Sort::Webhook => &mut self.webhooks,
        }
    }

    fn turn_of(&self, project: &Project) -> u64 {
        self.served.get(project).copied().unwrap_or(0)
    }

    fn drop_rank(&mut self, sort: Sort, project: &Project, rank: &Rank) {
        let place = (self.turn_of(project), project.clone());
        let ready = self.ready(sort);
        if let Some(ranks) = ready.get_mut(&place) {
            ranks.remove(rank);
            if ranks.is_empty() {
                ready.remove(&place);
            }
        }
    }

    fn forget(&mut self, to: &To) {
        let Some(seen) = self.seen.remove(to) else { return };
        if let Some((sort, rank)) = seen.ready {
            self.drop_rank(sort, &to.0, &rank);
        }
        if let Some(at) = seen.later {
            self.later.remove(&(at, to.clone()));
        }
    }

    /// Keeps what was found of a recipient.
    fn keep(&mut self, to: To, seen: Seen) {
        if let Some((sort, rank)) = &seen.ready {
            let place = (self.turn_of(&to.0), to.0.clone());
            self.ready(*sort).entry(place).or_default().insert(rank.clone());
        }
        if let Some(at) = seen.later {
            self.later.insert((at, to.clone()));
        }
        self.seen.insert(to, seen);
    }

    /// Takes the next recipient out of those who are ready.
    pub(super) fn next(&mut self, sort: Sort) -> Option<To> {
        let ((_, project), ranks) = self.ready(sort).first_key_value()?;
        let (project, rank) = (project.clone(), ranks.first()?.clone());
        self.drop_rank(sort, &project, &rank);
        let to = (project, rank.2);
        if let Some(seen) = self.seen.get_mut(&to) {
            seen.ready = None;
        }
        Some(to)
    }

    /// A recipient who was taken out and is sent nothing now.
    pub(super) fn not_before(&mut self, to: To, at: Time) {
        self.forget(&to);
        self.keep(to, Seen { ready: None, later: Some(at) });
    }

    /// A project had its turn.
    pub(super) fn served(&mut self, project: &Project) {
        let before = (self.turn_of(project), project.clone());
        if self.served.len() >= MOST_SERVED {
            self.forget_turns();
        }
        self.turn += 1;
        let place = (self.turn, project.clone());
        for ready in [&mut self.mails, &mut self.webhooks] {
            if let Some(ranks) = ready.remove(&before) {
                ready.insert(place.clone(), ranks);
            }
        }
        self.served.insert(project.clone(), self.turn);
    }

    /// Of projects that wait for nothing.
    fn forget_turns(&mut self) {
        let newest = self.turn.saturating_sub(MOST_SERVED as u64 / 2);
        let Self { served, mails, webhooks, .. } = self;
        served.retain(|project, turn| {
            let place = (*turn, project.clone());
            *turn > newest || mails.contains_key(&place) || webhooks.contains_key(&place)
        });
    }
}

impl Outbox {
    /// A recipient may be told in another way than before.
    pub fn look_again(&mut self, project: &Project, recipient: &Arc<str>) {
        self.turns.changed((project.clone(), recipient.clone()));
    }

    /// What is told of an alert may be silenced, or not any more.
    pub fn look_again_at(&mut self, alert: &Alert) {
        let told: Vec<To> = self.of_alert(alert).filter(|row| row.is_open()).map(Row::to).collect();
        told.into_iter().for_each(|to| self.turns.changed(to));
    }

    /// Looks at those of whom something has changed, or that time has changed.
    pub(super) fn look(&mut self, now: Time, sort_of: &dyn Fn(&Row) -> Sort) {
        let mut changed = std::mem::take(&mut self.turns.changed);
        // A clock that was put back: all times are looked at anew.
        if now < std::mem::replace(&mut self.turns.looked_at, now) {
            changed.extend(self.open.keys().cloned());
        }
        while self.turns.later.first().is_some_and(|(at, _)| *at <= now) {
            changed.extend(self.turns.later.pop_first().map(|(_, to)| to));
        }
        for to in changed {
            self.turns.forget(&to);
            if let Some(seen) = self.see(&to, now, sort_of) {
                self.turns.keep(to, seen);
            }
        }
    }

    /// How it stands with a recipient; `None` where nothing waits. Says of what waits for the next hour that it does.
    fn see(&mut self, to: &To, now: Time, sort_of: &dyn Fn(&Row) -> Sort) -> Option<Seen> {
        let rows: Vec<&Row> = self.open.get(to)?.iter().filter_map(|id| self.rows.get(id)).collect();
        let sort = sort_of(rows.first()?);
        let is_sending = |row: &&&Row| matches!(row.delivery, Delivery::Sending { .. });
        let sending: Vec<&&Row> = rows.iter().filter(is_sending).collect();
        let is_on_its_way = |row: &Row| sending.iter().any(|other| other.is_of_episode(row));
        let (mut again, mut due, mut later) = (Vec::new(), Vec::new(), Vec::new());
        for row in &rows {
            let (at, longest, ready) = match row.delivery {
                Delivery::Retry { at, .. } => (at, LONGEST_PAUSE, &mut again),
                Delivery::Sending { until, .. } => (until, LEASE, &mut again),
                Delivery::Queued if is_on_its_way(row) => continue,
                _ => (row.due, LONGEST_WAIT, &mut due),
            };
            if is_there(at, now, longest) { ready.push(*row) } else { later.push(at) }
        }
        let (next, is_full) = self.next_message(to, now);
        let mut held = Vec::new();
        if !due.is_empty() && next > now {
            later.push(next);
            held = due.drain(..).filter(|_| is_full).map(|row| row.id.clone()).collect();
        }
        let message = if again.is_empty() { due } else { again };
        let worst = message.iter().map(|row| row.severity).max();
        let oldest = message.iter().map(|row| row.created).min();
        let ready = worst.zip(oldest).map(|(worst, oldest)| (sort, (Reverse(worst), oldest, to.1.clone())));
        for id in held {
            self.rows.entry(id).and_modify(|row| row.held = true);
        }
        Some(Seen { ready, later: later.into_iter().min() })
    }
}
