//! Alerts: the rules, what they decide of each second, and what is told of it. Plain functions of (rules, what is known,
//! state, now); never a clock, a store or a mail server. Delivery is another room's.

pub mod facts;
pub mod kind;
pub mod mail;

pub use facts::{Curve, Facts, Folded, Holder, HolderOf, Thread, Trend};
pub use kind::{AlertKind, NoticeKind, Severity};
pub use mail::{Mail, render};
