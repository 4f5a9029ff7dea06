//! Highwater: know, plan and protect the inference concurrency of voice agents.
//!
//! # Layout, in the order of the data's way
//!
//! - [`proto`]: the contract, compiled from `proto/highwater/v1`.
//! - [`model`]: the nouns.
//! - [`live`]: what is held now, by whom, and the peaks of the last ticks.
//! - [`rollup`]: frames into points, histograms and coverage.
//! - [`history`]: an hour as bytes, and what is read out of hours.
//! - [`config`]: what was typed, turned into what is valid.
//! - [`store`]: what is kept, and the trait that every store fulfils.
//! - [`service`]: one service's state, and the recorder that makes it durable each second.
//! - [`import`]: traces of sessions, run through the engine under their own clock.
//! - [`client`]: the worker's side of the stream.
//! - [`cli`]: what is typed, and what is printed.

pub mod cli;
pub mod client;
pub mod config;
pub mod history;
pub mod import;
pub mod live;
pub mod model;
pub mod proto;
pub mod rollup;
pub mod service;
pub mod store;
