//! Publishing: `POST /events/{topic…}` for one event, `POST /events` for a batch; either for a
//! stream, which its content type tells.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{Uri, request::Parts};
use serde_json::json;
use tidings_server::{
    cursor::Cursor,
    idempotency::Key,
    log::{AppendError, Appended, Batch, Taken},
    matcher::{Filter, Matcher},
    record::{self, NewRecord},
    topic::Topic,
};

use super::{
    batch::{self, Lines},
    body, content_type,
    draft::Draft,
    json, key, stream, topic_of_path,
};
use crate::{
    hub::Hub,
    problem::{Kind, Problem},
    query,
    under_way::Claim,
};

const EVENT_STREAM: &str = "text/event-stream";
const JSON_LINES: &str = "application/x-ndjson";
const PARAMETERS: [&str; 6] = ["event", "id", "retry", "topic", "private", "ephemeral"];

/// Publishes one event: the body is its data.
pub(super) async fn event(State(hub): State<Hub>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let answer = async {
        match content_type(&parts.headers).as_str() {
            EVENT_STREAM => return stream::publish(&hub, parts, body).await,
            JSON_LINES => {
                let detail = "a batch goes to /events, where each line names its topic; to \
                              publish JSON lines as the data of one event, give another type";
                return Err(Problem::new(Kind::ContentType, detail).of("Content-Type"));
            }
            _ => {}
        }
        let mut draft = draft(&parts)?;
        let origin = Origin::Request;
        let claim = origin.claim(&hub, [draft.key])?;
        let received = body::receive(&hub, body).await?;
        draft.data = text(received.bytes, "data")?;
        let record = draft.check(&hub.config.limits)?;
        let ids = append(&hub, vec![record], &origin).await?;
        drop((received.share, claim));
        Ok(json(&json!({ "id": ids[0] })))
    };
    counted(&hub, answer.await)
}

/// Publishes a batch, all of it or none: a line an event.
pub(super) async fn batch(State(hub): State<Hub>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let answer = async {
        match content_type(&parts.headers).as_str() {
            EVENT_STREAM => return stream::publish(&hub, parts, body).await,
            JSON_LINES => {}
            _ => {
                let detail = "a batch is sent as application/x-ndjson, and a stream as \
                              text/event-stream; a single event goes to /events/{topic}";
                return Err(Problem::new(Kind::ContentType, detail).of("Content-Type"));
            }
        }
        if let Some((name, _)) = query::parameters(parts.uri.query())?.first() {
            return Err(Problem::unknown(name, &["none: the lines of the body say it all"]));
        }
        if parts.headers.contains_key(key::HEADER) {
            let rule = format!("in a batch, each line has a key of its own, as {:?}", key::MEMBER);
            return Err(Problem::invalid(key::HEADER, rule));
        }
        let received = body::receive(&hub, body).await?;
        let Lines { records, numbers } =
            batch::lines(&text(received.bytes, "body")?, &hub.config.limits)?;
        let origin = Origin::Lines(numbers);
        let claim = origin.claim(&hub, records.iter().map(NewRecord::key))?;
        let ids = append(&hub, records, &origin).await?;
        drop((received.share, claim));
        Ok(json(&json!({ "ids": ids })))
    };
    counted(&hub, answer.await)
}

/// Where the events of a request are written.
pub(super) enum Origin {
    /// A single one: the request itself.
    Request,
    /// A batch: the lines of these numbers.
    Lines(Vec<usize>),
}

impl Origin {
    /// Claims the keys of the records, until the claim is dropped.
    pub(super) fn claim(
        &self,
        hub: &Hub,
        keys: impl IntoIterator<Item = Option<Key>>,
    ) -> Result<Claim, Problem> {
        hub.under_way.claim(keys).map_err(|record| self.blame(record, under_way()))
    }

    /// Says that the problem is the key of the record `record`.
    fn blame(&self, record: usize, problem: Problem) -> Problem {
        match self {
            Self::Request => problem.of(key::HEADER),
            Self::Lines(numbers) => {
                problem.of(key::MEMBER).on_line(numbers.get(record).copied().unwrap_or_default())
            }
        }
    }
}

/// A key is under way.
pub(super) fn under_way() -> Problem {
    let detail = "a publish with this idempotency key is under way";
    Problem::new(Kind::KeyUnderWay, detail).retry_after(UNDER_WAY_RETRY)
}

// Longer than nearly every publish takes.
const UNDER_WAY_RETRY: Duration = Duration::from_secs(1);

fn draft(parts: &Parts) -> Result<Draft, Problem> {
    let mut draft = Draft {
        topics: Vec::from_iter(topic_of_path(parts)?),
        key: key::of_header(&parts.headers)?,
        ..Draft::default()
    };
    parameters(&parts.uri, &mut draft)?;
    Ok(draft)
}

pub(super) fn parameters(uri: &Uri, draft: &mut Draft) -> Result<(), Problem> {
    let (mut private, mut ephemeral) = (None, None);
    for (name, value) in query::parameters(uri.query())? {
        match name.as_str() {
            "event" => query::once(&name, &mut draft.event, value)?,
            "id" => query::once(&name, &mut draft.id, value)?,
            "retry" => {
                let ms = value.parse().map_err(|_| {
                    Problem::invalid("retry", "a whole number of milliseconds in digits")
                })?;
                query::once(&name, &mut draft.retry_ms, ms)?;
            }
            "topic" => draft.topics.push(value),
            "private" => query::once(&name, &mut private, query::switch(&name, &value)?)?,
            "ephemeral" => query::once(&name, &mut ephemeral, query::switch(&name, &value)?)?,
            _ => return Err(Problem::unknown(&name, &PARAMETERS)),
        }
    }
    draft.private = private.unwrap_or(false);
    draft.ephemeral = ephemeral.unwrap_or(false);
    Ok(())
}

fn text(bytes: Vec<u8>, field: &str) -> Result<String, Problem> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let detail = format!("{field}: not UTF-8 at byte {at}; encode binary data, as base64 does");
        Problem::new(Kind::Malformed, detail).of(field)
    })
}

/// Appends the records and answers their ids, once they are durable. Ephemeral events have none.
pub(super) async fn append(
    hub: &Hub,
    records: Vec<NewRecord>,
    origin: &Origin,
) -> Result<Vec<Option<String>>, Problem> {
    let given: Vec<_> =
        records.iter().map(|record| record.id.as_ref().map(|id| id.as_str().to_owned())).collect();
    let appended = take(hub, records).await.map_err(|error| match error {
        AppendError::KeyReused { record } => origin.blame(record, error.into()),
        error => error.into(),
    })?;
    let cursor = |taken: &Taken| {
        taken.offset().map(|offset| Cursor::new(appended.epoch, offset).to_string())
    };
    let records = given.into_iter().zip(&appended.records);
    Ok(records.map(|(id, taken)| id.or_else(|| cursor(taken))).collect())
}

/// Has the log take the records, and counts what it took.
///
/// Topics of ephemeral events that have ended are opened in the same batch, as any publish does it:
/// an event that is not kept cannot do so by itself.
pub(crate) async fn take(hub: &Hub, mut records: Vec<NewRecord>) -> Result<Appended, AppendError> {
    let marks = openings(hub, &records);
    let openings = marks.len();
    // Nearly always there are none, and then no record is moved.
    records.splice(0..0, marks);
    let started = Instant::now();
    let appended = hub.log.append(Batch::new(records)).await;
    let mut appended = appended.map_err(|error| match error {
        AppendError::KeyReused { record } => {
            AppendError::KeyReused { record: record.saturating_sub(openings) }
        }
        error => {
            // Overload and a latched log refuse every publish: the metrics count them, and the
            // supervisor has told of the cause.
            if error.is_retryable() {
                tracing::debug!(%error, "a publish was not acknowledged");
            } else {
                tracing::warn!(%error, "a publish was not acknowledged");
            }
            error
        }
    })?;
    appended.records.drain(..openings);
    hub.metrics.appended(&appended, started.elapsed());
    Ok(appended)
}

fn openings(hub: &Hub, records: &[NewRecord]) -> Vec<NewRecord> {
    let ephemeral = records.iter().filter(|record| record.kind == record::Kind::Ephemeral);
    let topics: HashSet<_> = ephemeral.flat_map(|record| &record.topics).collect();
    let has_ended =
        |topic: &&Topic| hub.log.ended(&Filter::new([Matcher::Exact((*topic).clone())])).is_some();
    let ended = topics.into_iter().filter(has_ended);
    ended.map(|topic| NewRecord::mark(record::Kind::Opened, topic.clone())).collect()
}

fn counted(hub: &Hub, answer: Result<Response, Problem>) -> Response {
    hub.metrics.published(answer.as_ref().map_or_else(|problem| problem.kind.slug(), |_| "ok"));
    answer.unwrap_or_else(IntoResponse::into_response)
}
