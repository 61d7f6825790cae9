//! What a source delivers, awaited with a deadline.

use std::future::Future;
use std::time::Duration;

use tidings_client::{Builder, Cause, Error, EventSource, Message, Policy, ReadyState, Update};

use super::soon;

/// The next update but comments and changes of the reconnection time.
pub async fn next(source: &mut EventSource) -> Update {
    loop {
        match soon(source.next()).await.expect("the source is not closed").expect("no refusal") {
            Update::Comment(_) | Update::Retry(_) => {}
            update => return update,
        }
    }
}

pub async fn open(source: &mut EventSource) {
    let update = next(source).await;
    assert!(matches!(update, Update::Open(_)), "{update:?}");
    assert_eq!(source.ready_state(), ReadyState::Open);
}

pub async fn message(source: &mut EventSource) -> Message {
    match next(source).await {
        Update::Message(message) => message,
        update => panic!("{update:?} is not a message"),
    }
}

pub async fn disconnected(source: &mut EventSource) -> (Cause, Duration) {
    match next(source).await {
        Update::Disconnected(disconnection) => {
            assert_eq!(source.ready_state(), ReadyState::Connecting);
            let of_network = matches!(disconnection.cause, Cause::Network | Cause::Unreachable);
            assert_eq!(disconnection.network.is_some(), of_network);
            (disconnection.cause, disconnection.delay)
        }
        update => panic!("{update:?} is not a disconnection"),
    }
}

/// The error that ends the source.
pub async fn failed(source: &mut EventSource) -> Error {
    let error = soon(source.next()).await.unwrap().unwrap_err();
    assert_eq!(source.ready_state(), ReadyState::Closed);
    assert!(soon(source.next()).await.is_none());
    error
}

/// Connects again soon, so that the tests do not take long.
pub fn quick(url: &str) -> Builder {
    let policy = Policy { reconnection_time: Duration::from_millis(1), ..Policy::strict() };
    EventSource::builder(url).reconnect(Policy { reconnection_time_min: Duration::ZERO, ..policy })
}

/// Runs the client's and the server's part of a test side by side.
pub async fn both<C: Future, S: Future>(client: C, server: S) -> (C::Output, S::Output) {
    tokio::join!(client, server)
}
