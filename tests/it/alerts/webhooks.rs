//! Webhooks over real HTTP: what arrives, what is tried again, and where nothing goes.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use highwater::{
    alert::{Address, Delivery, Recipient, Severity, WebhookForm},
    config::{Config, RawConfig},
    proto::{SendTestMessageRequest, SendTestMessageResponse, alert_service_client::AlertServiceClient},
    service::Actor,
};
use ring::hmac;
use serde_json::Value;
use tokio::{net::TcpListener, time::Instant};

use super::{LIMIT, hold, limit, project, sent};
use crate::{
    redis_server::soon,
    serving::{Serving, config},
};

const SECRET: &[u8] = b"a secret of thirty bytes or so";

/// A request that arrived.
#[derive(Clone)]
struct Arrived {
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Arrived {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Whether the signature is that of Standard Webhooks, as its receivers check it.
    fn is_signed(&self, secret: &[u8]) -> bool {
        let signed =
            [self.header("webhook-id").as_bytes(), b".", self.header("webhook-timestamp").as_bytes(), b".", &self.body];
        let tag = self.header("webhook-signature").strip_prefix("v1,").unwrap_or_default();
        let tag = BASE64_STANDARD.decode(tag).unwrap_or_default();
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret), &signed.concat(), &tag).is_ok()
    }
}

/// A receiver of webhooks on loopback. `/later` fails once, `/away` leads to `/there`.
#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<Vec<Arrived>>>);

impl Receiver {
    async fn start() -> (Self, SocketAddr) {
        let (receiver, listener) = (Self::default(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let address = listener.local_addr().unwrap();
        let app = Router::new().fallback(Self::take).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (receiver, address)
    }

    async fn take(State(receiver): State<Self>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
        let path = uri.path().to_owned();
        let mut arrived = receiver.0.lock().unwrap();
        arrived.push(Arrived { path: path.clone(), headers, body });
        match &*path {
            "/later" if arrived.len() < 2 => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            "/away" => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/there")]).into_response(),
            _ => StatusCode::NO_CONTENT.into_response(),
        }
    }

    fn arrived(&self) -> Vec<Arrived> {
        self.0.lock().unwrap().clone()
    }
}

/// A service whose webhooks may go to loopback.
fn allowing() -> Config {
    let text = "[alerts]\nwebhook_networks = '127.0.0.0/8, ::1/128'\n";
    let allowed = Config::build(&RawConfig::default(), Some((std::path::Path::new("h.toml"), text))).unwrap();
    let mut config = config();
    config.alerts.webhook_networks = allowed.alerts.webhook_networks;
    config.alerts.link = Some("https://hw.example".to_owned());
    config
}

fn tell(serving: &Serving, url: &str) {
    let service = &serving.service;
    let recipient = Recipient {
        name: "hook".into(),
        project: project(),
        address: Address::Webhook { url: url.to_owned(), form: WebhookForm::Standard, secret: SECRET.to_vec() },
        enabled: true,
        least: Severity::Info,
        quiet: None,
        unsubscribed: None,
        trouble: String::new(),
    };
    service.set_recipient(recipient, &Actor::offline(), service.clock.now()).unwrap();
}

async fn test_message(serving: &Serving) -> SendTestMessageResponse {
    let channel = crate::serving::channel(serving.address).await.unwrap();
    let request = SendTestMessageRequest { project: project().to_string(), recipient_name: "hook".to_owned() };
    AlertServiceClient::new(channel).send_test_message(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_crossing_arrives_signed_as_standard_webhooks() {
    let (receiver, address) = Receiver::start().await;
    let serving = Serving::with(allowing());
    limit(&serving, LIMIT);
    tell(&serving, &format!("http://{address}/hooks/T0"));
    hold(&serving, 2).await;
    soon("a webhook", || !receiver.arrived().is_empty()).await;
    let arrived = receiver.arrived().remove(0);
    assert_eq!((&*arrived.path, arrived.header("content-type")), ("/hooks/T0", "application/json"));
    assert!(arrived.is_signed(SECRET) && !arrived.is_signed(b"another secret of thirty bytes"));
    let seconds: u64 = arrived.header("webhook-timestamp").parse().unwrap();
    let now = serving.service.clock.now().wall.tick().0;
    assert!((now - 60..=now).contains(&seconds), "{seconds} of {now}");
    let told = arrived.json();
    assert_eq!(
        (&told["type"], &told["data"]["level"], &told["data"]["limit"]),
        (&"alert.fired".into(), &2.into(), &2.into())
    );
    assert_eq!(told["data"]["target"]["model"], "cartesia/sonic-3");
    assert!(told["data"]["link"].as_str().unwrap().starts_with("https://hw.example/p/default/quotas?select="));
    soon("the answer", || sent(&serving) == 1).await;
    assert_eq!(receiver.arrived().len(), 1);
}

#[tokio::test]
async fn what_a_receiver_fails_to_take_comes_again_under_the_same_name() {
    let (receiver, address) = Receiver::start().await;
    let serving = Serving::with(allowing());
    limit(&serving, LIMIT);
    tell(&serving, &format!("http://{address}/later"));
    hold(&serving, 2).await;
    // The first pause is 30 s at most.
    let began = Instant::now();
    while sent(&serving) == 0 {
        assert!(began.elapsed() < Duration::from_secs(60), "it was not tried again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let arrived = receiver.arrived();
    assert_eq!(arrived.len(), 2);
    assert_eq!(arrived[0].header("webhook-id"), arrived[1].header("webhook-id"));
    assert!(arrived.iter().all(|arrived| arrived.is_signed(SECRET)));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (receiver, address) = Receiver::start().await;
    let serving = Serving::with(allowing());
    limit(&serving, LIMIT);
    tell(&serving, &format!("http://{address}/away"));
    let tested = test_message(&serving).await;
    assert!(!tested.taken && tested.answer.contains("redirects are not followed"), "{tested:?}");
    let paths: Vec<_> = receiver.arrived().into_iter().map(|arrived| arrived.path).collect();
    assert_eq!(paths, ["/away"]);
}

/// `localhost` is a name that leads to this machine.
#[tokio::test]
async fn a_name_that_leads_to_a_private_address_is_refused_at_once_unless_configured() {
    let (receiver, address) = Receiver::start().await;
    for host in ["localhost".to_owned(), IpAddr::from([127, 0, 0, 1]).to_string()] {
        let url = format!("http://{host}:{}/", address.port());
        let mut config = allowing();
        config.alerts.webhook_networks.clear();
        let serving = Serving::with(config);
        limit(&serving, LIMIT);
        tell(&serving, &url);
        let tested = test_message(&serving).await;
        assert!(!tested.taken && tested.answer.contains("alerts.webhook_networks"), "{tested:?}");
        hold(&serving, 2).await;
        let rows = || {
            let alert = serving.service.alerts.list(None).into_iter().next();
            alert.map(|past| serving.service.alerts.deliveries(&past.alert).rows).unwrap_or_default()
        };
        let given_up = |delivery: &Delivery| matches!(delivery, Delivery::Undeliverable { reason, .. } if reason.contains("alerts.webhook_networks"));
        soon("it is given up at once", || rows().iter().any(|row| given_up(&row.delivery))).await;
        assert_eq!(rows()[0].attempts, 1);
        assert!(receiver.arrived().is_empty(), "{host}");
        drop(serving);
        let serving = Serving::with(allowing());
        limit(&serving, LIMIT);
        tell(&serving, &url);
        let tested = test_message(&serving).await;
        assert!(tested.taken, "{tested:?}");
        assert_eq!(receiver.0.lock().unwrap().drain(..).count(), 1, "{host}");
    }
}
