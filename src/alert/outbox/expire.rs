//! How long rows are kept.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{Outbox, Row, row::To};
use crate::{
    alert::state::{Alert, Subject},
    model::{Project, Tick, Time},
};

/// What was told is shown for so long.
pub const KEEP: Duration = Duration::from_secs(7 * 24 * 3_600);

impl Outbox {
    /// Takes out rows that have been over for so long that nobody asks; returns their ids. Of an episode that goes on, or has
    /// ended within that time, the first and the last that a recipient was told stay: by them its end is told.
    pub fn expire(&mut self, now: Time, goes_on: &dyn Fn(&Row) -> bool) -> Vec<Arc<str>> {
        let is_old = |row: &&Row| row.ended().is_some_and(|ended| now.since(ended) >= KEEP);
        let (stay, old): (Vec<&Row>, Vec<&Row>) =
            self.rows.values().filter(is_old).partition(|row| row.tells_of_firing() && row.is_told() && goes_on(row));
        let mut ids: Vec<Arc<str>> = old.into_iter().map(|row| row.id.clone()).collect();
        let mut episodes: HashMap<(To, Subject, Tick), Vec<&Row>> = HashMap::new();
        for row in stay {
            episodes.entry((row.to(), row.subject, row.alert.began)).or_default().push(row);
        }
        for rows in episodes.values_mut() {
            rows.sort_by_key(|row| row.created);
            let between = rows.len().saturating_sub(1);
            ids.extend(rows.iter().take(between).skip(1).map(|row| row.id.clone()));
        }
        ids.iter().for_each(|id| self.take_out(id));
        ids
    }

    /// When a recipient was last told that an alert fires; `None` where they were not, or will be.
    pub fn last_told(&self, project: &Project, recipient: &Arc<str>, alert: &Alert) -> Option<Time> {
        let ids = self.all.get(&(project.clone(), recipient.clone())).into_iter().flatten();
        let of_alert = |row: &&Row| row.subject == alert.subject && row.alert.began == alert.began;
        let rows = ids.filter_map(|id| self.rows.get(id)).filter(of_alert);
        let told = |row: &Row| if row.is_open() { None } else { Some(row.ended().filter(|_| row.is_told())) };
        rows.map(told).collect::<Option<Vec<_>>>()?.into_iter().flatten().max()
    }
}
