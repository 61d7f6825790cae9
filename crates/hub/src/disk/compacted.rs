//! Compacted segments: what is left of one or several neighbours, in one file without the rest.
//!
//! The file takes the place and the number of the last of them. Its head says from which number on
//! it stands for them, and how the chain of frames goes in and out, so that a start proves the log
//! across it as across any other segment.

use std::io;

use tidings_server::cursor::Offset;

use super::{
    frame,
    segment::{self, Segment},
    storage::File,
};

/// Where the records begin.
pub(super) const RECORDS_AT: u64 = (segment::HEADER_BYTES + HEAD_BYTES) as u64;

// Magic, checksum of all that follows, first number, chain, next chain, count of records, first
// offset, next offset, bytes of records, 0.
const HEAD_BYTES: usize = 48;
// No UTF-8 text has the bytes F7 and FE, and no frame begins so.
const MAGIC: [u8; 4] = [0xf7, b'T', b'c', 0xfe];
const PIECE_BYTES: usize = 1 << 20;

/// What a compacted segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// The first of the segments that it stands for; its own number is the last.
    pub(super) from: u32,
    /// The checksum of the frame before the first of them.
    pub(super) chain: u32,
    /// The checksum of the last frame of the last of them.
    pub(super) next_chain: u32,
    /// How many records are left.
    pub(super) records: u32,
    /// The offset of the first record that was in them, whether or not it is left.
    pub(super) first: Offset,
    /// The offset after the last of them.
    pub(super) next: Offset,
    /// Bytes of the records that are left.
    pub(super) body_bytes: u32,
}

impl Head {
    /// Reads the head of a segment of this length, and checks it and all that stands behind it;
    /// `None` if it is no compacted segment, or a damaged one.
    pub(super) fn read(file: &dyn File, file_bytes: u64) -> io::Result<Option<Self>> {
        let mut bytes = [0; HEAD_BYTES];
        let read = file.read_at(&mut bytes, segment::HEADER_BYTES as u64)?;
        if read < HEAD_BYTES || bytes[..4] != MAGIC {
            return Ok(None);
        }
        let u32_at = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| bytes[at + byte]));
        let u64_at = |at| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        let head = Self {
            from: u32_at(8),
            chain: u32_at(12),
            next_chain: u32_at(16),
            records: u32_at(20),
            first: Offset(u64_at(24)),
            next: Offset(u64_at(32)),
            body_bytes: u32_at(40),
        };
        if RECORDS_AT + u64::from(head.body_bytes) != file_bytes {
            return Ok(None);
        }
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&bytes[8..]);
        let mut piece = vec![0; PIECE_BYTES.min(head.body_bytes as usize)];
        let mut at = RECORDS_AT;
        while at < file_bytes {
            let read = file.read_at(&mut piece, at)?;
            if read == 0 {
                return Ok(None);
            }
            checksum.update(&piece[..read]);
            at += read as u64;
        }
        Ok((checksum.finalize() == u32_at(4)).then_some(head))
    }

    /// The bytes of the head of a segment with these records, which `body` has summed up.
    pub(super) fn to_bytes(self, body: &crc32fast::Hasher) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        let fields = [self.from, self.chain, self.next_chain, self.records];
        for (at, field) in (8..).step_by(4).zip(fields) {
            bytes[at..at + 4].copy_from_slice(&field.to_le_bytes());
        }
        bytes[24..32].copy_from_slice(&self.first.0.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.next.0.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.body_bytes.to_le_bytes());
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&bytes[8..]);
        checksum.combine(body);
        bytes[4..8].copy_from_slice(&checksum.finalize().to_le_bytes());
        bytes
    }

    /// As if it were the only frame of its segment.
    pub(super) fn as_frame(&self) -> frame::Header {
        frame::Header {
            body_bytes: self.body_bytes,
            records: self.records,
            first: self.first,
            chain: self.chain,
            zero_sectors: 0,
            checksum: self.next_chain,
        }
    }
}

/// The first number that a segment stands for, and its first frame, or what takes its place.
pub(super) fn begin(segment: &Segment) -> io::Result<(u32, frame::Header)> {
    if let Some(head) = Head::read(&*segment.file, segment.file.len()?)? {
        return Ok((head.from, head.as_frame()));
    }
    let mut bytes = [0; frame::HEADER_BYTES];
    let read = segment.file.read_at(&mut bytes, segment::HEADER_BYTES as u64)?;
    let header = frame::Header::parse(&bytes[..read]);
    let damaged = || {
        let name = Segment::name(segment.number);
        io::Error::new(io::ErrorKind::InvalidData, format!("{name} does not begin with a frame"))
    };
    header.map(|header| (segment.number, header)).ok_or_else(damaged)
}
