//! Calls of browsers that are signed in by a cookie. A browser sends it by itself, whoever made it call: so such a call
//! must say that the page made it, which no other site can.

use axum::http::{HeaderMap, Request, header, uri::Authority};

use crate::{
    access::{Pass, Refused, Role, Roles},
    api::{
        auth::{Headers as _, refuse},
        peer::Peer,
    },
    error::Error,
    service::{Clock, Service},
};

use std::net::IpAddr;

/// Where browsers sign in and out.
pub const SIGN_IN: &str = "/session";
/// The cookie over TLS: the prefix makes browsers hold it to this host, to `/` and to TLS.
const TLS_COOKIE: &str = "__Host-hw";
/// The cookie on the own machine, in plain text.
const PLAIN_COOKIE: &str = "hw";
/// What the page says with each call; another site's would need leave to.
const MARK: (&str, &str) = ("x-highwater", "1");
/// What browsers say of who made them call.
const FETCH_SITE: &str = "sec-fetch-site";
/// Who has anything to see on the page.
const READERS: Roles = Roles::of(&[Role::Viewer, Role::Editor, Role::Operator]);

/// The name of the cookie, and whether it is for TLS alone. Off the own machine nothing is served without TLS, by the
/// service itself or by what is in front of it.
pub fn cookie_name(service: &Service) -> (&'static str, bool) {
    let config = &service.config;
    match config.tls.certificate.is_some() || config.tls.plaintext || !config.listen.ip().is_loopback() {
        true => (TLS_COOKIE, true),
        false => (PLAIN_COOKIE, false),
    }
}

/// The value of the service's cookie, if a browser sent one.
pub fn cookie<'h>(service: &Service, headers: &'h HeaderMap) -> Option<&'h str> {
    let (ours, _) = cookie_name(service);
    let sent = headers.get_all(header::COOKIE).into_iter().filter_map(|cookies| cookies.to_str().ok());
    let mut pairs = sent.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == ours).map(|(_, value)| value)
}

/// Whether the page itself made a browser call.
///
/// # Errors
/// `Forbidden` when another site may have, or when it can't be known.
pub fn is_from_page<B>(request: &Request<B>) -> Result<(), Error> {
    let refused = |words: &'static str| Err(Error::Forbidden(words.into()));
    match (is_same_origin(request), request.headers().text(MARK.0) == Some(MARK.1)) {
        (Some(true), true) => Ok(()),
        (Some(true), false) => refused("a call with a cookie needs the header `X-Highwater: 1`"),
        _ => refused(
            "a cookie counts only for the page of this service itself (`Sec-Fetch-Site: same-origin`, or an `Origin` of \
             this host); programs send `authorization: Bearer`",
        ),
    }
}

/// Where nobody needs a key: whether no other site made a browser call. Without this, every page that a developer looks at
/// could decide on the service of their own machine, also one whose name was made to lead here (DNS rebinding).
///
/// # Errors
/// `Forbidden` when another site did.
pub(super) fn is_not_foreign<B>(request: &Request<B>) -> Result<(), Error> {
    match is_same_origin(request) {
        Some(true) if !host(request).is_some_and(is_own_machine) => Err(Error::Forbidden(
            "without keys the page is served under the names of the own machine alone: localhost, 127.0.0.1, [::1]"
                .into(),
        )),
        Some(false) => {
            Err(Error::Forbidden("another site made a browser call: only the service's own page may".into()))
        }
        // A program's, or the page's own.
        None | Some(true) => Ok(()),
    }
}

/// Whether a host, with or without a port, is a name of the own machine, which no site can have.
fn is_own_machine(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().to_ascii_lowercase();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name == "localhost" || name.ends_with(".localhost") || address.is_ok_and(|ip| ip.is_loopback())
}

/// Whether a browser was made to call by what it got from here; `None` when it does not say, or is none.
fn is_same_origin<B>(request: &Request<B>) -> Option<bool> {
    let headers = request.headers();
    // Browsers say it where the page came over TLS or from their own machine; the older ones, the origin alone.
    if let Some(site) = headers.text(FETCH_SITE) {
        return Some(site == "same-origin");
    }
    let of = headers.text("origin")?.split_once("://").map(|(_, of)| of);
    Some(of.is_some_and(|of| host(request).is_some_and(|host| host.eq_ignore_ascii_case(of))))
}

/// Who was asked: the authority of HTTP/2, the header of HTTP/1.1.
fn host<B>(request: &Request<B>) -> Option<&str> {
    let authority = request.uri().authority().map(Authority::as_str);
    authority.or_else(|| request.headers().text("host"))
}

/// What the browser of a call is signed in for; `None` when it is not signed in.
///
/// # Errors
/// `Unauthenticated` when the cookie is good no more, `Forbidden` when another site may have made it call,
/// `TooManyFailures`.
pub(super) fn signed_in<B>(service: &Service, request: &Request<B>, peer: &Peer) -> Result<Option<Pass>, Error> {
    let Some(cookie) = cookie(service, request.headers()) else { return Ok(None) };
    is_from_page(request)?;
    let refused = |failed| refuse(service, request.uri().path(), failed, peer.address(), service.clock.now());
    let pass = service.access.signed_in(cookie, Clock::wall()).map_err(refused)?;
    peer.may_use(&pass).map(|()| Some(pass))
}

/// What a browser signs in with, found right.
///
/// # Errors
/// `Unauthenticated` when nobody is known by it, `Forbidden` when there is nothing on the page for them,
/// `TooManyFailures`.
pub fn present(service: &Service, token: &str, peer: &Peer) -> Result<Pass, Error> {
    let refused = |failed| refuse(service, SIGN_IN, failed, peer.address(), service.clock.now());
    let token = token.trim_ascii();
    if token.is_empty() {
        return Err(refused((Refused::Malformed("it is empty"), None)));
    }
    let pass = service.access.verify(token, Clock::wall()).map_err(refused)?;
    peer.may_use(&pass)?;
    match READERS.has(pass.role()) {
        true => Ok(pass),
        false => Err(Error::Forbidden(
            format!("a credential of the role {} has nothing to see here: {} is needed", pass.role(), READERS.one_of())
                .into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::is_own_machine;

    #[test]
    fn names_of_the_own_machine_are_known() {
        for name in
            ["localhost", "LOCALHOST:7422", "demo.localhost:1", "127.0.0.1:7422", "127.9.9.9", "[::1]:7422", "[::1]"]
        {
            assert!(is_own_machine(name), "{name}");
        }
        for name in
            ["evil.example", "evil.example:7422", "localhost.evil.example", "10.0.0.1:7422", "", ":7422", "[::2]:1"]
        {
            assert!(!is_own_machine(name), "{name}");
        }
    }
}
