//! A connection that says nothing for too long is taken for dead; one that is not listened to is not.

use std::time::Duration;

use tidings_client::{Cause, EventSource};
use tokio::time::Instant;

use crate::peer::updates::{both, disconnected, message, open, quick};
use crate::peer::{Exchange, Peer};

/// Short enough to wait for, long enough for a machine that is busy.
const IDLE_TIMEOUT: Duration = Duration::from_millis(400);

fn source(peer: &Peer) -> EventSource {
    quick(&peer.url("/")).idle_timeout(Some(IDLE_TIMEOUT)).build().unwrap()
}

async fn opened(peer: &Peer) -> Exchange {
    let mut exchange = peer.accept().await;
    exchange.open().await;
    exchange
}

#[tokio::test]
async fn silence_before_the_response_and_in_the_stream_ends_the_connection() {
    let peer = Peer::start().await;
    let mut source = source(&peer);
    let client = async {
        for opens in [false, true] {
            let before = Instant::now();
            if opens {
                open(&mut source).await;
                assert_eq!(message(&mut source).await.data, "1");
            }
            let (cause, _) = disconnected(&mut source).await;
            assert_eq!(cause, Cause::Idle { idle_timeout: IDLE_TIMEOUT });
            assert!(before.elapsed() >= IDLE_TIMEOUT);
        }
        open(&mut source).await;
    };
    let server = async {
        peer.accept().await.closed().await;
        let mut exchange = opened(&peer).await;
        exchange.send("data: 1\n\n").await;
        exchange.closed().await;
        opened(&peer).await
    };
    both(client, server).await;
}

#[tokio::test]
async fn comments_and_parts_of_lines_keep_it_alive() {
    let peer = Peer::start().await;
    let mut source = source(&peer);
    let client = async {
        let before = Instant::now();
        open(&mut source).await;
        assert_eq!(message(&mut source).await.data, "still here");
        assert!(before.elapsed() > 2 * IDLE_TIMEOUT);
    };
    let server = async {
        let mut exchange = opened(&peer).await;
        // The heart of a server beats by the clock.
        let mut beat = tokio::time::interval(IDLE_TIMEOUT / 4);
        for piece in [":\n", ": hello\n\n", "data", ": st", "ill", " h", "e", "r", "e", "\n", "\n"]
        {
            beat.tick().await;
            exchange.send(piece).await;
        }
        exchange
    };
    both(client, server).await;
}

/// Keeps the thread busy, and the source unpolled, beyond its idle timeout.
fn be_busy() {
    std::thread::sleep(2 * IDLE_TIMEOUT);
}

#[tokio::test]
async fn a_consumer_that_was_busy_finds_what_came_meanwhile() {
    let peer = Peer::start().await;
    let mut source = source(&peer);
    let client = async {
        open(&mut source).await;
        assert_eq!(message(&mut source).await.data, "1");
        source
    };
    let server = async {
        let mut exchange = opened(&peer).await;
        exchange.send("data: 1\n\n").await;
        exchange
    };
    let (mut source, mut exchange) = both(client, server).await;
    // The whole runtime is busy, so that even the socket is not read.
    exchange.send("data: 2\n\n").await;
    be_busy();
    assert_eq!(message(&mut source).await.data, "2");
    exchange.send("data: 3\n\n").await;
    be_busy();
    assert_eq!(message(&mut source).await.data, "3");
    // But silence is silence.
    be_busy();
    let (cause, _) = disconnected(&mut source).await;
    assert_eq!(cause, Cause::Idle { idle_timeout: IDLE_TIMEOUT });
}

#[tokio::test]
async fn a_response_that_came_while_the_consumer_was_busy_counts() {
    let peer = Peer::start().await;
    let mut source = source(&peer);
    let server = async {
        let exchange = opened(&peer).await;
        be_busy();
        exchange
    };
    both(open(&mut source), server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_looks_away_loses_nothing() {
    let peer = Peer::start().await;
    let mut source = source(&peer);
    let client = async {
        open(&mut source).await;
        for number in 0..5 {
            assert_eq!(message(&mut source).await.data, number.to_string());
            // It does something else for longer than the timeout, and the runtime goes on.
            tokio::task::block_in_place(be_busy);
        }
    };
    let server = async {
        let mut exchange = opened(&peer).await;
        exchange.send((0..5).map(|n| format!("data: {n}\n\n")).collect::<String>()).await;
        exchange
    };
    both(client, server).await;
}
