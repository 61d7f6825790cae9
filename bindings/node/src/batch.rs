//! Batches: what a source has received, as it crosses to JavaScript.

use tidings_client::{EventId, EventName};

/// What happened to a source, one thing after the other: a text, and the numbers that cut it.
///
/// An entry is its kind and three numbers, [`NUMBERS`] in all: the lengths of its parts, in the order
/// in which they stand in the text, in UTF-16 code units as JavaScript counts them.
///
/// | kind | first part | second part | third part |
/// | --- | --- | --- | --- |
/// | message | event type | last event id | data |
/// | open | origin | | |
/// | disconnected | reason | – | the delay in milliseconds, no part of the text |
/// | closed | reason | | |
/// | asked for headers | the id to resume after | – | the attempt's number, no part of the text |
///
/// [`AS_BEFORE`] in place of a length stands for the text of the message before, of which there may
/// be none in the batch: for `message` and the empty id at first.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    text: String,
    numbers: Vec<u32>,
}

/// Entries of a batch at most: as many events go to their listeners before anything else has its turn.
pub(crate) const ENTRIES_MAX: usize = 256;
/// With so much text, a batch takes no further entry.
pub(crate) const BYTES_MAX: usize = 64 << 10;
/// Numbers of an entry.
pub(crate) const NUMBERS: usize = 4;
/// The numbers of a batch at most: its count of entries, and a question besides them, which does not
/// wait for room.
pub(crate) const NUMBERS_MAX: usize = 1 + NUMBERS * (ENTRIES_MAX + 1);
/// The length of a part that is as it was in the message before.
pub(crate) const AS_BEFORE: u32 = u32::MAX;

pub(crate) const MESSAGE: u32 = 0;
pub(crate) const OPEN: u32 = 1;
pub(crate) const DISCONNECTED: u32 = 2;
pub(crate) const CLOSED: u32 = 3;
pub(crate) const ASKED: u32 = 4;

/// The event type and the id of the newest message: most messages repeat one or both.
#[derive(Debug, Default)]
pub(crate) struct Before {
    event_type: EventName,
    last_event_id: EventId,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.entries() >= ENTRIES_MAX || self.text.len() >= BYTES_MAX
    }

    /// Adds a message.
    pub(crate) fn push_message(&mut self, message: tidings_client::Message, before: &mut Before) {
        let tidings_client::Message { event_type, data, last_event_id, .. } = message;
        let event_type = self.changed(&mut before.event_type, event_type, EventName::as_str);
        let last_event_id = self.changed(&mut before.last_event_id, last_event_id, EventId::as_str);
        let data = self.part(&data);
        self.numbers.extend([MESSAGE, event_type, last_event_id, data]);
    }

    /// Adds that a connection stands, whose messages are of this origin.
    pub(crate) fn push_open(&mut self, origin: &str) {
        let origin = self.part(origin);
        self.numbers.extend([OPEN, origin, 0, 0]);
    }

    /// Adds that the connection was lost, and when the next attempt is.
    pub(crate) fn push_disconnected(&mut self, reason: &str, delay: std::time::Duration) {
        let reason = self.part(reason);
        let delay_ms = u32::try_from(delay.as_millis()).unwrap_or(u32::MAX);
        self.numbers.extend([DISCONNECTED, reason, 0, delay_ms]);
    }

    /// Adds that the source is closed for good.
    pub(crate) fn push_closed(&mut self, reason: &str) {
        let reason = self.part(reason);
        self.numbers.extend([CLOSED, reason, 0, 0]);
    }

    /// Adds that the headers of an attempt are asked for.
    pub(crate) fn push_asked(&mut self, attempt: u64, last_event_id: &str) {
        let last_event_id = self.part(last_event_id);
        let attempt = u32::try_from(attempt).unwrap_or(u32::MAX);
        self.numbers.extend([ASKED, last_event_id, 0, attempt]);
    }

    /// Takes the other's entries after its own, unless they would be too many; then the other is as
    /// it was.
    pub(crate) fn absorb(&mut self, other: &mut Self) -> bool {
        if self.is_empty() {
            std::mem::swap(self, other);
            return true;
        }
        let fits = self.entries() + other.entries() <= ENTRIES_MAX
            && self.text.len() + other.text.len() <= BYTES_MAX;
        if fits {
            self.text.push_str(&other.text);
            self.numbers.append(&mut other.numbers);
            other.text.clear();
        }
        fits
    }

    /// The text; its numbers go into `numbers`, the count of its entries first.
    pub(crate) fn unload(self, numbers: &mut [u32; NUMBERS_MAX]) -> String {
        let (count, cuts) = numbers.split_first_mut().expect("there is a first number");
        *count = self.entries() as u32;
        // Nothing is added to a batch that is full.
        cuts[..self.numbers.len()].copy_from_slice(&self.numbers);
        self.text
    }

    fn entries(&self) -> usize {
        self.numbers.len() / NUMBERS
    }

    fn changed<T: PartialEq>(&mut self, before: &mut T, now: T, text: fn(&T) -> &str) -> u32 {
        if *before == now {
            return AS_BEFORE;
        }
        let length = self.part(text(&now));
        *before = now;
        length
    }

    fn part(&mut self, text: &str) -> u32 {
        self.text.push_str(text);
        let length = if text.is_ascii() { text.len() } else { text.encode_utf16().count() };
        length as u32
    }
}
