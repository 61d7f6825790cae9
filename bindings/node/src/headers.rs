//! Headers, as JavaScript hands them over.

use tidings_client::http::{HeaderName, HeaderValue};

/// Names and values, which come one after the other.
///
/// # Errors
/// A sentence that says which of them cannot be sent.
pub(crate) fn parsed(headers: &[String]) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let pairs = headers.as_chunks().0.iter();
    pairs
        .map(|[name, value]| {
            let parsed = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| format!("{name:?} is not the name of a header"))?;
            // In JavaScript, each character stands for a byte.
            let bytes: Option<Vec<_>> = value.chars().map(|char| u8::try_from(char).ok()).collect();
            let mut value = bytes
                .and_then(|bytes| HeaderValue::from_bytes(&bytes).ok())
                .ok_or_else(|| format!("{name} has a value that no header can carry"))?;
            value.set_sensitive(true);
            Ok((parsed, value))
        })
        .collect()
}
