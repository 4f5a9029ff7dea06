//! gRPC-Web: what a browser's page can speak of gRPC, over HTTP/1.1 and HTTP/2. A call is made one of gRPC before it is
//! looked at, and its answer is made one of gRPC-Web last of all, so that every rule of the port holds for both. Other
//! calls never come here.

use axum::{
    BoxError,
    body::Bytes,
    http::{HeaderMap, Request, header},
};
use hyper::body::{Body as HttpBody, Incoming};
use tonic::body::Body;
use tonic_web::GrpcWebLayer;
use tower::{Layer as _, Service as _, service_fn};

use crate::http::routes::{Answer, Call};

/// How the content type of every call begins.
const GRPC: &[u8] = b"application/grpc";
/// How that of every call of gRPC-Web does, binary or text.
const GRPC_WEB: &[u8] = b"application/grpc-web";

/// What a call may bring: its bytes as they come in, or as gRPC-Web made them.
pub trait Sent: HttpBody<Data = Bytes, Error: Into<BoxError> + Send> + Send + 'static {}

impl<T: HttpBody<Data = Bytes, Error: Into<BoxError> + Send> + Send + 'static> Sent for T {}

/// Whether it is a call of gRPC-Web.
pub fn is_grpc_web(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|content| content.as_bytes().starts_with(GRPC_WEB))
}

/// Whether it is a call at all.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|content| content.as_bytes().starts_with(GRPC))
}

/// Begins to answer a call of gRPC-Web by what answers it as one of gRPC.
pub fn answer(request: Request<Incoming>, begin: impl FnMut(Request<Body>) -> Answer) -> Call {
    Box::pin(GrpcWebLayer::new().layer(service_fn(begin)).call(request))
}
