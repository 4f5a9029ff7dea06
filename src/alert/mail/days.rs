//! The days of a picture, as the clock of a zone has them.

use jiff::{civil::Date, tz::TimeZone};

use crate::{
    alert::{Curve, mail::words::zoned},
    model::Minute,
};

/// A day, or the part of it that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    pub date: Date,
    /// Steps that begin in it.
    pub steps: u32,
    /// Highest level; `None` where nothing is known of it.
    pub peak: Option<u32>,
    /// A step of it reached the limit then in force.
    pub reached: bool,
}

/// The days of a curve, the first one first.
pub fn days(curve: &Curve, zone: &TimeZone) -> Vec<Day> {
    let mut days: Vec<Day> = Vec::new();
    for (nth, (peak, limit)) in (0..).zip(curve.peaks.iter().zip(&curve.limits)) {
        let begin = Minute(curve.first.0.saturating_add(curve.step_minutes.saturating_mul(nth)));
        let date = zoned(begin.first_tick().start(), zone).date();
        if days.last().is_none_or(|day| day.date != date) {
            days.push(Day { date, steps: 0, peak: None, reached: false });
        }
        let Some(day) = days.last_mut() else { continue };
        day.steps += 1;
        day.peak = day.peak.max(*peak);
        day.reached |= peak.zip(*limit).is_some_and(|(peak, limit)| peak >= limit && peak > 0);
    }
    days
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_zone_and_their_parts() {
        // 2023-11-14T22:00:00Z: an hour before midnight in Berlin.
        let first = Minute(1_700_000_000 / 60 - 13);
        let peaks = vec![Some(1), Some(7), None, Some(3), None];
        let curve = Curve { first, step_minutes: 30, limits: vec![Some(7); peaks.len()], peaks };
        let found = days(&curve, &TimeZone::get("Europe/Berlin").unwrap());
        let found: Vec<_> = found.iter().map(|day| (day.date.day(), day.steps, day.peak, day.reached)).collect();
        assert_eq!(found, [(14, 2, Some(7), true), (15, 3, Some(3), false)]);
    }
}
