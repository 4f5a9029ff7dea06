//! What output goes to: how wide it is and whether it shows colours; and text in the few styles there are.

use std::io::{self, IsTerminal, Write};

use terminal_size::{Height, Width, terminal_size};

use crate::cli::{CliError, text};

/// Width of output that goes to no terminal: wide enough for every column.
const PLAIN_WIDTH: usize = 1_000;
/// Width and height when a terminal does not tell its own.
const USUAL_SIZE: (usize, usize) = (80, 24);
/// Narrower than this nothing is laid out; the terminal may then wrap.
const LEAST_WIDTH: usize = 20;

/// Where output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    pub width: usize,
    pub height: usize,
    pub colors: bool,
    pub terminal: bool,
}

/// How a text is shown. Colour never says anything that a word or a sign does not say too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    #[default]
    Plain,
    /// Less important: ids, notes, what is calm.
    Dim,
    Bold,
    Heading,
    Warning,
    Alarm,
}

/// A line in spans of one style each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line(Vec<(Style, String)>);

impl Screen {
    /// Standard output, with `NO_COLOR` and `COLUMNS` respected.
    pub fn of_stdout() -> Self {
        let terminal = io::stdout().is_terminal();
        let told = terminal_size().filter(|_| terminal);
        let (Width(width), Height(height)) = told.unwrap_or((Width(0), Height(0)));
        let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let given = |value: usize| (value > 0).then_some(value);
        let width = columns.or(given(width.into())).unwrap_or(if terminal { USUAL_SIZE.0 } else { PLAIN_WIDTH });
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            width: width.max(LEAST_WIDTH),
            height: given(height.into()).unwrap_or(USUAL_SIZE.1),
            colors: terminal && !no_color && !dumb,
            terminal,
        }
    }

    /// Writes lines, none wider than the screen.
    ///
    /// # Errors
    /// When the output can't be written.
    pub fn write(&self, out: &mut impl Write, lines: &[Line]) -> io::Result<()> {
        lines.iter().try_for_each(|line| writeln!(out, "{}", line.clone().cut(self.width).render(self.colors)))
    }
}

/// Prints one plain line.
///
/// # Errors
/// When the output can't be written.
pub fn say(words: &str) -> Result<(), CliError> {
    Ok(writeln!(io::stdout().lock(), "{words}")?)
}

impl Style {
    /// The sequence that begins it, if it has one.
    const fn sequence(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Dim => "\x1b[90m",
            Self::Bold => "\x1b[1m",
            Self::Heading => "\x1b[1;34m",
            Self::Warning => "\x1b[33m",
            Self::Alarm => "\x1b[1;31m",
        }
    }
}

impl Line {
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// A line of one style.
    pub fn of(style: Style, text: impl AsRef<str>) -> Self {
        Self::new().and(style, text)
    }

    /// The line and a text after it, freed of control characters.
    #[must_use]
    pub fn and(mut self, style: Style, text: impl AsRef<str>) -> Self {
        self.0.push((style, text::line(text.as_ref())));
        self
    }

    /// The line and another after it.
    #[must_use]
    pub fn then(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The same text, all in one style.
    #[must_use]
    pub fn restyled(mut self, style: Style) -> Self {
        self.0.iter_mut().for_each(|span| span.0 = style);
        self
    }

    pub fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text::width(text)).sum()
    }

    /// In at most `most` columns.
    #[must_use]
    pub fn cut(self, most: usize) -> Self {
        if self.width() <= most {
            return self;
        }
        let mut left = most;
        let mut spans = Vec::new();
        for (style, text) in self.0 {
            let width = text::width(&text);
            spans.push((style, text::cut(&text, left)));
            if width > left {
                break;
            }
            left -= width;
        }
        Self(spans)
    }

    /// As text, without spaces at its end; with sequences when it is to be coloured.
    pub fn render(&self, colors: bool) -> String {
        let mut text = String::new();
        for (style, span) in &self.0 {
            match style.sequence() {
                sequence if colors && !sequence.is_empty() => {
                    text.push_str(sequence);
                    text.push_str(span);
                    text.push_str("\x1b[0m");
                }
                _ => text.push_str(span),
            }
        }
        text.truncate(text.trim_end_matches(' ').len());
        text
    }
}

impl From<&str> for Line {
    fn from(text: &str) -> Self {
        Self::of(Style::Plain, text)
    }
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        Self::of(Style::Plain, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_wrap_their_span_only_and_can_be_left_out() {
        let line = Line::of(Style::Alarm, "over").and(Style::Plain, " 22/20  ");
        assert_eq!(line.render(true), "\x1b[1;31mover\x1b[0m 22/20");
        assert_eq!(line.render(false), "over 22/20");
    }

    #[test]
    fn a_line_is_cut_across_spans() {
        let line = Line::of(Style::Bold, "TTS").and(Style::Dim, " pool");
        assert_eq!(line.clone().cut(5).render(false), "TTS …");
        assert_eq!(line.cut(8).render(false), "TTS pool");
    }
}
