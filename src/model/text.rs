//! Texts that come from outside and that people are shown.

/// Characters that a reader does not see, or that turn what stands around them: no name has one, and a terminal or a mail
/// would be misled by it.
pub fn is_unseen(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
