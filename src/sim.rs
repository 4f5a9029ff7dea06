//! A simulated fleet of voice agents: what `highwater demo` shows, and a source of traffic for tests. Pure functions of
//! a seed and the time: the same seed gives the same calls at the same hours. Nothing here counts or reports.
//!
//! - [`random`]: numbers that are the same on every machine.
//! - [`agents`]: who calls when, on which models, and how much is allowed: data.
//! - [`rhythm`]: how many calls arrive at a time of the week.
//! - [`call`]: one call, and the sessions that it holds together.
//! - [`fleet`]: the calls of a fleet, in order, without an end.

pub mod agents;
pub mod call;
pub mod fleet;
pub mod random;
pub mod rhythm;

pub use agents::limits;
pub use call::{Call, SimSession};
pub use fleet::{Calls, Fleet};
