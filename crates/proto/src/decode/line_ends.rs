//! Where the lines of a chunk end.

use core::marker::PhantomData;

use super::vectors::{BLOCK, Baseline, QUARTER, Vectors};

/// The positions of every CR and LF of a chunk, in order.
pub(super) trait LineEnds {
    fn next(&mut self) -> Option<usize>;

    /// Whether all bytes up to the last line end that was yielded are known to be ASCII. It comes
    /// with the search at next to no cost.
    fn seen_ascii_only(&self) -> bool;
}

/// The line ends of a chunk of at most 64 bytes, found at once.
#[derive(Clone, Copy)]
pub(super) struct ShortLineEnds {
    /// One bit a byte, for those that are still to be yielded.
    mask: u64,
    beyond_ascii: bool,
}

impl ShortLineEnds {
    #[inline(always)]
    pub(super) fn new(chunk: &[u8]) -> Self {
        debug_assert!(chunk.len() <= BLOCK);
        let (mask, beyond_ascii) = match chunk.try_into() {
            Ok(block) => Baseline::block(block),
            Err(_) => tail_mask::<Baseline>(chunk),
        };
        Self { mask, beyond_ascii }
    }

    #[inline(always)]
    pub(super) fn is_empty(self) -> bool {
        self.mask == 0
    }
}

impl LineEnds for ShortLineEnds {
    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        let at = (self.mask != 0).then(|| self.mask.trailing_zeros() as usize);
        self.mask &= self.mask.wrapping_sub(1);
        at
    }

    #[inline(always)]
    fn seen_ascii_only(&self) -> bool {
        !self.beyond_ascii
    }
}

/// The line ends of a chunk of any length, found as they are asked for.
///
/// It reads 64 bytes at a time into a bit mask, one bit a byte, so that many short lines cost one
/// scan; where some blocks in a row have no line end, it runs ahead in larger steps, which are
/// the faster on long lines.
pub(super) struct LongLineEnds<'c, V> {
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

impl<'c, V: Vectors> LongLineEnds<'c, V> {
    #[inline(always)]
    pub(super) fn new(chunk: &'c [u8]) -> Self {
        let (rest, vectors) = (chunk, PhantomData);
        Self { rest, scanned: 0, mask: 0, base: 0, beyond_ascii: false, vectors }
    }

    /// Goes on to the next block that has a line end, or to the end of the chunk.
    #[inline(always)]
    fn fill(&mut self) {
        let mut blocks_left = BLOCKS_BEFORE_RUN;
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

    /// Skips bytes without a line end.
    #[inline(always)]
    fn run_ahead(&mut self) {
        let (skipped, beyond_ascii) = V::skip(self.rest);
        self.scanned += skipped;
        self.rest = self.rest.get(skipped..).unwrap_or_default();
        self.beyond_ascii |= beyond_ascii;
    }
}

impl<V: Vectors> LineEnds for LongLineEnds<'_, V> {
    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
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

    #[inline(always)]
    fn seen_ascii_only(&self) -> bool {
        !self.beyond_ascii
    }
}

/// The position of the first CR or LF, and whether all bytes before it are known to be ASCII.
#[inline(always)]
pub(super) fn first_line_end<V: Vectors>(bytes: &[u8]) -> (Option<usize>, bool) {
    let (mut scanned, mut is_ascii) = (0, true);
    if bytes.len() > LONG_BYTES {
        let (skipped, beyond_ascii) = V::skip(bytes);
        (scanned, is_ascii) = (skipped, !beyond_ascii);
    }
    let mut rest = bytes.get(scanned..).unwrap_or_default();
    while let Some((block, after)) = rest.split_first_chunk::<BLOCK>() {
        let (mask, beyond_ascii) = V::block(block);
        is_ascii &= !beyond_ascii;
        if mask != 0 {
            return (Some(scanned + mask.trailing_zeros() as usize), is_ascii);
        }
        scanned += BLOCK;
        rest = after;
    }
    let (mask, beyond_ascii) = tail_mask::<V>(rest);
    let end = (mask != 0).then(|| scanned + mask.trailing_zeros() as usize);
    (end, is_ascii & !beyond_ascii)
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
            let (bits, beyond) = V::quarter(&padded(last));
            mask |= u64::from(bits);
            beyond_ascii |= beyond;
        }
    }
    (mask, beyond_ascii)
}

/// Fewer than 16 bytes, followed by NUL, which is ASCII and ends no line. Two loads that overlap
/// are faster than a loop, and than a copy of a length that is not known.
#[inline(always)]
fn padded(bytes: &[u8]) -> [u8; QUARTER] {
    let place = |of: usize| 8 * (bytes.len() - of);
    let word = if let (Some(low), Some(high)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let (low, high) = (u64::from_le_bytes(*low), u64::from_le_bytes(*high));
        u128::from(low) | u128::from(high) << place(8)
    } else if let (Some(low), Some(high)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let (low, high) = (u32::from_le_bytes(*low), u32::from_le_bytes(*high));
        (u64::from(low) | u64::from(high) << place(4)).into()
    } else {
        match *bytes {
            [a, b, c] => u32::from_le_bytes([a, b, c, 0]).into(),
            [a, b] => u16::from_le_bytes([a, b]).into(),
            [a] => a.into(),
            _ => 0,
        }
    };
    word.to_le_bytes()
}

/// Blocks without a line end before larger steps are taken: with fewer, lines of 300 bytes are
/// slower, see `table llm`.
const BLOCKS_BEFORE_RUN: usize = 8;
/// From this length on a piece of a line is likely to have no line end for a while.
const LONG_BYTES: usize = 4 * BLOCK;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::vectors::Processor;
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
            let mut ends = LongLineEnds::<Baseline>::new(&bytes);
            let mut found = Vec::new();
            while let Some(end) = ends.next() {
                found.push(end);
                prop_assert!(!ends.seen_ascii_only() || bytes[..end].is_ascii());
            }
            let short = &bytes[..bytes.len() % (BLOCK + 1)];
            let mut ends = ShortLineEnds::new(short);
            prop_assert_eq!(ends.seen_ascii_only(), short.is_ascii());
            for end in naive.iter().copied().take_while(|end| *end < short.len()) {
                prop_assert_eq!(ends.next(), Some(end));
            }
            prop_assert!(ends.is_empty() && ends.next().is_none());
            let (first, is_ascii) = Processor::detect().line_end(&bytes);
            prop_assert_eq!(first, naive.first().copied());
            prop_assert!(!is_ascii || bytes[..first.unwrap_or(bytes.len())].is_ascii());
            prop_assert_eq!(found, naive);
        }
    }
}
