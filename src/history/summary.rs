//! The summary of an hour as bytes and back: varints, and the counts packed as those of an hour are.

use crate::{
    history::{
        bits::{Reader, put_varint},
        counts::{get_counts, put_counts},
        pack::PackError,
    },
    model::{HourSummary, Outcome},
};

/// The version that is written, and the only one that is read.
const VERSION: u8 = 1;

pub fn pack_summary(summary: &HourSummary) -> Vec<u8> {
    let mut out = vec![VERSION];
    for number in [summary.peak, summary.peak_second, summary.last, summary.covered, summary.flags] {
        put_varint(&mut out, number.into());
    }
    for number in [summary.opened, summary.refused, summary.diverted, summary.closed.len() as u64] {
        put_varint(&mut out, number);
    }
    summary.closed.iter().for_each(|number| put_varint(&mut out, *number));
    put_counts(&mut out, &summary.levels);
    put_counts(&mut out, &summary.durations);
    out
}

/// Unpacks a summary.
///
/// # Errors
/// When the bytes are not a summary, of this version, and nothing else.
pub fn unpack_summary(bytes: &[u8]) -> Result<HourSummary, PackError> {
    let mut from = Reader::new(bytes);
    match from.byte()? {
        VERSION => {}
        other => return Err(PackError::Version(other)),
    }
    let mut summary = HourSummary {
        peak: from.varint_u32()?,
        peak_second: from.varint_u32()?,
        last: from.varint_u32()?,
        covered: from.varint_u32()?,
        flags: from.varint_u32()?,
        opened: from.varint()?,
        refused: from.varint()?,
        diverted: from.varint()?,
        ..HourSummary::default()
    };
    let outcomes = from.varint()?;
    if outcomes > Outcome::COUNT as u64 {
        return Err(PackError::Invalid("a number of outcomes"));
    }
    for _ in 0..outcomes {
        summary.closed.push(from.varint()?);
    }
    summary.levels = get_counts(&mut from)?;
    summary.durations = get_counts(&mut from)?;
    if from.remaining() > 0 {
        return Err(PackError::TooLong);
    }
    Ok(summary)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::{KeyHour, Point};

    #[test]
    fn a_summary_comes_back() {
        let mut hour = KeyHour::gap();
        let mut closed = [0; Outcome::COUNT];
        closed[Outcome::Lost.index()] = 3;
        hour.points[7] =
            Point { peak: 9, peak_second: 58, last: 6, opened: 4, closed, covered: 60, ..Point::default() };
        hour.levels.add(9, 60);
        hour.durations.add(2_048, 3);
        for hour in [&hour, &KeyHour::gap()] {
            let bytes = pack_summary(&hour.summary());
            assert_eq!(unpack_summary(&bytes), Ok(hour.summary()));
            for end in 0..bytes.len() {
                unpack_summary(&bytes[..end]).unwrap_err();
            }
        }
    }
}
