//! The demo: a service on a store with seven days of a simulated fleet, and then the same fleet live, as workers that
//! report over gRPC. It touches no store but its own.

pub mod history;
