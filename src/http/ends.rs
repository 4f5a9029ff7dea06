//! A response that ends when the credential that its call was let in by does: for streams of services that are not ours.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue},
};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tonic::{Code, Status, body::Body};

use crate::{api::auth::standing::Standing, error::Error};

/// The body, and what ends it.
pub struct EndsWithCredential {
    body: Body,
    lost: Pin<Box<dyn Future<Output = Error> + Send>>,
    has_ended: bool,
}

impl EndsWithCredential {
    pub fn new(body: Body, mut standing: Standing) -> Self {
        Self { body, lost: Box::pin(async move { standing.lost().await }), has_ended: false }
    }
}

impl HttpBody for EndsWithCredential {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(error) = self.lost.as_mut().poll(context) {
            self.has_ended = true;
            return Poll::Ready(Some(Ok(Frame::trailers(trailers(error.code())))));
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

fn trailers(code: Code) -> HeaderMap {
    HeaderMap::from_iter([(axum::http::HeaderName::from_static("grpc-status"), HeaderValue::from(code as i32))])
}
