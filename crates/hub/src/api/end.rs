//! Ending a topic: `DELETE /events/{topic…}`.

use axum::{
    extract::{Request, State},
    response::Response,
};
use serde_json::json;
use tidings_server::{
    cursor::Cursor,
    matcher::{Filter, Matcher},
    record::{Kind, NewRecord},
};

use super::{
    draft, json, key,
    publish::{Origin, append},
    topic_of_path,
};
use crate::{hub::Hub, problem::Problem, query};

/// Ends the topic in the path: its subscribers get what is left, and their streams close.
///
/// Ending a topic that has ended changes nothing, and is answered with where it did.
pub(super) async fn end(State(hub): State<Hub>, request: Request) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    if let Some((name, _)) = query::parameters(parts.uri.query())?.first() {
        return Err(Problem::unknown(name, &["none: the path names the topic"]));
    }
    let topic = draft::topic(topic_of_path(&parts)?.unwrap_or_default(), &hub.config.limits)?;
    let mut mark = NewRecord::mark(Kind::Ended, topic.clone());
    let key = key::of_header(&parts.headers)?;
    match key {
        Some(key) => mark = mark.once(key),
        None => {
            let filter = Filter::new([Matcher::Exact(topic)]);
            if let Some(offset) = hub.log.ended(&filter) {
                let epoch = hub.log.bounds().epoch;
                return Ok(json(&json!({ "id": Cursor::new(epoch, offset).to_string() })));
            }
        }
    }
    let origin = Origin::Request;
    let claim = origin.claim(&hub, [key])?;
    let ids = append(&hub, vec![mark], &origin).await?;
    drop(claim);
    Ok(json(&json!({ "id": ids[0] })))
}
