//! The lines that are whole within a chunk.

use super::decoder::{Decoder, Found, Source};
use super::event_buffer::{Borrowed, is_id};
use super::field::{self, Field};
use super::limits::DecodeError;
use super::line_ends::{LineEnds, ShortLineEnds};
use super::part::State;
use super::utf8;

impl Decoder {
    /// Reads whole lines up to the next item, and opens the line under way with what is behind the
    /// last line end. The chunk starts where a line does, or goes on with one that yields nothing,
    /// so that a short chunk is searched once for all of its line ends.
    #[inline(always)]
    pub(super) fn read_lines_with<'c>(
        &mut self,
        chunk: &mut &'c [u8],
        mut ends: impl LineEnds,
    ) -> Result<Option<Found<'c>>, DecodeError> {
        let bytes = *chunk;
        let mut borrowed = Borrowed::default();
        let mut start = match self.part.state {
            State::LineStart => 0,
            _ => match self.go_on(bytes, &mut ends)? {
                Some(start) => start,
                None => {
                    *chunk = &[];
                    return Ok(None);
                }
            },
        };
        while let Some(end) = ends.next() {
            let (line, after) = bytes
                .get(start..)
                .and_then(|rest| rest.split_at_checked(end - start))
                .unwrap_or_default();
            start = end + 1;
            if let [b'\r', after @ ..] = after {
                match after.first() {
                    Some(b'\n') => {
                        // The LF of a CRLF, which is the next line end that would be found.
                        ends.next();
                        start += 1;
                    }
                    Some(_) => {}
                    None => self.part.state = State::AfterCr,
                }
            }
            match line {
                [] if self.event.fields == 0 => {}
                [b':', ..] if !self.wants_comments => {
                    if line.len() > self.limits.line_bytes_max {
                        return Err(self.limits.line_too_long());
                    }
                    // A heartbeat is a comment and a blank line.
                    if self.event.fields == 0 && bytes.get(start) == Some(&b'\n') {
                        ends.next();
                        start += 1;
                    }
                }
                [] => {
                    let found =
                        self.end_event(core::mem::take(&mut borrowed), ends.seen_ascii_only());
                    if found.is_some() {
                        *chunk = bytes.get(start..).unwrap_or_default();
                        return Ok(found);
                    }
                }
                _ => {
                    if let Some(found) =
                        self.whole_line(line, &mut borrowed, ends.seen_ascii_only())?
                    {
                        self.event.keep(&mut borrowed, ends.seen_ascii_only());
                        *chunk = bytes.get(start..).unwrap_or_default();
                        return Ok(Some(found));
                    }
                }
            }
        }
        *chunk = &[];
        self.event.keep(&mut borrowed, ends.seen_ascii_only());
        self.event.shrink();
        let tail = bytes.get(start..).unwrap_or_default();
        if !tail.is_empty() {
            if let [b':', ..] = tail
                && !self.wants_comments
            {
                self.part.open(&self.limits);
                self.part.state = State::Ignored;
                self.part.take_room(tail.len())?;
            } else {
                self.open_tail(tail, ends.seen_ascii_only())?;
            }
        }
        Ok(None)
    }

    /// Reads a chunk of at most 64 bytes, as [`Decoder::read_lines_with`] does.
    #[inline(always)]
    pub(super) fn read_short<'c>(
        &mut self,
        chunk: &mut &'c [u8],
    ) -> Result<Option<Found<'c>>, DecodeError> {
        let ends = ShortLineEnds::new(chunk);
        if ends.is_empty() && matches!(self.part.state, State::Data | State::Ignored) {
            // Most chunks of a long line.
            self.part.take_room(chunk.len())?;
            if self.part.state == State::Data {
                self.event.push_data(chunk, ends.seen_ascii_only());
            }
            *chunk = &[];
            return Ok(None);
        }
        self.read_short_lines(chunk, ends)
    }

    #[inline(never)]
    fn read_short_lines<'c>(
        &mut self,
        chunk: &mut &'c [u8],
        ends: ShortLineEnds,
    ) -> Result<Option<Found<'c>>, DecodeError> {
        self.read_lines_with(chunk, ends)
    }

    /// Goes on with the line under way, and says where the next one starts; not if the chunk ends
    /// before it.
    #[inline(always)]
    fn go_on(
        &mut self,
        bytes: &[u8],
        ends: &mut impl LineEnds,
    ) -> Result<Option<usize>, DecodeError> {
        let state = core::mem::replace(&mut self.part.state, State::LineStart);
        if state == State::AfterCr {
            let is_crlf = bytes.first() == Some(&b'\n');
            if is_crlf {
                ends.next();
            }
            return Ok(Some(usize::from(is_crlf)));
        }
        let end = ends.next();
        let (piece, after) = bytes.split_at_checked(end.unwrap_or(bytes.len())).unwrap_or_default();
        self.part.take_room(piece.len())?;
        if state == State::Data {
            self.event.push_data(piece, ends.seen_ascii_only());
        }
        match after {
            [] => {
                self.part.state = state;
                Ok(None)
            }
            [b'\r', b'\n', ..] => {
                ends.next();
                Ok(Some(piece.len() + 2))
            }
            [first, ..] => {
                if *first == b'\r' && after.len() == 1 {
                    self.part.state = State::AfterCr;
                }
                Ok(Some(piece.len() + 1))
            }
        }
    }

    /// Reads a line that is whole and neither blank nor a comment nobody asked for.
    #[inline(always)]
    fn whole_line<'c>(
        &mut self,
        line: &'c [u8],
        borrowed: &mut Borrowed<'c>,
        is_ascii: bool,
    ) -> Result<Option<Found<'c>>, DecodeError> {
        let (field, value) = field::split(line);
        let others_bytes = self.event.event_type_bytes + self.event.id_bytes;
        let data_bytes = borrowed.data.map_or(self.event.data_bytes(), <[u8]>::len);
        if field == Field::Comment {
            self.limits.check_line(field, line.len(), value.len(), data_bytes, others_bytes)?;
            return Ok(Some(Found::Comment(Source::Chunk(value))));
        }
        self.event.fields = self.event.fields.saturating_add(1);
        self.limits.check_fields(self.event.fields)?;
        if field == Field::Data {
            let has_data = borrowed.data.is_some() || self.event.has_data();
            let data_bytes = data_bytes + usize::from(has_data) + value.len();
            self.limits.check_line(field, line.len(), 0, data_bytes, others_bytes)?;
            if has_data {
                if let Some(first) = borrowed.data.take() {
                    self.event.open_data_line();
                    self.event.push_data(first, is_ascii);
                }
                self.event.open_data_line();
                self.event.push_data(value, is_ascii);
            } else {
                borrowed.data = Some(value);
            }
            return Ok(None);
        }
        self.limits.check_line(field, line.len(), value.len(), data_bytes, others_bytes)?;
        match field {
            Field::EventType => {
                borrowed.event_type = Some(value);
                self.event.event_type_bytes = value.len();
            }
            Field::Id if is_id(value) => {
                borrowed.id = Some(value);
                self.event.id_bytes = value.len();
            }
            Field::Retry => {
                if let Some(time) = field::reconnection_time(value) {
                    self.reconnection_time = Some(time);
                    return Ok(Some(Found::Retry(time)));
                }
            }
            Field::Data | Field::Comment | Field::Id | Field::Unknown => {}
        }
        Ok(None)
    }

    /// A blank line: commits the id, and yields the event if there is one to dispatch. `is_ascii`
    /// tells that all that is borrowed is.
    #[inline(always)]
    pub(super) fn end_event<'c>(
        &mut self,
        borrowed: Borrowed<'c>,
        is_ascii: bool,
    ) -> Option<Found<'c>> {
        if let Some(id) = borrowed.id.or(self.event.id()) {
            self.last_event_id.clear();
            utf8::push_text(id, &mut self.last_event_id);
        }
        let event_type = match borrowed.event_type {
            Some(value) => Source::Chunk(value),
            None if self.event.has_event_type() => Source::Kept,
            None => Source::Chunk(&[]),
        };
        let data = match borrowed.data {
            Some(value) if is_ascii => Some(Source::Ascii(value)),
            Some(value) => Some(Source::Chunk(value)),
            None => self.event.has_data().then_some(Source::Kept),
        };
        self.event.end_event();
        data.map(|data| Found::Event { event_type, data })
    }
}
