//! The log: what the service says of itself, to stderr, for people or for machines. It must never hold a secret or the
//! name of a room.

use std::{
    fmt::{self, Write as _},
    io,
};

use serde_json::{Map, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter,
    filter::ParseError,
    fmt::{
        FmtContext,
        format::{FormatEvent, FormatFields, Writer},
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

use crate::config::{Config, LogFormat};

/// HTTP/2 warns of each attack on a connection, which its sender repeats as fast as connections are made: a disk of lines. Such
/// connections are closed and counted (`highwater_turned_away_total`).
const QUIET: &str = "h2=error";

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
#[error("the log can't be set up: {0}")]
pub struct TelemetryError(String);

/// Begins to log, once a process.
///
/// # Errors
/// When the process logs already, or the filter is not one.
pub fn start(config: &Config) -> Result<(), TelemetryError> {
    let failed = |error: &dyn fmt::Display| TelemetryError(error.to_string());
    let filter = filter(&config.log).map_err(|error| failed(&error))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let colours = io::IsTerminal::is_terminal(&io::stderr());
    match config.log_format {
        LogFormat::Text => log.with_ansi(colours).try_init(),
        LogFormat::Json => log.with_ansi(false).event_format(JsonLines).try_init(),
    }
    .map_err(|error| failed(&error))
}

/// What is logged; a filter that names a target of [`QUIET`] is followed.
fn filter(wanted: &str) -> Result<EnvFilter, ParseError> {
    // By itself first, so that what is wrong with it is told of it alone.
    EnvFilter::try_new(wanted)?;
    EnvFilter::try_new(format!("{QUIET},{wanted}"))
}

/// One object a line: `timestamp`, `level`, `target`, `message`, and the fields of the event.
struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let mut line = Map::new();
        line.insert("timestamp".to_owned(), timestamp.into());
        line.insert("level".to_owned(), event.metadata().level().as_str().into());
        line.insert("target".to_owned(), event.metadata().target().into());
        event.record(&mut Fields(&mut line));
        writeln!(writer, "{}", Value::Object(line))
    }
}

struct Fields<'l>(&'l mut Map<String, Value>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // Writing to a text can't fail; a value that fails to describe itself is left as far as it came.
        let _ = write!(text, "{value:?}");
        self.0.insert(field.name().to_owned(), text.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_attackers_repeat_is_not_logged_unless_it_is_asked_for() {
        let spelled = |wanted: &str| filter(wanted).unwrap().to_string();
        assert!(spelled("info").contains("h2=error"), "{}", spelled("info"));
        assert!(!spelled("info,h2=debug").contains("h2=error"), "{}", spelled("info,h2=debug"));
        assert!(filter("highwater=loud").is_err());
    }
}
