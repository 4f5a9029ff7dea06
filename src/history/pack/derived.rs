//! The two columns that others nearly say: the last level, and the second of the peak.

use super::{MINUTE_SECONDS, Result, check_range, column, get_whole, part, set};
use crate::{
    history::{
        bits::Reader,
        columns::{get_column, put_column, unzigzag, zigzag},
    },
    model::{Point, hour::MINUTES},
};

/// Appends the last levels by flow or by peak, and says how.
pub fn put_last(out: &mut Vec<u8>, points: &[Point; MINUTES]) -> u32 {
    let by_peak = column(points, |point| point.peak.wrapping_sub(point.last));
    if by_peak == [0; MINUTES] {
        return 0;
    }
    let mut before = 0;
    let by_flow = column(points, |point| {
        let expected = after_flow(before, point);
        before = point.last;
        zigzag(point.last, expected)
    });
    let (mut flow_bytes, mut peak_bytes) = (Vec::new(), Vec::new());
    put_column(&mut flow_bytes, &by_flow);
    put_column(&mut peak_bytes, &by_peak);
    let (bit, bytes) = if flow_bytes.len() <= peak_bytes.len() {
        (part::LAST_BY_FLOW, flow_bytes)
    } else {
        (part::LAST_BY_PEAK, peak_bytes)
    };
    out.extend_from_slice(&bytes);
    bit
}

pub fn get_last(from: &mut Reader<'_>, present: u32, points: &mut [Point; MINUTES]) -> Result<()> {
    if present & part::LAST_BY_FLOW != 0 {
        let mut before = 0;
        set(points, &get_whole(from)?, |point, coded| {
            point.last = unzigzag(coded, after_flow(before, point));
            before = point.last;
        });
        return Ok(());
    }
    let below = if present & part::LAST_BY_PEAK != 0 { get_whole(from)? } else { [0; MINUTES] };
    set(points, &below, |point, below| point.last = point.peak.wrapping_sub(below));
    Ok(())
}

/// The level at the end of a minute by what was opened and closed in it.
fn after_flow(before: u32, point: &Point) -> u32 {
    let closed = point.closed.iter().fold(0_u32, |sum, n| sum.wrapping_add(*n));
    before.wrapping_add(point.opened).wrapping_sub(closed)
}

/// Appends the seconds of the peaks, and says how. A minute whose peak is the level that it began with has it in second
/// 0, so that only minutes that rose need one.
pub fn put_seconds(out: &mut Vec<u8>, points: &[Point; MINUTES]) -> u32 {
    let mut rises = [0; MINUTES];
    let mut count = 0;
    for (point, rose) in points.iter().zip(rose(points)) {
        if rose {
            rises[count] = point.peak_second.into();
            count += 1;
        } else if point.peak_second > 0 {
            put_column(out, &column(points, |point| point.peak_second.into()));
            return part::SECOND;
        }
    }
    let rises = &rises[..count];
    if rises.iter().all(|second| *second == 0) {
        return 0;
    }
    put_column(out, rises);
    part::SECOND_OF_RISES
}

pub fn get_seconds(from: &mut Reader<'_>, present: u32, points: &mut [Point; MINUTES]) -> Result<()> {
    let most = MINUTE_SECONDS - 1;
    if present & part::SECOND != 0 {
        let seconds = get_whole(from)?;
        check_range(&seconds, most, "the second of a peak")?;
        set(points, &seconds, |point, n| point.peak_second = n as u8);
    } else if present & part::SECOND_OF_RISES != 0 {
        let rose = rose(points);
        let mut rises = [0; MINUTES];
        let rises = &mut rises[..rose.iter().filter(|rose| **rose).count()];
        get_column(from, rises)?;
        check_range(rises, most, "the second of a peak")?;
        let rising = points.iter_mut().zip(rose).filter_map(|(point, rose)| rose.then_some(point));
        rising.zip(rises).for_each(|(point, n)| point.peak_second = *n as u8);
    }
    Ok(())
}

/// Which minutes peaked above the level that they began with.
fn rose(points: &[Point; MINUTES]) -> [bool; MINUTES] {
    let mut before = 0;
    points.each_ref().map(|point| point.peak > std::mem::replace(&mut before, point.last))
}
