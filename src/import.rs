//! Import: traces of sessions from elsewhere.

pub mod trace;
