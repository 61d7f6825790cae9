//! `GET /cluster`: the hubs that share the log, and how many subscribers each has.

use axum::{extract::State, response::Response};
use serde::Serialize;

use super::json;
use crate::{hub::Hub, nats::Entry, problem::Problem};

pub(super) async fn cluster(State(hub): State<Hub>) -> Result<Response, Problem> {
    let hubs = match &hub.census {
        Some(census) => census.ask(Vec::new()).await,
        None => vec![hub.entry(&[])],
    };
    let subscribers = hubs.iter().map(|hub| hub.subscribers).sum();
    let this = hub.name.as_str();
    Ok(json(&Cluster { this, subscribers, hubs }))
}

#[derive(Serialize)]
struct Cluster<'a> {
    /// Which of the hubs answers.
    this: &'a str,
    /// Of all hubs that are listed.
    subscribers: usize,
    hubs: Vec<Entry>,
}
