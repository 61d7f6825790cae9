//! The event under way: what its fields have said since the last blank line.

use alloc::vec::Vec;

/// The values of an event's fields, those that could not stay in the chunk they came with.
///
/// What is read of a chunk in one go leaves its values there, in a [`Borrowed`]. They are copied
/// in here when the event is not over at the end of the chunk.
///
/// A buffer keeps its bytes after its event, whose texts may still be borrowed from it, until the
/// next value comes.
#[derive(Debug, Default)]
pub(super) struct EventBuffer {
    /// The data lines so far, with an LF between each two.
    data: Vec<u8>,
    /// Whether there was a data line: one of no bytes is dispatched, none is not.
    has_data: bool,
    /// Whether `data` is known to be ASCII.
    data_is_ascii: bool,
    event_type: Vec<u8>,
    has_event_type: bool,
    id: Vec<u8>,
    has_id: bool,
    /// Fields so far. At none, nothing else here is of this event.
    pub(super) fields: usize,
    /// Bytes of the event type and the id, wherever they are, for the limit on all that is held.
    pub(super) event_type_bytes: usize,
    pub(super) id_bytes: usize,
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
    #[inline(always)]
    pub(super) fn has_data(&self) -> bool {
        self.has_data
    }

    /// The data lines that are in here, of this event or of the one just handed out.
    #[inline(always)]
    pub(super) fn data(&self) -> &[u8] {
        &self.data
    }

    #[inline(always)]
    pub(super) fn data_is_ascii(&self) -> bool {
        self.data_is_ascii
    }

    /// Bytes of data of this event that are in here.
    #[inline(always)]
    pub(super) fn data_bytes(&self) -> usize {
        if self.has_data { self.data.len() } else { 0 }
    }

    #[inline(always)]
    pub(super) fn event_type(&self) -> &[u8] {
        &self.event_type
    }

    #[inline(always)]
    pub(super) fn has_event_type(&self) -> bool {
        self.has_event_type
    }

    /// The id that this event has brought, if it is in here.
    #[inline(always)]
    pub(super) fn id(&self) -> Option<&[u8]> {
        self.has_id.then_some(&self.id)
    }

    /// Copies what is still in the chunk; `is_ascii` tells that it is known to be.
    #[inline]
    pub(super) fn keep(&mut self, borrowed: &mut Borrowed<'_>, is_ascii: bool) {
        if let Some(value) = borrowed.data.take() {
            self.open_data_line();
            self.push_data(value, is_ascii);
        }
        if let Some(value) = borrowed.event_type.take() {
            self.keep_event_type(value);
        }
        if let Some(value) = borrowed.id.take() {
            self.keep_id(value);
        }
    }

    /// Opens a data line: what is pushed after this is its value.
    #[inline(always)]
    pub(super) fn open_data_line(&mut self) {
        if self.has_data {
            self.data.push(b'\n');
        } else {
            self.data.clear();
            self.data_is_ascii = true;
            self.has_data = true;
        }
    }

    #[inline(always)]
    pub(super) fn push_data(&mut self, bytes: &[u8], is_ascii: bool) {
        self.data_is_ascii &= is_ascii;
        if self.data.capacity() - self.data.len() < bytes.len() {
            self.grow_data(bytes.len());
        }
        match bytes {
            [byte] => self.data.push(*byte),
            _ => self.data.extend_from_slice(bytes),
        }
    }

    /// Makes room for more data: sixteen times as much while that is little memory, so that a long
    /// line in many chunks is not copied again and again. With four times, the bench table's
    /// `drip/1400` is a tenth slower; to copy within the search instead of after it is a quarter
    /// slower, as `memcpy` has the wider stores.
    #[cold]
    fn grow_data(&mut self, more_bytes: usize) {
        let needed = self.data.len() + more_bytes;
        let capacity = if needed < KEPT_BYTES_MAX {
            (needed * 16).next_power_of_two().min(KEPT_BYTES_MAX)
        } else {
            needed.saturating_mul(2)
        };
        self.data.reserve_exact(capacity - self.data.len());
    }

    /// Hands the data out for good, in as much memory as it needs.
    pub(super) fn take_data(&mut self) -> Vec<u8> {
        let mut data = core::mem::take(&mut self.data);
        data.shrink_to_fit();
        data
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

    /// Goes on to the next event.
    #[inline(always)]
    pub(super) fn end_event(&mut self) {
        self.has_data = false;
        self.has_event_type = false;
        self.has_id = false;
        self.fields = 0;
        self.event_type_bytes = 0;
        self.id_bytes = 0;
    }

    /// Gives the memory of a large event back once nothing is borrowed from it.
    #[inline(always)]
    pub(super) fn shrink(&mut self) {
        if self.data.capacity() > KEPT_BYTES_MAX && !self.has_data {
            self.data = Vec::new();
        }
    }
}

/// Whether `value` can be an event id.
#[inline(always)]
pub(super) fn is_id(value: &[u8]) -> bool {
    // Ids are short, and this is faster than setting up a search.
    !value.contains(&0)
}

/// The capacity that a buffer keeps between events: 1 MiB.
pub(super) const KEPT_BYTES_MAX: usize = 1 << 20;
