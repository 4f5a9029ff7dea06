//! Seats: one stream an incarnation. A newer stream takes the seat, and the older one is told at once, also when it has
//! nothing to say; it may hang on a connection that is half dead.

use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::Notify;

use crate::model::{Incarnation, Project};

/// Whose seat it is.
pub type Name = (Project, Incarnation);

type Taken = DashMap<Name, (u64, Arc<Notify>)>;

/// The seats of all streams.
#[derive(Clone, Debug, Default)]
pub struct Seats(Arc<Taken>);

/// A stream's seat, given up when it is dropped.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Taken>,
    name: Name,
    attach_seq: u64,
    lost: Arc<Notify>,
}

impl Seats {
    /// Takes the seat for the stream of this number, which the engine found to be the newest; tells the older one.
    pub fn take(&self, name: Name, attach_seq: u64) -> Seat {
        let lost = Arc::new(Notify::new());
        if let Some((_, older)) = self.0.insert(name.clone(), (attach_seq, lost.clone())) {
            older.notify_one();
        }
        Seat { seats: self.0.clone(), name, attach_seq, lost }
    }
}

impl Seat {
    /// Waits until a newer stream has taken it.
    pub async fn taken(&self) {
        self.lost.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.remove_if(&self.name, |_, (attach_seq, _)| *attach_seq == self.attach_seq);
    }
}
