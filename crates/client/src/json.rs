//! The data of events as values.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::stream::FusedStream;
use futures_core::{Stream, TryStream};
use pin_project_lite::pin_project;
use serde::de::DeserializeOwned;
use tidings_proto::{Event, EventId, EventName};

use crate::excerpt::excerpt;
use crate::{Answer, AnswerError, EventStream, Messages, Receipt, Received};

pin_project! {
    /// The events of an [`Answer`] with their data parsed as JSON: a [`Stream`] of [`JsonEvent`]s.
    ///
    /// An event that is not JSON of the type `T` is [`AnswerError::Json`], and **the next one is
    /// still delivered**; every other error is the last item. An event with empty data is passed
    /// over, as it cannot be JSON: MCP servers begin with such a one, to set the id to resume after.
    ///
    /// Which type of event is which variant of `T` is left to serde, as most APIs repeat the event
    /// type in the data. Those of one protocol, such as MCP's JSON-RPC, are picked by
    /// [`Answer::only`]:
    ///
    /// ```
    /// use futures_util::{TryStreamExt, stream};
    /// use tidings_client::EventStream;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct JsonRpc {
    ///     id: Option<u64>,
    ///     method: Option<String>,
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let body = stream::iter([concat!(
    /// #     "id: 1\nretry: 500\ndata:\n\n",
    /// #     "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n",
    /// #     "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n",
    /// # )].map(std::io::Result::Ok));
    /// # let events = EventStream::new(body);
    /// # let mut answered = false;
    /// let mut messages = events.answer().only("message").json::<JsonRpc>();
    /// while let Some(message) = messages.try_next().await? {
    ///     match message.value {
    ///         JsonRpc { method: Some(method), .. } => println!("the server says {method}"),
    ///         JsonRpc { id: Some(1), .. } => {
    ///             println!("our request is answered");
    /// #           answered = true;
    ///             break;
    ///         }
    ///         _ => {}
    ///     }
    /// }
    /// # assert!(answered);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a stream does nothing unless it is polled"]
    pub struct JsonEvents<S, T> {
        #[pin]
        answer: Answer<S>,
        value: PhantomData<fn() -> T>,
    }
}

/// An event with its data parsed. Where it is a message of a source, it can be acknowledged as the
/// message can.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JsonEvent<T> {
    /// The event type: `message` unless the stream named another.
    pub event_type: EventName,
    /// The data.
    pub value: T,
    /// The last event id of the stream: this event's if it brought one, else an earlier one's. Empty
    /// if there was none.
    pub last_event_id: EventId,
    /// Which message of its source it is, to acknowledge it: 1 is the first, 0 none.
    number: u64,
}

impl<T> JsonEvent<T> {
    /// The place of this event, to acknowledge it when its value has been taken out.
    #[must_use]
    pub fn receipt(&self) -> Receipt {
        Receipt { number: self.number, last_event_id: self.last_event_id.clone() }
    }
}

impl<T> From<&JsonEvent<T>> for Receipt {
    fn from(event: &JsonEvent<T>) -> Self {
        event.receipt()
    }
}

/// Two events are equal if all that the server sent is.
impl<T: PartialEq> PartialEq for JsonEvent<T> {
    fn eq(&self, other: &Self) -> bool {
        self.event_type == other.event_type
            && self.value == other.value
            && self.last_event_id == other.last_event_id
    }
}

impl<T: Eq> Eq for JsonEvent<T> {}

impl<S> Answer<S> {
    /// The same events, with their data parsed as JSON of the type `T`.
    pub const fn json<T>(self) -> JsonEvents<S, T> {
        JsonEvents { answer: self, value: PhantomData }
    }
}

impl<S: TryStream> EventStream<S> {
    /// The events with their data parsed as JSON, where neither an end mark nor errors are agreed
    /// on; else begin with [`EventStream::answer`].
    pub fn json<T>(self) -> JsonEvents<Self, T> {
        self.answer().json()
    }
}

impl<S> Messages<S> {
    /// The messages with their data parsed as JSON, of all event types; to pick some, begin with
    /// [`Messages::answer`].
    pub fn json<T>(self) -> JsonEvents<S, T> {
        self.answer().json()
    }
}

impl<S, T> JsonEvents<S, T> {
    /// Where the events come from, unless the answer has ended and dropped it.
    pub const fn source(&self) -> Option<&S> {
        self.answer.source()
    }

    /// Where the events come from, such as a source to acknowledge one to, unless the answer has ended
    /// and dropped it.
    pub const fn source_mut(&mut self) -> Option<&mut S> {
        self.answer.source_mut()
    }
}

impl<S, R, E, T> Stream for JsonEvents<S, T>
where
    S: Stream<Item = Result<R, E>>,
    R: Received,
    T: DeserializeOwned,
{
    type Item = Result<JsonEvent<T>, AnswerError<E>>;

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<JsonEvent<T>, AnswerError<E>>>> {
        let mut answer = self.project().answer;
        loop {
            return Poll::Ready(match ready!(answer.as_mut().poll_next(context)) {
                Some(Ok(event)) => {
                    let fields = R::fields(&event);
                    if fields.data.is_empty() {
                        continue;
                    }
                    let number = fields.number;
                    Some(parsed(event.into(), number))
                }
                Some(Err(error)) => Some(Err(error)),
                None => None,
            });
        }
    }
}

impl<S, R, E, T> FusedStream for JsonEvents<S, T>
where
    S: Stream<Item = Result<R, E>>,
    R: Received,
    T: DeserializeOwned,
{
    fn is_terminated(&self) -> bool {
        self.answer.is_terminated()
    }
}

impl<S: fmt::Debug, T> fmt::Debug for JsonEvents<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonEvents").field("answer", &self.answer).finish_non_exhaustive()
    }
}

fn parsed<T: DeserializeOwned, E>(
    event: Event,
    number: u64,
) -> Result<JsonEvent<T>, AnswerError<E>> {
    let Event { event_type, data, last_event_id } = event;
    match serde_json::from_str(&data) {
        Ok(value) => Ok(JsonEvent { event_type, value, last_event_id, number }),
        Err(error) => Err(AnswerError::Json {
            receipt: Box::new(Receipt { number, last_event_id: last_event_id.clone() }),
            event_type,
            last_event_id,
            reason: excerpt(&error.to_string(), REASON_CHARS_MAX),
            excerpt: excerpt(&data, DATA_CHARS_MAX),
        }),
    }
}

/// serde_json quotes a string that it did not expect, however long.
const REASON_CHARS_MAX: usize = 160;
/// Enough to see what kind of message it is.
const DATA_CHARS_MAX: usize = 80;
