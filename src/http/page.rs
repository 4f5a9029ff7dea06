//! The page: what `npm run build` made of `web/`, out of the binary itself. A path that is no file is an address of the
//! page's own, and gets its index. It knows nothing of who asks: what the page shows it asks for over gRPC-Web.

use std::collections::HashMap;

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header},
};
use http_body_util::Full;
use rust_embed::Embed;
use sha2::{Digest as _, Sha256};
use tonic::body::Body;

use crate::http::web;

/// What is served at `/` and at every address of the page.
const INDEX: &str = "index.html";
/// What is in here has a name for each content, so that browsers may keep it for ever.
const ASSETS: &str = "assets/";
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");
/// Bytes of a file's SHA-256 that tell it from others.
const TAG_BYTES: usize = 16;
/// Paths that calls are below: one that is not served is no address of the page.
const CALLS: [&str; 2] = ["/highwater.v1.", "/grpc."];
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// The index of a binary that was built without the page.
const NOT_BUILT: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Highwater</title>\n\
    <h1>This binary holds no page</h1>\n<p>It was built where the page had not been. Run <code>make build</code>, which \
    needs Node 20 or later, and start it again. The service itself runs: <code>highwater quotas</code> shows it.</p>\n";

/// What every answer to a browser says: nothing is loaded from elsewhere, run from within, framed, guessed or told on.
const PROTECTION: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

#[derive(Embed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Built;

/// The files of the page.
#[derive(Debug)]
pub struct Page {
    files: HashMap<String, File>,
    index: File,
}

/// One file, as it is and as it was compressed when it was built.
#[derive(Debug)]
struct File {
    content: HeaderValue,
    kept: HeaderValue,
    plain: Form,
    /// By the name that browsers ask for it, the smallest first.
    compressed: Vec<(&'static str, Form)>,
}

/// What is sent, and the tag that a browser knows it by.
#[derive(Debug)]
struct Form {
    bytes: Bytes,
    tag: HeaderValue,
}

impl Page {
    /// What this binary was built with.
    pub fn built() -> Self {
        let files = Built::iter().filter_map(|name| Some((name.to_string(), Built::get(&name)?.data)));
        Self::of(files.map(|(name, data)| match data {
            std::borrow::Cow::Borrowed(bytes) => (name, Bytes::from_static(bytes)),
            std::borrow::Cow::Owned(bytes) => (name, bytes.into()),
        }))
    }

    fn of(files: impl IntoIterator<Item = (String, Bytes)>) -> Self {
        let mut forms: HashMap<String, Form> =
            files.into_iter().map(|(name, bytes)| (name, Form::new(bytes))).collect();
        let names: Vec<_> =
            forms.keys().filter(|name| !name.ends_with(".br") && !name.ends_with(".gz")).cloned().collect();
        let mut files = HashMap::new();
        for name in names {
            let compressed = [("br", ".br"), ("gzip", ".gz")];
            let compressed = compressed.map(|(coding, end)| Some((coding, forms.remove(&format!("{name}{end}"))?)));
            let Some(plain) = forms.remove(&name) else { continue };
            let kept = if name.starts_with(ASSETS) { FOR_EVER } else { ASK_AGAIN };
            let content = HeaderValue::from_static(content(&name));
            let compressed = compressed.into_iter().flatten().collect();
            files.insert(name, File { content, kept, plain, compressed });
        }
        let index = files.remove(INDEX).unwrap_or_else(|| File {
            content: HeaderValue::from_static(content(INDEX)),
            kept: ASK_AGAIN,
            plain: Form::new(Bytes::from_static(NOT_BUILT.as_bytes())),
            compressed: Vec::new(),
        });
        Self { files, index }
    }

    /// What is answered to whoever asks for a path that nobody else answers; `None` when it is a call, and no question of
    /// a browser.
    pub fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Option<Response<Body>> {
        if CALLS.iter().any(|calls| path.starts_with(calls)) || web::is_grpc(headers) {
            return None;
        }
        if !matches!(*method, Method::GET | Method::HEAD) {
            let mut refused = words(StatusCode::METHOD_NOT_ALLOWED, "a page is only read\n");
            refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Some(refused);
        }
        let name = path.strip_prefix('/').unwrap_or(path);
        let file = match self.files.get(name) {
            None if name.starts_with(ASSETS) => return Some(words(StatusCode::NOT_FOUND, "there is no such file\n")),
            file => file.unwrap_or(&self.index),
        };
        Some(file.answer(method, headers))
    }
}

impl File {
    fn answer(&self, method: &Method, headers: &HeaderMap) -> Response<Body> {
        let taken = headers.get(header::ACCEPT_ENCODING).and_then(|taken| taken.to_str().ok()).unwrap_or_default();
        let best = self.compressed.iter().find(|(coding, _)| takes(taken, coding));
        let (coding, form) = best.map_or((None, &self.plain), |(coding, form)| (Some(*coding), form));
        let known = headers.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok()).unwrap_or_default();
        let is_known =
            known.split(',').any(|tag| tag.trim().trim_start_matches("W/").as_bytes() == form.tag.as_bytes());
        let mut answer = if is_known {
            let mut answer = Response::new(Body::empty());
            *answer.status_mut() = StatusCode::NOT_MODIFIED;
            answer
        } else {
            let mut answer = whole(method, form.bytes.clone());
            answer.headers_mut().insert(header::CONTENT_TYPE, self.content.clone());
            answer
                .headers_mut()
                .extend(coding.map(|coding| (header::CONTENT_ENCODING, HeaderValue::from_static(coding))));
            answer
        };
        let said = answer.headers_mut();
        said.insert(header::ETAG, form.tag.clone());
        said.insert(header::CACHE_CONTROL, self.kept.clone());
        if !self.compressed.is_empty() {
            said.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        protect(said);
        answer
    }
}

impl Form {
    fn new(bytes: Bytes) -> Self {
        let digest = Sha256::digest(&bytes);
        let hex: String = digest[..TAG_BYTES].iter().map(|byte| format!("{byte:02x}")).collect();
        let tag =
            HeaderValue::try_from(format!("\"{hex}\"")).expect("OK because hexadecimal digits may be in a header");
        Self { bytes, tag }
    }
}

/// Says what a browser may do with an answer.
pub fn protect(headers: &mut HeaderMap) {
    headers.extend(PROTECTION.map(|(name, value)| (name, HeaderValue::from_static(value))));
}

/// The whole of something; of a question for the headers alone, they are those of the whole.
fn whole(method: &Method, bytes: Bytes) -> Response<Body> {
    if *method != Method::HEAD {
        return Response::new(Body::new(Full::new(bytes)));
    }
    let mut answer = Response::new(Body::empty());
    answer.headers_mut().insert(header::CONTENT_LENGTH, bytes.len().into());
    answer
}

fn words(status: StatusCode, words: &'static str) -> Response<Body> {
    let mut answer = Response::new(Body::new(Full::new(Bytes::from_static(words.as_bytes()))));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, TEXT);
    protect(answer.headers_mut());
    answer
}

/// Whether a browser that takes these codings takes this one.
fn takes(taken: &str, coding: &str) -> bool {
    taken.split(',').any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(coding));
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse::<f32>);
        is_named && weight.is_ok_and(|weight| weight > 0.0)
    })
}

/// What a file is, by the end of its name.
fn content(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;
