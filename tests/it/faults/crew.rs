//! Workers on the client of this crate, and what each of them truly holds: what the service says is compared with that.

use std::{collections::BTreeSet, sync::Arc};

use highwater::{
    client::{MeterHandle, WorkerClient, WorkerConfig, channel},
    model::{Incarnation, Outcome, SessionId},
    proto::{Labels, Meter},
};
use rand::{RngExt as _, rngs::StdRng};

use crate::faults::ask::{Slot, slot};

/// How sessions end here.
const OUTCOMES: [Outcome; 4] = [Outcome::Ok, Outcome::Cancelled, Outcome::Timeout, Outcome::Concurrency];

/// A worker and its truth.
pub struct Member {
    pub client: WorkerClient,
    meters: Vec<MeterHandle>,
    held: Vec<SessionId>,
}

impl Member {
    /// A new worker that reports these meters.
    pub fn new(url: &str, meters: &[Meter], replaces: Option<Incarnation>) -> Self {
        let config = WorkerConfig { replaces, ..WorkerConfig::new("default", "crew") };
        let client = WorkerClient::attach(channel(url).unwrap(), config);
        let meters = meters.iter().map(|meter| client.meter(meter.clone())).collect();
        Self { client, meters, held: Vec::new() }
    }

    pub fn incarnation(&self) -> Incarnation {
        self.client.config().incarnation
    }

    /// Opens a session on its `nth` meter.
    pub fn open_on(&mut self, nth: usize, dice: &mut StdRng) {
        let id = SessionId(dice.random());
        let labels = dice.random_bool(0.5).then(|| {
            let (room, job) = ("lobby".to_owned(), format!("job-{}", self.held.len()));
            Arc::new(Labels { room, job })
        });
        assert!(self.client.open(id, self.meters[nth], labels));
        self.held.push(id);
    }

    /// Opens a session on any of its meters.
    pub fn open(&mut self, dice: &mut StdRng) {
        self.open_on(dice.random_range(0..self.meters.len()), dice);
    }

    /// Closes any session but its first `keep`; false where it has no more.
    pub fn close_one(&mut self, keep: usize, dice: &mut StdRng) -> bool {
        let has_more = self.held.len() > keep;
        if has_more {
            let id = self.held.swap_remove(dice.random_range(keep..self.held.len()));
            assert!(self.client.close(id, OUTCOMES[dice.random_range(0..OUTCOMES.len())]));
        }
        has_more
    }

    /// Whether it should rather open one than close one, to hold about `usual`.
    pub fn opens_next(&self, usual: usize, dice: &mut StdRng) -> bool {
        dice.random_range(0..=2 * usual) >= self.held.len()
    }

    /// The slots that it holds.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.held.iter().map(|id| slot(self.incarnation(), *id))
    }
}

/// All slots that are truly held.
pub fn truth<'a>(crew: impl IntoIterator<Item = &'a Member>) -> BTreeSet<Slot> {
    crew.into_iter().flat_map(Member::slots).collect()
}
