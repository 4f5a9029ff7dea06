//! One hour of one key as bytes and back. What is known of an hour beforehand costs nothing: an idle hour takes four
//! bytes. Any bytes may be given to be unpacked; those that are no hour are an error.
//!
//! # Layout
//!
//! 1. The version, a byte.
//! 2. The peaks and the flags, two [columns](crate::history::columns), and in version 2 a third one: by how much late
//!    events may have raised the peaks. [`unpack_peaks`] stops here.
//! 3. Which parts follow, a bit each in a varint; a part that is left out is as expected.
//! 4. The parts, in this order:
//!
//! | part | expected | stored as |
//! |---|---|---|
//! | covered | 60, in a gap 0 | seconds |
//! | opened, refused, diverted, closed by each outcome | 0 | numbers |
//! | last | the peak | by flow (what it is more than the level before and opened less closed) or by peak, as is smaller |
//! | second of the peak | 0 | for minutes that rose above the level before them; for all minutes if others have one |
//! | levels | as the peaks say when all are equal | [counts](crate::history::counts) |
//! | durations | none | [counts](crate::history::counts) |

use crate::{
    history::{
        bits::{Reader, put_varint},
        columns::{get_column, put_column},
        counts::{get_counts, put_counts},
    },
    model::{Flags, KeyHour, Outcome, Point, SparseCounts, hour::MINUTES},
};

/// The version of an hour none of whose peaks was raised by late events.
const VERSION: u8 = 1;
/// The version of one that has such peaks.
const RAISED_VERSION: u8 = 2;
/// Seconds of a minute that is covered in full.
const MINUTE_SECONDS: u32 = 60;

/// Why bytes are not an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    #[error("its version is {0}, and {VERSION} and {RAISED_VERSION} are known")]
    Version(u8),
    #[error("it ends too early")]
    Truncated,
    #[error("it does not end where it should")]
    TooLong,
    #[error("{0} is out of range")]
    Invalid(&'static str),
}

use derived::{get_last, get_seconds, put_last, put_seconds};

type Column = [u32; MINUTES];
type Result<T> = std::result::Result<T, PackError>;

/// The bits of the parts. The lowest seven make the first byte, so the most frequent have them.
mod part {
    use crate::model::Outcome;

    pub const OPENED: u32 = 1 << 0;
    pub const LAST_BY_FLOW: u32 = 1 << 1;
    pub const SECOND_OF_RISES: u32 = 1 << 2;
    pub const LEVELS: u32 = 1 << 3;
    pub const DURATIONS: u32 = 1 << 4;
    pub const COVERED: u32 = 1 << 5;
    /// The first of a bit for each outcome.
    pub const CLOSED: u32 = 1 << 6;
    pub const REFUSED: u32 = CLOSED << Outcome::COUNT;
    pub const DIVERTED: u32 = REFUSED << 1;
    pub const LAST_BY_PEAK: u32 = REFUSED << 2;
    pub const SECOND: u32 = REFUSED << 3;
    pub const ALL: u32 = (SECOND << 1) - 1;
}

/// Packs an hour. What comes back is equal to it, given that its seconds are in range (second of a peak below 60,
/// covered up to 60) and its counts are sorted by value.
pub fn pack(hour: &KeyHour) -> Vec<u8> {
    let mut out = pack_peaks(&hour.points);
    let mut present = 0;
    let mut parts = Vec::new();
    let points = &hour.points;
    let covered = column(points, |point| point.covered.into());
    if covered != column(points, |point| expected_covered(point.flags)) {
        present |= part::COVERED;
        put_column(&mut parts, &covered);
    }
    let mut put_unless_zero = |bit, values: Column| {
        if values != [0; MINUTES] {
            present |= bit;
            put_column(&mut parts, &values);
        }
    };
    put_unless_zero(part::OPENED, column(points, |point| point.opened));
    for outcome in 0..Outcome::COUNT {
        put_unless_zero(part::CLOSED << outcome, column(points, |point| point.closed[outcome]));
    }
    put_unless_zero(part::REFUSED, column(points, |point| point.refused));
    put_unless_zero(part::DIVERTED, column(points, |point| point.diverted));
    present |= put_last(&mut parts, points);
    present |= put_seconds(&mut parts, points);
    if hour.levels != expected_levels(points) {
        present |= part::LEVELS;
        put_counts(&mut parts, &hour.levels);
    }
    if !hour.durations.is_empty() {
        present |= part::DURATIONS;
        put_counts(&mut parts, &hour.durations);
    }
    put_varint(&mut out, present.into());
    out.extend_from_slice(&parts);
    out
}

/// The version, the peaks, the flags, and what was raised: how every packed hour begins.
fn pack_peaks(points: &[Point; MINUTES]) -> Vec<u8> {
    let raised = column(points, |point| point.raised);
    let any_raised = raised != [0; MINUTES];
    let mut out = vec![if any_raised { RAISED_VERSION } else { VERSION }];
    put_column(&mut out, &column(points, |point| point.peak));
    put_column(&mut out, &column(points, |point| point.flags.0.into()));
    if any_raised {
        put_column(&mut out, &raised);
    }
    out
}

/// The peaks of an hour, minute by minute, and how they are to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peaks {
    pub peaks: Column,
    pub flags: [Flags; MINUTES],
    /// By how much late events may have raised each.
    pub raised: Column,
}

/// Unpacks the peaks and flags alone.
///
/// # Errors
/// When the bytes do not begin as an hour does.
pub fn unpack_peaks(bytes: &[u8]) -> Result<Peaks> {
    get_peaks(&mut Reader::new(bytes))
}

/// How many of the first bytes [`unpack_peaks`] reads: a store may keep them apart from the rest.
///
/// # Errors
/// When the bytes do not begin as an hour does.
pub fn peaks_len(bytes: &[u8]) -> Result<usize> {
    let mut from = Reader::new(bytes);
    get_peaks(&mut from)?;
    Ok(bytes.len() - from.remaining())
}

/// Unpacks an hour.
///
/// # Errors
/// When the bytes are not an hour, of this version, and nothing else.
pub fn unpack(bytes: &[u8]) -> Result<KeyHour> {
    let mut from = Reader::new(bytes);
    let Peaks { peaks, flags, raised } = get_peaks(&mut from)?;
    let present = from.varint_u32()?;
    if present & !part::ALL != 0 {
        return Err(PackError::Invalid("a part"));
    }
    let mut points = [Point::default(); MINUTES];
    for (point, (peak, flags)) in points.iter_mut().zip(peaks.into_iter().zip(flags)) {
        (point.peak, point.flags) = (peak, flags);
    }
    set(&mut points, &raised, |point, n| point.raised = n);
    let mut get = |bit: u32| match present & bit {
        0 => Ok(None),
        _ => get_whole(&mut from).map(Some),
    };
    if let Some(covered) = get(part::COVERED)? {
        check_range(&covered, MINUTE_SECONDS, "a covered second")?;
        set(&mut points, &covered, |point, n| point.covered = n as u8);
    } else {
        points.iter_mut().for_each(|point| point.covered = expected_covered(point.flags) as u8);
    }
    if let Some(opened) = get(part::OPENED)? {
        set(&mut points, &opened, |point, n| point.opened = n);
    }
    for outcome in 0..Outcome::COUNT {
        if let Some(closed) = get(part::CLOSED << outcome)? {
            set(&mut points, &closed, |point, n| point.closed[outcome] = n);
        }
    }
    if let Some(refused) = get(part::REFUSED)? {
        set(&mut points, &refused, |point, n| point.refused = n);
    }
    if let Some(diverted) = get(part::DIVERTED)? {
        set(&mut points, &diverted, |point, n| point.diverted = n);
    }
    get_last(&mut from, present, &mut points)?;
    get_seconds(&mut from, present, &mut points)?;
    let levels = if present & part::LEVELS == 0 { expected_levels(&points) } else { get_counts(&mut from)? };
    let durations = if present & part::DURATIONS == 0 { SparseCounts::default() } else { get_counts(&mut from)? };
    if from.remaining() > 0 {
        return Err(PackError::TooLong);
    }
    Ok(KeyHour { points, levels, durations })
}

fn get_peaks(from: &mut Reader<'_>) -> Result<Peaks> {
    let any_raised = match from.byte()? {
        VERSION => false,
        RAISED_VERSION => true,
        other => return Err(PackError::Version(other)),
    };
    let peaks = get_whole(from)?;
    let mut flags = [Flags::default(); MINUTES];
    let bits = get_whole(from)?;
    check_range(&bits, u8::MAX.into(), "a flag")?;
    flags.iter_mut().zip(bits).for_each(|(flags, bits)| flags.0 = bits as u8);
    let raised = if any_raised { get_whole(from)? } else { [0; MINUTES] };
    if raised.iter().zip(&peaks).any(|(raised, peak)| raised > peak) {
        return Err(PackError::Invalid("a raise"));
    }
    Ok(Peaks { peaks, flags, raised })
}

fn expected_covered(flags: Flags) -> u32 {
    if flags.has(Flags::GAP) { 0 } else { MINUTE_SECONDS }
}

/// What the levels are when all peaks are equal: that one, in every second that is covered. Else nothing is expected.
fn expected_levels(points: &[Point; MINUTES]) -> SparseCounts {
    let mut levels = SparseCounts::default();
    let covered: u64 = points.iter().map(|point| u64::from(point.covered)).sum();
    let peak = points[0].peak;
    if covered > 0 && points.iter().all(|point| point.peak == peak) {
        levels.add(peak.into(), covered);
    }
    levels
}

fn column(points: &[Point; MINUTES], of: impl FnMut(&Point) -> u32) -> Column {
    points.each_ref().map(of)
}

fn get_whole(from: &mut Reader<'_>) -> Result<Column> {
    let mut values = [0; MINUTES];
    get_column(from, &mut values)?;
    Ok(values)
}

fn set(points: &mut [Point; MINUTES], values: &Column, mut set: impl FnMut(&mut Point, u32)) {
    points.iter_mut().zip(values).for_each(|(point, value)| set(point, *value));
}

fn check_range(values: &[u32], most: u32, what: &'static str) -> Result<()> {
    if values.iter().any(|value| *value > most) { Err(PackError::Invalid(what)) } else { Ok(()) }
}

mod derived;
#[cfg(test)]
mod tests;
