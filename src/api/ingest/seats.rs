//! Seats: one stream an incarnation. A newer stream takes the seat, and the older one is told at once, also when it has
//! nothing to say; it may hang on a connection that is half dead.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use dashmap::DashMap;
use tokio::sync::Notify;

use crate::model::{Incarnation, Project, SessionId};

/// Requests to a worker that its stream has not sent yet: more than a person has patience for.
const MOST_ASKS: usize = 64;

/// Whose seat it is.
pub type Name = (Project, Incarnation);

/// What others tell a stream.
#[derive(Debug, Default)]
struct Told {
    lost: Notify,
    asked: Notify,
    asks: Mutex<VecDeque<Ask>>,
}

/// A session that its worker is to close, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    pub session: SessionId,
    pub reason: String,
}

type Taken = DashMap<Name, (u64, Arc<Told>)>;

/// The seats of all streams.
#[derive(Clone, Debug, Default)]
pub struct Seats(Arc<Taken>);

/// A stream's seat, given up when it is dropped.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Taken>,
    name: Name,
    attach_seq: u64,
    told: Arc<Told>,
}

impl Seats {
    /// Takes the seat for the stream of this number, which the engine found to be the newest; tells the older one.
    pub fn take(&self, name: Name, attach_seq: u64) -> Seat {
        let told = Arc::<Told>::default();
        if let Some((_, older)) = self.0.insert(name.clone(), (attach_seq, told.clone())) {
            older.lost.notify_one();
        }
        Seat { seats: self.0.clone(), name, attach_seq, told }
    }

    /// Whether there is a stream that could be asked.
    pub fn is_taken(&self, name: &Name) -> bool {
        self.0.contains_key(name)
    }

    /// Has the worker of a stream asked to close a session; false when there is no stream, or too much to ask waits.
    pub fn ask(&self, name: &Name, ask: Ask) -> bool {
        let Some(told) = self.0.get(name).map(|seat| seat.1.clone()) else { return false };
        let mut asks = told.asks.lock().unwrap_or_else(PoisonError::into_inner);
        if asks.len() >= MOST_ASKS {
            return false;
        }
        asks.push_back(ask);
        drop(asks);
        told.asked.notify_one();
        true
    }
}

impl Seat {
    /// Waits until a newer stream has taken it.
    pub async fn taken(&self) {
        self.told.lost.notified().await;
    }

    /// Waits for what the worker is to be asked next. Nothing is lost when it is dropped.
    pub async fn asked(&self) -> Ask {
        loop {
            let next = self.told.asks.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            match next {
                Some(ask) => return ask,
                None => self.told.asked.notified().await,
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.remove_if(&self.name, |_, (attach_seq, _)| *attach_seq == self.attach_seq);
    }
}
