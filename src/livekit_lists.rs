//! Reads the lists of LiveKit's API: rooms and who is in them, egress and ingress. It only fetches and hands over; what
//! follows from a list is decided in [`crate::livekit`].
//!
//! - [`client`]: one question, its time and size bounded.
//! - [`read`]: all pages and rooms of a list.
//! - [`reader`]: when it is time, and what is said of it.

pub mod client;
pub mod read;
pub mod reader;
