//! The page of the demos, and the code that it shows and runs.

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header, request::Parts};

use crate::{
    access::authority,
    api,
    hub::Hub,
    problem::{Kind, Problem},
};

macro_rules! assets {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../../../web/demos/", $name))),)*]
    };
}

const ASSETS: &[(&str, &str)] = assets! {
    "clock.js" "list.js" "heartbeat.js" "chat.js" "counter.js" "feed.js" "visitor.js" "talk.js"
    "page/main.js" "page/card.js" "page/streams.js" "page/code.js" "page/ask.js"
    "page/stages.js" "page/stages-more.js"
};

/// `GET /demos`.
pub(super) async fn page(State(hub): State<Hub>, parts: Parts) -> Result<Response, Problem> {
    let mut response = api::page(HTML, include_str!("../../../../web/demos.html"));
    // The follower of another origin needs to connect there.
    let own = authority(&parts)?;
    let neighbour = hub.demo.as_ref().and_then(|demo| demo.neighbours.neighbour_of(&own));
    if let Some(neighbour) = neighbour
        && let Some(policy) = response.headers_mut().get_mut(header::CONTENT_SECURITY_POLICY)
        && let Ok(text) = policy.to_str()
    {
        let wider = text.replace("connect-src 'self'", &format!("connect-src 'self' {neighbour}"));
        *policy = HeaderValue::try_from(wider).unwrap_or_else(|_| policy.clone());
    }
    Ok(response)
}

/// `GET /demos` while the demos are off: how to switch them on.
pub(super) async fn off() -> Response {
    api::page(HTML, include_str!("../../../../web/demos-off.html"))
}

/// `GET /assets/demos/{file}`.
pub(super) async fn asset(Path(file): Path<String>) -> Response {
    if file == "demos.css" {
        return api::page("text/css; charset=utf-8", include_str!("../../../../web/demos.css"));
    }
    match ASSETS.iter().find(|(name, _)| *name == file) {
        Some((_, text)) => api::page("text/javascript; charset=utf-8", text),
        None => Problem::new(Kind::NotFound, "the demos have no such file").into_response(),
    }
}

const HTML: &str = "text/html; charset=utf-8";
