//! Highwater: know, plan and protect the inference concurrency of voice agents.
//!
//! # Layout, in the order of the data's way
//!
//! - [`proto`]: the contract, compiled from `proto/highwater/v1`.
//! - [`model`]: the nouns.
//! - [`history`]: an hour as bytes, and what is read out of hours.
//! - [`store`]: what is kept, and the trait that every store fulfils.

pub mod history;
pub mod model;
pub mod proto;
pub mod store;
