//! Time as the core sees it: an argument, never read from a clock.

use std::time::Duration;

/// An instant in microseconds since the Unix epoch (UTC).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

/// One second of the clock, counted from the Unix epoch: the half-open interval `[n s, n+1 s)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(pub u64);

/// One minute, counted from the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(pub u32);

/// One hour, counted from the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(pub u32);

/// The moment of a step of the engine, by two clocks: the wall clock labels history, the monotonic one ends leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Wall clock; may jump either way.
    pub wall: Time,
    /// Monotonic clock, from an arbitrary start; never goes back.
    pub mono: Time,
}

/// The wall clock as history is labelled by it: it never goes back. Where the wall clock does, labels go on at half the
/// pace of the monotonic clock until it has caught up, so that no second is written over and none stands still.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slew {
    label: Time,
    mono: Time,
}

pub const MICROS_PER_SECOND: u64 = 1_000_000;
const MICROS_PER_MILLI: u64 = 1_000;
pub const SECONDS_PER_MINUTE: u64 = 60;
pub const SECONDS_PER_HOUR: u64 = 3_600;
pub const MINUTES_PER_HOUR: u32 = 60;
pub const HOURS_PER_DAY: u32 = 24;
/// Minutes of the seven days that peaks, week and risk speak of.
pub const MINUTES_PER_WEEK: u32 = 7 * 24 * 60;

impl Time {
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(MICROS_PER_SECOND))
    }

    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// The second that a session opened at this instant first counts in.
    pub const fn tick(self) -> Tick {
        Tick(self.0 / MICROS_PER_SECOND)
    }

    /// The last second that a session closed at this instant counts in: one that ends exactly where a second begins
    /// does not count in that second, since sessions are half-open intervals.
    pub const fn tick_before(self) -> Tick {
        Tick(self.0.saturating_sub(1) / MICROS_PER_SECOND)
    }

    /// This instant plus a duration, at most the end of time.
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }

    /// This instant less a duration, at least the epoch.
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }

    /// How long ago `earlier` was; zero if it is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// The same in whole milliseconds.
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0) / MICROS_PER_MILLI
    }
}

impl Tick {
    pub const fn start(self) -> Time {
        Time::from_secs(self.0)
    }

    pub const fn minute(self) -> Minute {
        Minute((self.0 / SECONDS_PER_MINUTE) as u32)
    }

    pub const fn hour(self) -> Hour {
        Hour((self.0 / SECONDS_PER_HOUR) as u32)
    }

    /// Seconds since the start of the minute, 0 to 59.
    pub const fn second(self) -> u8 {
        (self.0 % SECONDS_PER_MINUTE) as u8
    }

    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Minute {
    pub const fn first_tick(self) -> Tick {
        Tick(self.0 as u64 * SECONDS_PER_MINUTE)
    }

    pub const fn hour(self) -> Hour {
        Hour(self.0 / MINUTES_PER_HOUR)
    }

    /// Minutes since the start of the hour, 0 to 59.
    pub const fn of_hour(self) -> usize {
        (self.0 % MINUTES_PER_HOUR) as usize
    }

    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Hour {
    pub const fn first_tick(self) -> Tick {
        Tick(self.0 as u64 * SECONDS_PER_HOUR)
    }

    pub const fn first_minute(self) -> Minute {
        Minute(self.0 * MINUTES_PER_HOUR)
    }

    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Slew {
    /// Labels are at least this one from moment `mono` on: history has got there already.
    pub fn not_before(&mut self, label: Time, mono: Time) {
        if label > self.label {
            *self = Self { label, mono };
        }
    }

    /// The label of a moment that both clocks were read at; moments come in the order of the monotonic clock.
    pub fn now(&mut self, wall: Time, mono: Time) -> Now {
        let slowed = Time(self.label.0.saturating_add(mono.0.saturating_sub(self.mono.0) / 2));
        // Half of an odd microsecond is not lost: the clock is only read anew when its label moves.
        if wall >= slowed || slowed > self.label {
            *self = Self { label: wall.max(slowed), mono };
        }
        Now { wall: self.label, mono }
    }
}

impl Now {
    /// Both clocks at the same instant, as under a trace's own time.
    pub const fn at(time: Time) -> Self {
        Self { wall: time, mono: time }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_never_go_back_and_never_stand_still() {
        let mut slew = Slew::default();
        let mut at = |wall: u64, mono: u64| slew.now(Time::from_secs(wall), Time::from_secs(mono)).wall;
        assert_eq!(at(100, 0), Time::from_secs(100));
        assert_eq!(at(80, 10), Time::from_secs(105));
        assert_eq!(at(90, 20), Time::from_secs(110));
        assert_eq!(at(110, 40), Time::from_secs(120));
        assert_eq!(at(125, 55), Time(127_500_000));
        assert_eq!(at(130, 60), Time::from_secs(130));
    }

    #[test]
    fn a_restart_behind_the_history_goes_on_after_it() {
        let mut slew = Slew::default();
        slew.not_before(Time::from_secs(500), Time::from_secs(2));
        let mut at = |wall: u64, mono: u64| slew.now(Time::from_secs(wall), Time::from_secs(mono)).wall;
        assert_eq!(at(100, 2), Time::from_secs(500));
        assert_eq!(at(110, 12), Time::from_secs(505));
        assert_eq!(at(900, 20), Time::from_secs(900));
    }

    #[test]
    fn a_close_on_the_boundary_belongs_to_the_second_before() {
        assert_eq!(Time::from_secs(7).tick(), Tick(7));
        assert_eq!(Time::from_secs(7).tick_before(), Tick(6));
        assert_eq!(Time(7_000_001).tick_before(), Tick(7));
    }
}
