//! The search for line ends with the vectors that every x86-64 processor has.
//!
//! The only unsafe code of the crate. The portable search costs about three times as much a block.
#![allow(unsafe_code)]

use core::arch::x86_64::{
    __m128i, _mm_cmpeq_epi8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8,
};

use super::line_ends::{BLOCK, QUARTER};

/// One bit for each byte of `block`, set where it is CR or LF.
#[inline(always)]
pub(super) fn block_mask(block: &[u8; BLOCK]) -> u64 {
    // SAFETY: the function asks for SSE2 and nothing else, and x86-64 includes SSE2.
    unsafe { mask(block) }
}

/// The same for a quarter of a block.
#[inline(always)]
pub(super) fn quarter_mask(quarter: &[u8; QUARTER]) -> u16 {
    // SAFETY: as above.
    unsafe { bits(ends(*quarter)) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn mask(block: &[u8; BLOCK]) -> u64 {
    let quarters = block.as_chunks::<QUARTER>().0;
    let &[a, b, c, d] = quarters else { return 0 };
    let (a, b, c, d) = (ends(a), ends(b), ends(c), ends(d));
    // Most blocks of long lines have none, and one look at all four tells.
    let any = _mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d));
    if _mm_movemask_epi8(any) == 0 {
        return 0;
    }
    let bits = |ends: __m128i| u64::from(bits(ends));
    bits(a) | bits(b) << 16 | bits(c) << 32 | bits(d) << 48
}

/// One bit for each byte of a vector that is all ones or all zeros.
#[inline]
#[target_feature(enable = "sse2")]
fn bits(bytes: __m128i) -> u16 {
    _mm_movemask_epi8(bytes) as u16
}

/// All ones in each byte that is CR or LF.
#[inline]
#[target_feature(enable = "sse2")]
fn ends(bytes: [u8; QUARTER]) -> __m128i {
    // Two halves are how a vector is loaded without a pointer; they compile to one load.
    let bits = u128::from_le_bytes(bytes);
    let bytes = _mm_set_epi64x((bits >> 64) as i64, bits as i64);
    _mm_or_si128(
        _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\n'.cast_signed())),
        _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\r'.cast_signed())),
    )
}
