//! From what was typed to what is valid: every value that was given is checked, also one that another overrides, and
//! every mistake is kept.

use std::{ops::RangeInclusive, time::Duration};

use crate::{
    access::Secret,
    config::{
        Access, ClientCertificates, Config, ConnectionBounds, Mistake, Rate, RedisOptions, Retention, SeriesBounds,
        StorePlace, Tls, alerts,
        livekit::Typed,
        parse, place,
        raw::{Given, Origin},
        setting::{SETTINGS, Setting},
    },
    model::{Bounds, limit::MAX_SLOTS},
};

/// Seven days of minutes are promised.
const LEAST_POINTS_DAYS: u64 = 7;
/// A year of minutes of a thousand meters is close to a gigabyte at rest; the summaries are for longer looks.
const MOST_POINTS_DAYS: u64 = 366;
const MOST_SUMMARIES_MONTHS: u64 = 120;
/// More threads than any machine has cores.
const MOST_THREADS: u64 = 1_024;
/// What any count is kept below, so that a slip of the keyboard does not take the memory.
const MOST_OF_ANY: u64 = 1_000_000;
/// Callers of a project that may wait: each is a call that is held open.
const MOST_WAITING: u64 = 50_000;
/// Handles of meters, and events of a batch, are kept in small arrays.
const MOST_OF_A_STREAM: u64 = 65_536;
/// What the service tells of itself fits, with some meters, and with what stands for those that do not.
const LEAST_SERIES: u64 = 500;
/// A stream is read at most this fast; faster than one can be.
const MOST_A_SECOND: u64 = 100_000_000;
/// A day: above it, a bound on a connection's age bounds nothing.
const MOST_CONNECTION_AGE: Duration = Duration::from_secs(86_400);
/// From the time that workers are asked to leave in, to that of the longest call.
const GRACE: RangeInclusive<Duration> = Duration::from_secs(3)..=Duration::from_secs(3_600);
/// A batch of one event fits, and a gigabyte does not.
const MESSAGE_BYTES: RangeInclusive<u64> = 4_096..=16_777_216;

/// The settings that are in force, each with its text and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Effective {
    pub setting: &'static Setting,
    pub text: String,
    pub origin: Origin,
}

pub(super) struct Values<'g> {
    given: &'g [Given],
    effective: Vec<Effective>,
    mistakes: Vec<Mistake>,
}

/// The configuration of what was given, and everything that is wrong with it. The first is to be used only when the
/// second is empty.
pub(super) fn build(
    given: &[Given],
    secret: Option<&Secret<Vec<u8>>>,
    password: Option<&Secret<Vec<u8>>>,
) -> (Config, Vec<Mistake>) {
    let mut values = Values { given, effective: Vec::new(), mistakes: Vec::new() };
    let livekit = Typed::take(&mut values);
    let alerts = alerts::Typed::take(&mut values);
    let config = Config {
        livekit: livekit.check(secret, &mut values),
        alerts: alerts.check(password, &mut values),
        listen: values.take("listen", parse::address),
        dev: values.take("dev", parse::switch),
        store: values.take("store", str::parse),
        redis: RedisOptions {
            prefix: values.take("redis.prefix", place::prefix),
            user: values.take("redis.user", parse::optional_text),
            password_file: values.take("redis.password_file", parse::optional_path),
            ca_file: values.take("redis.ca_file", parse::optional_path),
        },
        time_zone: values.take("time_zone", parse::time_zone),
        threads: values.take("threads", parse::number(0..=MOST_THREADS)),
        simulation: values.take("simulation", parse::switch),
        catalogue: values.take("catalogue", parse::optional_path),
        plans: values.take("plans", parse::optional_path),
        log: values.take("log", parse::log_filter),
        log_format: values.take("log_format", parse::log_format),
        access: Access { key_file: values.take("access.key_file", parse::optional_path) },
        tls: values.tls(),
        retention: Retention {
            points_days: values.take("retention.points_days", parse::number(LEAST_POINTS_DAYS..=MOST_POINTS_DAYS)),
            summaries_months: values.take("retention.summaries_months", parse::number(1..=MOST_SUMMARIES_MONTHS)),
        },
        connections: ConnectionBounds {
            connections: values.take("bounds.connections", parse::number(1..=MOST_OF_ANY)),
            per_address: values.take("bounds.connections_per_address", parse::number(1..=MOST_OF_ANY)),
            streams_each: values.take("bounds.streams_per_connection", parse::number(1..=MOST_OF_A_STREAM)),
            message_bytes: values.take("bounds.message_bytes", parse::number(MESSAGE_BYTES)),
            age: values.take("bounds.connection_age", parse::duration(Duration::ZERO..=MOST_CONNECTION_AGE)),
            age_grace: values.take("bounds.connection_age_grace", parse::duration(GRACE)),
            stream_events: values.rate("bounds.stream_events_per_second", "bounds.stream_events_burst"),
            project_events: values.rate("bounds.project_events_per_second", "bounds.project_events_burst"),
            reads: values.rate("bounds.reads_per_second", "bounds.reads_burst"),
        },
        series: SeriesBounds {
            in_all: values.take("bounds.series", parse::number(LEAST_SERIES..=MOST_OF_ANY)),
            per_project: values.take("bounds.series_per_project", parse::number(LEAST_SERIES..=MOST_OF_ANY)),
        },
        bounds: values.bounds(),
        effective: Vec::new(),
    };
    values.check_together(&config.bounds);
    values.check_listen(&config);
    values.check_key_file(&config);
    values.check_rates(&config);
    values.check_tls(&config);
    let place = |effective: &Effective| SETTINGS.iter().position(|setting| setting.key == effective.setting.key);
    values.effective.sort_by_key(place);
    (Config { effective: values.effective, ..config }, values.mistakes)
}

impl Values<'_> {
    /// The value of a setting: of what was given, the one of highest precedence, else the default.
    pub(super) fn take<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> T {
        let setting = Setting::find(key).expect("OK because a test builds the defaults, and so asks for every key");
        let mut best: Option<(&Given, T)> = None;
        for given in self.given.iter().filter(|given| given.key == key) {
            match parse(&given.text) {
                Err(problem) => {
                    let problem = place::without_passwords(&problem);
                    let origin = given.origin.clone();
                    self.mistakes.push(Mistake { origin, key: key.to_owned(), problem });
                }
                Ok(value) => {
                    if best.as_ref().is_none_or(|(other, _)| other.origin < given.origin) {
                        best = Some((given, value));
                    }
                }
            }
        }
        let (text, origin) = match &best {
            Some((given, _)) => (given.text.clone(), given.origin.clone()),
            None => (setting.default.to_owned(), Origin::Default),
        };
        self.effective.push(Effective { setting, text, origin });
        let default = || parse(setting.default).expect("OK because a test builds the defaults");
        best.map_or_else(default, |(_, value)| value)
    }

    fn tls(&mut self) -> Tls {
        Tls {
            certificate: self.take("tls.certificate", parse::optional_path),
            key: self.take("tls.key", parse::optional_path),
            client_ca: self.take("tls.client_ca", parse::optional_path),
            client_certificates: self.take("tls.client_certificates", parse::client_certificates),
            plaintext: self.take("tls.plaintext", parse::switch),
        }
    }

    fn rate(&mut self, per_second: &str, burst: &str) -> Rate {
        Rate {
            per_second: self.take(per_second, parse::number(0..=MOST_A_SECOND)),
            burst: self.take(burst, parse::number(1..=MOST_A_SECOND)),
        }
    }

    fn bounds(&mut self) -> Bounds {
        let seconds = |least, most| parse::duration(Duration::from_secs(least)..=Duration::from_secs(most));
        let hour = 3_600;
        Bounds {
            projects: self.take("bounds.projects", parse::number(1..=MOST_OF_ANY)),
            meters_per_project: self.take("bounds.meters_per_project", parse::number(1..=MOST_OF_ANY)),
            workers_per_project: self.take("bounds.workers_per_project", parse::number(1..=MOST_OF_ANY)),
            // A level can't count more.
            sessions_per_project: self.take("bounds.sessions_per_project", parse::number(1..=u64::from(MAX_SLOTS))),
            waiting_per_project: self.take("bounds.waiting_per_project", parse::number(0..=MOST_WAITING)),
            batch_events: self.take("bounds.batch_events", parse::number(1..=MOST_OF_A_STREAM)),
            meters_per_stream: self.take("bounds.meters_per_stream", parse::number(1..=MOST_OF_A_STREAM)),
            tombstones_per_book: self.take("bounds.tombstones_per_book", parse::number(1..=MOST_OF_ANY)),
            tombstone_age: self.take("bounds.tombstone_age", seconds(1, hour)),
            lease: self.take("bounds.lease", seconds(1, 300)),
            beat: self.take("bounds.beat", parse::duration(Duration::from_millis(100)..=Duration::from_secs(150))),
            unary_lease: (
                self.take("bounds.unary_lease_shortest", seconds(1, hour)),
                self.take("bounds.unary_lease_longest", seconds(1, hour)),
            ),
            late_after: self.take("bounds.late_after", seconds(0, 60)),
            late_until: self.take("bounds.late_until", seconds(60, hour)),
            learning: self.take("bounds.learning", seconds(1, 600)),
        }
    }

    /// What must hold between values.
    fn check_together(&mut self, bounds: &Bounds) {
        if bounds.beat * 2 > bounds.lease {
            let why = "a worker that loses one beat must not lose its lease";
            self.conflict("bounds.beat", "at most half of", "bounds.lease", why);
        }
        if bounds.learning < bounds.lease {
            let why = "after a restart, a worker may be away for as long as its lease";
            self.conflict("bounds.learning", "at least", "bounds.lease", why);
        }
        if bounds.unary_lease.0 > bounds.unary_lease.1 {
            self.conflict(
                "bounds.unary_lease_shortest",
                "at most",
                "bounds.unary_lease_longest",
                "no lease would be allowed",
            );
        }
    }

    /// Where nobody needs a key, nobody from elsewhere may come.
    fn check_listen(&mut self, config: &Config) {
        if config.dev && !config.listen.ip().is_loopback() {
            let why = "with `dev` nobody needs a key, and others could reach it there; leave `dev` out, and make a key with \
                       `highwater keys create`";
            self.conflict("listen", "a loopback address such as 127.0.0.1:7422 beside", "dev", why);
        }
    }

    /// The key file must outlive the store's machine, and not lie where what it protects does.
    fn check_key_file(&mut self, config: &Config) {
        let in_redis = matches!(config.store, StorePlace::Redis(_));
        if in_redis && !config.dev && config.access.key_file.is_none() && !self.is_wrong("access.key_file") {
            let origin = self.origin("store").unwrap_or(Origin::Default);
            let why = "`access.key_file` is needed beside it: a Redis does not hold the key that credentials are kept under; \
                       name a file that stays, which is made when it is not there";
            self.mistake(origin, "store", why);
        }
    }

    /// Where a setting was given; `None` when it was not.
    pub(super) fn origin(&self, key: &str) -> Option<Origin> {
        let effective = self.effective.iter().find(|effective| effective.setting.key == key)?;
        Some(effective.origin.clone()).filter(|origin| *origin != Origin::Default)
    }

    /// Whether a setting is wrong by itself.
    pub(super) fn is_wrong(&self, key: &str) -> bool {
        self.mistakes.iter().any(|mistake| mistake.key == key)
    }

    /// Adds a mistake.
    pub(super) fn mistake(&mut self, origin: Origin, key: &str, problem: impl Into<String>) {
        self.mistakes.push(Mistake { origin, key: key.to_owned(), problem: problem.into() });
    }

    /// A stream that is held back for a full batch must not lose its lease by that.
    fn check_rates(&mut self, config: &Config) {
        let rates = [
            ("bounds.stream_events_per_second", config.connections.stream_events),
            ("bounds.project_events_per_second", config.connections.project_events),
        ];
        for (key, rate) in rates {
            let in_half_a_lease = u64::from(rate.per_second) * config.bounds.lease.as_secs() / 2;
            if rate.per_second > 0 && in_half_a_lease < config.bounds.batch_events as u64 {
                let why = "a stream that waits for its turn with a full batch must not lose its lease";
                self.conflict(key, "enough for a batch within half of `bounds.lease`, of", "bounds.batch_events", why);
            }
        }
    }

    /// What is typed about TLS must be whole, and no address but loopback is served in plain text by mistake.
    fn check_tls(&mut self, config: &Config) {
        let tls = &config.tls;
        if tls.certificate.is_some() != tls.key.is_some() {
            let (given, other) = match tls.certificate {
                Some(_) => ("tls.certificate", "tls.key"),
                None => ("tls.key", "tls.certificate"),
            };
            self.wrong(given, format!("`{other}` is needed beside it: TLS takes a certificate and its key"));
        }
        let asks = tls.client_certificates != ClientCertificates::Off;
        if asks && tls.client_ca.is_none() {
            let problem = "`tls.client_ca` is needed beside it: the certificates that vouch for clients";
            self.wrong("tls.client_certificates", problem.to_owned());
        }
        if asks && tls.certificate.is_none() {
            let problem = "`tls.certificate` and `tls.key` are needed beside it: clients show theirs in TLS only";
            self.wrong("tls.client_certificates", problem.to_owned());
        }
        if tls.plaintext && tls.certificate.is_some() {
            let problem = "`tls.certificate` is set beside it: the port speaks TLS or plain text, leave one out";
            self.wrong("tls.plaintext", problem.to_owned());
        }
        let address = config.listen;
        if !address.ip().is_loopback() && tls.certificate.is_none() && !tls.plaintext {
            let problem = format!(
                "{address} can be reached from the network, and plain text is served on loopback only; set \
                 `tls.certificate` and `tls.key`, or `tls.plaintext` if a proxy in front speaks TLS, or use \
                 127.0.0.1:{port} or [::1]:{port}",
                port = address.port()
            );
            self.wrong("listen", problem);
        }
    }

    /// Adds a mistake at where a setting was given, unless it has one already.
    fn wrong(&mut self, key: &'static str, problem: String) {
        if self.mistakes.iter().any(|mistake| mistake.key == key) {
            return;
        }
        let Some(at) = self.effective.iter().find(|effective| effective.setting.key == key) else { return };
        self.mistakes.push(Mistake { origin: at.origin.clone(), key: key.to_owned(), problem });
    }

    /// Adds the mistake of two values that do not go together, at the one of higher precedence. Silent when either is
    /// wrong by itself: what is in force is then not what was meant.
    pub(super) fn conflict(&mut self, key: &'static str, relation: &str, other: &'static str, why: &str) {
        if self.mistakes.iter().any(|mistake| mistake.key == key || mistake.key == other) {
            return;
        }
        let of = |key| self.effective.iter().find(|effective| effective.setting.key == key);
        let (Some(one), Some(two)) = (of(key), of(other)) else { return };
        let problem = format!("`{key}` is {}; {relation} `{other}` ({}) is needed: {why}", one.text, two.text);
        let at = if two.origin > one.origin { two } else { one };
        let mistake = Mistake { origin: at.origin.clone(), key: at.setting.key.to_owned(), problem };
        self.mistakes.push(mistake);
    }
}
