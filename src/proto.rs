//! The contract: messages, clients and servers compiled from `proto/highwater/v1`.

#![allow(missing_docs, clippy::all, clippy::pedantic)]

mod codec;
pub mod event_batch;
mod history;

pub use codec::Codec;
pub use event_batch::EventBatch;
pub use history::History;

tonic::include_proto!("highwater.v1");

/// The encoded descriptors of the contract, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/highwater.v1.descriptors"));
