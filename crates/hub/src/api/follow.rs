//! Following: `GET /events/{topic…}` and `GET /events?topic=…&pattern=…`.

use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, Method, StatusCode, header, request::Parts};
use tidings_server::{
    axum::{LastEventId, SUBSCRIBER, stream_headers, subscriber_header},
    body::StreamBody,
    fanout::{Caller, Subscribe},
    frame::{self, Format},
    matcher::{Filter, Matcher, Pattern},
    subscriber_name::SubscriberName,
    subscription::{OnGap, SubscriptionConfig},
};

use super::{accept, draft, head::Lengthless, topic_of_path};
use crate::{
    access::Grant,
    conn::{MayTakeOver, Takeover},
    held::Held,
    hub::Hub,
    local::Peer,
    problem::{Kind, Problem, jittered},
    query,
};

const PARAMETERS: [&str; 6] =
    ["topic", "pattern", "last_event_id", "on_gap", "cursor", "subscriber"];

/// Opens the stream of the topics and patterns that the request names.
pub(super) async fn follow(
    State(hub): State<Hub>,
    Extension(grant): Extension<Grant>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let (caller, subscribe) = subscribe(&hub, grant, &parts)?;
    let format = subscribe.config.format;
    if hub.fanout.is_over(&subscribe.filter, &subscribe.start).await {
        if parts.method == Method::GET {
            hub.fanout.remember_over(caller, subscribe.filter, &subscribe.start).await;
        }
        return Ok((StatusCode::NO_CONTENT, [(header::CACHE_CONTROL, "no-store")]).into_response());
    }
    if parts.method == Method::HEAD {
        return Ok((stream_headers(format), Body::new(Lengthless)).into_response());
    }
    let headers = &parts.headers;
    if hub.is_leaving() {
        return Ok(come_back(&hub, headers, Kind::Leaving, "the hub is about to stop"));
    }
    let Ok(permit) = hub.streams.clone().try_acquire_owned() else {
        return Ok(come_back(&hub, headers, Kind::Crowded, "too many streams are open"));
    };
    let subscriber = hub.fanout.subscribe_as(caller, subscribe);
    let name = [(SUBSCRIBER, subscriber_header(subscriber.name()))];
    if parts.extensions.get::<MayTakeOver>().is_some() {
        let takeover = Extension(Takeover::new(subscriber, permit));
        let body = Body::new(Lengthless);
        return Ok((takeover, stream_headers(format), name, body).into_response());
    }
    let body = Body::new(Held::new(StreamBody::new(subscriber), permit));
    Ok((stream_headers(format), name, body).into_response())
}

/// Tells a follower to come back later: on an event stream by `retry:` and a close, for an
/// `EventSource` gives up for good on any status but 200.
pub(crate) fn come_back(hub: &Hub, headers: &HeaderMap, kind: Kind, detail: &str) -> Response {
    match accept::format(headers) {
        Ok(Format::EventStream) => {
            let body = frame::refusal(jittered(hub.config.retry));
            (stream_headers(Format::EventStream), body).into_response()
        }
        _ => Problem::new(kind, detail).retry_after(hub.config.retry).into_response(),
    }
}

fn subscribe(hub: &Hub, grant: Grant, parts: &Parts) -> Result<(Caller, Subscribe), Problem> {
    let mut config = SubscriptionConfig {
        format: accept::format(&parts.headers)?,
        retry: hub.config.retry,
        heartbeat: hub.config.heartbeat,
        ..SubscriptionConfig::default()
    };
    let limits = &hub.config.limits;
    let exact = |name| draft::topic(name, limits).map(Matcher::Exact);
    let mut matchers = Vec::new();
    let (mut on_gap, mut cursors, mut name) = (None, None, None);
    if let Some(name) = topic_of_path(parts)? {
        matchers.push(exact(name)?);
    }
    for (field, value) in query::parameters(parts.uri.query())? {
        match field.as_str() {
            "topic" => matchers.push(exact(value)?),
            "pattern" => matchers.push(pattern(hub, &value)?),
            // Given twice, the first counts.
            "last_event_id" => {}
            "on_gap" => {
                let value = match value.as_str() {
                    "oldest" => OnGap::Oldest,
                    "latest" => OnGap::Latest,
                    _ => return Err(Problem::invalid("on_gap", "the value is oldest or latest")),
                };
                query::once(&field, &mut on_gap, value)?;
            }
            "cursor" => query::once(&field, &mut cursors, query::switch(&field, &value)?)?,
            "subscriber" => query::once(&field, &mut name, subscriber_name(value)?)?,
            _ => return Err(Problem::unknown(&field, &PARAMETERS)),
        }
        if matchers.len() > limits.topics_max {
            let rule =
                format!("a subscription has at most {} topics and patterns", limits.topics_max);
            return Err(Problem::invalid("topic", rule));
        }
    }
    config.on_gap = on_gap.unwrap_or(config.on_gap);
    config.cursors = cursors.unwrap_or(config.cursors);
    if matchers.is_empty() {
        let rule = "name at least one topic, in the path or as ?topic=, or a ?pattern=";
        return Err(Problem::invalid("topic", rule));
    }
    // Whatever the id is, it is no reason for a refusal: the stream tells of a gap if it cannot
    // be placed.
    let start = LastEventId::of(&parts.headers, parts.uri.query()).into_start();
    let peer = parts.extensions.get().map(|Peer(address)| *address);
    let filter = grant.see(Filter::new(matchers));
    Ok((Caller { name, peer }, Subscribe { filter, start, config }))
}

/// The name of a subscriber.
pub(super) fn subscriber_name(name: String) -> Result<SubscriberName, Problem> {
    SubscriberName::new(name).map_err(|error| Problem::invalid("subscriber", error))
}

fn pattern(hub: &Hub, source: &str) -> Result<Matcher, Problem> {
    let bytes_max = hub.config.limits.topic_bytes_max;
    if source.is_empty() || source.len() > bytes_max {
        let rule = format!("a pattern has from 1 to {bytes_max} bytes");
        return Err(Problem::invalid("pattern", rule));
    }
    let pattern = Pattern::parse(source, &hub.base);
    pattern.map(Matcher::Pattern).map_err(|error| Problem::invalid("pattern", error))
}
