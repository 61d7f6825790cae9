//! The trim snapshot: how far each topic was trimmed, for what is no longer on the disk.

use std::io;

use tidings_server::{
    cursor::Offset,
    log::{Index, Trim},
    topic::Topic,
};

use super::{
    manifest::{read_all, replace},
    storage::Storage,
};

pub(super) const NAME: &str = "trims";
const NEW_NAME: &str = "trims.new";
const MAGIC: [u8; 8] = *b"\xf7tidtri3";
// Before format 3 there were no marks, and a topic had one offset.
const MAGIC_BEFORE_MARKS: [u8; 8] = *b"\xf7tidtrim";

/// The memory of what was trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trims {
    /// The oldest record that was kept; what is on the disk before it is trimmed.
    pub(super) first: Offset,
    /// The oldest segment that was kept; those before it may be removed.
    pub(super) segment: u32,
    /// See [`Index::trims_floor`].
    pub(super) floor: Offset,
    /// How far each topic was trimmed.
    pub(super) topics: Vec<Trim>,
}

impl Trims {
    /// What `index` remembers, with `segment` as the oldest that is kept.
    pub(super) fn of<L: Copy>(index: &Index<L>, segment: u32) -> Self {
        Self {
            first: index.first(),
            segment,
            floor: index.trims_floor(),
            topics: index.trims().collect(),
        }
    }

    /// The newest record that was trimmed.
    pub(super) fn furthest(&self) -> Offset {
        let topics = self.topics.iter().map(|trim| trim.remembered);
        topics.fold(self.floor.max(self.first.previous()), Offset::max)
    }

    /// Puts the snapshot in place of the old one.
    pub(super) fn write(&self, storage: &dyn Storage) -> io::Result<()> {
        replace(storage, NEW_NAME, NAME, &self.to_bytes())
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(56 * (self.topics.len() + 1));
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&self.first.0.to_le_bytes());
        bytes.extend_from_slice(&u64::from(self.segment).to_le_bytes());
        bytes.extend_from_slice(&self.floor.0.to_le_bytes());
        for Trim { topic, trimmed, remembered, ended } in &self.topics {
            for offset in [*trimmed, *remembered, ended.unwrap_or_default()] {
                bytes.extend_from_slice(&offset.0.to_le_bytes());
            }
            bytes.extend_from_slice(&(topic.as_str().len() as u16).to_le_bytes());
            bytes.extend_from_slice(topic.as_str().as_bytes());
        }
        let checksum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
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
        let (mut rest, has_marks) = match bytes.strip_prefix(&MAGIC) {
            Some(rest) => (rest, true),
            None => (bytes.strip_prefix(&MAGIC_BEFORE_MARKS)?, false),
        };
        let first = Offset(take_u64(&mut rest)?);
        let segment = take_u64(&mut rest)?.try_into().ok()?;
        let floor = Offset(take_u64(&mut rest)?);
        let mut topics = Vec::new();
        while !rest.is_empty() {
            let trimmed = Offset(take_u64(&mut rest)?);
            let (mut remembered, mut ended) = (trimmed, Offset::ZERO);
            if has_marks {
                remembered = Offset(take_u64(&mut rest)?);
                ended = Offset(take_u64(&mut rest)?);
            }
            let (length, after) = rest.split_first_chunk()?;
            let (topic, after) = after.split_at_checked(u16::from_le_bytes(*length).into())?;
            rest = after;
            let topic = Topic::new(std::str::from_utf8(topic).ok()?).ok()?;
            let ended = (ended > Offset::ZERO).then_some(ended);
            topics.push(Trim { topic, trimmed, remembered, ended });
        }
        Some(Self { first, segment, floor, topics })
    }
}

fn take_u64(rest: &mut &[u8]) -> Option<u64> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u64::from_le_bytes(*taken))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trim(name: &str, trimmed: u64, remembered: u64, ended: Option<u64>) -> Trim {
        let topic = Topic::new(name).unwrap();
        let (trimmed, remembered) = (Offset(trimmed), Offset(remembered));
        Trim { topic, trimmed, remembered, ended: ended.map(Offset) }
    }

    fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
        let checksum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    #[test]
    fn a_snapshot_survives_its_bytes_and_no_changed_bit_passes() {
        let topics = vec![trim("a", 7, 7, None), trim("ü", 0, 9, Some(9))];
        let trims = Trims { first: Offset(10), segment: 3, floor: Offset(2), topics };
        let bytes = trims.to_bytes();
        assert_eq!(Trims::from_bytes(&bytes), Some(trims));
        for at in 0..bytes.len() {
            let mut rotten = bytes.clone();
            rotten[at] ^= 1;
            assert_eq!(Trims::from_bytes(&rotten), None, "{at}");
        }
    }

    #[test]
    fn one_from_before_there_were_marks_is_read() {
        let mut bytes = MAGIC_BEFORE_MARKS.to_vec();
        for number in [10u64, 3, 2, 7] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&[1, 0, b'a']);
        let trims = Trims::from_bytes(&sealed(bytes)).unwrap();
        assert_eq!((trims.first, trims.segment, trims.floor), (Offset(10), 3, Offset(2)));
        assert_eq!(trims.topics, [trim("a", 7, 7, None)]);
    }
}
