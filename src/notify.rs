//! Tells people of alerts: takes what is to be told out of the outbox, gathers its facts, and sends it. What came of it
//! goes back into the outbox; deciding is done elsewhere.
//!
//! - [`courier`]: takes, sends, and says what came of it; [`pace`]: how many mails at a time, [`breaker`]:
//!   whether any.
//! - [`gather`]: the facts of a notice.
//! - [`smtp`]: the mail server; [`message`]: a mail as it is sent there.
//! - [`webhook`]: webhooks; [`body`]: what they are sent.

pub mod body;
pub mod breaker;
pub mod courier;
pub mod gather;
pub mod message;
pub mod pace;
pub mod smtp;
pub mod webhook;

pub use courier::Courier;
