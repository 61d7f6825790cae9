//! A stream of events that knows its end and its errors.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_core::stream::FusedStream;
use pin_project_lite::pin_project;
use tidings_proto::{Event, EventId, EventName};

use crate::Received;
#[cfg(feature = "json")]
use crate::error_member::error_text;
use crate::excerpt::{SAID_CHARS_MAX, excerpt};
use crate::received::sealed::{Fields, Part};

pin_project! {
    /// The events of an answer, under the rules that an API adds to event streams: which event is
    /// the last, which are errors, and which do not matter.
    ///
    /// An HTTP response that ends says nothing about whether the answer was whole: a proxy that
    /// gives up ends it just as well. So APIs send an end mark, and this adapter tells an answer
    /// that was cut off from one that is complete.
    ///
    /// It takes the events of one response, by [`EventStream::answer`](crate::EventStream::answer);
    /// those of an [`EventSource`](crate::EventSource), by
    /// [`Messages::answer`](crate::Messages::answer); or any stream of what is [`Received`]. It yields
    /// [`Event`]s, or [`Message`](crate::Message)s of a source, for those who parse the
    /// data themselves; with the feature `json`, which is on by default, [`Answer::json`] parses it.
    ///
    /// # Over reconnects
    ///
    /// A source that has lost its connection asks again. Where an end is agreed on but no id is in
    /// force to resume after, the server would begin another answer, and the pieces of two would be
    /// taken for one: so this one ends with [`AnswerError::CutOff`], before the source asks again.
    /// Where there is an id, the source resumes after it and the answer goes on, in the trust that the
    /// server does resume. Without an end, as in a feed, events come over reconnects in any case.
    /// Attempts before the first connection stands cut nothing off, and are the source's to repeat.
    ///
    /// # Its end
    ///
    /// It ends after every `Err` but that of one event's JSON, and at the end mark. Then, unless
    /// the source ended by itself, it drops the source at once, which closes a connection that the
    /// server would hold open.
    ///
    /// ```
    /// use futures_util::{StreamExt, TryStreamExt, stream};
    /// use tidings_client::{AnswerError, EventStream};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let chunks = ["data: Hel\n\n", "data: lo\n\ndata: [DONE]\n\n"];
    /// let body = stream::iter(chunks.map(std::io::Result::Ok));
    /// let mut answer = EventStream::new(body).answer().end_at_data("[DONE]");
    /// let mut text = String::new();
    /// while let Some(event) = answer.try_next().await? {
    ///     text += &event.data;
    /// }
    /// assert_eq!(text, "Hello");
    ///
    /// let body = stream::iter(["data: Hel\n\n"].map(std::io::Result::Ok));
    /// let mut answer = EventStream::new(body).answer().end_at_data("[DONE]");
    /// assert!(answer.next().await.unwrap().is_ok());
    /// assert!(matches!(answer.next().await, Some(Err(AnswerError::CutOff { .. }))));
    /// # Ok(())
    /// # }
    /// ```
    #[derive(Debug)]
    #[must_use = "a stream does nothing unless it is polled"]
    pub struct Answer<S> {
        #[pin]
        source: Option<S>,
        // Whether the source has ended by itself.
        source_ended: bool,
        // Whether a connection has stood, so that there is an answer that can be cut off.
        has_begun: bool,
        rules: Rules,
        last_event_id: EventId,
    }
}

/// What the API has agreed on with its readers.
#[derive(Debug, Default)]
struct Rules {
    /// Data that ends the answer and is not part of it.
    end_data: Vec<String>,
    /// Types of the event that is the last of the answer.
    end_types: Vec<String>,
    /// Types of events that report an error.
    error_types: Vec<String>,
    /// Names of the members of JSON objects that report an error.
    #[cfg(feature = "json")]
    error_members: Vec<String>,
    /// Types of the events that matter; all, if there is none.
    wanted_types: Vec<String>,
}

impl<S> Answer<S> {
    /// All events of `source`, until one of the other methods says more.
    pub fn new(source: S) -> Self {
        Self {
            source: Some(source),
            source_ended: false,
            has_begun: false,
            rules: Rules::default(),
            last_event_id: EventId::default(),
        }
    }

    /// An event with this data, whatever its type, ends the answer and is not delivered: `[DONE]`
    /// in most APIs like OpenAI's. Space around it does not count. May be called for several.
    pub fn end_at_data(mut self, data: impl AsRef<str>) -> Self {
        self.rules.end_data.push(data.as_ref().trim_ascii().to_owned());
        self
    }

    /// An event of this type is the last of the answer, and is delivered: `message_stop` of
    /// Anthropic's API, `response.completed` of OpenAI's newer one. May be called for several.
    pub fn end_after(mut self, event_type: impl Into<String>) -> Self {
        self.rules.end_types.push(event_type.into());
        self
    }

    /// An event of this type, often `error`, is [`AnswerError::Reported`], which ends the answer.
    /// May be called for several. Default: none, as any event may be called `error`.
    pub fn error_event(mut self, event_type: impl Into<String>) -> Self {
        self.rules.error_types.push(event_type.into());
        self
    }

    /// An event whose data is a JSON object with this member is [`AnswerError::Reported`], whatever its
    /// type, and ends the answer: `error` in most APIs like OpenAI's, which give errors no type of
    /// their own. A member that is null or false reports nothing. May be called for several.
    ///
    /// With it the data of each event is parsed once more, in passing.
    #[cfg(feature = "json")]
    pub fn error_member(mut self, name: impl Into<String>) -> Self {
        self.rules.error_members.push(name.into());
        self
    }

    /// Delivers events of this type alone, and of others for which it is called, too. Events of
    /// other types still end the answer or report an error, but are not delivered.
    pub fn only(mut self, event_type: impl Into<String>) -> Self {
        self.rules.wanted_types.push(event_type.into());
        self
    }

    /// Where the events come from, unless the answer has ended and dropped it.
    pub const fn source(&self) -> Option<&S> {
        self.source.as_ref()
    }

    /// Where the events come from, such as a source to acknowledge one to, unless the answer has ended
    /// and dropped it.
    pub const fn source_mut(&mut self) -> Option<&mut S> {
        self.source.as_mut()
    }
}

impl<S, R, E> Stream for Answer<S>
where
    S: Stream<Item = Result<R, E>>,
    R: Received,
{
    type Item = Result<R::Event, AnswerError<E>>;

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<R::Event, AnswerError<E>>>> {
        let mut this = self.project();
        loop {
            let source = match this.source.as_mut().as_pin_mut() {
                Some(source) if !*this.source_ended => source,
                _ => return Poll::Ready(None),
            };
            let part = match ready!(source.poll_next(context)) {
                Some(Ok(received)) => received.part(),
                Some(Err(error)) => {
                    this.source.set(None);
                    return Poll::Ready(Some(Err(AnswerError::Source(error))));
                }
                None => {
                    *this.source_ended = true;
                    let last_event_id = std::mem::take(this.last_event_id);
                    let is_cut_off = this.rules.have_end();
                    return Poll::Ready(
                        is_cut_off.then_some(Err(AnswerError::CutOff { last_event_id })),
                    );
                }
            };
            let event = match part {
                Part::Event(event) => event,
                Part::Opened => {
                    *this.has_begun = true;
                    continue;
                }
                Part::Lost if *this.has_begun && this.rules.have_end() => {
                    this.source.set(None);
                    let last_event_id = std::mem::take(this.last_event_id);
                    return Poll::Ready(Some(Err(AnswerError::CutOff { last_event_id })));
                }
                Part::Lost | Part::Other => continue,
            };
            *this.has_begun = true;
            let fields = R::fields(&event);
            let verdict = this.rules.judge(&fields);
            if verdict.ends() {
                this.source.set(None);
            } else {
                this.last_event_id.clone_from(fields.last_event_id);
            }
            match verdict {
                Verdict::Deliver | Verdict::DeliverLast => return Poll::Ready(Some(Ok(event))),
                Verdict::Report { text } => {
                    let Event { event_type, data, .. } = event.into();
                    let error = AnswerError::Reported { event_type, text, data };
                    return Poll::Ready(Some(Err(error)));
                }
                Verdict::End => return Poll::Ready(None),
                Verdict::PassOver => {}
            }
        }
    }
}

impl<S, R, E> FusedStream for Answer<S>
where
    S: Stream<Item = Result<R, E>>,
    R: Received,
{
    fn is_terminated(&self) -> bool {
        self.source_ended || self.source.is_none()
    }
}

impl Rules {
    fn have_end(&self) -> bool {
        !self.end_data.is_empty() || !self.end_types.is_empty()
    }

    fn judge(&self, event: &Fields<'_>) -> Verdict {
        let is_one_of = |types: &[String]| types.iter().any(|name| *event.event_type == **name);
        let is_wanted = self.wanted_types.is_empty() || is_one_of(&self.wanted_types);
        let data = event.data.trim_ascii();
        if self.end_data.iter().any(|end| data == end) {
            Verdict::End
        } else if is_one_of(&self.error_types) {
            let text = self.error_text(data).unwrap_or_else(|| event.data.to_owned());
            Verdict::Report { text }
        } else if let Some(text) = self.error_text(data) {
            Verdict::Report { text }
        } else if is_one_of(&self.end_types) {
            if is_wanted { Verdict::DeliverLast } else { Verdict::End }
        } else if is_wanted {
            Verdict::Deliver
        } else {
            Verdict::PassOver
        }
    }

    #[cfg(feature = "json")]
    fn error_text(&self, data: &str) -> Option<String> {
        error_text(data, &self.error_members)
    }

    #[cfg(not(feature = "json"))]
    const fn error_text(&self, _data: &str) -> Option<String> {
        None
    }
}

/// What becomes of an event.
enum Verdict {
    Deliver,
    DeliverLast,
    Report { text: String },
    End,
    PassOver,
}

impl Verdict {
    const fn ends(&self) -> bool {
        matches!(self, Self::DeliverLast | Self::Report { .. } | Self::End)
    }
}

/// Why an [`Answer`] is not complete, or one of its events is not what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError<E> {
    /// The source of the events failed. Its error says whose fault it is and what to do.
    #[error(transparent)]
    Source(E),
    /// The source ended before the end mark, or lost its connection without an id to resume after, so
    /// that what has come is a part of the answer. The server, or what stands between, is at fault:
    /// ask again, or resume if the server can.
    #[error("the answer was cut off: the stream ended before its end mark")]
    CutOff {
        /// The id of the last event received, to resume after. Empty if it had none.
        last_event_id: EventId,
    },
    /// The server sent an event that reports an error: of a type that [`Answer::error_event`] names,
    /// or with a member that `Answer::error_member` names. It says whose fault it is.
    #[error("the server reported an error in the stream: {}", excerpt(.text, SAID_CHARS_MAX))]
    Reported {
        /// The type of the event.
        event_type: EventName,
        /// What it says for people: its data, or of the member that reports the error the text, or the
        /// text of that member's own member `message`, or else the member as JSON. The sentence of
        /// this error shows at most 300 characters of it.
        text: String,
        /// All of its data, for programs.
        data: String,
    },
    /// The data of an event is not JSON, or not of the type that was asked for. The server is at
    /// fault, or the type is too narrow for what it may send. **The next event is still delivered**:
    /// go on or stop, as the program needs.
    #[cfg(feature = "json")]
    #[error(
        "an event of type {event_type} is not the JSON that was expected: {reason}; its data begins {excerpt}"
    )]
    Json {
        /// The type of the event.
        event_type: EventName,
        /// The id of the event, or of an earlier one if it brought none. Empty if there was none.
        last_event_id: EventId,
        /// The place of the event, to acknowledge it all the same. Boxed to keep the error small.
        receipt: Box<crate::Receipt>,
        /// What is wrong and where, in at most 160 characters: it may quote the data.
        reason: String,
        /// The beginning of the data: at most 80 characters, as data may be long and secret, and
        /// errors end up in logs. Use the [`Answer`] without JSON for all of it.
        excerpt: String,
    },
}
