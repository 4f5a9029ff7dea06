//! Highwater: know, plan and protect the inference concurrency of voice agents.
//!
//! # Layout, in the order of the data's way
//!
//! - [`proto`]: the contract, compiled from `proto/highwater/v1`.
//! - [`model`]: the nouns.
//! - [`live`]: what is held now, by whom, and the peaks of the last ticks.
//! - [`rollup`]: frames into points, histograms and coverage.
//! - [`history`]: an hour as bytes, and what is read out of hours.
//! - [`error`]: what can go wrong with a request, and how a client is told.
//! - [`config`]: what was typed, turned into what is valid.
//! - [`store`]: what is kept, and the trait that every store fulfils.
//! - [`service`]: one service's state, and the recorder that makes it durable each second.
//! - [`import`]: traces of sessions, run through the engine under their own clock.
//! - [`api`]: the gRPC services.
//! - [`client`]: a worker's end of the stream.

pub mod api;
pub mod client;
pub mod config;
pub mod error;
pub mod history;
pub mod import;
pub mod live;
pub mod model;
pub mod proto;
pub mod rollup;
pub mod service;
pub mod store;
