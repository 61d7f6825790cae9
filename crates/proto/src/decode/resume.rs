//! Lines that are not whole within a chunk.

use super::decoder::{Decoder, Found, Source};
use super::event_buffer::Borrowed;
use super::field::{self, Field};
use super::limits::DecodeError;
use super::part::State;

impl Decoder {
    /// Goes on with a data line, and says whether the chunk has ended before it.
    ///
    /// It is what [`Decoder::resume`] does too, on a short path: long lines come in many chunks.
    #[inline]
    pub(super) fn continue_data(&mut self, chunk: &mut &[u8]) -> Result<bool, DecodeError> {
        let (end, is_ascii) = self.processor.line_end(chunk);
        let (piece, end) = split_at(chunk, end);
        self.part.take_room(piece.len())?;
        self.event.push_data(piece, is_ascii);
        match end {
            Some(end) => self.part.end_line(end),
            None => return Ok(true),
        }
        Ok(false)
    }

    /// Goes on with a line that is only counted, and says whether the chunk has ended before it.
    #[inline]
    pub(super) fn continue_ignored(&mut self, chunk: &mut &[u8]) -> Result<bool, DecodeError> {
        let (piece, end) = split_at(chunk, self.processor.line_end(chunk).0);
        self.part.take_room(piece.len())?;
        match end {
            Some(end) => self.part.end_line(end),
            None => return Ok(true),
        }
        Ok(false)
    }

    /// Goes on where the last chunk has stopped.
    #[inline(never)]
    pub(super) fn resume<'c>(
        &mut self,
        chunk: &mut &'c [u8],
    ) -> Result<Option<Found<'c>>, DecodeError> {
        while let [first, rest @ ..] = *chunk {
            match self.part.state {
                State::LineStart if chunk.len() >= WHOLE_LINES_BYTES => {
                    return self.read_lines(chunk);
                }
                State::LineStart => match first {
                    b'\n' | b'\r' => {
                        *chunk = rest;
                        self.part.end_line(*first);
                        if let Some(found) = self.end_event(Borrowed::default(), false) {
                            return Ok(Some(found));
                        }
                    }
                    _ => {
                        self.open_part(*first)?;
                        *chunk = rest;
                    }
                },
                State::AfterCr => {
                    self.part.state = State::LineStart;
                    if *first == b'\n' {
                        *chunk = rest;
                    }
                }
                State::Data => {
                    self.continue_data(chunk)?;
                }
                State::Ignored => {
                    self.continue_ignored(chunk)?;
                }
                State::Value(field) => {
                    let (piece, end) = split_at(chunk, self.processor.line_end(chunk).0);
                    self.part.take_room(piece.len())?;
                    self.part.push_value(piece);
                    if let Some(end) = end {
                        self.part.end_line(end);
                        if let Some(found) = self.end_value(field) {
                            return Ok(Some(found));
                        }
                    }
                }
                State::Name(field, known) => {
                    match (field.name().get(known), first) {
                        (None, b'\n' | b'\r') => {
                            // No colon: the value is empty.
                            self.part.open_value(field, &self.limits, &mut self.event)?;
                            continue;
                        }
                        (Some(next), byte) if next == byte => {
                            self.part.state = State::Name(field, known + 1);
                        }
                        (None, b':') => self.part.state = State::Colon(field),
                        _ => {
                            self.part.state = State::Ignored;
                            continue;
                        }
                    }
                    self.part.take_room(1)?;
                    *chunk = rest;
                }
                State::Colon(field) => {
                    if *first == b' ' {
                        self.part.take_room(1)?;
                        *chunk = rest;
                    }
                    self.part.open_value(field, &self.limits, &mut self.event)?;
                }
                State::Bom(known) => self.skip_bom(known, chunk)?,
                State::Failed(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Opens a line with what comes behind the last line end of a chunk; `is_ascii` tells that it is
    /// known to be.
    #[inline(always)]
    pub(super) fn open_tail(&mut self, tail: &[u8], is_ascii: bool) -> Result<(), DecodeError> {
        let (field, value) = match tail {
            [b'd', b'a', b't', b'a', b':', b' ', value @ ..]
            | [b'd', b'a', b't', b'a', b':', value @ ..]
                if tail.len() > b"data:".len() =>
            {
                (Field::Data, value)
            }
            _ => return self.open_other_tail(tail),
        };
        self.open_line(field)?;
        self.part.take_room(tail.len() - value.len())?;
        self.part.open_value(field, &self.limits, &mut self.event)?;
        self.part.take_room(value.len())?;
        self.event.push_data(value, is_ascii);
        Ok(())
    }

    /// Opens a line that is not data, or not yet, with its first bytes.
    fn open_other_tail(&mut self, tail: &[u8]) -> Result<(), DecodeError> {
        let field = match tail {
            [first, ..] => Field::beginning_with(*first),
            [] => return Ok(()),
        };
        self.open_line(field)?;
        let value = match field {
            Field::Comment if self.wants_comments => tail.get(1..),
            Field::Comment | Field::Unknown => None,
            _ => match tail.strip_prefix(field.name()) {
                Some([b':', b' ', value @ ..] | [b':', value @ ..])
                    if tail.len() > field.name().len() + 1 =>
                {
                    Some(value)
                }
                Some([b':']) => {
                    self.part.state = State::Colon(field);
                    return self.part.take_room(tail.len());
                }
                _ if field.name().starts_with(tail) => {
                    self.part.state = State::Name(field, tail.len());
                    return self.part.take_room(tail.len());
                }
                _ => None,
            },
        };
        let Some(value) = value else {
            self.part.state = State::Ignored;
            return self.part.take_room(tail.len());
        };
        self.part.take_room(tail.len() - value.len())?;
        self.part.open_value(field, &self.limits, &mut self.event)?;
        self.part.take_room(value.len())?;
        self.part.push_value(value);
        Ok(())
    }

    /// Opens a line and counts it, if it is a field.
    #[inline(always)]
    fn open_line(&mut self, field: Field) -> Result<(), DecodeError> {
        if field != Field::Comment {
            self.event.fields = self.event.fields.saturating_add(1);
            self.limits.check_fields(self.event.fields)?;
        }
        self.part.open(&self.limits);
        Ok(())
    }

    /// Opens a line with its first byte, which ends no line.
    fn open_part(&mut self, first: u8) -> Result<(), DecodeError> {
        let field = Field::beginning_with(first);
        self.open_line(field)?;
        self.part.take_room(1)?;
        match field {
            Field::Comment if self.wants_comments => {
                self.part.open_value(field, &self.limits, &mut self.event)
            }
            Field::Comment | Field::Unknown => {
                self.part.state = State::Ignored;
                Ok(())
            }
            _ => {
                self.part.state = State::Name(field, 1);
                Ok(())
            }
        }
    }

    /// Does with the value of a line that came in parts what its field says.
    fn end_value<'c>(&mut self, field: Field) -> Option<Found<'c>> {
        match field {
            Field::EventType => self.event.keep_event_type(self.part.value()),
            Field::Id => self.event.keep_id(self.part.value()),
            Field::Comment => return Some(Found::Comment(Source::Kept)),
            Field::Retry => {
                let time = field::reconnection_time(self.part.value())?;
                self.reconnection_time = Some(time);
                return Some(Found::Retry(time));
            }
            Field::Data | Field::Unknown => {}
        }
        None
    }

    /// Takes the BOM at the start of the stream, as far as it has come.
    #[cold]
    fn skip_bom(&mut self, known: usize, chunk: &mut &[u8]) -> Result<(), DecodeError> {
        match (BOM.get(known), *chunk) {
            (Some(next), [first, rest @ ..]) if first == next => {
                self.part.state = State::Bom(known + 1);
                *chunk = rest;
            }
            (Some(_), _) if known > 0 => {
                // Not a BOM after all: what looked like one begins the first line.
                self.open_part(BOM[0])?;
                self.part.take_room(known - 1)?;
            }
            _ => self.part.state = State::LineStart,
        }
        Ok(())
    }
}

/// Takes off the front of `chunk` what is before the line end at `end`, and the line end with it;
/// or all of it, if there is none.
#[inline(always)]
fn split_at<'c>(chunk: &mut &'c [u8], end: Option<usize>) -> (&'c [u8], Option<u8>) {
    let bytes = *chunk;
    if let Some((piece, [end, rest @ ..])) = end.and_then(|end| bytes.split_at_checked(end)) {
        *chunk = rest;
        (piece, Some(*end))
    } else {
        *chunk = &[];
        (bytes, None)
    }
}

const BOM: [u8; 3] = *b"\xef\xbb\xbf";

/// A chunk shorter than this is read byte by byte where no line is under way, which is faster than
/// to set up the search for whole lines.
pub(super) const WHOLE_LINES_BYTES: usize = 16;
