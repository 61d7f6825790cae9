//! The decoder: a chunk goes in, items come out.

use alloc::string::String;
use core::time::Duration;

use super::event_buffer::{Borrowed, EventBuffer, is_id};
use super::field::{self, Field};
use super::item::{EventRef, Item};
use super::limits::{DecodeError, Limits};
use super::line_ends::{LineEnds, first_line_end};
use super::part::Part;
use super::utf8;
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
    limits: Limits,
    /// Whether a poll has anything to see to before it reads whole lines: any of the next five.
    unsettled: bool,
    error: Option<DecodeError>,
    /// Bytes of the BOM seen at the start of the stream; [`BOM_DONE`] once it was, or was not.
    bom_bytes: usize,
    /// Whether the last byte was a CR, so that an LF now belongs to it.
    after_cr: bool,
    part: Part,
    event: EventBuffer,

    last_event_id: String,
    reconnection_time: Option<Duration>,
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
            unsettled: true,
            error: None,
            bom_bytes: 0,
            after_cr: false,
            part: Part::default(),
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
        match self.poll(chunk) {
            Ok(None) => Ok(None),
            Ok(Some(found)) => Ok(Some(self.item(found))),
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Reads `chunk` up to the next event, as one to keep. Comments are passed over, and a
    /// reconnection time is kept for [`Decoder::reconnection_time`].
    ///
    /// An event costs one allocation, and one more each for an id and a type that differ from the
    /// last event's.
    ///
    /// # Errors
    /// As [`Decoder::poll_item`].
    #[inline]
    pub fn poll_event(&mut self, chunk: &mut &[u8]) -> Result<Option<Event>, DecodeError> {
        loop {
            match self.poll(chunk) {
                Ok(None) => return Ok(None),
                Ok(Some(Found::Event(borrowed))) => return Ok(Some(self.owned_event(borrowed))),
                Ok(Some(_)) => {}
                Err(error) => return Err(self.fail(error)),
            }
        }
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

    /// Ends the stream and makes the decoder ready for the next one, of a new connection.
    ///
    /// An unfinished event is discarded with its data and its id, as the standard says, and so is
    /// an error. The last event id and the reconnection time stay: a stream that reconnects goes
    /// on with them.
    pub fn end_stream(&mut self) {
        self.unsettled = true;
        self.error = None;
        self.bom_bytes = 0;
        self.after_cr = false;
        self.part.clear();
        self.event.discard();
    }

    /// Reads up to the next item, without making texts of its bytes.
    #[inline]
    fn poll<'c>(&mut self, chunk: &mut &'c [u8]) -> Result<Option<Found<'c>>, DecodeError> {
        if self.unsettled
            && let Some(found) = self.settle(chunk)?
        {
            return Ok(Some(found));
        }
        if chunk.is_empty() {
            return Ok(None);
        }
        self.read_lines(chunk)
    }

    /// Reads the lines that are whole within the chunk, and keeps the part of one at its end.
    #[inline]
    fn read_lines<'c>(&mut self, chunk: &mut &'c [u8]) -> Result<Option<Found<'c>>, DecodeError> {
        let bytes = *chunk;
        let mut borrowed = Borrowed::default();
        let mut ends = LineEnds::new(bytes);
        let mut start = 0;
        let mut after_cr = false;
        while let Some(end) = ends.next() {
            let line = bytes.get(start..end).unwrap_or_default();
            let was_after_cr = after_cr;
            after_cr = bytes.get(end) == Some(&b'\r');
            if line.is_empty() {
                if was_after_cr && !after_cr {
                    // The LF of a CRLF whose CR has ended the line.
                    start = end + 1;
                    continue;
                }
                if self.end_event(&mut borrowed) {
                    self.stop_after(bytes, end, chunk);
                    return Ok(Some(Found::Event(borrowed)));
                }
            } else if let Some(found) = self.whole_line(line, &mut borrowed)? {
                self.event.keep(&mut borrowed);
                self.stop_after(bytes, end, chunk);
                return Ok(Some(found));
            }
            start = end + 1;
        }
        *chunk = &[];
        self.event.keep(&mut borrowed);
        let tail = bytes.get(start..).unwrap_or_default();
        if tail.is_empty() {
            // A CR of an earlier chunk is still the last byte if this chunk is empty.
            self.after_cr |= after_cr;
            self.unsettled |= after_cr;
        } else {
            self.unsettled = true;
            self.open_part(tail)?;
        }
        Ok(None)
    }

    /// Leaves in `chunk` what comes after the line end at `end`.
    #[inline]
    fn stop_after<'c>(&mut self, bytes: &'c [u8], end: usize, chunk: &mut &'c [u8]) {
        *chunk = match bytes.get(end..).unwrap_or_default() {
            [b'\r', b'\n', rest @ ..] => rest,
            [b'\r'] => {
                self.after_cr = true;
                self.unsettled = true;
                &[]
            }
            [_, rest @ ..] => rest,
            [] => &[],
        };
    }

    /// Reads a line that is whole and not blank.
    #[inline]
    fn whole_line<'c>(
        &mut self,
        line: &'c [u8],
        borrowed: &mut Borrowed<'c>,
    ) -> Result<Option<Found<'c>>, DecodeError> {
        let (field, value) = field::split(line);
        if field == Field::Data {
            self.count_field()?;
            let data_bytes = match borrowed.data {
                Some(data) => data.len() + 1 + value.len(),
                None if self.event.has_data => self.event.data.len() + 1 + value.len(),
                None => value.len(),
            };
            self.check(field, line.len(), 0, data_bytes)?;
            if borrowed.data.is_none() && !self.event.has_data {
                borrowed.data = Some(value);
            } else {
                if let Some(first) = borrowed.data.take() {
                    self.event.open_data_line();
                    self.event.data.extend_from_slice(first);
                }
                self.event.open_data_line();
                self.event.data.extend_from_slice(value);
            }
            return Ok(None);
        }
        if field != Field::Comment {
            self.count_field()?;
        }
        let data_bytes = borrowed.data.map_or(self.event.data.len(), <[u8]>::len);
        self.check(field, line.len(), value.len(), data_bytes)?;
        match field {
            Field::EventType => {
                borrowed.event_type = Some(value);
                self.event.event_type_bytes = value.len();
            }
            Field::Id if is_id(value) => {
                borrowed.id = Some(value);
                self.event.id_bytes = value.len();
            }
            Field::Retry => return Ok(self.retry(value)),
            Field::Comment => return Ok(Some(Found::Comment(value))),
            Field::Data | Field::Id | Field::Unknown => {}
        }
        Ok(None)
    }

    /// A blank line: commits the id, and says whether there is an event to dispatch.
    #[inline]
    fn end_event(&mut self, borrowed: &mut Borrowed<'_>) -> bool {
        if let Some(id) = borrowed.id {
            self.last_event_id.clear();
            utf8::push_text(id, &mut self.last_event_id);
        } else if self.event.has_id {
            self.last_event_id.clear();
            utf8::push_text(&self.event.id, &mut self.last_event_id);
        }
        let dispatched = self.event.has_data || borrowed.data.is_some();
        self.event.end_event(dispatched);
        if dispatched {
            self.unsettled |= self.event.delivered;
        } else {
            *borrowed = Borrowed::default();
        }
        dispatched
    }

    fn retry<'c>(&mut self, value: &[u8]) -> Option<Found<'c>> {
        let time = field::reconnection_time(value)?;
        self.reconnection_time = Some(time);
        Some(Found::Retry(time))
    }

    /// Sees to what the last poll has left: an error, an event handed out, the start of the
    /// stream, a CR, a line under way.
    fn settle<'c>(&mut self, chunk: &mut &'c [u8]) -> Result<Option<Found<'c>>, DecodeError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        if self.event.delivered {
            self.event.forget_delivered();
        }
        if self.bom_bytes != BOM_DONE {
            self.skip_bom(chunk)?;
        }
        if self.after_cr
            && let Some((first, rest)) = chunk.split_first()
        {
            self.after_cr = false;
            if *first == b'\n' {
                *chunk = rest;
            }
        }
        if self.part.is_open() && !chunk.is_empty() {
            return self.continue_part(chunk);
        }
        self.unsettled = self.bom_bytes != BOM_DONE || self.after_cr || self.part.is_open();
        Ok(None)
    }

    /// Takes the BOM at the start of the stream, as far as it has come.
    fn skip_bom(&mut self, chunk: &mut &[u8]) -> Result<(), DecodeError> {
        while let Some((first, rest)) = chunk.split_first() {
            match BOM.get(self.bom_bytes) {
                Some(byte) if byte == first => {
                    self.bom_bytes += 1;
                    *chunk = rest;
                }
                Some(_) if self.bom_bytes > 0 => {
                    // Not a BOM after all: what looked like one begins the first line.
                    let line_bytes = core::mem::replace(&mut self.bom_bytes, BOM_DONE);
                    self.count_field()?;
                    self.part.open_unknown(line_bytes);
                    return self.check_part();
                }
                _ => {
                    self.bom_bytes = BOM_DONE;
                    return Ok(());
                }
            }
            if self.bom_bytes == BOM.len() {
                self.bom_bytes = BOM_DONE;
                return Ok(());
            }
        }
        Ok(())
    }

    /// Begins a line whose end is not in this chunk.
    fn open_part(&mut self, tail: &[u8]) -> Result<(), DecodeError> {
        if tail.first() != Some(&b':') {
            self.count_field()?;
        }
        self.part.push(tail, &mut self.event);
        self.check_part()
    }

    /// Goes on with the line under way.
    fn continue_part<'c>(
        &mut self,
        chunk: &mut &'c [u8],
    ) -> Result<Option<Found<'c>>, DecodeError> {
        let bytes = *chunk;
        let Some(end) = first_line_end(bytes) else {
            *chunk = &[];
            self.part.push(bytes, &mut self.event);
            self.check_part()?;
            return Ok(None);
        };
        if end > 0 {
            self.part.push(bytes.get(..end).unwrap_or_default(), &mut self.event);
            self.check_part()?;
        }
        let field = self.part.close(&mut self.event);
        self.check_part()?;
        let mut found = None;
        match field {
            Field::Data | Field::Unknown => {}
            Field::EventType => self.event.keep_event_type(self.part.value()),
            Field::Id => self.event.keep_id(self.part.value()),
            Field::Comment => found = Some(Found::KeptComment),
            Field::Retry => {
                self.reconnection_time =
                    field::reconnection_time(self.part.value()).or(self.reconnection_time);
                found = field::reconnection_time(self.part.value()).map(Found::Retry);
            }
        }
        self.part.clear();
        self.unsettled = false;
        self.stop_after(bytes, end, chunk);
        Ok(found)
    }

    #[inline]
    fn count_field(&mut self) -> Result<(), DecodeError> {
        self.event.fields = self.event.fields.saturating_add(1);
        let event_fields_max = self.limits.event_fields_max;
        if self.event.fields > event_fields_max {
            return Err(DecodeError::TooManyFields { event_fields_max });
        }
        Ok(())
    }

    fn check_part(&self) -> Result<(), DecodeError> {
        let (field, line_bytes, value_bytes) = self.part.size();
        self.check(field, line_bytes, value_bytes, self.event.data.len())
    }

    /// Whether a line keeps to the limits: its own bytes, those of its value unless it is data, and
    /// those of the event's data with it.
    #[inline]
    fn check(
        &self,
        field: Field,
        line_bytes: usize,
        value_bytes: usize,
        data_bytes: usize,
    ) -> Result<(), DecodeError> {
        let value_bytes_max = match field {
            Field::Id => self.limits.event_id_bytes_max,
            Field::EventType => self.limits.event_type_bytes_max,
            Field::Data | Field::Retry | Field::Comment | Field::Unknown => usize::MAX,
        };
        let held = data_bytes + self.event.event_type_bytes + self.event.id_bytes + value_bytes;
        if line_bytes > self.limits.line_bytes_max
            || data_bytes > self.limits.event_data_bytes_max
            || value_bytes > value_bytes_max
            || held > self.limits.buffered_bytes_max
        {
            return Err(self.limits.crossed(field, line_bytes, value_bytes, data_bytes, held));
        }
        Ok(())
    }

    #[cold]
    fn fail(&mut self, error: DecodeError) -> DecodeError {
        self.unsettled = true;
        self.error = Some(error);
        error
    }

    #[inline]
    fn item<'a>(&'a mut self, found: Found<'a>) -> Item<'a> {
        match found {
            Found::Event(borrowed) => Item::Event(EventRef {
                event_type: event_type(&borrowed, &self.event, &mut self.repaired_event_type),
                data: utf8::text(
                    borrowed.data.unwrap_or(&self.event.data),
                    &mut self.repaired_data,
                ),
                last_event_id: &self.last_event_id,
            }),
            Found::Comment(text) => Item::Comment(utf8::text(text, &mut self.repaired_data)),
            Found::KeptComment => {
                Item::Comment(utf8::text(self.part.value(), &mut self.repaired_data))
            }
            Found::Retry(time) => Item::Retry(time),
        }
    }

    fn owned_event(&mut self, borrowed: Borrowed<'_>) -> Event {
        let event_type = event_type(&borrowed, &self.event, &mut self.repaired_event_type);
        if self.shared_event_type.as_str() != event_type {
            self.shared_event_type = EventName::of_line(event_type);
        }
        if self.shared_id.as_str() != self.last_event_id {
            self.shared_id = EventId::of_line(&self.last_event_id);
        }
        let mut data = String::new();
        utf8::push_text(borrowed.data.unwrap_or(&self.event.data), &mut data);
        Event {
            event_type: self.shared_event_type.clone(),
            data,
            last_event_id: self.shared_id.clone(),
        }
    }
}

/// What a poll has found, before its bytes are made text.
enum Found<'c> {
    /// An event, with those of its values that are in the chunk; the others are in the buffer.
    Event(Borrowed<'c>),
    Comment(&'c [u8]),
    /// A comment that came in parts, and is the value of the line that was under way.
    KeptComment,
    Retry(Duration),
}

#[inline]
fn event_type<'a>(
    borrowed: &Borrowed<'a>,
    event: &'a EventBuffer,
    repaired: &'a mut String,
) -> &'a str {
    let kept = event.has_event_type.then_some(event.event_type.as_slice());
    match borrowed.event_type.or(kept) {
        None | Some([]) => DEFAULT_NAME,
        Some(bytes) => utf8::text(bytes, repaired),
    }
}

const BOM: [u8; 3] = *b"\xef\xbb\xbf";
/// Past any number of bytes of the BOM.
const BOM_DONE: usize = usize::MAX;
