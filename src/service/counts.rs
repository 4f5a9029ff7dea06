//! What the doors and the recorder count of their own work since the process started. Every sum only grows. One update a
//! batch, a refusal or a second, never one an event.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::{error::Error, live::Applied, model::time::MICROS_PER_SECOND};

/// The bounds that a report may be refused for, as errors name them, and what stands for any other.
pub const BOUNDS: [&str; 7] = [
    "batch_events",
    "meters_per_project",
    "meters_per_stream",
    "projects",
    "sessions_per_project",
    "workers_per_project",
    "other",
];

/// How events came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One by one, in a batch of a stream.
    Events,
    /// In columns, in a batch of a stream.
    Columns,
    /// As the whole of what a stream's worker holds.
    Snapshot,
    /// In a unary report.
    Report,
}

/// Why a worker was asked for a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A batch was missing.
    Gap,
    /// What it believed to hold was not what its book said.
    DigestMismatch,
    /// The chunks of its snapshot did not add up.
    SnapshotMismatch,
    /// Its lease had ended.
    LeaseExpired,
}

impl Form {
    pub const ALL: [Self; 4] = [Self::Events, Self::Columns, Self::Snapshot, Self::Report];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Columns => "columns",
            Self::Snapshot => "snapshot",
            Self::Report => "report",
        }
    }
}

impl Asked {
    pub const ALL: [Self; 4] = [Self::Gap, Self::DigestMismatch, Self::SnapshotMismatch, Self::LeaseExpired];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::DigestMismatch => "digest_mismatch",
            Self::SnapshotMismatch => "snapshot_mismatch",
            Self::LeaseExpired => "lease_expired",
        }
    }
}

/// All counts of one service.
#[derive(Debug, Default)]
pub struct Counts {
    pub ingest: IngestCounts,
    pub recorder: RecorderCounts,
}

/// What workers said.
#[derive(Debug, Default)]
pub struct IngestCounts {
    streams: AtomicU64,
    /// By [`Form`].
    batches: [AtomicU64; Form::ALL.len()],
    changed: AtomicU64,
    duplicates: AtomicU64,
    /// By [`BOUNDS`].
    refused: [AtomicU64; BOUNDS.len()],
    /// By [`Asked`].
    asked: [AtomicU64; Asked::ALL.len()],
}

/// How making seconds durable goes.
#[derive(Debug, Default)]
pub struct RecorderCounts {
    waiting: AtomicU64,
    dropped: AtomicU64,
    errors: AtomicU64,
    commits: AtomicU64,
    commit_micros: AtomicU64,
    late_events: AtomicU64,
}

impl IngestCounts {
    /// A stream was taken after its hello.
    pub fn stream(&self) {
        self.streams.fetch_add(1, Relaxed);
    }

    /// A batch was applied.
    pub fn batch(&self, form: Form, applied: &Applied) {
        self.batches[form as usize].fetch_add(1, Relaxed);
        self.changed.fetch_add(applied.changed.into(), Relaxed);
        if applied.duplicates > 0 {
            self.duplicates.fetch_add(applied.duplicates.into(), Relaxed);
        }
    }

    /// A report was not taken; counted here when a bound was the reason.
    pub fn refused(&self, error: &Error) {
        if let Error::Bound { name, .. } = error {
            let at = BOUNDS.iter().position(|bound| bound == name).unwrap_or(BOUNDS.len() - 1);
            self.refused[at].fetch_add(1, Relaxed);
        }
    }

    /// A worker was asked for a snapshot.
    pub fn asked(&self, why: Asked) {
        self.asked[why as usize].fetch_add(1, Relaxed);
    }

    pub fn streams(&self) -> u64 {
        self.streams.load(Relaxed)
    }

    pub fn batches(&self, form: Form) -> u64 {
        self.batches[form as usize].load(Relaxed)
    }

    /// Events that changed something, and those that repeated what was known.
    pub fn events(&self) -> (u64, u64) {
        (self.changed.load(Relaxed), self.duplicates.load(Relaxed))
    }

    /// Refusals for the nth of [`BOUNDS`].
    pub fn refused_for(&self, nth: usize) -> u64 {
        self.refused[nth].load(Relaxed)
    }

    pub fn asked_for(&self, why: Asked) -> u64 {
        self.asked[why as usize].load(Relaxed)
    }
}

impl RecorderCounts {
    /// The store took what waited, in this time.
    pub fn committed(&self, took: Duration) {
        self.commits.fetch_add(1, Relaxed);
        self.commit_micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// The store did not take it, and so many of the oldest frames were dropped.
    pub fn failed(&self, dropped: usize) {
        self.errors.fetch_add(1, Relaxed);
        self.dropped.fetch_add(dropped as u64, Relaxed);
    }

    /// How it stands after a step: frames that wait, and the late events of all steps.
    pub fn stands(&self, waiting: usize, late_events: u64) {
        self.waiting.store(waiting as u64, Relaxed);
        self.late_events.store(late_events, Relaxed);
    }

    /// Frames that the store has not taken yet.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Relaxed)
    }

    /// Frames that were dropped because the store did not take them in time.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Steps in which the store failed.
    pub fn errors(&self) -> u64 {
        self.errors.load(Relaxed)
    }

    /// Commits that were done, and the seconds that they took.
    pub fn commits(&self) -> (u64, f64) {
        (self.commits.load(Relaxed), self.commit_micros.load(Relaxed) as f64 / MICROS_PER_SECOND as f64)
    }

    /// Late events that changed seconds which had passed.
    pub fn late_events(&self) -> u64 {
        self.late_events.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bound_of_a_report_is_a_setting() {
        let settings = include_str!("../../data/highwater.toml");
        for bound in BOUNDS.iter().filter(|bound| **bound != "other") {
            assert!(settings.contains(&format!("\n{bound} = ")), "{bound}");
        }
    }

    #[test]
    fn a_refusal_is_counted_by_its_bound_and_no_other_error_is() {
        let counts = IngestCounts::default();
        counts.refused(&Error::Bound { name: "projects", most: 1 });
        counts.refused(&Error::Bound { name: "new", most: 1 });
        counts.refused(&Error::Superseded);
        let counted: Vec<_> = (0..BOUNDS.len()).map(|nth| counts.refused_for(nth)).collect();
        assert_eq!(counted, [0, 0, 0, 1, 0, 0, 1]);
    }
}
