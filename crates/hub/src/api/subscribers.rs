//! `GET /subscribers`: who is subscribed, and who was not long ago, a page at a time.

use std::net::SocketAddr;

use axum::{extract::State, response::Response};
use http::request::Parts;
use serde::Serialize;
use tidings_server::{
    cursor::{Cursor, Offset},
    fanout::{Session, SessionId},
    log::Bounds,
    subscriber_name::SubscriberName,
    topic::Topic,
};

use super::{draft, json};
use crate::{hub::Hub, local, problem::Problem, query};

// Where a topic is asked for, a page looks at so many at most, and may be short or empty though
// there are more.
const SCAN_MAX: usize = 10_000;
// Between two looks others have their turn.
const SCAN_AT_ONCE: usize = 200;

pub(super) async fn subscribers(State(hub): State<Hub>, parts: Parts) -> Result<Response, Problem> {
    local::check(&parts, &hub.access)?;
    let (mut topic, mut after, mut limit) = (None, None, None);
    for (name, value) in query::parameters(parts.uri.query())? {
        match name.as_str() {
            "topic" => {
                query::once(&name, &mut topic, draft::topic(value, &hub.config.limits)?)?;
            }
            "after" => query::once(&name, &mut after, place(&value)?)?,
            "limit" => query::once(&name, &mut limit, query::limit(&name, &value)?)?,
            _ => return Err(Problem::unknown(&name, &["topic", "after", "limit"])),
        }
    }
    let page = page(&hub, topic.as_ref(), after, limit.unwrap_or(query::LIMIT_DEFAULT)).await;
    Ok(json(&page))
}

async fn page(
    hub: &Hub,
    topic: Option<&Topic>,
    mut after: Option<SessionId>,
    limit: usize,
) -> Page {
    let mut subscribers = Vec::new();
    let mut scanned = 0;
    loop {
        let found = hub.fanout.sessions(after.as_ref(), SCAN_AT_ONCE);
        let bounds = hub.log.bounds();
        let is_last = found.len() < SCAN_AT_ONCE;
        for session in &found {
            if subscribers.len() == limit || scanned == SCAN_MAX {
                let next = after.as_ref().map(text);
                return Page { subscribers, next };
            }
            scanned += 1;
            after = Some(session.id.clone());
            if topic.is_none_or(|topic| session.follows(topic, &hub.base).is_some()) {
                subscribers.push(Stream::of(session, bounds));
            }
        }
        if is_last {
            return Page { subscribers, next: None };
        }
        tokio::task::yield_now().await;
    }
}

/// The place between two streams in a page, as `next` spells it.
fn text(id: &SessionId) -> String {
    format!("{}:{}", id.serial, id.name)
}

fn place(text: &str) -> Result<SessionId, Problem> {
    let parsed = text.split_once(':').and_then(|(serial, name)| {
        let name = SubscriberName::new(name).ok()?;
        Some(SessionId { name, serial: serial.parse().ok()? })
    });
    parsed.ok_or_else(|| Problem::invalid("after", "the value is what a page gave as \"next\""))
}

#[derive(Serialize)]
struct Page {
    subscribers: Vec<Stream>,
    /// What to give as `after` for the next page.
    next: Option<String>,
}

/// One stream of a subscriber.
#[derive(Serialize)]
pub(super) struct Stream {
    subscriber: String,
    topics: Vec<String>,
    patterns: Vec<String>,
    state: &'static str,
    /// All that it follows up to here was handed to its connection.
    cursor: Option<String>,
    /// How many offsets that is behind the log's end.
    lag: Option<u64>,
    events: u64,
    bytes: u64,
    opened_ms: u64,
    closed_ms: Option<u64>,
    resumed_after: Option<String>,
    peer: Option<SocketAddr>,
}

impl Stream {
    pub(super) fn of(session: &Session, bounds: Bounds) -> Self {
        Self {
            subscriber: session.id.name.to_string(),
            topics: session.topics.iter().map(Topic::to_string).collect(),
            patterns: session.patterns.iter().map(|pattern| pattern.to_string()).collect(),
            state: session.phase.as_str(),
            cursor: session.cursor.map(|offset| cursor(offset, bounds)),
            lag: session.cursor.map(|offset| lag(offset, bounds)),
            events: session.events,
            bytes: session.bytes,
            opened_ms: session.opened.unix_ms,
            closed_ms: session.closed.map(|closed| closed.at.unix_ms),
            resumed_after: session.resumed_after.as_deref().map(str::to_owned),
            peer: session.peer,
        }
    }
}

pub(super) fn cursor(offset: Offset, bounds: Bounds) -> String {
    Cursor::new(bounds.epoch, offset).to_string()
}

pub(super) fn lag(offset: Offset, bounds: Bounds) -> u64 {
    bounds.last.0.saturating_sub(offset.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_its_text() {
        for name in ["ann-phone", "a:b", ":", "7"] {
            let id = SessionId { name: SubscriberName::new(name).unwrap(), serial: 12 };
            assert_eq!(place(&text(&id)).unwrap(), id);
        }
        for bad in ["", "a", "a:b", "-1:a", "1:", "1:a\nb"] {
            assert!(place(bad).is_err(), "{bad:?}");
        }
    }
}
