//! Tidings' decoder beside those of other crates, on the same streams.
//!
//! Every contender reads chunks of the same stream through the cheapest public interface its crate
//! has, and hands each event to a [`Sink`]. In a bench the sink counts; before it, the same code
//! runs into a sink that compares each event with what the stream is known to say.

#[path = "../../../crates/proto/tests/shared/mod.rs"]
pub mod shared;

pub mod contenders;

use bytes::Bytes;
use shared::fixtures::Corpus;

/// Takes the events of a stream.
pub trait Sink {
    fn event(&mut self, event_type: &str, data: &str, last_event_id: &str);
}

/// Counts events, so that they are not optimised away.
#[derive(Default)]
pub struct Count {
    pub events: usize,
    pub bytes: usize,
}

impl Sink for Count {
    #[inline]
    fn event(&mut self, event_type: &str, data: &str, last_event_id: &str) {
        self.events += 1;
        self.bytes += event_type.len() + data.len() + last_event_id.len();
    }
}

/// Compares events with what they must be.
pub struct Check<'c> {
    expected: Box<dyn Iterator<Item = (&'c str, &'c str, &'c str)> + 'c>,
    right: bool,
}

impl<'c> Check<'c> {
    pub fn new(corpus: &'c Corpus) -> Self {
        Self { expected: Box::new(corpus.events()), right: true }
    }

    /// Whether all events came, as they must be.
    pub fn passed(mut self) -> bool {
        self.right && self.expected.next().is_none()
    }
}

impl Sink for Check<'_> {
    fn event(&mut self, event_type: &str, data: &str, last_event_id: &str) {
        self.right &= self.expected.next() == Some((event_type, data, last_event_id));
    }
}

/// One way to decode a stream.
pub struct Contender {
    pub name: &'static str,
    pub kind: Kind,
    pub count: fn(&[Bytes]) -> Count,
    pub check: fn(&[Bytes], &Corpus) -> bool,
}

/// What a contender is compared as.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Borrowed,
    Owned,
    Peer,
    /// The scan for line ends alone: what no decoder can beat that looks at each byte once.
    Scan,
}

/// Cuts a stream into chunks that share its memory.
pub fn chunks(stream: &[u8], chunk_bytes: usize) -> Vec<Bytes> {
    let whole = Bytes::copy_from_slice(stream);
    (0..stream.len())
        .step_by(chunk_bytes)
        .map(|from| whole.slice(from..stream.len().min(from + chunk_bytes)))
        .collect()
}
