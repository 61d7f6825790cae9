//! The line under way: the part of a line that came at the end of a chunk.

use alloc::vec::Vec;

use super::event_buffer::{EventBuffer, empty};
use super::field::{self, Field, HEAD_BYTES};

/// The line under way. Its value goes where it belongs as it comes, so that nothing of the line is
/// read twice; only its first bytes wait until they show the field.
#[derive(Debug, Default)]
pub(super) struct Part {
    state: State,
    /// Bytes of the line so far.
    line_bytes: usize,
    head: [u8; HEAD_BYTES],
    /// The value of any field but data, and of a comment.
    value: Vec<u8>,
}

/// How far the line under way is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// There is no line under way.
    #[default]
    None,
    /// The field is not known yet; all of the line is in `head`.
    Head,
    /// The field is known. Data is collected in the event, other values in `value`, and what is
    /// unknown not at all.
    Value(Field),
}

impl Part {
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.state != State::None
    }

    /// Opens a line that begins with bytes which were taken for the start of a BOM. No field name
    /// does, so it is unknown.
    pub(super) fn open_unknown(&mut self, line_bytes: usize) {
        self.state = State::Value(Field::Unknown);
        self.line_bytes = line_bytes;
    }

    /// Takes more of the line, without its line end.
    #[inline]
    pub(super) fn push(&mut self, bytes: &[u8], event: &mut EventBuffer) {
        let rest = match self.state {
            State::Value(_) => bytes,
            State::None | State::Head => self.push_head(bytes, event),
        };
        self.line_bytes = self.line_bytes.saturating_add(rest.len());
        self.push_value(rest, event);
    }

    /// Takes more of a line whose field is not known, and returns what is left when it is.
    fn push_head<'c>(&mut self, bytes: &'c [u8], event: &mut EventBuffer) -> &'c [u8] {
        self.state = State::Head;
        let missing = HEAD_BYTES.saturating_sub(self.line_bytes).min(bytes.len());
        let (added, rest) = bytes.split_at_checked(missing).unwrap_or_default();
        for (to, from) in self.head.iter_mut().skip(self.line_bytes).zip(added) {
            *to = *from;
        }
        self.line_bytes += missing;
        let head = self.head;
        let head = head.get(..self.line_bytes).unwrap_or_default();
        if let Some((field, start)) = field::split_head(head) {
            if field == Field::Data {
                event.open_data_line();
            }
            self.state = State::Value(field);
            self.value.clear();
            self.push_value(head.get(start..).unwrap_or_default(), event);
        }
        rest
    }

    #[inline]
    fn push_value(&mut self, bytes: &[u8], event: &mut EventBuffer) {
        match self.state {
            State::Value(Field::Data) => event.data.extend_from_slice(bytes),
            State::None | State::Head | State::Value(Field::Unknown) => {}
            State::Value(_) => self.value.extend_from_slice(bytes),
        }
    }

    /// The field, if it is known, and how long the line and its value are. Data is counted in the
    /// event, not here.
    #[inline]
    pub(super) fn size(&self) -> (Field, usize, usize) {
        match self.state {
            State::Value(field @ (Field::Data | Field::Unknown)) => (field, self.line_bytes, 0),
            State::Value(field) => (field, self.line_bytes, self.value.len()),
            State::None | State::Head => (Field::Unknown, self.line_bytes, 0),
        }
    }

    /// Ends the line: whatever it was, its field is known now, and data is in the event.
    pub(super) fn close(&mut self, event: &mut EventBuffer) -> Field {
        match self.state {
            State::Value(field) => field,
            State::None | State::Head => {
                let head = self.head;
                let (field, value) = field::split(head.get(..self.line_bytes).unwrap_or_default());
                if field == Field::Data {
                    event.open_data_line();
                }
                self.state = State::Value(field);
                self.value.clear();
                self.push_value(value, event);
                field
            }
        }
    }

    /// The value of the line that was closed, unless it is data.
    pub(super) fn value(&self) -> &[u8] {
        &self.value
    }

    /// Makes room for the next line.
    pub(super) fn clear(&mut self) {
        self.state = State::None;
        self.line_bytes = 0;
        if self.value.len() > VALUE_BYTES_KEPT {
            empty(&mut self.value);
        }
    }
}

/// A value up to this long need not be cleared at once: it is when the next one begins.
const VALUE_BYTES_KEPT: usize = 1 << 16;
