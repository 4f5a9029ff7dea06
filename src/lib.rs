//! Highwater: know, plan and protect the inference concurrency of voice agents.
//!
//! # Layout, in the order of the data's way
//!
//! - [`proto`]: the contract, compiled from `proto/highwater/v1`.
//! - [`model`]: the nouns.
//! - [`live`]: what is held now, by whom, and the peaks of the last ticks.
//! - [`store`]: what is kept, and the trait that every store fulfils.

pub mod live;
pub mod model;
pub mod proto;
pub mod store;
