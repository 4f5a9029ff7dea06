//! What would be: how to share what there is, and whether fallbacks would do. Plain functions of what the minutes of a week
//! needed; they change nothing.

pub mod assign;
pub mod fallback;
