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
    match bytes {
        [byte] => is_line_end(*byte).then_some(0),
        _ => memchr::memchr2(b'\r', b'\n', bytes),
    }
}

#[inline(always)]
pub(super) fn is_line_end(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r'
}

/// The mask of fewer than 64 bytes.
#[inline]
fn tail_mask(tail: &[u8]) -> u64 {
    if tail.is_empty() {
        return 0;
    }
    let mut block = [0; BLOCK];
    if let Some(to) = block.get_mut(..tail.len()) {
        to.copy_from_slice(tail);
    }
    block_mask(&block)
}

/// One bit for each byte of `block`, set where it is CR or LF.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn block_mask(block: &[u8; BLOCK]) -> u64 {
    super::sse2::block_mask(block)
}

/// One bit for each byte of `block`, set where it is CR or LF.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn block_mask(block: &[u8; BLOCK]) -> u64 {
    word_mask(block)
}

/// The same for any processor, eight bytes at a time in a register.
#[cfg(any(test, not(target_arch = "x86_64")))]
fn word_mask(block: &[u8; BLOCK]) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    const EACH: u64 = 0x0101_0101_0101_0101;
    // The high bit of each byte that is zero, and no other bit.
    let zeros = |word: u64| !(((word & LOW) + LOW) | word | LOW);
    let mut mask = 0;
    for (at, eight) in block.as_chunks::<8>().0.iter().enumerate() {
        let word = u64::from_le_bytes(*eight);
        let ends =
            zeros(word ^ (EACH * u64::from(b'\n'))) | zeros(word ^ (EACH * u64::from(b'\r')));
        // The product gathers the eight bits in its highest byte, each in its own place.
        mask |= ((ends >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * at);
    }
    mask
}

/// Bytes in a block: the bits of its mask.
pub(super) const BLOCK: usize = 64;

/// Blocks without a line end before `memchr` takes over, whose call costs about as much.
const BLOCKS_BEFORE_MEMCHR: usize = 4;

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
            prop_assert_eq!(word_mask(block), block_mask(block));
        }
    }
}
