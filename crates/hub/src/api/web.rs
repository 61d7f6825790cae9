//! The console: pages that are part of the program.

use axum::response::{IntoResponse, Response};
use http::{header, request::Parts};

// No script, style or connection but the hub's own, and no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' \
                      data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! script {
    ($name:literal) => {
        (
            concat!("console/", $name, ".js"),
            SCRIPT,
            include_str!(concat!("../../../../web/console/", $name, ".js")),
        )
    };
}

/// What lies below `/assets/`: the path, its content type and its text.
const ASSETS: &[(&str, &str, &str)] = &[
    ("style.css", CSS, include_str!("../../../../web/style.css")),
    ("console.css", CSS, include_str!("../../../../web/console.css")),
    script!("ask"),
    script!("chart"),
    script!("code"),
    script!("connection"),
    script!("draw"),
    script!("element"),
    script!("following"),
    script!("gap"),
    script!("history"),
    script!("intro"),
    script!("list"),
    script!("main"),
    script!("pairing"),
    script!("publish"),
    script!("query"),
    script!("row"),
    script!("second"),
    script!("subscribers"),
    script!("table"),
    script!("tabs"),
    script!("topics"),
    script!("why"),
];

pub(super) async fn index() -> Response {
    page(HTML, include_str!("../../../../web/index.html"))
}

pub(super) async fn asset(parts: Parts) -> Response {
    let path = parts.uri.path().strip_prefix("/assets/").unwrap_or_default();
    match ASSETS.iter().find(|(known, ..)| *known == path) {
        Some((_, content_type, text)) => page(content_type, text),
        None => super::not_found(parts).await.into_response(),
    }
}

fn page(content_type: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, text).into_response()
}
