//! The clock: the one place that reads the time for the service.

use std::{
    sync::{Mutex, PoisonError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use crate::model::{Now, Slew, Time};

/// Reads both clocks; its wall time never goes back.
#[derive(Debug)]
pub struct Clock {
    start: Instant,
    slew: Mutex<Slew>,
}

impl Clock {
    /// A clock whose monotonic time starts now.
    #[expect(clippy::disallowed_methods, reason = "this is the clock that the core's `now` comes from")]
    pub fn start() -> Self {
        Self { start: Instant::now(), slew: Mutex::default() }
    }

    /// From now on, wall time is at least `label`, at which history has arrived already.
    pub fn not_before(&self, label: Time) {
        let mono = self.elapsed();
        self.slew.lock().unwrap_or_else(PoisonError::into_inner).not_before(label, mono);
    }

    fn elapsed(&self) -> Time {
        Time(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// The wall clock as the system has it, whatever history says: credentials end by it. Nothing is locked.
    #[expect(clippy::disallowed_methods, reason = "this is the clock that the core's `now` comes from")]
    pub fn wall() -> Time {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time(u64::try_from(wall.as_micros()).unwrap_or(u64::MAX))
    }

    /// The time now, by both clocks.
    pub fn now(&self) -> Now {
        let mut slew = self.slew.lock().unwrap_or_else(PoisonError::into_inner);
        slew.now(Self::wall(), self.elapsed())
    }
}
