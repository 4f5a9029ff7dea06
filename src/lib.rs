//! Highwater: know, plan and protect the inference concurrency of voice agents.
//!
//! # Layout, in the order of the data's way
//!
//! - [`proto`]: the contract, compiled from `proto/highwater/v1`.
//! - [`model`]: the nouns.
//! - [`access`]: who may do what: roles, credentials, and the chain of the audit log.
//! - [`live`]: what is held now, by whom, and the peaks of the last ticks.
//! - [`livekit`]: what LiveKit says of its connections, put into the live state.
//! - [`rollup`]: frames into points, histograms and coverage.
//! - [`history`]: an hour as bytes, and what is read out of hours.
//! - [`route`]: which model of a chain new sessions use now, and why.
//! - [`alert`]: what is worth a mail: rules, what they decide, and what is told of it.
//! - [`foresee`]: how to share what there is, and whether fallbacks would do.
//! - [`sim`]: a simulated fleet of voice agents.
//! - [`error`]: what went wrong, as gRPC says it.
//! - [`config`]: what was typed, turned into what is valid.
//! - [`telemetry`]: the log.
//! - [`store`]: what is kept, and the trait that every store fulfils.
//! - [`service`]: one service's state, and the recorder that makes it durable each second.
//! - [`query`]: what anyone may ask.
//! - [`livekit_lists`]: reads the lists of LiveKit's API.
//! - [`notify`]: tells people of alerts: e-mail and webhooks.
//! - [`metrics`]: what Prometheus scrapes.
//! - [`import`]: traces of sessions, run through the engine under their own clock.
//! - [`api`]: the gRPC services.
//! - [`http`]: the one port: connections, health, reflection.
//! - [`app`]: builds, runs and stops a service.
//! - [`client`]: a worker's end of the stream.
//! - [`demo`]: a simulated project, marked as one.
//! - [`cli`]: the command line.

pub mod access;
pub mod alert;
pub mod api;
pub mod app;
pub mod cli;
pub mod client;
pub mod config;
pub mod demo;
pub mod error;
pub mod foresee;
pub mod history;
pub mod http;
pub mod import;
pub mod live;
pub mod livekit;
pub mod livekit_lists;
pub mod metrics;
pub mod model;
pub mod notify;
pub mod proto;
pub mod query;
pub mod rollup;
pub mod route;
pub mod service;
pub mod sim;
pub mod store;
pub mod telemetry;
