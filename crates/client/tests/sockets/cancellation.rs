//! Whatever breaks and whoever looks away, every event arrives once.
//!
//! A server of 1,000 events cuts its connections anywhere. The client drops the futures it waits
//! with, asks for other connections, and now and then goes on with another source where the first
//! had got to. A failing run names its seed.

use std::convert::Infallible;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tidings_client::{EventSource, Update};

use crate::peer::updates::quick;
use crate::peer::{Peer, soon};

const EVENTS: usize = 1_000;
const DISRUPTIONS_MAX: usize = 50;

/// Serves the events from where each request resumes, and says when there are no more.
async fn serve(peer: &Peer, mut random: StdRng) -> Infallible {
    loop {
        let mut exchange = peer.accept().await;
        let after = exchange.header("last-event-id").map_or(0, |id| id.parse().unwrap());
        if after == EVENTS {
            exchange.sent(b"HTTP/1.1 204 No Content\r\n\r\n").await;
            continue;
        }
        if random.random_ratio(1, 8) {
            continue;
        }
        let events: String =
            (after + 1..=EVENTS).map(|n| format!("id: {n}\ndata: {n}\n\n")).collect();
        let cut = random.random_range(0..events.len().min(3_000));
        // Near the end it is let through, or it would hardly ever come.
        let mut rest = match EVENTS - after {
            0..50 => events.as_bytes(),
            _ => &events.as_bytes()[..cut],
        };
        exchange.sent(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n").await;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(random.random_range(1..=rest.len().min(400)));
            rest = after;
            if !exchange.sent(piece).await {
                break;
            }
            for _ in 0..random.random_range(0..4) {
                tokio::task::yield_now().await;
            }
        }
        if random.random() {
            exchange.reset();
        }
    }
}

async fn pass(turns: usize) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}

/// Follows to the end, and returns what was received and how often the wait was given up.
async fn follow(mut source: EventSource, url: &str, mut random: StdRng) -> (Vec<String>, usize) {
    let (mut received, mut given_up, mut disruptions) = (Vec::new(), 0, 0);
    loop {
        let update = tokio::select! {
            biased;
            update = source.next() => update,
            () = pass(random.random_range(0..4)) => {
                given_up += 1;
                // Bounded, as a client that spins would otherwise leave before any answer.
                let disrupts = disruptions < DISRUPTIONS_MAX && random.random_ratio(1, 100);
                disruptions += usize::from(disrupts);
                match random.random_range(0..3) {
                    _ if !disrupts => {}
                    0 => source.reconnect(),
                    1 => source.handle().reconnect(),
                    _ => {
                        let token = source.resume_token().to_string().parse().unwrap();
                        source = quick(url).resume(token).build().unwrap();
                    }
                }
                continue;
            }
        };
        match update {
            Some(Ok(Update::Message(message))) => {
                assert_eq!(message.last_event_id.as_str(), message.data);
                received.push(message.data);
            }
            Some(Ok(_)) => {}
            // The server has no more.
            Some(Err(_)) => {}
            None => return (received, given_up),
        }
    }
}

async fn run(seed: u64) {
    let peer = Peer::start().await;
    let url = peer.url("/");
    let source = quick(&url).build().unwrap();
    let random = |part: u64| StdRng::seed_from_u64(2 * seed + part);
    let (received, given_up) = tokio::select! {
        followed = soon(follow(source, &url, random(0))) => followed,
        never = serve(&peer, random(1)) => match never {},
    };
    let expected: Vec<_> = (1..=EVENTS).map(|number| number.to_string()).collect();
    assert_eq!(received, expected, "with seed {seed}");
    assert!(given_up > 100, "with seed {seed}");
}

#[tokio::test]
async fn every_event_arrives_once() {
    for seed in 0..8 {
        run(seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_arrives_once_on_several_threads() {
    for seed in 8..16 {
        run(seed).await;
    }
}
