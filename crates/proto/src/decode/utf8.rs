//! Bytes as text, as the Encoding standard decodes UTF-8.

use alloc::string::String;

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

#[inline]
fn valid(bytes: &[u8]) -> Option<&str> {
    simdutf8::basic::from_utf8(bytes).ok()
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
