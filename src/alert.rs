//! Alerts: the rules, what they decide of each second, and what is told of it. Plain functions of (rules, what is known,
//! state, now); never a clock, a store or a mail server. Delivery is another room's.

pub mod engine;
pub mod facts;
pub mod kind;
pub mod mail;
pub mod outbox;
pub mod recipient;
pub mod rule;
pub mod state;

pub use engine::{Decided, Engine, Keys, Notice, Trouble};
pub use facts::{Curve, Facts, Folded, Holder, HolderOf, Thread, Trend};
pub use kind::{AlertKind, NoticeKind, Severity};
pub use mail::{Mail, render};
pub use outbox::{Asked, Batch, Delivery, Outbox, Row, Sort, Standing, Tried};
pub use recipient::{Address, QuietHours, Recipient, WebhookForm};
pub use rule::{AlertRule, RuleBook, Rung, Scope, Threshold};
pub use state::{Acknowledgement, Alert, Event, Phase, Snooze, Stage, Subject};
