//! The picture of the last seven days: a column for each step, coloured by how near its limit it came, under the line of
//! the limit. Its ground is transparent and its colours are in the middle, so that it is fine on light and on dark.

use crate::alert::{
    Curve,
    mail::{
        days::days,
        png::{Canvas, Colour},
    },
};

/// Twice what it is shown at, for screens of high resolution.
const WIDTH: u32 = 1_008;
const HEIGHT: u32 = 216;
/// Above the highest of levels and limits, so that neither touches the edge.
const HEADROOM: u32 = 16;
const BASE: u32 = 2;
const LIMIT_LINE: u32 = 3;
/// A level above 0 is at least so high.
const LEAST: u32 = 3;
/// Of its limit; from here on a column is near.
const NEAR_PERCENT: u64 = 80;
/// Steps of the dots that stand for what is not known.
const DOTS: u32 = 9;

const CLEAR: u8 = 0;
const CALM: u8 = 1;
const NEAR: u8 = 2;
const AT_LIMIT: u8 = 3;
const LIMIT: u8 = 4;
const FAINT: u8 = 5;

const COLOURS: [Colour; 6] = [
    [0, 0, 0, 0],
    [111, 150, 226, 255],
    [230, 156, 52, 255],
    [226, 82, 76, 255],
    [136, 136, 148, 255],
    [136, 136, 148, 84],
];

/// The file of the picture; empty where there is nothing to be shown.
pub fn picture(curve: &Curve, zone: &jiff::tz::TimeZone) -> Vec<u8> {
    match draw(curve, zone) {
        Some(canvas) => canvas.encode(&COLOURS),
        None => Vec::new(),
    }
}

fn draw(curve: &Curve, zone: &jiff::tz::TimeZone) -> Option<Canvas> {
    let steps = u32::try_from(curve.peaks.len()).ok().filter(|steps| (1..=WIDTH).contains(steps))?;
    let highest = curve.peaks.iter().chain(&curve.limits).flatten().max().copied()?.max(1);
    let mut canvas = Canvas::new(WIDTH, HEIGHT);
    let bottom = HEIGHT - BASE;
    let height = |level: u32| (u64::from(level) * u64::from(bottom - HEADROOM) / u64::from(highest)) as u32;
    let left = |step: u32| step * WIDTH / steps;
    let mut first = 0;
    for day in days(curve, zone) {
        first += day.steps;
        let at = left(first);
        canvas.fill(at.saturating_sub(2)..at, 0..bottom, if first < steps { FAINT } else { CLEAR });
    }
    for (step, (peak, limit)) in (0..).zip(curve.peaks.iter().zip(&curve.limits)) {
        let xs = left(step)..left(step + 1);
        match *peak {
            Some(0) => {}
            Some(peak) => {
                canvas.fill(xs.clone(), bottom - height(peak).max(LEAST)..bottom, colour(peak, *limit));
            }
            None => dots(&mut canvas, xs.clone(), bottom),
        }
        if let Some(limit) = *limit {
            let top = bottom - height(limit);
            canvas.fill(xs, top.saturating_sub(LIMIT_LINE)..top, LIMIT);
        }
    }
    canvas.fill(0..WIDTH, bottom..HEIGHT, FAINT);
    Some(canvas)
}

fn colour(peak: u32, limit: Option<u32>) -> u8 {
    let Some(limit) = limit else { return CALM };
    let percent = u64::from(peak) * 100;
    if peak >= limit {
        AT_LIMIT
    } else if percent >= u64::from(limit) * NEAR_PERCENT {
        NEAR
    } else {
        CALM
    }
}

/// Nothing is known: that is not 0.
fn dots(canvas: &mut Canvas, xs: std::ops::Range<u32>, bottom: u32) {
    for y in (0..bottom).rev().step_by(DOTS as usize) {
        for x in xs.clone().filter(|x| x % DOTS < 3) {
            canvas.fill(x..x + 1, y.saturating_sub(2)..y, FAINT);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::model::Minute;

    fn curve(peaks: &[Option<u32>], limit: Option<u32>) -> Curve {
        let (peaks, limits) = (peaks.to_vec(), vec![limit; peaks.len()]);
        Curve { first: Minute(28_333_440), step_minutes: 30, peaks, limits }
    }

    /// The colours over the middle of each step, from the bottom up to where it is clear.
    fn columns(curve: &Curve) -> Vec<(u8, u32)> {
        let canvas = draw(curve, &TimeZone::UTC).unwrap();
        let steps = curve.peaks.len() as u32;
        let column = |step: u32| {
            let x = (2 * step + 1) * WIDTH / (2 * steps);
            let ys = (0..HEIGHT - BASE).rev();
            let first = canvas.get(x, HEIGHT - BASE - 1);
            (first, ys.take_while(|y| canvas.get(x, *y) == first && first != CLEAR).count() as u32)
        };
        (0..steps).map(column).collect()
    }

    #[test]
    fn columns_are_as_high_as_levels_and_coloured_by_their_limits() {
        let full = HEIGHT - BASE - HEADROOM;
        let found = columns(&curve(&[Some(0), Some(5), Some(16), Some(20), None], Some(20)));
        assert_eq!(found[..3], [(CLEAR, 0), (CALM, full / 4), (NEAR, full * 16 / 20)]);
        assert_eq!((found[3].0, found[3].1 + LIMIT_LINE), (AT_LIMIT, full + LIMIT_LINE));
        assert!(found[4].0 == CLEAR || found[4].0 == FAINT);
        assert_eq!(columns(&curve(&[Some(5), Some(10)], None)), [(CALM, full / 2), (CALM, full)]);
    }

    #[test]
    fn what_is_nothing_has_no_picture() {
        assert_eq!(picture(&Curve::default(), &TimeZone::UTC), [0_u8; 0]);
        assert_eq!(picture(&curve(&[None], None), &TimeZone::UTC), [0_u8; 0]);
        assert!(!picture(&curve(&[Some(0)], Some(0)), &TimeZone::UTC).is_empty());
        assert!(!picture(&curve(&[Some(u32::MAX)], Some(1)), &TimeZone::UTC).is_empty());
    }

    #[test]
    fn a_week_is_a_small_file() {
        let peaks: Vec<_> = (0..336_u32).map(|step| Some(step * 7919 % 23)).collect();
        let file = picture(&curve(&peaks, Some(20)), &TimeZone::UTC);
        assert!(file.len() < 16 * 1024, "{}", file.len());
    }
}
