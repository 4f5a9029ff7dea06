//! What would be: how to share what there is. Plain functions of what the minutes of a week needed; they change nothing.

pub mod assign;
