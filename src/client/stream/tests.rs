//! When a stream wakes up: a time that has passed while there is nothing to do must not keep its task busy.

use super::*;
use crate::client::{State, WorkerConfig};

/// What is due is done until nothing more is.
fn settle(stream: &mut Stream<'_>, now: Instant) -> Vec<AttachRequest> {
    let mut sent = Vec::new();
    for _ in 0..10 {
        assert!(stream.due(now).is_none());
        sent.extend(stream.outbox.drain(..));
    }
    sent
}

#[tokio::test]
async fn a_worker_with_nothing_to_tell_sleeps() {
    let shared = Shared {
        config: WorkerConfig::new("p", "w"),
        state: std::sync::Mutex::new(State::default()),
        wake: tokio::sync::Notify::new(),
        progress: tokio::sync::Notify::new(),
        released: tokio::sync::Notify::new(),
        status: tokio::sync::watch::Sender::new(ClientStatus::Connecting),
        routes: crate::client::routes::Newest::default(),
    };
    let (outgoing, _receiver) = mpsc::channel(1);
    let mut stream = Stream::new(&shared, outgoing, &Welcome::default());
    let now = Instant::now();
    settle(&mut stream, now);
    assert!(stream.wake_at() > now);

    // A beat waits for room, and it is time for the next.
    let later = now + 2 * stream.beat_every;
    assert!(stream.due(later).is_none());
    assert_eq!(stream.outbox.len(), 1);
    let much_later = later + 2 * stream.beat_every;
    assert!(stream.due(much_later).is_none());
    assert!(stream.wake_at() > Instant::now());
    assert_eq!(stream.outbox.len(), 1);

    // After the goodbye, nothing but its end is waited for.
    stream.outbox.clear();
    stream.outgoing = None;
    stream.goodbye_by = Some(much_later + GOODBYE_TIMEOUT);
    assert_eq!(stream.wake_at(), much_later + GOODBYE_TIMEOUT);
}
