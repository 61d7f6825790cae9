//! Attempts, and what the caller wants them to send.

use alloc::sync::Arc;

use super::request::is_carried;
use crate::event::EventId;

/// A URL, as far as the source looks at it. Who drives the source has parsed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The URL.
    pub url: Arc<str>,
    /// Its origin, serialised, such as `https://example.com` or `http://127.0.0.1:8080`.
    pub origin: Arc<str>,
    /// Whether the URL holds a user name or a password.
    pub has_credentials: bool,
}

impl Target {
    /// A URL without user name and password.
    #[must_use]
    pub fn new(url: impl Into<Arc<str>>, origin: impl Into<Arc<str>>) -> Self {
        Self { url: url.into(), origin: origin.into(), has_credentials: false }
    }

    pub(super) fn is_https(&self) -> bool {
        self.origin.starts_with("https://")
    }
}

/// An attempt to connect that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// Which attempt it is: 1 is the first.
    pub number: u64,
    /// How many have failed since the last success.
    pub failures: u32,
    /// Where it goes, unless the caller wants otherwise.
    pub target: Target,
    /// Whether redirects have led to another origin than the one that the caller named. Then its
    /// own headers must stay away, unless it adds them for this origin.
    pub crossed_origin: bool,
    /// The id to resume after. It is not empty and is a legal header value.
    pub last_event_id: Option<EventId>,
}

impl Attempt {
    /// Whether this header of the caller's own may go along, `name` in lower case: those that
    /// describe the body may go anywhere.
    #[must_use]
    pub fn carries(&self, name: &str) -> bool {
        is_carried(name, !self.crossed_origin, true)
    }

    /// The headers that make it a request for an event stream, names in lower case.
    ///
    /// A value is bytes, as an id may be any UTF-8.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        let id = self.last_event_id.as_ref().map(|id| (LAST_EVENT_ID, id.as_str().as_bytes()));
        [(ACCEPT, &b"text/event-stream"[..]), (CACHE_CONTROL, b"no-cache")].into_iter().chain(id)
    }
}

/// What the caller wants an attempt to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call<'a> {
    /// Where to send it.
    pub target: Target,
    /// The method, such as `GET`. Methods are case-sensitive.
    pub method: &'a str,
    /// All headers, those of [`Attempt::headers`] included, names in lower case. The source does not
    /// keep them: it looks whether they need leave by the rules of CORS.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// Whether a call whose method is not safe may be sent again when it may have reached the
    /// server. Without it, the source ends instead.
    pub replays: bool,
}

impl<'a> Call<'a> {
    /// A GET that the attempt asks for.
    #[must_use]
    pub fn get(attempt: &Attempt, headers: &'a [(&'a str, &'a [u8])]) -> Self {
        Self { target: attempt.target.clone(), method: "GET", headers, replays: false }
    }
}

/// Whether a request with this method asks for no change, so that it may always be sent again.
///
/// Standard: RFC 9110, section 9.2.1.
pub(super) fn is_safe(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE")
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

pub(super) const ACCEPT: &str = "accept";
pub(super) const CACHE_CONTROL: &str = "cache-control";
pub(super) const LAST_EVENT_ID: &str = "last-event-id";

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
