//! Bytes as text, as the Encoding standard decodes UTF-8.
#![allow(unsafe_code)]

use alloc::string::String;
use alloc::vec::Vec;

/// The text of `bytes`: themselves when they are UTF-8, else a copy in `repaired` with U+FFFD for
/// each maximal part that is not.
#[inline]
pub(super) fn text<'a>(bytes: &'a [u8], repaired: &'a mut String) -> &'a str {
    match valid(bytes) {
        Some(text) => text,
        None => {
            repaired.clear();
            push_repaired(bytes, repaired);
            repaired
        }
    }
}

/// Appends the text of `bytes` to `out`.
#[inline]
pub(super) fn push_text(bytes: &[u8], out: &mut String) {
    match valid(bytes) {
        Some(text) => out.push_str(text),
        None => push_repaired(bytes, out),
    }
}

/// The text of `bytes`, in their own memory when they are UTF-8; `is_ascii` tells that they are known
/// to be that.
#[inline]
pub(super) fn into_text(bytes: Vec<u8>, is_ascii: bool) -> String {
    debug_assert!(!is_ascii || bytes.is_ascii());
    if is_ascii || valid(&bytes).is_some() {
        // SAFETY: they were found to be UTF-8, or ASCII, which is UTF-8: see `ascii`.
        unsafe { String::from_utf8_unchecked(bytes) }
    } else {
        let mut out = String::with_capacity(bytes.len());
        push_repaired(&bytes, &mut out);
        out
    }
}

#[inline]
fn valid(bytes: &[u8]) -> Option<&str> {
    simdutf8::basic::from_utf8(bytes).ok()
}

/// The text of bytes that the search for line ends has found to be ASCII.
#[inline(always)]
pub(super) fn ascii(bytes: &[u8]) -> &str {
    debug_assert!(bytes.is_ascii());
    // SAFETY: ASCII is UTF-8. `Source::Ascii` and data that is marked as ASCII come from a search for
    // line ends that has looked at each of these bytes, which the tests of both searches check.
    unsafe { str::from_utf8_unchecked(bytes) }
}

#[cold]
fn push_repaired(bytes: &[u8], out: &mut String) {
    for part in bytes.utf8_chunks() {
        out.push_str(part.valid());
        if !part.invalid().is_empty() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }
}
