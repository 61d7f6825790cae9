//! One subscriber of the load: finds the payloads in what it reads and has each one checked, at 11 ns
//! an event of a burst. What the load takes beyond that is the kernel's, which copies the bytes.

use std::net::TcpStream;

use memchr::{memchr, memmem};

use super::ledger::{Ledger, Next, Wrong};
use super::payload::{self, Kind, PAYLOAD_BYTES, Payload};

/// A connection that follows.
pub struct Subscriber {
    pub socket: TcpStream,
    pub reader: Reader,
}

/// What of a stream was read. It need not know where chunks begin and end: see [`payload`].
pub struct Reader {
    pub next: Next,
    pub opened: bool,
    /// The head, or a payload, as far as it came; mostly empty.
    part: Vec<u8>,
    /// The `id:` before the last payload, of whoever keeps it.
    pub last_id: Option<Vec<u8>>,
}

/// Why a stream is of no use.
#[derive(Debug)]
pub enum Failure {
    Wrong(Wrong),
    /// The answer was not 200.
    Refused(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Wrong(wrong) => wrong.fmt(f),
            Self::Refused(head) => write!(f, "a subscriber was answered {head:?}"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<Wrong> for Failure {
    fn from(wrong: Wrong) -> Self {
        Self::Wrong(wrong)
    }
}

impl Reader {
    pub fn new(next: Next, keeps_id: bool) -> Self {
        let last_id = keeps_id.then(Vec::new);
        Self { next, opened: false, part: Vec::new(), last_id }
    }

    /// Takes what was read at `nanos`.
    pub fn read(
        &mut self,
        mut bytes: &[u8],
        ledger: &mut Ledger,
        nanos: u64,
    ) -> Result<(), Failure> {
        if !self.opened {
            match self.read_head(bytes)? {
                Some(rest) => bytes = rest,
                None => return Ok(()),
            }
        }
        if !self.part.is_empty() {
            bytes = self.gather(bytes, ledger, nanos)?;
        }
        while let Some(at) = memchr(payload::START, bytes) {
            if self.last_id.is_some() {
                self.keep_id(&bytes[..at]);
            }
            let begun = &bytes[at..];
            match begun.first_chunk::<PAYLOAD_BYTES>() {
                Some(whole) if is_whole(whole) => {
                    self.next = ledger.receive(whole, self.next, nanos)?;
                    bytes = &begun[PAYLOAD_BYTES..];
                }
                _ => bytes = self.gather(begun, ledger, nanos)?,
            }
        }
        Ok(())
    }

    /// Returns what follows the head, once it is there.
    fn read_head<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, Failure> {
        let before = self.part.len();
        self.part.extend_from_slice(bytes);
        let Some(end) = memmem::find(&self.part, b"\r\n\r\n") else {
            return match self.part.len() {
                ..HEAD_BYTES_MAX => Ok(None),
                _ => Err(self.refused()),
            };
        };
        if !self.part.starts_with(b"HTTP/1.1 200") {
            return Err(self.refused());
        }
        self.opened = true;
        self.part = Vec::new();
        Ok(Some(&bytes[end + 4 - before..]))
    }

    fn refused(&self) -> Failure {
        let shown = &self.part[..self.part.len().min(SHOWN_BYTES)];
        Failure::Refused(String::from_utf8_lossy(shown).into_owned())
    }

    /// The slow way, for a payload that a read or a chunk has cut; returns what follows.
    fn gather<'a>(
        &mut self,
        bytes: &'a [u8],
        ledger: &mut Ledger,
        nanos: u64,
    ) -> Result<&'a [u8], Failure> {
        for (at, byte) in bytes.iter().enumerate() {
            match payload::kind(*byte) {
                Kind::Payload => self.part.push(*byte),
                Kind::Framing => continue,
                Kind::Foreign => return Err(Wrong::Corrupt.into()),
            }
            if let Ok(whole) = Payload::try_from(self.part.as_slice()) {
                self.part.clear();
                self.next = ledger.receive(&whole, self.next, nanos)?;
                return Ok(&bytes[at + 1..]);
            }
        }
        Ok(&[])
    }

    fn keep_id(&mut self, before: &[u8]) {
        let Some(at) = memmem::rfind(before, b"id: ") else { return };
        let id = &before[at + 4..];
        let end = memchr(b'\n', id).unwrap_or(id.len());
        self.last_id = Some(id[..end].trim_ascii().to_vec());
    }
}

/// Whether nothing is between the payload's bytes: then its last one is where it belongs. What is
/// between may be as long as what it pushes out, but never ends as a payload does.
fn is_whole(bytes: &Payload) -> bool {
    bytes[PAYLOAD_BYTES - 1] == b'!'
}

const HEAD_BYTES_MAX: usize = 16 << 10;
const SHOWN_BYTES: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

    fn stream(ledger: &mut Ledger, events: u64) -> Vec<u8> {
        let mut stream = HEAD.to_vec();
        for number in 0..events {
            let payload = ledger.publish(number * 7);
            stream.extend(format!("84\r\nid: {number}\ndata: ").bytes());
            stream.extend(payload);
            stream.extend(b"\n\n\r\n");
        }
        stream
    }

    fn reader() -> Reader {
        Reader::new(Next { number: 0, step: 1 }, true)
    }

    #[test]
    fn every_cut_of_a_stream_reads_the_same() {
        let mut ledger = Ledger::new();
        let whole = stream(&mut ledger, 3);
        for cut in 0..whole.len() {
            for second in cut..whole.len() {
                ledger.delivered = 0;
                let mut reader = reader();
                for part in [&whole[..cut], &whole[cut..second], &whole[second..]] {
                    reader.read(part, &mut ledger, 0).expect("a right stream");
                }
                assert_eq!((ledger.delivered, reader.next.number), (3, 3), "{cut} {second}");
            }
        }
    }

    #[test]
    fn a_chunk_may_end_within_a_payload() {
        for at in 0..=PAYLOAD_BYTES {
            for framing in ["\r\n4\r\n", "\r\nfF\r\n", "\r\n000064\r\n"] {
                let mut ledger = Ledger::new();
                let (first, second) = (ledger.publish(1), ledger.publish(2));
                let mut bytes = [HEAD, b"data: ", &first[..at], framing.as_bytes()].concat();
                bytes.extend([&first[at..], b"\n\ndata: ", &second].concat());
                let mut reader = reader();
                reader.read(&bytes, &mut ledger, 0).expect("a right stream");
                assert_eq!(ledger.delivered, 2, "{at}");
            }
        }
    }

    #[test]
    fn what_is_missing_is_counted_and_what_is_wrong_is_refused() {
        let mut ledger = Ledger::new();
        let sent: Vec<Payload> = (0..4).map(|nanos| ledger.publish(nanos)).collect();
        ledger.receivers = 1;
        let mut reader = reader();
        reader.read(HEAD, &mut ledger, 0).expect("a head");
        reader.read(&sent[0], &mut ledger, 0).expect("the first");
        reader.read(&sent[3], &mut ledger, 0).expect("the last");
        ledger.settle();
        assert_eq!((ledger.delivered, ledger.skipped, ledger.completed), (2, 2, 4));
        for again in [sent[3], sent[1]] {
            assert!(matches!(
                reader.read(&again, &mut ledger, 0),
                Err(Failure::Wrong(Wrong::OutOfOrder { .. }))
            ));
        }
        for wrong in [payload::encode(3, 99), payload::encode(4, 4), [b'~'; PAYLOAD_BYTES]] {
            let read = reader_at(3).read(&wrong, &mut ledger, 0);
            assert!(matches!(read, Err(Failure::Wrong(Wrong::Corrupt))));
        }
        let mut cut = sent[3][..50].to_vec();
        cut.extend(b"\n\ndata: ");
        assert!(reader_at(3).read(&cut, &mut ledger, 0).is_err());
    }

    fn reader_at(number: u64) -> Reader {
        let mut reader = Reader::new(Next { number, step: 1 }, false);
        reader.opened = true;
        reader
    }

    #[test]
    fn the_last_id_is_kept() {
        let mut ledger = Ledger::new();
        let whole = stream(&mut ledger, 3);
        let mut reader = reader();
        reader.read(&whole, &mut ledger, 0).expect("a right stream");
        assert_eq!(reader.last_id.as_deref(), Some(&b"2"[..]));
    }
}
