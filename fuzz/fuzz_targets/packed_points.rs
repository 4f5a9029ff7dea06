//! Packed hours: any bytes unpack to an hour or an error, in memory that is in proportion to them; and any hour that is
//! packed comes back as it was.

#![no_main]

use highwater::{
    history::{Distribution, PackError, Peaks, pack, pack_summary, unpack, unpack_peaks, unpack_summary},
    model::{Flags, KeyHour, Outcome, SparseCounts, counts::bucket, hour::MINUTES},
};
use libfuzzer_sys::{
    arbitrary::{Result, Unstructured},
    fuzz_target,
};

/// Most values that a byte can unpack to: each takes two bits at the least.
const VALUES_PER_BYTE: usize = 4;
/// Most values of the counts that are made up.
const MAX_VALUES: u8 = 64;

fuzz_target!(|data: &[u8]| {
    if let Ok(hour) = unpack(data) {
        let points = hour.points.each_ref();
        let (peaks, flags, raised) =
            (points.map(|point| point.peak), points.map(|point| point.flags), points.map(|point| point.raised));
        let peaks = Peaks { peaks, flags, raised };
        assert_eq!(unpack_peaks(data), Ok(peaks), "the peaks alone differ from those of the hour");
        check_counts(&hour.levels, data);
        check_counts(&hour.durations, data);
        check(&hour);
    }
    if let Ok(summary) = unpack_summary(data) {
        check_counts(&summary.levels, data);
        check_counts(&summary.durations, data);
        assert_eq!(unpack_summary(&pack_summary(&summary)), Ok(summary));
    }
    // The bytes also make up an hour, as far as they go; after that, all is zero.
    if let Ok(hour) = made_up(&mut Unstructured::new(data)) {
        check(&hour);
    }
});

/// What was unpacked was reserved for no more than the bytes can hold, and can be read.
fn check_counts(counts: &SparseCounts, data: &[u8]) {
    // What an hour is expected to be costs nothing: one value.
    assert!(counts.values.capacity() <= (data.len() * VALUES_PER_BYTE).max(MAX_VALUES.into()));
    assert_eq!(counts.values.len(), counts.counts.len());
    let distribution: Distribution = [counts].into_iter().collect();
    distribution.percentile(99.0);
    distribution.at_or_above(1);
}

/// The hour comes back, its summary too, and what is cut off is an error.
fn check(hour: &KeyHour) {
    let bytes = pack(hour);
    assert_eq!(unpack(&bytes).as_ref(), Ok(hour));
    let cut = bytes.len() - 1;
    assert!(unpack(&bytes[..cut]).is_err_and(|error| !matches!(error, PackError::TooLong)));
    let summary = hour.summary();
    assert_eq!(unpack_summary(&pack_summary(&summary)), Ok(summary));
}

fn made_up(from: &mut Unstructured<'_>) -> Result<KeyHour> {
    let mut hour = KeyHour::gap();
    let columns: [[u32; MINUTES]; 9] = [(); 9].map(|()| column(from).unwrap_or([0; MINUTES]));
    let closed: [[u32; MINUTES]; Outcome::COUNT] = [(); Outcome::COUNT].map(|()| column(from).unwrap_or([0; MINUTES]));
    for (at, point) in hour.points.iter_mut().enumerate() {
        let [peak, last, opened, refused, diverted, second, covered, flags, raised] = columns.map(|column| column[at]);
        (point.peak, point.last, point.opened) = (peak, last, opened);
        (point.refused, point.diverted) = (refused, diverted);
        (point.peak_second, point.covered) = ((second % 60) as u8, (covered % 61) as u8);
        point.flags = Flags(flags as u8);
        point.raised = raised.min(peak);
        point.closed = closed.map(|column| column[at]);
    }
    hour.levels = counts(from)?;
    hour.durations = counts(from)?;
    Ok(hour)
}

/// A column of one of the shapes that have an encoding of their own.
fn column(from: &mut Unstructured<'_>) -> Result<[u32; MINUTES]> {
    let shape = from.int_in_range(0..=3)?;
    let base: u32 = from.arbitrary()?;
    let mut column = [base; MINUTES];
    match shape {
        0 => {}
        1 => {
            let step: u32 = from.arbitrary()?;
            (0..).zip(&mut column).for_each(|(at, value)| *value = base.wrapping_add(step.wrapping_mul(at)));
        }
        2 => {
            for _ in 0..from.int_in_range(0..=MINUTES)? {
                column[from.choose_index(MINUTES)?] = from.arbitrary()?;
            }
        }
        _ => {
            let shift = from.int_in_range(0..=u32::BITS - 1)?;
            for value in &mut column {
                *value = base.wrapping_add(from.arbitrary::<u32>()? >> shift);
            }
        }
    }
    Ok(column)
}

fn counts(from: &mut Unstructured<'_>) -> Result<SparseCounts> {
    let mut counts = SparseCounts::default();
    let bucketed = from.arbitrary()?;
    for _ in 0..from.int_in_range(0..=MAX_VALUES)? {
        let value = from.arbitrary::<u64>()? >> from.int_in_range(0..=u64::BITS - 1)?;
        counts.add(if bucketed { bucket(value) } else { value }, from.arbitrary()?);
    }
    Ok(counts)
}
