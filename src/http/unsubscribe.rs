//! `/alerts/unsubscribe`: who gets mails ends them, by the address that each mail names: a mail client by one POST (RFC
//! 8058), a person by a page with one button. A GET changes nothing, since mail scanners follow every link.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use tokio::task::spawn_blocking;

use crate::{error::Error, model::Project, service::Service};

/// Who wants no more.
#[derive(Clone, Debug, Default)]
struct Who {
    project: String,
    recipient: String,
    token: String,
}

impl Who {
    /// Reads what an address says. None of it needs to be escaped, so that nothing is unescaped.
    fn of(uri: &Uri) -> Self {
        let mut who = Self::default();
        for (name, value) in uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "project" => value.clone_into(&mut who.project),
                "recipient" => value.clone_into(&mut who.recipient),
                "token" => value.clone_into(&mut who.token),
                _ => {}
            }
        }
        who
    }
}

/// A page of our own words alone: nothing that was sent is in it.
fn page(status: StatusCode, title: &str, words: &str, button: bool) -> Response {
    let form = if button { "<form method=\"post\"><button>Unsubscribe</button></form>" } else { "" };
    let body = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><h1>{title}</h1><p>{words}</p>{form}</html>\n"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; form-action 'self'; frame-ancestors 'none'"),
    ];
    (status, headers, body).into_response()
}

/// Asks whether it is meant.
pub async fn ask(State(service): State<Arc<Service>>, uri: Uri) -> Response {
    let who = Who::of(&uri);
    match is_known(&service, &who) {
        true => {
            page(StatusCode::OK, "Unsubscribe from alerts", "No more alerts of this project will be sent to you.", true)
        }
        false => unknown(),
    }
}

/// Ends it.
pub async fn end(State(service): State<Arc<Service>>, uri: Uri) -> Response {
    let who = Who::of(&uri);
    let done = spawn_blocking(move || {
        let Ok(project) = Project::new(&who.project) else {
            return Err(Error::NotFound { what: "recipient", name: String::new() });
        };
        service.unsubscribe(&project, &who.recipient, &who.token, service.clock.now())
    });
    match done.await {
        Ok(Ok(())) => page(StatusCode::OK, "Unsubscribed", "No more alerts of this project are sent to you.", false),
        Ok(Err(Error::NotFound { .. })) => unknown(),
        _ => page(
            StatusCode::SERVICE_UNAVAILABLE,
            "Not now",
            "It could not be written down. Try again in a minute.",
            false,
        ),
    }
}

fn is_known(service: &Service, who: &Who) -> bool {
    Project::new(&who.project).is_ok_and(|project| service.is_unsubscribe_token(&project, &who.recipient, &who.token))
}

fn unknown() -> Response {
    page(
        StatusCode::NOT_FOUND,
        "Unknown link",
        "This link is not one of ours, not whole, or of an address that is told no more: take that of the newest mail.",
        false,
    )
}
