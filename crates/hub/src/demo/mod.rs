//! The demos: the page at `/demos`, and what it needs of the hub beside plain topics.
//!
//! ```text
//! beat ──► demo/clock, demo/heartbeat          the hub publishes, while somebody follows
//! page ──► demo/list, demo/news, demo/chat …   the page publishes, as any back end would
//!
//! /demo/counter   a classic server written by hand, which knows no log
//! /demo/visitor   the same, for pages of the hub's other loopback name
//! ```
//!
//! All topics of the demos are below `demo/`, away from the operator's own.

mod beat;
mod counter;
mod page;
mod stream;
mod visitor;

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    response::Response,
    routing::{get, post},
};
use http::request::Parts;
use serde_json::json;

use crate::{
    access::{authority, neighbour},
    api,
    hub::Hub,
    problem::Problem,
};

/// What the demos share: the heartbeat, which whoever sees the page may pause.
#[derive(Debug, Clone, Default)]
pub(crate) struct Demo {
    heartbeat: Arc<beat::Pause>,
}

impl Demo {
    /// The page, and if the demos run what it needs.
    pub(crate) fn routes(&self, hub: &Hub) -> Router<Hub> {
        if !hub.config.demo {
            return Router::new().route("/demos", get(page::off));
        }
        Router::new()
            .route("/demos", get(page::page))
            .route("/demo", get(facts))
            .route("/demo/heartbeat/pause", post(pause).with_state(self.clone()))
            .route("/demo/counter", get(counter::count))
            .route(neighbour::VISITOR, get(visitor::follow))
            .route(neighbour::VISITOR_OF_ANYONE, get(visitor::follow))
            .route(neighbour::COOKIE, post(visitor::hand_out).delete(visitor::take_back))
    }
}

/// What the page cannot know: which other origin this hub has, as seen from the page's.
async fn facts(State(hub): State<Hub>, parts: Parts) -> Result<Response, Problem> {
    let neighbour = hub.access.neighbour_of(&authority(&parts)?);
    Ok(api::json(&json!({ "neighbour": neighbour })))
}

/// Keeps the heartbeat from beating for a while, so that one sees what silence looks like.
async fn pause(State(demo): State<Demo>) -> Response {
    demo.heartbeat.begin();
    api::json(&json!({ "pause_ms": beat::PAUSE.as_millis() as u64 }))
}
