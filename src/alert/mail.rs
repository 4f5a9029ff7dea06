//! A notice as a mail: a pure function of its facts. It never reads a clock or a store, and what it returns holds no
//! header of its own: subject and bodies alone.
//!
//! - [`words`]: what is said, in text as in HTML; [`kinds`]: what each kind is called.
//! - [`text`], [`html`]: the bodies.
//! - [`picture`]: the last seven days; [`days`]: whose they are; [`png`]: its file.

pub mod days;
pub mod html;
pub mod kinds;
pub mod picture;
pub mod png;
pub mod text;
pub mod words;

use crate::alert::Facts;

pub use words::one_line;

/// What a mail says. The subject is one line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mail {
    pub subject: String,
    pub text: String,
    pub html: String,
    /// The picture that `html` shows as `cid:week`; empty when there is none.
    pub png: Vec<u8>,
}

/// The mail of a notice.
pub fn render(facts: &Facts) -> Mail {
    let png = picture::picture(&facts.curve, &facts.zone);
    Mail { subject: subject(facts), text: text::text(facts), html: html::html(facts, !png.is_empty()), png }
}

/// `[demo] elevenlabs/eleven_turbo_v2_5 at 18 of 20 (90 %), rising`.
pub fn subject(facts: &Facts) -> String {
    let project = if facts.project.is_across() { "highwater" } else { facts.project.as_str() };
    let state = words::state(facts);
    // Of what is of the service the state names all of it.
    let about = match &facts.target {
        Some(_) if facts.kind.is_of_level() => format!("{} ", facts.spelled()),
        Some(_) => format!("{}: ", facts.spelled()),
        None => String::new(),
    };
    one_line(&format!("[{project}] {about}{state}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub mod tests;
