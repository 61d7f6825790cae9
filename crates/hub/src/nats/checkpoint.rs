//! Checkpoints: what a hub must know that the messages left in the stream do not say.
//!
//! A hub that starts folds the messages that are there. Once the oldest are to be deleted, what
//! they were folded to must be written down: how far each topic was trimmed, which keys are known,
//! and what became of the records that are still there. That is the [`Memory`], in parts on a
//! subject of its own; and a message that names the parts makes a checkpoint of them.
//!
//! A checkpoint also restates the epoch, so that the stream always has it.

use serde::{Deserialize, Serialize};
use tidings_server::{
    cursor::{Epoch, Offset},
    idempotency::{Fingerprint, Key, Once},
    log::{Index, Trim},
    record::Timestamp,
    topic::Topic,
};

use super::limits::Limits;

/// What the message of a checkpoint says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    format: u32,
    /// Written as the [`Epoch`] is on the wire.
    #[serde(with = "epoch")]
    pub(super) epoch: Epoch,
    /// The newest message that was folded to the memory; or the last before the log, at its first
    /// checkpoint.
    pub(super) through: u64,
    /// The oldest message that is needed beside the memory. Those before it may be deleted.
    pub(super) oldest: u64,
    /// The memory; none if there is nothing to remember.
    pub(super) memory: Option<Parts>,
    /// The messages that carry older records.
    pub(super) carried: Vec<u64>,
    /// What all hubs of the stream keep.
    pub(super) limits: Limits,
}

/// Where a memory is in the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Parts {
    pub(super) sequences: Vec<u64>,
    pub(super) bytes: u64,
    pub(super) crc32: u32,
}

/// Why a checkpoint cannot be understood.
#[derive(Debug, thiserror::Error)]
pub(super) enum CheckpointError {
    #[error("it is not what a hub writes: {0}")]
    Json(#[from] serde_json::Error),
    #[error("it is of format {0}, which this hub does not know: a newer hub wrote it")]
    Format(u32),
}

impl Checkpoint {
    const FORMAT: u32 = 1;

    /// The first one of a log, in a stream whose messages up to `through` are gone.
    pub(super) fn first(epoch: Epoch, through: u64, limits: Limits) -> Self {
        let (format, oldest, carried) = (Self::FORMAT, through + 1, Vec::new());
        Self { format, epoch, through, oldest, memory: None, carried, limits }
    }

    pub(super) fn new(
        epoch: Epoch,
        limits: Limits,
        through: u64,
        oldest: u64,
        memory: Parts,
        carried: Vec<u64>,
    ) -> Self {
        let memory = Some(memory);
        Self { oldest, memory, carried, ..Self::first(epoch, through, limits) }
    }

    pub(super) fn parse(json: &[u8]) -> Result<Self, CheckpointError> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let Format { format } = serde_json::from_slice(json)?;
        if format != Self::FORMAT {
            return Err(CheckpointError::Format(format));
        }
        Ok(serde_json::from_slice(json)?)
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// What the messages left in the stream do not say.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memory {
    pub(super) time_ms: u64,
    /// The oldest record that is kept.
    pub(super) first: u64,
    /// The newest record there was.
    pub(super) last: u64,
    /// How many records are kept, to notice when some are missing.
    pub(super) records: u64,
    /// Records before it are kept only where they are carried.
    pub(super) carried_before: u64,
    pub(super) floor: u64,
    pub(super) trims: Vec<StoredTrim>,
    pub(super) keys: Vec<StoredKey>,
    /// Records that repeat others, or were refused: they have no place in the log.
    pub(super) skipped: Vec<u64>,
    /// Records whose id was an earlier record's when they were appended.
    pub(super) later_ids: Vec<u64>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredTrim {
    topic: String,
    trimmed: u64,
    remembered: u64,
    ended: Option<u64>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredKey {
    offset: u64,
    time_ms: u64,
    key: [u8; 16],
    fingerprint: [u8; 16],
}

/// Why a memory cannot be taken up again.
#[derive(Debug, thiserror::Error)]
pub(super) enum MemoryError {
    #[error("its checksum is wrong")]
    Checksum,
    #[error("it is not what a hub writes")]
    Content,
}

impl Memory {
    /// What the index remembers of what is gone.
    pub(super) fn of<L: Copy>(index: &Index<L>) -> Self {
        Self {
            first: index.first().0,
            last: index.last().0,
            records: index.records() as u64,
            floor: index.trims_floor().0,
            trims: index.trims().map(StoredTrim::from).collect(),
            later_ids: index.later_ids().map(|offset| offset.0).collect(),
            ..Self::default()
        }
    }

    /// Reminds an empty index of it.
    pub(super) fn remind<L: Copy>(&mut self, index: &mut Index<L>) -> Result<(), MemoryError> {
        let trims = std::mem::take(&mut self.trims).into_iter().map(Trim::try_from);
        index.restore_trims(Offset(self.floor), trims.collect::<Result<Vec<_>, _>>()?);
        Ok(())
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // Writing to memory cannot fail.
        postcard::to_stdvec(self).unwrap_or_default()
    }

    pub(super) fn parse(bytes: &[u8], parts: &Parts) -> Result<Self, MemoryError> {
        if crc32fast::hash(bytes) != parts.crc32 {
            return Err(MemoryError::Checksum);
        }
        postcard::from_bytes(bytes).map_err(|_| MemoryError::Content)
    }
}

impl From<Trim> for StoredTrim {
    fn from(Trim { topic, trimmed, remembered, ended }: Trim) -> Self {
        let topic = topic.as_str().to_owned();
        let ended = ended.map(|offset| offset.0);
        Self { topic, trimmed: trimmed.0, remembered: remembered.0, ended }
    }
}

impl TryFrom<StoredTrim> for Trim {
    type Error = MemoryError;

    fn try_from(trim: StoredTrim) -> Result<Self, MemoryError> {
        let StoredTrim { topic, trimmed, remembered, ended } = trim;
        let topic = Topic::new(&*topic).map_err(|_| MemoryError::Content)?;
        let (trimmed, remembered) = (Offset(trimmed), Offset(remembered));
        Ok(Self { topic, trimmed, remembered, ended: ended.map(Offset) })
    }
}

impl From<(Offset, Timestamp, Once)> for StoredKey {
    fn from((offset, time, Once { key, fingerprint }): (Offset, Timestamp, Once)) -> Self {
        Self {
            offset: offset.0,
            time_ms: time.unix_ms,
            key: key.to_bytes(),
            fingerprint: fingerprint.to_bytes(),
        }
    }
}

impl From<&StoredKey> for (Offset, Timestamp, Once) {
    fn from(stored: &StoredKey) -> Self {
        let key = Key::from_bytes(stored.key);
        let fingerprint = Fingerprint::from_bytes(stored.fingerprint);
        let time = Timestamp { unix_ms: stored.time_ms };
        (Offset(stored.offset), time, Once { key, fingerprint })
    }
}

mod epoch {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use tidings_server::cursor::Epoch;

    pub(super) fn serialize<S: Serializer>(epoch: &Epoch, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(epoch)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(text: D) -> Result<Epoch, D::Error> {
        let text = String::deserialize(text)?;
        u64::from_str_radix(&text, 36).map(Epoch::from_bits).map_err(D::Error::custom)
    }
}
