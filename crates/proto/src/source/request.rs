//! The requests of an attempt.

use alloc::string::String;
use alloc::sync::Arc;

use super::Target;
use super::call::{ACCEPT, CACHE_CONTROL, LAST_EVENT_ID};

/// A request to make, as [`Source::poll_request`](super::Source::poll_request) hands it out.
///
/// Its headers are those of the call that [`Request::carries`], those of [`Request::headers`], and
/// cookies if [`Request::sends_credentials`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// Where to send it. Leave out the URL's own user name and password unless
    /// [`Request::sends_credentials`].
    pub target: Target,
    /// The method: the call's own, GET after some redirects, or OPTIONS for a preflight.
    pub method: Arc<str>,
    /// Whether the body of the call goes along.
    pub sends_body: bool,
    /// Whether cookies and the URL's user name and password go along.
    pub sends_credentials: bool,
    /// What the request asks leave for, if it is a CORS preflight.
    pub preflight: Option<Preflight>,
    pub(super) sends_headers: bool,
    pub(super) origin: Option<Arc<str>>,
}

/// What a CORS preflight asks leave for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Preflight {
    /// The method of the request to come.
    pub method: Arc<str>,
    /// The names of its headers that need leave, in lower case, sorted, joined with commas.
    pub headers: Option<String>,
}

impl Request {
    /// Whether this header of the call goes along. `name` is in lower case.
    #[must_use]
    pub fn carries(&self, name: &str) -> bool {
        // An origin is written anew for the servers that are to see it.
        let is_replaced = name == ORIGIN && self.origin.is_some();
        self.preflight.is_none()
            && !is_replaced
            && is_carried(name, self.sends_headers, self.sends_body)
    }

    /// The headers that the source adds to those of the call, names in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let preflight = self.preflight.as_ref();
        [
            preflight.map(|_| (ACCEPT, "*/*")),
            self.origin.as_deref().map(|origin| (ORIGIN, origin)),
            preflight.map(|preflight| ("access-control-request-method", &*preflight.method)),
            preflight
                .and_then(|preflight| preflight.headers.as_deref())
                .map(|names| ("access-control-request-headers", names)),
        ]
        .into_iter()
        .flatten()
    }
}

/// Whether a header of the call goes along when the caller's own do or do not.
pub(super) fn is_carried(name: &str, sends_headers: bool, sends_body: bool) -> bool {
    match name {
        ACCEPT | CACHE_CONTROL | LAST_EVENT_ID => true,
        "content-encoding" | "content-language" | "content-length" | "content-location"
        | "content-type" => sends_body,
        _ => sends_headers,
    }
}

const ORIGIN: &str = "origin";
