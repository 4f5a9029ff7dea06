//! Integration tests, in one binary.

mod store_contract;
mod store_faults;
