//! An event stream that is written by hand: frames, each after its pause.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame};
use tidings_server::{axum::stream_headers, frame::Format};
use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    time::sleep,
};

use crate::{api, hub::Hub, problem::Kind};

/// Opens a stream of `frames`. It counts as one of the hub's, and ends with the frames, with its
/// reader, or when the hub leaves.
pub(super) fn open(
    hub: Hub,
    headers: &HeaderMap,
    frames: impl Iterator<Item = (Duration, Vec<u8>)> + Send + 'static,
) -> Response {
    if hub.is_leaving() {
        return api::come_back(&hub, headers, Kind::Leaving, "the hub is about to stop");
    }
    let Ok(permit) = hub.streams.clone().try_acquire_owned() else {
        return api::come_back(&hub, headers, Kind::Crowded, "too many streams are open");
    };
    // One frame waits at most: a reader that is slow makes the writer wait.
    let (sender, receiver) = channel(1);
    tokio::spawn(async move {
        write(&hub, frames, sender).await;
        drop(permit);
    });
    (stream_headers(Format::EventStream), Body::new(Written(receiver))).into_response()
}

async fn write(
    hub: &Hub,
    frames: impl Iterator<Item = (Duration, Vec<u8>)>,
    sender: Sender<Bytes>,
) {
    let mut leaving = hub.leaving.subscribe();
    for (pause, frame) in frames {
        tokio::select! {
            () = sleep(pause) => {}
            () = sender.closed() => return,
            _ = leaving.wait_for(|leaving| *leaving) => return,
        }
        if sender.send(frame.into()).await.is_err() {
            return;
        }
    }
}

struct Written(Receiver<Bytes>);

impl HttpBody for Written {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
