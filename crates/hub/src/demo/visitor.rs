//! The visitor's stream: says whether a cookie came along, to pages of the hub's other name.

use std::time::Duration;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use tidings_proto::{EventName, encode};

use super::stream;
use crate::hub::Hub;

const COOKIE: &str = "tidings-demo-visitor=known";
// Without `SameSite=None` no browser sends it from another site, and with it only if it is
// `Secure`, which browsers take from loopback without TLS. `Partitioned` keeps it to the page's
// own site, so that browsers which block the cookies of third parties have no reason to.
const OF_ANOTHER_SITE: &str = "Path=/demo/visitor; HttpOnly; Secure; SameSite=None; Partitioned";
const KEPT_S: u32 = 600;
const HEARTBEAT: Duration = Duration::from_secs(15);

/// `GET /demo/visitor`: one event, and then heartbeats. Whether another origin may read it is
/// decided, as everywhere, by access and CORS.
pub(super) async fn follow(State(hub): State<Hub>, headers: HeaderMap) -> Response {
    let cookie = if comes_with_cookie(&headers) { "cookie" } else { "no cookie" };
    let name = EventName::new("visitor").ok();
    let (mut visitor, mut heartbeat) = (Vec::new(), Vec::new());
    encode::event(&mut visitor, None, name.as_ref(), None, cookie);
    encode::comment(&mut heartbeat, "");
    let heartbeats = std::iter::repeat((HEARTBEAT, heartbeat));
    stream::open(&hub, &headers, std::iter::once((Duration::ZERO, visitor)).chain(heartbeats))
}

/// `POST`: hands out the cookie, for ten minutes.
pub(super) async fn hand_out() -> Response {
    let cookie = format!("{COOKIE}; Max-Age={KEPT_S}; {OF_ANOTHER_SITE}");
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response()
}

/// `DELETE`: takes the cookie back.
pub(super) async fn take_back() -> Response {
    let cookie = format!("{COOKIE}; Max-Age=0; {OF_ANOTHER_SITE}");
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response()
}

fn comes_with_cookie(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(';')).any(|pair| pair.trim() == COOKIE)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_cookie_is_found_among_others() {
        let comes = |cookies: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for cookie in cookies {
                headers.append(header::COOKIE, HeaderValue::from_static(cookie));
            }
            comes_with_cookie(&headers)
        };
        assert!(comes(&[COOKIE]) && comes(&["a=b; tidings-demo-visitor=known; c=d"]));
        assert!(comes(&["a=b", COOKIE]));
        assert!(!comes(&[]) && !comes(&["a=tidings-demo-visitor=known"]));
    }
}
