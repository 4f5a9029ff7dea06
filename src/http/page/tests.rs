//! The page, with files of the tests' own: which binary holds which is another's business.

use http_body_util::BodyExt as _;

use super::*;

fn page() -> Page {
    let files = [
        ("index.html", "<!doctype html>"),
        ("index.html.gz", "gzip of the index"),
        ("index.html.br", "brotli of the index"),
        ("assets/app-1a2b.js", "app()"),
        ("assets/app-1a2b.js.gz", "gzip of app()"),
        ("assets/style-3c.css", "a {}"),
        ("favicon.svg", "<svg/>"),
    ];
    Page::of(files.map(|(name, text)| (name.to_owned(), Bytes::from_static(text.as_bytes()))))
}

struct Answered {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answered {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a header in ASCII"))
    }
}

async fn ask(page: &Page, method: Method, path: &str, said: &[(&'static str, &str)]) -> Option<Answered> {
    let mut headers = HeaderMap::new();
    for (name, value) in said {
        headers.insert(*name, value.parse().expect("a header"));
    }
    let (parts, body) = page.answer(&method, path, &headers)?.into_parts();
    let body = body.collect().await.expect("a body in memory").to_bytes();
    let body = String::from_utf8_lossy(&body).into_owned();
    Some(Answered { status: parts.status.as_u16(), headers: parts.headers, body })
}

async fn get(path: &str, said: &[(&'static str, &str)]) -> Answered {
    ask(&page(), Method::GET, path, said).await.expect("it is no call")
}

#[tokio::test]
async fn every_answer_is_protected() {
    for (path, status) in [("/", 200), ("/p/acme/quotas", 200), ("/assets/app-1a2b.js", 200), ("/assets/none.js", 404)]
    {
        let answered = get(path, &[]).await;
        assert_eq!(answered.status, status, "{path}");
        let policy = answered.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{path}: {policy}");
        assert!(policy.ends_with("require-trusted-types-for 'script'"), "{path}: {policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answered.header(name), value, "{path}");
        }
    }
}

#[tokio::test]
async fn addresses_of_the_page_get_its_index_and_unknown_assets_nothing() {
    for path in ["/", "/index.html", "/p/acme/quotas", "/p/acme/sessions/x.y"] {
        let answered = get(path, &[]).await;
        assert_eq!((answered.status, &*answered.body), (200, "<!doctype html>"), "{path}");
        assert_eq!(answered.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(answered.header("cache-control"), "no-cache");
    }
    for path in ["/assets/app.js", "/assets/", "/assets/../index.html"] {
        assert_eq!(get(path, &[]).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn assets_are_kept_for_a_year_and_others_asked_for_again() {
    let script = get("/assets/app-1a2b.js", &[]).await;
    assert_eq!(script.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(get("/assets/style-3c.css", &[]).await.header("content-type"), "text/css; charset=utf-8");
    let icon = get("/favicon.svg", &[]).await;
    assert_eq!((icon.header("content-type"), icon.header("cache-control")), ("image/svg+xml", "no-cache"));
}

#[tokio::test]
async fn the_smallest_form_that_a_browser_takes_is_sent() {
    let check = async |path: &str, taken: &str, coding: &str, body: &str| {
        let answered = get(path, &[("accept-encoding", taken)]).await;
        assert_eq!((answered.header("content-encoding"), &*answered.body), (coding, body), "{path}, {taken}");
    };
    check("/", "gzip, deflate, br", "br", "brotli of the index").await;
    check("/", "gzip, br;q=0", "gzip", "gzip of the index").await;
    check("/", "GZIP;q=0.5", "gzip", "gzip of the index").await;
    check("/", "identity", "", "<!doctype html>").await;
    check("/assets/app-1a2b.js", "gzip, br", "gzip", "gzip of app()").await;
    check("/assets/style-3c.css", "gzip, br", "", "a {}").await;
    assert_eq!(get("/", &[]).await.header("vary"), "accept-encoding");
    // They are forms of a file, and no files.
    assert_eq!(get("/assets/app-1a2b.js.gz", &[]).await.status, 404);
}

#[tokio::test]
async fn what_a_browser_has_is_not_sent_again() {
    let first = get("/", &[]).await;
    let again = get("/", &[("if-none-match", &format!("\"other\", W/{}", first.header("etag")))]).await;
    assert_eq!((again.status, &*again.body, again.header("etag")), (304, "", first.header("etag")));
    assert_eq!(again.header("cache-control"), "no-cache");
    let compressed = get("/", &[("accept-encoding", "gzip"), ("if-none-match", first.header("etag"))]).await;
    assert_eq!(compressed.status, 200, "each form has a tag of its own");
}

#[tokio::test]
async fn a_page_is_only_read() {
    let head = ask(&page(), Method::HEAD, "/", &[]).await.expect("it is no call");
    assert_eq!((head.status, head.header("content-length"), &*head.body), (200, "15", ""));
    let posted = ask(&page(), Method::POST, "/", &[]).await.expect("it is no call");
    assert_eq!((posted.status, posted.header("allow")), (405, "GET, HEAD"));
}

#[tokio::test]
async fn calls_are_left_to_those_who_answer_them() {
    for path in ["/highwater.v1.QuotaService/Nothing", "/grpc.health.v1.Health/Nothing"] {
        assert!(ask(&page(), Method::POST, path, &[]).await.is_none(), "{path}");
    }
    assert!(ask(&page(), Method::POST, "/x.Y/Z", &[("content-type", "application/grpc+proto")]).await.is_none());
}

#[tokio::test]
async fn a_binary_without_a_page_says_how_to_build_one() {
    let answered = ask(&Page::of([]), Method::GET, "/p/acme/quotas", &[]).await.expect("it is no call");
    assert_eq!((answered.status, answered.header("cache-control")), (200, "no-cache"));
    assert!(answered.body.contains("make build"), "{}", answered.body);
}
