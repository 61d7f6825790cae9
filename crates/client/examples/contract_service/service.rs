//! The service: its routes, and the streams it follows.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::error::RequestError;
use super::params::{Command, CreateStream};
use super::stream::Stream;

/// What the harness may test besides what the standard asks of every client.
pub const CAPABILITIES: [&str; 10] = [
    "comments",
    "headers",
    "last-event-id",
    "post",
    "report",
    "read-timeout",
    "restart",
    "bom",
    "event-type-listeners",
    "server-directed-shutdown-request",
];

/// Serves until it is told to end with `DELETE /`. Then all streams are closed.
///
/// # Errors
/// The environment's: that of the listener.
pub async fn serve(listener: TcpListener, streams_max: usize) -> io::Result<()> {
    let service = Arc::new(Service {
        streams: Mutex::default(),
        streams_max,
        is_ended: watch::Sender::new(false),
    });
    let mut ended = service.is_ended.subscribe();
    let mut overdue = ended.clone();
    let app = Router::new()
        .route("/", get(status).post(create).delete(end))
        .route("/streams/{id}", post(command).delete(close))
        .with_state(service);
    let serving = axum::serve(listener, app).with_graceful_shutdown(async move {
        let _ = ended.wait_for(|&is_ended| is_ended).await;
    });
    tokio::select! {
        result = async { serving.await } => result,
        // A connection that has begun a request and does not go on holds up nothing.
        () = async {
            let _ = overdue.wait_for(|&is_ended| is_ended).await;
            tokio::time::sleep(DRAIN_TIMEOUT).await;
        } => Ok(()),
    }
}

struct Service {
    streams: Mutex<Streams>,
    streams_max: usize,
    is_ended: watch::Sender<bool>,
}

#[derive(Default)]
struct Streams {
    /// How many there ever were, so that no number comes twice.
    count: u64,
    by_number: HashMap<u64, Stream>,
}

impl Service {
    /// They are left whole even by a panic.
    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn status() -> impl IntoResponse {
    let status = json!({ "capabilities": CAPABILITIES });
    ([(CONTENT_TYPE, "application/json")], status.to_string())
}

async fn create(
    State(service): State<Arc<Service>>,
    body: Bytes,
) -> Result<impl IntoResponse, RequestError> {
    let params: CreateStream = serde_json::from_slice(&body)?;
    let mut streams = service.streams();
    // Asked under the lock, so that none is left over by the end of the service.
    if *service.is_ended.borrow() {
        return Err(RequestError::Ending);
    }
    if streams.by_number.len() >= service.streams_max {
        return Err(RequestError::TooManyStreams { streams_max: service.streams_max });
    }
    let stream = Stream::open(&params)?;
    streams.count += 1;
    let number = streams.count;
    streams.by_number.insert(number, stream);
    Ok((StatusCode::CREATED, [(LOCATION, format!("/streams/{number}"))]))
}

async fn command(
    State(service): State<Arc<Service>>,
    Path(number): Path<String>,
    body: Bytes,
) -> Result<StatusCode, RequestError> {
    let mut streams = service.streams();
    let stream = number.parse().ok().and_then(|number: u64| streams.by_number.get_mut(&number));
    let stream = stream.ok_or(RequestError::UnknownStream)?;
    match serde_json::from_slice(&body)? {
        Command::Listen { listen } => stream.listen(listen.event_type)?,
        Command::Restart => stream.restart(),
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn close(
    State(service): State<Arc<Service>>,
    Path(number): Path<String>,
) -> Result<StatusCode, RequestError> {
    let removed = number.parse().ok().and_then(|number: u64| {
        let mut streams = service.streams();
        streams.by_number.remove(&number)
    });
    removed.ok_or(RequestError::UnknownStream)?.close().await;
    Ok(StatusCode::NO_CONTENT)
}

async fn end(State(service): State<Arc<Service>>) -> StatusCode {
    service.is_ended.send_replace(true);
    let streams = std::mem::take(&mut service.streams().by_number);
    for stream in streams.into_values() {
        stream.close().await;
    }
    StatusCode::NO_CONTENT
}

/// How long the requests under way when the service ends may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
