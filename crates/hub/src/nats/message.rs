//! Messages of the stream.
//!
//! ```text
//!  message     magic "Td" │ version u8 │ kind u8 │ body
//!  batches 1   node u64 │ (number u64 │ records u32 │ bytes u32 │ records…)…
//!  tick    2
//!  state   3   bytes…
//!  checkpoint 4  JSON
//!  carried 5   records…
//!  packed  6   bytes u32 │ the body of any of these but a checkpoint, as an LZ4 block, whose first
//!              byte is its kind
//! ```
//!
//! All numbers are little-endian. A record is stored as in the disk log, but for its offset and its
//! time, which are zero: where the message stands in the stream says both. A record that is carried,
//! out of a message that is to be deleted, has them.

use std::sync::Arc;

use bytes::Bytes;
use tidings_server::{
    cursor::Offset,
    record::{NewRecord, Record, SharedRecord, Timestamp},
};

use crate::stored::{self, Fields, RecordError, Stored};

const MAGIC: [u8; 2] = *b"Td";
const VERSION: u8 = 1;
/// What every message has besides its body, in bytes.
pub(super) const HEADER_BYTES: usize = 4;
const BATCHES: u8 = 1;
const TICK: u8 = 2;
const STATE: u8 = 3;
const CHECKPOINT: u8 = 4;
const CARRIED: u8 = 5;
const PACKED: u8 = 6;
// What is smaller gains nothing.
const PACKED_FROM_BYTES: usize = 1 << 10;
// What a packed message says it has is not believed beyond that.
const UNPACKED_BYTES_MAX: usize = 256 << 20;

/// Where a message stands in the stream, and when the stream took it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    pub(super) sequence: u64,
    pub(super) time: Timestamp,
    /// The fraction of `time` that it leaves out, in nanoseconds: with it, the moment names the
    /// message.
    pub(super) rest_ns: u32,
}

impl Place {
    // Of the 64 bits of an offset: messages up to 2^48, and 65,536 records in each.
    const INDEX_BITS: u32 = 16;
    /// Records of a message at most.
    pub(super) const RECORDS_MAX: usize = 1 << Self::INDEX_BITS;

    /// The offset of the message's record with this index.
    pub(super) fn offset(&self, index: usize) -> Offset {
        Offset((self.sequence << Self::INDEX_BITS) + index as u64)
    }

    /// The message that has the record at this offset, and its index there.
    pub(super) fn of(offset: Offset) -> (u64, usize) {
        (offset.0 >> Self::INDEX_BITS, offset.0 as usize & (Self::RECORDS_MAX - 1))
    }
}

/// What a message says.
#[derive(Debug)]
pub(super) enum Message {
    /// `node` says who sent them: a number from chance, at each start.
    Batches {
        node: u64,
        entries: Vec<Entry>,
    },
    Tick,
    State(Bytes),
    Checkpoint(Bytes),
    Carried(Vec<Carried>),
}

/// An older record, and its bytes as it is stored.
#[derive(Debug)]
pub(super) struct Carried {
    pub(super) record: SharedRecord,
    pub(super) bytes: u32,
}

/// A batch in a message.
#[derive(Debug)]
pub(super) struct Entry {
    /// Counts what the node appends.
    pub(super) number: u64,
    /// The index of its first record in the message.
    pub(super) first: usize,
    pub(super) records: Vec<NewRecord>,
    /// The bytes of each record, as they are stored.
    pub(super) bytes: Vec<u32>,
}

/// Why a message is none of a hub's, or of a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum MessageError {
    #[error("it is not a hub's")]
    Foreign,
    #[error("it is of version {0}, which this hub does not know")]
    Version(u8),
    #[error("it is damaged: {0}")]
    Damaged(#[from] RecordError),
}

/// A batch as it stands in a message, made before it is known in which.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) bytes: Vec<u8>,
    pub(super) records: usize,
}

impl Encoded {
    // Number, count, bytes.
    const HEADER_BYTES: usize = 8 + 4 + 4;

    /// About how many bytes the batch takes, never less than it does.
    pub(super) fn bytes_of(records: &[NewRecord]) -> usize {
        Self::HEADER_BYTES + records.iter().map(stored::encoded_bytes).sum::<usize>()
    }

    pub(super) fn new(number: u64, records: &[NewRecord]) -> Self {
        let mut bytes = Vec::with_capacity(Self::bytes_of(records));
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&(records.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        for new in records {
            stored::encode(&mut bytes, Offset::ZERO, Timestamp::default(), new, false);
        }
        let length = (bytes.len() - Self::HEADER_BYTES) as u32;
        bytes[12..16].copy_from_slice(&length.to_le_bytes());
        Self { bytes, records: records.len() }
    }
}

/// What a message of batches has besides them, in bytes.
pub(super) const BATCHES_HEADER_BYTES: usize = HEADER_BYTES + 8;

/// The message of these batches.
pub(super) fn batches<'a>(node: u64, entries: impl IntoIterator<Item = &'a Encoded>) -> Bytes {
    let mut out = header(BATCHES);
    out.extend_from_slice(&node.to_le_bytes());
    entries.into_iter().for_each(|entry| out.extend_from_slice(&entry.bytes));
    packed(out)
}

pub(super) fn tick() -> Bytes {
    with_body(TICK, &[])
}

/// The message of a part of a memory.
pub(super) fn state(bytes: &[u8]) -> Bytes {
    with_body(STATE, bytes)
}

pub(super) fn checkpoint(json: &[u8]) -> Bytes {
    with_body(CHECKPOINT, json)
}

fn with_body(kind: u8, body: &[u8]) -> Bytes {
    let mut out = header(kind);
    out.extend_from_slice(body);
    out.into()
}

/// The message that carries these records, which are in order.
pub(super) fn carried<'a>(records: impl IntoIterator<Item = &'a Record>) -> Bytes {
    let mut out = header(CARRIED);
    for Record { offset, time, new } in records {
        stored::encode(&mut out, *offset, *time, new, false);
    }
    packed(out)
}

// The message, packed if it is smaller then: what passes through the servers, three times and more,
// costs more than to pack it.
fn packed(message: Vec<u8>) -> Bytes {
    if message.len() < PACKED_FROM_BYTES {
        return message.into();
    }
    let body = &message[HEADER_BYTES - 1..];
    let mut out = header(PACKED);
    let most = lz4_flex::block::get_maximum_output_size(body.len());
    out.extend_from_slice(&(body.len() as u32).to_le_bytes());
    let start = out.len();
    out.resize(start + most, 0);
    match lz4_flex::block::compress_into(body, &mut out[start..]) {
        Ok(bytes) if start + bytes < message.len() => {
            out.truncate(start + bytes);
            // It may wait for long to be sent.
            out.shrink_to_fit();
            out.into()
        }
        _ => message.into(),
    }
}

fn unpacked(body: &[u8]) -> Result<(u8, Bytes), RecordError> {
    let mut fields = Fields(body);
    let bytes = fields.u32()? as usize;
    // A byte of a block stands for 255 at most.
    if bytes > UNPACKED_BYTES_MAX || bytes / 256 > fields.0.len() {
        return Err(RecordError::Unknown);
    }
    let unpacked = lz4_flex::block::decompress(fields.0, bytes).map_err(|_| RecordError::Short)?;
    let kind = *unpacked.first().ok_or(RecordError::Short)?;
    if unpacked.len() != bytes || kind == PACKED || kind == CHECKPOINT {
        return Err(RecordError::Unknown);
    }
    Ok((kind, Bytes::from(unpacked).slice(1..)))
}

fn header(kind: u8) -> Vec<u8> {
    vec![MAGIC[0], MAGIC[1], VERSION, kind]
}

impl Message {
    /// Reads a message.
    pub(super) fn parse(payload: &Bytes) -> Result<Self, MessageError> {
        let Some((&[a, b, version, kind], body)) = payload.split_first_chunk() else {
            return Err(MessageError::Foreign);
        };
        if [a, b] != MAGIC {
            return Err(MessageError::Foreign);
        }
        if version != VERSION {
            return Err(MessageError::Version(version));
        }
        let body = payload.slice_ref(body);
        let (kind, body) = if kind == PACKED { unpacked(&body)? } else { (kind, body) };
        let mut fields = Fields(&body);
        Ok(match kind {
            BATCHES => {
                let node = fields.u64()?;
                let mut entries = Vec::new();
                let mut first = 0;
                while !fields.0.is_empty() {
                    let entry = Entry::parse(&mut fields, first)?;
                    first += entry.records.len();
                    entries.push(entry);
                }
                if first > Place::RECORDS_MAX {
                    return Err(RecordError::Unknown.into());
                }
                Self::Batches { node, entries }
            }
            TICK => Self::Tick,
            STATE => Self::State(body),
            CHECKPOINT => Self::Checkpoint(body),
            CARRIED => {
                let mut carried = Vec::new();
                while !fields.0.is_empty() {
                    let stored = Stored::parse(fields.0)?;
                    let bytes = stored.bytes;
                    fields.take(bytes as usize)?;
                    carried.push(Carried { record: Arc::new(stored.into_record()?), bytes });
                }
                Self::Carried(carried)
            }
            _ => return Err(RecordError::Unknown.into()),
        })
    }

    /// The records of the message at `place`, whatever became of them.
    pub(super) fn records(self, place: Place) -> Vec<SharedRecord> {
        let entries = match self {
            Self::Batches { entries, .. } => entries,
            Self::Carried(carried) => return carried.into_iter().map(|one| one.record).collect(),
            Self::Tick | Self::State(_) | Self::Checkpoint(_) => return Vec::new(),
        };
        let news = entries.into_iter().flat_map(|entry| entry.records).enumerate();
        let time = place.time;
        news.map(|(index, new)| Arc::new(Record { offset: place.offset(index), time, new }))
            .collect()
    }
}

impl Entry {
    fn parse(fields: &mut Fields<'_>, first: usize) -> Result<Self, RecordError> {
        let number = fields.u64()?;
        let (count, length) = (fields.u32()? as usize, fields.u32()?);
        let mut rest = fields.take(length as usize)?;
        let mut records = Vec::new();
        let mut bytes = Vec::new();
        for _ in 0..count {
            let stored = Stored::parse(rest)?;
            bytes.push(stored.bytes);
            rest = rest.get(stored.bytes as usize..).ok_or(RecordError::Short)?;
            records.push(stored.into_record()?.new);
        }
        if rest.is_empty() {
            Ok(Self { number, first, records, bytes })
        } else {
            Err(RecordError::Unknown)
        }
    }
}

#[cfg(test)]
mod tests {
    use tidings_server::topic::Topic;

    use super::*;

    fn records(count: usize) -> Vec<NewRecord> {
        let topic = Topic::new("rooms/42").expect("a topic");
        (0..count).map(|n| NewRecord::new(topic.clone(), format!("event {n}"))).collect()
    }

    fn entries(payload: &Bytes) -> Vec<Entry> {
        match Message::parse(payload) {
            Ok(Message::Batches { node: 7, entries }) => entries,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn batches_survive_their_message_packed_or_not() {
        for (sizes, is_packed) in [(vec![1], false), (vec![40, 3, 500], true)] {
            let batches: Vec<_> = sizes.iter().map(|&size| records(size)).collect();
            let encoded: Vec<_> =
                (1..).zip(&batches).map(|(n, batch)| Encoded::new(n, batch)).collect();
            let payload = super::batches(7, &encoded);
            assert_eq!(payload[3] == PACKED, is_packed);
            let whole: usize = encoded.iter().map(|one| one.bytes.len()).sum();
            assert!(payload.len() <= whole + BATCHES_HEADER_BYTES);
            let found = entries(&payload);
            let mut first = 0;
            for ((number, batch), entry) in (1..).zip(&batches).zip(&found) {
                assert_eq!((entry.number, entry.first), (number, first));
                assert_eq!(&entry.records, batch);
                first += batch.len();
            }
            assert_eq!(found.len(), batches.len());
        }
    }

    #[test]
    fn what_cannot_be_packed_is_sent_as_it_is() {
        use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
        let mut random = StdRng::seed_from_u64(1);
        let text: String = (0..4_000).map(|_| random.random_range('\u{100}'..'\u{ffff}')).collect();
        let new = NewRecord::new(Topic::new("a").expect("a topic"), text);
        let payload = batches(7, &[Encoded::new(1, std::slice::from_ref(&new))]);
        assert_eq!(payload[3], BATCHES);
        assert_eq!(entries(&payload)[0].records, [new]);
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_survived() {
        for count in [2, 60] {
            let payload = batches(7, &[Encoded::new(1, &records(count))]);
            for at in 0..payload.len() {
                let cut = Message::parse(&payload.slice(..at));
                assert!(count == 2 || cut.is_err(), "cut at {at}");
                let mut changed = payload.to_vec();
                changed[at] ^= 0x55;
                let _ = Message::parse(&changed.into());
            }
        }
        // A few bytes that claim to be very many.
        let mut bomb = header(PACKED);
        bomb.extend_from_slice(&(200_u32 << 20).to_le_bytes());
        bomb.extend_from_slice(&[0x1f; 100]);
        assert!(Message::parse(&bomb.into()).is_err());
    }
}
