//! The decoder: a chunk goes in, items come out.

use alloc::string::String;
use core::time::Duration;

use super::event_buffer::EventBuffer;
use super::item::{EventRef, Item, OwnedItem};
use super::limits::{DecodeError, Limits};
use super::part::{Part, State};
use super::resume::WHOLE_LINES_BYTES;
use super::utf8;
use super::vectors::{BLOCK, Processor};
use crate::event::{DEFAULT_NAME, Event, EventId, EventName};

/// Reads an event stream, chunk by chunk.
///
/// Each poll takes from the front of the chunk what it needs for one item. What it has not taken
/// is still in the caller's slice, so nothing is lost by stopping half-way, and closing a stream in
/// the middle of a chunk is to stop polling.
///
/// ```
/// use tidings_proto::decode::{Decoder, Item, Limits};
///
/// let mut decoder = Decoder::new(Limits::default());
/// let mut data = Vec::new();
/// for mut chunk in [&b"id: 7\ndata: a"[..], b"b\n\n", b": still here\n"] {
///     while let Some(item) = decoder.poll_item(&mut chunk)? {
///         if let Item::Event(event) = item {
///             data.push(event.data().to_owned());
///         }
///     }
/// }
/// assert_eq!(data, ["ab"]);
/// assert_eq!(decoder.last_event_id(), "7");
/// # Ok::<(), tidings_proto::decode::DecodeError>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    pub(super) limits: Limits,
    pub(super) processor: Processor,
    pub(super) wants_comments: bool,
    pub(super) part: Part,
    pub(super) event: EventBuffer,
    pub(super) last_event_id: String,
    pub(super) reconnection_time: Option<Duration>,
    /// Texts that had to be rewritten, until the next poll.
    repaired_data: String,
    repaired_event_type: String,
    /// The id and type of the last owned event, which are shared with the next if they are equal.
    shared_id: EventId,
    shared_event_type: EventName,
}

impl Decoder {
    /// A decoder at the start of a stream, with an empty last event id.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            processor: Processor::detect(),
            wants_comments: false,
            part: Part::new(&limits),
            event: EventBuffer::default(),
            last_event_id: String::new(),
            reconnection_time: None,
            repaired_data: String::new(),
            repaired_event_type: String::new(),
            shared_id: EventId::default(),
            shared_event_type: EventName::default(),
        }
    }

    /// Starts from `id`: events that bring no id of their own have this one.
    ///
    /// For a stream that goes on where an earlier one, perhaps of another process, stopped.
    #[must_use]
    pub fn with_last_event_id(mut self, id: &EventId) -> Self {
        self.last_event_id.clear();
        self.last_event_id.push_str(id.as_str());
        self
    }

    /// Yields comments as [`Item::Comment`]. By default they are passed over.
    #[must_use]
    pub fn with_comments(mut self) -> Self {
        self.wants_comments = true;
        self
    }

    /// Reads `chunk` up to the next item, and takes what was read off its front.
    ///
    /// Returns `None` when the chunk is used up, and only then. An empty chunk is allowed and
    /// means nothing; for the end of the stream there is [`Decoder::end_stream`].
    ///
    /// # Errors
    /// [`DecodeError`] if the stream crosses one of the [`Limits`]. Every further poll returns it
    /// again, until [`Decoder::end_stream`].
    #[inline]
    pub fn poll_item<'d, 'c: 'd>(
        &'d mut self,
        chunk: &mut &'c [u8],
    ) -> Result<Option<Item<'d>>, DecodeError> {
        if self.takes_byte(chunk) {
            return Ok(None);
        }
        self.poll_any_item(chunk)
    }

    /// Reads `chunk` up to the next event, as one to keep. Comments are passed over, and a
    /// reconnection time is kept for [`Decoder::reconnection_time`].
    ///
    /// An event costs one allocation, and one more each for an id and a type of more than 23 bytes
    /// that differ from the last event's.
    ///
    /// # Errors
    /// As [`Decoder::poll_item`].
    #[inline]
    pub fn poll_event(&mut self, chunk: &mut &[u8]) -> Result<Option<Event>, DecodeError> {
        if self.takes_byte(chunk) {
            return Ok(None);
        }
        self.poll_any_event(chunk)
    }

    /// Reads `chunk` up to the next item, as one to keep. It costs what [`Decoder::poll_event`] does.
    ///
    /// # Errors
    /// As [`Decoder::poll_item`].
    #[inline]
    pub fn poll_owned_item(&mut self, chunk: &mut &[u8]) -> Result<Option<OwnedItem>, DecodeError> {
        if self.takes_byte(chunk) {
            return Ok(None);
        }
        self.poll_any_owned_item(chunk)
    }

    /// The last event id: what a client sends as `Last-Event-ID` when it reconnects.
    ///
    /// It changes at the blank line of an event that brought an id, whether or not it had data to
    /// be dispatched with; an unfinished event does not change it.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// The reconnection time that the stream has set, if it has.
    #[must_use]
    pub fn reconnection_time(&self) -> Option<Duration> {
        self.reconnection_time
    }

    /// Whether a field has begun since the last blank line, so that a stream that ended here would
    /// end within a block: what it says is then discarded.
    ///
    /// ```
    /// # use tidings_proto::decode::{Decoder, Limits};
    /// let mut decoder = Decoder::new(Limits::default());
    /// for (mut chunk, is_within) in
    ///     [(&b": comment\n"[..], false), (b"d", true), (b"ata: a\n", true), (b": b\n", true), (b"\n", false)]
    /// {
    ///     while decoder.poll_item(&mut chunk)?.is_some() {}
    ///     assert_eq!(decoder.is_within_block(), is_within);
    /// }
    /// # Ok::<(), tidings_proto::decode::DecodeError>(())
    /// ```
    #[must_use]
    pub const fn is_within_block(&self) -> bool {
        self.event.fields > 0
    }

    /// Ends the stream and makes the decoder ready for the next one, of a new connection.
    ///
    /// An unfinished event is discarded with its data and its id, as the standard says, and so is
    /// an error. The last event id and the reconnection time stay: a stream that reconnects goes
    /// on with them.
    pub fn end_stream(&mut self) {
        self.part = Part::new(&self.limits);
        self.event = EventBuffer::default();
    }

    /// Takes a chunk of one byte that only makes a line longer, which most are that come so.
    #[inline(always)]
    fn takes_byte(&mut self, chunk: &mut &[u8]) -> bool {
        let takes = matches!(**chunk, [byte] if self.part.push_byte(byte, &mut self.event));
        if takes {
            *chunk = &[];
        }
        takes
    }

    #[inline(never)]
    fn poll_any_item<'d, 'c: 'd>(
        &'d mut self,
        chunk: &mut &'c [u8],
    ) -> Result<Option<Item<'d>>, DecodeError> {
        match self.poll(chunk) {
            Ok(None) => Ok(None),
            Ok(Some(found)) => Ok(Some(self.item(found))),
            Err(error) => Err(self.fail(error)),
        }
    }

    #[inline(always)]
    fn poll_any_owned_item(&mut self, chunk: &mut &[u8]) -> Result<Option<OwnedItem>, DecodeError> {
        match self.poll(chunk) {
            Ok(None) => Ok(None),
            Ok(Some(Found::Event { event_type, data })) => {
                Ok(Some(OwnedItem::Event(self.owned_event(event_type, data))))
            }
            Ok(Some(found)) => Ok(Some(match self.item(found) {
                Item::Retry(time) => OwnedItem::Retry(time),
                Item::Comment(text) => OwnedItem::Comment(text.into()),
                Item::Event(event) => OwnedItem::Event(event.to_event()),
            })),
            Err(error) => Err(self.fail(error)),
        }
    }

    #[inline(never)]
    fn poll_any_event(&mut self, chunk: &mut &[u8]) -> Result<Option<Event>, DecodeError> {
        loop {
            match self.poll(chunk) {
                Ok(None) => return Ok(None),
                Ok(Some(Found::Event { event_type, data })) => {
                    return Ok(Some(self.owned_event(event_type, data)));
                }
                Ok(Some(_)) => {}
                Err(error) => return Err(self.fail(error)),
            }
        }
    }

    /// Reads up to the next item, without making texts of its bytes.
    #[inline(always)]
    pub(super) fn poll<'c>(
        &mut self,
        chunk: &mut &'c [u8],
    ) -> Result<Option<Found<'c>>, DecodeError> {
        if let [byte] = **chunk
            && self.part.push_edge(byte, self.wants_comments, &self.limits, &mut self.event)?
        {
            *chunk = &[];
            return Ok(None);
        }
        if chunk.len() > BLOCK {
            let chunk_is_over = match self.part.state {
                State::Data => self.continue_data(chunk)?,
                State::Ignored => self.continue_ignored(chunk)?,
                _ => false,
            };
            if chunk_is_over {
                return Ok(None);
            }
        }
        match self.part.state {
            State::LineStart | State::AfterCr | State::Data | State::Ignored
                if chunk.len() >= WHOLE_LINES_BYTES =>
            {
                if chunk.len() <= BLOCK {
                    self.read_short(chunk)
                } else {
                    self.read_lines(chunk)
                }
            }
            _ => self.resume(chunk),
        }
    }

    #[cold]
    fn fail(&mut self, error: DecodeError) -> DecodeError {
        self.part.state = State::Failed(error);
        error
    }

    #[inline(always)]
    fn item<'a>(&'a mut self, found: Found<'a>) -> Item<'a> {
        match found {
            Found::Event { event_type, data } => Item::Event(EventRef {
                event_type: event_type_text(
                    event_type.or(self.event.event_type()),
                    &mut self.repaired_event_type,
                ),
                data: data_text(data, &self.event, &mut self.repaired_data),
                last_event_id: &self.last_event_id,
            }),
            Found::Comment(text) => {
                Item::Comment(utf8::text(text.or(self.part.value()), &mut self.repaired_data))
            }
            Found::Retry(time) => Item::Retry(time),
        }
    }

    #[inline]
    fn owned_event(&mut self, event_type: Source<'_>, data: Source<'_>) -> Event {
        let event_type = match event_type.or(self.event.event_type()) {
            // Most events, which so cost no comparison.
            [] => EventName::default(),
            bytes => {
                let text = utf8::text(bytes, &mut self.repaired_event_type);
                if !is_same(self.shared_event_type.as_str(), text) {
                    self.shared_event_type = EventName::of_line(text);
                }
                self.shared_event_type.clone()
            }
        };
        if !is_same(self.shared_id.as_str(), &self.last_event_id) {
            self.shared_id = EventId::of_line(&self.last_event_id);
        }
        let data = match data {
            Source::Kept if self.event.data().len() >= TAKEN_BYTES_MIN => {
                let is_ascii = self.event.data_is_ascii();
                utf8::into_text(self.event.take_data(), is_ascii)
            }
            data => String::from(data_text(data, &self.event, &mut self.repaired_data)),
        };
        Event { event_type, data, last_event_id: self.shared_id.clone() }
    }
}

/// What a poll has found, before its bytes are made text.
pub(super) enum Found<'c> {
    Event { event_type: Source<'c>, data: Source<'c> },
    Comment(Source<'c>),
    Retry(Duration),
}

/// Where the bytes of a value are.
#[derive(Clone, Copy)]
pub(super) enum Source<'c> {
    Chunk(&'c [u8]),
    /// In the chunk, and known to be ASCII.
    Ascii(&'c [u8]),
    /// In the decoder's buffer for it.
    Kept,
}

impl<'c> Source<'c> {
    #[inline(always)]
    fn or(self, kept: &'c [u8]) -> &'c [u8] {
        match self {
            Self::Chunk(bytes) | Self::Ascii(bytes) => bytes,
            Self::Kept => kept,
        }
    }
}

#[inline(always)]
fn data_text<'a>(data: Source<'a>, event: &'a EventBuffer, repaired: &'a mut String) -> &'a str {
    match data {
        Source::Ascii(bytes) => utf8::ascii(bytes),
        Source::Kept if event.data_is_ascii() => utf8::ascii(event.data()),
        data => utf8::text(data.or(event.data()), repaired),
    }
}

/// Equality that does not call `memcmp` on two empty texts: for the pointer of an empty `String`
/// that costs some processors a microcode assist, which made owned events take twice as long.
#[inline(always)]
pub(crate) fn is_same(a: &str, b: &str) -> bool {
    a.len() == b.len() && (a.is_empty() || a == b)
}

/// Data from this length on is not copied to an owned event: the event gets the buffer.
const TAKEN_BYTES_MIN: usize = 4 << 10;

#[inline(always)]
fn event_type_text<'a>(bytes: &'a [u8], repaired: &'a mut String) -> &'a str {
    if bytes.is_empty() { DEFAULT_NAME } else { utf8::text(bytes, repaired) }
}
