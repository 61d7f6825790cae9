//! Where the lines of a chunk end.

use core::marker::PhantomData;

use super::vectors::{BLOCK, Baseline, QUARTER, Vectors};

/// Yields the position of every CR and LF of a chunk, in order.
///
/// It reads 64 bytes at a time into a bit mask, one bit a byte, so that many short lines cost one
/// scan; where some blocks in a row have no line end, it lets `memchr` run ahead, which is the
/// faster of the two on long lines.
pub(super) struct LineEnds<'c, V> {
    /// The bytes not yet scanned.
    rest: &'c [u8],
    /// How many bytes of the chunk are before `rest`.
    scanned: usize,
    /// Line ends of the last block that are still to be yielded.
    mask: u64,
    /// The position of the last block.
    base: usize,
    /// Whether a byte that is not ASCII was scanned, or bytes that were not looked at for that.
    beyond_ascii: bool,
    vectors: PhantomData<V>,
}

impl<'c, V: Vectors> LineEnds<'c, V> {
    #[inline(always)]
    pub(super) fn new(chunk: &'c [u8]) -> Self {
        let (rest, vectors) = (chunk, PhantomData);
        Self { rest, scanned: 0, mask: 0, base: 0, beyond_ascii: false, vectors }
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

    /// Whether all bytes up to the last line end that was yielded are known to be ASCII. It comes
    /// with the search at next to no cost.
    #[inline(always)]
    pub(super) fn seen_ascii_only(&self) -> bool {
        !self.beyond_ascii
    }

    /// Goes on to the next block that has a line end, or to the end of the chunk.
    #[inline(always)]
    fn fill(&mut self) {
        let mut blocks_left = BLOCKS_BEFORE_MEMCHR;
        while let Some((block, rest)) = self.rest.split_first_chunk::<BLOCK>() {
            self.base = self.scanned;
            self.scanned += BLOCK;
            self.rest = rest;
            let (mask, beyond_ascii) = V::block(block);
            self.mask = mask;
            self.beyond_ascii |= beyond_ascii;
            if mask != 0 {
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
        let (mask, beyond_ascii) = tail_mask::<V>(self.rest);
        self.mask = mask;
        self.beyond_ascii |= beyond_ascii;
        self.rest = &[];
    }

    /// Skips to the next line end.
    #[inline(never)]
    fn run_ahead(&mut self) {
        let ahead = memchr::memchr2(b'\r', b'\n', self.rest).unwrap_or(self.rest.len());
        self.scanned += ahead;
        self.rest = self.rest.get(ahead..).unwrap_or_default();
        self.beyond_ascii = true;
    }
}

/// The position of the first CR or LF.
#[inline(always)]
pub(super) fn first_line_end(bytes: &[u8]) -> Option<usize> {
    let (mask, _) = match bytes.first_chunk::<BLOCK>() {
        Some(block) => Baseline::block(block),
        None => tail_mask::<Baseline>(bytes),
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

/// What [`Vectors::block`] gives, for fewer than 64 bytes.
#[inline(always)]
fn tail_mask<V: Vectors>(tail: &[u8]) -> (u64, bool) {
    let (mut mask, mut beyond_ascii) = (0, false);
    let (quarters, last) = tail.as_chunks::<QUARTER>();
    for (at, quarter) in quarters.iter().enumerate() {
        let (bits, beyond) = V::quarter(quarter);
        mask |= u64::from(bits) << (at * QUARTER);
        beyond_ascii |= beyond;
    }
    if !last.is_empty() {
        let at = quarters.len() * QUARTER;
        if let Some(overlapping) = tail.last_chunk::<QUARTER>() {
            // Bytes before `last` were seen already, and are shifted out.
            let seen = QUARTER - last.len();
            let (bits, beyond) = V::quarter(overlapping);
            mask |= u64::from(bits >> seen) << at;
            beyond_ascii |= beyond;
        } else {
            for (bit, byte) in last.iter().enumerate() {
                mask |= u64::from(is_line_end(*byte)) << bit;
                beyond_ascii |= !byte.is_ascii();
            }
        }
    }
    (mask, beyond_ascii)
}

/// Blocks without a line end before `memchr` takes over: with fewer, its call costs more than it
/// wins on lines of 300 bytes, see `table llm`.
const BLOCKS_BEFORE_MEMCHR: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn all_line_ends_are_found_in_order(bytes in proptest::collection::vec(
            prop_oneof![1 => Just(b'\n'), 1 => Just(b'\r'), 90 => 0..0x80_u8, 1 => any::<u8>()],
            0..1_000)
        ) {
            let naive: Vec<usize> =
                (0..bytes.len()).filter(|at| is_line_end(bytes[*at])).collect();
            let mut ends = LineEnds::<Baseline>::new(&bytes);
            let mut found = Vec::new();
            while let Some(end) = ends.next() {
                found.push(end);
                prop_assert!(!ends.seen_ascii_only() || bytes[..end].is_ascii());
            }
            prop_assert_eq!(first_line_end(&bytes), naive.first().copied());
            prop_assert_eq!(found, naive);
        }
    }
}
