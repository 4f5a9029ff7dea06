//! The nouns: what is counted, when, how much of it may be held, and what is kept of it. Plain values, no behaviour of
//! the service; every other module speaks in them.

pub mod bounds;
pub mod catalogue;
pub mod chain;
pub mod counts;
pub mod document;
pub mod enforce;
pub mod frame;
pub mod hour;
pub mod key;
pub mod kind;
pub mod limit;
pub mod plan;
pub mod point;
pub mod request;
pub mod session;
pub mod text;
pub mod time;

pub use bounds::Bounds;
pub use catalogue::{Catalogue, CatalogueError, CatalogueModel, Provider};
pub use chain::{Chain, ChainError};
pub use counts::SparseCounts;
pub use enforce::{Enforcement, Mode, Priority};
pub use frame::{Coverage, Entry, Frame, LateSpan};
pub use hour::{HourSummary, KeyHour};
pub use key::{ACROSS_PROJECTS, Key, KeyError, KeyId, Meter, Project, Target};
pub use kind::{Kind, Outcome, Unit};
pub use limit::{LimitEntry, LimitHistory};
pub use plan::{Plan, Plans};
pub use point::{Bound, Flags, Point};
pub use request::IncreaseRequest;
pub use session::{Incarnation, Labels, SessionId};
pub use time::{Hour, Minute, Now, Slew, Tick, Time};
