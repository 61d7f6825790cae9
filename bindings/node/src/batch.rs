//! Batches: what a source has received, as it crosses to JavaScript.

use tidings_client::{EventId, EventName};

/// What happened to a source, one thing after the other: texts, and the numbers that cut them.
///
/// An entry is its kind and three numbers, [`NUMBERS`] in all: the lengths of its parts, in the order
/// in which they stand in their text, in UTF-16 code units as JavaScript counts them. Parts of ASCII
/// alone stand in one text, of a byte a character, and the others in another, of two, with [`WIDE`] in
/// their lengths: a text for all would have two bytes a character throughout for a single emoji, and
/// it would be JavaScript's thread that decodes it.
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
    narrow: String,
    wide: Vec<u16>,
    numbers: Vec<u32>,
}

/// Entries of a batch at most: as many events go to their listeners before anything else has its turn.
pub(crate) const ENTRIES_MAX: usize = 1024;
/// With so much text, a batch takes no further entry.
pub(crate) const BYTES_MAX: usize = 64 << 10;
/// Numbers of an entry.
pub(crate) const NUMBERS: usize = 4;
/// What stands before the entries: how many there are, and whether another batch waits.
const HEAD: usize = 2;
/// The numbers of a batch at most: those before the entries, and a question besides them, which does
/// not wait for room.
pub(crate) const NUMBERS_MAX: usize = HEAD + NUMBERS * (ENTRIES_MAX + 1);
/// The length of a part that is as it was in the message before.
pub(crate) const AS_BEFORE: u32 = u32::MAX;
/// With the length of a part that is not ASCII. No part is so long: the client's limits are far below.
pub(crate) const WIDE: u32 = 1 << 31;

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
        self.entries() >= ENTRIES_MAX || self.bytes() >= BYTES_MAX
    }

    /// The bytes of its texts.
    pub(crate) fn bytes(&self) -> usize {
        self.narrow.len() + size_of_val(self.wide.as_slice())
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
        let fits = self.entries() + other.entries() <= ENTRIES_MAX
            && self.bytes() + other.bytes() <= BYTES_MAX;
        if fits {
            self.narrow.push_str(&other.narrow);
            self.wide.append(&mut other.wide);
            self.numbers.append(&mut other.numbers);
            other.narrow.clear();
        }
        fits
    }

    /// Its texts; its numbers go into `numbers`.
    pub(crate) fn unload(
        self,
        is_more: bool,
        numbers: &mut [u32; NUMBERS_MAX],
    ) -> (String, Vec<u16>) {
        numbers[0] = self.entries() as u32;
        numbers[1] = u32::from(is_more);
        // Nothing is added to a batch that is full.
        numbers[HEAD..][..self.numbers.len()].copy_from_slice(&self.numbers);
        (self.narrow, self.wide)
    }

    pub(crate) fn entries(&self) -> usize {
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
        if text.is_ascii() {
            self.narrow.push_str(text);
            return text.len() as u32;
        }
        let before = self.wide.len();
        self.wide.extend(text.encode_utf16());
        (self.wide.len() - before) as u32 | WIDE
    }
}
