//! Who calls, and whether they may: looked at once for every call, before its service sees it. What has no row in the
//! [`table`] is not served.
//!
//! - [`browser`]: calls that are signed in by a cookie.
//! - [`table`]: who may call what.
//! - [`standing`]: what a stream was let in by, for as long as it is open.

pub mod browser;
pub mod standing;
pub mod table;

use std::{net::IpAddr, sync::Arc};

use axum::http::{self, HeaderMap};
use tonic::Request;

use crate::{
    access::{Pass, Refused, Role, audit::Entry},
    api::{auth::table::Rule, peer::Peer},
    error::Error,
    model::{Now, Project, key::DEFAULT_PROJECT},
    service::{Actor, Clock, Service},
};

/// The header that a credential comes in.
const AUTHORIZATION: &str = "authorization";
/// What stands before it there; any case of letters is taken.
const BEARER: &str = "bearer ";
/// The header in which a client names its request; it is kept with what the request changes.
const REQUEST_ID: &str = "x-request-id";
/// Longest name of a request, in bytes; a longer one is not kept.
const MAX_REQUEST_ID_BYTES: usize = 64;
/// Who acts where nobody needs a key.
const DEV: &str = "dev";
/// The service of which failed calls are kept in the audit log, as failed sign-ins of browsers are.
const ADMIN: &str = "/highwater.v1.AdminService/";

/// Who calls.
#[derive(Clone, Debug)]
pub struct Caller {
    /// What they were let in by; `None` where nobody needs a key.
    pass: Option<Pass>,
    role: Role,
    project: Project,
    peer: Arc<Peer>,
    request_id: Box<str>,
}

/// What of a call is looked at.
trait Headers {
    fn text(&self, name: &str) -> Option<&str>;
}

impl Headers for HeaderMap {
    fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.to_str().ok()
    }
}

impl Caller {
    /// Who made a call that came through the gate.
    ///
    /// # Errors
    /// `Internal` when it did not.
    pub fn of<T>(request: &Request<T>) -> Result<Arc<Self>, Error> {
        let caller = request.extensions().get::<Arc<Self>>().cloned();
        caller.ok_or_else(|| Error::Internal { detail: "a call came past the gate".to_owned() })
    }

    /// Who calls where nobody needs a key: an operator of the project `default`.
    pub fn anyone(peer: Arc<Peer>, request_id: &str) -> Arc<Self> {
        let project = Project::new(DEFAULT_PROJECT).expect("OK because the name of the default is one");
        Arc::new(Self { pass: None, role: Role::Operator, project, peer, request_id: request_id.into() })
    }

    pub fn role(&self) -> Role {
        self.role
    }

    pub fn project(&self) -> &Project {
        &self.project
    }

    pub fn pass(&self) -> Option<&Pass> {
        self.pass.as_ref()
    }

    pub fn is_operator(&self) -> bool {
        self.role == Role::Operator
    }

    /// Fills in the project of a request: the caller's own when it names none.
    ///
    /// # Errors
    /// `Invalid` when it is no name. `NotFound` when it is another than the caller's, the same whether there is one of that
    /// name or not: nothing is looked up for it.
    pub fn scope(&self, named: &mut String) -> Result<(), Error> {
        if named.is_empty() {
            *named = self.project.to_string();
            return Ok(());
        }
        let project = Project::new(named).map_err(crate::error::FieldProblem::from)?;
        match self.is_operator() || project == self.project {
            true => Ok(()),
            false => Err(Error::NotFound { what: "project", name: project.to_string() }),
        }
    }

    /// The caller as the audit log names them.
    pub fn actor(&self) -> Actor {
        let key = self.pass.as_ref().map_or(DEV, Pass::id).into();
        let role = self.pass.as_ref().map(|_| self.role);
        Actor { key, role, address: self.peer.address(), request_id: self.request_id.clone() }
    }
}

/// Looks at a call: who makes it, and whether they may by its rule. `None` for what is open to all.
///
/// # Errors
/// `Unauthenticated` when nobody is known by what was presented, `Forbidden` when they may not, or not on this connection,
/// or when it can't be known that a browser's call was made by the page, `TooManyFailures`.
pub fn admit<B>(
    service: &Service,
    rule: Rule,
    request: &http::Request<B>,
    peer: &Arc<Peer>,
) -> Result<Option<Arc<Caller>>, Error> {
    let headers = request.headers();
    let roles = match rule {
        Rule::Open => return Ok(None),
        Rule::Roles(roles) => roles,
    };
    let request_id = headers.text(REQUEST_ID).filter(|id| id.len() <= MAX_REQUEST_ID_BYTES).unwrap_or_default();
    if service.config.dev {
        browser::is_not_foreign(request)?;
        return Ok(Some(Caller::anyone(peer.clone(), request_id)));
    }
    let signed_in = match headers.contains_key(AUTHORIZATION) {
        true => None,
        false => browser::signed_in(service, request, peer)?,
    };
    let pass = match signed_in {
        Some(pass) => pass,
        None => authenticate(service, request.uri().path(), headers, peer)?,
    };
    let (role, project) = (pass.role(), pass.project().clone());
    let caller = Caller { pass: Some(pass), role, project, peer: peer.clone(), request_id: request_id.into() };
    if !roles.has(role) {
        let words = format!("a key of the role {role} may not do this: {} is needed", roles.one_of());
        let forbidden = Error::Forbidden(words.into());
        if let Some(call) = request.uri().path().strip_prefix(ADMIN) {
            note_forbidden(service, &caller, call, &forbidden);
        }
        return Err(forbidden);
    }
    Ok(Some(Arc::new(caller)))
}

/// Keeps for the audit log that a key which is good tried what it may not; nothing is kept of other errors.
pub fn note_forbidden(service: &Service, caller: &Caller, call: &str, error: &Error) {
    let Error::Forbidden(why) = error else { return };
    let entry = caller.actor().entry("auth.forbidden", caller.project.as_str(), call);
    let now = service.clock.now().mono;
    service.access.failures.remember_forbidden(Entry { after: why.to_string(), ..entry }, now);
}

/// What a stream that `caller` opened may go on with.
///
/// # Errors
/// As [`admit`]; `Forbidden` when it is of another project or may not report.
pub fn renew(service: &Service, token: &str, caller: &Caller) -> Result<Pass, Error> {
    let path = "/highwater.v1.IngestService/Attach";
    let refused = |failed| refuse(service, path, failed, caller.peer.address(), service.clock.now());
    let pass = service.access.verify(token, Clock::wall()).map_err(refused)?;
    caller.peer.may_use(&pass)?;
    let may_report = matches!(table::rule(path), Some(Rule::Roles(roles)) if roles.has(pass.role()));
    // An operator's stream may be of any project, so that only the role counts there.
    let same = pass.project() == caller.project() || pass.role() == Role::Operator && caller.is_operator();
    match may_report && same {
        true => Ok(pass),
        false => Err(Error::Forbidden("the new credential is not one that this stream could be opened with".into())),
    }
}

/// Whether whoever presents this may scrape the metrics of all projects. Everyone may where only this machine can ask.
///
/// # Errors
/// As [`admit`].
pub fn may_scrape(service: &Service, headers: &HeaderMap, peer: &Peer) -> Result<(), Error> {
    if service.config.dev || service.config.listen.ip().is_loopback() {
        return Ok(());
    }
    match authenticate(service, "/metrics", headers, peer)?.role() {
        Role::Metrics | Role::Operator => Ok(()),
        role => Err(Error::Forbidden(format!("a key of the role {role} may not scrape: metrics is needed").into())),
    }
}

fn authenticate(service: &Service, path: &str, headers: &HeaderMap, peer: &Peer) -> Result<Pass, Error> {
    let refused = |(refused, key)| refuse(service, path, (refused, key), peer.address(), service.clock.now());
    let Some(presented) = headers.text(AUTHORIZATION) else {
        return Err(refused((Refused::Missing, None)));
    };
    let token = match presented.split_at_checked(BEARER.len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(BEARER) => token.trim_ascii(),
        _ => return Err(refused((Refused::Malformed("it is not sent as `Bearer`"), None))),
    };
    let pass = service.access.verify(token, Clock::wall()).map_err(refused)?;
    peer.may_use(&pass).map(|()| pass)
}

/// Notes a refusal, and what is to be said of it.
fn refuse(
    service: &Service,
    path: &str,
    (refused, key): (Refused, Option<Box<str>>),
    address: Option<IpAddr>,
    now: Now,
) -> Error {
    let named = key.clone();
    let (error, is_told) = service.access.failures.note(&refused, key, address, now.mono);
    if is_told {
        let key = named.as_deref().map(|key| key.escape_debug().to_string());
        tracing::debug!(path, key, ?address, ?refused, "a credential was refused");
        if path.starts_with(ADMIN) || path == browser::SIGN_IN {
            let actor = Actor { key: "".into(), role: None, address, request_id: "".into() };
            let call = path.strip_prefix(ADMIN).unwrap_or(path);
            let mut entry = actor.entry("auth.failed", "", call);
            entry.after = format!("{refused:?} key={}", key.unwrap_or_default());
            service.access.failures.remember(entry);
        }
    }
    error
}
