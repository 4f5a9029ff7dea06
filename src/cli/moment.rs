//! Times as people write and read them: in the time zone of the terminal.

use jiff::{SignedDuration, Timestamp, Zoned, civil, tz::TimeZone};
use prost_types::Timestamp as WireTimestamp;

use crate::{cli::text, service::Clock};

/// The time now, by the clock of this machine.
pub fn now() -> Timestamp {
    let micros = i64::try_from(Clock::start().now().wall.0).unwrap_or(i64::MAX);
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}

/// The time zone of the terminal.
pub fn zone() -> TimeZone {
    TimeZone::system()
}

/// A time of the contract; `None` when it is not one.
pub fn of_wire(time: &WireTimestamp) -> Option<Timestamp> {
    Timestamp::new(time.seconds, time.nanos).ok()
}

/// A time for the contract.
pub fn to_wire(time: Timestamp) -> WireTimestamp {
    WireTimestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }
}

/// `15:04:31`.
pub fn clock(time: Timestamp, zone: &TimeZone) -> String {
    time.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string()
}

/// `Tue 15:04`: the day of the week and the time, for what lies in the last seven days.
pub fn weekday(time: Timestamp, zone: &TimeZone) -> String {
    time.to_zoned(zone.clone()).strftime("%a %H:%M").to_string()
}

/// `1999-01-03 16:35:56`.
pub fn full(time: Timestamp, zone: &TimeZone) -> String {
    time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The name of a time zone, as people know it, at a time.
pub fn zone_name(time: Timestamp, zone: &TimeZone) -> String {
    time.to_zoned(zone.clone()).strftime("%Z").to_string()
}

/// `3 d 4 h`, `12 min`, `42 s`: the two largest units of a duration in seconds.
pub fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let two = |large: u64, name: &str, small: u64, small_name: &str| match small {
        0 => format!("{} {name}", text::number(large)),
        _ => format!("{} {name} {small} {small_name}", text::number(large)),
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => two(minutes, "min", seconds % 60, "s"),
        3_600..86_400 => two(hours, "h", minutes % 60, "min"),
        _ => two(days, "d", hours % 24, "h"),
    }
}

/// A time as it is typed: RFC 3339, a local date or date and time, `now`, or how long ago (`7d`, `36h`, `90min`).
///
/// # Errors
/// What is wrong with it and what would be right.
pub fn parse(typed: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
    let wrong = || {
        format!(
            "{typed:?} is not a time; write 2026-01-31, 2026-01-31T15:04, 2026-01-31T15:04:05Z, `now`, or how long ago: \
             7d, 36h, 90min"
        )
    };
    if typed == "now" {
        return Ok(now);
    }
    if let Ok(time) = typed.parse::<Timestamp>() {
        return Ok(time);
    }
    let local: Option<Zoned> = match typed.len() {
        // A date alone, and not the compact form of something else.
        10 => typed.parse::<civil::Date>().ok().and_then(|date| date.to_zoned(zone.clone()).ok()),
        11.. => typed.parse::<civil::DateTime>().ok().and_then(|time| time.to_zoned(zone.clone()).ok()),
        _ => None,
    };
    if let Some(local) = local {
        return Ok(local.timestamp());
    }
    let ago = ago(typed.trim_start_matches('-').trim_end_matches(" ago")).ok_or_else(wrong)?;
    now.checked_sub(ago).map_err(|_| wrong())
}

/// The same for a time to come: `90d` is in 90 days.
///
/// # Errors
/// What is wrong with it and what would be right.
pub fn parse_ahead(typed: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
    match ago(typed).filter(|span| span.is_positive()) {
        Some(span) => now.checked_add(span).map_err(|_| format!("{typed:?} is too far away")),
        None => parse(typed, now, zone),
    }
}

/// A duration as it is typed; days are of 24 hours.
fn ago(typed: &str) -> Option<SignedDuration> {
    if let Some(days) = typed.strip_suffix('d') {
        let days: i64 = days.trim().parse().ok()?;
        return SignedDuration::try_from_hours(days.checked_mul(24)?);
    }
    typed.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[track_caller]
    fn check(typed: &str, expected: &str) {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let now: Timestamp = "2026-03-10T12:00:00Z".parse().unwrap();
        assert_eq!(parse(typed, now, &zone).map(|time| time.to_string()), Ok(expected.to_owned()), "{typed}");
    }

    #[test]
    fn times_are_typed_in_many_ways() {
        check("now", "2026-03-10T12:00:00Z");
        check("2026-03-01", "2026-02-28T22:00:00Z");
        check("2026-03-01T15:04", "2026-03-01T13:04:00Z");
        check("2026-03-01 15:04:05", "2026-03-01T13:04:05Z");
        check("2026-03-01T15:04:05Z", "2026-03-01T15:04:05Z");
        check("7d", "2026-03-03T12:00:00Z");
        check("90min", "2026-03-10T10:30:00Z");
        check("36h ago", "2026-03-09T00:00:00Z");
        for typed in ["", "soon", "99999999999d", "-", "d"] {
            assert!(parse(typed, NOW, &TimeZone::UTC).unwrap_err().contains("is not a time; write"), "{typed}");
        }
    }

    #[test]
    fn a_time_to_come_is_typed_as_a_span() {
        let ahead = |typed| parse_ahead(typed, NOW, &TimeZone::UTC).map(|time| time.to_string());
        assert_eq!(ahead("90d").unwrap(), "1970-04-01T00:00:00Z");
        assert_eq!(ahead("2026-01-31").unwrap(), "2026-01-31T00:00:00Z");
        assert!(ahead("soon").is_err());
    }

    #[test]
    fn durations_read_as_people_say_them() {
        let read = [0, 59, 60, 61, 3_600, 3_720, 86_400, 100_000].map(duration);
        assert_eq!(read, ["0 s", "59 s", "1 min", "1 min 1 s", "1 h", "1 h 2 min", "1 d", "1 d 3 h"]);
    }
}
