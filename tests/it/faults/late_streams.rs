//! late_streams
