//! What a typed value must be. Each parser takes the text and answers with the value, or with what is wrong and what
//! would be right.

use std::{net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use jiff::{SignedDuration, tz::TimeZone};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use crate::config::{ClientCertificates, LogFormat};

/// An address and a port. Whether it may be listened on depends on who needs a key and on what protects it: see
/// `Values::check_listen` and `Values::check_tls`.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("{text:?} is not an address and a port; write it as 127.0.0.1:7422 or [::1]:7422"))
}

/// A path; none when nothing is set.
pub fn optional_path(text: &str) -> Result<Option<PathBuf>, String> {
    Ok((!text.trim().is_empty()).then(|| text.into()))
}

/// A word; none when nothing is set.
pub fn optional_text(text: &str) -> Result<Option<String>, String> {
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

pub fn time_zone(text: &str) -> Result<TimeZone, String> {
    if text == "UTC" {
        // The usual one needs no walk through the machine's time zones at each start.
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(text).map_err(|_| {
        format!("{text:?} is not a time zone that this machine knows; write UTC or an IANA name such as Europe/Berlin")
    })
}

pub fn switch(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| format!("{text:?} is not a switch; write true or false"))
}

pub fn log_filter(text: &str) -> Result<String, String> {
    let wrong =
        |why: String| format!("{text:?} is not a filter ({why}); write one such as info or warn,highwater=debug");
    if text.trim().is_empty() {
        return Err(wrong("it is empty".to_owned()));
    }
    // A word alone would be the name of a module, whose lines then are all that is written.
    let is_level = |word: &str| word.parse::<LevelFilter>().is_ok() || word.contains(['=', '[']);
    if let Some(word) = text.split(',').map(str::trim).find(|word| !is_level(word)) {
        return Err(wrong(format!("{word:?} is no level: off, error, warn, info, debug or trace")));
    }
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| wrong(error.to_string()))
}

pub fn client_certificates(text: &str) -> Result<ClientCertificates, String> {
    match text {
        "off" => Ok(ClientCertificates::Off),
        "optional" => Ok(ClientCertificates::Optional),
        "required" => Ok(ClientCertificates::Required),
        other => Err(format!("{other:?} is not how client certificates are taken; write off, optional or required")),
    }
}

pub fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("{text:?} is not a format; write text or json")),
    }
}

/// A whole number of a range.
pub fn number<T: TryFrom<u64>>(range: RangeInclusive<u64>) -> impl Fn(&str) -> Result<T, String> {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        let number = number.and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| format!("{text:?} is not a whole number from {} to {}", range.start(), range.end()))
    }
}

/// A duration of a range, as `10s`, `15min`, `1h30m` or a number of seconds.
pub fn duration(range: RangeInclusive<Duration>) -> impl Fn(&str) -> Result<Duration, String> {
    move |text| {
        let seconds = text.parse().ok().map(Duration::from_secs);
        let spelled = || text.parse::<SignedDuration>().ok().and_then(|duration| duration.try_into().ok());
        let duration: Option<Duration> = seconds.or_else(spelled);
        let Some(duration) = duration else {
            return Err(format!("{text:?} is not a duration; write one such as 10s, 500ms or 15min"));
        };
        let shown = |end: &Duration| format!("{:#}", SignedDuration::try_from(*end).unwrap_or(SignedDuration::MAX));
        match range.contains(&duration) {
            true => Ok(duration),
            false => Err(format!("{text} is not from {} to {}", shown(range.start()), shown(range.end()))),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn durations_are_spelled_in_many_ways() {
        let parse = duration(Duration::ZERO..=3_600 * SECOND);
        for (text, millis) in [("10", 10_000), ("10s", 10_000), ("500ms", 500), ("15min", 900_000), ("15m", 900_000)] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "soon", "10 apples", "1.5.5", "-3s", "1d"] {
            assert!(parse(text).unwrap_err().contains("is not a duration"), "{text}");
        }
        assert_eq!(duration(SECOND..=60 * SECOND)("2min").unwrap_err(), "2min is not from 1s to 1m");
    }

    #[test]
    fn numbers_keep_to_their_range() {
        let parse = number::<u32>(1..=9);
        assert_eq!(parse("9"), Ok(9));
        for text in ["0", "10", "-1", "1.0", "", "99999999999999999999"] {
            assert!(parse(text).unwrap_err().ends_with("is not a whole number from 1 to 9"), "{text}");
        }
    }

    #[test]
    fn addresses_have_a_port() {
        assert!(["127.0.0.1:0", "[::1]:7422", "0.0.0.0:7422"].iter().all(|text| address(text).is_ok()));
        assert!(address("localhost").unwrap_err().contains("write it as 127.0.0.1:7422"));
    }

    #[test]
    fn zones_and_filters_are_those_that_are_known() {
        assert_eq!(time_zone("UTC"), Ok(TimeZone::UTC));
        assert!(time_zone("Mars/Olympus").is_err());
        assert!(log_filter("warn,highwater=debug").is_ok());
        assert!(log_filter("highwater=loud").is_err());
        assert!(log_filter(" ").is_err());
        assert!(log_filter("wran").unwrap_err().contains("\"wran\" is no level"));
        assert!(log_filter("info,highwater").is_err() && log_filter("off").is_ok());
    }
}
