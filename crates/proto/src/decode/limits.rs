//! How much of an event a decoder accepts, and the errors past that.

use super::field::Field;

/// Bounds on what a peer can make a [`Decoder`](super::Decoder) accept and hold.
///
/// Every length is counted in bytes as received, before invalid UTF-8 is replaced, so that it does
/// not depend on how the stream was cut into chunks. What is exactly as long as its limit passes;
/// the first byte more is the error.
///
/// The defaults are far beyond what event streams carry, as a small limit that silently costs
/// somebody a large result is worse than none. They bound the memory of one decoder to
/// `buffered_bytes_max`, and as much again for growing its buffers, or 1 MiB if that is more; beyond
/// that 1 MiB it takes the memory only while such an event is under way.
///
/// ```
/// use tidings_proto::decode::Limits;
///
/// let limits = Limits { event_data_bytes_max: 1 << 20, ..Limits::default() };
/// # let _ = limits;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Bytes in a line without its line end, ignored ones and comments included.
    /// Default: 64 MiB and 64 bytes, so that the largest data fits a line with its field name.
    pub line_bytes_max: usize,
    /// Bytes in an event's data, with an LF between each two of its lines. Default: 64 MiB.
    pub event_data_bytes_max: usize,
    /// Bytes in an event id. Default: 64 KiB, which is above what servers take in a header.
    pub event_id_bytes_max: usize,
    /// Bytes in an event type. Default: 64 KiB.
    pub event_type_bytes_max: usize,
    /// Fields between two blank lines, unknown ones included. Comments are not fields, so that a
    /// stream may stay idle for ever. Default: 1,048,576.
    pub event_fields_max: usize,
    /// Bytes held for one event: its data, type and id, and the value (or comment) being read.
    /// Default: 128 MiB.
    pub buffered_bytes_max: usize,
}

impl Limits {
    /// No limits at all: for a peer that is trusted with all of this process's memory.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            line_bytes_max: usize::MAX,
            event_data_bytes_max: usize::MAX,
            event_id_bytes_max: usize::MAX,
            event_type_bytes_max: usize::MAX,
            event_fields_max: usize::MAX,
            buffered_bytes_max: usize::MAX,
        }
    }
}

impl Limits {
    /// Whether a whole line keeps to the limits: its own bytes, those of its value unless it is
    /// data, and those of the event's data with it; `others_bytes` are the event type and the id.
    #[inline(always)]
    pub(super) fn check_line(
        &self,
        field: Field,
        line_bytes: usize,
        value_bytes: usize,
        data_bytes: usize,
        others_bytes: usize,
    ) -> Result<(), DecodeError> {
        let value_bytes_max = match field {
            Field::Id => self.event_id_bytes_max,
            Field::EventType => self.event_type_bytes_max,
            Field::Data | Field::Retry | Field::Comment | Field::Unknown => usize::MAX,
        };
        let held_bytes = data_bytes + others_bytes + value_bytes;
        if line_bytes > self.line_bytes_max
            || data_bytes > self.event_data_bytes_max
            || value_bytes > value_bytes_max
            || held_bytes > self.buffered_bytes_max
        {
            return Err(self.crossed(field, line_bytes, value_bytes, data_bytes, held_bytes));
        }
        Ok(())
    }

    /// The limit that was crossed first, by the byte that crossed it, so that the error does not
    /// depend on how much of the line was seen at once.
    ///
    /// Within a line all these lengths grow by one a byte, so the one furthest beyond its limit was
    /// the first to cross it.
    #[cold]
    fn crossed(
        &self,
        field: Field,
        line_bytes: usize,
        value_bytes: usize,
        data_bytes: usize,
        held_bytes: usize,
    ) -> DecodeError {
        let mut first = (line_bytes.saturating_sub(self.line_bytes_max), self.line_too_long());
        let mut consider = |bytes: usize, max: usize, error: DecodeError| {
            let beyond = bytes.saturating_sub(max);
            if beyond > first.0 {
                first = (beyond, error);
            }
        };
        consider(data_bytes, self.event_data_bytes_max, self.event_data_too_long());
        match field {
            Field::Id => {
                consider(value_bytes, self.event_id_bytes_max, self.event_id_too_long());
            }
            Field::EventType => {
                consider(value_bytes, self.event_type_bytes_max, self.event_type_too_long());
            }
            Field::Data | Field::Retry | Field::Comment | Field::Unknown => {}
        }
        consider(held_bytes, self.buffered_bytes_max, self.too_much_buffered());
        first.1
    }

    /// Counts a field of an event.
    #[inline(always)]
    pub(super) fn check_fields(&self, fields: usize) -> Result<(), DecodeError> {
        let event_fields_max = self.event_fields_max;
        if fields > event_fields_max {
            return Err(DecodeError::TooManyFields { event_fields_max });
        }
        Ok(())
    }

    pub(super) fn line_too_long(&self) -> DecodeError {
        DecodeError::LineTooLong { line_bytes_max: self.line_bytes_max }
    }

    pub(super) fn event_data_too_long(&self) -> DecodeError {
        DecodeError::EventDataTooLong { event_data_bytes_max: self.event_data_bytes_max }
    }

    pub(super) fn event_id_too_long(&self) -> DecodeError {
        DecodeError::EventIdTooLong { event_id_bytes_max: self.event_id_bytes_max }
    }

    pub(super) fn event_type_too_long(&self) -> DecodeError {
        DecodeError::EventTypeTooLong { event_type_bytes_max: self.event_type_bytes_max }
    }

    pub(super) fn too_much_buffered(&self) -> DecodeError {
        DecodeError::TooMuchBuffered { buffered_bytes_max: self.buffered_bytes_max }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line_bytes_max: (64 << 20) + 64,
            event_data_bytes_max: 64 << 20,
            event_id_bytes_max: 64 << 10,
            event_type_bytes_max: 64 << 10,
            event_fields_max: 1 << 20,
            buffered_bytes_max: 128 << 20,
        }
    }
}

/// Why a decoder stopped: the peer crossed one of its [`Limits`].
///
/// Nothing else is an error in an event stream: bytes that are not UTF-8 and lines that mean
/// nothing are part of the format. The peer is at fault, or the limit is too small for it; raise
/// the limit that is named, or leave the connection. Everything before the crossing was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A line is longer than [`Limits::line_bytes_max`].
    #[error("a line is longer than line_bytes_max, {line_bytes_max} bytes")]
    LineTooLong {
        /// The limit that was crossed, in bytes.
        line_bytes_max: usize,
    },
    /// An event's data is longer than [`Limits::event_data_bytes_max`].
    #[error("an event's data is longer than event_data_bytes_max, {event_data_bytes_max} bytes")]
    EventDataTooLong {
        /// The limit that was crossed, in bytes.
        event_data_bytes_max: usize,
    },
    /// An event id is longer than [`Limits::event_id_bytes_max`].
    #[error("an event id is longer than event_id_bytes_max, {event_id_bytes_max} bytes")]
    EventIdTooLong {
        /// The limit that was crossed, in bytes.
        event_id_bytes_max: usize,
    },
    /// An event type is longer than [`Limits::event_type_bytes_max`].
    #[error("an event type is longer than event_type_bytes_max, {event_type_bytes_max} bytes")]
    EventTypeTooLong {
        /// The limit that was crossed, in bytes.
        event_type_bytes_max: usize,
    },
    /// An event has more fields than [`Limits::event_fields_max`].
    #[error("an event has more fields than event_fields_max, {event_fields_max}")]
    TooManyFields {
        /// The limit that was crossed, in fields.
        event_fields_max: usize,
    },
    /// An event would have more bytes held than [`Limits::buffered_bytes_max`].
    #[error("an event needs more bytes held than buffered_bytes_max, {buffered_bytes_max}")]
    TooMuchBuffered {
        /// The limit that was crossed, in bytes.
        buffered_bytes_max: usize,
    },
}

impl DecodeError {
    /// Whether a new connection may go better: it may, as it starts a stream of its own.
    ///
    /// A server that resumes after the last event id sends the same event again, though, so bound
    /// the attempts.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        true
    }
}
