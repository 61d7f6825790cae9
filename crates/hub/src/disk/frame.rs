//! Frames: what one commit writes, whole or not at all.

use tidings_server::cursor::Offset;

/// A frame's header: magic, checksum, length of the body, count of records, first offset,
/// chain, count of zero sectors, checksum of the header.
pub(super) const HEADER_BYTES: usize = 36 + 4;
/// What a disk writes whole or not at all.
pub(super) const SECTOR_BYTES: usize = 512;
/// Frames start at multiples of this, so that a search for them is quick.
pub(super) const ALIGN_BYTES: usize = 8;

// No UTF-8 text has the bytes F7 and FE, so that no publisher can forge a frame in its data.
const MAGIC: [u8; 4] = [0xf7, b'T', b'f', 0xfe];

/// The header of a frame whose body is still to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Bytes after the header, padding included.
    pub(super) body_bytes: u32,
    /// How many records the body has.
    pub(super) records: u32,
    /// The offset of its first record; of the next one, if it has none.
    pub(super) first: Offset,
    /// The checksum of the frame before it: what is left of an earlier write never passes for
    /// the next frame.
    pub(super) chain: u32,
    /// How many sectors of it are all zeros; more of them mean that it was not written whole.
    pub(super) zero_sectors: u32,
    /// The checksum of the frame itself: of all that follows the checksum.
    pub(super) checksum: u32,
}

impl Header {
    /// Reads the header that `bytes` start with; `None` if there is none.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let header: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
        let u32_at = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| header[at + byte]));
        if header[..4] != MAGIC || u32_at(32) != crc32fast::hash(&header[8..32]) {
            return None;
        }
        let first = u64::from(u32_at(16)) | u64::from(u32_at(20)) << 32;
        Some(Self {
            checksum: u32_at(4),
            body_bytes: u32_at(8),
            records: u32_at(12),
            first: Offset(first),
            chain: u32_at(24),
            zero_sectors: u32_at(28),
        })
    }

    /// Bytes of the frame.
    pub(super) fn frame_bytes(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.body_bytes)
    }

    /// Whether `frame`, header and body, is what was written.
    pub(super) fn verifies(&self, frame: &[u8]) -> bool {
        frame.get(8..).is_some_and(|rest| crc32fast::hash(rest) == self.checksum)
    }

    /// Whether it may stand after the frame with the checksum `chain`, whose next offset is
    /// `expected`. Offsets may leave out some, but never go back.
    pub(super) fn follows(&self, chain: u32, expected: Offset) -> bool {
        self.chain == chain && self.first >= expected
    }

    /// The offset after the frame's last record.
    pub(super) fn next(&self) -> Offset {
        Offset(self.first.0.saturating_add(self.records.into()))
    }
}

/// Begins a frame in the empty `buffer`: records are to be appended, then [`finish`] called.
pub(super) fn begin(buffer: &mut Vec<u8>) {
    debug_assert!(buffer.is_empty());
    buffer.resize(HEADER_BYTES, 0);
}

/// The bytes that a frame of `bytes` takes at `at`, with its padding: so much that the header of
/// the next frame lies in one sector, and is there or not.
pub(super) fn padded_bytes(bytes: usize, at: u64) -> usize {
    let sector_from = (at % SECTOR_BYTES as u64) as usize;
    let end = (sector_from + bytes).next_multiple_of(ALIGN_BYTES);
    let sector_end = end.next_multiple_of(SECTOR_BYTES);
    let end = if sector_end - end < HEADER_BYTES { sector_end } else { end };
    end - sector_from
}

/// How many sectors of the frame `bytes` at `at` are all zeros, as far as they are the frame's.
pub(super) fn zero_sectors(bytes: &[u8], at: u64) -> u32 {
    let first = SECTOR_BYTES - (at % SECTOR_BYTES as u64) as usize;
    let (first, rest) = bytes.split_at(first.min(bytes.len()));
    let sectors = std::iter::once(first).chain(rest.chunks(SECTOR_BYTES));
    sectors.filter(|sector| sector.iter().all(|&byte| byte == 0)).count() as u32
}

/// Pads the frame, which goes to `at`, fills in its header, and gives its checksum, the next
/// frame's chain.
pub(super) fn finish(
    buffer: &mut Vec<u8>,
    at: u64,
    records: u32,
    first: Offset,
    chain: u32,
) -> u32 {
    buffer.resize(padded_bytes(buffer.len(), at), 0);
    let body_bytes = (buffer.len() - HEADER_BYTES) as u32;
    buffer[..4].copy_from_slice(&MAGIC);
    buffer[8..12].copy_from_slice(&body_bytes.to_le_bytes());
    buffer[12..16].copy_from_slice(&records.to_le_bytes());
    buffer[16..24].copy_from_slice(&first.0.to_le_bytes());
    buffer[24..28].copy_from_slice(&chain.to_le_bytes());
    let zero_sectors = zero_sectors(buffer, at);
    buffer[28..32].copy_from_slice(&zero_sectors.to_le_bytes());
    let header = crc32fast::hash(&buffer[8..32]);
    buffer[32..36].copy_from_slice(&header.to_le_bytes());
    let checksum = crc32fast::hash(&buffer[8..]);
    buffer[4..8].copy_from_slice(&checksum.to_le_bytes());
    checksum
}

/// Where in `bytes`, whose start is aligned, a frame's magic is next found from `from` on.
pub(super) fn find_magic(bytes: &[u8], from: usize) -> Option<usize> {
    let (chunks, _) = bytes.get(from..)?.as_chunks::<ALIGN_BYTES>();
    chunks.iter().position(|chunk| chunk[..4] == MAGIC).map(|at| from + at * ALIGN_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_survives_its_bytes_and_no_changed_bit_passes() {
        let mut frame = Vec::new();
        begin(&mut frame);
        frame.extend_from_slice(b"records");
        let checksum = finish(&mut frame, 24, 2, Offset(1 << 40), 7);
        let header = Header::parse(&frame).unwrap();
        assert_eq!(
            header,
            Header {
                body_bytes: 8,
                records: 2,
                first: Offset(1 << 40),
                chain: 7,
                zero_sectors: 0,
                checksum
            }
        );
        assert!(header.verifies(&frame));
        assert_eq!(header.frame_bytes(), frame.len() as u64);
        assert_eq!(header.next(), Offset((1 << 40) + 2));
        for at in 0..frame.len() {
            let mut rotten = frame.clone();
            rotten[at] ^= 1;
            assert!(Header::parse(&rotten).is_none_or(|header| !header.verifies(&rotten)), "{at}");
        }
        let mut page = vec![0; 64];
        page.extend_from_slice(&frame);
        assert_eq!(find_magic(&page, 0), Some(64));
        assert_eq!(find_magic(&page, 72), None);
    }

    #[test]
    fn the_next_header_lies_in_one_sector() {
        for at in (0..1_024).step_by(ALIGN_BYTES) {
            for bytes in HEADER_BYTES..1_100 {
                let padded = padded_bytes(bytes, at);
                let next = (at as usize + padded) % SECTOR_BYTES;
                assert!(padded >= bytes && padded < bytes + ALIGN_BYTES + HEADER_BYTES);
                assert!(next.is_multiple_of(ALIGN_BYTES) && next + HEADER_BYTES <= SECTOR_BYTES);
            }
        }
    }

    #[test]
    fn zero_sectors_count_by_their_place_in_the_file() {
        let mut bytes = vec![0; 1_000];
        assert_eq!(zero_sectors(&bytes, 0), 2);
        assert_eq!(zero_sectors(&bytes, 500), 3);
        bytes[20] = 1;
        assert_eq!(zero_sectors(&bytes, 500), 2);
        assert_eq!(zero_sectors(&[], 500), 1, "never of a frame, which has a header");
    }
}
