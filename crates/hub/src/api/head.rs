//! `HEAD`: the head of what a GET would get.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::header;
use http_body::{Body as HttpBody, Frame};

/// Keeps the answer to a HEAD from having the length of its own empty body, where that of the GET
/// is not known.
pub(super) fn without_length(response: Response) -> Response {
    if response.headers().contains_key(header::CONTENT_LENGTH) {
        return response;
    }
    response.map(|_| Body::new(Lengthless))
}

/// No bytes, of which nobody says how many they are.
pub(super) struct Lengthless;

impl HttpBody for Lengthless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }
}
