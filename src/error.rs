//! What can go wrong with a request, and the gRPC status that says so. What the client is told and what is logged are
//! two texts: a client must never learn where the service keeps its files.

use std::{borrow::Cow, fmt, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::model::KeyError;

/// Longest text of an error that a client is sent, in bytes: message and details, each encoded, then fit into the 8 KiB
/// that clients take as trailers.
const MAX_TEXT_BYTES: usize = 512;
/// Whose reasons the `ErrorInfo` details give.
const DOMAIN: &str = "highwater";
/// When to try again what failed because a store or the service is away.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldProblem {
    /// Path from the message that is looked at: `labels.room`, `events[3].connect.session_id`.
    pub field: String,
    /// What is wrong with it, and what would be right.
    pub problem: String,
}

impl FieldProblem {
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }

    /// The same, seen from the message that holds the one that was looked at.
    #[must_use]
    pub fn within(self, outer: impl fmt::Display) -> Self {
        Self { field: format!("{outer}.{}", self.field), ..self }
    }
}

impl From<KeyError> for FieldProblem {
    fn from(error: KeyError) -> Self {
        Self::new(error.field, error.problem)
    }
}

/// Why a request is not done. One variant a way to react for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The request is wrong: mend it.
    Invalid(FieldProblem),
    /// It is right, but not now: something must be done before.
    OutOfOrder(Cow<'static, str>),
    /// There is no such thing.
    NotFound { what: &'static str, name: String },
    /// Nobody is known by what was presented: why, and what would be right.
    Unauthenticated(Cow<'static, str>),
    /// It is known who asks, and that they may not.
    Forbidden(Cow<'static, str>),
    /// Too many failed from there, or by that key.
    TooManyFailures,
    /// There is no such call, or none that is served.
    Unserved,
    /// There is one of that name already.
    Exists { what: &'static str, name: String },
    /// A bound of the configuration, by its name, and the most that is taken.
    Bound { name: &'static str, most: u64 },
    /// A bound on how often, by its name, and when there is room again.
    Rate { name: &'static str, per_second: u32, after: Duration },
    /// So many wait already that one more would only wait too long.
    Busy { name: &'static str, most: usize },
    /// A newer stream of the same incarnation took over: this one is to end.
    Superseded,
    /// The service goes away.
    ShuttingDown,
    /// The store does not answer.
    Store { detail: String },
    /// A key was revoked in this process alone: the store does not answer.
    RevokedHere { detail: String },
    /// A mistake of the service.
    Internal { detail: String },
}

impl Error {
    /// A field of the request is wrong.
    pub fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid(FieldProblem::new(field, problem))
    }

    /// The same, with a field that is wrong seen from the message that holds the one that was looked at.
    #[must_use]
    pub fn within(self, outer: &str) -> Self {
        match self {
            Self::Invalid(problem) => Self::Invalid(problem.within(outer)),
            other => other,
        }
    }

    pub const fn code(&self) -> Code {
        match self {
            Self::Invalid(_) => Code::InvalidArgument,
            Self::OutOfOrder(_) => Code::FailedPrecondition,
            Self::NotFound { .. } => Code::NotFound,
            Self::Unauthenticated(_) => Code::Unauthenticated,
            Self::Forbidden(_) => Code::PermissionDenied,
            Self::Unserved => Code::Unimplemented,
            Self::Exists { .. } => Code::AlreadyExists,
            Self::Bound { .. } | Self::Rate { .. } | Self::Busy { .. } | Self::TooManyFailures => {
                Code::ResourceExhausted
            }
            Self::Superseded => Code::Aborted,
            Self::ShuttingDown | Self::Store { .. } | Self::RevokedHere { .. } => Code::Unavailable,
            Self::Internal { .. } => Code::Internal,
        }
    }

    /// What the client is told.
    pub fn client_message(&self) -> String {
        match self {
            Self::Invalid(FieldProblem { field, problem }) => format!("{field}: {problem}"),
            Self::OutOfOrder(problem) | Self::Unauthenticated(problem) | Self::Forbidden(problem) => {
                problem.to_string()
            }
            Self::Unserved => "there is no such call".to_owned(),
            Self::Exists { what, name } => format!("there is {what} {name} already"),
            Self::TooManyFailures => "too many credentials failed from this address or by this key: wait".to_owned(),
            Self::NotFound { what, name } => format!("there is no {what} {name}"),
            Self::Bound { name, most } => format!("{name}: at most {most} are taken; the bound is configured"),
            Self::Rate { name, per_second, after } => format!(
                "{name}: at most {per_second} a second are taken on average; try again in {:.1} s; the bound is configured",
                (after.as_secs_f64() * 10.0).ceil().max(1.0) / 10.0
            ),
            Self::Busy { name, most } => format!("{name}: {most} wait already: try again"),
            Self::Superseded => "a newer stream of this incarnation took over".to_owned(),
            Self::ShuttingDown => "the service is shutting down: try again".to_owned(),
            Self::Store { .. } => "the store does not answer: try again".to_owned(),
            Self::RevokedHere { .. } => {
                "the key is revoked in this service, and what is open on it ends; the store does not \
                                         answer and is told when it does: revoke it again if the service is restarted \
                                         before"
                    .to_owned()
            }
            Self::Internal { .. } => "the service made a mistake; its log says more".to_owned(),
        }
    }

    /// What is logged, where that is more than the client is told.
    pub fn log_message(&self) -> Option<&str> {
        match self {
            Self::Store { detail } | Self::RevokedHere { detail } | Self::Internal { detail } => Some(detail),
            _ => None,
        }
    }

    /// When the same may be done if it is tried again.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Rate { after, .. } => Some(*after),
            Self::Busy { .. } | Self::TooManyFailures | Self::ShuttingDown | Self::Store { .. } => Some(RETRY_AFTER),
            _ => None,
        }
    }

    fn details(&self) -> ErrorDetails {
        match self {
            Self::Invalid(FieldProblem { field, problem }) => {
                ErrorDetails::with_bad_request_violation(cut(field.clone()), cut(problem.clone()))
            }
            Self::OutOfOrder(problem) => {
                ErrorDetails::with_precondition_failure_violation("ORDER", "stream", problem.as_ref())
            }
            Self::NotFound { what, name } => ErrorDetails::with_resource_info(*what, cut(name.clone()), "", ""),
            Self::Bound { name, most } => {
                ErrorDetails::with_quota_failure_violation(*name, format!("at most {most} are taken"))
            }
            Self::Unauthenticated(_) => ErrorDetails::with_error_info("UNAUTHENTICATED", DOMAIN, []),
            Self::Forbidden(_) => ErrorDetails::with_error_info("FORBIDDEN", DOMAIN, []),
            Self::Exists { what, name } => ErrorDetails::with_resource_info(*what, cut(name.clone()), "", ""),
            Self::Rate { name, per_second, .. } => {
                let mut details = ErrorDetails::with_retry_info(self.retry_after());
                details.add_quota_failure_violation(*name, format!("at most {per_second} a second are taken"));
                details
            }
            Self::Superseded => ErrorDetails::with_error_info("SUPERSEDED", DOMAIN, []),
            Self::Busy { .. } | Self::TooManyFailures | Self::ShuttingDown | Self::Store { .. } => {
                ErrorDetails::with_retry_info(self.retry_after())
            }
            Self::RevokedHere { .. } => ErrorDetails::with_error_info("REVOKED_HERE", DOMAIN, []),
            Self::Internal { .. } | Self::Unserved => ErrorDetails::new(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.log_message() {
            Some(detail) => f.write_str(detail),
            None => f.write_str(&self.client_message()),
        }
    }
}

impl std::error::Error for Error {}

impl From<FieldProblem> for Error {
    fn from(problem: FieldProblem) -> Self {
        Self::Invalid(problem)
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        if let Some(detail) = error.log_message() {
            tracing::error!(detail, "a request failed");
        }
        let mut status = Self::with_error_details(error.code(), cut(error.client_message()), error.details());
        if let Some(after) = error.retry_after() {
            // gRPC's own word for it, which clients with a retry policy heed.
            let millis = u64::try_from(after.as_millis()).unwrap_or(u64::MAX).max(1);
            status.metadata_mut().insert("grpc-retry-pushback-ms", millis.into());
        }
        status
    }
}

impl From<FieldProblem> for Status {
    fn from(problem: FieldProblem) -> Self {
        Error::from(problem).into()
    }
}

/// Texts may quote what the client sent: they are cut where they would not fit.
fn cut(mut text: String) -> String {
    if text.len() > MAX_TEXT_BYTES {
        text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
        text.push('…');
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_status_names_the_field() {
        let problem = FieldProblem::new("room", "has 65 bytes").within("labels").within("events.events[3].connect");
        let status = Status::from(Error::from(problem));
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "events.events[3].connect.labels.room: has 65 bytes");
        let violations = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, "events.events[3].connect.labels.room");
    }

    #[test]
    fn a_status_names_the_bound_and_its_value() {
        let status = Status::from(Error::Bound { name: "batch_events", most: 4_096 });
        let violation = status.get_details_quota_failure().unwrap().violations.remove(0);
        assert_eq!(
            (violation.subject.as_str(), violation.description.as_str()),
            ("batch_events", "at most 4096 are taken")
        );
    }

    #[test]
    fn a_client_never_learns_what_the_store_said() {
        let status = Status::from(Error::Store { detail: "/var/lib/highwater: no space".into() });
        assert_eq!((status.code(), status.message()), (Code::Unavailable, "the store does not answer: try again"));
        assert!(status.get_details_retry_info().is_some());
    }

    #[test]
    fn long_quotes_are_cut() {
        let status = Status::from(Error::invalid("model", "ü".repeat(100_000)));
        assert!(status.message().len() < MAX_TEXT_BYTES + 8);
        assert!(status.details().len() < 3 * MAX_TEXT_BYTES);
    }
}
