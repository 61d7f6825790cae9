//! What most Rust programs do: axum's responder over tokio's broadcast channel.

use std::convert::Infallible;
use std::io;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::get;
use axum::serve::ListenerExt;
use axum::{Router, http::StatusCode};
use futures_util::Stream;
use tokio::sync::broadcast;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::BroadcastStream;

/// Serves until it is killed; prints its address.
pub fn serve() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let (events, _) = broadcast::channel(CAPACITY);
        let app = Router::new().route("/events/bench", get(follow).post(publish));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        println!("{}", listener.local_addr()?);
        // As axum's documentation advises: else an event waits for the last one's acknowledgement.
        let listener = listener.tap_io(|socket| {
            let _ = socket.set_nodelay(true);
        });
        axum::serve(listener, app.with_state(events)).await
    })
}

async fn follow(
    State(events): State<broadcast::Sender<String>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    // Who lags behind misses events, which is what the channel is like; the load would count them.
    let events = BroadcastStream::new(events.subscribe()).filter_map(Result::ok);
    Sse::new(events.map(|data| Ok(Event::default().data(data)))).keep_alive(KeepAlive::default())
}

async fn publish(State(events): State<broadcast::Sender<String>>, body: String) -> StatusCode {
    // Without subscribers there is nobody to tell.
    let _ = events.send(body);
    StatusCode::NO_CONTENT
}

/// Far more events than are ever on the way, so that no subscriber lags.
const CAPACITY: usize = 16_384;
