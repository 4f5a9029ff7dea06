//! Rules, recipients, alerts and what is to be told as bytes: what is stored of them once stays readable.

mod alerts;
mod rules;

pub use alerts::{decode_alert, decode_row, encode_alert, encode_row};
pub use rules::{decode_recipient, decode_rule, encode_recipient, encode_rule};

#[cfg(test)]
mod tests;
