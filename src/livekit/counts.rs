//! What is counted of LiveKit's events and lists, for status and metrics. Sums since the process started.

use std::sync::atomic::{AtomicU64, Ordering};

/// Makes the sums and their values, so that none is forgotten in either.
macro_rules! counts {
    ($($(#[$meta:meta])+ $name:ident,)+) => {
        /// The sums, shared by all who count.
        #[derive(Debug, Default)]
        pub struct Counts { $($(#[$meta])+ pub $name: AtomicU64,)+ }

        /// Their values at one time.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counted { $($(#[$meta])+ pub $name: u64,)+ }

        impl Counts {
            pub fn read(&self) -> Counted {
                Counted { $($name: self.$name.load(Ordering::Relaxed),)+ }
            }
        }
    };
}

counts! {
    /// Events that were taken, whatever came of them.
    events,
    /// Events that came again.
    repeated,
    /// Events that say nothing of what is counted.
    passed_over,
    /// Beginnings that were more than 30 s old when they were sent.
    stale,
    /// Events that LiveKit says it gave up.
    given_up,
    /// Ends of what had not begun here: its beginning was lost, or comes later.
    ends_first,
    /// Requests without a valid signature, or with a body that is not the one that was signed.
    unsigned,
    /// Requests that were signed and can't be read, or are too large.
    unreadable,
    /// Beginnings that a bound refused.
    refused,
    /// Sessions that ended since nothing was heard of them for long.
    expired,
    /// Times that LiveKit's lists were read in full.
    lists_read,
    /// Times that they could not be.
    lists_failed,
    /// Sessions that the lists have and we had not: their beginning was lost.
    missed_begins,
    /// Sessions that we had and the lists have not: their end was lost.
    missed_ends,
}

/// Adds to a sum.
pub fn add(sum: &AtomicU64, more: u64) {
    sum.fetch_add(more, Ordering::Relaxed);
}
