//! `GET /topics`: the topics that have events, by name, a page at a time.

use axum::{extract::State, response::Response};
use http::Uri;
use serde::Serialize;
use tidings_server::{cursor::Cursor, log::TopicSummary};

use super::json;
use crate::{hub::Hub, problem::Problem, query};

pub(super) async fn topics(State(hub): State<Hub>, uri: Uri) -> Result<Response, Problem> {
    let mut after = None;
    let mut limit = None;
    for (name, value) in query::parameters(uri.query())? {
        match name.as_str() {
            "after" => query::once(&name, &mut after, value)?,
            "limit" => query::once(&name, &mut limit, query::limit(&name, &value)?)?,
            _ => return Err(Problem::unknown(&name, &["after", "limit"])),
        }
    }
    let limit = limit.unwrap_or(query::LIMIT_DEFAULT);
    // One more than asked for tells whether there is a next page.
    let mut found = hub.log.topics(after.as_deref(), limit + 1);
    let more = found.len() > limit;
    found.truncate(limit);
    let next = if more { found.last().map(|last| last.topic.to_string()) } else { None };
    let epoch = hub.log.bounds().epoch;
    let everywhere = match &hub.census {
        Some(census) => {
            let topics = found.iter().map(|summary| summary.topic.to_string()).collect();
            Some(census.ask(topics).await)
        }
        None => None,
    };
    let topics = found
        .iter()
        .enumerate()
        .map(|(at, summary)| Topic {
            topic: summary.topic.as_str(),
            records: summary.records,
            subscribers: hub.fanout.topic_subscribers(&summary.topic),
            cluster_subscribers: everywhere.as_ref().map(|hubs| {
                hubs.iter().map(|hub| hub.topics.get(at).copied().unwrap_or_default()).sum()
            }),
            last_id: Cursor::new(epoch, summary.last).to_string(),
            ended: summary.ended,
            events_per_second: summary.recent as f64 / TopicSummary::RECENT.as_secs_f64(),
        })
        .collect();
    Ok(json(&Page { topics, next }))
}

#[derive(Serialize)]
struct Page<'a> {
    topics: Vec<Topic<'a>>,
    /// What to give as `after` for the next page.
    next: Option<String>,
}

#[derive(Serialize)]
struct Topic<'a> {
    topic: &'a str,
    records: usize,
    /// Those who follow it by its name, at this hub.
    subscribers: usize,
    /// Those at all hubs that share the log, where several may.
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_subscribers: Option<usize>,
    /// The cursor after its newest event.
    last_id: String,
    ended: bool,
    /// Over the last ten seconds.
    events_per_second: f64,
}
