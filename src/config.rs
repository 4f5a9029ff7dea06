//! Configuration: from what was typed in a file, in `HIGHWATER_*` variables and in flags, in rising precedence, to one
//! valid [`Config`]; every mistake is named at once. Nothing but this module may see what was typed.

mod alerts;
mod build;
pub mod files;
mod livekit;
mod parse;
pub mod place;
mod raw;
mod setting;

use std::{
    error::Error,
    fmt::{self, Write as _},
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::tz::TimeZone;

#[cfg(test)]
pub(crate) use crate::config::setting::mistyped;
pub use crate::config::{
    alerts::{AlertsConfig, Network, Smtp, SmtpSecurity},
    livekit::LiveKitConfig,
    parse::time_zone,
    place::{RedisOptions, StorePlace},
    raw::{Given, Origin, RawConfig},
};
use crate::{
    config::{build::Effective, setting::Form},
    model::Bounds,
};

/// What the service runs with. Paths are relative to the working directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// A loopback address where nobody needs a key, and unless `tls` protects it or says that something in front does.
    pub listen: SocketAddr,
    /// Nobody needs a key: for development, on loopback alone.
    pub dev: bool,
    pub store: StorePlace,
    /// How a Redis is used, when the store is one.
    pub redis: RedisOptions,
    /// Of days and hours as people see them; everything that is stored is in UTC.
    pub time_zone: TimeZone,
    /// Threads that serve workers; 0 for one a core.
    pub threads: usize,
    /// Whether everything shown is to be marked as a simulation.
    pub simulation: bool,
    /// A file that adds to the built-in catalogue.
    pub catalogue: Option<PathBuf>,
    /// A directory of plans beside those built in.
    pub plans: Option<PathBuf>,
    /// What is logged, as `tracing_subscriber::EnvFilter` reads it.
    pub log: String,
    pub log_format: LogFormat,
    pub access: Access,
    pub tls: Tls,
    pub retention: Retention,
    /// None when no API key of LiveKit's is configured.
    pub livekit: Option<LiveKitConfig>,
    pub alerts: AlertsConfig,
    pub connections: ConnectionBounds,
    pub series: SeriesBounds,
    pub bounds: Bounds,
    effective: Vec<Effective>,
}

/// What credentials are checked with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// The file of 32 random bytes that what is kept of credentials is protected with; beside the store when none is named.
    pub key_file: Option<PathBuf>,
}

/// How long history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Days of minutes, 7 to 366. The default of 8 is seven full days and the one that runs.
    pub points_days: u32,
    /// Months of hourly summaries, 1 to 120.
    pub summaries_months: u32,
}

/// How much is taken before anything is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionBounds {
    /// Connections in all.
    pub connections: usize,
    /// Connections from one address: LiveKit runs a process a call, so that one host may have thousands.
    pub per_address: usize,
    /// Calls and streams at once on one connection.
    pub streams_each: u32,
    /// Bytes of one message: a full batch is below.
    pub message_bytes: usize,
    /// Age, give or take a tenth, at which a connection is asked to be made anew; zero for never.
    pub age: Duration,
    /// How long its calls may go on after that.
    pub age_grace: Duration,
    /// Events a second that one stream is read at, and that may come at once; 0 for as many as come.
    pub stream_events: Rate,
    /// The same of all streams and reports of a project.
    pub project_events: Rate,
    /// Reads a second of one caller, and that may come at once; 0 for as many as come.
    pub reads: Rate,
}

/// So many a second on average; so many at once after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// 0 stands for no bound.
    pub per_second: u32,
    pub burst: u32,
}

/// How the port is protected on its way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// PEM files of the service's certificate with those that vouch for it, and of its key. Both or neither.
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// PEM file of the certificates that vouch for clients.
    pub client_ca: Option<PathBuf>,
    pub client_certificates: ClientCertificates,
    /// Plain text is served on any address: something in front speaks TLS.
    pub plaintext: bool,
}

/// Whether clients show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// None is asked for.
    #[default]
    Off,
    /// One that is shown must be right.
    Optional,
    /// None comes in without one.
    Required,
}

/// How many series `/metrics` may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesBounds {
    /// In all: what one scrape may bring, since each series costs Prometheus memory for hours.
    pub in_all: usize,
    /// Of one project, so that a flood of model names in one leaves room for the others.
    pub per_project: usize,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// One thing that is wrong with what was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where it was typed.
    pub origin: Origin,
    /// The setting or entry; empty for a file as a whole.
    pub key: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// All that is wrong; never empty when it is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

/// Reads the file that the flags or variables name, if they name one, builds the configuration, and looks at the files
/// that it names.
///
/// # Errors
/// Every mistake: also a file that can't be read, and what is wrong in a catalogue or a plan.
pub fn load(raw: &RawConfig) -> Result<Config, Mistakes> {
    let (config, mut mistakes) = match &raw.file {
        None => Config::assess(raw, None),
        Some((path, origin)) => match fs::read_to_string(path) {
            Ok(text) => Config::assess(raw, Some((path, &text))),
            Err(error) => {
                let (config, mut mistakes) = Config::assess(raw, None);
                let problem = format!("{} can't be read: {error}", path.display());
                mistakes.push(Mistake { origin: origin.clone(), key: String::new(), problem });
                (config, mistakes)
            }
        },
    };
    mistakes.extend(files::mistakes(&config));
    or_mistakes(config, mistakes)
}

/// The configuration, unless something is wrong with it.
fn or_mistakes(config: Config, mut mistakes: Vec<Mistake>) -> Result<Config, Mistakes> {
    mistakes.sort_by(|a, b| a.origin.cmp(&b.origin));
    if mistakes.is_empty() { Ok(config) } else { Err(Mistakes(mistakes)) }
}

impl Config {
    /// The configuration of what was typed: in the file (its path and its text), in variables and in flags. No file that
    /// it names is looked at.
    ///
    /// # Errors
    /// Every mistake, those in values that others override included.
    pub fn build(raw: &RawConfig, file: Option<(&Path, &str)>) -> Result<Self, Mistakes> {
        let (config, mistakes) = Self::assess(raw, file);
        or_mistakes(config, mistakes)
    }

    /// The configuration, and everything that is wrong with it. The first is to be used only when the second is empty.
    fn assess(raw: &RawConfig, file: Option<(&Path, &str)>) -> (Self, Vec<Mistake>) {
        let (mut given, mut mistakes) = file.map(|(path, text)| raw::read_file(path, text)).unwrap_or_default();
        given.extend(raw.given.iter().cloned());
        let (config, wrong_values) = build::build(&given, raw.livekit_secret.as_ref(), raw.smtp_password.as_ref());
        mistakes.extend(wrong_values);
        mistakes.extend(raw.mistyped.iter().map(|(name, near)| Mistake {
            origin: Origin::Variable(name.clone()),
            key: String::new(),
            problem: format!("is not known; did you mean `{near}`?"),
        }));
        (config, mistakes)
    }

    /// What is in force as a file of settings, with where each value comes from: what `highwater check-config` prints.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        let mut section = None;
        for Effective { setting, text: value, origin } in &self.effective {
            let (in_section, name) = setting.split();
            if in_section != section {
                section = in_section;
                let _ = writeln!(text, "\n[{}]", section.unwrap_or_default());
            }
            let value = match setting.form {
                Form::Text(_) if value.is_empty() => {
                    let _ = writeln!(text, "# {name} is not set");
                    continue;
                }
                Form::Text(_) => toml::Value::from(value.as_str()).to_string(),
                // A file can't say `007`, a flag can.
                Form::Number => value.parse::<u64>().map_or_else(|_| value.clone(), |number| number.to_string()),
                Form::Switch => value.clone(),
            };
            let _ = writeln!(text, "{name} = {value}  # {origin}");
        }
        text
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::build(&RawConfig::default(), None).expect("OK because a test builds the defaults")
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        // The name of a flag or variable says which setting it is.
        if matches!(self.origin, Origin::File { .. } | Origin::Default) && !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.problem)
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("the configuration has a mistake:")?,
            count => write!(f, "the configuration has {count} mistakes:")?,
        }
        self.0.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

impl Error for Mistakes {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
