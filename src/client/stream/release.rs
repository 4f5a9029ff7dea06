//! A slot that somebody wants free: the session ends, and whoever holds it is told. Nothing here waits.

use tokio::time::Instant;

use crate::{
    client::{ReleasedSession, Shared},
    model::{Outcome, SessionId, session::ID_BYTES},
    proto::Release,
};

/// Released sessions that nobody has asked for yet and are kept: 1,024, the newest.
const MAX_RELEASED: usize = 1_024;

/// Closes the session, if it is held, as cancelled.
pub fn close(shared: &Shared, Release { session_id, reason }: Release) {
    let Ok(id) = <[u8; ID_BYTES]>::try_from(&*session_id).map(SessionId) else { return };
    let mut state = shared.state();
    if !state.journal.close(id, Outcome::Cancelled, Instant::now().into_std()) {
        return;
    }
    if state.released.len() >= MAX_RELEASED {
        state.released.pop_front();
    }
    state.released.push_back(ReleasedSession { id, reason });
    drop(state);
    shared.released.notify_waiters();
}
