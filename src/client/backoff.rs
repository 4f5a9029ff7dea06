//! When to try again: full jitter, so that workers that were cut off together don't return together.

use std::time::Duration;

/// Longest wait before the first attempt and those after it. A service that restarts is back within seconds, and settles
/// when its last worker is: so the first attempts keep to 2 s.
const CEILINGS: [Duration; 8] = [
    Duration::from_secs(2),
    Duration::from_secs(2),
    Duration::from_secs(2),
    Duration::from_secs(2),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(10),
];

/// Longest wait before an attempt; 1 is the first after a failure.
pub fn ceiling(attempt: u32) -> Duration {
    let at = (attempt.saturating_sub(1) as usize).min(CEILINGS.len() - 1);
    CEILINGS[at]
}

/// A random moment between nothing and `most`.
pub fn jitter(most: Duration) -> Duration {
    most.mul_f64(rand::random::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_ten_seconds() {
        assert_eq!([1, 5, 6, 7, 8, u32::MAX].map(|n| ceiling(n).as_secs()), [2, 2, 4, 8, 10, 10]);
        assert!(jitter(ceiling(1)) <= ceiling(1));
    }
}
