//! Routes: which model of a chain new sessions use now, and why. Plain functions of the chains, of how full their models
//! are, of how their providers do, and of `now`. Nothing here grants a slot, moves a session that runs, or reads a clock.
//!
//! - [`standing`]: how full a model is, by each limit that a grant on it must keep.
//! - [`window`], [`breaker`], [`ceiling`], [`health`]: how a model's provider does, from outcomes.
//! - [`by_hand`]: pins and drains, with a reason and an end.
//! - [`course`]: when a chain leaves its primary and returns, calmly; [`split`]: what goes where meanwhile.
//! - [`decide`]: the route of a chain; [`versions`]: the routes of a project.
//! - [`choose`]: the model of one session.

pub mod breaker;
pub mod by_hand;
pub mod ceiling;
pub mod choose;
pub mod course;
pub mod decide;
pub mod health;
pub mod split;
pub mod standing;
pub mod versions;
pub mod window;

pub use breaker::Condition;
pub use by_hand::{Action, ByHand};
pub use choose::{Asked, Choice, Why, choose};
pub use decide::{ChainRoute, ModelRoute, State, View};
pub use health::Health;
pub use standing::{Scope, Standing};
pub use versions::{Router, Routes};
