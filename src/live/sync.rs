//! The one place that says whose atomics and locks the live state uses: the standard library's, or loom's, which
//! explores every interleaving of them (`cargo test --features loom`).

#[cfg(feature = "loom")]
pub use loom::{
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering},
    },
    thread::yield_now,
};
#[cfg(not(feature = "loom"))]
pub use std::{
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering},
    },
    thread::yield_now,
};

use std::sync::PoisonError;

/// Locks; a lock that a panic left behind is taken over, since every book can be put right from a snapshot.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
