//! An event stream that is written by hand: frames, each after its pause.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use http::HeaderMap;
use tidings_server::{axum::stream_headers, frame::Format};
use tokio::time::sleep;

use crate::{api, hub::Hub, problem::Kind};

/// Opens a stream of `frames`. It counts as one of the hub's, and ends with the frames, with its
/// reader, or when the hub leaves.
pub(super) fn open(
    hub: &Hub,
    headers: &HeaderMap,
    frames: impl Iterator<Item = (Duration, Vec<u8>)> + Send + 'static,
) -> Response {
    if hub.is_leaving() {
        return api::come_back(hub, headers, Kind::Leaving, "the hub is about to stop");
    }
    let Ok(permit) = hub.streams.clone().try_acquire_owned() else {
        return api::come_back(hub, headers, Kind::Crowded, "too many streams are open");
    };
    let state = (frames, hub.leaving.subscribe(), permit);
    let frames = stream::unfold(state, |(mut frames, mut leaving, permit)| async {
        let (pause, frame) = frames.next()?;
        tokio::select! {
            () = sleep(pause) => {}
            _ = leaving.wait_for(|leaving| *leaving) => return None,
        }
        Some((Ok::<_, Infallible>(frame), (frames, leaving, permit)))
    });
    (stream_headers(Format::EventStream), Body::from_stream(frames)).into_response()
}
