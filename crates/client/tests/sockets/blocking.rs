//! The source of programs without a runtime.

use std::time::Duration;

use tidings_client::{BuildError, Cause, Commit, ReadyState, Update, blocking};
use tokio::runtime::Runtime;

use crate::peer::updates::quick;
use crate::peer::{Exchange, Peer, soon};

/// A server on threads of its own.
fn start() -> (Runtime, Peer) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let peer = runtime.block_on(Peer::start());
    (runtime, peer)
}

async fn opened(peer: &Peer, events: &str) -> Exchange {
    let mut exchange = peer.accept().await;
    exchange.open().await;
    exchange.send(events).await;
    exchange
}

/// The next message within the usual deadline.
fn message(source: &mut blocking::EventSource) -> String {
    loop {
        match source.next_within(Duration::from_secs(20)).unwrap().expect("it comes in time") {
            Update::Message(message) => return message.data,
            Update::Open(_) | Update::Disconnected(_) => {}
            update => panic!("{update:?}"),
        }
    }
}

#[test]
fn it_is_an_iterator_that_reconnects_and_ends() {
    let (runtime, peer) = start();
    let url = peer.url("/");
    let server = runtime.spawn(async move {
        drop(opened(&peer, "id: 1\ndata: 1\n\ndata: 2\n\n").await);
        let exchange = opened(&peer, "data: 3\n\n").await;
        assert_eq!(exchange.header("last-event-id"), Some("1"));
        drop(exchange);
        peer.accept().await.answer(204, "", "").await;
    });
    let mut told = Vec::new();
    for update in quick(&url).build_blocking().unwrap() {
        told.push(match update {
            Ok(Update::Open(_)) => "open".into(),
            Ok(Update::Message(message)) => message.data,
            Ok(Update::Disconnected(disconnection)) => disconnection.cause.to_string(),
            Ok(update) => panic!("{update:?}"),
            Err(error) => error.to_string(),
        });
    }
    assert_eq!(
        told,
        [
            "open",
            "1",
            "2",
            "the stream ended",
            "open",
            "3",
            "the stream ended",
            "the server answered with status 204, not 200; this is final",
        ]
    );
    runtime.block_on(server).unwrap();
}

#[test]
fn it_waits_no_longer_than_it_is_told() {
    let (runtime, peer) = start();
    let mut source = blocking::EventSource::new(peer.url("/")).unwrap();
    let opening = runtime.spawn(async move { (opened(&peer, "data: 1\n\n").await, peer) });
    assert_eq!(message(&mut source), "1");
    let (mut exchange, peer) = runtime.block_on(opening).unwrap();
    assert_eq!(source.ready_state(), ReadyState::Open);
    assert!(source.next_within(Duration::from_millis(1)).unwrap().is_none());
    assert!(source.next_within(Duration::ZERO).unwrap().is_none());
    assert_eq!(source.ready_state(), ReadyState::Open);
    // What comes later is not lost by having waited in vain.
    runtime.block_on(exchange.send("data: 2\n\n"));
    assert_eq!(message(&mut source), "2");
    source.close();
    source.close();
    assert!(source.next_within(Duration::from_secs(20)).unwrap().is_none());
    assert!(source.next().is_none());
    runtime.block_on(exchange.closed());
    assert!(!runtime.block_on(peer.is_asked()));
}

#[test]
fn closing_it_from_another_thread_ends_the_wait_and_the_connection() {
    let (runtime, peer) = start();
    let mut source = blocking::EventSource::new(peer.url("/")).unwrap();
    let handle = source.handle();
    let waiting = std::thread::spawn(move || {
        let updates = source.by_ref().map(|update| assert!(matches!(update, Ok(Update::Open(_)))));
        assert_eq!(updates.count(), 1);
        source
    });
    let mut exchange = runtime.block_on(opened(&peer, ""));
    runtime.block_on(soon(async {
        while handle.ready_state() != ReadyState::Open {
            tokio::task::yield_now().await;
        }
    }));
    handle.close();
    let source = waiting.join().unwrap();
    // At once, although the source is still there.
    runtime.block_on(exchange.closed());
    assert_eq!(source.ready_state(), ReadyState::Closed);
}

#[test]
fn it_resumes_where_another_got_to() {
    let (runtime, peer) = start();
    let url = peer.url("/");
    let serving = runtime.spawn(async move {
        let first = opened(&peer, "id: 1\ndata: 1\n\nid: 2\ndata: 2\n\n").await;
        let second = opened(&peer, "id: 2\ndata: 2\n\n").await;
        assert_eq!(second.header("last-event-id"), Some("1"));
        (first, second)
    });
    let mut source = quick(&url).commit(Commit::Acknowledged).build_blocking().unwrap();
    let Some(Ok(Update::Open(_))) = source.next() else { panic!() };
    let Some(Ok(Update::Message(first))) = source.next() else { panic!() };
    assert_eq!(message(&mut source), "2");
    source.acknowledge(&first);
    let token = source.resume_token();
    drop(source);
    assert_eq!(message(&mut quick(&url).resume(token).build_blocking().unwrap()), "2");
    runtime.block_on(serving).unwrap();
}

#[test]
fn a_consumer_that_was_busy_finds_what_came_meanwhile() {
    let (runtime, peer) = start();
    let idle_timeout = Duration::from_millis(300);
    let builder = quick(&peer.url("/")).idle_timeout(Some(idle_timeout));
    let mut source = builder.build_blocking().unwrap();
    let opening = runtime.spawn(async move { (opened(&peer, "data: 1\n\n").await, peer) });
    assert_eq!(message(&mut source), "1");
    let (mut exchange, _peer) = runtime.block_on(opening).unwrap();
    for number in ["2", "3"] {
        runtime.block_on(exchange.send(format!("data: {number}\n\n")));
        // What is tested is that this much time passes while nobody looks.
        std::thread::sleep(2 * idle_timeout);
        let update = source.next().unwrap().unwrap();
        assert!(
            matches!(&update, Update::Message(message) if message.data == number),
            "{update:?}"
        );
    }
    // But silence is silence.
    let Some(Ok(Update::Disconnected(disconnection))) = source.next() else { panic!() };
    assert_eq!(disconnection.cause, Cause::Idle { idle_timeout });
}

#[test]
fn it_is_refused_within_asynchronous_code_and_may_be_dropped_there() {
    let (runtime, peer) = start();
    let error = runtime.block_on(async { blocking::EventSource::new(peer.url("/")).unwrap_err() });
    assert!(matches!(error, BuildError::Runtime(_)));
    assert_eq!(
        error.to_string(),
        "the source cannot wait here: it cannot be used within asynchronous code; use build instead"
    );
    let source = blocking::EventSource::new(peer.url("/")).unwrap();
    let mut closed = blocking::EventSource::new(peer.url("/")).unwrap();
    runtime.block_on(async {
        drop(source);
        closed.close();
    });
}
