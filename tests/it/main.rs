//! Integration tests, in one binary.

#![allow(clippy::unwrap_used)]

mod histories;
mod ingest;
mod ledger;
mod oracle;
mod queries;
mod serving;
mod store_contract;
mod store_faults;
