//! Integration tests, in one binary.

#![allow(clippy::unwrap_used)]

mod bad_input;
mod histories;
mod ingest;
mod ledger;
mod oracle;
mod serving;
mod store_contract;
mod store_faults;
