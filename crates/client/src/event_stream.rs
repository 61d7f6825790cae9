//! The events of a stream of bytes, of one response above all.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::stream::FusedStream;
use futures_core::{Stream, TryStream};
use pin_project_lite::pin_project;
use tidings_proto::decode::{DecodeError, Decoder, Limits};
use tidings_proto::{Event, EventId};

use crate::Answer;

pin_project! {
    /// Reads the events out of a stream of bytes: a [`Stream`] of [`Event`]s.
    ///
    /// It is the decoder alone, for whoever has a response already, such as the answer to a POST:
    /// it makes no request and does not reconnect. An [`EventSource`](crate::EventSource) does.
    ///
    /// ```text
    ///  chunks ──▶ EventStream ──Event──▶ Answer ──Event──▶ JsonEvents ──▶ your values
    ///  as they      decodes              knows the end,     parses the
    ///  were cut                          and errors         data
    /// ```
    ///
    /// The chunks may be anything that is bytes ([`AsRef<[u8]>`](AsRef)), cut anywhere. The stream
    /// ends when they do; an event without its blank line is discarded then, as the standard says.
    /// It also ends after an `Err`, and nothing comes after it. At its end it drops the source of
    /// the chunks.
    ///
    /// Dropping a future that waits for the next event loses nothing. No chunk is asked for while
    /// the one in hand has events, so that a slow reader holds up the sender.
    ///
    /// Memory: one chunk as it was given, which is not copied, and what the decoder's [`Limits`]
    /// allow for one event.
    ///
    /// ```
    /// use futures_util::{TryStreamExt, stream};
    /// use tidings_client::EventStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let chunks = ["id: 1\nda", "ta: a\n\ndata: b\n", "\n"];
    /// let mut events = EventStream::new(stream::iter(chunks.map(std::io::Result::Ok)));
    /// while let Some(event) = events.try_next().await? {
    ///     println!("{}: {}", event.last_event_id, event.data);
    /// }
    /// assert_eq!(events.last_event_id(), "1");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a stream does nothing unless it is polled"]
    pub struct EventStream<S>
    where
        S: TryStream,
    {
        // Gone when the stream has ended.
        #[pin]
        source: Option<S>,
        chunk: Option<S::Ok>,
        // How much of the chunk has been read.
        read_bytes: usize,
        limits: Limits,
        decoder: Decoder,
    }
}

impl<S: TryStream> EventStream<S> {
    /// The events of `source`, within the default [`Limits`].
    pub fn new(source: S) -> Self {
        let limits = Limits::default();
        Self {
            source: Some(source),
            chunk: None,
            read_bytes: 0,
            limits,
            decoder: Decoder::new(limits),
        }
    }

    /// How much of an event is accepted. For a stream that has not been polled yet: what it has
    /// read of an event would be lost.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        let id = self.last_event_id();
        self.limits = limits;
        self.decoder = Decoder::new(limits).with_last_event_id(&id);
        self
    }

    /// Starts from `id`: events that bring no id of their own have this one. For a stream that goes
    /// on where another one stopped. As [`EventStream::with_limits`], it is to be set first.
    pub fn with_last_event_id(mut self, id: &EventId) -> Self {
        self.decoder = Decoder::new(self.limits).with_last_event_id(id);
        self
    }

    /// The id to resume after: that of the last event, or of a block of the stream that only moved
    /// the id. It stays when the stream has ended.
    #[must_use]
    pub fn last_event_id(&self) -> EventId {
        // What was decoded from a line has neither line ends nor NUL.
        EventId::new(self.decoder.last_event_id()).unwrap_or_default()
    }

    /// The reconnection time that the stream has set with `retry`, if it has: how long to wait
    /// before asking again. It stays when the stream has ended.
    #[must_use]
    pub fn reconnection_time(&self) -> Option<Duration> {
        self.decoder.reconnection_time()
    }

    /// The same events as an [`Answer`], which knows its end and which events are errors.
    pub fn answer(self) -> Answer<Self> {
        Answer::new(self)
    }
}

impl<S, B, E> Stream for EventStream<S>
where
    S: Stream<Item = Result<B, E>>,
    B: AsRef<[u8]>,
{
    type Item = Result<Event, ReadError<E>>;

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Event, ReadError<E>>>> {
        let mut this = self.project();
        loop {
            if let Some(chunk) = this.chunk {
                let mut rest = chunk.as_ref().get(*this.read_bytes..).unwrap_or_default();
                let before = rest.len();
                let event = this.decoder.poll_event(&mut rest);
                *this.read_bytes += before - rest.len();
                if rest.is_empty() || event.is_err() {
                    *this.chunk = None;
                }
                match event {
                    Ok(Some(event)) => return Poll::Ready(Some(Ok(event))),
                    Ok(None) => {}
                    Err(error) => {
                        this.source.set(None);
                        return Poll::Ready(Some(Err(ReadError::Limit(error))));
                    }
                }
                continue;
            }
            let Some(source) = this.source.as_mut().as_pin_mut() else {
                return Poll::Ready(None);
            };
            match ready!(source.poll_next(context)) {
                Some(Ok(chunk)) => {
                    *this.chunk = Some(chunk);
                    *this.read_bytes = 0;
                }
                end => {
                    this.source.set(None);
                    return Poll::Ready(end.and_then(Result::err).map(ReadError::Source).map(Err));
                }
            }
        }
    }
}

impl<S, B, E> FusedStream for EventStream<S>
where
    S: Stream<Item = Result<B, E>>,
    B: AsRef<[u8]>,
{
    fn is_terminated(&self) -> bool {
        self.source.is_none() && self.chunk.is_none()
    }
}

/// The state, without what was received.
impl<S: TryStream> fmt::Debug for EventStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("last_event_id", &self.decoder.last_event_id())
            .field("has_ended", &(self.source.is_none() && self.chunk.is_none()))
            .finish_non_exhaustive()
    }
}

/// Why an [`EventStream`] ended before its source did. What was whole before it was delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError<E> {
    /// The source of the bytes failed. Of a response, the network or the server is at fault: ask
    /// again, after [`EventStream::last_event_id`] if the server can resume.
    #[error(transparent)]
    Source(E),
    /// The stream crossed a limit of the decoder. Raise the limit that is named, or have the server
    /// send less.
    #[error(transparent)]
    Limit(DecodeError),
}
