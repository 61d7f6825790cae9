//! The event under way: what its fields have said since the last blank line.

use alloc::vec::Vec;

/// The values of an event's fields, each in a buffer or still in the chunk they came with.
///
/// The values that a decoder leaves in the chunk are in a [`Borrowed`] beside this, which lives no
/// longer than the chunk: [`EventBuffer::keep`] copies them in here when the event goes on.
#[derive(Debug, Default)]
pub(super) struct EventBuffer {
    /// The data lines so far, with an LF between each two.
    pub(super) data: Vec<u8>,
    /// Whether there was a data line: one of no bytes is dispatched, none is not.
    pub(super) has_data: bool,
    pub(super) event_type: Vec<u8>,
    pub(super) has_event_type: bool,
    pub(super) id: Vec<u8>,
    pub(super) has_id: bool,
    /// Fields so far, for their limit.
    pub(super) fields: usize,
    /// Bytes of the event type and the id, wherever they are, for the limit on all that is held.
    pub(super) event_type_bytes: usize,
    pub(super) id_bytes: usize,
    /// Whether `data` and `event_type` belong to an event that was already handed out.
    pub(super) delivered: bool,
}

/// The values of the event under way that are in the chunk. A value here is newer than the one in
/// the buffer; data is in one of the two, not both.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Borrowed<'c> {
    pub(super) data: Option<&'c [u8]>,
    pub(super) event_type: Option<&'c [u8]>,
    pub(super) id: Option<&'c [u8]>,
}

impl EventBuffer {
    /// Copies what is still in the chunk.
    #[inline]
    pub(super) fn keep(&mut self, borrowed: &mut Borrowed<'_>) {
        if let Some(value) = borrowed.data.take() {
            self.data.extend_from_slice(value);
            self.has_data = true;
        }
        if let Some(value) = borrowed.event_type.take() {
            self.keep_event_type(value);
        }
        if let Some(value) = borrowed.id.take() {
            self.keep_id(value);
        }
    }

    /// Opens a data line: what is appended to `data` after this is its value.
    #[inline]
    pub(super) fn open_data_line(&mut self) {
        if self.has_data {
            self.data.push(b'\n');
        }
        self.has_data = true;
    }

    pub(super) fn keep_event_type(&mut self, value: &[u8]) {
        self.event_type.clear();
        self.event_type.extend_from_slice(value);
        self.has_event_type = true;
        self.event_type_bytes = value.len();
    }

    /// Keeps an id, unless it contains NUL, which makes it no id at all.
    pub(super) fn keep_id(&mut self, value: &[u8]) {
        if is_id(value) {
            self.id.clear();
            self.id.extend_from_slice(value);
            self.has_id = true;
            self.id_bytes = value.len();
        }
    }

    /// Forgets the event after a blank line: all of it, or all but what is being handed out, which
    /// is forgotten by [`EventBuffer::forget_delivered`].
    #[inline]
    pub(super) fn end_event(&mut self, delivered: bool) {
        self.fields = 0;
        self.event_type_bytes = 0;
        self.id_bytes = 0;
        self.has_id = false;
        self.delivered = delivered && (self.has_data || self.has_event_type);
        if !delivered {
            self.has_event_type = false;
        }
    }

    /// Makes the buffers that were handed out ready for the next event.
    pub(super) fn forget_delivered(&mut self) {
        self.delivered = false;
        self.has_data = false;
        self.has_event_type = false;
        empty(&mut self.data);
        empty(&mut self.event_type);
    }

    /// Forgets everything: the stream ended within the event.
    pub(super) fn discard(&mut self) {
        self.forget_delivered();
        self.end_event(false);
    }
}

/// Whether `value` can be an event id.
#[inline]
pub(super) fn is_id(value: &[u8]) -> bool {
    // Ids are short, and this is faster than setting up a search.
    !value.contains(&0)
}

/// Clears a buffer, and gives its memory back when one large event made it grow.
pub(super) fn empty(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.shrink_to(KEPT_BYTES_MAX);
}

/// The capacity that a buffer keeps between events: 1 MiB.
const KEPT_BYTES_MAX: usize = 1 << 20;
