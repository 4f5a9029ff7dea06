//! The page, and gRPC-Web as it speaks it: every service on the one port, over HTTP/1.1 and HTTP/2, by the same rules.

use std::time::Duration;

use axum::http::Method;
use highwater::{
    access::Role,
    client::Bearer,
    config::Rate,
    proto::{
        GetStatusRequest, ListCatalogueRequest, ListQuotasRequest, WatchQuotasRequest,
        admin_service_client::AdminServiceClient, limit_service_client::LimitServiceClient,
        quota_service_client::QuotaServiceClient,
    },
    service::guard::Why,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tonic::{Code, body::Body, service::interceptor::InterceptedService};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_web::{GrpcWebCall, GrpcWebClientLayer, GrpcWebClientService};
use tower::Layer as _;

use crate::{
    access::{bearer, key, keyed, new_key},
    browser::{self, refused},
    serving::{MODEL, SOON, Serving, Worker, batch, config, connect, hello},
};

/// A browser as far as calls go.
type Browser = GrpcWebClientService<Client<HttpConnector, GrpcWebCall<Body>>>;

#[derive(Clone, Copy, Debug)]
enum Version {
    One,
    Two,
}

fn caller(version: Version) -> Browser {
    let mut builder = Client::builder(TokioExecutor::new());
    builder.http2_only(matches!(version, Version::Two));
    GrpcWebClientLayer::new().layer(builder.build_http())
}

fn at(serving: &Serving) -> axum::http::Uri {
    format!("http://{}", serving.address).parse().unwrap()
}

fn quotas(serving: &Serving, version: Version) -> QuotaServiceClient<Browser> {
    QuotaServiceClient::with_origin(caller(version), at(serving))
}

fn known(serving: &Serving, token: &str) -> QuotaServiceClient<InterceptedService<Browser, Bearer>> {
    let known = InterceptedService::new(caller(Version::One), bearer(token));
    QuotaServiceClient::with_origin(known, at(serving))
}

#[tokio::test]
async fn every_service_answers_a_browser() {
    let serving = Serving::start();
    for version in [Version::One, Version::Two] {
        assert!(
            quotas(&serving, version).get_status(GetStatusRequest {}).await.unwrap().into_inner().started_at.is_some()
        );
        let mut limits = LimitServiceClient::with_origin(caller(version), at(&serving));
        let catalogue = limits.list_catalogue(ListCatalogueRequest::default()).await.unwrap().into_inner();
        assert!(!catalogue.models.is_empty());
        let mut admin = AdminServiceClient::with_origin(caller(version), at(&serving));
        assert_eq!(
            admin.get_caller(highwater::proto::GetCallerRequest {}).await.unwrap().into_inner().project,
            "default"
        );
        let mut health = HealthClient::with_origin(caller(version), at(&serving));
        assert_eq!(health.check(HealthCheckRequest::default()).await.unwrap().into_inner().status, 1);
    }
}

#[tokio::test]
async fn a_browser_watches_quotas_over_http_1() {
    let serving = Serving::start();
    let mut worker = Worker::ready(&serving, hello(1, 1), &[1]).await;
    for version in [Version::One, Version::Two] {
        let request = WatchQuotasRequest { project: "default".into(), ..Default::default() };
        let mut watched = quotas(&serving, version).watch_quotas(request).await.unwrap().into_inner();
        let level = |quotas: &[highwater::proto::Quota]| {
            let of_model = quotas.iter().find(|quota| format!("{:?}", quota.target).contains(MODEL));
            of_model.map(|quota| quota.level)
        };
        let first = timeout(SOON, watched.message()).await.unwrap().unwrap().unwrap();
        let before = level(&first.quotas).unwrap();
        let seq = u64::from(before);
        worker.say(batch(seq, vec![connect(10 + seq as u8)])).await;
        worker.until_applied(seq).await;
        let moved = timeout(SOON, async {
            loop {
                let update = watched.message().await.unwrap().unwrap();
                if level(&update.quotas) == Some(before + 1) {
                    return;
                }
            }
        });
        assert!(moved.await.is_ok(), "{version:?}: the session is not seen");
    }
}

#[tokio::test]
async fn a_browser_is_let_in_by_the_same_rules() {
    let serving = keyed();
    let refused = quotas(&serving, Version::One).get_status(GetStatusRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let (_, token) = key(&serving, new_key(Role::Viewer, "acme"));
    let mut viewer = known(&serving, &token);
    viewer.get_status(GetStatusRequest {}).await.unwrap();
    let other = ListQuotasRequest { project: "other".into(), ..Default::default() };
    assert_eq!(viewer.list_quotas(other).await.unwrap_err().message(), "there is no project other");
    let (_, token) = key(&serving, new_key(Role::Worker, "acme"));
    assert_eq!(
        known(&serving, &token).get_status(GetStatusRequest {}).await.unwrap_err().code(),
        Code::PermissionDenied
    );
}

#[tokio::test]
async fn a_browser_is_held_to_pace_and_bounds() {
    let mut config = config();
    config.connections.reads = Rate { per_second: 1, burst: 2 };
    config.connections.message_bytes = 4_096;
    let serving = Serving::with(config);
    let mut reads = quotas(&serving, Version::One);
    let large = ListQuotasRequest { project: "p".repeat(5_000), ..Default::default() };
    let refused = reads.list_quotas(large).await.unwrap_err();
    assert!(refused.message().starts_with("message_bytes: at most 4096"), "{refused}");
    assert_eq!(serving.service.guard.counted(Why::MessageBytes), 1);
    reads.get_status(GetStatusRequest {}).await.unwrap();
    let refused = reads.get_status(GetStatusRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().starts_with("reads_per_second: at most 1 a second"), "{refused}");
}

/// What is answered to a call over HTTP/1.1 with these headers and no message, up to the end of the connection.
async fn raw(serving: &Serving, request: &str, headers: &str) -> String {
    let mut socket = TcpStream::connect(serving.address).await.unwrap();
    let head =
        format!("{request} HTTP/1.1\r\nhost: highwater\r\nconnection: close\r\ncontent-length: 5\r\n{headers}\r\n");
    socket.write_all(&[head.as_bytes(), &[0; 5]].concat()).await.unwrap();
    let mut answer = Vec::new();
    timeout(SOON, socket.read_to_end(&mut answer)).await.unwrap().unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn what_is_no_call_of_grpc_web_is_refused_as_such() {
    let serving = Serving::start();
    let status = "/highwater.v1.QuotaService/GetStatus";
    let web = "content-type: application/grpc-web+proto\r\n";
    let good = raw(&serving, &format!("POST {status}"), web).await;
    assert!(good.starts_with("HTTP/1.1 200") && good.contains("grpc-status:0"), "{good}");
    assert!(good.contains("content-type: application/grpc-web+proto"), "{good}");
    let got = raw(&serving, &format!("GET {status}"), web).await;
    assert!(got.starts_with("HTTP/1.1 405"), "{got}");
    let other = raw(&serving, &format!("POST {status}"), "content-type: application/grpc-web+json\r\n").await;
    assert!(other.starts_with("HTTP/1.1 400"), "{other}");
    let unserved = raw(&serving, "POST /highwater.v1.QuotaService/Nothing", web).await;
    assert!(unserved.contains("grpc-status: 12"), "{unserved}");
}

#[tokio::test]
async fn a_browser_that_has_gone_leaves_no_watch_behind() {
    let serving = Serving::start();
    Worker::ready(&serving, hello(1, 1), &[1]).await;
    let request = WatchQuotasRequest { project: "default".into(), ..Default::default() };
    let mut client = quotas(&serving, Version::One);
    let mut watched = client.watch_quotas(request).await.unwrap().into_inner();
    timeout(SOON, watched.message()).await.unwrap().unwrap().unwrap();
    drop((watched, client));
    // The connection was the stream's alone: the service sees it close.
    let gone = timeout(SOON, async {
        while !crate::doors::page(serving.address, "/metrics").await.contains("highwater_connections 1") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(gone.await.is_ok(), "{}", crate::doors::page(serving.address, "/metrics").await);
}

#[tokio::test]
async fn the_page_is_served_and_calls_are_not_mistaken_for_it() {
    let serving = keyed();
    let browser = browser::Browser::new(&serving);
    let index = browser.ask(Method::GET, "/", &[], "").await;
    assert_eq!((index.status, index.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(index.header("content-security-policy").starts_with("default-src 'none'"));
    assert_eq!((index.header("cache-control"), index.header("x-content-type-options")), ("no-cache", "nosniff"));
    let tag = index.header("etag").to_owned();
    let again = browser.ask(Method::GET, "/p/acme/quotas?range=7d", &[("if-none-match", &tag)], "").await;
    assert_eq!((again.status, again.header("etag")), (304, &*tag));
    let head = browser.ask(Method::HEAD, "/", &[], "").await;
    assert_eq!((head.status, head.header("content-length")), (200, &*index.text().await.len().to_string()));
    assert_eq!(head.text().await, "");
    let none = browser.ask(Method::GET, "/assets/none.js", &[], "").await;
    assert_eq!((none.status, none.header("content-type")), (404, "text/plain; charset=utf-8"));
    assert_eq!(browser.ask(Method::POST, "/", &[], "").await.status, 405);
    let page = browser.ask(Method::GET, "/healthz", &[], "").await;
    assert_eq!(page.text().await, "ok\n");
    let unserved = browser.call("/highwater.v1.QuotaService/Nothing", &GetStatusRequest {}, &[]).await;
    refused(&unserved.ended().await, Code::Unimplemented, "");
}
