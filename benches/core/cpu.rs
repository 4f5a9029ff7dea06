//! Processor time, by the kernel's count: what others do on the machine is not in it.

use std::time::Duration;

/// What this process's main thread has spent, in the kernel and out of it.
pub fn spent() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel tells it");
    let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.expect("it begins with a number"))
}
