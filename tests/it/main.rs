//! Integration tests, in one binary.

#![allow(clippy::unwrap_used)]

mod bad_input;
mod demo;
mod doors;
mod faults;
mod histories;
mod hostile;
mod ingest;
mod ingest_refused;
mod ingest_unary;
mod learning;
mod ledger;
mod live_ends;
mod oracle;
mod queries;
mod serving;
mod soak;
mod store_contract;
mod store_faults;
mod tls;
