//! A stand-in for LiveKit: its API, speaking Twirp's JSON and checking tokens and grants as LiveKit does, and its webhooks.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::post,
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use highwater::service::Clock;
use ring::hmac;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::{livekit_schedules::Truth, serving::SOON};

pub const KEY: &str = "APIstandin";
pub const SECRET: &str = "a secret of the stand-in's, 32 bytes long";
/// Few, so that there are pages.
const PAGE: usize = 2;

/// How it fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Well,
    /// A LiveKit of one node: it has neither egress nor ingress.
    WithoutRedis,
    Down,
    /// It lists rooms, and does not say who is in them.
    HalfDown,
}

pub struct StandIn {
    pub address: SocketAddr,
    pub state: Arc<Mutex<Inside>>,
}

pub struct Inside {
    pub truth: Truth,
    pub mode: Mode,
    pub asked: u64,
}

type Answer = (StatusCode, String);

impl StandIn {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(Inside { truth: Truth::default(), mode: Mode::Well, asked: 0 }));
        let app = Router::new().route("/twirp/{method}/{name}", post(answer)).with_state(state.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, state }
    }

    pub fn set(&self, mode: Mode) {
        self.state.lock().unwrap().mode = mode;
    }
}

async fn answer(
    State(state): State<Arc<Mutex<Inside>>>,
    Path((service, name)): Path<(String, String)>,
    headers: HeaderMap,
    question: String,
) -> Answer {
    let question: Value = serde_json::from_str(&question).unwrap();
    let mut inside = state.lock().unwrap();
    inside.asked += 1;
    let refused = |status: StatusCode, code: &str, msg: &str| (status, json!({"code": code, "msg": msg}).to_string());
    let claims = headers.get("authorization").and_then(|token| verified(token.to_str().ok()?.strip_prefix("Bearer ")?));
    let Some(claims) = claims else { return refused(StatusCode::UNAUTHORIZED, "unauthenticated", "no valid token") };
    let (video, method) = (&claims["video"], format!("{service}/{name}"));
    let may = match &*method {
        "livekit.RoomService/ListRooms" => video["roomList"] == true,
        "livekit.RoomService/ListParticipants" => video["roomAdmin"] == true && video["room"] == question["room"],
        "livekit.Egress/ListEgress" => video["roomRecord"] == true,
        "livekit.Ingress/ListIngress" => video["ingressAdmin"] == true,
        _ => return refused(StatusCode::NOT_FOUND, "bad_route", "no such method"),
    };
    if !may {
        return refused(StatusCode::FORBIDDEN, "permission_denied", "permissions denied");
    }
    let is_of_rooms = service == "livekit.RoomService";
    match inside.mode {
        Mode::Down => return refused(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "not now"),
        Mode::HalfDown if name == "ListParticipants" => {
            return refused(StatusCode::INTERNAL_SERVER_ERROR, "internal", "no node of the room");
        }
        Mode::WithoutRedis if !is_of_rooms => {
            let what = service.trim_start_matches("livekit.").to_lowercase();
            let msg = format!("{what} not connected (redis required)");
            return refused(StatusCode::INTERNAL_SERVER_ERROR, "internal", &msg);
        }
        _ => {}
    }
    let truth = &inside.truth;
    let answer = match &*name {
        "ListRooms" => {
            let rooms: Vec<_> = truth.rooms.iter().map(|(name, sid)| json!({"sid": sid, "name": name})).collect();
            json!({"rooms": rooms})
        }
        "ListParticipants" => {
            let here = truth.participants.values().filter(|(room, _)| question["room"] == **room);
            let mut participants: Vec<_> = here.map(|(_, info)| info.clone()).collect();
            participants.push(json!({"sid": "PA_joining", "state": "JOINING"}));
            participants.push(json!({"sid": "PA_gone", "state": "DISCONNECTED"}));
            json!({"participants": participants})
        }
        "ListEgress" => page(truth.egress.values(), &question),
        _ => page(truth.ingress.values().chain([&json!({"ingressId": "IN_idle", "state": {}})]), &question),
    };
    (StatusCode::OK, answer.to_string())
}

fn page<'v>(items: impl Iterator<Item = &'v Value>, question: &Value) -> Value {
    let first: usize = question["page_token"]["token"].as_str().map_or(0, |token| token.parse().unwrap());
    let mut rest: Vec<_> = items.skip(first).cloned().collect();
    let more = rest.len() > PAGE;
    rest.truncate(PAGE);
    match more {
        true => json!({"items": rest, "next_page_token": {"token": (first + PAGE).to_string()}}),
        false => json!({"items": rest}),
    }
}

fn key(secret: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())
}

fn verified(token: &str) -> Option<Value> {
    let (signed, signature) = token.rsplit_once('.')?;
    hmac::verify(&key(SECRET), signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(signed.split_once('.')?.1).ok()?).ok()?;
    let is_now = claims["exp"].as_u64()? > seconds() && claims["nbf"].as_u64()? <= seconds();
    (claims["iss"] == KEY && is_now).then_some(claims)
}

pub fn seconds() -> u64 {
    Clock::start().now().wall.0 / 1_000_000
}

/// A token with these claims.
pub fn token(header: &Value, claims: &Value, secret: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key(secret), signed.as_bytes())))
}

/// What LiveKit would sign of a body.
pub fn claims(body: &[u8]) -> Value {
    let sha256 = STANDARD.encode(Sha256::digest(body));
    json!({"iss": KEY, "nbf": seconds(), "exp": seconds() + 300, "sha256": sha256})
}

/// Sends an event as LiveKit does, and returns the status.
pub async fn send(address: SocketAddr, event: &Value) -> u16 {
    let body = event.to_string().into_bytes();
    let token = token(&json!({"alg": "HS256", "typ": "JWT"}), &claims(&body), SECRET);
    post_to(address, &[("authorization", &token), ("content-type", "application/webhook+json")], &body).await.0
}

/// Posts a body, and returns status and words.
pub async fn post_to(address: SocketAddr, headers: &[(&str, &str)], body: &[u8]) -> (u16, String) {
    let sent = async {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!(
            "POST /livekit/webhook HTTP/1.1\r\nhost: highwater\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
            body.len()
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        // It may be refused before it is all there.
        let _ = socket.write_all(body).await;
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    let answer = timeout(SOON + Duration::from_secs(5), sent).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap_or_default().parse().unwrap_or(0);
    (status, answer.split_once("\r\n\r\n").unwrap_or_default().1.to_owned())
}
