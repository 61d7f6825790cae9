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
mod neighbour;
mod page;
mod stream;
mod visitor;

use std::net::SocketAddr;

use axum::{
    Router,
    extract::State,
    response::Response,
    routing::{get, post},
};
use http::request::Parts;
use serde_json::json;

pub(crate) use self::{beat::run, neighbour::Neighbours};
use crate::{access::authority, api, config::Config, hub::Hub, problem::Problem};

/// What the demos share, if they run.
#[derive(Debug)]
pub(crate) struct Demo {
    heartbeat: beat::Pause,
    neighbours: Neighbours,
}

impl Demo {
    /// `address` is the one that is listened on, with its actual port.
    pub(crate) fn new(config: &Config, address: SocketAddr) -> Option<Self> {
        let heartbeat = beat::Pause::default();
        config.demo.then(|| Self { heartbeat, neighbours: Neighbours::of(address) })
    }

    pub(crate) fn neighbours(&self) -> Neighbours {
        self.neighbours
    }
}

/// Adds the page, and if the demos run what it needs.
pub(crate) fn routes(router: Router<Hub>, hub: &Hub) -> Router<Hub> {
    let router = router.route("/assets/demos/{*file}", get(page::asset));
    if hub.demo.is_none() {
        return router.route("/demos", get(page::off));
    }
    router
        .route("/demos", get(page::page))
        .route("/demo", get(facts))
        .route("/demo/heartbeat/pause", post(pause))
        .route("/demo/counter", get(counter::count))
        .route(neighbour::VISITOR, get(visitor::follow))
        .route(neighbour::VISITOR_OF_ANYONE, get(visitor::follow))
        .route(neighbour::COOKIE, post(visitor::hand_out).delete(visitor::take_back))
}

/// What the page cannot know: which other origin this hub has, as seen from the page's.
async fn facts(State(hub): State<Hub>, parts: Parts) -> Result<Response, Problem> {
    let authority = authority(&parts)?;
    let neighbour = hub.demo.as_ref().and_then(|demo| demo.neighbours.neighbour_of(&authority));
    Ok(api::json(&json!({ "neighbour": neighbour })))
}

/// Keeps the heartbeat from beating for a while, so that one sees what silence looks like.
async fn pause(State(hub): State<Hub>) -> Response {
    if let Some(demo) = &hub.demo {
        demo.heartbeat.begin();
    }
    api::json(&json!({ "pause_ms": beat::PAUSE.as_millis() as u64 }))
}
