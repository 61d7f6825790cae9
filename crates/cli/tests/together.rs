//! All three commands together: what is published through kills of the hub arrives at a listener
//! that is killed, too, once and in order.

mod hub;
#[path = "../../client/tests/peer/mod.rs"]
mod peer;
mod program;

use std::process::Stdio;

use hub::Hub;
use peer::soon;
use program::{finish, program};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

#[tokio::test]
async fn lines_arrive_once_and_in_order_through_kills_and_restarts() {
    let mut hub = Hub::start(&[]).await;
    let url = hub.url("/events/rooms/42");
    let directory = tempfile::tempdir().unwrap();
    let cursor = directory.path().join("cursor");
    let listen = [
        "listen",
        &url,
        "--data",
        "--last-event-id",
        "earliest",
        "--cursor-file",
        cursor.to_str().unwrap(),
    ];

    let mut received = Vec::new();
    for round in 0..3 {
        let lines: String = (0..2_000).map(|line| format!("{round}-{line}\n")).collect();
        let mut publisher = program(&["publish", &url]).stdin(Stdio::piped()).spawn().unwrap();
        soon(publisher.stdin.take().unwrap().write_all(lines.as_bytes())).await.unwrap();
        let published = finish(publisher).await;
        assert_eq!(published.code, 0, "{}", published.stderr);
        assert!(published.stdout.starts_with("Published 2,000 events; the last id is #"));

        // A new listener takes up where the one before was interrupted.
        let mut listener = program(&listen).spawn().unwrap();
        let mut lines = BufReader::new(listener.stdout.take().unwrap()).lines();
        // The hub goes while the listener reads, and the listener waits for it.
        for _ in 0..500 {
            received.push(soon(lines.next_line()).await.unwrap().unwrap());
        }
        hub.kill_and_start_again().await;
        for _ in 500..2_000 {
            received.push(soon(lines.next_line()).await.unwrap().unwrap());
        }
        program::interrupt(&listener);
        assert_eq!(finish(listener).await.code, 130);
    }
    let expected: Vec<String> =
        (0..3).flat_map(|round| (0..2_000).map(move |line| format!("{round}-{line}"))).collect();
    assert!(received == expected);
}
