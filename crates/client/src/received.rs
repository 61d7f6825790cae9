//! What the source of an answer yields.

use tidings_proto::Event;

use crate::{Message, Update};

/// What an [`Answer`](crate::Answer) is made of: the [`Event`]s of one response, or the [`Update`]s of
/// a source that reconnects, which also tell when the connection is lost. No other type has it.
///
/// A [`Message`] alone does not tell whether it belongs to the same answer as the one before: begin
/// with [`Messages::answer`](crate::Messages::answer).
#[diagnostic::on_unimplemented(
    message = "an answer is made of `Event`s or `Update`s, not of `{Self}`",
    note = "a `Message` does not tell when the connection is lost: begin with `Messages::answer`"
)]
pub trait Received: sealed::Received<<Self as Received>::Event> {
    /// What the answer yields: [`Event`], or [`Message`], which can be acknowledged.
    type Event: Into<Event>;
}

impl Received for Event {
    type Event = Self;
}

impl Received for Update {
    type Event = Message;
}

pub(crate) mod sealed {
    use tidings_proto::{Event, EventId, EventName};

    use crate::{Message, Update};

    pub trait Received<E> {
        fn part(self) -> Part<E>;

        fn fields(event: &E) -> Fields<'_>;
    }

    /// What it is to an answer.
    #[derive(Debug)]
    pub enum Part<E> {
        Event(E),
        /// A connection stands.
        Opened,
        /// The next connection cannot go on where this one stopped.
        Lost,
        Other,
    }

    #[derive(Debug)]
    pub struct Fields<'a> {
        pub event_type: &'a EventName,
        pub data: &'a str,
        pub last_event_id: &'a EventId,
        /// Which message of its source it is, 0 if it has none that could be told.
        pub number: u64,
    }

    impl Received<Self> for Event {
        fn part(self) -> Part<Self> {
            Part::Event(self)
        }

        fn fields(event: &Self) -> Fields<'_> {
            Fields {
                event_type: &event.event_type,
                data: &event.data,
                last_event_id: &event.last_event_id,
                number: 0,
            }
        }
    }

    impl Received<Message> for Update {
        fn part(self) -> Part<Message> {
            match self {
                Self::Message(message) => Part::Event(message),
                Self::Open(_) => Part::Opened,
                Self::Disconnected(loss) if loss.last_event_id.is_empty() => Part::Lost,
                Self::UnsendableId(_) => Part::Lost,
                Self::Disconnected(_) | Self::Comment(_) | Self::Retry(_) => Part::Other,
            }
        }

        fn fields(message: &Message) -> Fields<'_> {
            Fields {
                event_type: &message.event_type,
                data: &message.data,
                last_event_id: &message.last_event_id,
                number: message.number,
            }
        }
    }
}
