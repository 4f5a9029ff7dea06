//! One question to LiveKit's API: Twirp over HTTP, with JSON both ways. Everything waits for a bounded time and takes a
//! bounded answer. No error says where the API is, since health tells errors to everyone.

use std::{error::Error as _, sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    http::{Request, StatusCode, header},
};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as Hyper, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use jiff::fmt::rfc2822;
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    access::Secret,
    config::LiveKitConfig,
    livekit::{
        token::{Grants, mint},
        wire::Refused,
    },
    model::{Now, Time},
};

const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// For one question, answer included. LiveKit's own client waits 10 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Times that a question is asked that was not answered, or by an error of the server's.
const TRIES: usize = 2;
/// Most bytes of an answer: the rooms of 30,000 calls with a kilobyte of metadata each.
const MOST_BYTES: usize = 32 * 1_024 * 1_024;
/// Connections that are kept for the next reading, and how long.
const IDLE_CONNECTIONS: usize = 16;
const IDLE: Duration = Duration::from_secs(90);
/// LiveKit's clock is taken for ours when they differ by no more: its answers tell whole seconds.
const SAME_CLOCK: Duration = Duration::from_secs(2);
/// Longest word of LiveKit's that an error repeats, in bytes.
const MAX_WORDS: usize = 120;

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    #[error("{0}")]
    Unreachable(String),
    #[error("no answer within {} s", ANSWER_WITHIN.as_secs())]
    TimedOut,
    #[error("LiveKit refused: {status} {code}: {words}")]
    Refused { status: u16, code: String, words: String },
    #[error("LiveKit's answer can't be read: {0}")]
    Unreadable(String),
    #[error("LiveKit answers too slowly: not all rooms were asked for")]
    Slow,
    #[error("LiveKit's list has no end")]
    Endless,
}

/// An answer, and how LiveKit's clock differs from ours.
#[derive(Debug)]
pub struct Answered<T> {
    pub answer: T,
    pub clock: Skew,
}

/// What is to be added to a time of LiveKit's to make it one of ours, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skew(i64);

impl Skew {
    /// Of an answer that came now and says when it was sent.
    fn of(sent: Option<&str>, now: Now) -> Self {
        let sent = sent.and_then(|sent| rfc2822::parse(sent).ok());
        let Some(sent) = sent.and_then(|sent| u64::try_from(sent.timestamp().as_microsecond()).ok()) else {
            return Self(0);
        };
        let behind = i64::try_from(now.wall.0).unwrap_or(0).saturating_sub_unsigned(sent);
        Self(if behind.unsigned_abs() <= SAME_CLOCK.as_micros() as u64 { 0 } else { behind })
    }

    pub fn ours(self, theirs: Time) -> Time {
        Time(theirs.0.saturating_add_signed(self.0))
    }
}

impl ListError {
    /// The server has no such part: a LiveKit of one node has neither egress nor ingress.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Refused { words, .. } if words.contains("not connected (redis required)"))
    }

    /// There is no such thing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "not_found")
    }

    /// It would be no better with another question.
    pub fn is_of_all(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::TimedOut)
    }

    fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused { status, .. } => *status >= 500 && !self.is_absent(),
            Self::TimedOut | Self::Unreadable(_) | Self::Slow | Self::Endless => false,
        }
    }
}

/// A client of one project's API.
#[derive(Clone, Debug)]
pub struct Client {
    http: Hyper<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: Arc<str>,
    api_key: Arc<str>,
    secret: Secret<Vec<u8>>,
}

impl Client {
    /// # Errors
    /// When the machine's certificates, which an `https` URL needs, can't be read.
    pub fn new(url: &str, config: &LiveKitConfig) -> std::io::Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT_WITHIN));
        connector.set_nodelay(true);
        let builder = HttpsConnectorBuilder::new();
        let tls = if url.starts_with("https:") {
            builder.with_provider_and_native_roots(provider)?
        } else {
            let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
            let tls = tls.map_err(std::io::Error::other)?.with_root_certificates(RootCertStore::empty());
            builder.with_tls_config(tls.with_no_client_auth())
        };
        let http = Hyper::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(tls.https_or_http().enable_http1().wrap_connector(connector));
        Ok(Self { http, url: url.into(), api_key: config.api_key.as_str().into(), secret: config.secret.clone() })
    }

    /// Asks, and asks again when that may help.
    ///
    /// # Errors
    /// When there was no answer, or another than a list.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        question: &Value,
        grants: Grants<'_>,
        now: &(dyn Fn() -> Now + Sync),
    ) -> Result<Answered<T>, ListError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let asked = timeout(ANSWER_WITHIN, self.ask_once(method, question, grants, now)).await;
            match asked.unwrap_or(Err(ListError::TimedOut)) {
                Err(error) if error.may_pass() && tries < TRIES => {}
                done => return done,
            }
        }
    }

    async fn ask_once<T: DeserializeOwned>(
        &self,
        method: &str,
        question: &Value,
        grants: Grants<'_>,
        now: &(dyn Fn() -> Now + Sync),
    ) -> Result<Answered<T>, ListError> {
        let token = mint(&self.api_key, &self.secret, grants, now().wall);
        let request = Request::post(format!("{}/twirp/livekit.{method}", self.url))
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("highwater/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(Bytes::from(question.to_string())))
            .map_err(|error| ListError::Unreachable(error.to_string()))?;
        let response = self.http.request(request).await.map_err(|error| ListError::Unreachable(innermost(&error)))?;
        let sent = response.headers().get(header::DATE).and_then(|sent| sent.to_str().ok());
        let clock = Skew::of(sent, now());
        let status = response.status();
        let body = Limited::new(response.into_body(), MOST_BYTES).collect().await;
        let body = body.map_err(|error| ListError::Unreadable(error.to_string()))?.to_bytes();
        if status != StatusCode::OK {
            let refused: Refused = serde_json::from_slice(&body).unwrap_or_default();
            let (code, words) = (cut(refused.code), cut(refused.msg));
            return Err(ListError::Refused { status: status.as_u16(), code, words });
        }
        match serde_json::from_slice(&body) {
            Ok(answer) => Ok(Answered { answer, clock }),
            Err(error) => Err(ListError::Unreadable(format!("line {}, column {}", error.line(), error.column()))),
        }
    }
}

/// The error that is behind all others: what the system said.
fn innermost(error: &hyper_util::client::legacy::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        words = error.to_string();
        source = error.source();
    }
    cut(words)
}

/// What others said, on one line and not too long.
fn cut(mut words: String) -> String {
    words.truncate(words.floor_char_boundary(MAX_WORDS));
    words.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_differ_are_told_by_the_answer() {
        let now = Now::at(Time::from_secs(784_111_777 + 60));
        let ours = |sent| Skew::of(sent, now).ours(Time::from_secs(1_000));
        assert_eq!(ours(Some("Sun, 06 Nov 1994 08:49:37 GMT")), Time::from_secs(1_060));
        assert_eq!(ours(Some("Sun, 06 Nov 1994 08:50:35 GMT")), Time::from_secs(1_000));
        assert_eq!((ours(Some("soon")), ours(None)), (Time::from_secs(1_000), Time::from_secs(1_000)));
    }

    #[test]
    fn words_of_others_are_short_and_on_one_line() {
        assert_eq!(cut("a\nb".to_owned()), "a b");
        assert_eq!(cut("ü".repeat(500)).len(), MAX_WORDS);
    }
}
