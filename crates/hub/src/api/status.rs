//! How the hub is: `/healthz`, `/readyz`, `/metrics`; and what its problems mean: `/problems`.

use axum::{
    extract::{Path, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use http::header;

use crate::{
    hub::Hub,
    metrics::Metrics,
    problem::{Kind, Problem},
};

/// The process lives and answers.
pub(super) async fn healthz() -> Response {
    text("ok\n".into())
}

/// The hub takes events and subscribers.
pub(super) async fn readyz(State(hub): State<Hub>) -> Result<Response, Problem> {
    let retry = hub.config.retry;
    if hub.is_leaving() {
        return Err(Problem::new(Kind::Leaving, "the hub is about to stop").retry_after(retry));
    }
    if hub.log.state().latched.is_some() {
        let detail = "the log takes no events: a write failed, or NATS is away";
        return Err(Problem::new(Kind::LogAway, detail).retry_after(retry));
    }
    Ok(text("ready\n".into()))
}

pub(super) async fn metrics(State(hub): State<Hub>) -> Response {
    ([(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)], hub.metrics.encode()).into_response()
}

/// What each kind of problem means, for people.
pub(super) async fn problems() -> Response {
    text(Kind::ALL.map(Kind::page).join("\n"))
}

pub(super) async fn problem(
    slug: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let named = |kind: &Kind| slug.as_ref().is_ok_and(|slug| slug.as_str() == kind.slug());
    let kind = Kind::ALL.into_iter().find(named).ok_or_else(|| {
        Problem::new(Kind::NotFound, "no problem has this name; all are at /problems")
    })?;
    Ok(text(kind.page()))
}

fn text(body: String) -> Response {
    let headers =
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (headers, body).into_response()
}
