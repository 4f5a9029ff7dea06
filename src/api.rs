//! The doors that speak gRPC: one file a service. They check what comes in, call the service, and say what came of it;
//! they decide nothing.

pub mod admin;
pub mod alert;
pub mod aside;
pub mod auth;
pub mod chain;
pub mod convert;
pub mod demo;
pub mod forecast;
pub mod ingest;
pub mod limit;
pub mod notices;
pub mod pages;
pub mod peer;
pub mod quota;
pub mod request;
pub mod routed;
