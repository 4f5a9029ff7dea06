//! A browser as far as the service sees one: it sends what it is told to, over real HTTP, and keeps no cookie by itself.

use axum::http::{HeaderMap, Method, Request, Uri};
use highwater::proto::GetStatusRequest;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use prost::Message;
use tokio::time::timeout;
use tonic::Code;

use crate::serving::{SOON, Serving};

/// What the page says with everything it asks for, and a browser with it.
pub const OF_PAGE: [(&str, &str); 2] = [("x-highwater", "1"), ("sec-fetch-site", "same-origin")];
pub const STATUS: &str = "/highwater.v1.QuotaService/GetStatus";

/// A browser: it sends what it is told to.
pub struct Browser {
    client: Client<HttpConnector, Full<Bytes>>,
    at: String,
}

pub struct Answered {
    pub status: u16,
    headers: HeaderMap,
    pub body: Incoming,
}

impl Browser {
    pub fn new(serving: &Serving) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), at: format!("http://{}", serving.address) }
    }

    /// One that speaks HTTP/2 alone.
    pub fn over_2(serving: &Serving) -> Self {
        let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        Self { client, ..Self::new(serving) }
    }

    pub async fn ask(&self, method: Method, path: &str, said: &[(&str, &str)], body: impl Into<Bytes>) -> Answered {
        let uri: Uri = format!("{}{path}", self.at).parse().unwrap();
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in said {
            request = request.header(*name, *value);
        }
        let asked = self.client.request(request.body(Full::new(body.into())).unwrap());
        let (parts, body) = timeout(SOON, asked).await.unwrap().unwrap().into_parts();
        Answered { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub async fn sign_in(&self, said: &[(&str, &str)], token: &str) -> Answered {
        let said = [said, &[("content-type", "application/json")]].concat();
        self.ask(Method::POST, "/session", &said, serde_json::json!({ "token": token }).to_string()).await
    }

    /// Signs in as the page does; the cookie to send from then on.
    pub async fn signed_in(&self, token: &str) -> String {
        let answered = self.sign_in(&OF_PAGE, token).await;
        assert_eq!(answered.status, 204);
        answered.cookie()
    }

    pub async fn call(&self, path: &str, message: &impl Message, said: &[(&str, &str)]) -> Answered {
        let message = message.encode_to_vec();
        let framed = [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), &message].concat();
        let said = [said, &[("content-type", "application/grpc-web+proto")]].concat();
        self.ask(Method::POST, path, &said, framed).await
    }

    /// A call with this cookie as the page makes it, with what else is said; its status and words.
    pub async fn status(&self, cookie: &str, said: &[(&str, &str)]) -> (u32, String) {
        self.call(STATUS, &GetStatusRequest {}, &[said, &[("cookie", cookie)]].concat()).await.ended().await
    }
}

impl Answered {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// What a browser sends back of what was set.
    pub fn cookie(&self) -> String {
        self.header("set-cookie").split(';').next().unwrap().to_owned()
    }

    pub async fn text(self) -> String {
        String::from_utf8(self.body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    pub async fn error(self) -> (u16, String) {
        let status = self.status;
        let said: serde_json::Value = serde_json::from_str(&self.text().await).unwrap();
        (status, said["error"].as_str().unwrap().to_owned())
    }

    /// The status of a call, and its words.
    pub async fn ended(self) -> (u32, String) {
        let words = self.header("grpc-message").replace("%20", " ");
        if let Ok(status) = self.header("grpc-status").parse() {
            return (status, words);
        }
        let body = self.body.collect().await.unwrap().to_bytes();
        let told = String::from_utf8_lossy(&body).into_owned();
        let status = told.rsplit("grpc-status:").next().unwrap().lines().next().unwrap().trim().parse().unwrap();
        (status, told)
    }

    pub async fn message<M: Message + Default>(self) -> M {
        let body = self.body.collect().await.unwrap().to_bytes();
        let length = u32::from_be_bytes(body[1..5].try_into().unwrap()) as usize;
        M::decode(&body[5..5 + length]).unwrap()
    }
}

/// A call was refused with this code, in these words among others.
#[track_caller]
pub fn refused((status, words): &(u32, String), code: Code, said: &str) {
    assert_eq!(*status, code as u32, "{words}");
    assert!(words.contains(said), "{words}");
}
