//! Token buckets, kept as the time at which each is full again: so many a second on average, so many at once after a
//! pause. Functions of now; nothing runs between calls.

use std::{hash::Hash, time::Duration};

use dashmap::DashMap;

use crate::{config::Rate, model::Time};

/// Buckets that are kept for names. Full ones are forgotten first: what is not known is full.
const MOST_KEPT: usize = 65_536;

/// One bucket.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bucket {
    /// When it is full again, in nanoseconds of the monotonic clock.
    full_at: u64,
}

impl Bucket {
    /// Takes tokens, also those that it does not have yet; returns how long it takes until it has paid for them.
    pub fn charge(&mut self, rate: Rate, tokens: u32, now: Time) -> Duration {
        let now = nanos(now);
        self.full_at = self.full_at.max(now).saturating_add(price(rate, tokens));
        Duration::from_nanos((self.full_at - now).saturating_sub(price(rate, rate.burst)))
    }

    /// Takes tokens that it has; from a full one any number.
    ///
    /// # Errors
    /// How long it takes until it has them. Nothing is then taken.
    pub fn take(&mut self, rate: Rate, tokens: u32, now: Time) -> Result<(), Duration> {
        let mut after = *self;
        let wait = after.charge(rate, tokens, now);
        if wait > Duration::ZERO && self.full_at > nanos(now) {
            return Err(wait);
        }
        *self = after;
        Ok(())
    }
}

fn nanos(time: Time) -> u64 {
    time.0.saturating_mul(1_000)
}

/// The time that tokens take to come, in nanoseconds.
fn price(rate: Rate, tokens: u32) -> u64 {
    (u64::from(tokens) * 1_000_000_000).checked_div(u64::from(rate.per_second)).unwrap_or(0)
}

/// A bucket for each name.
#[derive(Debug)]
pub struct Throttle<K: Eq + Hash> {
    rate: Rate,
    buckets: DashMap<K, Bucket>,
}

impl<K: Clone + Eq + Hash> Throttle<K> {
    pub fn new(rate: Rate) -> Self {
        Self { rate, buckets: DashMap::new() }
    }

    pub fn per_second(&self) -> u32 {
        self.rate.per_second
    }

    /// As [`Bucket::charge`].
    pub fn charge(&self, name: &K, tokens: u32, now: Time) -> Duration {
        self.with(name, now, |bucket, rate| bucket.charge(rate, tokens, now)).unwrap_or_default()
    }

    /// As [`Bucket::take`].
    ///
    /// # Errors
    /// How long it takes until the tokens are there.
    pub fn take(&self, name: &K, tokens: u32, now: Time) -> Result<(), Duration> {
        self.with(name, now, |bucket, rate| bucket.take(rate, tokens, now)).unwrap_or(Ok(()))
    }

    fn with<T>(&self, name: &K, now: Time, then: impl FnOnce(&mut Bucket, Rate) -> T) -> Option<T> {
        if self.rate.per_second == 0 {
            return None;
        }
        if let Some(mut bucket) = self.buckets.get_mut(name) {
            return Some(then(&mut bucket, self.rate));
        }
        if self.buckets.len() >= MOST_KEPT {
            self.buckets.retain(|_, bucket| bucket.full_at > nanos(now));
        }
        // Were it full of callers that all read too often, a new one is served once and not remembered.
        if self.buckets.len() >= MOST_KEPT {
            return Some(then(&mut Bucket::default(), self.rate));
        }
        Some(then(&mut self.buckets.entry(name.clone()).or_default(), self.rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 10, burst: 20 };

    #[test]
    fn a_burst_is_taken_at_once_and_the_rest_at_its_pace() {
        let (mut bucket, start) = (Bucket::default(), Time::from_secs(100));
        for _ in 0..20 {
            assert_eq!(bucket.take(RATE, 1, start), Ok(()));
        }
        assert_eq!(bucket.take(RATE, 1, start), Err(Duration::from_millis(100)));
        assert_eq!(bucket.take(RATE, 1, start.after(Duration::from_millis(100))), Ok(()));
        let much_later = start.after(Duration::from_secs(60));
        assert_eq!(bucket.charge(RATE, 20, much_later), Duration::ZERO);
        assert_eq!(bucket.charge(RATE, 5, much_later), Duration::from_millis(500));
    }

    #[test]
    fn more_than_a_burst_is_taken_from_a_full_bucket_only() {
        let (mut bucket, start) = (Bucket::default(), Time::from_secs(100));
        assert_eq!(bucket.take(RATE, 100, start), Ok(()), "else it never would be");
        assert_eq!(bucket.take(RATE, 1, start.after(Duration::from_secs(8))), Err(Duration::from_millis(100)));
    }

    #[test]
    fn names_have_buckets_of_their_own_and_none_is_no_bound() {
        let throttle = Throttle::new(Rate { per_second: 1, burst: 1 });
        let now = Time::from_secs(1);
        assert!(throttle.take(&"a", 1, now).is_ok() && throttle.take(&"b", 1, now).is_ok());
        assert_eq!(throttle.take(&"a", 1, now), Err(Duration::from_secs(1)));
        let unbound = Throttle::new(Rate { per_second: 0, burst: 1 });
        assert!((0..1_000).all(|_| unbound.take(&"a", 1, now).is_ok()));
        assert!(unbound.buckets.is_empty());
    }
}
