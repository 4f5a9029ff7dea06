//! Text on a terminal: how wide it is, cut to a width, and free of what could steer the terminal. Names of rooms and
//! workers come from outside, so nothing is shown that did not pass here.

use crate::model::text::{self, is_unseen};

/// Stands for a character that is not shown.
const HIDDEN: char = '\u{fffd}';

/// One line: control characters, line ends included, are replaced.
pub fn line(text: &str) -> String {
    text.chars().map(|c| if is_unseen(c) { HIDDEN } else { c }).collect()
}

/// The same for a text of several lines.
pub fn lines(text: &str) -> String {
    text.chars().map(|c| if c != '\n' && is_unseen(c) { HIDDEN } else { c }).collect()
}

/// Columns that a text takes.
pub fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

/// Columns that a character takes: none for combining marks, two for East Asian wide characters and emoji.
fn char_width(c: char) -> usize {
    match u32::from(c) {
        0x0300..=0x036f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// The text in at most `most` columns; what is cut ends in `…`.
pub fn cut(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut columns = 0;
    for c in text.chars() {
        columns += char_width(c);
        if columns >= most {
            break;
        }
        cut.push(c);
    }
    if most > 0 {
        cut.push('…');
    }
    cut
}

/// A whole number with its commas.
pub fn number(n: u64) -> String {
    text::number(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_passes() {
        assert_eq!(line("a\u{1b}[2Jb\nc\u{202e}d"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d");
        assert_eq!(lines("a\nb\r"), "a\nb\u{fffd}");
    }

    #[test]
    fn what_is_cut_says_so_and_keeps_to_its_width() {
        assert_eq!([cut("sonic", 5), cut("sonic", 4), cut("sonic", 1), cut("sonic", 0)], ["sonic", "son…", "…", ""]);
        assert_eq!((cut("日本語", 4), width("日本語")), ("日…".to_owned(), 6));
    }
}
