//! The page of the demos.

use axum::{extract::State, response::Response};
use http::request::Parts;

use crate::{access::authority, hub::Hub, problem::Problem, web};

/// `GET /demos`. The follower of another origin needs to connect there.
pub(super) async fn page(State(hub): State<Hub>, parts: Parts) -> Result<Response, Problem> {
    let neighbour = hub.access.neighbour_of(&authority(&parts)?);
    let html = include_str!("../../../../web/demos.html");
    Ok(web::page_connecting_to(neighbour.as_deref(), html))
}

/// `GET /demos` while the demos are off: how to switch them on.
pub(super) async fn off() -> Response {
    web::page(include_str!("../../../../web/demos-off.html"))
}
