//! `GET /metrics`: the page is made once a second at most, by one thread aside, however many ask. A server's thread never
//! makes it, and nobody waits for the store.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    body::Bytes,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::{sync::Semaphore, task::spawn_blocking};
use tonic::Code;

use crate::{
    api::{auth, peer::Peer},
    error::Error,
    http::accept::Places,
    metrics::Metrics,
    model::Tick,
    service::Service,
};

/// The format and its version, as Prometheus wants it said.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the page is made of, and the last one.
#[derive(Clone, Debug)]
pub struct Scrapes(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    service: Arc<Service>,
    metrics: Metrics,
    places: Arc<Places>,
    last: Mutex<Option<Page>>,
    /// Held by the one thread that makes a page, also when whoever asked for it has gone.
    making: Arc<Semaphore>,
}

/// A page and the second in which it was begun.
#[derive(Clone, Debug)]
struct Page {
    tick: Tick,
    text: Bytes,
}

/// The page, for who may scrape.
pub async fn page(State(scrapes): State<Scrapes>, request: Request) -> Response {
    let peer = Peer::of(request.extensions());
    if let Err(error) = auth::may_scrape(&scrapes.0.service, request.headers(), &peer) {
        return refused(&error);
    }
    match scrapes.page().await {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics could not be told");
            (StatusCode::INTERNAL_SERVER_ERROR, format!("{}\n", error.client_message())).into_response()
        }
    }
}

/// What whoever may not scrape is told.
fn refused(error: &Error) -> Response {
    let words = format!("{}\n", error.client_message());
    match error.code() {
        Code::Unauthenticated => {
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], words).into_response()
        }
        Code::ResourceExhausted => (StatusCode::TOO_MANY_REQUESTS, words).into_response(),
        _ => (StatusCode::FORBIDDEN, words).into_response(),
    }
}

impl Scrapes {
    pub fn new(service: Arc<Service>, places: Arc<Places>) -> Self {
        let metrics = Metrics::new(service.clone());
        Self(Arc::new(Shared { service, metrics, places, last: Mutex::default(), making: Arc::new(Semaphore::new(1)) }))
    }

    /// The page of this second, or of a later one when others were before us.
    async fn page(&self) -> Result<Bytes, Error> {
        let stopped = |detail: String| Error::Internal { detail };
        let asked = self.0.service.live.tick(self.0.service.clock.now());
        if let Some(text) = self.0.last_since(asked) {
            return Ok(text);
        }
        let turn = self.0.making.clone().acquire_owned().await.map_err(|error| stopped(error.to_string()))?;
        if let Some(text) = self.0.last_since(asked) {
            return Ok(text);
        }
        let shared = self.0.clone();
        let made = spawn_blocking(move || {
            let _turn = turn;
            shared.make()
        });
        made.await.map_err(|error| stopped(error.to_string()))?
    }
}

impl Shared {
    fn last_since(&self, asked: Tick) -> Option<Bytes> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|page| page.tick >= asked).map(|page| page.text.clone())
    }

    fn make(&self) -> Result<Bytes, Error> {
        let now = self.service.clock.now();
        let tick = self.service.live.tick(now);
        let text = Bytes::from(self.metrics.page(self.places.open(), now)?);
        let page = Page { tick, text: text.clone() };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(page);
        Ok(text)
    }
}
