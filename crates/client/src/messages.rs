//! The messages of a source, without what else it has to tell.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_core::stream::FusedStream;
use pin_project_lite::pin_project;
use tidings_proto::Event;

use crate::{Answer, EventSource, Message, Update};

pin_project! {
    /// The messages of a stream of [`Update`]s: a [`Stream`] of [`Message`]s that passes over
    /// comments and over the coming and going of connections.
    ///
    /// ```no_run
    /// use futures_util::TryStreamExt;
    /// use tidings_client::EventSource;
    ///
    /// # async fn follow() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut messages = EventSource::new("https://example.com/events")?.messages();
    /// while let Some(message) = messages.try_next().await? {
    ///     println!("{}: {}", message.event_type, message.data);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[derive(Debug)]
    #[must_use = "a stream does nothing unless it is polled"]
    pub struct Messages<S> {
        #[pin]
        source: S,
    }
}

impl EventSource {
    /// The messages alone. What they leave out is still found at [`Messages::source`]: the ready
    /// state, the last event id.
    pub const fn messages(self) -> Messages<Self> {
        Messages::new(self)
    }
}

impl<S> Messages<S> {
    /// The messages of `source`, which may be an [`EventSource`] behind other adapters.
    pub const fn new(source: S) -> Self {
        Self { source }
    }

    /// Where the messages come from.
    pub const fn source(&self) -> &S {
        &self.source
    }

    /// Where the messages come from, such as a source to close.
    pub const fn source_mut(&mut self) -> &mut S {
        &mut self.source
    }

    /// The same messages as an [`Answer`], which picks event types, knows its end and which events
    /// are errors. It reads the source itself, to know when an answer was cut off.
    pub fn answer(self) -> Answer<S> {
        Answer::new(self.source)
    }
}

impl<S, E> Stream for Messages<S>
where
    S: Stream<Item = Result<Update, E>>,
{
    type Item = Result<Message, E>;

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Message, E>>> {
        let mut source = self.project().source;
        loop {
            return Poll::Ready(match ready!(source.as_mut().poll_next(context)) {
                Some(Ok(Update::Message(message))) => Some(Ok(message)),
                Some(Ok(_)) => continue,
                Some(Err(error)) => Some(Err(error)),
                None => None,
            });
        }
    }
}

impl<S, E> FusedStream for Messages<S>
where
    S: FusedStream<Item = Result<Update, E>>,
{
    fn is_terminated(&self) -> bool {
        self.source.is_terminated()
    }
}

/// The event without its origin.
impl From<Message> for Event {
    fn from(message: Message) -> Self {
        Self {
            event_type: message.event_type,
            data: message.data,
            last_event_id: message.last_event_id,
        }
    }
}
