//! Integration tests, in one binary.

#![allow(clippy::unwrap_used)]

mod histories;
mod oracle;
mod store_contract;
mod store_faults;
