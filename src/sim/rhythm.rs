//! The rhythm of the fleet: how many calls arrive at a time of the week, days that are busier than others for no reason,
//! and bursts.

use jiff::{Timestamp, civil::Weekday, tz::TimeZone};

use crate::{
    model::Hour,
    sim::{
        agents::{AGENTS, Agent, CAMPAIGN},
        random::Random,
    },
};

const SECONDS_PER_DAY: u64 = 24 * 3_600;
/// What [`Random::of`] is asked for: the mood of a day, and its burst.
const MOOD: u64 = 1;
const BURST: u64 = 2;
/// A day is at most this much busier, or less busy, than a usual one of its weekday.
const MOOD_SPREAD: f64 = 0.06;
/// A working day has a burst with this probability: a few a week.
const BURST_A_DAY: f64 = 0.6;
/// When a burst begins: local hours of the day.
const BURST_HOURS: (f64, f64) = (9.0, 18.0);
/// How long new calls of a burst come: minutes.
const BURST_MINUTES: (f64, f64) = (10.0, 25.0);
/// Calls at once that a burst comes to.
const BURST_LOAD: (f64, f64) = (8.0, 18.0);

/// An agent that is busy, and how much: calls at once, on average.
#[derive(Clone, Copy, Debug)]
pub struct Busy {
    pub agent: &'static Agent,
    pub load: f64,
}

/// The rhythm of one hour of the clock.
#[derive(Debug)]
pub struct Rhythm {
    /// Seconds of the local day at the start of the hour.
    local: u64,
    /// Place of the weekday, Monday being 0.
    weekday: usize,
    mood: f64,
    burst: Option<Burst>,
}

/// A burst, in seconds of the local day.
#[derive(Debug)]
struct Burst {
    from: f64,
    to: f64,
    load: f64,
}

impl Rhythm {
    /// The rhythm of an hour in a time zone. An hour is taken to lie in one local day and one offset from UTC, which is
    /// so but for a few minutes in zones off by half an hour.
    pub fn of(seed: u64, zone: &TimeZone, hour: Hour) -> Self {
        let seconds = i64::from(hour.0) * 3_600;
        let local = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX).to_zoned(zone.clone());
        let weekday = usize::from(local.weekday().to_monday_zero_offset().unsigned_abs());
        let midnight = i64::from(local.hour()) * 3_600 + i64::from(local.minute()) * 60;
        let day = u64::from(hour.0).saturating_mul(3_600).saturating_add_signed(i64::from(local.offset().seconds()));
        let day = day / SECONDS_PER_DAY;
        let mut mood = Random::of(seed, MOOD, day);
        Self {
            local: midnight.unsigned_abs(),
            weekday,
            mood: mood.between(1.0 - MOOD_SPREAD, 1.0 + MOOD_SPREAD),
            burst: Burst::of(seed, day, local.weekday()),
        }
    }

    /// Who is busy, so many seconds after the start of the hour.
    pub fn busy(&self, second: f64) -> impl Iterator<Item = Busy> + '_ {
        let local = self.local as f64 + second;
        let usual = AGENTS.iter().map(move |agent| {
            let day = f64::from(agent.days[self.weekday]) / 100.0;
            Busy { agent, load: agent.load * at_hour(agent.hours, local / 3_600.0) * day * self.mood }
        });
        let burst = self.burst.iter().filter(move |burst| (burst.from..burst.to).contains(&local));
        usual.chain(burst.map(|burst| Busy { agent: &CAMPAIGN, load: burst.load }))
    }

    /// What the sum of [`Rhythm::busy`] never exceeds.
    pub fn most() -> f64 {
        let usual: f64 = AGENTS.iter().map(|agent| agent.load * 1.2).sum();
        usual * (1.0 + MOOD_SPREAD) + BURST_LOAD.1
    }
}

impl Burst {
    fn of(seed: u64, day: u64, weekday: Weekday) -> Option<Self> {
        let mut random = Random::of(seed, BURST, day);
        let has_one = random.chance(BURST_A_DAY) && !matches!(weekday, Weekday::Saturday | Weekday::Sunday);
        has_one.then(|| {
            let from = random.between(BURST_HOURS.0, BURST_HOURS.1) * 3_600.0;
            let to = from + random.between(BURST_MINUTES.0, BURST_MINUTES.1) * 60.0;
            Self { from, to, load: random.between(BURST_LOAD.0, BURST_LOAD.1) }
        })
    }
}

/// How busy an hour of the day is, 0 to 1, between the starts of two hours in proportion.
fn at_hour(hours: &[u8; 24], hour: f64) -> f64 {
    let (whole, rest) = (hour as usize, hour.fract());
    let at = |hour: usize| f64::from(hours[hour % hours.len()]) / 100.0;
    at(whole) * (1.0 - rest) + at(whole + 1) * rest
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Monday, 6 January 2025, 00:00 UTC.
    const MONDAY: Hour = Hour(482_304);

    fn load(zone: &TimeZone, hour: u32) -> f64 {
        Rhythm::of(1, zone, Hour(MONDAY.0 + hour))
            .busy(0.0)
            .filter(|busy| busy.agent.name == "support")
            .map(|b| b.load)
            .sum()
    }

    #[test]
    fn a_day_has_its_rush_after_lunch_and_its_night() {
        let loads: Vec<_> = (0..24).map(|hour| load(&TimeZone::UTC, hour)).collect();
        assert!(loads[14] > loads[12] * 1.5 && loads[14] > loads[3] * 20.0, "{loads:?}");
    }

    #[test]
    fn hours_and_days_are_local() {
        let new_york = TimeZone::get("America/New_York").unwrap();
        assert!(load(&new_york, 19) > load(&new_york, 14));
        // Still Sunday there.
        assert!(load(&new_york, 1) / load(&TimeZone::UTC, 20) < 1.0);
    }

    #[test]
    fn nothing_exceeds_the_most() {
        for hour in 0..24 * 28 {
            let rhythm = Rhythm::of(5, &TimeZone::UTC, Hour(MONDAY.0 + hour));
            assert!(
                (0..60)
                    .all(|minute| rhythm.busy(f64::from(minute) * 60.0).map(|b| b.load).sum::<f64>() <= Rhythm::most())
            );
        }
    }
}
