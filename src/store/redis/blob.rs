//! Hours of a key in one string: records, the newest hour first, so that a new one is put before the others without
//! reading them. A record is the hour within the string (a byte), the length of its bytes (a varint), and the bytes.
//! `scripts/put.lua` and `scripts/trim.lua` read and write the same.

use crate::store::{Result, StoreError};

/// One record.
pub fn record(hour: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 3);
    out.push(hour);
    let mut len = bytes.len();
    while len >= 0x80 {
        out.push(len as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend_from_slice(bytes);
    out
}

/// The records of a string, as the hour within it and the bytes, the oldest first.
///
/// # Errors
/// When the bytes are not such a string.
pub fn records(mut bytes: &[u8]) -> Result<Vec<(u8, &[u8])>> {
    let mut found = Vec::new();
    while let Some((&hour, rest)) = bytes.split_first() {
        let (record, after) = split_record(rest).ok_or_else(|| StoreError::Damaged("a string of hours".to_owned()))?;
        if found.last().is_some_and(|(newer, _)| *newer <= hour) {
            return Err(StoreError::Damaged("a string of hours that are not in order".to_owned()));
        }
        found.push((hour, record));
        bytes = after;
    }
    found.reverse();
    Ok(found)
}

/// A record's bytes, and what follows it.
fn split_record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut len, mut at, mut shift) = (0_usize, 0, 0_u32);
    loop {
        let byte = *bytes.get(at)?;
        len |= usize::from(byte & 0x7f).checked_shl(shift)?;
        at += 1;
        shift += 7;
        if byte < 0x80 {
            break;
        }
    }
    bytes.get(at..)?.split_at_checked(len)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_oldest_first() {
        let long = vec![7; 20_000];
        let blob = [record(9, &long), record(3, b"x"), record(0, b"")].concat();
        assert_eq!(records(&blob).unwrap(), [(0, &b""[..]), (3, b"x"), (9, &long)]);
        assert_eq!(records(b"").unwrap(), []);
        for end in [1, 2, 3, 10, blob.len() - 1] {
            records(&blob[..end]).unwrap_err();
        }
        records(&[record(3, b"x"), record(3, b"y")].concat()).unwrap_err();
        records(b"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01").unwrap_err();
    }
}
