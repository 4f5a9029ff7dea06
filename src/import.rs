//! Import: traces of sessions from elsewhere.

pub mod gather;
pub mod report;
pub mod run;
pub mod trace;

pub use gather::Gathered;
pub use report::Report;
pub use run::{ImportError, Options, run};
