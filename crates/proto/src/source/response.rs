//! The head of a response, as far as the source judges it.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::media_type::is_event_stream;
use super::{Cause, Target};

/// The head of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResponseHead<'a> {
    /// The status.
    pub status: u16,
    /// The headers, names in lower case, in their order.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// How long the server asks to wait, by `Retry-After`, which may be a date and so needs a clock.
    pub retry_after: Option<Duration>,
    /// Where its `Location` leads, if it has one.
    pub location: Option<Location>,
}

/// Where a `Location` leads.
///
/// Standard: "location URL" of Fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// To this URL: resolved against that of the request, whose fragment it inherits.
    Target(Target),
    /// To something that is not an http or https URL.
    Invalid,
}

impl<'a> ResponseHead<'a> {
    /// A response with this status and these headers, names in lower case.
    #[must_use]
    pub const fn new(status: u16, headers: &'a [(&'a str, &'a [u8])]) -> Self {
        Self { status, headers, retry_after: None, location: None }
    }

    /// The same with this `Retry-After`.
    #[must_use]
    pub const fn with_retry_after(mut self, retry_after: Duration) -> Self {
        self.retry_after = Some(retry_after);
        self
    }

    /// The same with this `Location`.
    #[must_use]
    pub fn with_location(mut self, location: Location) -> Self {
        self.location = Some(location);
        self
    }

    /// Whether it opens an event stream: its status is exactly 200, and its type, of any case and with
    /// any parameters, is `text/event-stream`. A compressed stream has lost its `Content-Encoding` by
    /// now, as who decodes it takes it off.
    ///
    /// # Errors
    /// [`Cause::Status`], [`Cause::ContentType`] or [`Cause::ContentEncoding`].
    pub fn opens(&self) -> Result<(), Cause> {
        if self.status != 200 {
            return Err(self.status());
        }
        let content_type = self.header("content-type");
        let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
        if !content_type.as_deref().is_some_and(is_event_stream) {
            return Err(Cause::ContentType { content_type: content_type.map(text) });
        }
        match self.header("content-encoding") {
            Some(encoding) if is_compressed(&encoding) => {
                Err(Cause::ContentEncoding { encoding: text(encoding) })
            }
            _ => Ok(()),
        }
    }

    /// The status as a cause.
    pub(super) const fn status(&self) -> Cause {
        Cause::Status { status: self.status, retry_after: self.retry_after }
    }

    /// The value of a header, several joined with a comma, as "get" of Fetch reads them.
    pub(super) fn header(&self, name: &str) -> Option<Vec<u8>> {
        let values: Vec<&[u8]> = self
            .headers
            .iter()
            .filter_map(|(header, value)| (*header == name).then_some(*value))
            .collect();
        (!values.is_empty()).then(|| values.join(&b", "[..]))
    }

    pub(super) const fn is_redirect(&self) -> bool {
        matches!(self.status, 301 | 302 | 303 | 307 | 308) && self.location.is_some()
    }
}

/// Whether a `Content-Encoding` names a compression. Browsers pass over what they do not know, and so
/// does this.
fn is_compressed(encoding: &[u8]) -> bool {
    encoding.split(|byte| *byte == b',').any(|coding| {
        [&b"gzip"[..], b"x-gzip", b"compress", b"x-compress", b"deflate", b"br", b"zstd"]
            .iter()
            .any(|known| coding.trim_ascii().eq_ignore_ascii_case(known))
    })
}
