//! `POST /session` and `DELETE /session`: a browser shows an API key once, and gets a cookie that scripts can't read.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
};
use http_body_util::{BodyExt as _, Limited};
use serde::Deserialize;
use tokio::time::timeout;
use tonic::Code;

use crate::{
    access::Secret,
    api::{
        auth::browser::{self, cookie, cookie_name, is_from_page},
        peer::Peer,
    },
    error::Error,
    http::page::protect,
    service::{Clock, Service},
};

/// Longest body, in bytes: a credential is far shorter.
const MOST_BYTES: usize = 16 * 1_024;
/// For a body to come.
const BODY_WITHIN: Duration = Duration::from_secs(10);
const JSON: &str = "application/json";

/// What is sent to sign in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credential {
    token: String,
}

type Refusal = (StatusCode, String);

/// Signs a browser in.
pub async fn sign_in(State(service): State<Arc<Service>>, request: Request) -> Response<Body> {
    answer(enter(&service, request).await)
}

/// Signs a browser out, whether it was signed in or not.
pub async fn sign_out(State(service): State<Arc<Service>>, request: Request) -> Response<Body> {
    answer(is_from_page(&request).map_err(refusal).map(|()| {
        if let Some(cookie) = cookie(&service, request.headers()) {
            service.access.sign_out(cookie, Clock::wall());
        }
        Some(set_cookie(&service, "", Duration::ZERO))
    }))
}

async fn enter(service: &Service, request: Request) -> Result<Option<HeaderValue>, Refusal> {
    is_from_page(&request).map_err(refusal)?;
    let peer = Peer::of(request.extensions());
    if !is_json(request.headers()) {
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("the content is not of the type {JSON}")));
    }
    let token = read(request.into_body()).await?;
    if service.config.dev {
        // Nobody needs one.
        return Ok(None);
    }
    let pass = browser::present(service, token.expose(), &peer).map_err(refusal)?;
    let now = Clock::wall();
    let (value, until) = service.access.sign_in(&pass, now);
    Ok(Some(set_cookie(service, value.expose(), until.since(now))))
}

fn is_json(headers: &HeaderMap) -> bool {
    let content = headers.get(header::CONTENT_TYPE).and_then(|content| content.to_str().ok()).unwrap_or_default();
    content.split(';').next().is_some_and(|content| content.trim().eq_ignore_ascii_case(JSON))
}

async fn read(body: Body) -> Result<Secret<String>, Refusal> {
    let late = || (StatusCode::REQUEST_TIMEOUT, "the body did not come in time".to_owned());
    let body = timeout(BODY_WITHIN, Limited::new(body, MOST_BYTES).collect()).await.map_err(|_| late())?;
    let large =
        |_| (StatusCode::PAYLOAD_TOO_LARGE, format!("the body broke off, or is longer than {MOST_BYTES} bytes"));
    let body = body.map_err(large)?.to_bytes();
    // Words of the parser's could hold some of what was sent.
    let unread = |_| (StatusCode::BAD_REQUEST, "the body is not {\"token\": \"...\"}".to_owned());
    serde_json::from_slice(&body).map(|Credential { token }| Secret::new(token)).map_err(unread)
}

fn set_cookie(service: &Service, value: &str, lasts: Duration) -> HeaderValue {
    let (name, is_secure) = cookie_name(service);
    let secure = if is_secure { "; Secure" } else { "" };
    let cookie = format!("{name}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict{secure}", lasts.as_secs());
    let mut cookie = HeaderValue::try_from(cookie).expect("OK because base64url may be in a header");
    cookie.set_sensitive(true);
    cookie
}

fn refusal(error: Error) -> Refusal {
    let status = match error.code() {
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, error.client_message())
}

fn answer(outcome: Result<Option<HeaderValue>, Refusal>) -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    match outcome {
        Ok(cookie) => answer.headers_mut().extend(cookie.map(|cookie| (header::SET_COOKIE, cookie))),
        Err((status, error)) => {
            *answer.status_mut() = status;
            *answer.body_mut() = Body::from(serde_json::json!({ "error": error }).to_string());
            answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
        }
    }
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    protect(answer.headers_mut());
    answer
}
