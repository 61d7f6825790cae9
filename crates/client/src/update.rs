//! What a source delivers.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tidings_proto::source::{Cause, Fault};
use tidings_proto::{EventId, EventName};
use url::Url;

use crate::{HookFailure, NetworkError, Origin};

/// One thing that happened to a source, in the order in which it happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Update {
    /// The connection stands: the response that opened it. It comes before anything of its stream.
    Open(Box<Response>),
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
    Disconnected(Box<Disconnection>),
}

/// The head of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The URL of the response, after redirects.
    pub url: Url,
    /// The headers of the response.
    pub headers: HeaderMap,
}

/// An event as it was received, with the members of the browsers' `MessageEvent`.
#[derive(Debug, Clone)]
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
    pub origin: Origin,
    /// Which message of its source it is, to acknowledge it: 1 is the first, 0 none.
    pub(crate) number: u64,
}

/// Two messages are equal if all that the server sent is.
impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        self.event_type == other.event_type
            && self.data == other.data
            && self.last_event_id == other.last_event_id
            && self.origin == other.origin
    }
}

impl Eq for Message {}

impl Message {
    /// A message as if it had been received, for tests of what handles messages. To acknowledge it
    /// changes nothing.
    #[must_use]
    pub fn new(
        event_type: EventName,
        data: impl Into<String>,
        last_event_id: EventId,
        origin: impl Into<Origin>,
    ) -> Self {
        let (data, origin) = (data.into(), origin.into());
        Self { event_type, data, last_event_id, origin, number: 0 }
    }
}

/// How a connection was lost, and when the next attempt is.
#[derive(Debug)]
#[non_exhaustive]
pub struct Disconnection {
    /// Why.
    pub cause: Cause,
    /// What the network said, if the cause is [`Cause::Network`] or [`Cause::Unreachable`].
    pub network: Option<NetworkError>,
    /// What the request hook said, if the cause is [`Cause::NotPrepared`].
    pub hook: Option<HookFailure>,
    /// The head of the response, if there was one.
    pub response: Option<Response>,
    /// The id that the next attempt resumes after. Empty if it cannot resume.
    pub last_event_id: EventId,
    /// How long the source waits before it connects again.
    pub delay: Duration,
}

impl Disconnection {
    /// Who can do something about it.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        self.cause.fault()
    }

    /// The reason alone, as half a sentence: such as "Connection refused".
    #[must_use]
    pub fn reason(&self) -> String {
        reason(&self.cause, self.network.as_ref(), self.hook.as_ref())
    }
}

/// The reason, and what the source will do.
impl fmt::Display for Disconnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; connecting again ", self.reason())?;
        match self.delay {
            Duration::ZERO => f.write_str("now"),
            delay => write!(f, "in {:.1} s", delay.as_secs_f64()),
        }
    }
}

/// What is known of the reason, the innermost of it.
pub(crate) fn reason(
    cause: &Cause,
    network: Option<&NetworkError>,
    hook: Option<&HookFailure>,
) -> String {
    match (cause, network, hook) {
        (Cause::Network | Cause::Unreachable, Some(network), _) => format!("{cause}: {network}"),
        (Cause::NotPrepared { .. }, _, Some(hook)) => format!("{cause}: {hook}"),
        _ => cause.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn an_update_is_small_to_move() {
        assert!(size_of::<Update>() <= 112, "{}", size_of::<Update>());
        let item = size_of::<Option<Result<Update, Error>>>();
        assert!(item <= 112, "{item}");
    }
}
