//! The console: pages that are part of the program.

use axum::response::{IntoResponse, Response};
use http::header;

// No script, style or connection but the hub's own, and no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' \
                      data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

pub(super) async fn index() -> Response {
    page("text/html; charset=utf-8", include_str!("../../../../web/index.html"))
}

pub(super) async fn script() -> Response {
    page("text/javascript; charset=utf-8", include_str!("../../../../web/app.js"))
}

pub(super) async fn style() -> Response {
    page("text/css; charset=utf-8", include_str!("../../../../web/style.css"))
}

pub(crate) fn page(content_type: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, text).into_response()
}
