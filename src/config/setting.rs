//! The settings: one table that the file, the variables, the flags, their help and what `check-config` prints are made
//! of, so that none of them can know a setting that another does not.

use std::sync::LazyLock;

use clap::{Arg, ArgAction};

use crate::model::document;

/// What every variable's name starts with.
const VARIABLE_PREFIX: &str = "HIGHWATER_";

/// The variables that are no settings: what they hold must not be typed as a flag, nor shown.
pub const SECRET_VARIABLE: &str = "HIGHWATER_LIVEKIT_API_SECRET";
pub const SMTP_PASSWORD_VARIABLE: &str = "HIGHWATER_SMTP_PASSWORD";

/// Variables of commands other than the service.
pub const OTHER_VARIABLES: [&str; 11] = [
    "HIGHWATER_ACCESS_KEY_FILE",
    "HIGHWATER_CA",
    "HIGHWATER_CERT",
    "HIGHWATER_CERT_KEY",
    "HIGHWATER_CONFIG",
    "HIGHWATER_KEY",
    "HIGHWATER_KEY_FILE",
    "HIGHWATER_LIVEKIT_API_SECRET",
    "HIGHWATER_PROJECT",
    "HIGHWATER_SERVER",
    SMTP_PASSWORD_VARIABLE,
];

/// Whether Kubernetes sets a variable of this name in pods beside a Service called `highwater` or `highwater-...`.
fn is_of_kubernetes(name: &str) -> bool {
    name.ends_with("_PORT") || ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT_"].iter().any(|part| name.contains(part))
}

/// Of the names of variables those that are nearly one that is known, each with that one: mistyped ones. What is far from
/// all of them is somebody else's.
pub fn mistyped(names: impl IntoIterator<Item = String>) -> Vec<(String, &'static str)> {
    let known = || SETTINGS.iter().map(Setting::variable).chain(OTHER_VARIABLES);
    let of_ours = names.into_iter().filter(|name| name.starts_with(VARIABLE_PREFIX) && !is_of_kubernetes(name));
    let mut found: Vec<_> = of_ours
        .filter(|name| known().all(|known| known != name))
        .filter_map(|name| {
            let rest = name.strip_prefix(VARIABLE_PREFIX)?;
            let near = document::nearest(rest, known().filter_map(|known| known.strip_prefix(VARIABLE_PREFIX)))?;
            let near = known().find(|known| known.strip_prefix(VARIABLE_PREFIX) == Some(near))?;
            Some((name, near))
        })
        .collect();
    found.sort();
    found
}

/// One setting, as a user sees it.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name in the file: `listen`, `bounds.lease`.
    pub key: &'static str,
    /// As it would be typed; empty for a setting that is not set unless it is given.
    pub default: &'static str,
    pub form: Form,
    help: &'static str,
}

/// How a value is written in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A string; the word stands for it in the help.
    Text(&'static str),
    Number,
    Switch,
}

const fn setting(key: &'static str, default: &'static str, form: Form, help: &'static str) -> Setting {
    Setting { key, default, form, help }
}

const ADDRESS: Form = Form::Text("ADDRESS");
const DURATION: Form = Form::Text("DURATION");
const PATH: Form = Form::Text("PATH");

/// Every setting, in the order of the file: those of a section stand together, after those of none.
pub const SETTINGS: &[Setting] = &[
    setting("listen", "127.0.0.1:7422", ADDRESS, "Address and port of gRPC and health; off loopback, TLS is needed"),
    setting("dev", "false", Form::Switch, "For development: nobody needs a key; on loopback addresses only"),
    setting(
        "store",
        ".highwater/store.redb",
        Form::Text("PLACE"),
        "The embedded store's file, made when it is not there; or redis://HOST:PORT",
    ),
    setting("time_zone", "UTC", Form::Text("ZONE"), "IANA time zone of days and hours as people see them"),
    setting("threads", "0", Form::Number, "Threads that serve workers; 0 for one a core"),
    setting("simulation", "false", Form::Switch, "Mark everything shown as a simulation"),
    setting("catalogue", "", PATH, "File that adds to the built-in catalogue of providers and models"),
    setting("plans", "", PATH, "Directory of plans, a TOML file each, beside those built in"),
    setting(
        "log",
        "info",
        Form::Text("FILTER"),
        "What is logged: a level, or levels by module (`warn,highwater=debug`)",
    ),
    setting("log_format", "text", Form::Text("FORMAT"), "How it is logged, to stderr: text or json"),
    setting(
        "access.key_file",
        "",
        PATH,
        "File of the key that credentials are kept under; beside the store unless set",
    ),
    setting("redis.prefix", "hw:", Form::Text("TEXT"), "What every key in Redis begins with"),
    setting("redis.user", "", Form::Text("NAME"), "User of Redis' access control list"),
    setting("redis.password_file", "", PATH, "File whose first line is the password of Redis"),
    setting("redis.ca_file", "", PATH, "Certificates (PEM) that vouch for Redis, instead of those of the system"),
    setting("tls.certificate", "", PATH, "PEM file of the certificate and those that vouch for it: turns TLS on"),
    setting("tls.key", "", PATH, "PEM file of its key"),
    setting("tls.client_ca", "", PATH, "PEM file of the certificates that vouch for clients"),
    setting(
        "tls.client_certificates",
        "off",
        Form::Text("WHEN"),
        "Whether clients show a certificate: off, optional or required",
    ),
    setting("tls.plaintext", "false", Form::Switch, "Plain text on any address, since a proxy in front speaks TLS"),
    setting("retention.points_days", "8", Form::Number, "Days that every minute is kept, at least 7"),
    setting("retention.summaries_months", "13", Form::Number, "Months that hourly summaries are kept"),
    setting("livekit.url", "", Form::Text("URL"), "LiveKit's API, whose lists put right what its webhooks miss"),
    setting("livekit.api_key", "", Form::Text("KEY"), "The API key that LiveKit's webhooks are signed by"),
    setting(
        "livekit.api_secret_file",
        "",
        PATH,
        "File of its secret; HIGHWATER_LIVEKIT_API_SECRET, the secret itself, overrides it",
    ),
    setting("livekit.project", "default", Form::Text("PROJECT"), "The project that LiveKit's connections count in"),
    setting("livekit.reconcile_interval", "30s", DURATION, "How often LiveKit's lists are read"),
    setting(
        "livekit.expire_after",
        "6h",
        DURATION,
        "How long a connection counts of which nothing is heard, and no list says that it is there",
    ),
    setting(
        "alerts.recipients",
        "",
        Form::Text("MAILBOXES"),
        "Who is told of the service, and of projects that name nobody; with commas between them",
    ),
    setting("alerts.link", "", Form::Text("URL"), "Where people find the page: what links in mails begin with"),
    setting(
        "alerts.webhook_networks",
        "",
        Form::Text("NETWORKS"),
        "Private networks that webhooks may go to (10.0.0.0/8), with commas between them",
    ),
    setting("smtp.host", "", Form::Text("HOST"), "The mail server; without one no mail is sent"),
    setting("smtp.port", "587", Form::Number, "Its port: 587 for starttls, 465 for tls"),
    setting("smtp.security", "starttls", Form::Text("WAY"), "How the way is protected: starttls, tls or none"),
    setting("smtp.user", "", Form::Text("NAME"), "Whom the mail server knows us as"),
    setting(
        "smtp.password_file",
        "",
        PATH,
        "File of the password; HIGHWATER_SMTP_PASSWORD, the password itself, overrides it",
    ),
    setting("smtp.from", "", Form::Text("MAILBOX"), "The mailbox that mails are from"),
    setting("smtp.ca_file", "", PATH, "Certificates (PEM) that vouch for the server, instead of those of the system"),
    setting("smtp.per_minute", "60", Form::Number, "Mails a minute, at most"),
    setting("bounds.connections", "20000", Form::Number, "Connections in all"),
    setting("bounds.connections_per_address", "4096", Form::Number, "Connections from one address"),
    setting("bounds.streams_per_connection", "64", Form::Number, "Calls and streams at once on one connection"),
    setting("bounds.message_bytes", "262144", Form::Number, "Bytes of one message"),
    setting("bounds.connection_age", "1h", DURATION, "Age at which a connection is to be made anew; 0s for never"),
    setting("bounds.connection_age_grace", "30s", DURATION, "How long its calls may go on after that"),
    setting("bounds.stream_events_per_second", "100000", Form::Number, "Events a second of one stream; 0 for any"),
    setting("bounds.stream_events_burst", "1000000", Form::Number, "Events that one stream may send at once"),
    setting("bounds.project_events_per_second", "500000", Form::Number, "Events a second of a project; 0 for any"),
    setting("bounds.project_events_burst", "5000000", Form::Number, "Events that a project may send at once"),
    setting("bounds.reads_per_second", "20", Form::Number, "Reads a second of one caller; 0 for any"),
    setting("bounds.reads_burst", "1000", Form::Number, "Reads that one caller may make at once"),
    setting("bounds.projects", "10000", Form::Number, "Projects"),
    setting("bounds.meters_per_project", "1000", Form::Number, "Meters a project"),
    setting("bounds.workers_per_project", "20000", Form::Number, "Workers a project"),
    setting("bounds.sessions_per_project", "100000", Form::Number, "Live sessions a project"),
    setting("bounds.waiting_per_project", "1000", Form::Number, "Callers a project that wait for a slot"),
    setting("bounds.batch_events", "4096", Form::Number, "Events a batch"),
    setting("bounds.meters_per_stream", "1024", Form::Number, "Meters that one stream declares"),
    setting("bounds.series", "50000", Form::Number, "Series of /metrics in all"),
    setting("bounds.series_per_project", "2000", Form::Number, "Series of /metrics a project"),
    setting("bounds.tombstones_per_book", "4096", Form::Number, "Ended sessions that are remembered for each worker"),
    setting("bounds.tombstone_age", "60s", DURATION, "How long they are remembered"),
    setting("bounds.lease", "10s", DURATION, "How long a silent or cut-off worker's sessions are still counted"),
    setting("bounds.beat", "3s", DURATION, "How often a silent worker is to send a beat; at most half the lease"),
    setting("bounds.unary_lease_shortest", "10s", DURATION, "Shortest lease of a worker that reports by unary calls"),
    setting("bounds.unary_lease_longest", "300s", DURATION, "Longest lease of such a worker"),
    setting("bounds.late_after", "2s", DURATION, "From this age on, an event's own time is used"),
    setting("bounds.late_until", "15min", DURATION, "Up to this age, an event is taken into history"),
    setting("bounds.learning", "12s", DURATION, "How long levels settle after a restart; at least the lease"),
];

/// The names that clap wants for as long as the process lives: made once, and leaked once.
struct Names {
    flag: &'static str,
    variable: &'static str,
}

static NAMES: LazyLock<Vec<Names>> = LazyLock::new(|| {
    let leak = |text: String| -> &'static str { text.leak() };
    let names = SETTINGS.iter().map(|setting| Names {
        flag: leak(setting.key.replace(['.', '_'], "-")),
        variable: leak(format!("{VARIABLE_PREFIX}{}", setting.key.replace('.', "_").to_uppercase())),
    });
    names.collect()
});

impl Setting {
    /// The setting of this name.
    pub fn find(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }

    /// Section of the file and name in it.
    pub fn split(&self) -> (Option<&'static str>, &'static str) {
        match self.key.split_once('.') {
            Some((section, name)) => (Some(section), name),
            None => (None, self.key),
        }
    }

    /// Name of the flag, without its dashes.
    pub fn flag(&self) -> &'static str {
        self.names().flag
    }

    pub fn variable(&self) -> &'static str {
        self.names().variable
    }

    fn names(&self) -> &'static Names {
        let place = SETTINGS.iter().position(|setting| setting.key == self.key);
        &NAMES[place.expect("OK because settings are made in the table only")]
    }

    /// The flag. What it takes is checked with everything else, not by clap, which would stop at the first mistake.
    pub(super) fn arg(&self) -> Arg {
        let arg = Arg::new(self.key).long(self.flag()).env(self.variable()).help(self.help).action(ArgAction::Set);
        let arg = match self.split().0 {
            // Rarely needed: `--help` lists them, `-h` does not.
            Some("bounds") => arg.help_heading("Bounds").hide_short_help(true),
            Some("alerts") => arg.help_heading("Alerts"),
            Some("smtp") => arg.help_heading("Mail"),
            Some("access") => arg.help_heading("Access"),
            Some("livekit") => arg.help_heading("LiveKit"),
            Some("redis") => arg.help_heading("Redis"),
            Some("tls") => arg.help_heading("TLS"),
            Some(_) => arg.help_heading("Retention"),
            None => arg,
        };
        let arg = match self.form {
            // An address may hold a password, by mistake.
            Form::Text(word) => arg.value_name(word).hide_env_values(matches!(word, "PLACE" | "URL")),
            Form::Number => arg.value_name("NUMBER"),
            Form::Switch => arg.value_name("BOOL").num_args(0..=1).require_equals(true).default_missing_value("true"),
        };
        if self.default.is_empty() { arg } else { arg.default_value(self.default) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_variable_is_told_from_others() {
        let check = |name: &str, near: Option<&str>| {
            let found: Vec<_> = mistyped([name.to_owned()]).into_iter().map(|(_, near)| near).collect();
            assert_eq!(found, near.into_iter().collect::<Vec<_>>(), "{name}");
        };
        check("HIGHWATER_LISTN", Some("HIGHWATER_LISTEN"));
        check("HIGHWATER_RETENTION_POINT_DAYS", Some("HIGHWATER_RETENTION_POINTS_DAYS"));
        check("HIGHWATER_PROJEKT", Some("HIGHWATER_PROJECT"));
        check("HIGHWATER_LIVEKIT_API_SECRETS", Some("HIGHWATER_LIVEKIT_API_SECRET"));
        OTHER_VARIABLES.iter().for_each(|known| check(known, None));
        SETTINGS.iter().for_each(|setting| check(setting.variable(), None));
        for others in [
            "HIGHWATER_PORT",
            "HIGHWATER_PORT_7422_TCP_ADDR",
            "HIGHWATER_SERVICE_HOST",
            "HIGHWATER_STAGING_SERVICE_PORT_GRPC",
            "HIGHWATER_FAULT_ROUNDS",
            "HIGHWATER_TEST_HAS_FILES",
            "HIGHWATER_BENCH_SERVE",
            "LISTN",
        ] {
            check(others, None);
        }
    }

    #[test]
    fn names_are_derived_and_none_is_taken_by_kubernetes() {
        let points = Setting::find("retention.points_days").map(|s| (s.flag(), s.variable()));
        assert_eq!(points, Some(("retention-points-days", "HIGHWATER_RETENTION_POINTS_DAYS")));
        for setting in SETTINGS {
            // A Service called `highwater` sets these in every pod beside it.
            let taken = ["HIGHWATER_PORT", "HIGHWATER_SERVICE"].iter().any(|name| setting.variable().starts_with(name));
            assert!(!taken, "{}", setting.variable());
        }
    }
}
