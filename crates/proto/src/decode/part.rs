//! The line under way: the part of a line that came at the end of a chunk.

use alloc::vec::Vec;

use super::event_buffer::{EventBuffer, KEPT_BYTES_MAX};
use super::field::Field;
use super::limits::{DecodeError, Limits};
use super::line_ends::is_line_end;

/// How far the stream is read, when not in the middle of a chunk's whole lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// At the start of the stream, after so many bytes of a BOM.
    Bom(usize),
    /// At the start of a line.
    LineStart,
    /// At the start of a line that a CR has opened, so that an LF here belongs to the CR.
    AfterCr,
    /// Within the name of what may be this field, after so many bytes of it.
    Name(Field, usize),
    /// Behind the colon of a field, where one space is passed over.
    Colon(Field),
    /// Within the value of a data line, which goes straight to the event.
    Data,
    /// Within the value of another field, or a comment, which is collected in `value`.
    Value(Field),
    /// Within what is only counted: an unknown field, or a comment nobody asked for.
    Ignored,
    /// Beyond a limit.
    Failed(DecodeError),
}

/// The line under way.
///
/// Its value goes where it belongs as it comes, so that nothing of the line is read twice. The
/// lengths that have limits all grow by one a byte, so that it is enough to count down the
/// smallest room there is.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) state: State,
    /// Bytes that the line may still have.
    room: usize,
    /// What is crossed with the byte after those.
    crossing: DecodeError,
    value: Vec<u8>,
}

impl Part {
    /// At the start of a stream.
    pub(super) fn new(limits: &Limits) -> Self {
        let (room, crossing) = (limits.line_bytes_max, limits.line_too_long());
        Self { state: State::Bom(0), room, crossing, value: Vec::new() }
    }

    /// Takes a chunk of one byte, if it is one more of a value or of an ignored line and there is
    /// room for it.
    ///
    /// A path of its own that is compiled into the caller, as a stream may come byte by byte: there
    /// a call costs as much as all that is done in it, see `table /1`.
    #[inline(always)]
    pub(super) fn push_byte(&mut self, byte: u8, event: &mut EventBuffer) -> bool {
        if is_line_end(byte) || self.room == 0 {
            return false;
        }
        match self.state {
            State::Ignored => {}
            State::Data => event.push_data(&[byte], byte.is_ascii()),
            State::Value(_) => self.value.push(byte),
            _ => return false,
        }
        self.room -= 1;
        true
    }

    /// Takes a chunk of one byte where a line or a value starts or ends, or in a name, if that is
    /// all that there is to it: no item, and no limit but that of a value that it opens.
    #[inline(always)]
    pub(super) fn push_edge(
        &mut self,
        byte: u8,
        wants_comments: bool,
        limits: &Limits,
        event: &mut EventBuffer,
    ) -> Result<bool, DecodeError> {
        if is_line_end(byte) {
            match self.state {
                State::Data | State::Ignored => {}
                State::LineStart if event.fields == 0 => {}
                State::Value(Field::EventType) => event.keep_event_type(&self.value),
                State::Value(Field::Id) => event.keep_id(&self.value),
                _ => return Ok(false),
            }
            self.end_line(byte);
            return Ok(true);
        }
        match self.state {
            State::Name(field, known) if self.room > 0 => match field.name().get(known) {
                Some(next) if *next == byte => self.state = State::Name(field, known + 1),
                None if byte == b':' => self.state = State::Colon(field),
                _ => return Ok(false),
            },
            State::Colon(field) if byte == b' ' && self.room > 0 => {
                self.room -= 1;
                return self.open_value(field, limits, event).map(|()| true);
            }
            State::LineStart if limits.line_bytes_max > 0 => {
                let field = Field::beginning_with(byte);
                if field == Field::Comment {
                    if wants_comments {
                        return Ok(false);
                    }
                } else if event.fields < limits.event_fields_max {
                    event.fields += 1;
                } else {
                    return Ok(false);
                }
                self.open(limits);
                self.state = match field {
                    Field::Comment | Field::Unknown => State::Ignored,
                    field => State::Name(field, 1),
                };
            }
            _ => return Ok(false),
        }
        self.room -= 1;
        Ok(true)
    }

    /// Opens a line.
    pub(super) fn open(&mut self, limits: &Limits) {
        self.room = limits.line_bytes_max;
        self.crossing = limits.line_too_long();
    }

    /// Counts bytes of the line.
    #[inline(always)]
    pub(super) fn take_room(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.room = self.room.checked_sub(bytes).ok_or(self.crossing)?;
        Ok(())
    }

    /// Opens the value of a field: from here its own limits count besides that of the line.
    #[inline(always)]
    pub(super) fn open_value(
        &mut self,
        field: Field,
        limits: &Limits,
        event: &mut EventBuffer,
    ) -> Result<(), DecodeError> {
        let others = event.event_type_bytes + event.id_bytes;
        match field {
            Field::Data => {
                event.open_data_line();
                self.state = State::Data;
                let error = limits.event_data_too_long();
                self.narrow(limits.event_data_bytes_max, event.data_bytes(), error)?;
            }
            Field::Unknown => {
                self.state = State::Ignored;
                return Ok(());
            }
            Field::Id => {
                self.narrow(limits.event_id_bytes_max, 0, limits.event_id_too_long())?;
            }
            Field::EventType => {
                self.narrow(limits.event_type_bytes_max, 0, limits.event_type_too_long())?;
            }
            Field::Retry | Field::Comment => {}
        }
        if field != Field::Data {
            self.state = State::Value(field);
            self.value.clear();
            self.value.shrink_to(KEPT_BYTES_MAX);
        }
        let held = event.data_bytes() + others;
        self.narrow(limits.buffered_bytes_max, held, limits.too_much_buffered())
    }

    /// Lets no more through than `max` allows after `used`.
    fn narrow(&mut self, max: usize, used: usize, error: DecodeError) -> Result<(), DecodeError> {
        let room = max.checked_sub(used).ok_or(error)?;
        if room < self.room {
            self.room = room;
            self.crossing = error;
        }
        Ok(())
    }

    /// Ends the line with this CR or LF.
    #[inline(always)]
    pub(super) fn end_line(&mut self, line_end: u8) {
        self.state = if line_end == b'\r' { State::AfterCr } else { State::LineStart };
    }

    /// Takes bytes of a value, for which there is room.
    #[inline(always)]
    pub(super) fn push_value(&mut self, bytes: &[u8]) {
        self.value.extend_from_slice(bytes);
    }

    /// The value of the line, unless it is data.
    pub(super) fn value(&self) -> &[u8] {
        &self.value
    }
}
