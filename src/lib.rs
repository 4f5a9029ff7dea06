//! Highwater: know, plan and protect the inference concurrency of voice agents.
//!
//! # Layout, in the order of the data's way
//!
//! - [`proto`]: the contract, compiled from `proto/highwater/v1`.
//! - [`model`]: the nouns.
//! - [`store`]: what is kept, and the trait that every store fulfils.
//! - [`client`]: the worker's side of the stream.
//! - [`import`]: traces of sessions from elsewhere.

pub mod client;
pub mod import;
pub mod model;
pub mod proto;
pub mod store;
