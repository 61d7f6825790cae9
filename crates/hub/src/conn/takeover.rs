//! Taking over: a connection whose request is answered with a stream goes to the engine, or if it
//! is one of TLS, to a task that does nothing else.

use std::{fmt, sync::Arc, time::SystemTime};

use axum::response::Response;
use http::{HeaderValue, Version, header};
use parking_lot::Mutex;
use tidings_server::fanout::{
    Subscriber,
    engine::{Connection, Framing},
};
use tokio::{net::TcpStream, sync::OwnedSemaphorePermit};

use super::Open;
use crate::hub::Hub;

/// On a request: its connection can be taken over. The answer then has no body but a
/// [`Takeover`] in its extensions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MayTakeOver;

/// What is to be written to the connection.
#[derive(Clone)]
pub(crate) struct Takeover(Arc<Mutex<Option<(Subscriber, OwnedSemaphorePermit)>>>);

impl Takeover {
    pub(crate) fn new(subscriber: Subscriber, permit: OwnedSemaphorePermit) -> Self {
        Self(Arc::new(Mutex::new(Some((subscriber, permit)))))
    }
}

impl fmt::Debug for Takeover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Takeover").finish_non_exhaustive()
    }
}

/// A response whose stream neither hyper nor axum is to write.
pub(super) struct Stream {
    pub(super) head: Box<[u8]>,
    pub(super) framing: Framing,
    pub(super) subscriber: Subscriber,
    pub(super) permit: OwnedSemaphorePermit,
}

impl Stream {
    /// Takes the stream out of a response to a request of this version, if it has one.
    pub(super) fn take(response: &mut Response, version: Version) -> Option<Self> {
        let takeover = response.extensions_mut().remove::<Takeover>()?;
        let (subscriber, permit) = takeover.0.lock().take()?;
        let framing = match version {
            Version::HTTP_10 => Framing::UntilClose,
            _ => Framing::Chunked,
        };
        Some(Self { head: head(response, framing), framing, subscriber, permit })
    }

    /// Gives a plain connection to the engine.
    pub(super) fn start(self, hub: &Hub, stream: TcpStream, open: Open) {
        let Self { head, framing, subscriber, permit } = self;
        match stream.into_std() {
            Ok(socket) => {
                let held = Box::new((permit, open));
                hub.engine.adopt(subscriber, Connection { socket, head, framing, held });
            }
            Err(error) => tracing::warn!(%error, "a connection could not be taken over"),
        }
    }
}

// As hyper writes one.
fn head(response: &Response, framing: Framing) -> Box<[u8]> {
    let mut head = Vec::with_capacity(512);
    let version: &[u8] = match framing {
        Framing::Chunked => b"HTTP/1.1 ",
        Framing::UntilClose => b"HTTP/1.0 ",
    };
    let status = response.status();
    let reason = status.canonical_reason().unwrap_or_default();
    for part in [version, status.as_str().as_bytes(), b" ", reason.as_bytes(), b"\r\n"] {
        head.extend_from_slice(part);
    }
    let mut line = |name: &str, value: &HeaderValue| {
        for part in [name.as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    };
    // What frames the message is said below, whatever else was meant.
    let own = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION, header::DATE];
    for (name, value) in response.headers().iter().filter(|(name, _)| !own.contains(name)) {
        line(name.as_str(), value);
    }
    if framing == Framing::Chunked {
        line(header::TRANSFER_ENCODING.as_str(), &HeaderValue::from_static("chunked"));
    }
    // The stream is the last answer on it.
    line(header::CONNECTION.as_str(), &HeaderValue::from_static("close"));
    if let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(SystemTime::now())) {
        line(header::DATE.as_str(), &date);
    }
    head.extend_from_slice(b"\r\n");
    head.into()
}
