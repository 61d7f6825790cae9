//! The limit's memory: all events as they go out, one behind the other.

use std::io::Write;

/// See the [module](self). A place is how many bytes had gone by before it since the beginning.
pub struct Tape {
    bytes: Vec<u8>,
    /// The place of the first byte that is kept.
    start: u64,
    /// Where each event ends, the oldest first; the last of them is the end.
    ends: Vec<u64>,
    /// The number of the first of `ends`.
    first: u64,
}

impl Tape {
    pub fn new() -> Self {
        let bytes = Vec::with_capacity(2 * KEPT_BYTES);
        Self { bytes, start: 0, ends: Vec::with_capacity(2 * KEPT_BYTES / 128), first: 0 }
    }

    /// Adds an event as a chunk, with its number as id.
    pub fn add(&mut self, data: &[u8]) {
        let number = self.first + self.ends.len() as u64;
        let digits = number.checked_ilog10().unwrap_or(0) as usize + 1;
        let length = "id: \ndata: \n\n".len() + digits + data.len();
        let framed = write!(self.bytes, "{length:x}\r\nid: {number}\ndata: ")
            .and_then(|()| self.bytes.write_all(data))
            .and_then(|()| self.bytes.write_all(b"\n\n\r\n"));
        // Memory takes all that is written.
        debug_assert!(framed.is_ok());
        self.ends.push(self.end());
    }

    /// The place after all that there is.
    pub fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// The place after the event `number`, if it is kept or the next to come.
    pub fn after(&self, number: u64) -> Option<u64> {
        self.ends.get(usize::try_from(number.checked_sub(self.first)?).ok()?).copied()
    }

    /// All from `place` on.
    pub fn from(&self, place: u64) -> &[u8] {
        let at = place.checked_sub(self.start).expect("nobody is behind what is kept");
        &self.bytes[at as usize..]
    }

    /// What of one event is at `place`.
    pub fn event_at(&self, place: u64) -> &[u8] {
        // Mostly the newest is asked for.
        let end = match self.ends[..] {
            [.., before, end] if before <= place => end,
            _ => self.ends[self.ends.partition_point(|end| *end <= place)],
        };
        &self.from(place)[..(end - place) as usize]
    }

    /// Whether enough is old for it to be worth the while to let go of it.
    pub fn is_long(&self) -> bool {
        self.bytes.len() >= 2 * KEPT_BYTES - SLACK_BYTES
    }

    /// Lets go of what is old, as far as nobody is `behind` there.
    pub fn trim(&mut self, behind: u64) {
        let kept = self.end() - KEPT_BYTES as u64;
        let gone = self.ends.partition_point(|end| *end <= kept.min(behind));
        let Some(start) = gone.checked_sub(1).map(|last| self.ends[last]) else { return };
        self.bytes.drain(..(start - self.start) as usize);
        self.ends.drain(..gone);
        self.first += gone as u64;
        self.start = start;
    }
}

const KEPT_BYTES: usize = 16 << 20;
/// What is added between two looks.
const SLACK_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_stays_the_same_event_when_the_old_ones_go() {
        let mut tape = Tape::new();
        let (mut place, mut number) = (0, 0_u64);
        for _ in 0..3 * KEPT_BYTES / 100 {
            tape.add(&[b'x'; 100]);
            let id = format!("\r\nid: {number}\n");
            assert!(memchr::memmem::find(tape.event_at(place), id.as_bytes()).is_some());
            place += tape.event_at(place).len() as u64;
            assert_eq!(tape.after(number), Some(place));
            if tape.is_long() {
                tape.trim(place);
            }
            number += 1;
        }
        assert!(tape.bytes.len() < 2 * KEPT_BYTES);
        assert_eq!((place, tape.after(number)), (tape.end(), None));
    }
}
