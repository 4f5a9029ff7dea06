//! A notice for one recipient: what it tells of, and where it is on its way.

use std::sync::Arc;

use crate::{
    alert::{
        AlertKind, NoticeKind, Severity,
        outbox::silence::name_of,
        state::{Alert, Subject},
    },
    model::{Key, Project, Time},
};

/// Where a row is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Nobody has tried.
    Queued,
    /// Somebody sends it, as a part of the message that is named for the row `lead`. After `until` another may.
    Sending {
        lead: Arc<str>,
        until: Time,
    },
    /// A try has failed: the same message is tried again.
    Retry {
        lead: Arc<str>,
        at: Time,
        reason: String,
    },
    Sent {
        lead: Arc<str>,
        at: Time,
        answer: String,
    },
    /// It is given up, or nobody wants it any longer.
    Undeliverable {
        at: Time,
        reason: String,
    },
    /// Another row tells of it.
    Superseded {
        at: Time,
    },
}

/// One notice for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// 32 hexadecimal digits: always the same for the same notice and recipient.
    pub id: Arc<str>,
    pub project: Project,
    pub recipient: Arc<str>,
    pub subject: Subject,
    /// `None` for what is of the service.
    pub key: Option<Key>,
    /// The episode, by its first second, and the number of the notice in it.
    pub notice: NoticeKind,
    pub kind: AlertKind,
    pub severity: Severity,
    /// Percent of the limit that the rule names; 0 for slots.
    pub stage_percent: u32,
    pub detail: String,
    /// As it was when it was decided.
    pub alert: Alert,
    pub created: Time,
    /// Not before.
    pub due: Time,
    /// It had to wait for the end of quiet hours, of the hour, or of a snooze.
    pub held: bool,
    pub attempts: u32,
    pub delivery: Delivery,
    /// Of a project that was deleted: the record of its recipient, which is there no more; empty for all others.
    pub gone: Vec<u8>,
}

/// A message that is to be sent now. It is of its first row, and the others are told beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The row that it is named for, however often it is sent: the one that was first at the first try.
    pub lead: Arc<str>,
    pub rows: Vec<Row>,
    /// How many of them had to wait, those that were dropped included.
    pub held_back: u64,
}

/// What came of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// It was taken, with these words.
    Sent(String),
    /// It may be taken another time.
    Failed(String),
    /// It will never be taken.
    Refused(String),
    /// It was not tried: the server can't be used at all, with these words.
    Waits(String),
}

impl Batch {
    /// Whether this is its first try: it is named for its first row as that was before.
    pub(super) fn is_new(&self) -> bool {
        let before = |row: &Row| Row { attempts: row.attempts.saturating_sub(1), ..row.clone() };
        self.rows.first().is_some_and(|first| name_of(&before(first)) == self.lead)
    }
}

/// Whom a row is for.
pub(super) type To = (Project, Arc<str>);

impl Row {
    pub fn is_open(&self) -> bool {
        matches!(self.delivery, Delivery::Queued | Delivery::Sending { .. } | Delivery::Retry { .. })
    }

    /// Whether it says that its alert fires.
    pub fn tells_of_firing(&self) -> bool {
        matches!(self.notice, NoticeKind::Fired | NoticeKind::Repeated)
    }

    /// Whether its recipient has it, or may have.
    pub fn is_told(&self) -> bool {
        matches!(self.delivery, Delivery::Sending { .. } | Delivery::Sent { .. })
    }

    pub(super) fn is_of_episode(&self, other: &Self) -> bool {
        self.subject == other.subject && self.alert.began == other.alert.began
    }

    pub(super) fn superseded(&self, at: Time) -> Self {
        Self { delivery: Delivery::Superseded { at }, ..self.clone() }
    }

    pub(super) fn to(&self) -> To {
        (self.project.clone(), self.recipient.clone())
    }

    /// When it was over; `None` while it is open.
    pub(super) fn ended(&self) -> Option<Time> {
        match self.delivery {
            Delivery::Sent { at, .. } | Delivery::Undeliverable { at, .. } | Delivery::Superseded { at } => Some(at),
            Delivery::Queued | Delivery::Sending { .. } | Delivery::Retry { .. } => None,
        }
    }

    pub(super) fn lead(&self) -> Option<&Arc<str>> {
        match &self.delivery {
            Delivery::Sending { lead, .. } | Delivery::Retry { lead, .. } | Delivery::Sent { lead, .. } => Some(lead),
            Delivery::Queued | Delivery::Undeliverable { .. } | Delivery::Superseded { .. } => None,
        }
    }
}
