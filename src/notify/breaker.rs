//! Whether the mail server can be used. When it can't (it is not reached, offers no TLS, lets us not in), one mail after
//! another asks whether it is well again, after pauses that grow: whoever asked for each mail that waits would be locked out.

use std::time::Duration;

use crate::model::Time;

/// The first pause; each is twice as long as the one before, and any is at least half of that, by chance.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
/// No longer: what is critical waits for it after the server is well again.
const LONGEST_PAUSE: Duration = Duration::from_secs(10 * 60);

/// Times are those of the monotonic clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    /// Times in a row that the server could not be used.
    failures: u32,
    failed: Time,
    until: Time,
}

impl Breaker {
    pub const fn is_open(&self) -> bool {
        self.failures > 0
    }

    /// How many mails may be on their way beside those that are.
    pub fn room(&self, now: Time, on_their_way: usize) -> usize {
        match self.failures {
            0 => usize::MAX,
            _ => usize::from(now >= self.until && on_their_way == 0),
        }
    }

    /// A mail that `began` then found the server not well; `jitter` is any random number. What began before that was known
    /// says nothing new.
    pub fn failed(&mut self, began: Time, now: Time, jitter: u64) {
        if self.is_open() && began <= self.failed {
            return;
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(LONGEST_PAUSE);
        let half = pause.as_micros() as u64 / 2;
        let (failures, until) = (self.failures.saturating_add(1), Time(now.0 + half + jitter % (half + 1)));
        *self = Self { failures, failed: now, until };
    }

    /// A mail that began then was taken, or refused for what it is.
    pub fn well(&mut self, began: Time) {
        if began > self.failed {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_secs(1_000 + seconds)
    }

    #[test]
    fn one_mail_asks_after_pauses_that_grow_until_the_server_is_well() {
        let mut breaker = Breaker::default();
        assert_eq!(breaker.room(at(0), 9), usize::MAX);
        // All that were on their way fail as one.
        (0..16).for_each(|nth| breaker.failed(at(0), at(nth), u64::MAX));
        let (mut now, mut asked) = (15, Vec::new());
        while asked.len() < 9 {
            now += 1;
            if breaker.room(at(now), 0) > 0 {
                assert_eq!((breaker.room(at(now), 0), breaker.room(at(now), 1)), (1, 0));
                breaker.failed(at(now), at(now), 0);
                asked.push(now);
            }
        }
        let pauses: Vec<_> = asked.windows(2).map(|two| two[1] - two[0]).collect();
        assert_eq!(pauses, [30, 60, 120, 240, 300, 300, 300, 300]);
        breaker.well(at(5));
        assert!(breaker.is_open(), "what was on its way before says nothing");
        breaker.well(at(now + 1));
        assert_eq!(breaker.room(at(now + 1), 9), usize::MAX);
    }
}
