//! Bodies of publish requests, in bounded memory and time.

use std::time::Duration;

use axum::body::Body;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, timeout_at},
};

use crate::{
    hub::Hub,
    problem::{Kind, Problem},
};

/// A whole body, and its share of the memory for publishes under way.
pub(super) struct Received {
    pub(super) bytes: Vec<u8>,
    pub(super) share: OwnedSemaphorePermit,
}

/// Receives a body of at most the configured size within the configured time.
pub(super) async fn receive(hub: &Hub, mut body: Body) -> Result<Received, Problem> {
    let bytes_max = hub.config.limits.body_bytes_max;
    let deadline = Instant::now() + hub.config.timeouts.body;
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if declared > bytes_max {
        discard(body).await;
        return Err(too_large(bytes_max));
    }
    let mut share = take(hub, 0)?;
    let mut bytes = Vec::new();
    loop {
        let Ok(frame) = timeout_at(deadline, body.frame()).await else {
            let detail = "the body did not arrive in time";
            return Err(Problem::new(Kind::BodyTimeout, detail).of("body"));
        };
        let frame = match frame {
            None => return Ok(Received { bytes, share }),
            Some(Err(_)) => {
                let detail = "the body broke off or is not framed as it must be";
                return Err(Problem::new(Kind::Malformed, detail).of("body"));
            }
            Some(Ok(frame)) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        let len = bytes.len() + data.len();
        let held = share.num_permits();
        let grown = if len > bytes_max {
            Err(too_large(bytes_max))
        } else if len > held {
            // Room is taken for what has come, not for what was announced: or else a few hundred
            // heads without a body would keep every other publisher out.
            let room = len.max(2 * held).min(if declared > 0 { declared } else { bytes_max });
            take(hub, room - held).map(|more| {
                share.merge(more);
                bytes.reserve_exact(room - bytes.len());
            })
        } else {
            Ok(())
        };
        if let Err(problem) = grown {
            drop((bytes, share));
            discard(body).await;
            return Err(problem);
        }
        bytes.extend_from_slice(&data);
    }
}

/// Takes a share of so many bytes of the memory for publishes under way.
pub(super) fn take(hub: &Hub, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    hub.publishing.clone().try_acquire_many_owned(bytes).map_err(|_| {
        Problem::new(Kind::Crowded, "too many bytes are being published at present")
            .retry_after(hub.config.retry)
    })
}

fn too_large(bytes_max: usize) -> Problem {
    let rule = format!("the body has at most {bytes_max} bytes (option --body-bytes-max)");
    Problem::new(Kind::BodyTooLarge, rule).of("body")
}

/// Reads on for a while.
///
/// Closing on a client that is still sending would reset the connection, and the client might
/// never see the answer. What is not read by then is cut off.
pub(super) async fn discard(mut body: Body) {
    let deadline = Instant::now() + DISCARD_TIME_MAX;
    let mut bytes = 0;
    while let Ok(Some(Ok(frame))) = timeout_at(deadline, body.frame()).await {
        bytes += frame.data_ref().map_or(0, bytes::Bytes::len);
        if bytes > DISCARD_BYTES_MAX {
            return;
        }
    }
}

const DISCARD_TIME_MAX: Duration = Duration::from_secs(2);
const DISCARD_BYTES_MAX: usize = 16 << 20;
