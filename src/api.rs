//! The doors that speak gRPC: one file a service. They check what comes in, call the service, and say what came of it;
//! they decide nothing.

pub mod convert;
pub mod ingest;
pub mod notices;
pub mod peer;
