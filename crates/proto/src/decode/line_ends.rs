//! Where the lines of a chunk end.

/// Yields the position of every CR and LF of a chunk, in order.
///
/// It reads 64 bytes at a time into a bit mask, one bit a byte, so that many short lines cost one
/// scan; where a block has no line end, it lets `memchr` run ahead, which is the faster of the two
/// on long lines.
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
    #[inline]
    pub(super) fn new(chunk: &'c [u8]) -> Self {
        Self { rest: chunk, scanned: 0, mask: 0, base: 0 }
    }

    #[inline]
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
    #[inline]
    fn fill(&mut self) {
        let mut skipped = false;
        loop {
            let Some((block, rest)) = self.rest.split_first_chunk::<BLOCK>() else {
                self.base = self.scanned;
                self.mask = tail_mask(self.rest);
                self.scanned += self.rest.len();
                self.rest = &[];
                return;
            };
            self.mask = block_mask(block);
            if self.mask != 0 {
                self.base = self.scanned;
                self.scanned += BLOCK;
                self.rest = rest;
                return;
            }
            self.scanned += BLOCK;
            self.rest = rest;
            if !skipped {
                skipped = true;
                let ahead = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
                self.scanned += ahead;
                self.rest = rest.get(ahead..).unwrap_or_default();
            }
        }
    }
}

/// The position of the first CR or LF.
#[inline]
pub(super) fn first_line_end(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [] => None,
        [byte] => is_line_end(*byte).then_some(0),
        _ => memchr::memchr2(b'\r', b'\n', bytes),
    }
}

#[inline]
fn is_line_end(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r'
}

/// The mask of fewer than 64 bytes.
#[inline]
fn tail_mask(tail: &[u8]) -> u64 {
    if tail.len() <= 4 {
        let bit = |(at, byte): (usize, &u8)| u64::from(is_line_end(*byte)) << at;
        return tail.iter().enumerate().map(bit).sum();
    }
    let mut block = [0; BLOCK];
    for (to, from) in block.iter_mut().zip(tail) {
        *to = *from;
    }
    block_mask(&block)
}

/// One bit for each byte of `block`, set where it is CR or LF.
#[inline]
fn block_mask(block: &[u8; BLOCK]) -> u64 {
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
const BLOCK: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn all_line_ends_are_found_in_order(bytes in proptest::collection::vec(
            prop_oneof![1 => Just(b'\n'), 1 => Just(b'\r'), 60 => any::<u8>()], 0..600)
        ) {
            let naive: Vec<usize> =
                (0..bytes.len()).filter(|at| matches!(bytes[*at], b'\r' | b'\n')).collect();
            let mut ends = LineEnds::new(&bytes);
            let found: Vec<usize> = core::iter::from_fn(|| ends.next()).collect();
            prop_assert_eq!(first_line_end(&bytes), naive.first().copied());
            prop_assert_eq!(found, naive);
        }
    }
}
