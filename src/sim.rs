//! A simulated fleet of voice agents: what `highwater demo` shows, and a source of traffic for tests. Pure functions of
//! a seed and the time: the same seed gives the same calls at the same hours. Nothing here counts or reports.
//!
//! - [`random`]: numbers that are the same on every machine.
//! - [`agents`]: who calls when, on which models, and how much is allowed: data.
//! - [`rhythm`]: how many calls arrive at a time of the week.
//! - [`call`]: one call, and the sessions that it holds together.
//! - [`fleet`]: the calls of a fleet, in order, without an end.
//! - [`busy_hour`]: more calls for a while, beyond what is allowed.
//! - [`schedule`]: what the workers that take the calls do, step by step.

pub mod agents;
pub mod busy_hour;
pub mod call;
pub mod fleet;
pub mod random;
pub mod rhythm;
pub mod schedule;

pub use agents::{chains, limits};
pub use call::{Call, SimSession};
pub use fleet::{Calls, Fleet};
pub use schedule::{Happening, Schedule, Step};
