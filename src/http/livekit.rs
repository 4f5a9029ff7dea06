//! `POST /livekit/webhook`: LiveKit's events. Who signed is checked before the body is read, and the body against what was
//! signed before it is parsed. What is refused is counted and changes nothing; LiveKit sends again what gets a 5xx.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::time::timeout;

use crate::{
    api::peer::Peer,
    error::Error,
    livekit::{
        counts::add,
        token::{TokenError, verify},
        wire::{self, WebhookEvent},
    },
    service::Service,
};

/// What LiveKit says that its events are.
const CONTENT_TYPE: &str = "application/webhook+json";
/// For a body to come. LiveKit sends it in one piece.
const BODY_WITHIN: Duration = Duration::from_secs(10);

type Answer = (StatusCode, String);

/// Takes an event. Whoever fails to sign too often is told no more than that, as with any other credential.
pub async fn webhook(State(service): State<Arc<Service>>, request: Request) -> Answer {
    let (head, body) = request.into_parts();
    let address = Peer::of(&head.extensions).address();
    match take(&service, &head.headers, body).await {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err((StatusCode::UNAUTHORIZED, _))
            if !service.access.failures.may_fail_from(address, service.clock.now().mono) =>
        {
            (StatusCode::TOO_MANY_REQUESTS, format!("{}\n", Error::TooManyFailures.client_message()))
        }
        Err((status, words)) => (status, format!("{words}\n")),
    }
}

async fn take(service: &Service, headers: &HeaderMap, body: Body) -> Result<(), Answer> {
    let counts = &service.livekit.counts;
    let unsigned = |words: String| {
        add(&counts.unsigned, 1);
        (StatusCode::UNAUTHORIZED, words)
    };
    let unreadable = |status: StatusCode, words: String| {
        add(&counts.unreadable, 1);
        (status, words)
    };
    let token = headers.get(header::AUTHORIZATION).and_then(|token| token.to_str().ok());
    let token = token.ok_or_else(|| unsigned("the header `Authorization` has no token".to_owned()))?;
    let signed = verify(token, &*service.livekit.secrets, service.clock.now().wall);
    let signed = signed.map_err(|error| match error {
        TokenError::Malformed if token.starts_with("Bearer ") => {
            unsigned("the token of a webhook stands alone, without `Bearer`".to_owned())
        }
        error => unsigned(error.to_string()),
    })?;
    let content = headers.get(header::CONTENT_TYPE).and_then(|content| content.to_str().ok()).unwrap_or_default();
    if !content.split(';').next().is_some_and(|content| content.trim().eq_ignore_ascii_case(CONTENT_TYPE)) {
        let words = format!("the content is not of the type {CONTENT_TYPE}");
        return Err(unreadable(StatusCode::UNSUPPORTED_MEDIA_TYPE, words));
    }
    let body = read(body, service.config.connections.message_bytes).await;
    let body = body.map_err(|(status, words)| unreadable(status, words))?;
    let said = STANDARD.decode(&signed.sha256).unwrap_or_default();
    if !bool::from(Sha256::digest(&body)[..].ct_eq(&said)) {
        return Err(unsigned("the body is not the one that was signed".to_owned()));
    }
    let event: WebhookEvent = wire::event(&body).map_err(|error| {
        let words = format!("the body is no event: line {}, column {}", error.line(), error.column());
        unreadable(StatusCode::BAD_REQUEST, words)
    })?;
    let taken = service.livekit.event(&service.live, &signed, &event, service.clock.now());
    taken.map_err(|error| (StatusCode::SERVICE_UNAVAILABLE, error.to_string()))
}

async fn read(body: Body, most: usize) -> Result<Bytes, Answer> {
    match timeout(BODY_WITHIN, Limited::new(body, most).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err((StatusCode::PAYLOAD_TOO_LARGE, format!("message_bytes: at most {most} are taken")))
        }
        Ok(Err(_)) => Err((StatusCode::BAD_REQUEST, "the body broke off".to_owned())),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the body did not come in time".to_owned())),
    }
}
