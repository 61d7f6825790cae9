//! A subscriber as an HTTP body.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::Stream;
use http_body::{Body, Frame};

use crate::fanout::Subscriber;

/// The body of an event stream's response.
///
/// A body frame is at most 64 KiB, so that one large event does not hold up the other streams
/// of an HTTP/2 connection.
#[derive(Debug)]
pub struct StreamBody {
    subscriber: Subscriber,
    rest: Bytes,
}

impl StreamBody {
    /// The largest body frame, in bytes.
    pub const FRAME_BYTES_MAX: usize = 64 << 10;

    /// The stream of this subscriber.
    pub fn new(subscriber: Subscriber) -> Self {
        Self { subscriber, rest: Bytes::new() }
    }
}

impl Body for StreamBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.subscriber).poll_next(cx)) {
                Some(bytes) => self.rest = bytes,
                None => return Poll::Ready(None),
            }
        }
        let frame_bytes = self.rest.len().min(Self::FRAME_BYTES_MAX);
        let frame = self.rest.split_to(frame_bytes);
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }
}
