//! What is streamed, and how a contender proves that it has read it.

#[path = "../../../crates/proto/tests/shared/mod.rs"]
mod shared;

use shared::fixtures::{self, Corpus};

/// A stream of which a pass is sent again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// A line of JSON of 200 to 300 bytes an event, without ids.
    Llm,
    /// Events of two bytes of data, each with an id and a type.
    Tiny,
    /// Events of 1.7 KB, in twenty lines.
    Multi,
}

impl Workload {
    pub const ALL: [Self; 3] = [Self::Llm, Self::Tiny, Self::Multi];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Llm => "llm",
            Self::Tiny => "tiny",
            Self::Multi => "multi",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|workload| workload.name() == name)
    }

    /// The events of a pass, which are the same in every process.
    pub fn pass(self) -> Pass {
        let corpus = match self {
            Self::Llm => fixtures::llm(PASS_BYTES),
            Self::Tiny => fixtures::tiny(PASS_BYTES),
            Self::Multi => fixtures::multi(PASS_BYTES),
        };
        Pass(corpus)
    }
}

/// The bytes of a stream and the events they stand for.
pub struct Pass(Corpus);

impl Pass {
    pub fn stream(&self) -> &[u8] {
        &self.0.stream
    }

    pub fn events(&self) -> u64 {
        self.0.events().count() as u64
    }

    /// What a contender has in its [`Sum`] after `passes`.
    pub fn sum(&self, passes: u64) -> Sum {
        let words: Vec<u64> =
            self.0.events().map(|(name, data, id)| event_word(name, data, id)).collect();
        let mut sum = Sum { bytes: self.0.stream.len() as u64 * passes, ..Sum::default() };
        for _ in 0..passes {
            words.iter().for_each(|word| sum.word(*word));
        }
        sum
    }
}

/// Takes what a contender reads: events, or bytes if it does not parse.
pub trait Sink {
    fn event(&mut self, event_type: &str, data: &str, last_event_id: &str);
    fn bytes(&mut self, chunk: &[u8]);
}

/// Counts and sums up what was read, in its order. It looks at every byte of an event once, eight
/// at a time, which costs some nanoseconds.
#[derive(Debug, Default, Clone, Copy)]
pub struct Sum {
    events: u64,
    sum: u64,
    bytes: u64,
}

impl Sum {
    /// Whether it is what `expected` says: by the events, or by the bytes for who does not parse.
    pub fn matches(&self, expected: &Self, parses: bool) -> bool {
        if parses {
            (self.events, self.sum) == (expected.events, expected.sum)
        } else {
            self.bytes == expected.bytes
        }
    }

    fn word(&mut self, word: u64) {
        self.events += 1;
        self.sum = (self.sum.rotate_left(5) ^ word).wrapping_mul(ODD);
    }
}

impl Sink for Sum {
    #[inline]
    fn event(&mut self, event_type: &str, data: &str, last_event_id: &str) {
        self.word(event_word(event_type, data, last_event_id));
    }

    #[inline]
    fn bytes(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len() as u64;
    }
}

/// Compares each event, or each byte, with what it must be.
pub struct Check<'p> {
    events: Box<dyn Iterator<Item = (&'p str, &'p str, &'p str)> + Send + 'p>,
    bytes: &'p [u8],
    right: bool,
}

impl<'p> Check<'p> {
    /// Expects one pass.
    pub fn new(pass: &'p Pass) -> Self {
        Self { events: Box::new(pass.0.events()), bytes: pass.stream(), right: true }
    }

    /// Whether all came, as it must be.
    pub fn passed(mut self, parses: bool) -> bool {
        let all = if parses { self.events.next().is_none() } else { self.bytes.is_empty() };
        self.right && all
    }
}

impl Sink for Check<'_> {
    fn event(&mut self, event_type: &str, data: &str, last_event_id: &str) {
        self.right &= self.events.next() == Some((event_type, data, last_event_id));
    }

    fn bytes(&mut self, chunk: &[u8]) {
        match self.bytes.strip_prefix(chunk) {
            Some(rest) => self.bytes = rest,
            None => self.right = false,
        }
    }
}

#[inline]
fn event_word(event_type: &str, data: &str, last_event_id: &str) -> u64 {
    [event_type, data, last_event_id]
        .into_iter()
        .fold(0, |all: u64, text| all.rotate_left(21).wrapping_add(text_word(text.as_bytes())))
}

/// A sum of words, which the compiler makes of vector instructions; the length tells texts apart
/// that differ in zeros.
#[inline]
fn text_word(text: &[u8]) -> u64 {
    let (words, rest) = text.as_chunks::<8>();
    let sum = words.iter().fold(0, |sum: u64, word| sum.wrapping_add(u64::from_le_bytes(*word)));
    let rest = rest.iter().fold(0, |rest: u64, byte| (rest << 8) | u64::from(*byte));
    sum.wrapping_add(rest).wrapping_add((text.len() as u64) << 48)
}

/// It stays in the second cache: the clients are measured, not the server's memory.
const PASS_BYTES: usize = 256 << 10;
/// Makes an order of words another sum.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(events: &[(&str, &str, &str)]) -> u64 {
        let mut sum = Sum::default();
        events.iter().for_each(|(name, data, id)| sum.event(name, data, id));
        sum.sum
    }

    #[test]
    fn a_sum_tells_events_apart() {
        let right = [("message", "a long line of data", "1"), ("tick", "", "2")];
        let wrong: [&[(&str, &str, &str)]; 6] = [
            &right[..1],
            &[right[1], right[0]],
            &[right[0], right[1], right[1]],
            &[("message", "a long line of date", "1"), right[1]],
            &[("messag", "ea long line of data", "1"), right[1]],
            &[right[0], ("tick", "2", "")],
        ];
        for wrong in wrong {
            assert_ne!(sum(&right), sum(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_pass_sums_up_to_what_its_events_do() {
        for workload in Workload::ALL {
            let pass = workload.pass();
            let mut read = Sum::default();
            for (name, data, id) in pass.0.events().chain(pass.0.events()) {
                read.event(name, data, id);
            }
            assert!(read.matches(&pass.sum(2), true), "{}", workload.name());
            assert!(!read.matches(&pass.sum(1), true), "{}", workload.name());
        }
    }
}
