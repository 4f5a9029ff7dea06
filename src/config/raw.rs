//! Configuration as it was typed: texts, each with where it comes from. Nothing here says whether a value is right.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, parser::ValueSource};
use toml::de::DeValue;

use crate::{
    access::Secret,
    config::{
        Mistake,
        setting::{SECRET_VARIABLE, SETTINGS, SMTP_PASSWORD_VARIABLE, Setting, mistyped},
    },
    model::document::{self, Entry, Mistakes},
};

/// Name of the flag that names the file.
pub(super) const FILE_FLAG: &str = "config";
/// Name of the variable that does.
pub(super) const FILE_VARIABLE: &str = "HIGHWATER_CONFIG";

/// Where a value comes from, in rising precedence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    Default,
    /// A line of the file, from 1.
    File {
        path: PathBuf,
        line: usize,
    },
    Variable(String),
    Flag(String),
}

/// A value that was given for a setting.
#[derive(Clone, Debug)]
pub struct Given {
    pub key: &'static str,
    pub text: String,
    pub origin: Origin,
}

/// What the flags and variables say. A variable that is set to nothing counts as not set. One that is no setting's is a
/// mistake where it is nearly one, and left alone else: Kubernetes sets some of that prefix by itself.
#[derive(Clone, Debug, Default)]
pub struct RawConfig {
    /// The file that is to be read, and what named it.
    pub file: Option<(PathBuf, Origin)>,
    pub given: Vec<Given>,
    /// The secret of LiveKit's API key, which can be given by a variable only.
    pub livekit_secret: Option<Secret<Vec<u8>>>,
    /// The password of the mail server, which can be given by a variable or a file.
    pub smtp_password: Option<Secret<Vec<u8>>>,
    /// Variables that are set and nearly known, each with the one that was perhaps meant.
    pub mistyped: Vec<(String, &'static str)>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

impl Args for RawConfig {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new(FILE_FLAG).long(FILE_FLAG).env(FILE_VARIABLE).value_name("FILE");
        let file = file.help("TOML file of settings; variables override it, and flags override variables");
        SETTINGS.iter().fold(command.arg(file), |command, setting| command.arg(setting.arg()))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for RawConfig {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let file = typed(matches, FILE_FLAG, FILE_FLAG, FILE_VARIABLE);
        let given = SETTINGS.iter().filter_map(|setting| {
            let (text, origin) = typed(matches, setting.key, setting.flag(), setting.variable())?;
            Some(Given { key: setting.key, text, origin })
        });
        let secret = |name| {
            let secret = std::env::var(name).ok().filter(|secret| !secret.is_empty());
            secret.map(|secret| Secret::new(secret.into_bytes()))
        };
        let set = std::env::vars_os().filter(|(_, value)| !value.is_empty());
        let names = set.filter_map(|(name, _)| name.into_string().ok());
        Ok(Self {
            mistyped: mistyped(names),
            file: file.map(|(path, origin)| (path.into(), origin)),
            given: given.collect(),
            livekit_secret: secret(SECRET_VARIABLE),
            smtp_password: secret(SMTP_PASSWORD_VARIABLE),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// What was typed for an argument, unless nothing was.
fn typed(matches: &ArgMatches, id: &str, flag: &str, variable: &str) -> Option<(String, Origin)> {
    let text = matches.get_one::<String>(id)?.clone();
    match matches.value_source(id)? {
        ValueSource::CommandLine => Some((text, Origin::Flag(flag.to_owned()))),
        ValueSource::EnvVariable if !text.is_empty() => Some((text, Origin::Variable(variable.to_owned()))),
        _ => None,
    }
}

/// What a file says, and what is wrong in it before any value is looked at: its syntax, names that are not known, and
/// values that no setting takes.
pub(super) fn read_file(path: &Path, text: &str) -> (Vec<Given>, Vec<Mistake>) {
    let mut given = Vec::new();
    let mut take = |entry: &Entry<'_>, mistakes: &mut Mistakes| {
        let Some(setting) = Setting::find(&entry.path) else {
            return entry.wrong(unknown(entry), mistakes);
        };
        if let Some(text) = scalar(entry, mistakes) {
            let origin = Origin::File { path: path.to_owned(), line: entry.line };
            given.push(Given { key: setting.key, text, origin });
        }
    };
    let read = document::read(text, |root, mistakes| {
        for entry in root.entries() {
            let is_section = SETTINGS.iter().any(|setting| setting.split().0 == Some(entry.name));
            match is_section.then(|| entry.table(mistakes)) {
                None => take(&entry, mistakes),
                Some(section) => {
                    section.iter().flat_map(|table| table.entries()).for_each(|entry| take(&entry, mistakes))
                }
            }
        }
    });
    let mistakes = read.err().unwrap_or_default().0.into_iter().map(|mistake| Mistake {
        origin: Origin::File { path: path.to_owned(), line: mistake.line },
        key: mistake.entry,
        problem: mistake.problem,
    });
    (given, mistakes.collect())
}

/// A string, number or switch as text.
fn scalar(entry: &Entry<'_>, mistakes: &mut Mistakes) -> Option<String> {
    match entry.value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Boolean(switch) => Some(switch.to_string()),
        DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Some(number.to_string()),
            Err(_) => Some(number.as_str().to_owned()),
        },
        other => {
            entry.wrong(
                format!("is of type {}; a string, a whole number or a switch is needed", other.type_str()),
                mistakes,
            );
            None
        }
    }
}

/// Says which setting was perhaps meant: the one of this name in another section, or the nearest by spelling.
fn unknown(entry: &Entry<'_>) -> String {
    match SETTINGS.iter().find(|setting| setting.split().1 == entry.name) {
        Some(elsewhere) => format!("is not known; did you mean `{}`?", elsewhere.key),
        None => document::unknown(&entry.path, SETTINGS.iter().map(|setting| setting.key)),
    }
}
