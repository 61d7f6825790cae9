//! What a source delivers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tidings_proto::source::Cause;
use tidings_proto::{EventId, EventName};
use url::Url;

use crate::NetworkError;

/// One thing that happened to a source, in the order in which it happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Update {
    /// The connection stands. It comes before anything of its stream.
    Open(Opening),
    /// An event was received.
    Message(Message),
    /// A comment was received: the text after its colon.
    Comment(String),
    /// The stream has set the reconnection time.
    Retry(Duration),
    /// The last event id cannot be sent as a header value, so the next request goes without it, and
    /// the server will not know where to resume. Told once for each such id.
    UnsendableId(EventId),
    /// The connection was lost or refused. The source connects again by itself.
    Disconnected(Disconnection),
}

/// The response that opened a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opening {
    /// The URL of the response, after redirects.
    pub url: Url,
    /// The headers of the response.
    pub headers: HeaderMap,
}

/// An event as it was received, with the members of the browsers' `MessageEvent`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The event type: `message` unless the stream named another.
    pub event_type: EventName,
    /// The data. May be empty.
    pub data: String,
    /// The last event id of the stream: this event's if it brought one, else an earlier one's. Empty
    /// if there was none.
    pub last_event_id: EventId,
    /// The origin of the URL of the response, after redirects, such as `https://example.com`.
    pub origin: Arc<str>,
}

impl Message {
    /// A message as if it had been received, for tests of what handles messages.
    #[must_use]
    pub fn new(
        event_type: EventName,
        data: impl Into<String>,
        last_event_id: EventId,
        origin: impl Into<Arc<str>>,
    ) -> Self {
        Self { event_type, data: data.into(), last_event_id, origin: origin.into() }
    }
}

/// How a connection was lost, and when the next attempt is.
#[derive(Debug)]
#[non_exhaustive]
pub struct Disconnection {
    /// Why.
    pub cause: Cause,
    /// What the network said, if the cause is [`Cause::Network`].
    pub network: Option<NetworkError>,
    /// How long the source waits before it connects again.
    pub delay: Duration,
}

/// The reason, as half a sentence.
impl fmt::Display for Disconnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.network {
            Some(network) => network.fmt(f),
            None => self.cause.fmt(f),
        }
    }
}
