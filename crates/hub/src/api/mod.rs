//! The HTTP API: from a request to its answer.

mod accept;
mod batch;
mod body;
mod cluster;
mod delivery;
mod draft;
mod end;
mod explanation;
mod follow;
mod head;
mod key;
mod openapi;
mod publish;
mod status;
mod stream;
mod subscribers;
mod topics;
mod verdict;

use axum::{
    Router,
    extract::Request,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};
use serde::Serialize;
use tower::ServiceExt as _;

use crate::{
    access::{Grant, Visitor},
    cors,
    hub::Hub,
    problem::{Kind, Problem},
    web,
};

pub(crate) use self::{follow::come_back, publish::take};

/// All that the hub offers, and beside it what the demos do.
pub(crate) fn router(hub: Hub, demos: Router<Hub>) -> Router {
    let topic = get(follow::follow).post(publish::event).delete(end::end);
    let mut router = Router::new()
        .route("/events", get(follow::follow).post(publish::batch))
        .route("/events/", topic.clone())
        .route("/events/{*topic}", topic)
        .route("/topics", get(topics::topics))
        .route("/cluster", get(cluster::cluster))
        .route("/subscribers", get(subscribers::subscribers))
        .route("/debug/delivery", get(delivery::delivery))
        .route("/healthz", get(status::healthz))
        .route("/readyz", get(status::readyz))
        .route("/problems", get(status::problems))
        .route("/problems/{slug}", get(status::problem))
        .route("/openapi.json", get(openapi::description))
        .route("/", get(console))
        .route("/assets/{*path}", get(asset))
        .merge(demos);
    if hub.config.metrics {
        router = router.route("/metrics", get(status::metrics));
    }
    router.fallback(not_found).method_not_allowed_fallback(method_not_allowed).with_state(hub)
}

/// Answers a request, whatever it asks for: access first, then CORS, then what it is about.
pub(crate) async fn answer(hub: &Hub, router: Router, request: Request, crowded: bool) -> Response {
    let (mut parts, body) = request.into_parts();
    let visitor = match hub.access.check(&parts) {
        Ok(visitor) => visitor,
        Err(problem) => {
            let mut response = problem.into_response();
            cors::permit(&Visitor::Own, response.headers_mut());
            return response;
        }
    };
    let mut response = if let Some(preflight) = cors::preflight(&parts) {
        preflight
    } else if crowded {
        turn_away(hub, &parts)
    } else {
        parts.extensions.insert(Grant);
        let method = parts.method.clone();
        // Infallible: a router answers everything.
        let Ok(mut response) = router.oneshot(Request::from_parts(parts, body)).await;
        allow_options(response.headers_mut());
        match method {
            Method::OPTIONS => allowed(response),
            Method::HEAD => head::without_length(response),
            _ => response,
        }
    };
    cors::permit(&visitor, response.headers_mut());
    response
}

/// The answer to a request on a connection that is one too many.
fn turn_away(hub: &Hub, parts: &Parts) -> Response {
    let path = parts.uri.path();
    let is_stream =
        path == "/events" || ["/events/", "/demo/"].iter().any(|own| path.starts_with(own));
    let detail = "too many connections are open";
    if parts.method == Method::GET && is_stream {
        return follow::come_back(hub, &parts.headers, Kind::Crowded, detail);
    }
    Problem::new(Kind::Crowded, detail).retry_after(hub.config.retry).into_response()
}

/// Adds OPTIONS, which is answered everywhere, to the methods that the router names in a refusal.
fn allow_options(headers: &mut HeaderMap) {
    if let Some(allow) = headers.get_mut(header::ALLOW)
        && let Ok(more) = HeaderValue::try_from([allow.as_bytes(), b",OPTIONS"].concat())
    {
        *allow = more;
    }
}

/// Turns the router's refusal of OPTIONS, which names the methods, into an answer.
fn allowed(refusal: Response) -> Response {
    if refusal.status() != StatusCode::METHOD_NOT_ALLOWED {
        return refusal;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    let allow = refusal.headers().get(header::ALLOW);
    response.headers_mut().extend(allow.map(|allow| (header::ALLOW, allow.clone())));
    response
}

async fn console() -> Response {
    web::page(include_str!("../../../../web/index.html"))
}

async fn asset(parts: Parts) -> Response {
    let path = parts.uri.path().strip_prefix("/assets/").unwrap_or_default();
    match web::asset(path) {
        Some(file) => file,
        None => not_found(parts).await.into_response(),
    }
}

async fn not_found(parts: Parts) -> Problem {
    let detail = match parts.uri.path().trim_start_matches('/') {
        rest if rest.starts_with("demo/") => {
            "the demos have no such part, or are off (option --no-demo)".to_owned()
        }
        "metrics" => "metrics are switched off (option --metrics)".to_owned(),
        _ => "there is nothing here: the console is at /, the demos are at /demos, and the events \
              of a topic at /events/{topic}"
            .to_owned(),
    };
    Problem::new(Kind::NotFound, detail)
}

async fn method_not_allowed(method: Method) -> Problem {
    let detail = match method {
        Method::DELETE => {
            "DELETE is not offered here; it ends a topic at /events/{topic}".to_owned()
        }
        Method::PUT => "PUT is not offered here; events are published with POST".to_owned(),
        method => format!("{method} is not offered here"),
    };
    Problem::new(Kind::MethodNotAllowed, detail)
}

/// The topic that the path of `/events/{topic…}` names, if it names one.
fn topic_of_path(parts: &Parts) -> Result<Option<String>, Problem> {
    let topic = parts.uri.path().strip_prefix("/events/");
    topic.map(|topic| crate::query::decode(topic, "topic")).transpose()
}

/// The media type of the body without its parameters, in lower case.
fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next()).unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

pub(crate) fn json(body: &impl Serialize) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    // With a line end, for those who read it in a terminal.
    (headers, serde_json::to_string(body).unwrap_or_default() + "\n").into_response()
}
