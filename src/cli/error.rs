//! What went wrong, what to do about it, and the exit code that says so.

use std::{fmt, io, process::ExitCode};

use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{cli::text, config::place::without_passwords, store::StoreError};

/// Exit codes, as `--help` documents them.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed
  2  the command line has a mistake
  3  the service can't be reached, or it or its store does not answer
  4  what was asked for does not exist
  5  what was given has mistakes (a file, a configuration, a value that the service refused)";

/// What to do about a store in Redis that can't be reached.
pub const AWAY: &str = "is Redis running there, and is it what the address says? redis:// is one server, rediss:// one with \
                        TLS, redis-cluster:// a cluster, redis-sentinel:// the Sentinels of one";

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub enum CliError {
    /// Exit code 1.
    Failed { message: String, hint: Option<String> },
    /// The command line has a mistake that clap can't see. Exit code 2.
    Usage(String),
    /// Exit code 3.
    Unreachable { server: String, cause: String },
    /// The service is there and does not do it now. Exit code 3, too: the same may be done later.
    Unready { server: String, cause: String },
    /// A store that a command uses itself is away. Exit code 3.
    Away { message: String, hint: Option<String> },
    /// Exit code 4.
    NotFound { message: String, hint: Option<String> },
    /// Exit code 5.
    Mistakes { message: String, hint: Option<String> },
    /// Standard output can't be written; quiet when its reader is gone, as `| head` is.
    Output(io::Error),
}

impl CliError {
    /// A failure without a hint.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), hint: None }
    }

    /// What a store's refusal means to the person at the terminal.
    pub fn from_store(error: StoreError) -> Self {
        let message = error.to_string();
        let hint = |words: &str| Some(words.to_owned());
        match &error {
            StoreError::Unavailable(words) if words.contains("No such file") => Self::NotFound {
                message,
                hint: hint("a service makes its store when it starts; --store names another"),
            },
            error if error.is_in_use() => Self::Failed {
                message,
                hint: hint("stop the service that uses it, or name another store with --store"),
            },
            StoreError::Unavailable(words) if words.contains("there is a store already") => {
                Self::Failed { message, hint: hint("--replace puts the backup in its place") }
            }
            error if error.is_away() => Self::Away { message, hint: hint(AWAY) },
            _ => Self::Failed { message, hint: None },
        }
    }

    /// What a service's refusal means to the person at the terminal.
    pub fn from_status(status: &Status, server: &str) -> Self {
        let message = message(status);
        let hint = hint(status);
        match status.code() {
            // With a cause, the status is this side's own: the way to the service broke, in TLS for example.
            _ if std::error::Error::source(status).is_some() => {
                Self::Unreachable { server: server.to_owned(), cause: cause(status) }
            }
            // With details, it is the service that says so.
            Code::Unavailable if !status.details().is_empty() => {
                Self::Unready { server: server.to_owned(), cause: message }
            }
            Code::Unavailable => Self::Unreachable { server: server.to_owned(), cause: cause(status) },
            Code::NotFound => Self::NotFound { message, hint },
            Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => Self::Mistakes { message, hint },
            // The connection was made within a time of its own.
            Code::DeadlineExceeded => {
                let cause = match status.message() {
                    "" => "it took the request, and did not answer in time",
                    said => said,
                };
                Self::Unready { server: server.to_owned(), cause: cause.to_owned() }
            }
            Code::Unimplemented => Self::Failed {
                message: format!("{server} does not know this request"),
                hint: Some("is it a Highwater service, of this version or newer? `highwater status` tells".to_owned()),
            },
            _ => Self::Failed { message, hint },
        }
    }

    fn code(&self) -> u8 {
        match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Failed { .. } | Self::Output(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable { .. } | Self::Unready { .. } | Self::Away { .. } => 3,
            Self::NotFound { .. } => 4,
            Self::Mistakes { .. } => 5,
        }
    }

    /// What is to be said on stderr; nothing when the reader of the output is gone.
    fn report(&self) -> String {
        let (message, hint) = match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return String::new(),
            Self::Output(error) => (format!("the output can't be written: {error}"), None),
            Self::Failed { message, hint }
            | Self::Away { message, hint }
            | Self::NotFound { message, hint }
            | Self::Mistakes { message, hint } => (message.clone(), hint.clone()),
            Self::Usage(message) => (message.clone(), Some("`--help` says more".to_owned())),
            Self::Unreachable { server, cause } => (
                format!("can't reach the service at {server}: {cause}"),
                Some(unreachable_hint(server, cause).to_owned()),
            ),
            Self::Unready { server, cause } => (
                format!("the service at {server} is there, but: {cause}"),
                Some(format!(
                    "most often it waits for its store: `highwater status`, {}/readyz and its log say what is wrong",
                    server.trim_end_matches('/')
                )),
            ),
        };
        let shown = |words: &str| text::lines(&without_passwords(words));
        let hint = hint.map(|hint| format!("\n  {}", shown(&hint))).unwrap_or_default();
        format!("highwater: {}{hint}\n", shown(&message))
    }

    /// Says it on stderr, and gives the exit code.
    pub fn exit(&self) -> ExitCode {
        eprint!("{}", self.report());
        ExitCode::from(self.code())
    }
}

/// What is said when a service ends a connection by TLS before a word was heard, or without one: which of them, is a matter of
/// what comes first.
const ENDED: [&str; 9] = [
    "CertificateRequired",
    "CertificateUnknown",
    "UnknownCA",
    "BadCertificate",
    "broken pipe",
    "connection closed",
    "connection was closed",
    "onnection reset",
    "unexpected end of file",
];

/// What to do about a service that can't be reached. What is said of certificates comes from rustls.
fn unreachable_hint(server: &str, cause: &str) -> &'static str {
    if cause.contains("CaUsedAsEndEntity") {
        "its certificate is that of a CA, which no client takes: give it one of its own (basicConstraints=CA:FALSE)"
    } else if cause.contains("invalid peer certificate") {
        "its certificate is not trusted here: name the file of the CA that signed it with --ca or HIGHWATER_CA"
    } else if server.starts_with("https") && ENDED.iter().any(|said| cause.contains(said)) {
        "it ended the connection: where it asks for a certificate of clients, name one that its CA signed with --cert and \
         --cert-key, or HIGHWATER_CERT and HIGHWATER_CERT_KEY"
    } else {
        "is the service running? start it with `highwater serve`, or name another with --server"
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<serde_json::Error> for CliError {
    fn from(error: serde_json::Error) -> Self {
        Self::Output(error.into())
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.report().trim_end())
    }
}

/// The message of a status, and under it each field that has a mistake and each bound that was reached.
fn message(status: &Status) -> String {
    let details = status.get_error_details();
    let fields = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
    let bounds = details.quota_failure().map(|quota| quota.violations.as_slice()).unwrap_or_default();
    let mut message = match status.message() {
        "" => format!("the service refused: {:?}", status.code()),
        message => message.to_owned(),
    };
    let fields = fields.iter().map(|field| format!("{}: {}", field.field, field.description));
    let bounds = bounds.iter().map(|bound| format!("{}: {}", bound.subject, bound.description));
    for detail in fields.chain(bounds) {
        // A message about one field alone says all of it already.
        if !message.contains(&detail) {
            message.push_str(&format!("\n  {detail}"));
        }
    }
    message
}

/// What to do, by the status's own help or by its code.
fn hint(status: &Status) -> Option<String> {
    let details = status.get_error_details();
    if let Some(link) = details.help().and_then(|help| help.links.first()) {
        return Some(format!("{}: {}", link.description, link.url));
    }
    match status.code() {
        Code::Unauthenticated => Some(
            "give a key with --key, HIGHWATER_KEY or --key-file; `highwater keys create` makes one, the first one of a \
             store with --store and the service stopped"
                .to_owned(),
        ),
        Code::PermissionDenied => {
            Some("`highwater keys whoami` says what your key may do; an operator makes another".to_owned())
        }
        Code::ResourceExhausted => Some("the service's bounds are in its configuration, under [bounds]".to_owned()),
        _ => None,
    }
}

/// Why a service can't be reached: the innermost cause says most.
fn cause(status: &Status) -> String {
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(status);
    let mut innermost = None;
    while let Some(error) = cause {
        innermost = Some(error.to_string());
        cause = error.source();
    }
    innermost.unwrap_or_else(|| status.message().to_owned())
}

#[cfg(test)]
mod tests {
    use tonic_types::{ErrorDetails, FieldViolation};

    use super::*;

    #[track_caller]
    fn check(status: &Status, code: u8, report: &str) {
        let error = CliError::from_status(status, "http://127.0.0.1:7422");
        assert_eq!((error.code(), error.report().as_str()), (code, report));
    }

    #[test]
    fn mistakes_are_told_field_by_field() {
        let mut details = ErrorDetails::new();
        details.set_bad_request(vec![
            FieldViolation::new("target.meter.model", "\"sonic\" is not provider/model"),
            FieldViolation::new("slots", "is missing"),
        ]);
        let status = Status::with_error_details(Code::InvalidArgument, "the request has mistakes", details);
        let report = "highwater: the request has mistakes\n  target.meter.model: \"sonic\" is not provider/model\n  \
                      slots: is missing\n";
        check(&status, 5, report);

        let mut details = ErrorDetails::new();
        details.set_bad_request(vec![FieldViolation::new("slots", "is missing")]);
        let status = Status::with_error_details(Code::InvalidArgument, "slots: is missing", details);
        check(&status, 5, "highwater: slots: is missing\n");
    }

    #[test]
    fn each_kind_of_failure_has_its_exit_code_and_hint() {
        check(&Status::not_found("no project `x`"), 4, "highwater: no project `x`\n");
        check(&Status::internal("store: full"), 1, "highwater: store: full\n");
        check(&Status::internal(""), 1, "highwater: the service refused: Internal\n");
        check(
            &Status::unavailable("connection refused"),
            3,
            "highwater: can't reach the service at http://127.0.0.1:7422: connection refused\n  is the service running? \
             start it with `highwater serve`, or name another with --server\n",
        );
        for (cause, hint) in [("UnknownIssuer", "with --ca or HIGHWATER_CA"), ("Other(CaUsedAsEndEntity)", "CA:FALSE")]
        {
            let said = format!("invalid peer certificate: {cause}");
            let error = CliError::from_status(&Status::unavailable(said), "https://127.0.0.1:7422");
            assert!(error.report().contains(hint), "{}", error.report());
        }
        check(
            &Status::resource_exhausted("too many\u{1b}[31m"),
            1,
            "highwater: too many\u{fffd}[31m\n  the service's bounds are in its configuration, under [bounds]\n",
        );
    }

    #[test]
    fn a_service_that_is_there_and_does_not_answer_is_not_called_unreachable() {
        let hint = "\n  most often it waits for its store: `highwater status`, http://127.0.0.1:7422/readyz and its log say \
                    what is wrong\n";
        let told =
            |cause: &str| format!("highwater: the service at http://127.0.0.1:7422 is there, but: {cause}{hint}");
        check(&Status::deadline_exceeded(""), 3, &told("it took the request, and did not answer in time"));
        check(&Status::deadline_exceeded("not within 30 s"), 3, &told("not within 30 s"));
        let store = crate::error::Error::Store { detail: "/var/lib/store.redb: full".to_owned() };
        check(&store.into(), 3, &told("the store does not answer: try again"));
    }

    #[test]
    fn no_password_of_an_address_is_said() {
        let error = CliError::from_status(&Status::unavailable("refused"), "http://me:secret@127.0.0.1:7422");
        assert!(error.report().contains("http://***@127.0.0.1:7422: refused"), "{}", error.report());
    }

    #[test]
    fn a_reader_that_is_gone_is_no_failure() {
        let gone = CliError::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((gone.code(), gone.report().as_str()), (0, ""));
        let full = CliError::from(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!((full.code(), CliError::Usage(String::new()).code()), (1, 2));
    }
}
