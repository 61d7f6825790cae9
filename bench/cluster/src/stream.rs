//! Reads payloads out of an event stream's bytes, wherever reads cut them.

use memchr::{memchr, memmem};

use crate::payload::{PAYLOAD_BYTES, START};

/// What one subscriber has read.
#[derive(Debug, Default)]
pub struct Reader {
    is_open: bool,
    /// A head or a payload of which the end is to come.
    part: Vec<u8>,
}

impl Reader {
    /// Whether the answer's head has come.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// Takes what was read, and hands on the payloads that are whole.
    pub fn read(&mut self, mut bytes: &[u8], mut take: impl FnMut(&[u8])) -> Result<(), String> {
        if !self.is_open {
            let before = self.part.len();
            self.part.extend_from_slice(bytes);
            let Some(end) = memmem::find(&self.part, b"\r\n\r\n") else {
                return if self.part.len() < HEAD_BYTES_MAX { Ok(()) } else { Err(self.shown()) };
            };
            if !self.part.starts_with(b"HTTP/1.1 200") {
                return Err(self.shown());
            }
            self.is_open = true;
            self.part = Vec::new();
            bytes = &bytes[end + 4 - before..];
        }
        if !self.part.is_empty() {
            let rest = bytes.len().min(PAYLOAD_BYTES - self.part.len());
            self.part.extend_from_slice(&bytes[..rest]);
            bytes = &bytes[rest..];
            if self.part.len() < PAYLOAD_BYTES {
                return Ok(());
            }
            take(&self.part);
            // It is not kept, as there are many readers.
            self.part = Vec::new();
        }
        while let Some(at) = memchr(START, bytes) {
            match bytes[at..].split_at_checked(PAYLOAD_BYTES) {
                Some((payload, rest)) => {
                    take(payload);
                    bytes = rest;
                }
                None => {
                    self.part = bytes[at..].to_vec();
                    break;
                }
            }
        }
        Ok(())
    }

    fn shown(&self) -> String {
        let shown = &self.part[..self.part.len().min(200)];
        format!("a subscriber was answered {:?}", String::from_utf8_lossy(shown))
    }
}

const HEAD_BYTES_MAX: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload;

    #[test]
    fn every_cut_of_a_stream_reads_the_same() {
        let payloads: Vec<_> = (0..3).map(|number| payload::encode(number, 5)).collect();
        let mut stream = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        for payload in &payloads {
            stream.extend(format!("84\r\nid: 1\ndata: {payload}\n\n\r\n").bytes());
        }
        for first in 0..stream.len() {
            for second in first..stream.len() {
                let mut read = Vec::new();
                let mut reader = Reader::default();
                for part in [&stream[..first], &stream[first..second], &stream[second..]] {
                    let take = |payload: &[u8]| read.push(payload.to_vec());
                    reader.read(part, take).expect("a right stream");
                }
                assert!(read.iter().eq(payloads.iter().map(String::as_bytes)), "{first} {second}");
            }
        }
    }

    #[test]
    fn a_refusal_is_told() {
        let refused = Reader::default().read(b"HTTP/1.1 503 No\r\n\r\n", |_| {});
        assert!(refused.unwrap_err().contains("503"));
    }
}
