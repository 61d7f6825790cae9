//! The trim snapshot: how far each topic was trimmed, for what is no longer on the disk.

use std::io;

use tidings_server::{cursor::Offset, log::Index, topic::Topic};

use super::{
    manifest::{read_all, replace},
    storage::Storage,
};

pub(super) const NAME: &str = "trims";
const NEW_NAME: &str = "trims.new";
const MAGIC: [u8; 8] = *b"\xf7tidtrim";

/// The memory of what was trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trims {
    /// The oldest record that was kept; what is on the disk before it is trimmed.
    pub(super) first: Offset,
    /// The oldest segment that was kept; those before it may be removed.
    pub(super) segment: u32,
    /// See [`Index::trims_floor`].
    pub(super) floor: Offset,
    /// Topics and the newest record of each that was trimmed.
    pub(super) topics: Vec<(Topic, Offset)>,
}

impl Trims {
    /// What `index` remembers, with `segment` as the oldest that is kept.
    pub(super) fn of<L: Copy>(index: &Index<L>, segment: u32) -> Self {
        Self {
            first: index.first(),
            segment,
            floor: index.trims_floor(),
            topics: index.trims().map(|(topic, offset)| (topic.clone(), offset)).collect(),
        }
    }

    /// The newest record that was trimmed.
    pub(super) fn furthest(&self) -> Offset {
        let topics = self.topics.iter().map(|(_, offset)| *offset);
        topics.fold(self.floor.max(self.first.previous()), Offset::max)
    }

    /// Puts the snapshot in place of the old one.
    pub(super) fn write(&self, storage: &dyn Storage) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(40 * (self.topics.len() + 1));
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&self.first.0.to_le_bytes());
        bytes.extend_from_slice(&u64::from(self.segment).to_le_bytes());
        bytes.extend_from_slice(&self.floor.0.to_le_bytes());
        for (topic, offset) in &self.topics {
            bytes.extend_from_slice(&offset.0.to_le_bytes());
            bytes.extend_from_slice(&(topic.as_str().len() as u16).to_le_bytes());
            bytes.extend_from_slice(topic.as_str().as_bytes());
        }
        let checksum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        replace(storage, NEW_NAME, NAME, &bytes)
    }

    /// Reads the snapshot; `None` if there is none, or a damaged one.
    pub(super) fn read(storage: &dyn Storage) -> io::Result<Option<Self>> {
        match read_all(storage, NAME) {
            Ok(bytes) => Ok(Self::from_bytes(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (bytes, checksum) = bytes.split_last_chunk()?;
        if u32::from_le_bytes(*checksum) != crc32fast::hash(bytes) {
            return None;
        }
        let mut rest = bytes.strip_prefix(&MAGIC)?;
        let first = Offset(take_u64(&mut rest)?);
        let segment = take_u64(&mut rest)?.try_into().ok()?;
        let floor = Offset(take_u64(&mut rest)?);
        let mut topics = Vec::new();
        while !rest.is_empty() {
            let offset = Offset(take_u64(&mut rest)?);
            let (length, after) = rest.split_first_chunk()?;
            let (topic, after) = after.split_at_checked(u16::from_le_bytes(*length).into())?;
            rest = after;
            topics.push((Topic::new(std::str::from_utf8(topic).ok()?).ok()?, offset));
        }
        Some(Self { first, segment, floor, topics })
    }
}

fn take_u64(rest: &mut &[u8]) -> Option<u64> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u64::from_le_bytes(*taken))
}
