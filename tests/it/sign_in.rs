//! Browsers that sign in with a key and go on with a cookie, over real HTTP: what is let in, and every refusal.

use std::time::Duration;

use axum::http::Method;
use highwater::{
    access::Role,
    model::Time,
    proto::{
        GetCallerRequest, GetCallerResponse, ListAuditRowsRequest, ListQuotasRequest, RevokeApiKeyRequest,
        WatchQuotasRequest,
    },
    service::{
        Clock,
        access::{decide::NewKey, keep::Keeper, sign_in::SIGNED_IN_FOR},
    },
};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout};
use tonic::Code;

use crate::{
    access::{admin, ingest, key, keyed, new_key, report},
    browser::{Browser, OF_PAGE, STATUS, refused},
    serving::{SOON, Serving, config},
};

/// A revocation is to hold within this.
const REVOKED_WITHIN: Duration = Duration::from_secs(5);
const CALLER: &str = "/highwater.v1.AdminService/GetCaller";

#[tokio::test]
async fn a_browser_signs_in_goes_on_by_its_cookie_and_signs_out() {
    let serving = keyed();
    let browser = Browser::new(&serving);
    let (id, token) = key(&serving, new_key(Role::Viewer, "acme"));
    let answered = browser.sign_in(&OF_PAGE, &token).await;
    assert_eq!((answered.status, answered.header("cache-control")), (204, "no-store"));
    assert_eq!(answered.header("x-content-type-options"), "nosniff");
    let set = answered.header("set-cookie").to_owned();
    let (value, attributes) = set.strip_prefix("hw=").unwrap().split_once("; ").unwrap();
    assert_eq!(attributes, format!("Path=/; Max-Age={}; HttpOnly; SameSite=Strict", SIGNED_IN_FOR.as_secs()));
    let secret = token.split('_').nth(3).unwrap();
    assert!(!value.contains(secret) && !value.contains(&id), "{value}");

    let cookie = answered.cookie();
    let caller = browser.call(CALLER, &GetCallerRequest {}, &[&OF_PAGE[..], &[("cookie", &cookie)]].concat()).await;
    let caller: GetCallerResponse = caller.message().await;
    assert_eq!((caller.project.as_str(), caller.key_id.as_str(), caller.role), ("acme", &*id, Role::Viewer as i32));
    let until = Time::from_secs(caller.expire_time.unwrap().seconds.unsigned_abs());
    assert!(until.since(Clock::wall()) <= SIGNED_IN_FOR);
    // Beside cookies of others on this host.
    let among = format!("theme=dark; {cookie}; hwx=1");
    assert_eq!(browser.status(&among, &OF_PAGE).await.0, 0);
    assert_ne!(browser.signed_in(&token).await, cookie, "each sign-in has a cookie of its own");

    let out = browser.ask(Method::DELETE, "/session", &[&OF_PAGE[..], &[("cookie", &cookie)]].concat(), "").await;
    assert_eq!((out.status, out.header("set-cookie")), (204, "hw=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"));
    refused(&browser.status(&cookie, &OF_PAGE).await, Code::Unauthenticated, "revoked");
}

#[tokio::test]
async fn a_sign_in_that_is_not_the_pages_own_is_refused() {
    let serving = keyed();
    let browser = Browser::new(&serving);
    let (_, token) = key(&serving, new_key(Role::Viewer, "acme"));
    let own = format!("http://{}", serving.address);
    let mark = ("x-highwater", "1");
    for said in [
        &[mark][..],
        &[mark, ("sec-fetch-site", "cross-site")],
        &[mark, ("sec-fetch-site", "same-site"), ("origin", &own)],
        &[mark, ("sec-fetch-site", "none")],
        &[mark, ("origin", "http://elsewhere.example")],
        &[mark, ("origin", "null")],
        &[("sec-fetch-site", "same-origin")],
        &[("origin", &own), ("x-highwater", "0")],
    ] {
        let (status, error) = browser.sign_in(said, &token).await.error().await;
        assert_eq!(status, 403, "{said:?}");
        assert!(error.contains("Sec-Fetch-Site") || error.contains("X-Highwater"), "{error}");
        let out = browser.ask(Method::DELETE, "/session", said, "").await;
        assert_eq!(out.status, 403, "{said:?}");
    }
    assert_eq!(browser.sign_in(&[mark, ("origin", &own)], &token).await.status, 204, "browsers without fetch metadata");
    assert_eq!(
        serving.service.access.failures.counts(),
        (0, 0),
        "another site can't exhaust the patience with this one"
    );
}

#[tokio::test]
async fn what_is_no_credential_signs_nobody_in() {
    let serving = keyed();
    let browser = Browser::new(&serving);
    let post = async |content: &str, body: String| {
        let said = [&OF_PAGE[..], &[("content-type", content)]].concat();
        browser.ask(Method::POST, "/session", &said, body).await.error().await
    };
    let (_, viewer) = key(&serving, new_key(Role::Viewer, "acme"));
    let good = format!("{{\"token\": \"{viewer}\"}}");
    assert_eq!(post("text/plain", good.clone()).await.0, 415);
    assert_eq!(post("application/x-www-form-urlencoded", good).await.0, 415);
    for body in ["", "{}", "[]", "{\"token\": 1}", "{\"token\": \"a\", \"more\": 1}"] {
        assert_eq!(
            post("application/json", body.to_owned()).await,
            (400, "the body is not {\"token\": \"...\"}".into())
        );
    }
    assert_eq!(post("application/json", format!("{{\"token\": \"{}\"}}", "x".repeat(20_000))).await.0, 413);
    assert_eq!(browser.ask(Method::GET, "/session", &OF_PAGE, "").await.status, 405);

    let check = async |token: &str, status: u16, said: &str| {
        let answered = browser.sign_in(&OF_PAGE, token).await;
        assert_eq!(answered.header("set-cookie"), "");
        let (got, error) = answered.error().await;
        assert_eq!(got, status, "{error}");
        assert!(error.contains(said), "{error}");
    };
    check("", 401, "empty").await;
    check("nonsense", 401, "can't be one").await;
    let (id, revoked) = key(&serving, new_key(Role::Viewer, "acme"));
    let (_, operator) = key(&serving, new_key(Role::Operator, "acme"));
    admin(&serving, &operator).await.revoke_api_key(RevokeApiKeyRequest { id }).await.unwrap();
    check(&revoked, 401, "revoked").await;
    check(&revoked.replace("hwm_viewer", "hwm_editor"), 401, "checksum").await;
    for role in [Role::Worker, Role::Metrics] {
        let (_, token) = key(&serving, new_key(role, "acme"));
        check(&token, 403, "one of viewer, editor, operator is needed").await;
    }
}

#[tokio::test]
async fn a_call_with_a_cookie_must_be_the_pages_own() {
    let serving = keyed();
    let (_, token) = key(&serving, new_key(Role::Viewer, "acme"));
    let own = format!("http://{}", serving.address);
    for browser in [Browser::new(&serving), Browser::over_2(&serving)] {
        let cookie = browser.signed_in(&token).await;
        assert_eq!(browser.status(&cookie, &OF_PAGE).await.0, 0);
        assert_eq!(browser.status(&cookie, &[("x-highwater", "1"), ("origin", &own)]).await.0, 0);
        for (said, words) in [
            (&[][..], "Sec-Fetch-Site"),
            (&[("x-highwater", "1")], "Sec-Fetch-Site"),
            (&[("x-highwater", "1"), ("sec-fetch-site", "cross-site")], "Sec-Fetch-Site"),
            (&[("x-highwater", "1"), ("sec-fetch-site", "same-site"), ("origin", &own)], "Sec-Fetch-Site"),
            (&[("x-highwater", "1"), ("origin", "http://elsewhere.example")], "Sec-Fetch-Site"),
            (&[("sec-fetch-site", "same-origin")], "X-Highwater: 1"),
        ] {
            refused(&browser.status(&cookie, said).await, Code::PermissionDenied, words);
        }
    }
}

#[tokio::test]
async fn a_bearer_goes_before_a_cookie() {
    let serving = keyed();
    let browser = Browser::new(&serving);
    let (_, token) = key(&serving, new_key(Role::Viewer, "acme"));
    let cookie = browser.signed_in(&token).await;
    let bearer = format!("Bearer {token}");
    // Programs may hold cookies, and are no page.
    assert_eq!(browser.status("hw=stale", &[("authorization", &bearer)]).await.0, 0);
    let wrong = [&OF_PAGE[..], &[("authorization", "Bearer hwm_nonsense")]].concat();
    refused(&browser.status(&cookie, &wrong).await, Code::Unauthenticated, "can't be one");
    // Neither.
    refused(&browser.status("theme=dark", &OF_PAGE).await, Code::Unauthenticated, "a credential is needed");
    refused(&browser.status("hw=stale", &OF_PAGE).await, Code::Unauthenticated, "not known");
    let other = ListQuotasRequest { project: "other".into(), ..Default::default() };
    let said = [&OF_PAGE[..], &[("cookie", &cookie)]].concat();
    let other = browser.call("/highwater.v1.QuotaService/ListQuotas", &other, &said).await;
    refused(&other.ended().await, Code::NotFound, "there is no project other");
}

#[tokio::test]
async fn a_cookie_and_its_streams_end_with_their_key() {
    let serving = keyed();
    let browser = Browser::new(&serving);
    let (id, token) = key(&serving, new_key(Role::Viewer, "acme"));
    let (_, operator) = key(&serving, new_key(Role::Operator, "acme"));
    let (_, worker) = key(&serving, new_key(Role::Worker, "acme"));
    ingest(&serving, &worker).await.report(report("acme")).await.unwrap();
    let cookie = browser.signed_in(&token).await;
    let watch = WatchQuotasRequest { project: "acme".into(), ..Default::default() };
    let said = [&OF_PAGE[..], &[("cookie", &cookie)]].concat();
    let mut watched = browser.call("/highwater.v1.QuotaService/WatchQuotas", &watch, &said).await;
    timeout(SOON, watched.body.frame()).await.unwrap().unwrap().unwrap();
    let revoked = Instant::now();
    admin(&serving, &operator).await.revoke_api_key(RevokeApiKeyRequest { id }).await.unwrap();
    let (status, words) = timeout(SOON, watched.ended()).await.unwrap();
    assert_eq!(status, Code::Unauthenticated as u32, "{words}");
    assert!(revoked.elapsed() < REVOKED_WITHIN, "{:?}", revoked.elapsed());
    refused(&browser.status(&cookie, &OF_PAGE).await, Code::Unauthenticated, "revoked");
}

#[tokio::test]
async fn a_cookie_is_good_no_longer_than_its_key() {
    let serving = keyed();
    let browser = Browser::new(&serving);
    let expires = Clock::wall().after(Duration::from_secs(2));
    let (_, token) = key(&serving, NewKey { expires: Some(expires), ..new_key(Role::Viewer, "acme") });
    let answered = browser.sign_in(&OF_PAGE, &token).await;
    assert!(["Max-Age=1;", "Max-Age=2;"].iter().any(|age| answered.header("set-cookie").contains(age)));
    let cookie = answered.cookie();
    let ended = timeout(SOON, async {
        loop {
            let (status, words) = browser.status(&cookie, &OF_PAGE).await;
            if status != 0 {
                return words;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(ended.await.unwrap().contains("expired"));
    assert!(Clock::wall() >= expires);
}

#[tokio::test]
async fn a_cookie_outlives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    config.dev = false;
    config.access.key_file = Some(dir.path().join("key"));
    let store = std::sync::Arc::new(highwater::store::EmbeddedStore::in_memory().unwrap());
    let mut first = Serving::on(config.clone(), store.clone());
    let (_, token) = key(&first, new_key(Role::Viewer, "acme"));
    let cookie = Browser::new(&first).signed_in(&token).await;
    first.stop();
    first.stopped().await;
    let second = Serving::on(config, store);
    assert_eq!(Browser::new(&second).status(&cookie, &OF_PAGE).await.0, 0);
    // Under another key file it is worth nothing.
    refused(&Browser::new(&keyed()).status(&cookie, &OF_PAGE).await, Code::Unauthenticated, "not known");
}

#[tokio::test]
async fn failed_sign_ins_are_throttled_and_told_to_the_audit_log() {
    let serving = keyed();
    let browser = Browser::new(&serving);
    let (id, viewer) = key(&serving, new_key(Role::Viewer, "acme"));
    let (_, operator) = key(&serving, new_key(Role::Operator, "acme"));
    admin(&serving, &operator).await.revoke_api_key(RevokeApiKeyRequest { id: id.clone() }).await.unwrap();
    let mut told = 0;
    while browser.sign_in(&OF_PAGE, &viewer).await.status == 401 {
        told += 1;
    }
    assert!((20..25).contains(&told), "{told}");
    let (status, error) = browser.sign_in(&OF_PAGE, &viewer).await.error().await;
    assert!(status == 429 && error.starts_with("too many credentials failed"), "{error}");
    let now = serving.service.clock.now();
    Keeper::new(now).last_step(&serving.service, now);
    let request = ListAuditRowsRequest { all_projects: true, ..Default::default() };
    let rows = admin(&serving, &operator).await.list_audit_rows(request).await.unwrap().into_inner().rows;
    let failed: Vec<_> = rows.iter().filter(|row| row.action == "auth.failed" && row.object == "/session").collect();
    assert!(failed.len() >= 20, "{rows:?}");
    assert!(failed.iter().all(|row| row.after == format!("Revoked key={id}")), "{failed:?}");
}

#[tokio::test]
async fn behind_tls_the_cookie_is_for_this_host_and_tls_alone() {
    let mut config = config();
    config.dev = false;
    config.tls.plaintext = true;
    let serving = Serving::with(config);
    let browser = Browser::new(&serving);
    let (_, token) = key(&serving, new_key(Role::Viewer, "acme"));
    let answered = browser.sign_in(&OF_PAGE, &token).await;
    let set = answered.header("set-cookie").to_owned();
    assert!(set.starts_with("__Host-hw=") && set.ends_with("; HttpOnly; SameSite=Strict; Secure"), "{set}");
    assert_eq!(browser.status(&answered.cookie(), &OF_PAGE).await.0, 0);
    let renamed = answered.cookie().replace("__Host-hw=", "hw=");
    refused(&browser.status(&renamed, &OF_PAGE).await, Code::Unauthenticated, "a credential is needed");
}

#[tokio::test]
async fn where_nobody_needs_a_key_nobody_signs_in() {
    let serving = Serving::start();
    let browser = Browser::new(&serving);
    let answered = browser.sign_in(&OF_PAGE, "anything").await;
    assert_eq!((answered.status, answered.header("set-cookie")), (204, ""));
    assert_eq!(browser.status("hw=stale", &[]).await.0, 0);
    assert_eq!(browser.status("hw=stale", &OF_PAGE).await.0, 0);
    // Yet another site must not decide on what runs on a developer's machine, whatever it calls its call.
    for said in [("sec-fetch-site", "cross-site"), ("origin", "http://elsewhere.example"), ("origin", "null")] {
        refused(&browser.status("", &[said]).await, Code::PermissionDenied, "another site");
        let plain = browser.ask(Method::POST, STATUS, &[said, ("content-type", "text/plain")], vec![0; 5]).await;
        refused(&plain.ended().await, Code::PermissionDenied, "another site");
    }
    // Nor one whose name was made to lead here: to the browser it then is the same site.
    let host = ("host", "evil.example:7422");
    for said in [&[host, ("origin", "http://evil.example:7422")][..], &[host, OF_PAGE[0], OF_PAGE[1]]] {
        refused(&browser.status("", said).await, Code::PermissionDenied, "names of the own machine");
    }
    assert_eq!(browser.status("", &[("host", "localhost:7422"), OF_PAGE[0], OF_PAGE[1]]).await.0, 0);
}
