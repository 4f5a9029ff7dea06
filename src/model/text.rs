//! Texts that come from outside and that people are shown, and numbers in them.

/// Characters that a reader does not see, or that turn what stands around them: no name has one, and a terminal or a mail
/// would be misled by it.
pub fn is_unseen(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A whole number with its commas: `10,080`.
pub fn number(number: impl Into<u64>) -> String {
    let digits = number.into().to_string();
    let mut text = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The 64-bit hash that places a job, and tells workers apart: FNV-1a, then mixed. Every client may compute it.
pub fn hash(label: &[u8]) -> u64 {
    let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let mut hash = label.iter().fold(0xcbf2_9ce4_8422_2325, fnv);
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        hash = (hash ^ (hash >> 33)).wrapping_mul(factor);
    }
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_commas() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(|n: u32| number(n)), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(number(u32::MAX), "4,294,967,295");
    }
}
