//! For axum programs: a responder and the `Last-Event-ID` extractor (feature `axum`).
//!
//! ```
//! use axum::{Router, extract::State, response::IntoResponse, routing::get};
//! use tidings_server::{
//!     axum::LastEventId,
//!     fanout::{Fanout, Subscribe},
//!     matcher::{Filter, Matcher},
//!     subscription::SubscriptionConfig,
//!     topic::Topic,
//! };
//!
//! async fn clock(State(fanout): State<Fanout>, last: LastEventId) -> impl IntoResponse {
//!     let clock = Topic::new("clock").expect("a good name");
//!     fanout.subscribe(Subscribe {
//!         filter: Filter::new([Matcher::Exact(clock)]),
//!         start: last.into_start(),
//!         config: SubscriptionConfig::default(),
//!     })
//! }
//!
//! let app: Router<Fanout> = Router::new().route("/clock", get(clock));
//! # let _ = app;
//! ```

use std::convert::Infallible;

use axum_core::{
    body::Body,
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts};

use crate::{
    body::StreamBody, fanout::Subscriber, frame::Format, subscriber_name::SubscriberName,
    subscription::Start,
};

/// The id that a request asks to resume after: the `Last-Event-ID` header, or else the query
/// parameter `last_event_id`. Never refuses a request, for an `EventSource` would give up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastEventId(Option<String>);

impl LastEventId {
    /// Reads it from a request's headers and query. The header wins, and counts even if it is
    /// not UTF-8: then it is an id that no log knows.
    pub fn of(headers: &HeaderMap, query: Option<&str>) -> Self {
        if let Some(id) = headers.get("last-event-id") {
            return Self(Some(String::from_utf8_lossy(id.as_bytes()).into_owned()));
        }
        let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Self(pairs.find(|(name, _)| name == "last_event_id").map(|(_, id)| id.into_owned()))
    }

    /// Where the stream is to start.
    pub fn into_start(self) -> Start {
        Start::from_last_event_id(&self.0.unwrap_or_default())
    }
}

impl<S: Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers, parts.uri.query()))
    }
}

/// The header that tells a subscriber its name, percent-encoded as in a URL, so that it can be
/// given as `?subscriber=` the way it is.
pub const SUBSCRIBER: HeaderName = HeaderName::from_static("tidings-subscriber");

/// The value of [`SUBSCRIBER`].
pub fn subscriber_header(name: &SubscriberName) -> HeaderValue {
    let encoded: String = form_urlencoded::byte_serialize(name.as_str().as_bytes()).collect();
    HeaderValue::try_from(encoded).expect("what is percent-encoded is visible ASCII")
}

/// The headers of a stream: its type, no caching, and no buffering by a proxy in between.
pub fn stream_headers(format: Format) -> [(HeaderName, HeaderValue); 3] {
    [
        (header::CONTENT_TYPE, HeaderValue::from_static(format.content_type())),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ]
}

impl IntoResponse for Subscriber {
    fn into_response(self) -> Response {
        let name = [(SUBSCRIBER, subscriber_header(self.name()))];
        let headers = stream_headers(self.format());
        (headers, name, Body::new(StreamBody::new(self))).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(header: Option<&[u8]>, query: &str) -> Start {
        let mut headers = HeaderMap::new();
        if let Some(id) = header {
            headers.insert("last-event-id", HeaderValue::from_bytes(id).unwrap());
        }
        LastEventId::of(&headers, Some(query)).into_start()
    }

    #[test]
    fn the_header_wins_over_the_query() {
        assert_eq!(last(None, "topic=t"), Start::Latest);
        assert_eq!(last(None, "last_event_id=%23a-1"), Start::After("#a-1".to_owned()));
        assert_eq!(last(Some(b"h"), "last_event_id=q"), Start::After("h".to_owned()));
        assert_eq!(last(None, "last_event_id=earliest"), Start::Earliest);
        assert_eq!(last(Some("ü".as_bytes()), ""), Start::After("ü".to_owned()));
        assert_eq!(last(Some(b"\xff"), ""), Start::After("\u{fffd}".to_owned()));
    }
}
