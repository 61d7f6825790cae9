//! From the bytes of a stream to its events.

use std::{mem, time::Duration};

use bytes::{Buf as _, Bytes};
use tidings_proto::{
    decode::{DecodeError, Decoder, Limits as DecodeLimits, OwnedItem},
    event::{Event, EventId},
};

use crate::{
    api::draft::Said,
    config::Limits,
    problem::{Kind, Problem},
};

/// Reads the events of a stream.
///
/// They are what a browser would receive, with two differences. An event has only what its own
/// block says: an id of an earlier block is not also its id. And bytes that are not UTF-8 are an
/// error, as in every publish, where a browser would replace them.
pub(super) struct Reader {
    decoder: Decoder,
    limits: DecodeLimits,
    /// What was read and is not decoded.
    rest: Bytes,
    utf8: Utf8,
    /// Whether what comes after `rest` is not UTF-8.
    ends_in_garbage: bool,
    /// The reconnection time that the block under way has set.
    retry: Option<Duration>,
    /// Bytes of the block under way.
    block_bytes: usize,
}

impl Reader {
    // A field's name, colon and space, and then some.
    const NAME_BYTES_MAX: usize = 64;

    pub(super) fn new(limits: &Limits) -> Self {
        let data = limits.data_bytes_max;
        let others = limits.id_bytes_max + limits.event_type_bytes_max;
        let limits = DecodeLimits {
            line_bytes_max: data.max(others) + Self::NAME_BYTES_MAX,
            event_data_bytes_max: data,
            event_id_bytes_max: limits.id_bytes_max,
            event_type_bytes_max: limits.event_type_bytes_max,
            // A data line takes a byte of the data at least, but the first.
            event_fields_max: data + Self::NAME_BYTES_MAX,
            buffered_bytes_max: data + 2 * others + Self::NAME_BYTES_MAX,
        };
        Self {
            decoder: Decoder::new(limits),
            limits,
            rest: Bytes::new(),
            utf8: Utf8::default(),
            ends_in_garbage: false,
            retry: None,
            block_bytes: 0,
        }
    }

    /// Takes what comes next, once all before was decoded.
    pub(super) fn feed(&mut self, mut bytes: Bytes) {
        debug_assert!(self.rest.is_empty(), "it was decoded");
        if let Err(valid_bytes) = self.utf8.check(&bytes) {
            self.ends_in_garbage = true;
            bytes.truncate(valid_bytes);
        }
        self.rest = bytes;
    }

    /// The next event that is whole; none once all was decoded.
    ///
    /// # Errors
    /// What is wrong with the event under way.
    pub(super) fn next(&mut self) -> Result<Option<Said>, Problem> {
        let mut chunk = mem::take(&mut self.rest);
        // Line by line, to know of every blank one: also of those that end no event.
        while !chunk.is_empty() {
            let end = memchr::memchr2(b'\n', b'\r', &chunk).map_or(chunk.len(), |at| at + 1);
            let mut line = chunk.get(..end).unwrap_or_default();
            let mut found = None;
            while let Some(item) =
                self.decoder.poll_owned_item(&mut line).map_err(|error| self.crossed(error))?
            {
                match item {
                    OwnedItem::Event(event) => found = Some(event),
                    OwnedItem::Retry(time) => self.retry = Some(time),
                    _ => {}
                }
            }
            chunk.advance(end);
            if let Some(event) = found {
                let said = self.said(event);
                self.end_block();
                self.rest = chunk;
                return Ok(Some(said));
            }
            if self.decoder.is_within_block() {
                self.block_bytes = self.block_bytes.saturating_add(end);
            } else {
                self.end_block();
            }
        }
        if self.ends_in_garbage {
            let detail = "not UTF-8; encode binary data, as base64 does";
            return Err(Problem::new(Kind::Malformed, detail).of("body"));
        }
        Ok(None)
    }

    /// Whether a stream that ended here would end within an event.
    pub(super) fn is_within_block(&self) -> bool {
        self.decoder.is_within_block()
    }

    /// About how many bytes it holds.
    pub(super) fn bytes(&self) -> usize {
        // Of a longer block, the rest is comments and fields that mean nothing, which are not kept.
        self.rest.len() + self.block_bytes.min(self.limits.buffered_bytes_max)
    }

    fn said(&self, event: Event) -> Said {
        let Event { event_type, data, last_event_id } = event;
        Said {
            event: (!event_type.is_default()).then(|| event_type.as_str().to_owned()),
            id: (!last_event_id.is_empty()).then(|| last_event_id.as_str().to_owned()),
            retry_ms: self.retry.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            data,
        }
    }

    /// Forgets what holds for the block alone.
    fn end_block(&mut self) {
        self.retry = None;
        self.block_bytes = 0;
        if !self.decoder.last_event_id().is_empty() {
            let decoder = mem::replace(&mut self.decoder, Decoder::new(self.limits));
            self.decoder = decoder.with_last_event_id(&EventId::default());
        }
    }

    fn crossed(&self, error: DecodeError) -> Problem {
        let at_most = |field, bytes_max| {
            Problem::invalid(field, format!("at most {bytes_max} bytes, this has more"))
        };
        match error {
            DecodeError::EventDataTooLong { event_data_bytes_max } => {
                at_most("data", event_data_bytes_max)
            }
            DecodeError::EventIdTooLong { event_id_bytes_max } => at_most("id", event_id_bytes_max),
            DecodeError::EventTypeTooLong { event_type_bytes_max } => {
                at_most("event", event_type_bytes_max)
            }
            DecodeError::LineTooLong { line_bytes_max } => {
                let rule = format!("a line has at most {line_bytes_max} bytes, this has more");
                Problem::invalid("body", rule)
            }
            other => Problem::invalid("body", other),
        }
    }
}

/// Tells whether a text in pieces is UTF-8.
#[derive(Debug, Default)]
struct Utf8 {
    /// The first bytes of a character whose others have not come.
    begun: [u8; 3],
    begun_bytes: usize,
}

impl Utf8 {
    /// Checks the next piece; else says how many bytes of it are good.
    fn check(&mut self, bytes: &[u8]) -> Result<(), usize> {
        let mut rest = bytes;
        while self.begun_bytes > 0 {
            let [byte, after @ ..] = rest else { return Ok(()) };
            rest = after;
            let mut character = [0; 4];
            character[..self.begun_bytes].copy_from_slice(&self.begun[..self.begun_bytes]);
            character[self.begun_bytes] = *byte;
            let character = &character[..=self.begun_bytes];
            match str::from_utf8(character) {
                Ok(_) => self.begun_bytes = 0,
                Err(error) if error.error_len().is_none() => self.begin(character),
                Err(_) => return Err(0),
            }
        }
        match str::from_utf8(rest) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_none() => {
                self.begin(&rest[error.valid_up_to()..]);
                Ok(())
            }
            Err(error) => Err(bytes.len() - rest.len() + error.valid_up_to()),
        }
    }

    // What can still become a character has three bytes at most.
    fn begin(&mut self, bytes: &[u8]) {
        self.begun_bytes = bytes.len().min(3);
        self.begun[..self.begun_bytes].copy_from_slice(&bytes[..self.begun_bytes]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(data_bytes_max: usize) -> Reader {
        Reader::new(&Limits { data_bytes_max, ..Limits::default() })
    }

    type Fields = (Option<String>, Option<String>, Option<u64>, String);

    /// What comes of `pieces`, and why it ends before them.
    fn read(reader: &mut Reader, pieces: &[&[u8]]) -> (Vec<Fields>, Option<String>) {
        let mut all = Vec::new();
        for piece in pieces {
            reader.feed(Bytes::copy_from_slice(piece));
            loop {
                match reader.next() {
                    Ok(Some(Said { event, id, retry_ms, data })) => {
                        all.push((event, id, retry_ms, data));
                    }
                    Ok(None) => break,
                    Err(problem) => return (all, Some(problem.detail)),
                }
            }
        }
        (all, None)
    }

    fn fields(event: &str, id: &str, retry_ms: Option<u64>, data: &str) -> Fields {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        (some(event), some(id), retry_ms, data.to_owned())
    }

    #[test]
    fn an_event_has_what_its_own_block_says_and_no_more() {
        let text = "\u{feff}retry: 7000\n\nid: 1\nevent: e\nretry: 500\ndata: a\r\ndata: b\r\n\r\n\
                    data\n\n:comment\nid: 2\n\ndata: c\r\rid\ndata: d\n\nid: 3\ndata: 3\n\nid: 3\n\
                    data: 3\n\nevent: message\ndata: ü\n\nretry: x\ndata: e\n\nid: 9\ndata: cut";
        let expected = [
            fields("e", "1", Some(500), "a\nb"),
            fields("", "", None, ""),
            fields("", "", None, "c"),
            fields("", "", None, "d"),
            fields("", "3", None, "3"),
            fields("", "3", None, "3"),
            fields("", "", None, "ü"),
            fields("", "", None, "e"),
        ];
        for size in [1, 2, 3, 7, 64, 1_000] {
            let pieces: Vec<_> = text.as_bytes().chunks(size).collect();
            let mut reader = reader(100);
            assert_eq!(read(&mut reader, &pieces), (expected.to_vec(), None), "{size}");
            assert!(reader.is_within_block());
            assert!((1..=text.len()).contains(&reader.bytes()));
        }
    }

    #[test]
    fn what_is_not_utf8_ends_it_after_what_came_whole() {
        for (garbage, valid) in [
            (&b"\xff"[..], 0),
            (b"\xc3\xc3", 0),
            (b"\xed\xa0\x80", 0),
            (b"\xf0\x9f\x98\n", 0),
            (b"\xc0\xaf", 0),
            ("\u{1f600}\u{fffd}".as_bytes(), 7),
        ] {
            let mut text = b"data: \xc3\xbc\n\ndata: ".to_vec();
            text.extend_from_slice(garbage);
            text.extend_from_slice(b"\n\n");
            for size in [1, 2, 5, 100] {
                let pieces: Vec<_> = text.chunks(size).collect();
                let (events, problem) = read(&mut reader(100), &pieces);
                assert_eq!(events[0].3, "ü");
                assert_eq!(events.len(), if valid > 0 { 2 } else { 1 });
                assert_eq!(problem.is_none(), valid > 0, "{garbage:?} {problem:?}");
                assert!(problem.is_none_or(|problem| problem.starts_with("not UTF-8")));
            }
        }
    }

    #[test]
    fn what_has_no_end_is_cut_at_the_limit_and_held_to_it() {
        let line = [b'x'; 1_000];
        for (begin, again, rule) in [
            ("data: ", "", "data: at most 5000 bytes"),
            ("data: ", "\ndata: ", "data: at most 5000 bytes"),
            ("id: ", "", "id: at most 256 bytes"),
            ("event: ", "", "event: at most 128 bytes"),
            (": ", "", "body: a line has at most 5064 bytes"),
            ("x: ", "", "body: a line has at most 5064 bytes"),
        ] {
            let mut reader = reader(5_000);
            let mut pieces = vec![&line[..]; 100];
            for at in (0..pieces.len()).step_by(2) {
                pieces[at] = again.as_bytes();
            }
            pieces[0] = begin.as_bytes();
            let problem = read(&mut reader, &pieces).1.expect("it is cut");
            assert!(problem.starts_with(rule), "{problem}");
        }
        // Comments and blank lines may go on for ever.
        let mut reader = reader(5_000);
        for pieces in [&[&b": alive\n"[..]; 10_000], &[&b"\n"[..]; 10_000]] {
            assert_eq!(read(&mut reader, pieces), (Vec::new(), None));
            assert_eq!(reader.bytes(), 0);
        }
        // Also within an event, where they are not held either.
        assert_eq!(read(&mut reader, &[b"data: 1\n"]), (Vec::new(), None));
        assert_eq!(read(&mut reader, &[&b": alive\n"[..]; 10_000]), (Vec::new(), None));
        assert!(reader.bytes() < 6_000);
    }
}
