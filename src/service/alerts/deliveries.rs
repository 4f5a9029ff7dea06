//! What was told of an episode, and to whom: all of it as sums, and so many rows that a page of alerts stays small however
//! many are told.

use std::cmp::Reverse;

use crate::{
    alert::{Alert, Delivery, Row},
    service::alerts::Alerts,
};

/// Deliveries of one episode that are shown.
pub const MOST_SHOWN: usize = 50;

/// The deliveries of one episode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deliveries {
    /// At most [`MOST_SHOWN`], the oldest first. Of more, what has not arrived, and then the newest.
    pub rows: Vec<Row>,
    /// Of all of them.
    pub sums: Sums,
}

/// How many are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Queued or being sent.
    pub waiting: u32,
    pub retrying: u32,
    pub sent: u32,
    pub undeliverable: u32,
    pub superseded: u32,
}

impl Alerts {
    /// What was told of an episode in the last seven days.
    pub fn deliveries(&self, alert: &Alert) -> Deliveries {
        let state = self.state();
        let mut rows: Vec<&Row> = state.outbox.of_alert(alert).collect();
        let sums = sums(&rows);
        if rows.len() > MOST_SHOWN {
            rows.sort_by_key(|row| (rank(row), Reverse(row.created)));
            rows.truncate(MOST_SHOWN);
        }
        rows.sort_by_key(|row| row.created);
        Deliveries { rows: rows.into_iter().cloned().collect(), sums }
    }
}

fn sums(rows: &[&Row]) -> Sums {
    let mut sums = Sums::default();
    for row in rows {
        let sum = match row.delivery {
            Delivery::Queued | Delivery::Sending { .. } => &mut sums.waiting,
            Delivery::Retry { .. } => &mut sums.retrying,
            Delivery::Sent { .. } => &mut sums.sent,
            Delivery::Undeliverable { .. } => &mut sums.undeliverable,
            Delivery::Superseded { .. } => &mut sums.superseded,
        };
        *sum += 1;
    }
    sums
}

/// What somebody must look at first.
const fn rank(row: &Row) -> u8 {
    match row.delivery {
        Delivery::Undeliverable { .. } => 0,
        Delivery::Retry { .. } => 1,
        Delivery::Queued | Delivery::Sending { .. } => 2,
        Delivery::Sent { .. } => 3,
        Delivery::Superseded { .. } => 4,
    }
}
