//! What was typed, and what comes of it.

use clap::{Args, Command, FromArgMatches};

use super::*;
use crate::config::setting::SETTINGS;

/// The commented example that is shipped.
const EXAMPLE: &str = include_str!("../../data/highwater.toml");

fn flags(args: &[&str]) -> RawConfig {
    let command = RawConfig::augment_args(Command::new("highwater").no_binary_name(true));
    RawConfig::from_arg_matches(&command.try_get_matches_from(args).unwrap()).unwrap()
}

fn variable(key: &'static str, text: &str) -> RawConfig {
    let origin = Origin::Variable(setting::Setting::find(key).unwrap().variable().to_owned());
    RawConfig { given: vec![Given { key, text: text.to_owned(), origin }], ..RawConfig::default() }
}

fn file(text: &str) -> Option<(&Path, &str)> {
    Some((Path::new("h.toml"), text))
}

#[track_caller]
fn wrong(raw: &RawConfig, text: &str, expected: &[&str]) {
    let Mistakes(mistakes) = Config::build(raw, file(text)).unwrap_err();
    let mistakes: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(mistakes, expected);
}

/// A configuration without where its values come from.
fn values(config: &Config) -> Config {
    Config { effective: Vec::new(), ..config.clone() }
}

#[test]
fn the_defaults_are_right_and_ask_for_every_setting() {
    let config = Config::default();
    assert_eq!(config.bounds, Bounds::default());
    assert_eq!(config.listen.to_string(), "127.0.0.1:7422");
    assert_eq!((config.retention.points_days, config.retention.summaries_months), (8, 13));
    let asked: Vec<_> = config.effective.iter().map(|effective| effective.setting.key).collect();
    assert_eq!(asked, SETTINGS.iter().map(|setting| setting.key).collect::<Vec<_>>());
}

#[test]
fn a_mistyped_variable_is_a_mistake() {
    let raw = RawConfig { mistyped: vec![("HIGHWATER_LISTN".to_owned(), "HIGHWATER_LISTEN")], ..RawConfig::default() };
    wrong(&raw, "", &["HIGHWATER_LISTN: is not known; did you mean `HIGHWATER_LISTEN`?"]);
}

#[test]
fn the_example_says_every_default() {
    let config = Config::build(&RawConfig::default(), file(EXAMPLE)).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(values(&config), values(&Config::default()));
    for effective in &config.effective {
        let (_, name) = effective.setting.split();
        let said = effective.origin != Origin::Default || EXAMPLE.contains(&format!("\n# {name} = "));
        assert!(said, "{} is not in the example", effective.setting.key);
    }
}

#[test]
fn a_flag_comes_before_a_variable_and_a_variable_before_the_file() {
    let text = "listen = '127.0.0.1:1'\nthreads = 1\nlog = 'warn'\n[bounds]\nlease = 30\nlearning = '1min'\n";
    let mut raw = flags(&["--listen", "127.0.0.1:3", "--simulation", "--bounds-beat=1500ms"]);
    raw.given.extend(variable("listen", "127.0.0.1:2").given);
    raw.given.extend(variable("threads", "2").given);
    let config = Config::build(&raw, file(text)).unwrap();
    assert_eq!((config.listen.port(), config.threads, &*config.log, config.simulation), (3, 2, "warn", true));
    let millis = [config.bounds.lease, config.bounds.beat, config.bounds.learning].map(|d| d.as_millis());
    assert_eq!(millis, [30_000, 1_500, 60_000]);
}

#[test]
fn every_mistake_is_named_with_where_it_was_made() {
    let mut raw = flags(&["--log-format", "xml", "--retention-points-days=3"]);
    raw.given.extend(variable("listen", "0.0.0.0").given);
    let text = "lisen = 'x'\nlisten = 'here'\nlease = '5s'\nthreads = 1.5\n[bounds]\nlaese = 3\nlearning = 'soon'\n";
    wrong(
        &raw,
        text,
        &[
            "h.toml:1: lisen: is not known; did you mean `listen`?",
            "h.toml:2: listen: \"here\" is not an address and a port; write it as 127.0.0.1:7422 or [::1]:7422",
            "h.toml:3: lease: is not known; did you mean `bounds.lease`?",
            "h.toml:4: threads: is of type float; a string, a whole number or a switch is needed",
            "h.toml:6: bounds.laese: is not known; did you mean `bounds.lease`?",
            "h.toml:7: bounds.learning: \"soon\" is not a duration; write one such as 10s, 500ms or 15min",
            "HIGHWATER_LISTEN: \"0.0.0.0\" is not an address and a port; write it as 127.0.0.1:7422 or [::1]:7422",
            "--log-format: \"xml\" is not a format; write text or json",
            "--retention-points-days: \"3\" is not a whole number from 7 to 366",
        ],
    );
}

#[test]
fn values_that_do_not_go_together_are_named_where_they_were_given() {
    wrong(
        &flags(&["--bounds-unary-lease-longest", "5s"]),
        "[bounds]\nlease = '4s'\n",
        &[
            "h.toml:2: bounds.lease: `bounds.beat` is 3s; at most half of `bounds.lease` (4s) is needed: a worker that \
             loses one beat must not lose its lease",
            "--bounds-unary-lease-longest: `bounds.unary_lease_shortest` is 10s; at most `bounds.unary_lease_longest` \
             (5s) is needed: no lease would be allowed",
        ],
    );
}

#[test]
fn without_keys_only_loopback_is_listened_on() {
    for (listen, is_taken) in
        [("127.0.0.1:0", true), ("[::1]:7422", true), ("0.0.0.0:7422", false), ("[::]:7422", false)]
    {
        let keyed = Config::build(&flags(&["--listen", listen, "--tls-plaintext"]), None);
        assert!(keyed.is_ok(), "{listen}");
        let dev = Config::build(&flags(&["--listen", listen, "--tls-plaintext", "--dev"]), None);
        assert_eq!(dev.is_ok(), is_taken, "{listen}");
    }
    wrong(
        &flags(&["--dev", "--tls-plaintext"]),
        "listen = '10.0.0.1:7422'\n",
        &[
            "--dev: `listen` is 10.0.0.1:7422; a loopback address such as 127.0.0.1:7422 beside `dev` (true) is needed: \
           with `dev` nobody needs a key, and others could reach it there; leave `dev` out, and make a key with \
           `highwater keys create`",
        ],
    );
}

#[test]
fn plain_text_is_served_on_loopback_only() {
    let pair = ["--tls-certificate", "a.crt", "--tls-key", "a.key"];
    for (listen, alone) in [("127.0.0.1:0", true), ("[::1]:7422", true), ("0.0.0.0:7422", false), ("[::]:7422", false)]
    {
        let build = |more: &[&str]| Config::build(&flags(&[&["--listen", listen], more].concat()), None);
        assert_eq!(build(&[]).is_ok(), alone, "{listen}");
        assert!(build(&pair).is_ok() && build(&["--tls-plaintext"]).is_ok(), "{listen}");
    }
    wrong(
        &RawConfig::default(),
        "listen = '10.0.0.1:7422'\n",
        &[
            "h.toml:1: listen: 10.0.0.1:7422 can be reached from the network, and plain text is served on loopback only; \
           set `tls.certificate` and `tls.key`, or `tls.plaintext` if a proxy in front speaks TLS, or use 127.0.0.1:7422 \
           or [::1]:7422",
        ],
    );
}

#[test]
fn a_store_in_redis_needs_the_file_of_its_key_named() {
    let store = "--store=redis://127.0.0.1:6379";
    assert!(Config::build(&flags(&[store, "--access-key-file", "key"]), None).is_ok());
    assert!(Config::build(&flags(&[store, "--dev"]), None).is_ok(), "where nobody needs a key");
    wrong(
        &flags(&[store]),
        "",
        &[
            "--store: `access.key_file` is needed beside it: a Redis does not hold the key that credentials are kept under; \
           name a file that stays, which is made when it is not there",
        ],
    );
}

#[test]
fn what_is_said_of_tls_is_whole() {
    wrong(
        &flags(&["--tls-client-certificates=required", "--tls-certificate", "a.crt"]),
        "",
        &[
            "--tls-certificate: `tls.key` is needed beside it: TLS takes a certificate and its key",
            "--tls-client-certificates: `tls.client_ca` is needed beside it: the certificates that vouch for clients",
        ],
    );
    let pair = "[tls]\ncertificate = 'a'\nkey = 'b'\n";
    wrong(
        &flags(&["--tls-plaintext", "--tls-client-certificates", "maybe"]),
        pair,
        &[
            "--tls-client-certificates: \"maybe\" is not how client certificates are taken; write off, optional or \
             required",
            "--tls-plaintext: `tls.certificate` is set beside it: the port speaks TLS or plain text, leave one out",
        ],
    );
}

#[test]
fn a_rate_below_a_batch_in_half_a_lease_is_a_mistake() {
    assert!(Config::build(&flags(&["--bounds-stream-events-per-second=0"]), None).is_ok());
    wrong(
        &flags(&["--bounds-stream-events-per-second=100"]),
        "",
        &[
            "--bounds-stream-events-per-second: `bounds.stream_events_per_second` is 100; enough for a batch within half of \
           `bounds.lease`, of `bounds.batch_events` (4096) is needed: a stream that waits for its turn with a full batch \
           must not lose its lease",
        ],
    );
}

#[test]
fn what_is_described_can_be_read_again() {
    let raw = flags(&["--store", "a \"b\".redb", "--threads=03", "--catalogue", "more.toml", "--bounds-learning=20s"]);
    let config = Config::build(&raw, file("simulation = true\n")).unwrap();
    let text = config.describe();
    let lines = [
        "listen = \"127.0.0.1:7422\"  # default",
        "threads = 3  # --threads",
        "simulation = true  # h.toml:1",
        "# plans is not set",
        "[bounds]",
        "learning = \"20s\"  # --bounds-learning",
    ];
    for line in lines {
        assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
    }
    let again = Config::build(&RawConfig::default(), file(&text)).unwrap();
    assert_eq!(values(&again), values(&config));
}

#[test]
fn a_file_that_is_not_there_is_a_mistake_among_others() {
    let raw = flags(&["--config", "/nowhere/h.toml", "--threads", "many"]);
    let message = load(&raw).unwrap_err().to_string();
    assert!(message.starts_with("the configuration has 2 mistakes:\n  --config: /nowhere/h.toml can't be read: "));
    assert!(message.ends_with("\n  --threads: \"many\" is not a whole number from 0 to 1024"), "{message}");
}

#[test]
fn a_file_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("highwater.toml");
    fs::write(&path, "threads = 0x10\nsimulation = true\n").unwrap();
    let config = load(&flags(&["--config", path.to_str().unwrap()])).unwrap();
    assert_eq!((config.threads, config.simulation), (16, true));
}

#[test]
fn help_names_every_flag_and_its_variable() {
    let help = RawConfig::augment_args(Command::new("highwater")).render_long_help().to_string();
    for setting in SETTINGS {
        assert!(help.contains(&format!("--{}", setting.flag())), "{}", setting.key);
        assert!(help.contains(setting.variable()), "{}", setting.key);
    }
    let short = RawConfig::augment_args(Command::new("highwater")).render_help().to_string();
    assert!(!short.contains("--bounds-lease"));
}
