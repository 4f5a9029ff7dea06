//! The clock: the one place that reads the time for the service.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::model::{Now, Time};

/// Reads both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock whose monotonic time starts now.
    #[expect(clippy::disallowed_methods, reason = "this is the clock that the core's `now` comes from")]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// The time now, by both clocks.
    #[expect(clippy::disallowed_methods, reason = "this is the clock that the core's `now` comes from")]
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            wall: Time(u64::try_from(wall.as_micros()).unwrap_or(u64::MAX)),
            mono: Time(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)),
        }
    }
}
