//! History: an hour of a key as bytes and back, and what is read out of hours: percentiles, wider steps, the week and the
//! risk. Plain functions; nothing here reads a clock or a file.

pub mod bits;
pub mod columns;
pub mod counts;
pub mod histogram;
pub mod pack;
pub mod summary;
pub mod week;
pub mod window;

pub use histogram::Distribution;
pub use pack::{PackError, pack, peaks_len, unpack, unpack_peaks};
pub use summary::{pack_summary, unpack_summary};
pub use week::{LimitInForce, NearMinutes, Risk, Week, WeekMinute, is_near};
pub use window::{StepPoint, Steps};
