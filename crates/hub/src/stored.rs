//! A record as bytes: what the disk log keeps in its segments, and the clustered log in its messages.

use std::time::Duration;

use smallvec::SmallVec;
use tidings_proto::event::EventName;
use tidings_server::{
    cursor::Offset,
    idempotency::{Fingerprint, Key, Once},
    record::{Kind, NewRecord, PublisherId, Record, Timestamp, Topics},
    topic::Topic,
};

const HAS_EVENT: u16 = 1;
const HAS_ID: u16 = 1 << 1;
const HAS_RETRY: u16 = 1 << 2;
const PRIVATE: u16 = 1 << 3;
const ID_REUSED: u16 = 1 << 4;
const HAS_KEY: u16 = 1 << 5;
// Marks are kept, and are no events.
const ENDED: u16 = 1 << 6;
const OPENED: u16 = 1 << 7;
// Only in messages: no file keeps one.
const EPHEMERAL: u16 = 1 << 8;
const FLAGS_KNOWN: u16 =
    HAS_EVENT | HAS_ID | HAS_RETRY | PRIVATE | ID_REUSED | HAS_KEY | ENDED | OPENED | EPHEMERAL;

// Checksum and length.
const PREFIX_BYTES: usize = 8;
// Offset, time, flags, count of topics.
const FIXED_BYTES: usize = 8 + 8 + 2 + 2;
const RETRY_BYTES: usize = 8 + 4;
// Key and fingerprint.
const ONCE_BYTES: usize = 16 + 16;

/// About how many bytes the record takes, never less than it does.
pub(crate) fn encoded_bytes(new: &NewRecord) -> usize {
    let topics: usize = new.topics.iter().map(|topic| 2 + topic.as_str().len()).sum();
    let event = new.event.as_ref().map_or(0, |event| 4 + event.as_str().len());
    let id = new.id.as_ref().map_or(0, |id| 2 + id.as_str().len());
    let once = new.once.as_ref().map_or(0, |_| ONCE_BYTES);
    PREFIX_BYTES + FIXED_BYTES + topics + event + id + RETRY_BYTES + once + new.data.len()
}

/// Appends the record's bytes to `out`.
pub(crate) fn encode(
    out: &mut Vec<u8>,
    offset: Offset,
    time: Timestamp,
    new: &NewRecord,
    id_reused: bool,
) {
    // Whoever adds a field decides here how it is stored.
    let NewRecord { kind, topics, event, id, retry, private, data, once } = new;
    let mut flags = 0;
    for (flag, set) in [
        (HAS_EVENT, event.is_some()),
        (HAS_ID, id.is_some()),
        (HAS_RETRY, retry.is_some()),
        (PRIVATE, *private),
        (ID_REUSED, id_reused),
        (HAS_KEY, once.is_some()),
        (ENDED, *kind == Kind::Ended),
        (OPENED, *kind == Kind::Opened),
        (EPHEMERAL, *kind == Kind::Ephemeral),
    ] {
        if set {
            flags |= flag;
        }
    }
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX_BYTES]);
    out.extend_from_slice(&offset.0.to_le_bytes());
    out.extend_from_slice(&time.unix_ms.to_le_bytes());
    out.extend_from_slice(&flags.to_le_bytes());
    out.extend_from_slice(&(topics.len() as u16).to_le_bytes());
    for topic in topics {
        out.extend_from_slice(&(topic.as_str().len() as u16).to_le_bytes());
        out.extend_from_slice(topic.as_str().as_bytes());
    }
    if let Some(event) = event {
        out.extend_from_slice(&(event.as_str().len() as u32).to_le_bytes());
        out.extend_from_slice(event.as_str().as_bytes());
    }
    if let Some(id) = id {
        out.extend_from_slice(&(id.as_str().len() as u16).to_le_bytes());
        out.extend_from_slice(id.as_str().as_bytes());
    }
    if let Some(retry) = retry {
        out.extend_from_slice(&retry.as_secs().to_le_bytes());
        out.extend_from_slice(&retry.subsec_nanos().to_le_bytes());
    }
    if let Some(once) = once {
        out.extend_from_slice(&once.key.to_bytes());
        out.extend_from_slice(&once.fingerprint.to_bytes());
    }
    out.extend_from_slice(data.as_bytes());
    let length = (out.len() - start - PREFIX_BYTES) as u32;
    out[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
    let checksum = crc32fast::hash(&out[start + 4..]);
    out[start..start + 4].copy_from_slice(&checksum.to_le_bytes());
}

/// The parts of a stored record, where they lie.
#[derive(Debug)]
pub(crate) struct Stored<'a> {
    pub(crate) offset: Offset,
    pub(crate) time: Timestamp,
    pub(crate) kind: Kind,
    pub(crate) topics: SmallVec<[&'a str; 4]>,
    pub(crate) id: Option<&'a str>,
    /// Whether an earlier record had the id when this one was appended.
    pub(crate) id_reused: bool,
    pub(crate) once: Option<Once>,
    /// All its bytes, the checksum included.
    pub(crate) bytes: u32,
    event: Option<&'a str>,
    retry: Option<Duration>,
    private: bool,
    data: &'a [u8],
}

/// Why bytes are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("it is cut off")]
    Short,
    #[error("its checksum is wrong")]
    Checksum,
    #[error("it has fields that this version does not know")]
    Unknown,
    #[error("its text is not valid")]
    Text,
}

impl<'a> Stored<'a> {
    /// Reads the record that `bytes` start with, whose checksum is vouched for by its frame.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let mut prefix = Fields(bytes);
        prefix.take(4)?;
        let length = prefix.u32()?;
        let mut fields = Fields(prefix.take(length as usize)?);
        let offset = Offset(fields.u64()?);
        let time = Timestamp { unix_ms: fields.u64()? };
        let flags = fields.u16()?;
        if flags & !FLAGS_KNOWN != 0 {
            return Err(RecordError::Unknown);
        }
        let kind = match flags & (ENDED | OPENED | EPHEMERAL) {
            0 => Kind::Event,
            ENDED => Kind::Ended,
            OPENED => Kind::Opened,
            EPHEMERAL => Kind::Ephemeral,
            _ => return Err(RecordError::Unknown),
        };
        let topics = fields.u16()?;
        let topics = (0..topics)
            .map(|_| {
                let length = fields.u16()?;
                fields.text(length.into())
            })
            .collect::<Result<_, _>>()?;
        let mut event = None;
        if flags & HAS_EVENT != 0 {
            let length = fields.u32()?;
            event = Some(fields.text(length)?);
        }
        let mut id = None;
        if flags & HAS_ID != 0 {
            let length = fields.u16()?;
            id = Some(fields.text(length.into())?);
        }
        let mut retry = None;
        if flags & HAS_RETRY != 0 {
            let (seconds, nanoseconds) = (fields.u64()?, fields.u32()?);
            // A carry would be a duration that was never stored, and may overflow.
            if nanoseconds >= 1_000_000_000 {
                return Err(RecordError::Unknown);
            }
            retry = Some(Duration::new(seconds, nanoseconds));
        }
        let mut once = None;
        if flags & HAS_KEY != 0 {
            let key = Key::from_bytes(fields.array()?);
            once = Some(Once { key, fingerprint: Fingerprint::from_bytes(fields.array()?) });
        }
        Ok(Self {
            offset,
            time,
            kind,
            topics,
            id,
            once,
            id_reused: flags & ID_REUSED != 0,
            bytes: PREFIX_BYTES as u32 + length,
            event,
            retry,
            private: flags & PRIVATE != 0,
            data: fields.0,
        })
    }

    /// The record itself.
    pub(crate) fn into_record(self) -> Result<Record, RecordError> {
        let text = |_| RecordError::Text;
        let mut topics = Topics::new();
        for topic in self.topics {
            topics.push(Topic::new(topic).map_err(|_| RecordError::Text)?);
        }
        let event = self.event.map(EventName::new).transpose();
        let id = self.id.map(PublisherId::new).transpose();
        let new = NewRecord {
            kind: self.kind,
            topics,
            event: event.map_err(|_| RecordError::Text)?,
            id: id.map_err(|_| RecordError::Text)?,
            retry: self.retry,
            private: self.private,
            data: std::str::from_utf8(self.data).map_err(text)?.into(),
            once: self.once.map(Box::new),
        };
        Ok(Record { offset: self.offset, time: self.time, new })
    }
}

/// Reads and checks the record that fills `bytes`.
pub(crate) fn decode(bytes: &[u8]) -> Result<Record, RecordError> {
    let (checksum, rest) = bytes.split_first_chunk().ok_or(RecordError::Short)?;
    if u32::from_le_bytes(*checksum) != crc32fast::hash(rest) {
        return Err(RecordError::Checksum);
    }
    Stored::parse(bytes)?.into_record()
}

/// Little-endian fields, one after the other.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], RecordError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(RecordError::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(RecordError::Short)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, RecordError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, RecordError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, RecordError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn text(&mut self, count: u32) -> Result<&'a str, RecordError> {
        std::str::from_utf8(self.take(count as usize)?).map_err(|_| RecordError::Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> NewRecord {
        NewRecord {
            kind: Kind::Event,
            topics: ["a", "ü/b", "c"].into_iter().map(|t| Topic::new(t).unwrap()).collect(),
            event: Some(EventName::new("price").unwrap()),
            id: Some(PublisherId::new("order 7").unwrap()),
            retry: Some(Duration::new(3, 500)),
            private: true,
            data: "one\ntwo \u{1F600}\0".into(),
            once: None,
        }
        .once(Key::new("scope", "key").unwrap())
    }

    fn encoded(new: &NewRecord, id_reused: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(&mut bytes, Offset(9), Timestamp { unix_ms: 77 }, new, id_reused);
        assert!(bytes.len() <= encoded_bytes(new));
        bytes
    }

    #[test]
    fn a_record_survives_its_bytes() {
        let bare = NewRecord::new(Topic::new("a").unwrap(), "");
        let long = NewRecord { retry: Some(Duration::MAX), ..full() };
        let [ended, opened] =
            [Kind::Ended, Kind::Opened].map(|kind| NewRecord::mark(kind, Topic::new("a").unwrap()));
        for new in [bare, full(), long, ended, opened] {
            let record = decode(&encoded(&new, false)).unwrap();
            let time = Timestamp { unix_ms: 77 };
            assert_eq!(record, Record { offset: Offset(9), time, new });
        }
        assert!(Stored::parse(&encoded(&full(), true)).unwrap().id_reused);
    }

    #[test]
    fn every_changed_bit_and_every_cut_is_noticed() {
        let bytes = encoded(&full(), false);
        for at in 0..bytes.len() {
            assert!(decode(&bytes[..at]).is_err(), "cut at {at}");
            let _ = Stored::parse(&bytes[..at]);
            for bit in 0..8 {
                let mut rotten = bytes.clone();
                rotten[at] ^= 1 << bit;
                assert!(decode(&rotten).is_err(), "bit {bit} of byte {at}");
                // What passes for checked must not panic either.
                let _ = Stored::parse(&rotten);
            }
        }
    }
}
