//! Where the lines of a chunk end.

/// Yields the position of every CR and LF of a chunk, in order.
///
/// It reads 64 bytes at a time into a bit mask, one bit a byte, so that many short lines cost one
/// scan; where some blocks in a row have no line end, it lets `memchr` run ahead, which is the
/// faster of the two on long lines.
pub(super) struct LineEnds<'c> {
    /// The bytes not yet scanned.
    rest: &'c [u8],
    /// How many bytes of the chunk are before `rest`.
    scanned: usize,
    /// Line ends of the last block that are still to be yielded.
    mask: u64,
    /// The position of the last block.
    base: usize,
}

impl<'c> LineEnds<'c> {
    #[inline(always)]
    pub(super) fn new(chunk: &'c [u8]) -> Self {
        Self { rest: chunk, scanned: 0, mask: 0, base: 0 }
    }

    #[inline(always)]
    pub(super) fn next(&mut self) -> Option<usize> {
        if self.mask == 0 {
            self.fill();
            if self.mask == 0 {
                return None;
            }
        }
        let at = self.base + self.mask.trailing_zeros() as usize;
        self.mask &= self.mask - 1;
        Some(at)
    }

    /// Goes on to the next block that has a line end, or to the end of the chunk.
    #[inline(always)]
    fn fill(&mut self) {
        let mut blocks_left = BLOCKS_BEFORE_MEMCHR;
        while let Some((block, rest)) = self.rest.split_first_chunk::<BLOCK>() {
            self.base = self.scanned;
            self.scanned += BLOCK;
            self.rest = rest;
            self.mask = block_mask(block);
            if self.mask != 0 {
                return;
            }
            blocks_left -= 1;
            if blocks_left == 0 {
                self.run_ahead();
                blocks_left = usize::MAX;
            }
        }
        self.base = self.scanned;
        self.scanned += self.rest.len();
        self.mask = tail_mask(self.rest);
        self.rest = &[];
    }

    /// Skips to the next line end.
    #[inline(never)]
    fn run_ahead(&mut self) {
        let ahead = memchr::memchr2(b'\r', b'\n', self.rest).unwrap_or(self.rest.len());
        self.scanned += ahead;
        self.rest = self.rest.get(ahead..).unwrap_or_default();
    }
}

/// The position of the first CR or LF.
#[inline(always)]
pub(super) fn first_line_end(bytes: &[u8]) -> Option<usize> {
    let mask = match bytes.first_chunk::<BLOCK>() {
        Some(block) => block_mask(block),
        None => tail_mask(bytes),
    };
    if mask != 0 {
        return Some(mask.trailing_zeros() as usize);
    }
    match bytes.get(BLOCK..) {
        None | Some([]) => None,
        Some(rest) => memchr::memchr2(b'\r', b'\n', rest).map(|at| at + BLOCK),
    }
}

#[inline(always)]
pub(super) fn is_line_end(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r'
}

/// The mask of fewer than 64 bytes.
#[inline(always)]
fn tail_mask(tail: &[u8]) -> u64 {
    let mut mask = 0;
    let (quarters, last) = tail.as_chunks::<QUARTER>();
    for (at, quarter) in quarters.iter().enumerate() {
        mask |= u64::from(quarter_mask(quarter)) << (at * QUARTER);
    }
    if !last.is_empty() {
        let at = quarters.len() * QUARTER;
        if let Some(overlapping) = tail.last_chunk::<QUARTER>() {
            // Bytes before `last` were seen already, and are shifted out.
            let seen = QUARTER - last.len();
            mask |= u64::from(quarter_mask(overlapping) >> seen) << at;
        } else {
            for (bit, byte) in last.iter().enumerate() {
                mask |= u64::from(is_line_end(*byte)) << bit;
            }
        }
    }
    mask
}

#[cfg(target_arch = "x86_64")]
use super::sse2::{block_mask, quarter_mask};
#[cfg(not(target_arch = "x86_64"))]
use word_mask::{block_mask, quarter_mask};

/// The search for any processor, eight bytes at a time in a register.
#[cfg(any(test, not(target_arch = "x86_64")))]
mod word_mask {
    use super::{BLOCK, QUARTER};

    /// One bit for each byte of `block`, set where it is CR or LF.
    pub(super) fn block_mask(block: &[u8; BLOCK]) -> u64 {
        let quarters = block.as_chunks::<QUARTER>().0.iter().enumerate();
        quarters.fold(0, |mask, (at, quarter)| {
            mask | u64::from(quarter_mask(quarter)) << (at * QUARTER)
        })
    }

    /// The same for a quarter of a block.
    pub(super) fn quarter_mask(quarter: &[u8; QUARTER]) -> u16 {
        // The high bit of each byte that is zero, and no other bit.
        let zeros = |word: u64| !(((word & LOW) + LOW) | word | LOW);
        let words = quarter.as_chunks::<8>().0.iter().enumerate();
        words.fold(0, |mask, (at, eight)| {
            let word = u64::from_le_bytes(*eight);
            let ends =
                zeros(word ^ (EACH * u64::from(b'\n'))) | zeros(word ^ (EACH * u64::from(b'\r')));
            // The product gathers the eight bits in its highest byte, each in its own place.
            let bits = (ends >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
            mask | (bits as u16) << (8 * at)
        })
    }

    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    const EACH: u64 = 0x0101_0101_0101_0101;
}

/// Bytes in a block: the bits of its mask.
pub(super) const BLOCK: usize = 64;
/// Bytes in a vector.
pub(super) const QUARTER: usize = 16;

/// Blocks without a line end before `memchr` takes over, whose call costs about as much.
const BLOCKS_BEFORE_MEMCHR: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn all_line_ends_are_found_in_order(bytes in proptest::collection::vec(
            prop_oneof![1 => Just(b'\n'), 1 => Just(b'\r'), 90 => any::<u8>()], 0..1_000)
        ) {
            let naive: Vec<usize> =
                (0..bytes.len()).filter(|at| is_line_end(bytes[*at])).collect();
            let mut ends = LineEnds::new(&bytes);
            let found: Vec<usize> = core::iter::from_fn(|| ends.next()).collect();
            prop_assert_eq!(first_line_end(&bytes), naive.first().copied());
            prop_assert_eq!(found, naive);
        }

        #[test]
        fn the_masks_are_the_same_on_every_processor(block in proptest::collection::vec(
            prop_oneof![9_u8..15, any::<u8>()], BLOCK)
        ) {
            let block: &[u8; BLOCK] = block.first_chunk().unwrap();
            prop_assert_eq!(word_mask::block_mask(block), block_mask(block));
        }
    }
}
