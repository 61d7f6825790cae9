//! What a source has to tell.

use alloc::string::String;
use core::time::Duration;

use super::Cause;
use crate::event::{Event, EventId};

/// What a source has to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// The connection stands. It comes before anything of its stream.
    Open,
    /// An event was dispatched.
    Message(Event),
    /// A comment, with its text after the colon.
    Comment(String),
    /// The stream has set the reconnection time.
    Retry(Duration),
    /// The last event id cannot be a header value, so the next request goes without: the server
    /// will not know where to resume. Told once for each such id.
    UnsendableId(EventId),
    /// The connection was lost or refused, and the source connects again after `delay`.
    Disconnected {
        /// Why.
        cause: Cause,
        /// How long it waits.
        delay: Duration,
    },
    /// The source is closed for good. This is the last output.
    Failed {
        /// Why the last connection was lost or refused.
        cause: Cause,
        /// Why there will be no other.
        finality: Finality,
    },
}

/// Why a source does not connect again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Finality {
    /// The cause is final by itself: see [`Cause::is_retryable`].
    Refused,
    /// It would be no different again: the same event has crossed the same limit twice.
    Futile,
    /// As many attempts have failed in a row as the policy allows.
    RetriesExhausted {
        /// How many had failed before the last.
        retries: u32,
    },
    /// The call may have reached the server, its method is not safe, and nobody has asked to
    /// replay it.
    NotReplayed,
}
