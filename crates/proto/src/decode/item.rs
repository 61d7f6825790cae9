//! What a decoder reads out of a stream.

use alloc::string::String;
use core::time::Duration;

use crate::event::{Event, EventId, EventName};

/// One thing that the stream said.
///
/// Its texts are borrowed: from the chunk where a line lies whole within it, else from the
/// decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Item<'a> {
    /// An event was dispatched.
    Event(EventRef<'a>),
    /// A comment, for those who asked with [`Decoder::with_comments`](super::Decoder::with_comments):
    /// the text after its colon, with the space if there is one. An event that is under way goes on
    /// after it.
    Comment(&'a str),
    /// A valid `retry` field: the reconnection time from now on. It needs no event to take effect.
    Retry(Duration),
}

/// One thing that the stream said, to keep.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OwnedItem {
    /// As [`Item::Event`].
    Event(Event),
    /// As [`Item::Comment`].
    Comment(String),
    /// As [`Item::Retry`].
    Retry(Duration),
}

/// An event, borrowed until the decoder goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventRef<'a> {
    // Private, so that the texts are known to come from a stream and can become an `Event`.
    pub(super) event_type: &'a str,
    pub(super) data: &'a str,
    pub(super) last_event_id: &'a str,
}

impl<'a> EventRef<'a> {
    /// The event type: `message` unless the stream named another.
    #[must_use]
    pub const fn event_type(&self) -> &'a str {
        self.event_type
    }

    /// The data lines joined by LF, without a final one. May be empty.
    #[must_use]
    pub const fn data(&self) -> &'a str {
        self.data
    }

    /// The last event id of the stream: this event's if it brought one, else an earlier one's.
    /// Empty if there is none.
    #[must_use]
    pub const fn last_event_id(&self) -> &'a str {
        self.last_event_id
    }

    /// Copies the event. [`Decoder::poll_event`](super::Decoder::poll_event) does it with fewer
    /// allocations.
    #[must_use]
    pub fn to_event(&self) -> Event {
        Event {
            event_type: EventName::of_line(self.event_type),
            data: String::from(self.data),
            last_event_id: EventId::of_line(self.last_event_id),
        }
    }
}
