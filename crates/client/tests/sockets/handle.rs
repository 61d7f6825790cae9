//! A source is closed, reconnected and looked at from elsewhere.

use std::future::pending;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tidings_client::{Cause, EventSource, Handle, ReadyState, Update};
use tokio::sync::{mpsc, oneshot};

use crate::peer::updates::{both, disconnected, message, open, quick};
use crate::peer::{Peer, soon};

/// Says when it is dropped.
struct Dropped(Option<oneshot::Sender<()>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.take().unwrap().send(());
    }
}

#[tokio::test]
async fn closing_from_another_task_ends_the_run_and_the_connection() {
    let peer = Peer::start().await;
    let source = EventSource::new(peer.url("/")).unwrap();
    let handle = source.handle();
    let (opened, is_open) = oneshot::channel();
    let mut opened = Some(opened);
    handle.on_open(move |_| opened.take().unwrap().send(()).unwrap());
    let running = tokio::spawn(source.run());
    let mut exchange = peer.accept().await;
    assert_eq!(handle.ready_state(), ReadyState::Connecting);
    exchange.open().await;
    soon(is_open).await.unwrap();
    assert_eq!(handle.ready_state(), ReadyState::Open);
    handle.close();
    assert_eq!(handle.ready_state(), ReadyState::Closed);
    handle.clone().close();
    soon(running).await.unwrap().unwrap();
    exchange.closed().await;
    assert!(!peer.is_asked().await);
}

#[tokio::test]
async fn closing_ends_a_request_that_has_no_answer() {
    let peer = Peer::start().await;
    let source = EventSource::new(peer.url("/")).unwrap();
    let handle = source.handle();
    let running = tokio::spawn(source.run());
    let mut exchange = peer.accept().await;
    handle.close();
    soon(running).await.unwrap().unwrap();
    exchange.closed().await;
}

#[tokio::test]
async fn closing_ends_the_wait_for_the_next_attempt() {
    let peer = Peer::start().await;
    let source = EventSource::new(peer.url("/")).unwrap();
    let handle = source.handle();
    let (lost, is_lost) = oneshot::channel();
    let mut lost = Some(lost);
    handle.on_error(move |_| lost.take().unwrap().send(()).unwrap());
    let running = tokio::spawn(source.run());
    let mut exchange = peer.accept().await;
    exchange.open().await;
    // For longer than the test waits.
    exchange.send("retry: 3600000\n").await;
    drop(exchange);
    soon(is_lost).await.unwrap();
    assert_eq!(handle.ready_state(), ReadyState::Connecting);
    handle.close();
    soon(running).await.unwrap().unwrap();
}

#[tokio::test]
async fn closing_ends_a_hook_that_hangs() {
    let peer = Peer::start().await;
    let (started, mut is_started) = mpsc::channel(1);
    let (dropped, is_dropped) = oneshot::channel();
    let mut dropped = Some(Dropped(Some(dropped)));
    let source = EventSource::builder(peer.url("/"))
        .on_request(move |attempt| {
            let (started, dropped) = (started.clone(), dropped.take());
            async move {
                started.send(()).await?;
                pending::<()>().await;
                drop(dropped);
                Ok(attempt.request)
            }
        })
        .build()
        .unwrap();
    let handle = source.handle();
    let running = tokio::spawn(source.run());
    soon(is_started.recv()).await.unwrap();
    handle.close();
    soon(running).await.unwrap().unwrap();
    soon(is_dropped).await.unwrap();
    assert!(!peer.is_asked().await);
}

#[tokio::test]
async fn a_hook_that_closes_the_source_makes_no_request() {
    for is_error in [false, true] {
        let peer = Peer::start().await;
        let handle: Arc<OnceLock<Handle>> = Arc::default();
        let mut source = EventSource::builder(peer.url("/"))
            .on_request({
                let handle = Arc::clone(&handle);
                move |attempt| {
                    handle.get().unwrap().close();
                    async move { if is_error { Err("no more".into()) } else { Ok(attempt.request) } }
                }
            })
            .build()
            .unwrap();
        handle.set(source.handle()).unwrap();
        source.handle().on_error(|dispatch| panic!("{dispatch:?} after the close"));
        assert!(soon(source.next()).await.is_none());
        assert_eq!(source.ready_state(), ReadyState::Closed);
        assert!(!peer.is_asked().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_stops_a_flood() {
    let peer = Peer::start().await;
    let source = EventSource::new(peer.url("/")).unwrap();
    let handle = source.handle();
    let (heard, is_heard) = oneshot::channel();
    let mut heard = Some(heard);
    handle.add_event_listener("message", move |_| {
        if let Some(heard) = heard.take() {
            heard.send(()).unwrap();
        }
    });
    let running = tokio::spawn(source.run());
    let mut exchange = peer.accept().await;
    exchange.open().await;
    let flood = async { exchange.send_until_closed(&"data: x\n\n".repeat(1_000)).await };
    let close = async {
        soon(is_heard).await.unwrap();
        handle.close();
        soon(running).await.unwrap().unwrap();
    };
    both(close, flood).await;
}

#[tokio::test]
async fn reconnecting_from_another_task_replaces_the_connection() {
    let peer = Peer::start().await;
    let mut source = EventSource::new(peer.url("/")).unwrap();
    let handle = source.handle();
    let (received, is_received) = oneshot::channel();
    let client = async {
        open(&mut source).await;
        assert_eq!(message(&mut source).await.data, "1");
        received.send(()).unwrap();
        assert_eq!(disconnected(&mut source).await, (Cause::Asked, Duration::ZERO));
        open(&mut source).await;
        assert_eq!(message(&mut source).await.data, "2");
    };
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange.send("id: 1\ndata: 1\n\n").await;
        soon(is_received).await.unwrap();
        handle.reconnect();
        handle.reconnect();
        exchange.closed().await;
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange.send("id: 2\ndata: 2\n\n").await;
        exchange
    };
    both(client, server).await;
    assert!(!peer.is_asked().await);
}

#[tokio::test]
async fn reconnecting_cuts_a_wait_short() {
    let peer = Peer::start().await;
    let mut source = EventSource::new(peer.url("/")).unwrap();
    let handle = source.handle();
    let client = async {
        open(&mut source).await;
        assert_eq!(disconnected(&mut source).await.1, Duration::from_secs(3600));
        // The source is polled, and waits, when another task asks.
        tokio::task::spawn(async move { handle.reconnect() });
        open(&mut source).await;
    };
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange.send("retry: 3600000\n").await;
        drop(exchange);
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange
    };
    both(client, server).await;
}

#[tokio::test]
async fn reconnecting_leaves_a_request_that_has_no_answer() {
    let peer = Peer::start().await;
    let mut source = EventSource::new(peer.url("/")).unwrap();
    let handle = source.handle();
    let client = async {
        assert_eq!(disconnected(&mut source).await.0, Cause::Asked);
        open(&mut source).await;
    };
    let server = async {
        let mut exchange = peer.accept().await;
        handle.reconnect();
        exchange.closed().await;
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange
    };
    both(client, server).await;
}

#[tokio::test]
async fn a_handle_outlives_its_source() {
    let peer = Peer::start().await;
    let mut source = quick(&peer.url("/")).build().unwrap();
    let handle = source.handle();
    let client = async {
        open(&mut source).await;
        message(&mut source).await
    };
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange.send("data: 1\n\n").await;
        exchange
    };
    let (message, mut exchange) = both(client, server).await;
    drop(source);
    assert_eq!(handle.ready_state(), ReadyState::Closed);
    assert_eq!(handle.url().as_str(), peer.url("/"));
    handle.reconnect();
    handle.acknowledge(&message);
    handle.close();
    assert_eq!(handle.ready_state(), ReadyState::Closed);
    exchange.closed().await;
    assert!(!peer.is_asked().await);
}

#[tokio::test]
async fn a_flood_leaves_other_tasks_their_turn() {
    let peer = Peer::start().await;
    let mut source = EventSource::new(peer.url("/")).unwrap();
    let client = async {
        open(&mut source).await;
        message(&mut source).await;
        let other = tokio::spawn(async {});
        let mut messages = 0;
        // No wait for the rest of a chunk that is already there.
        while messages < 999 && !other.is_finished() {
            let Some(Ok(Update::Message(_))) = source.next().await else { panic!() };
            messages += 1;
        }
        messages
    };
    let server = async {
        let mut exchange = peer.accept().await;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        exchange.send(format!("{head}{}", "data\n\n".repeat(1_000))).await;
        exchange
    };
    let (messages, _exchange) = soon(both(client, server)).await;
    assert!(messages < 500, "{messages} messages were received before another task had a turn");
}
