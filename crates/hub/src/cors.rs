//! CORS: what a browser must hear before a page of another origin may use the hub.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};

use crate::access::Visitor;

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, DELETE, OPTIONS");
const HEADERS: HeaderValue = HeaderValue::from_static(
    "Last-Event-ID, Content-Type, Idempotency-Key, Authorization, Cache-Control",
);
// Ten minutes: a change of the list is felt soon, and a busy page asks seldom.
const MAX_AGE_S: HeaderValue = HeaderValue::from_static("600");
const EXPOSED: HeaderValue = HeaderValue::from_static("Retry-After, Tidings-Subscriber");
const TRUE: HeaderValue = HeaderValue::from_static("true");
const PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// The answer to a preflight, if the request is one.
pub(crate) fn preflight(parts: &Parts) -> Option<Response> {
    let asked = |name: HeaderName| parts.headers.contains_key(name);
    if parts.method != Method::OPTIONS
        || !asked(header::ORIGIN)
        || !asked(header::ACCESS_CONTROL_REQUEST_METHOD)
    {
        return None;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_S);
    if asked(HeaderName::from_static("access-control-request-private-network")) {
        headers.insert(PRIVATE_NETWORK, TRUE);
    }
    Some(response)
}

/// Lets the visitor's page read the response.
pub(crate) fn permit(visitor: &Visitor, headers: &mut HeaderMap) {
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let origin = match visitor {
        Visitor::Own => return,
        Visitor::Anyone => HeaderValue::from_static("*"),
        Visitor::Listed(origin) => {
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
            origin.clone()
        }
    };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
}
