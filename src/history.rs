//! History: an hour of a key as bytes and back, and what is read out of hours: percentiles, wider steps, the week and
//! its hours, the risk and the verdict on all of a project. Plain functions; nothing here reads a clock or a file.

pub mod bits;
pub mod columns;
pub mod counts;
pub mod heat;
pub mod histogram;
pub mod marks;
pub mod pack;
pub mod summary;
pub mod verdict;
pub mod week;
pub mod window;

pub use histogram::Distribution;
pub use marks::Marks;
pub use pack::{PackError, Peaks, pack, peaks_len, unpack, unpack_peaks};
pub use summary::{pack_summary, unpack_summary};
pub use week::{LimitInForce, NearMinutes, Risk, Week, WeekMinute, is_near, reaches_limit};
pub use window::{StepPoint, Steps};
