//! The request of an attempt.

use alloc::sync::Arc;

use crate::event::EventId;

/// A request to make, as [`Source::poll_request`](super::Source::poll_request) hands it out.
///
/// The method is GET. The caller adds headers of its own if [`Request::may_carry_credentials`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// Where to send it.
    pub url: Arc<str>,
    /// The id to resume after. It is not empty and is a legal header value.
    pub last_event_id: Option<EventId>,
    /// Whether redirects have led to another origin than the one the caller named. Then
    /// `Authorization`, cookies and the caller's own headers must stay away.
    pub crossed_origin: bool,
}

impl Request {
    /// The headers that make it a request for an event stream, names in lower case.
    ///
    /// A value is bytes, as an id may be any UTF-8.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        let id = self.last_event_id.as_ref().map(|id| ("last-event-id", id.as_str().as_bytes()));
        [("accept", &b"text/event-stream"[..]), ("cache-control", b"no-cache")]
            .into_iter()
            .chain(id)
    }

    /// Whether the caller's own headers may go along.
    #[must_use]
    pub const fn may_carry_credentials(&self) -> bool {
        !self.crossed_origin
    }
}

/// Whether `id` arrives unchanged as a header value.
///
/// Control characters but tab are not allowed there (RFC 9110, section 5.5), and space at either end
/// is not part of the value, so that the server would take it for another id.
pub(super) fn is_sendable(id: &str) -> bool {
    let bytes = id.as_bytes();
    let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    !is_space(bytes.first())
        && !is_space(bytes.last())
        && bytes.iter().all(|byte| *byte == b'\t' || !byte.is_ascii_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_header_can_carry() {
        for id in ["1", "a b", "a\tb", "\u{e9}", "\u{2028}", "#0.17", "\u{feff}x"] {
            assert!(is_sendable(id), "{id:?}");
        }
        for id in [" 1", "1 ", "\t1", "1\t", "a\u{1}b", "\u{7f}", "\u{b}"] {
            assert!(!is_sendable(id), "{id:?}");
        }
    }
}
