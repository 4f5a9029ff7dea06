//! What a snooze holds back: it goes out when that is over, as it then stands.

use super::{Delivery, Outbox, Row};

impl Outbox {
    /// What changes where rows are `silenced`: they are held, and those of a message that goes on without them are no part of
    /// it any more. Rows that are on their way are left to arrive.
    pub fn hold(&self, silenced: &dyn Fn(&Row) -> bool) -> Vec<Row> {
        let is_held = |row: &&Row| !matches!(row.delivery, Delivery::Sending { .. }) && silenced(row);
        let mut changed = Vec::new();
        for row in self.open().filter(is_held) {
            let leaves = matches!(row.delivery, Delivery::Retry { .. }) && self.goes_on_without(row, silenced);
            if leaves || !row.held {
                let delivery = if leaves { Delivery::Queued } else { row.delivery.clone() };
                changed.push(Row { held: true, delivery, ..row.clone() });
            }
        }
        changed
    }

    /// Whether a row's message has others that are not silenced.
    fn goes_on_without(&self, row: &Row, silenced: &dyn Fn(&Row) -> bool) -> bool {
        let open = self.open.get(&row.to()).into_iter().flatten().filter_map(|id| self.rows.get(id));
        open.filter(|other| other.lead() == row.lead()).any(|other| !silenced(other))
    }
}

/// The name of a new message that a row leads. One that was a part of another has a name of its own: the other may have been
/// named for it.
pub(super) fn name_of(row: &Row) -> std::sync::Arc<str> {
    match row.attempts {
        0 => row.id.clone(),
        attempts => format!("{}-{attempts}", row.id).into(),
    }
}
