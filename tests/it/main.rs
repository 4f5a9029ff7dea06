//! Integration tests, in one binary.

<<<<<<< HEAD
#![allow(clippy::unwrap_used)]

mod histories;
=======
mod store_contract;
mod store_faults;
>>>>>>> store
