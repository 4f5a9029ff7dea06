//! How much of everything is taken. Each bound can be configured; each refusal names its bound.

use std::time::Duration;

/// The bounds of what workers may report. Defaults in the comments are those of [`Bounds::default`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Projects: 10,000.
    pub projects: usize,
    /// Meters a project, so that a flood of model names ends: 1,000.
    pub meters_per_project: usize,
    /// Worker incarnations a project: 20,000.
    pub workers_per_project: usize,
    /// Sessions a project, which is also the largest snapshot: 100,000.
    pub sessions_per_project: usize,
    /// Callers a project that wait for a slot: 1,000.
    pub waiting_per_project: usize,
    /// Events a batch: 4,096.
    pub batch_events: usize,
    /// Meters that one stream may declare: 1,024.
    pub meters_per_stream: usize,
    /// Ended sessions a book remembers by id, so that late and repeated events change nothing: 4,096 at most, or an eighth
    /// of the rows of its table where that is more, and at least the last half of them.
    pub tombstones_per_book: usize,
    /// How long it remembers them: 60 s.
    pub tombstone_age: Duration,
    /// A worker's lease on its stream: 10 s.
    pub lease: Duration,
    /// How often a silent worker is to send a beat: 3 s.
    pub beat: Duration,
    /// Shortest and longest lease of an incarnation that reports by unary calls: 10 s and 300 s.
    pub unary_lease: (Duration, Duration),
    /// From this age on, an event's age is used; younger ones count at their arrival: 2 s.
    pub late_after: Duration,
    /// Up to this age, an event is taken into history: 15 min. It is how long minutes stay open.
    pub late_until: Duration,
    /// How long the service learns after a restart: 12 s (the lease and 2 s).
    pub learning: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            projects: 10_000,
            meters_per_project: 1_000,
            workers_per_project: 20_000,
            sessions_per_project: 100_000,
            waiting_per_project: 1_000,
            batch_events: 4_096,
            meters_per_stream: 1_024,
            tombstones_per_book: 4_096,
            tombstone_age: Duration::from_secs(60),
            lease: Duration::from_secs(10),
            beat: Duration::from_secs(3),
            unary_lease: (Duration::from_secs(10), Duration::from_secs(300)),
            late_after: Duration::from_secs(2),
            late_until: Duration::from_secs(15 * 60),
            learning: Duration::from_secs(12),
        }
    }
}
